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
CAMPAIGN_DAYS = (4.0, 10.0)
VICTIMS_A_CAMPAIGN = 10  # of the subscribers watched; the rest of the country is not here
WAVERING = 0.06  # share of the approached who go along for a while and never pay
# Ministry of Public Security 2023 (DOMAIN.md): 18-40 62.1 %, 41-65 33.1 %, mean age 37; the split
# inside those bands is chosen to meet the mean.
VICTIM_AGES = np.array([0.028, 0.195, 0.426, 0.200, 0.131, 0.020])
PER_SCRIPT = 10**13  # numbers of groups and episodes kept for each script
PER_BLOCK = 10**8
BLOCK_DAYS = 5  # honest scripts are played so many days of starts at a time, to bound memory
# scripts of the staged victims, who pay one after the other from the history's end on
QUICK = ("logistics", "credit", "loan", "authority", "rebate", "acquaintance")
# until the next one pays: the first dozen hurry, so that a demonstration has something to show
STAGED_EVERY = (150 * SECOND, 600 * SECOND)
HURRIED = 12


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


@dataclass(frozen=True)
class _Calendar:
    """When the campaigns of one script run (microseconds)."""

    begin: Ints
    length: Ints

    def starts(self, campaign: Ints, profile: str, rng: np.random.Generator) -> Ints:
        """Draw first contacts of campaigns, more of them early than late in each."""
        share = rng.beta(1.2, 1.8, len(campaign))
        moment = self.begin[campaign] + (share * self.length[campaign]).astype(np.int64)
        midnight = (moment + OFFSET) // DAY * DAY - OFFSET
        return moments(midnight, len(campaign), profile, rng)


def _calendar(fraud: Fraud, city: City, victims: int, rng: np.random.Generator) -> _Calendar:
    """Spread a script's campaigns over the time it is about; quick ones run at the end too."""
    low = fraud.emerges * city.days if fraud.emerges > 0 else -LEAD_IN_DAYS
    high = fraud.retires * city.days if fraud.retires < 1 else city.days + city.ahead_days
    count = max(2, round(victims / VICTIMS_A_CAMPAIGN))
    place = (np.arange(count) + rng.random(count)) / count
    length = rng.uniform(*CAMPAIGN_DAYS, count)
    begin = low + place * np.maximum(high - low - length, 1.0)
    if fraud.script.name in QUICK:
        begin[-1] = city.days - 0.6 * length[-1]
    start = city.start_us + (begin * DAY).astype(np.int64)
    return _Calendar(start, (length * DAY).astype(np.int64))


def _fraud(number: int, people: Population, bands: Floats, rng: np.random.Generator) -> Affair:
    fraud, city = FRAUDS[number], people.city
    victims, reached = _numbers(fraud, city, rng)
    staged = _staged(number, city)
    size = victims + reached + staged
    calendar = _calendar(fraud, city, victims, rng)
    campaign = np.arange(size) % len(calendar.begin)
    campaign[victims + reached :] = len(calendar.begin) - 1
    start = calendar.starts(campaign, fraud.script.profile, rng)
    start[victims + reached :] = city.end_us - HOUR
    depth = np.full(size, 2, dtype=np.int64)
    depth[victims : victims + reached] = rng.random(reached) < WAVERING
    first = (number + 1) * PER_SCRIPT
    who = _people(people, bands, size, rng)
    cast = Cast(who, start, first + campaign, first + np.arange(size), depth)
    rows = play(fraud.script, cast, people, rng)
    return Affair(fraud, cast, _stage(rows, cast, staged, number, city))


def _numbers(fraud: Fraud, city: City, rng: np.random.Generator) -> tuple[int, int]:
    """How many pay in the end, and how many are approached in vain."""
    if city.victims_per_100k_days == 0:
        return 0, 0
    length = city.days + city.ahead_days + LEAD_IN_DAYS
    expected = city.victims_per_100k_days * city.subscribers * length / 100_000 * fraud.share
    victims = max(1, round(expected + rng.uniform(-0.5, 0.5)))
    return victims, int(victims * fraud.script.reach)


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
        wait = min(turn, HURRIED) * STAGED_EVERY[0] + max(turn - HURRIED, 0) * STAGED_EVERY[1]
        goal = city.end_us + 60 * SECOND + wait
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
