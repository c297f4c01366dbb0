"""Everyday payments."""

import numpy as np

from data.simulator.acts import Acts
from data.simulator.city import SECOND
from data.simulator.identifiers import Space, code_of, hashed
from data.simulator.payments import account_of, rounded, spread, transfers
from data.simulator.rows import CHANNELS, Rows

__all__ = [
    "bills_paid",
    "shops_paid",
    "strangers_paid",
    "ties_paid",
    "wages_paid",
]


def shops_paid(acts: Acts) -> Rows:
    """Shops of the neighbourhood, platforms, and stalls that use a private account."""
    luck = acts.luck()
    near = acts.place // 250 * 24 + acts.popular(24, 1.7)
    shop = np.where(luck < 0.62, spread(77, near, 10**9), spread(78, acts.popular(400), 10**9))
    stall = acts.outsider(79, acts.place // 120, acts.pick(6))
    wallet = acts.luck() < 0.75
    payee = np.where(luck < 0.85, code_of(Space.MERCHANT, shop), account_of(stall, wallet))
    yuan = 32 * acts.wealth**0.5 * acts.noise(1.15)
    channel = np.where(wallet, CHANNELS.index("wallet"), CHANNELS.index("card"))
    return transfers(acts.when, acts.who, payee, rounded(yuan, acts.rng), acts.rng, channel)


def ties_paid(acts: Acts) -> Rows:
    """Money for people one knows, more of it after payday."""
    friend = acts.people.tie(acts.who, acts.slots())
    yuan = 260 * acts.wealth**0.6 * acts.noise(1.3)
    fen = rounded(yuan, acts.rng)
    return transfers(acts.when, acts.who, account_of(friend, fen < 200_000), fen, acts.rng)


def strangers_paid(acts: Acts) -> Rows:
    """People paid once: craftsmen, sellers, deposits; now and then a large sum."""
    fresh = acts.outsider(80, acts.pick(1 << 50))
    leader = acts.outsider(81, acts.place // 400,
        acts.pick(3), (acts.number + acts.place // 400) // 25,
    )  # fmt: skip
    person = np.where(acts.luck() < 0.6, fresh, leader)
    large = acts.luck() < 0.12
    median = np.where(large, 6500.0, 320.0)
    yuan = median * acts.wealth**0.6 * acts.noise(1.2)
    fen = rounded(yuan, acts.rng)
    return transfers(acts.when, acts.who, account_of(person, acts.luck() < 0.5), fen, acts.rng)


def bills_paid(acts: Acts) -> Rows:
    """Rent, mortgage, cards, school, electricity: the same payees every month."""
    kind = acts.pick(4)
    landlord = account_of(acts.outsider(82, acts.who), kind == 9)
    firm = code_of(Space.MERCHANT, spread(83, kind * 40 + acts.who % 40, 10**9))
    yuan = np.array([1900.0, 3600.0, 420.0, 120.0])[kind] * acts.wealth**0.7
    yuan = yuan * acts.noise(0.35)
    payee = np.where(kind == 0, landlord, firm)
    return transfers(acts.when, acts.who, payee, rounded(yuan, acts.rng), acts.rng)


def wages_paid(acts: Acts) -> Rows:
    """Small employers pay their people within the hour."""
    bosses = acts.where(np.flatnonzero(hashed(84, acts.who) % np.uint64(40) == 0))
    crew = 2 + (hashed(85, bosses.who) % np.uint64(7)).astype(np.int64)
    each = bosses.where(np.repeat(np.arange(len(bosses)), crew))
    hand = np.arange(len(each)) - np.repeat(np.cumsum(crew) - crew, crew)
    staff = account_of(each.outsider(86, each.who, hand), np.zeros(len(each), dtype=bool))
    moment = each.when + (each.luck() * 2400 * SECOND).astype(np.int64)
    fen = rounded(4800 * each.noise(0.3), acts.rng)
    mobile = np.full(len(each), CHANNELS.index("mobile"))
    return transfers(moment, each.who, staff, fen, acts.rng, mobile)
