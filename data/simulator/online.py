"""Everyday sites and apps."""

import numpy as np

from data.simulator.acts import Acts, Ints, app
from data.simulator.identifiers import Space, code_of, hashed
from data.simulator.payments import spread
from data.simulator.rows import Rows

__all__ = ["apps_installed", "computers_helped", "screens_shared", "sites_visited"]


def sites_visited(acts: Acts) -> Rows:
    """Sites new to us or rarely seen (the big ones are not reported)."""
    rank = acts.popular(6000, 2.5)
    tail = acts.pick(10**9)
    luck = acts.luck()
    site = code_of(Space.SITE, np.where(luck < 0.85, spread(75, rank, 10**9), tail))
    return app(acts, site, "visit", 0.004)


def apps_installed(acts: Acts) -> Rows:
    """Apps, from the popular to the obscure; meeting tools and lenders among them."""
    rank = acts.popular(3000, 2.2)
    tail = acts.pick(10**9)
    luck = acts.luck()
    found = np.where(luck < 0.75, spread(76, rank, 10**9), tail)
    found = np.where(luck < 0.05, _public("tool", 10, acts), found)
    found = np.where((luck > 0.05) & (luck < 0.1), _public("lender", 40, acts), found)
    return app(acts, code_of(Space.APP, found), "install", 0.006)


def _public(name: str, size: int, acts: Acts) -> Ints:
    """Ids of the apps that scripts use too (same derivation as `scripts`)."""
    salt = int.from_bytes(name.encode()[:6], "big")
    chosen = acts.pick(size)
    return np.asarray((hashed(43, salt, chosen) >> np.uint64(1)).astype(np.int64) % 10**9)


def screens_shared(acts: Acts) -> Rows:
    """Meetings with a shared screen."""
    tool = code_of(Space.APP, _public("tool", 10, acts))
    return app(acts, tool, "screen_share", 0, acts.lasting(1500))


def computers_helped(acts: Acts) -> Rows:
    """Remote control for work and family."""
    tool = code_of(Space.APP, _public("tool", 10, acts))
    return app(acts, tool, "remote_control", 0, acts.lasting(1300))
