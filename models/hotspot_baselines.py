"""Simple ways to rank places, asked like models: what any trained hotspot model must beat.

Each takes what was known at a moment (`features.incident_points.Past`) and answers with one number
a cell that grows with the intensity expected of the coming period. Scores of one baseline compare
cells with one another; only `models.self_exciting` counts incidents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from features.incident_points import Past

__all__ = [
    "HOTSPOT_BASELINES",
    "ExponentialCount",
    "HotspotBaseline",
    "KernelDensity",
    "LastPeriodCount",
    "LongHistoryCount",
    "ProspectiveHotspot",
    "SmoothedCount",
    "pairs_within",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK_DAYS = 7.0
REACH = 4.0  # bandwidths: beyond them lies 0.03 % of a normal kernel's mass in the plane
GRAINS = 5.0  # squares a bandwidth: points in one are merged at their mean


class HotspotBaseline(Protocol):
    """A rule that ranks cells from past incidents alone."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def score(self, past: Past) -> Floats:
        """Relative intensity expected of each cell, shape (n,)."""
        ...


@dataclass(frozen=True)
class LongHistoryCount:
    """Incidents of each cell in all that is known: simple, and hard to beat.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.55, 106.56], [29.56] * 3, [400.0, 90.0, 3.0])
    >>> LongHistoryCount().score(past)
    array([2., 1.])
    """

    name: str = "count"

    def score(self, past: Past) -> Floats:
        """Count of each cell, shape (n,)."""
        return past.counts()


@dataclass(frozen=True)
class LastPeriodCount:
    """Incidents of each cell in the period just over.

    Parameters
    ----------
    days : float
        Length of the period.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.55, 106.56], [29.56] * 3, [400.0, 90.0, 3.0])
    >>> LastPeriodCount().score(past)
    array([0., 1.])
    """

    days: float = WEEK_DAYS
    name: str = "last period"

    def score(self, past: Past) -> Floats:
        """Count of each cell, shape (n,)."""
        return past.since(self.days).counts()


@dataclass(frozen=True)
class ExponentialCount:
    """Incidents of each cell, each counting less the older it is.

    Parameters
    ----------
    mean_weeks : float
        Age at which an incident counts 1/e.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.56], [29.56] * 2, [140.0, 1e-9])
    >>> ExponentialCount(mean_weeks=20).score(past).round(3)
    array([0.368, 1.   ])
    """

    mean_weeks: float = 20.0
    name: str = "exponential"

    def score(self, past: Past) -> Floats:
        """Weighted count of each cell, shape (n,)."""
        return past.counts(np.exp(-past.age_days / (WEEK_DAYS * self.mean_weeks)))


@dataclass(frozen=True)
class SmoothedCount:
    """The count, spread over the cells around by a normal kernel.

    What would fall outside the city's cells is lost.

    Parameters
    ----------
    bandwidth_m : float
        Standard deviation of the kernel, metres.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.55, 106.56], [29.56] * 3, [400.0, 90.0, 3.0])
    >>> SmoothedCount(bandwidth_m=1_000).score(past).round(2)
    array([0.03, 0.02])
    """

    bandwidth_m: float = 250.0
    name: str = "smoothed count"

    def score(self, past: Past) -> Floats:
        """Smoothed count of each cell, shape (n,)."""
        used = np.flatnonzero(past.counts())
        weight = past.counts()[used]
        return _normal_sum(past.centres_m, past.centres_m[used], weight, self.bandwidth_m) * (
            past.size_m**2
        )


@dataclass(frozen=True)
class KernelDensity:
    """Kernel density of the points themselves, at the cells' centres.

    Agrees with scikit-learn's ``KernelDensity`` to within a thousandth of the highest density, in a
    fraction of its time: points closer together than a fifth of the bandwidth are merged at their
    mean, and the kernel ends at four bandwidths.

    Parameters
    ----------
    bandwidth_m : float
        Standard deviation of the normal kernel, metres.

    References
    ----------
    Chainey, Tompson, Uhlig, "The utility of hotspot mapping for predicting spatial patterns of
    crime", Security Journal 21 (2008).

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.55, 106.56], [29.56] * 3, [400.0, 90.0, 3.0])
    >>> density = KernelDensity(bandwidth_m=250).score(past)
    >>> bool(density[0] > density[1] > 0)
    True
    """

    bandwidth_m: float = 250.0
    name: str = "KDE"

    def score(self, past: Past) -> Floats:
        """Incidents a square metre at each cell's centre, shape (n,)."""
        points, weight = _merged(past.points_m, self.bandwidth_m / GRAINS)
        return _normal_sum(past.centres_m, points, weight, self.bandwidth_m)


@dataclass(frozen=True)
class ProspectiveHotspot:
    """Recent incidents near a cell, weighted by the inverses of distance and of age.

    An incident within `reach_m` of the cell's centre and `weeks` of the forecast adds
    1 / (1 + d) x 1 / (1 + w): d complete steps of distance, w complete weeks.

    Parameters
    ----------
    reach_m : float
        400 m in the source.
    weeks : float
        Two months in the source.
    step_m : float, optional
        Half the side of a cell by default. The source's cells had sides of 50 m.

    References
    ----------
    Bowers, Johnson, Pease, "Prospective hot-spotting: the future of crime mapping?", British
    Journal of Criminology 44 (2004).

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.56], [29.56] * 2, [8.0, 90.0])
    >>> ProspectiveHotspot().score(past)
    array([0.5, 0. ])
    """

    reach_m: float = 400.0
    weeks: float = 8.0
    step_m: float | None = None
    name: str = "prospective"

    def score(self, past: Past) -> Floats:
        """Sum of the weights at each cell, shape (n,)."""
        recent = past.since(self.weeks * WEEK_DAYS)
        cell, incident, distance = pairs_within(past.centres_m, recent.points_m, self.reach_m)
        steps = np.floor(distance / (self.step_m or past.size_m / 2))
        weeks = np.floor(recent.age_days / WEEK_DAYS)[incident]
        return _summed(cell, 1 / ((1 + steps) * (1 + weeks)), past.n_cells)


HOTSPOT_BASELINES: Final[Sequence[HotspotBaseline]] = (
    LongHistoryCount(),
    SmoothedCount(),
    ExponentialCount(),
    KernelDensity(),
    ProspectiveHotspot(),
    LastPeriodCount(),
)
"""The simple ones with their usual settings; see also `SelfExciting` and `NearRepeat`."""


def pairs_within(left: Floats, right: Floats, reach_m: float) -> tuple[Ints, Ints, Floats]:
    """Pairs of points no further apart than `reach_m`: places in each array, and metres.

    Parameters
    ----------
    left, right : float64 array of shape (n, 2) and (m, 2)

    Examples
    --------
    >>> pairs_within(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [60.0, 80.0]]), 10.0)
    (array([0]), array([0]), array([5.]))
    """
    if not len(left) or not len(right):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    found = KDTree(left).sparse_distance_matrix(KDTree(right), reach_m, output_type="ndarray")
    return found["i"].astype(np.int64), found["j"].astype(np.int64), found["v"]


def _normal_sum(at: Floats, points: Floats, weight: Floats, bandwidth_m: float) -> Floats:
    """Weighted normal densities of `points` summed at each place `at`, a square metre."""
    place, point, distance = pairs_within(at, points, REACH * bandwidth_m)
    kernel = np.exp(-0.5 * (distance / bandwidth_m) ** 2) / (2 * np.pi * bandwidth_m**2)
    return _summed(place, kernel * weight[point], len(at))


def _summed(member: Ints, weight: Floats, size: int) -> Floats:
    return np.bincount(member, weight, minlength=size).astype(np.float64)


def _merged(points: Floats, grain_m: float) -> tuple[Floats, Floats]:
    """Points of one square put together at their mean, and how many they were."""
    squares = np.floor(points / grain_m).astype(np.int64)
    _, member, size = np.unique(squares, axis=0, return_inverse=True, return_counts=True)
    count = size.astype(np.float64)
    sums = [np.bincount(member.ravel(), points[:, axis], len(count)) for axis in (0, 1)]
    return np.column_stack(sums) / count[:, None], count
