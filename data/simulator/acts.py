"""Acts of one habit on one day: who does it, when, and how the record looks."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data.simulator import identifiers
from data.simulator.city import DAY, OFFSET, SECOND, TIES, Population
from data.simulator.identifiers import SHIFT, Space, hashed
from data.simulator.payments import device_of, line_age
from data.simulator.rows import ACTIONS, SOURCES, Rows

__all__ = ["Acts", "Line", "app", "call", "sms"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
INCOMING = 0
OPERATOR, NETWORK = SOURCES.index("operator"), SOURCES.index("network")
# how often each of a subscriber's ties is the one
SLOT_WEIGHTS = np.array([0.2, 0.2, 0.08, 0.08, 0.04, 0.04, 0.18, 0.11, 0.07])


@dataclass(frozen=True)
class Line:
    """Lines of one sort: median days in service, share that roams."""

    age_days: float
    roaming: float = 0.03


@dataclass(frozen=True)
class Acts:
    """The same thing done by many: a position per act."""

    people: Population
    midnight: int
    rng: np.random.Generator
    who: Ints
    when: Ints

    def __len__(self) -> int:
        return len(self.who)

    @property
    def population(self) -> int:
        """How many subscribers there are."""
        return len(self.people)

    @property
    def seed(self) -> int:
        """The city's seed."""
        return self.people.city.seed

    @property
    def place(self) -> Ints:
        """Where they live on the neighbourhood ring."""
        return self.people.place[self.who]

    @property
    def wealth(self) -> Floats:
        """Their means, median 1."""
        return self.people.wealth[self.who]

    @property
    def number(self) -> int:
        """Days since 1970 in the city's zone."""
        return (self.midnight + OFFSET) // DAY

    @property
    def days_in(self) -> float:
        """Days since the history began."""
        return (self.midnight - self.people.city.start_us) / DAY

    def luck(self) -> Floats:
        """One number in [0, 1) for each act."""
        return self.rng.random(len(self))

    def noise(self, sigma: float) -> Floats:
        """One factor of median 1 for each act."""
        return np.asarray(np.exp(sigma * self.rng.standard_normal(len(self))))

    def pick(self, size: int) -> Ints:
        """One of `size` things for each act."""
        return self.rng.integers(0, size, len(self))

    def popular(self, size: int, skew: float = 2.5) -> Ints:
        """One rank for each act, from 0 (most popular) to `size` - 1, with a long tail."""
        return np.asarray(size * self.luck() ** skew, dtype=np.int64)

    def slots(self) -> Ints:
        """Which tie it is."""
        return np.asarray(self.rng.choice(TIES, len(self), p=SLOT_WEIGHTS), dtype=np.int64)

    def outsider(self, *keys: ArrayLike) -> Ints:
        """Somebody who is no subscriber, found by keys."""
        return identifiers.outsider(self.population, self.seed, *keys)

    def lasting(self, median_s: float, answered: float = 1.0) -> Ints:
        """Seconds of a call or session, 0 where nobody answers."""
        seconds = median_s * self.noise(1.1) * (self.luck() < answered)
        return np.asarray(np.minimum(seconds, 2.5 * 3600), dtype=np.int64)

    def where(self, choice: Ints) -> "Acts":
        """The acts at some positions."""
        return replace(self, who=self.who[choice], when=self.when[choice])


def call(acts: Acts, other: Ints, seconds: Ints, direction: Ints | int, line: Line) -> Rows:
    """Lay out calls; the record is written when a call ends."""
    return Rows.of(
        "call",
        acts.when + seconds * SECOND,
        subscriber=acts.who,
        counterpart=other,
        direction=direction,
        duration=seconds,
        roaming=acts.luck() < line.roaming,
        foreign=other >> SHIFT == Space.FOREIGN,
        age=line_age(other, acts.days_in, line.age_days),
        source=OPERATOR,
    )


def sms(acts: Acts, other: Ints, link: float, code: float,
        direction: Ints | int = INCOMING) -> Rows:  # fmt: skip
    """Lay out messages; `link` and `code` are the shares that carry one."""
    luck = acts.luck()
    return Rows.of(
        "sms",
        acts.when,
        subscriber=acts.who,
        counterpart=other,
        direction=direction,
        foreign=other >> SHIFT == Space.FOREIGN,
        link=luck < link,
        code=luck > 1 - code,
        source=OPERATOR,
    )


def app(acts: Acts, other: Ints, action: str, listed: float,
        seconds: Ints | int = 0) -> Rows:  # fmt: skip
    """Lay out app activity; `listed` is the share of apps on a list of fraud, by mistake or not."""
    bad = (hashed(74, other) % np.uint64(10_000)).astype(np.int64) < listed * 10_000
    return Rows.of(
        "app",
        acts.when + np.asarray(seconds) * SECOND,
        subscriber=acts.who,
        counterpart=other,
        action=ACTIONS.index(action),
        device=device_of(acts.who, acts.rng),
        duration=seconds,
        listed=bad,
        source=NETWORK,
    )
