"""How simulated citizens take a warning: whether they pick up, believe it, stop paying, relapse.

Every chance is a probit of what is known (way, stage, hour, earlier warnings) and of two traits of
the citizen that nobody sees: how hard he is to reach, and how much he trusts the fraudster. Traits
are standard normal, so a stated rate is exact for first attempts at the middle stage and hour.

Luck is drawn from the citizen and the number of the attempt. The same seed therefore gives another
order of work the same luck with the same citizen, and two orders can be compared pair by pair.

References
----------
DOMAIN.md section 1 for what is sourced, all of it from the press; the rest is marked assumed.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from statistics import NormalDist
from types import MappingProxyType

import numpy as np

from data.simulator.city import DAY, HOUR, OFFSET, SECOND
from data.simulator.dissuasion_money import Swindles
from data.simulator.identifiers import deviate, unit

__all__ = ["WAYS", "Answer", "Dissuasion", "Manners", "Taken"]

Way = tuple[str, str]
MINUTE = 60 * SECOND
NORMAL = NormalDist()

SOURCED = frozenset({"call_96110"})
"""Channels whose rates somebody published; all others are assumed."""

REACH: Mapping[str, float] = MappingProxyType(
    {
        "sms_12381": 0.80,  # assumed: read in time
        "ai_call": 0.50,  # assumed: refused more often than a person's call
        "call_96110": 0.60,  # Shenzhen, press: about 40 % refused
        "visit": 0.70,  # assumed: at home, and opens
    }
)
BELIEF: Mapping[Way, float] = MappingProxyType(
    {
        ("sms_12381", "plain"): 0.08,  # assumed
        ("ai_call", "plain"): 0.15,  # assumed
        ("call_96110", "plain"): 1 / 3,  # Shenzhen, press: 5 calls a success, 0.6 of them heard
        ("call_96110", "scheme"): 0.43,  # assumed
        ("visit", "plain"): 0.58,  # assumed
        ("visit", "scheme"): 0.66,  # assumed
    }
)
WAYS: tuple[Way, ...] = tuple(BELIEF)
"""Channel and script of every way there is."""
PLAIN_CALL = ("call_96110", "plain")


@dataclass(frozen=True)
class Manners:
    """How citizens take warnings. Effects are in standard deviations of the traits.

    Parameters
    ----------
    reach : mapping of channel to float
        Share of first attempts that are heard.
    belief : mapping of (channel, script) to float
        Share of victims who believe what they hear first, at the stage ``engaged``.
    scatter : float
        Standard deviation of the traits against the luck of the moment (assumed).
    stage : mapping of stage to float
        How much more he trusts the fraudster (assumed: the further, the deeper).
    phone_hours, door_hours : sequence of (hour, effect)
        On being reached, from that hour on (assumed: at work and asleep less, evenings more).
    annoyance : float
        Lost of reach with each contact of the last 24 hours (assumed).
    repetition, echo : float
        On belief for each warning heard before: the same way again, another way (assumed).
    relapse, relapse_h : float
        Share of believers whom the fraudster talks round again (assumed), and after how many hours
        in the median.
    cleared : float
        Chance that an honest citizen who is heard can show that nothing is wrong (assumed).
    minutes : mapping of channel to (unheard, heard)
        An officer's, the way there left out. Calls: Changsha's eight people and 400 citizens a day
        with three to four calls each leave 2.7 minutes a call.
    scheme_minutes : float
        More, to tell the fraud's next step (assumed).
    travel_min : float
        Median minutes to a citizen's door (assumed), log standard deviation 0.5.
    """

    reach: Mapping[str, float] = field(default_factory=lambda: REACH)
    belief: Mapping[Way, float] = field(default_factory=lambda: BELIEF)
    scatter: float = 0.8
    stage: Mapping[str, float] = field(
        default_factory=lambda: {"contact": -0.5, "engaged": 0.0, "paying": 0.4}
    )
    phone_hours: tuple[tuple[int, float], ...] = (
        (0, -1.5), (7, -0.3), (9, 0.0), (12, 0.15), (14, -0.05), (18, 0.25), (22, -0.6),
    )  # fmt: skip
    door_hours: tuple[tuple[int, float], ...] = ((0, -2.0), (7, 0.0), (9, -0.3), (18, 0.4),
                                                 (22, -0.8))  # fmt: skip
    annoyance: float = 0.15
    repetition: float = -0.3
    echo: float = 0.15
    relapse: float = 0.1
    relapse_h: float = 24.0
    cleared: float = 0.85
    minutes: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {
            "sms_12381": (0.0, 0.0),
            "ai_call": (0.0, 0.0),
            "call_96110": (1.0, 4.0),
            "visit": (3.0, 20.0),
        }
    )
    scheme_minutes: float = 1.0
    travel_min: float = 12.0

    def drawn(self, seed: int, spread: float = 0.25) -> "Manners":
        """Other manners that are as plausible: each assumed rate moved, no sourced one.

        Parameters
        ----------
        spread : float
            Standard deviation of the move of each rate, in probits.

        Examples
        --------
        >>> other = Manners().drawn(3)
        >>> other.reach["call_96110"], other.reach["visit"] == Manners().reach["visit"]
        (0.6, False)
        """
        rng = np.random.default_rng([seed, 71])
        reach = {
            name: rate if name in SOURCED else _moved(rate, spread * rng.standard_normal())
            for name, rate in self.reach.items()
        }
        belief = {
            way: rate if way == PLAIN_CALL else _moved(rate, move)
            for (way, rate), move in zip(
                self.belief.items(), spread * rng.standard_normal(len(self.belief)), strict=True
            )
        }
        cleared = _moved(self.cleared, spread * rng.standard_normal())
        return replace(self, reach=reach, belief=belief, cleared=cleared)


class Taken(StrEnum):
    """How an attempt went."""

    UNHEARD = "unheard"
    DOUBTED = "doubted"
    BELIEVED = "believed"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Answer:
    """What an attempt came to.

    Parameters
    ----------
    taken : Taken
        Cleared: an honest citizen showed that nothing is wrong.
    at : int
        When the citizen was spoken to, or should have been (UTC microseconds).
    minutes : float
        It took an officer, the ways there and back included.
    """

    taken: Taken
    at: int
    minutes: float

    @property
    def reached(self) -> bool:
        """Whether somebody listened."""
        return self.taken is not Taken.UNHEARD


@dataclass(frozen=True)
class _Contact:
    way: Way
    at: int
    heard: bool


@dataclass
class Dissuasion:
    """One course of events: who was warned, and which payments were made all the same.

    Parameters
    ----------
    swindles : Swindles
        What would happen without a warning.
    manners : Manners
    seed : int
        Of traits and luck.

    Examples
    --------
    >>> from data.simulator import City, simulate
    >>> from data.simulator.dissuasion_money import swindles
    >>> town = simulate(City(subscribers=2_000, days=5, staged=0))
    >>> course = Dissuasion(swindles(town), seed=1)
    >>> answer = course.warn(7, ("call_96110", "plain"), town.city.end_us)
    >>> answer.minutes, answer.reached
    (1.0, False)
    """

    swindles: Swindles
    manners: Manners = field(default_factory=Manners)
    seed: int = 0
    _contacts: dict[int, list[_Contact]] = field(default_factory=dict)
    _calm: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def warn(self, subscriber: int, way: Way, at: int) -> Answer:
        """Warn a citizen; who believes stops paying from then on, some for a while only."""
        arrives = at + self._underway(subscriber, way)
        contacts = self._contacts.setdefault(subscriber, [])
        turn = len(contacts)
        heard = unit(self.seed, 72, subscriber, turn) < self.reached(subscriber, way, at)
        taken = self._taken(subscriber, way, at, turn) if heard else Taken.UNHEARD
        contacts.append(_Contact(way, arrives, bool(heard)))
        if taken is Taken.BELIEVED:
            self._calm.setdefault(subscriber, []).append(
                (arrives, self._until(subscriber, arrives))
            )
        return Answer(taken, arrives, self._minutes(subscriber, way, heard=bool(heard)))

    def reached(self, subscriber: int, way: Way, at: int) -> float:
        """True chance that a citizen hears a warning that somebody sets out to give now."""
        manners, channel = self.manners, way[0]
        arrives = at + self._underway(subscriber, way)
        hours = manners.door_hours if channel == "visit" else manners.phone_hours
        lately = sum(one.at > arrives - DAY for one in self._contacts.get(subscriber, ()))
        effect = -manners.annoyance * lately
        if channel != "sms_12381":
            effect += _from(hours, (arrives + OFFSET) % DAY // HOUR)
        return self._chance(manners.reach[channel], effect, _trait(self.seed, 73, subscriber))

    def believed(self, subscriber: int, way: Way, at: int) -> float:
        """True chance that a victim believes the warning he hears now; 0 for anybody else."""
        stage = self.swindles.stage(subscriber, at + self._underway(subscriber, way))
        if stage is None:
            return 0.0
        manners = self.manners
        before = [one.way for one in self._contacts.get(subscriber, ()) if one.heard]
        same = before.count(way)
        effect = manners.repetition * same + manners.echo * (len(before) - same)
        trust = _trait(self.seed, 74, subscriber) + manners.stage[stage]
        return self._chance(manners.belief[way], effect, trust)

    def at_stake(self, subscriber: int, way: Way, at: int) -> float:
        """Yuan that leave after the citizen is spoken to, if nobody holds them up."""
        arrives = at + self._underway(subscriber, way)
        return sum(cny for moment, cny in self._leaving(subscriber) if moment > arrives)

    def avoided(self, subscriber: int) -> float:
        """Yuan that did not leave because of warnings."""
        whole = sum(cny for _, cny in self.swindles.payments(subscriber))
        return whole - sum(cny for _, cny in self._leaving(subscriber))

    def calm(self, subscriber: int, at: int) -> bool:
        """Whether the citizen believes a warning at this moment."""
        return any(since <= at < until for since, until in self._calm.get(subscriber, ()))

    def expected_minutes(self, subscriber: int, way: Way, at: int) -> float:
        """An officer's minutes for an attempt, heard or not."""
        chance = self.reached(subscriber, way, at)
        heard, unheard = (self._minutes(subscriber, way, heard=one) for one in (True, False))
        return chance * heard + (1.0 - chance) * unheard

    def _leaving(self, subscriber: int) -> list[tuple[int, float]]:
        paid = self.swindles.payments(subscriber)
        return [one for one in paid if not self.calm(subscriber, one[0])]

    def _taken(self, subscriber: int, way: Way, at: int, turn: int) -> Taken:
        luck = float(unit(self.seed, 75, subscriber, turn))
        if self.swindles.stage(subscriber, at + self._underway(subscriber, way)) is None:
            return Taken.CLEARED if luck < self.manners.cleared else Taken.DOUBTED
        return Taken.BELIEVED if luck < self.believed(subscriber, way, at) else Taken.DOUBTED

    def _until(self, subscriber: int, since: int) -> int:
        times = len(self._calm.get(subscriber, ()))
        if unit(self.seed, 76, subscriber, times) >= self.manners.relapse:
            return since + 365 * DAY
        hours = self.manners.relapse_h * math.exp(_trait(self.seed, 77, subscriber))
        return since + int(hours * HOUR)

    def _underway(self, subscriber: int, way: Way) -> int:
        return int(self._travel(subscriber) * MINUTE) if way[0] == "visit" else 0

    def _travel(self, subscriber: int) -> float:
        return self.manners.travel_min * math.exp(0.5 * _trait(0, 78, subscriber))

    def _minutes(self, subscriber: int, way: Way, *, heard: bool) -> float:
        channel, script = way
        talk = self.manners.minutes[channel][heard]
        talk += self.manners.scheme_minutes if heard and script == "scheme" else 0.0
        return talk + (2 * self._travel(subscriber) if channel == "visit" else 0.0)

    def _chance(self, rate: float, effect: float, trait: float) -> float:
        scatter = self.manners.scatter
        middle = NORMAL.inv_cdf(rate) * math.sqrt(1.0 + scatter**2)
        return NORMAL.cdf(middle + effect - scatter * trait)


@cache
def _trait(*keys: int) -> float:
    return float(deviate(*keys))


def _moved(rate: float, by: float) -> float:
    return NORMAL.cdf(NORMAL.inv_cdf(rate) + by)


def _from(hours: tuple[tuple[int, float], ...], hour: int) -> float:
    return hours[bisect_right([since for since, _ in hours], hour) - 1][1]
