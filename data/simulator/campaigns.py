"""Who is approached, by which campaign, and how it goes: all scripts of the whole period."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.simulator.city import AGE_SHARE, DAY, HOUR, OFFSET, SECOND, City, Population
from data.simulator.frauds import FRAUDS, Fraud
from data.simulator.lookalikes import LOOKALIKES, Lookalike
from data.simulator.rhythm import moments
from data.simulator.rows import SCAMS, Rows
from data.simulator.scripts import Cast, play

__all__ = ["BLOCK_DAYS", "LEAD_IN_DAYS", "Affair", "fraud_ages", "frauds", "lookalikes"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEAD_IN_DAYS = 20  # episodes begin so long before the history, so that its first day is like any
CAMPAIGN_DAYS = 14
VICTIMS_A_CAMPAIGN = 6
WAVERING = 0.06  # share of the approached who go along for a while and never pay
# Ministry of Public Security 2023 (DOMAIN.md): 18-40 62.1 %, 41-65 33.1 %, mean age 37; the split
# inside those bands is chosen to meet the mean.
VICTIM_AGES = np.array([0.028, 0.195, 0.426, 0.200, 0.131, 0.020])
PER_SCRIPT = 10**13  # numbers of groups and episodes kept for each script
PER_BLOCK = 10**8
BLOCK_DAYS = 5  # honest scripts are played so many days of starts at a time, to bound memory
# scripts of the staged victims, who pay one after the other from the history's end on
QUICK = ("logistics", "credit", "loan", "authority", "rebate", "acquaintance")
STAGED_EVERY = 150 * SECOND


@dataclass(frozen=True)
class Affair:
    """Played episodes of one fraud script. `cast.depth` says who is a victim (2)."""

    fraud: Fraud
    cast: Cast
    rows: Rows

    @property
    def scam(self) -> int:
        """Code of the official type."""
        return SCAMS.index(self.fraud.scam_type)


def fraud_ages(scripts: Sequence[Fraud] = FRAUDS) -> NDArray[np.float64]:
    """Fit victims' age bands per script (rows) to the official marginals by raking.

    Returns
    -------
    ndarray of shape (scripts, 6)
        Share of each band among a script's victims.

    Examples
    --------
    >>> float(np.round(np.array([f.share for f in FRAUDS]) @ fraud_ages(), 3)[2])
    0.426
    """
    share = np.array([fraud.share for fraud in scripts])
    table = np.array([fraud.script.ages for fraud in scripts]) * AGE_SHARE
    for _ in range(200):
        table *= VICTIM_AGES / (share @ table / share.sum())
        table /= table.sum(axis=1, keepdims=True)
    return np.asarray(table)


def _people(
    people: Population, bands: NDArray[np.float64], size: int, rng: np.random.Generator
) -> Ints:
    band = rng.choice(len(bands), size, p=bands / bands.sum())
    found = np.empty(size, dtype=np.int64)
    for number, members in enumerate(people.by_band):
        here = band == number
        pool = members if len(members) else np.arange(len(people))
        found[here] = pool[rng.integers(0, len(pool), int(here.sum()))]
    return found


def _starts(city: City, window: tuple[float, float], size: int, profile: str,
            rng: np.random.Generator) -> Ints:  # fmt: skip
    """Draw starts between two shares of the history, spread over its days."""
    first = city.start_us + OFFSET
    low = window[0] * city.days if window[0] > 0 else -LEAD_IN_DAYS
    high = window[1] * city.days if window[1] < 1 else city.days + city.ahead_days
    day = rng.uniform(low, max(high, low), size) * DAY
    midnight = ((first + day).astype(np.int64)) // DAY * DAY - OFFSET
    return moments(midnight, size, profile, rng)


def _groups(city: City, start: Ints, chains: int, rng: np.random.Generator) -> Ints:
    """Campaign of each start: chains of campaigns, each ending when the next begins."""
    chain = rng.integers(0, chains, len(start))
    phase = chain * 977 % CAMPAIGN_DAYS
    turn = ((start - city.start_us) // DAY + LEAD_IN_DAYS + 2 + phase) // CAMPAIGN_DAYS
    return np.asarray(chain * 1000 + turn, dtype=np.int64)


def _fraud(number: int, people: Population, bands: Floats, rng: np.random.Generator) -> Affair:
    fraud, city = FRAUDS[number], people.city
    length = city.days + city.ahead_days + LEAD_IN_DAYS
    whole = city.victims_per_100k_days * city.subscribers * length / 100_000 * fraud.share
    window = (fraud.emerges, fraud.retires)
    victims = max(1, round(whole + rng.uniform(-0.5, 0.5)))
    victims = victims if city.victims_per_100k_days > 0 else 0
    reached = int(victims * fraud.script.reach)
    staged = _staged(number, city)
    size = victims + reached + staged
    start = _starts(city, window, size, fraud.script.profile, rng)
    depth = np.full(size, 2, dtype=np.int64)
    wavers = rng.random(reached) < WAVERING
    depth[victims : victims + reached] = wavers
    chains = max(1, round(victims / (VICTIMS_A_CAMPAIGN * length / CAMPAIGN_DAYS)))
    start[victims + reached :] = city.end_us - HOUR
    group = (number + 1) * PER_SCRIPT + _groups(city, start, chains, rng)
    who = _people(people, bands, size, rng)
    cast = Cast(who, start, group, (number + 1) * PER_SCRIPT + np.arange(size), depth)
    rows = play(fraud.script, cast, people, rng)
    return Affair(fraud, cast, _stage(rows, cast, staged, number, city))


def _staged(number: int, city: City) -> int:
    """How many of the staged victims fall to a script."""
    name = FRAUDS[number].script.name
    if name not in QUICK or city.victims_per_100k_days == 0:
        return 0
    return city.staged // len(QUICK) + (QUICK.index(name) < city.staged % len(QUICK))


def _stage(rows: Rows, cast: Cast, staged: int, number: int, city: City) -> Rows:
    """Shift the staged episodes so that their first payment falls right after the end."""
    if not staged:
        return rows
    occurred = rows["occurred"].copy()
    for place, episode in enumerate(cast.episode[-staged:]):
        mine = rows["episode"] == episode
        payments = mine & (rows["amount"] > 0)
        turn = place * len(QUICK) + QUICK.index(FRAUDS[number].script.name)
        goal = city.end_us + 60 * SECOND + turn * STAGED_EVERY
        occurred[mine] += goal - occurred[payments].min()
    return rows.replaced(occurred=occurred)


def frauds(people: Population) -> Iterator[Affair]:
    """Play every fraud script."""
    ages = fraud_ages()
    for number in range(len(FRAUDS)):
        yield _fraud(number, people, ages[number], people.city.random(5, number))


def _lookalike(number: int, people: Population, block: int) -> Rows:
    look: Lookalike = LOOKALIKES[number]
    city = people.city
    rng = city.random(6, number, block)
    rate = look.per_1000_in_60_days * city.subscribers / 60_000
    going = int(rng.poisson(rate * BLOCK_DAYS))
    size = going + int(going * look.script.reach)
    day = block * BLOCK_DAYS + rng.integers(0, BLOCK_DAYS, size)
    start = moments(day * DAY - OFFSET, size, look.script.profile, rng)
    base = (len(FRAUDS) + number + 1) * PER_SCRIPT
    group = base + rng.integers(0, max(1, city.subscribers // look.subscribers_per_group), size)
    depth = np.where(np.arange(size) < going, 2, rng.random(size) < WAVERING).astype(np.int64)
    who = _people(people, np.array(look.script.ages) * AGE_SHARE, size, rng)
    episode = base + block * PER_BLOCK + np.arange(size)
    return play(look.script, Cast(who, start, group, episode, depth), people, rng)


def lookalikes(people: Population, block: int) -> Rows:
    """Play the honest scripts that begin in a block of days (counted since 1970)."""
    return Rows.joined(_lookalike(number, people, block) for number in range(len(LOOKALIKES)))
