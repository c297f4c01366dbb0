"""What desks avoided in several simulated cities, and how far that could have come out elsewhere.

Every order works the same days with the same citizens and the same luck, so two orders are compared
day by day: whatever is left out to see how much hangs on it is left out of all orders at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from experiments.shift_desk import Ledger
from training.intervals import Interval

__all__ = ["Tally", "Worked"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEVEL = 0.95
FEWEST_CITIES = 3  # two say next to nothing of a third: Student's t is 12.7 there


@dataclass(frozen=True)
class Worked:
    """What desks did in one city, by order: a ledger for each course, the same courses for all.

    Parameters
    ----------
    ledgers : mapping of order to ledgers
    idle : str
        The order in which officers do nothing: what it avoids is nobody's merit.

    Examples
    --------
    >>> days = [Ledger(np.array(one), 1, 1, 0, 1, 0, 1, 1, 4.0) for one in ([5.0, 9.0], [2.0, 2.0])]
    >>> done = Worked({"ours": [days[0]], "texts": [days[1]]}, "texts")
    >>> done.avoided("ours").tolist()
    [[3.0, 7.0]]
    """

    ledgers: Mapping[str, Sequence[Ledger]]
    idle: str

    def avoided(self, name: str) -> Floats:
        """Yuan that officers avoided, beyond what was avoided without them: (courses, days)."""
        whole, alone = (
            np.array([one.avoided_cny for one in self.ledgers[order]])
            for order in (name, self.idle)
        )
        return np.asarray(whole - alone)


@dataclass(frozen=True)
class _Clusters:
    """Where each cell (a day of a course in a city) belongs, and a scale for what is compared."""

    city: Ints
    course: Ints
    day: Ints

    @classmethod
    def of(cls, shapes: Sequence[tuple[int, ...]]) -> "_Clusters":
        found: list[Ints] = []
        courses = days = 0
        for city, (rows, columns) in enumerate(shapes):
            course, day = np.indices((rows, columns)).reshape(2, -1)
            found.append(np.array([np.full(rows * columns, city), course + courses, day + days]))
            courses, days = courses + rows, days + columns
        return cls(*np.hstack(found))


@dataclass(frozen=True)
class Tally:
    """Cities together.

    Days are nested in their city, and so are courses (luck, traits and assumed rates): no two
    cities share any. Within a city they cross. An interval leaves out one day of one city at a
    time, then one course, and counts what the single cells say once, not twice: it speaks of these
    cities and models with other days and other luck, as if days were independent, though neighbours
    share some cases. One that ends on `elsewhere` leaves out whole cities and assumes nothing about
    what is inside them: it speaks of another city with a model of its own.

    Parameters
    ----------
    cities : sequence of Worked
    hours : float
        Officer-hours a day in each.

    References
    ----------
    MacKinnon, Nielsen, Webb, "Jackknife inference with two-way clustering" (2024): the variance,
    never below that of either cluster alone, and t with the fewer clusters less one. A bootstrap
    that draws both ways (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007)
    counts the luck of single cells three times, which here is most of what varies.

    Examples
    --------
    >>> def city(*days):
    ...     money = [np.array(days), np.array(days) / 2, np.zeros(len(days))]
    ...     told = [[Ledger(one, 1, 1, 0, 1, 0, 1, 1, 4.0)] * 2 for one in money]
    ...     return Worked(dict(zip("abc", told)), "c")
    >>> tally = Tally([city(4.0, 2.0), city(6.0, 0.0)], hours=3.0)
    >>> print(tally.gain("a", "b"), tally.an_hour("a").value)
    100.000 [100.000, 100.000] 1.0
    """

    cities: Sequence[Worked]
    hours: float

    def an_hour(self, name: str) -> Interval:
        """Yuan avoided an officer-hour."""
        found = self._cells(name)
        return self._crossed(found, np.full(len(found), self.hours), _AS_IT_IS)

    def share(self, name: str, of: str) -> Interval:
        """What one order avoids over what another does."""
        return self._crossed(self._cells(name), self._cells(of), _AS_RATIO)

    def gain(self, name: str, over: str) -> Interval:
        """Percent that one order avoids more than another."""
        return _percent(self.share(name, over))

    def share_elsewhere(self, name: str, of: str) -> Interval:
        """The share, as far as these cities tell of another one."""
        above, below = self._cells(name), self._cells(of)
        city, count = self._clusters.city, len(self.cities)
        width = np.sqrt(_variance(above, below, city, _AS_RATIO)) * _t(count)
        return _interval(above, below, width if count >= FEWEST_CITIES else np.nan, _AS_RATIO)

    def gain_elsewhere(self, name: str, over: str) -> Interval:
        """The gain, as far as these cities tell of another one."""
        return _percent(self.share_elsewhere(name, over))

    def total(self, name: str, what: str) -> float:
        """Sum of one of the ledgers' counts over cities and courses."""
        return float(sum(getattr(one, what) for city in self.cities for one in city.ledgers[name]))

    def part(self, name: str, what: str, of: str) -> float:
        """One count over another; 0 where there is none."""
        return self.total(name, what) / max(1.0, self.total(name, of))

    @property
    def worked_days(self) -> int:
        """Days worked, of all cities and courses."""
        return len(self._clusters.day)

    @cached_property
    def _clusters(self) -> _Clusters:
        return _Clusters.of([city.avoided(city.idle).shape for city in self.cities])

    def _cells(self, name: str) -> Floats:
        return np.concatenate([city.avoided(name).ravel() for city in self.cities])

    def _crossed(self, above: Floats, below: Floats, scale: "_Scale") -> Interval:
        cells = self._clusters
        course, day, cell = (
            _variance(above, below, cluster, scale)
            for cluster in (cells.course, cells.day, np.arange(len(above)))
        )
        fewer = min(cells.course.max(), cells.day.max()) + 1
        spread = np.sqrt(max(course + day - cell, course, day))
        return _interval(above, below, spread * _t(int(fewer)), scale)


@dataclass(frozen=True)
class _Scale:
    """On which a figure varies alike both ways, and the way back."""

    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


def _log(ratio: Floats) -> Floats:
    return np.log(np.where(ratio > 0, ratio, np.nan))


_AS_IT_IS = _Scale(np.asarray, np.asarray)
_AS_RATIO = _Scale(_log, np.exp)


def _over(above: Floats, below: Floats) -> Floats:
    """A ratio; not a number where there is nothing to compare with."""
    return np.asarray(above / np.where(below > 0, below, np.nan))


def _variance(above: Floats, below: Floats, cluster: Ints, scale: _Scale) -> float:
    """Jackknife variance of a ratio of sums when one cluster is left out at a time."""
    middle = scale.there(_over(above.sum(), below.sum()))
    over, under = (one.sum() - np.bincount(cluster, one) for one in (above, below))
    moved = scale.there(_over(over, under)) - middle
    return float((len(moved) - 1) / len(moved) * (moved**2).sum())


def _t(clusters: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, clusters - 1)) if clusters > 1 else float("nan")


def _interval(above: Floats, below: Floats, width: float, scale: _Scale) -> Interval:
    value = _over(above.sum(), below.sum())
    low, high = (float(scale.back(scale.there(value) + by)) for by in (-width, width))
    return Interval(float(value), low, high)


def _percent(ratio: Interval) -> Interval:
    value, low, high = (100.0 * (one - 1.0) for one in (ratio.value, ratio.low, ratio.high))
    return Interval(value, low, high)
