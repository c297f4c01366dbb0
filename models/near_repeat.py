"""Near repeats: how much likelier an incident is shortly after, and near, another one.

Knox's table counts pairs of incidents by distance and by time apart, beside the pairs expected if
places and times were independent. A cell's long history is then raised by its recent neighbours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from features.incident_points import Past
from models.hotspot_baselines import pairs_within

__all__ = ["Knox", "NearRepeat", "knox_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REACHES_M = (200.0, 400.0)
SPANS_DAYS = (7.0, 14.0, 28.0)
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Knox:
    """Pairs of incidents by distance and time apart.

    Parameters
    ----------
    reaches_m : tuple of float
        Outer edges of the bands of distance, ascending.
    spans_days : tuple of float
        Outer edges of the bands of time, ascending.
    observed : int64 array of shape (distances, times)
        Pairs that were found.
    expected : float64 array of shape (distances, times)
        Mean number of pairs when times are dealt anew to places.
    p : float64 array of shape (distances, times)
        Share of permutations with at least as many pairs; 1 where none was made.
    """

    reaches_m: tuple[float, ...]
    spans_days: tuple[float, ...]
    observed: Ints
    expected: Floats
    p: Floats

    @property
    def ratio(self) -> Floats:
        """Observed over expected; 1 where nothing was expected."""
        some = self.expected > 0
        return np.where(some, self.observed / np.where(some, self.expected, 1.0), 1.0)

    @property
    def weights(self) -> Floats:
        """By how much a neighbour of each band raises the risk: 0 unless significantly above 1."""
        return np.where(self.p <= SIGNIFICANT, np.maximum(self.ratio - 1, 0.0), 0.0)


def knox_table(
    points_m: Floats,
    age_days: Floats,
    *,
    reaches_m: tuple[float, ...] = REACHES_M,
    spans_days: tuple[float, ...] = SPANS_DAYS,
    permutations: int = 99,
    seed: int = 0,
) -> Knox:
    """Count pairs by bands of distance and time, against times dealt anew to places.

    The expected number is exact: pairs of the band of distance x pairs of the band of time / all
    pairs. Permutations serve the significance only.

    Parameters
    ----------
    points_m : float64 array of shape (m, 2)
    age_days : float64 array of shape (m,)
    permutations : int
        19 at least, for a p of 0.05.
    seed : int
        The same seed gives the same table.

    References
    ----------
    Knox, "The detection of space-time interactions", Applied Statistics 13 (1964). Townsley, Homel,
    Chaseling, "Infectious burglaries", British Journal of Criminology 43 (2003).

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [0.0, 50.0], [9e3, 0.0], [9e3, 50.0]])
    >>> table = knox_table(points, np.array([1.0, 2.0, 200.0, 201.0]))
    >>> table.observed[0, 0], table.expected[0, 0].round(2)
    (np.int64(2), np.float64(0.67))
    """
    near, apart = _near_pairs(points_m, reaches_m[-1])
    far_band = np.searchsorted(reaches_m, apart, side="left")
    shape = (len(reaches_m), len(spans_days))
    observed = _counted(near, far_band, age_days, spans_days, shape)
    expected = _expected(np.bincount(far_band, minlength=shape[0]), age_days, spans_days)
    rng = np.random.default_rng(seed)
    reached = np.ones(shape)
    for _ in range(permutations):
        dealt = rng.permutation(age_days)
        reached += _counted(near, far_band, dealt, spans_days, shape) >= observed
    p = reached / (permutations + 1)
    return Knox(reaches_m, spans_days, observed, expected, p)


@dataclass(frozen=True)
class NearRepeat:
    """The count of a cell, raised by recent incidents near it as Knox's table says.

    score = count x (1 + sum over recent neighbours of (observed / expected - 1) of their band),
    bands that are not significantly above 1 left out.

    Parameters
    ----------
    reaches_m, spans_days : tuple of float
        Bands of Knox's table; a neighbour's distance is from the cell's centre.
    window_days : float
        The table is made of the incidents of this time.
    most : int
        The table is made of at most so many incidents, drawn at random: thinning leaves the ratios
        as they are.
    seed : int
        Of the draw and of the permutations.

    References
    ----------
    Townsley, Homel, Chaseling, "Infectious burglaries", British Journal of Criminology 43 (2003).
    Ratcliffe, Rengert, "Near-repeat patterns in Philadelphia shootings", Security Journal 21
    (2008).

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55] * 2 + [106.56] * 2, [29.56] * 4, [300.0, 1.0, 90.0, 200.0])
    >>> NearRepeat().score(past)  # four incidents prove nothing
    array([2., 2.])
    """

    reaches_m: tuple[float, ...] = REACHES_M
    spans_days: tuple[float, ...] = SPANS_DAYS
    window_days: float = 365.0
    most: int = 10_000
    permutations: int = 99
    seed: int = 0
    name: str = "near repeat"

    def score(self, past: Past) -> Floats:
        """Relative intensity of each cell, shape (n,)."""
        return self.raised(past, self.fit(past))

    def fit(self, past: Past) -> Knox:
        """Knox's table of the window."""
        used = past.since(self.window_days)
        if len(used) > self.most:
            rng = np.random.default_rng(self.seed)
            used = used.kept(rng.choice(len(used), self.most, replace=False))
        return knox_table(
            used.points_m,
            used.age_days,
            reaches_m=self.reaches_m,
            spans_days=self.spans_days,
            permutations=self.permutations,
            seed=self.seed,
        )

    def raised(self, past: Past, table: Knox) -> Floats:
        """Raise the count of each cell by its recent neighbours, shape (n,)."""
        recent = past.since(self.spans_days[-1])
        cell, incident, apart = pairs_within(past.centres_m, recent.points_m, self.reaches_m[-1])
        distance = np.searchsorted(self.reaches_m, apart, side="left")
        time = np.searchsorted(self.spans_days, recent.age_days[incident], side="left")
        raise_ = np.bincount(cell, table.weights[distance, time], minlength=past.n_cells)
        return past.counts() * (1 + raise_)


def _near_pairs(points: Floats, reach_m: float) -> tuple[Ints, Floats]:
    """Each pair once, shape (pairs, 2), and metres apart."""
    if len(points) < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    pairs = KDTree(points).query_pairs(reach_m, output_type="ndarray").astype(np.int64)
    return pairs, np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)


def _counted(
    pairs: Ints, band: Ints, age: Floats, spans: tuple[float, ...], shape: tuple[int, int]
) -> Ints:
    gap = np.abs(age[pairs[:, 0]] - age[pairs[:, 1]])
    time = np.searchsorted(spans, gap, side="left")
    inside = time < shape[1]
    code = band[inside] * shape[1] + time[inside]
    return np.bincount(code, minlength=shape[0] * shape[1]).reshape(shape)


def _expected(by_distance: Ints, age: Floats, spans: tuple[float, ...]) -> Floats:
    """Mean of `_counted` over all permutations of the ages, shape (distances, times)."""
    sorted_age = np.sort(age)
    m = len(age)
    within = [
        float(np.sum(np.searchsorted(sorted_age, sorted_age + span, side="right") - 1))
        - m * (m - 1) / 2
        for span in spans
    ]
    by_time = np.diff([0.0, *within])
    return np.outer(by_distance, by_time) / max(m * (m - 1) / 2, 1.0)
