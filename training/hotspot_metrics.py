"""Figures by which a map of hotspots is judged (DOMAIN.md section 4), on numpy arrays.

One period and one category: a score and a realised count for every cell. The cells are ranked by
`ranked`, alike for every model, and the first so many are flagged. `Tally` keeps the hits of many
weeks, grid offsets and categories; pooled figures are sums over sums, never means of ratios, and
their intervals draw whole weeks: all offsets and categories of a week go together, for they are
the same incidents seen several times.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from training.intervals import Interval, bootstrap

__all__ = [
    "COVERAGES",
    "Attainable",
    "Calibrated",
    "Comparison",
    "Judged",
    "Tally",
    "attainable",
    "best_hits",
    "brier_any",
    "calibrated",
    "cells_flagged",
    "comparisons",
    "gain_percent",
    "hit_curve",
    "hits",
    "judged",
    "poisson_deviance",
    "ranked",
    "recapture_rate",
    "share_of_room",
    "significantly_behind",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Measure = Literal["hit_rate", "pai", "pei", "pei_star"]

COVERAGES: Final = (0.01, 0.02, 0.05, 0.10)
"""Shares of the area that are flagged, as in DATA.md section 3."""


# ---------------------------------------------------------------- ranking


def ranked(score: ArrayLike, tie: ArrayLike | None = None) -> Ints:
    """Positions of the cells, most dangerous first.

    Parameters
    ----------
    score : array of shape (n,)
        Higher is more dangerous.
    tie : array of shape (n,), optional
        Decides between equal scores, for example the count of all categories. What is still equal
        keeps the order of the cells.

    Raises
    ------
    ValueError
        If a score is not a number, or the second key has another length.

    Examples
    --------
    >>> ranked([0.0, 2.0, 0.0, 2.0]), ranked([0.0, 2.0, 0.0, 2.0], tie=[1, 5, 4, 9])
    (array([1, 3, 0, 2]), array([3, 1, 2, 0]))
    """
    height = np.asarray(score, np.float64)
    if np.isnan(height).any():
        raise ValueError(
            f"expected a score for every cell, found {int(np.isnan(height).sum())} that are not "
            "numbers; give cells without history the lowest score"
        )
    if tie is None:
        return np.asarray(np.argsort(-height, kind="stable"), np.int64)
    second = np.asarray(tie, np.float64)
    if second.shape != height.shape:
        raise ValueError(
            f"expected a second key for each of {height.size} cells, found {second.size}"
        )
    return np.asarray(np.lexsort((-second, -height)), np.int64)


def cells_flagged(coverages: Sequence[float], cells: int) -> Ints:
    """How many cells each coverage flags: the nearest whole number, one at least.

    Examples
    --------
    >>> cells_flagged((0.01, 0.02), 8_056), cells_flagged((0.01,), 7)
    (array([ 81, 161]), array([1]))
    """
    wanted = np.rint(np.asarray(coverages, np.float64) * cells)
    return np.asarray(np.maximum(1, wanted), np.int64)


def hit_curve(score: ArrayLike, counts: ArrayLike, tie: ArrayLike | None = None) -> Floats:
    """Incidents in the first 0, 1, 2 ... n cells of the ranking, shape (n + 1,).

    Curves of several periods of one grid may be added; the last entry is the total.

    Examples
    --------
    >>> hit_curve([0.1, 0.9, 0.5], [1, 4, 0])
    array([0., 4., 4., 5.])
    """
    realised = np.asarray(counts, np.float64)[ranked(score, tie)]
    return np.concatenate([[0.0], np.cumsum(realised)])


def hits(
    score: ArrayLike,
    counts: ArrayLike,
    coverages: Sequence[float] = COVERAGES,
    tie: ArrayLike | None = None,
) -> Floats:
    """Incidents in the flagged cells of each coverage, shape (coverages,).

    Examples
    --------
    >>> hits([0.1, 0.9, 0.5, 0.2], [1, 4, 0, 2], coverages=(0.25, 0.75))
    array([4., 6.])
    """
    curve = hit_curve(score, counts, tie)
    return curve[cells_flagged(coverages, curve.size - 1)]


def best_hits(counts: ArrayLike, coverages: Sequence[float] = COVERAGES) -> Floats:
    """Incidents that a ranking by what came to pass would catch, shape (coverages,).

    Examples
    --------
    >>> best_hits([1, 4, 0, 2], coverages=(0.25, 0.75))
    array([4., 7.])
    """
    return hits(counts, counts, coverages)


# ---------------------------------------------------------------- one period


@dataclass(frozen=True, eq=False)
class Judged:
    """One ranking of one period, an entry a coverage.

    Parameters
    ----------
    hits, best : float64 array of shape (coverages,)
        Incidents caught, and the most that the same number of cells could have caught.
    flagged : int64 array of shape (coverages,)
        Cells flagged.
    total : float
        Incidents in all.
    cells, occupied : int
        Cells in all, and those in which something happened.
    """

    hits: Floats
    best: Floats
    flagged: Ints
    total: float
    cells: int
    occupied: int

    @property
    def coverage(self) -> Floats:
        """Share of the area flagged, after rounding to whole cells."""
        return self.flagged / self.cells

    @property
    def hit_rate(self) -> Floats:
        """Share of incidents caught; NaN where nothing happened."""
        return _ratio(self.hits, self.total)

    @property
    def pai(self) -> Floats:
        """Predictive accuracy index: hit rate / coverage; 1 is chance.

        References
        ----------
        Chainey, Tompson, Uhlig, Security Journal 21 (2008).
        """
        return self.hit_rate / self.coverage

    @property
    def pei(self) -> Floats:
        """Predictive efficiency index: PAI / best possible PAI at the same area, 0 to 1.

        References
        ----------
        Hunt, "Do crime hot spots move?", American University, 2016.
        """
        return _ratio(self.hits, self.best)

    @property
    def best_star(self) -> Floats:
        """What `pei_star` divides hits by: see there."""
        return _best_star(self.best, self.flagged, self.occupied)

    @property
    def pei_star(self) -> Floats:
        """PAI / PAI of the best forecast that flags no cell in vain, 0 to 1.

        The best forecast here flags min(k, m) cells: k the cells we flagged, m those in which
        anything happened. PEI* = PEI x min(1, m / k), so it equals PEI unless more cells are
        flagged than could hold an incident; then PEI would call any map that finds all incidents
        perfect, however wide. This is our reading of the idea; the formula in print may differ,
        and the NIJ challenge of 2017 called hits / best hits, our PEI, by the name of PEI*.

        References
        ----------
        White, Hunt, Green, "A discussion of current crime forecasting indices and an improvement
        to the prediction efficiency index for applications", Security Journal, 2023.
        """
        return _ratio(self.hits, self.best_star)


def judged(
    score: ArrayLike,
    counts: ArrayLike,
    coverages: Sequence[float] = COVERAGES,
    tie: ArrayLike | None = None,
) -> Judged:
    """Judge one ranking of one period.

    Parameters
    ----------
    score, counts : array of shape (n,)
        What was forecast and what came to pass.
    coverages : sequence of float
        Shares of the area to flag.
    tie : array of shape (n,), optional
        As for `ranked`.

    Examples
    --------
    >>> found = judged([0.9, 0.1, 0.5, 0.2], [3, 1, 0, 0], coverages=(0.25, 0.75))
    >>> found.hit_rate, found.pai, found.pei, found.pei_star.round(2)
    (array([0.75, 0.75]), array([3., 1.]), array([1.  , 0.75]), array([1. , 0.5]))
    """
    realised = np.asarray(counts, np.float64)
    return Judged(
        hits=hits(score, realised, coverages, tie),
        best=best_hits(realised, coverages),
        flagged=cells_flagged(coverages, realised.size),
        total=float(realised.sum()),
        cells=realised.size,
        occupied=int((realised > 0).sum()),
    )


def recapture_rate(
    hits: ArrayLike, total: ArrayLike, past_hits: ArrayLike, past_total: ArrayLike
) -> Floats:
    """Recapture rate index: incidents now over then in the flagged cells, set against the city's.

    RRI = (n2 / n1) / (N2 / N1). 1: the flagged cells kept their share; below 1: they lost.

    Parameters
    ----------
    hits, total : array or number
        Incidents of the period forecast, in the flagged cells and in the city.
    past_hits, past_total : array or number
        The same of the period in which the cells were found.

    References
    ----------
    Levine, "The 'hottest' part of a hotspot: comments on The utility of hotspot mapping", Security
    Journal 21 (2008).

    Examples
    --------
    >>> recapture_rate([30.0], 100, [50.0], 125)
    array([0.75])
    """
    ratio = _ratio(np.asarray(hits, np.float64), past_hits)
    return _ratio(ratio, _ratio(np.asarray(total, np.float64), past_total))


# ---------------------------------------------------------------- expected counts


def brier_any(expected: ArrayLike, counts: ArrayLike) -> float:
    """Brier score of "at least one incident here", under Poisson counts.

    Parameters
    ----------
    expected : array of shape (n,)
        Expected counts, not ranks.
    counts : array of shape (n,)

    Examples
    --------
    >>> round(brier_any([0.0, 50.0], [0, 3]), 6)
    0.0
    """
    chance = -np.expm1(-np.asarray(expected, np.float64))
    return float(np.mean((chance - (np.asarray(counts) > 0)) ** 2)) if chance.size else math.nan


def poisson_deviance(expected: ArrayLike, counts: ArrayLike) -> float:
    """Mean Poisson deviance of counts against expected counts; infinite where 0 came to pass as 1.

    Examples
    --------
    >>> poisson_deviance([1.0, 2.0], [1, 2]), round(poisson_deviance([1.0], [0]), 3)
    (0.0, 2.0)
    """
    mu, y = np.asarray(expected, np.float64), np.asarray(counts, np.float64)
    if not mu.size:
        return math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(y > 0, y * np.log(y / mu), 0.0)
    return float(2 * np.mean(surprise - (y - mu)))


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Expected against realised incidents, one entry a bin of cells.

    Parameters
    ----------
    expected, realised : float64 array of shape (bins,)
        Mean a cell and period.
    low, high : float64 array of shape (bins,)
        95 % interval of `realised`, exact for Poisson counts.
    cells : int64 array of shape (bins,)
        Cells and periods in the bin.
    """

    expected: Floats
    realised: Floats
    low: Floats
    high: Floats
    cells: Ints


def calibrated(expected: ArrayLike, counts: ArrayLike, *, bins: int = 10) -> Calibrated:
    """Compare expected counts with what came to pass, in bins of equal expected incidents.

    Bins of equal numbers of cells would put nearly every incident into the last one.

    Parameters
    ----------
    expected, counts : array of one shape
        Cells, and any number of periods.

    References
    ----------
    Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936).

    Examples
    --------
    >>> found = calibrated([0.5, 0.5, 1.0], [1, 0, 2], bins=2)
    >>> found.expected, found.realised, found.cells
    (array([0.5, 1. ]), array([0.5, 2. ]), array([2, 1]))
    """
    mu, y = np.asarray(expected, np.float64).ravel(), np.asarray(counts, np.float64).ravel()
    height, member = np.unique(mu, return_inverse=True)
    reached = np.cumsum(height * np.bincount(member, minlength=height.size))
    share = reached / reached[-1] if reached.size and reached[-1] else reached
    bin_of = np.clip(np.ceil(share * bins - 1e-9), 1, bins).astype(np.int64)[member]
    size = np.bincount(bin_of)
    kept = size > 0
    cells = size[kept]
    sum_y = np.bincount(bin_of, y)[kept]
    low = np.where(sum_y > 0, chi2.ppf(0.025, 2 * np.maximum(sum_y, 0.5)) / 2, 0.0)
    high = chi2.ppf(0.975, 2 * (sum_y + 1)) / 2
    return Calibrated(
        np.bincount(bin_of, mu)[kept] / cells, sum_y / cells, low / cells, high / cells, cells
    )


# ---------------------------------------------------------------- many periods


@dataclass(frozen=True, eq=False)
class Tally:
    """Hits of one model over weeks, grid offsets and categories.

    Build it with `Tally.over`, fill it with `record`. A shift is one more category: name it
    ``THEFT 08-16`` and pool the names you want.

    Parameters
    ----------
    categories : tuple of str
    coverages : tuple of float
    hits, best, best_star, flagged : float64 array of shape (weeks, offsets, categories, coverages)
        As in `Judged`.
    total, cells : float64 array of shape (weeks, offsets, categories)
        Incidents, and cells of the grid; no cells where nothing was recorded.

    Examples
    --------
    >>> ours = Tally.over(2, 1, ("THEFT",), (0.25, 0.75))
    >>> rival = Tally.over(2, 1, ("THEFT",), (0.25, 0.75))
    >>> for week, counts in enumerate([[3, 1, 0, 0], [2, 0, 2, 0]]):
    ...     ours.record(week, 0, "THEFT", [9, 1, 5, 2], counts)
    ...     rival.record(week, 0, "THEFT", [1, 9, 5, 2], counts)
    >>> ours.pooled("hit_rate"), ours.pooled("pai"), ours.pooled("pei").round(2)
    (array([0.625, 0.875]), array([2.5       , 1.16666667]), array([1.  , 0.88]))
    >>> gain_percent(ours, rival, coverages=(0.75,)).value.__round__(1)
    133.3
    """

    categories: tuple[str, ...]
    coverages: tuple[float, ...]
    hits: Floats
    best: Floats
    best_star: Floats
    flagged: Floats
    total: Floats
    cells: Floats

    @classmethod
    def over(
        cls,
        weeks: int,
        offsets: int,
        categories: Sequence[str],
        coverages: Sequence[float] = COVERAGES,
    ) -> "Tally":
        """Begin a tally with nothing recorded."""
        shape = (weeks, offsets, len(categories))
        hits, best, best_star, flagged = np.zeros((4, *shape, len(coverages)))
        return cls(
            categories=tuple(categories),
            coverages=tuple(coverages),
            hits=hits,
            best=best,
            best_star=best_star,
            flagged=flagged,
            total=np.zeros(shape),
            cells=np.zeros(shape),
        )

    def record(
        self,
        week: int,
        offset: int,
        category: str,
        score: ArrayLike,
        counts: ArrayLike,
        tie: ArrayLike | None = None,
    ) -> None:
        """Write one ranking down; a second one at the same place replaces it."""
        found = judged(score, counts, self.coverages, tie)
        at = (week, offset, self.place(category))
        self.hits[at], self.best[at] = found.hits, found.best
        self.best_star[at], self.flagged[at] = found.best_star, found.flagged
        self.total[at], self.cells[at] = found.total, found.cells

    def first(self, offsets: int) -> "Tally":
        """The same on the first grids only, to be compared with a tally of so many."""
        arrays = ("hits", "best", "best_star", "flagged", "total", "cells")
        return replace(self, **{name: getattr(self, name)[:, :offsets] for name in arrays})

    def place(self, category: str) -> int:
        """Position of a category.

        Raises
        ------
        ValueError
            If it is not one of the tally's.
        """
        if category not in self.categories:
            raise ValueError(f"expected one of {self.categories}, found {category!r}")
        return self.categories.index(category)

    def columns(self, coverages: Sequence[float]) -> list[int]:
        """Positions of coverages.

        Raises
        ------
        ValueError
            If one is not among the tally's.
        """
        missing = [coverage for coverage in coverages if coverage not in self.coverages]
        if missing:
            raise ValueError(f"expected coverages of {self.coverages}, found {missing}")
        return [self.coverages.index(coverage) for coverage in coverages]

    def weekly(self, values: Floats, categories: Sequence[str] | None = None) -> Floats:
        """Sum one of the arrays over offsets and the given categories: one row a week."""
        chosen = [self.place(name) for name in categories or self.categories]
        return np.asarray(values[:, :, chosen].sum(axis=(1, 2)))

    def pooled(
        self,
        measure: Measure,
        categories: Sequence[str] | None = None,
        weight: Floats | None = None,
    ) -> Floats:
        """A figure of all weeks, offsets and given categories together, shape (coverages,).

        Parameters
        ----------
        measure : str
            ``hit_rate``, ``pai``, ``pei`` or ``pei_star``: sums over sums.
        categories : sequence of str, optional
            All by default.
        weight : float64 array of shape (weeks,), optional
            For the bootstrap.
        """
        over = {"pei": self.best, "pei_star": self.best_star}.get(measure, self.total)
        bottom = self._summed(over, categories, weight)
        found = _ratio(self._summed(self.hits, categories, weight), bottom)
        if measure != "pai":
            return found
        flagged = self._summed(self.flagged, categories, weight)
        return found / _ratio(flagged, self._summed(self.cells, categories, weight))

    def interval(
        self,
        measure: Measure,
        coverage: float,
        categories: Sequence[str] | None = None,
        *,
        rounds: int = 500,
    ) -> Interval:
        """A pooled figure at one coverage and its 95 % interval over weeks.

        Examples
        --------
        >>> tally = Tally.over(3, 1, ("THEFT",), (0.5,))
        >>> for week, counts in enumerate([[1, 0], [1, 1], [0, 1]]):
        ...     tally.record(week, 0, "THEFT", [2, 1], counts)
        >>> print(tally.interval("hit_rate", 0.5))
        0.500 [0.000, 1.000]
        """
        [column] = self.columns([coverage])
        return bootstrap(
            lambda w: float(self.pooled(measure, categories, w)[column]),
            np.arange(len(self.hits)),
            rounds=rounds,
        )

    def _summed(
        self, values: Floats, categories: Sequence[str] | None, weight: Floats | None
    ) -> Floats:
        weeks = self.weekly(values, categories)
        return np.asarray(weeks.sum(axis=0) if weight is None else weight @ weeks)


# ---------------------------------------------------------------- one model against another


@dataclass(frozen=True)
class Comparison:
    """Hit rate of ours less that of a rival, in one category at one coverage.

    Parameters
    ----------
    category : str
    coverage : float
    difference : Interval
        Over weeks, paired: both models are judged by the same draw of weeks.
    """

    category: str
    coverage: float
    difference: Interval

    @property
    def behind(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.difference.high < 0

    @property
    def ahead(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.difference.low > 0


def gain_percent(
    ours: Tally,
    rival: Tally,
    coverages: Sequence[float] = (0.01, 0.02),
    categories: Sequence[str] | None = None,
    *,
    rounds: int = 1_000,
) -> Interval:
    """How many percent more hits than a rival, pooled, with a 95 % interval over weeks.

    Hits of all given categories, coverages, offsets and weeks are summed for each model; the
    bootstrap draws whole weeks, the same for both.

    Raises
    ------
    ValueError
        If the two were not judged by the same incidents.

    Examples
    --------
    >>> ours, rival = (Tally.over(3, 1, ("THEFT",), (0.25,)) for _ in range(2))
    >>> for week, counts in enumerate([[2, 1, 0, 0], [4, 3, 0, 0], [6, 6, 0, 0]]):
    ...     ours.record(week, 0, "THEFT", [2, 1, 0, 0], counts)
    ...     rival.record(week, 0, "THEFT", [1, 2, 0, 0], counts)
    >>> print(gain_percent(ours, rival, coverages=(0.25,)))
    20.000 [0.000, 100.000]
    """
    _same_incidents(ours, rival)
    sums = [
        tally.weekly(tally.hits, categories)[:, tally.columns(coverages)].sum(axis=1)
        for tally in (ours, rival)
    ]
    return bootstrap(
        lambda w: float(100 * (_ratio(w @ sums[0], w @ sums[1]) - 1)),
        np.arange(len(sums[0])),
        rounds=rounds,
    )


def comparisons(
    ours: Tally,
    rival: Tally,
    coverages: Sequence[float] = (0.01, 0.02, 0.05),
    *,
    rounds: int = 1_000,
) -> list[Comparison]:
    """Compare hit rates in every category at every given coverage, paired by week.

    Raises
    ------
    ValueError
        If the two were not judged by the same incidents.
    """
    _same_incidents(ours, rival)
    found = []
    for category in ours.categories:
        total = ours.weekly(ours.total, [category])
        gap = ours.weekly(ours.hits - rival.hits, [category])
        for coverage, column in zip(coverages, ours.columns(coverages), strict=True):
            statistic = _difference(gap[:, column], total)
            interval = bootstrap(statistic, np.arange(len(gap)), rounds=rounds)
            found.append(Comparison(category, coverage, interval))
    return found


def significantly_behind(
    ours: Tally,
    rival: Tally,
    coverages: Sequence[float] = (0.01, 0.02, 0.05),
    *,
    rounds: int = 1_000,
) -> list[Comparison]:
    """Comparisons in which the interval of ours less the rival lies below zero entirely.

    No allowance is made for how many comparisons there are: of equal models one in forty is found
    behind by chance.

    Examples
    --------
    >>> ours, rival = (Tally.over(9, 1, ("THEFT",), (0.5,)) for _ in range(2))
    >>> for week in range(9):
    ...     ours.record(week, 0, "THEFT", [1, 2], [1, 0])
    ...     rival.record(week, 0, "THEFT", [2, 1], [1, 0])
    >>> [(one.category, one.coverage) for one in significantly_behind(ours, rival, (0.5,))]
    [('THEFT', 0.5)]
    """
    return [one for one in comparisons(ours, rival, coverages, rounds=rounds) if one.behind]


# ---------------------------------------------------------------- what can be attained


@dataclass(frozen=True, eq=False)
class Attainable:
    """What somebody who knew the true intensities would get, one entry a coverage.

    Parameters
    ----------
    hits : float64 array of shape (coverages,)
        Expected incidents caught in all periods.
    hit_rate : float64 array of shape (coverages,)
        Hits / all incidents.
    low, high : float64 array of shape (coverages,)
        95 % interval of the hit rate by the draws.
    pei : float64 array of shape (coverages,)
        Hits / best possible hits of the same draws: how far below 1 chance alone keeps anybody.
    """

    hits: Floats
    hit_rate: Floats
    low: Floats
    high: Floats
    pei: Floats


def attainable(
    intensity: ArrayLike,
    draws: int,
    rng: np.random.Generator,
    coverages: Sequence[float] = COVERAGES,
) -> Attainable:
    """The ceiling: rank by the intensities themselves, draw Poisson counts from them, and count.

    The ceiling is only as good as the intensities: fitted ones that are too smooth put it too low,
    ones fitted to the very periods judged put it too high.

    Parameters
    ----------
    intensity : array of shape (periods, n)
        Expected counts of each period and cell.
    draws : int
        How often all periods are drawn, one at least.
    rng : numpy.random.Generator

    Examples
    --------
    >>> ceiling = attainable([[9.0, 1.0]] * 50, 20, np.random.default_rng(0), coverages=(0.5,))
    >>> ceiling.hit_rate.round(1), ceiling.hits.round(-1)
    (array([0.9]), array([450.]))
    """
    rates = np.atleast_2d(np.asarray(intensity, np.float64))
    caught, best = np.zeros((2, draws, len(coverages)))
    total = np.zeros(draws)
    for period in rates:
        first = ranked(period)
        flagged = cells_flagged(coverages, period.size)
        for draw in range(draws):
            counts = rng.poisson(period)
            caught[draw] += np.cumsum(counts[first])[flagged - 1]
            best[draw] += best_hits(counts, coverages)
            total[draw] += counts.sum()
    share = _ratio(caught, total[:, None])
    low, high = np.nanquantile(share, [0.025, 0.975], axis=0)
    everything = caught.sum(axis=0)
    return Attainable(
        hits=everything / draws,
        hit_rate=_ratio(everything, total.sum()),
        low=low,
        high=high,
        pei=_ratio(everything, best.sum(axis=0)),
    )


def share_of_room(ours: ArrayLike, rival: ArrayLike, ceiling: ArrayLike) -> Floats:
    """How much of the way from a rival to the ceiling ours has gone; NaN where there is no way.

    Parameters
    ----------
    ours, rival, ceiling : array of shape (k,) or number
        Hits, or hit rates, of the same incidents.

    Examples
    --------
    >>> share_of_room([0.22, 0.2], [0.20, 0.3], [0.25, 0.3])
    array([0.4, nan])
    """
    start = np.asarray(rival, np.float64)
    room = np.asarray(ceiling, np.float64) - start
    return _ratio(np.asarray(ours, np.float64) - start, np.where(room > 0, room, 0.0))


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Floats:
    """Quotients; NaN where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        divisor = np.asarray(bottom, np.float64)
        return np.asarray(np.where(divisor == 0, np.nan, np.asarray(top) / divisor), np.float64)


def _best_star(best: Floats, flagged: Ints, occupied: int) -> Floats:
    """Best hits at min(flagged, occupied) cells, made comparable: x flagged / min(both)."""
    return best * flagged / np.maximum(np.minimum(flagged, occupied), 1)


def _same_incidents(ours: Tally, rival: Tally) -> None:
    same = (
        ours.categories == rival.categories
        and ours.coverages == rival.coverages
        and np.array_equal(ours.total, rival.total)
        and np.array_equal(ours.cells, rival.cells)
    )
    if not same:
        raise ValueError(
            "expected two tallies of the same weeks, offsets, categories, coverages and incidents, "
            "found different ones; record both models in the same run"
        )


def _difference(gap: Floats, total: Floats) -> Callable[[Floats], float]:
    """Difference of hit rates, given weights of the weeks."""
    return lambda weight: float(_ratio(weight @ gap, weight @ total))
