"""Figures by which a map of hotspots is judged (DOMAIN.md section 4), on numpy arrays.

One period and one category: a score and a realised count for every cell. The cells are ranked by
`ranked`, alike for every model, and the first so many are flagged. Many periods are kept in a
`training.hotspot_tally`; how well counts were forecast is for `training.hotspot_counts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "COVERAGES",
    "Judged",
    "best_hits",
    "cells_flagged",
    "hit_curve",
    "hits",
    "judged",
    "ranked",
    "ratio",
    "recapture_rate",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COVERAGES: Final = (0.01, 0.02, 0.05, 0.10)
"""Shares of the area that are flagged, as in DATA.md section 3."""


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
        return ratio(self.hits, self.total)

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
        return ratio(self.hits, self.best)

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
        return ratio(self.hits, self.best_star)


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
    flagged = ratio(np.asarray(hits, np.float64), past_hits)
    return ratio(flagged, ratio(np.asarray(total, np.float64), past_total))


def ratio(top: ArrayLike, bottom: ArrayLike) -> Floats:
    """Quotients; NaN where the divisor is 0.

    Examples
    --------
    >>> ratio([1.0, 1.0], [4.0, 0.0])
    array([0.25,  nan])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        divisor = np.asarray(bottom, np.float64)
        return np.asarray(np.where(divisor == 0, np.nan, np.asarray(top) / divisor), np.float64)


def _best_star(best: Floats, flagged: Ints, occupied: int) -> Floats:
    """Best hits at min(flagged, occupied) cells, made comparable: x flagged / min(both)."""
    return best * flagged / np.maximum(np.minimum(flagged, occupied), 1)
