"""Hits of one model over many weeks, grid offsets and categories, and figures of all together.

Pooled figures are sums over sums, never means of ratios, and their intervals draw whole weeks: all
offsets and categories of a week go together, for they are the same incidents seen several times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.hotspot_metrics import COVERAGES, judged, ratio
from training.intervals import Interval, bootstrap

__all__ = ["Measure", "Tally"]

Floats = NDArray[np.float64]
Measure = Literal["hit_rate", "pai", "pei", "pei_star"]


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
    >>> for week, counts in enumerate([[3, 1, 0, 0], [2, 0, 2, 0]]):
    ...     ours.record(week, 0, "THEFT", [9, 1, 5, 2], counts)
    >>> ours.pooled("hit_rate"), ours.pooled("pai"), ours.pooled("pei").round(2)
    (array([0.625, 0.875]), array([2.5       , 1.16666667]), array([1.  , 0.88]))
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
        found = ratio(self._summed(self.hits, categories, weight), bottom)
        if measure != "pai":
            return found
        flagged = self._summed(self.flagged, categories, weight)
        return found / ratio(flagged, self._summed(self.cells, categories, weight))

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
