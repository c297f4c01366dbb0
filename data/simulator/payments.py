"""How people pay: amounts, channels, accounts, devices; the same rules for honest money and not."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data.simulator.identifiers import Space, code_of, deviate, hashed, unit
from data.simulator.rows import CHANNELS, SOURCES, Rows

__all__ = ["account_of", "device_of", "line_age", "rounded", "spread", "transfers"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MOBILE, WEB, COUNTER, CARD, WALLET = (
    CHANNELS.index(name) for name in ("mobile", "web", "counter", "card", "wallet")
)
LARGEST_FEN = 5 * 10**8
UNKNOWN_AGE = 0.12  # lines of other operators whose age nobody tells us


def rounded(yuan: Floats, rng: np.random.Generator) -> Ints:
    """Round amounts (yuan) as people type them; returns fen, at least 1 yuan."""
    taste = rng.random(len(yuan))
    fine = np.where(taste < 0.75, 1.0, 0.01)
    coarse = np.where(yuan >= 2000, np.where(taste < 0.2, 1000.0, 100.0), 10.0)
    step = np.where(taste < 0.5, coarse, fine)
    found = np.maximum(np.round(yuan / step) * step, 1.0) * 100
    return np.asarray(np.minimum(np.round(found), LARGEST_FEN), dtype=np.int64)


def device_of(subscribers: Ints, rng: np.random.Generator) -> Ints:
    """Choose the device used: one in five has a second one, used now and then."""
    second = (unit(31, subscribers) < 0.2) & (rng.random(len(subscribers)) < 0.12)
    return code_of(Space.DEVICE, subscribers * 2 + second)


def line_age(codes: Ints, days: ArrayLike, median: float) -> Ints:
    """Days a line has been in service: a base drawn from its code, plus `days`; -1 unknown."""
    base = median * np.exp(1.1 * deviate(33, codes))
    age = np.minimum(base + np.asarray(days, dtype=np.float64), 11_000)
    return np.where(unit(34, codes) < UNKNOWN_AGE, -1, np.maximum(age, 0).astype(np.int64))


def _channels(fen: Ints, rng: np.random.Generator) -> Ints:
    luck = rng.random(len(fen))
    wallet = luck < np.where(fen < 200_000, 0.55, np.where(fen < 2_000_000, 0.15, 0.03))
    other = rng.random(len(fen))
    bank = np.where(other < 0.9, MOBILE, np.where(other < 0.96, WEB, COUNTER))
    return np.where(wallet, WALLET, bank)


def transfers(
    occurred: Ints,
    subscribers: Ints,
    payees: Ints,
    fen: Ints,
    rng: np.random.Generator,
    channel: Ints | None = None,
) -> Rows:
    """Lay out payments; the wallet is an account named like the payer's phone."""
    used = _channels(fen, rng) if channel is None else channel
    wallet = used == WALLET
    own = np.where(
        wallet, code_of(Space.MOBILE, subscribers), code_of(Space.CARD, subscribers * 4 + 1)
    )
    raised = rng.random(len(fen)) < np.clip(np.log10(fen / 1e6 + 1e-9) * 0.14, 0.0005, 0.3)
    handheld = (used == MOBILE) | wallet
    return Rows.of(
        "transfer",
        occurred,
        subscriber=subscribers,
        counterpart=payees,
        account=own,
        device=np.where(handheld, device_of(subscribers, rng), -1),
        amount=fen,
        channel=used,
        limit=raised & ~wallet,
        source=np.where(wallet, SOURCES.index("wallet"), SOURCES.index("bank")),
    )


def account_of(people: Ints, wallet: NDArray[np.bool_]) -> Ints:
    """Account of a person: a wallet named by the phone number, or a bank card."""
    return np.where(wallet, code_of(Space.MOBILE, people), code_of(Space.CARD, people * 4 + 1))


def spread(kind: int, ranks: Ints, size: int) -> Ints:
    """Turn ranks of popularity into ids that do not show the rank."""
    return np.asarray((hashed(kind, ranks) % np.uint64(size)).astype(np.int64), dtype=np.int64)
