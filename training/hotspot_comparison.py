"""One model against another, from the tallies of both, paired by week.

Both must have been judged by the same incidents; the bootstrap draws whole weeks, the same for
both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.hotspot_metrics import ratio
from training.hotspot_tally import Tally
from training.intervals import Interval, bootstrap

__all__ = ["Comparison", "comparisons", "gain_percent", "significantly_behind"]

Floats = NDArray[np.float64]


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
        lambda w: float(100 * (ratio(w @ sums[0], w @ sums[1]) - 1)),
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
    return lambda weight: float(ratio(weight @ gap, weight @ total))
