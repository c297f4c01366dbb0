"""How far a cell's rank may be off because citizens report less in one place than in another.

The model sees what is reported. What happens is that, divided by the share reported, which nobody
knows: only a plausible range is. A cell whose band of ranks crosses the line of coverage owes its
place on the map, or its absence, to an assumption, and is marked.

References
----------
Akpinar, De-Arteaga, Chouldechova, "The effect of differential victim crime reporting on predictive
policing systems", FAccT 2021.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PLAUSIBLE", "RankBands", "extreme_ranks", "rank_bands"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PLAUSIBLE = (0.25, 0.50)
"""Shares reported, where a city knows no better: assumed around the 32 % of property crime and 42 %
of violent crime of the Bureau of Justice Statistics, Criminal Victimization 2022."""
LEVEL = 0.9
DRAWS = 200  # the ends of a 90 % band are then known to some 2 % of the draws
WORDS = {
    "sure_in": ("报案率在此范围内都在前 {cover}", "in the top {cover} at any such share reported"),
    "sure_out": ("报案率在此范围内都不在前 {cover}", "outside the top {cover} at any such share"),
    "unsure": (
        "是否在前 {cover} 取决于报案率假设，不能单凭此安排",
        "in the top {cover} or not by the share assumed: not to be planned on alone",
    ),
}


@dataclass(frozen=True, eq=False)
class RankBands:
    """Each cell's rank as reported, and where it may lie; 1 is the highest.

    Attributes
    ----------
    rank, best, worst : int64 arrays, shape (n,)
        As reported; ends of the band.
    """

    rank: Ints
    best: Ints
    worst: Ints

    def crosses(self, coverage: float) -> Bools:
        """Cells at the top of that share of the area at one end of the band, beyond at the other.

        Raises
        ------
        ValueError
            If the coverage is not above 0 and at most 1; so for `sure` and `said`.
        """
        line = self._line(coverage)
        return (self.best <= line) & (self.worst > line)

    def sure(self, coverage: float) -> Bools:
        """Cells at the top of that share of the area at either end of the band."""
        return self.worst <= self._line(coverage)

    def said(self, cell: int, coverage: float) -> tuple[str, str]:
        """What the band of a cell means at a coverage, in Chinese and in English."""
        sure = "sure_in" if self.sure(coverage)[cell] else "sure_out"
        verdict = WORDS["unsure" if self.crosses(coverage)[cell] else sure]
        zh, en = (text.format(cover=f"{coverage:.1%}") for text in verdict)
        rank, best, worst = int(self.rank[cell]), int(self.best[cell]), int(self.worst[cell])
        return (
            f"按接报排第 {rank} 位，计入漏报后在第 {best} 至 {worst} 位之间：{zh}",
            f"Rank {rank} as reported, {best} to {worst} once under-reporting is allowed for: {en}",
        )

    def _line(self, coverage: float) -> int:
        """How many cells are at the top of a share of the area."""
        if not 0 < coverage <= 1:
            raise ValueError(f"expected a coverage above 0 and at most 1, found {coverage:g}")
        return max(1, round(coverage * len(self.rank)))


def rank_bands(
    expected: ArrayLike,
    low: ArrayLike = PLAUSIBLE[0],
    high: ArrayLike = PLAUSIBLE[1],
    *,
    group: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RankBands:
    """Draw shares reported and rank the cells by what would then happen, again and again.

    Shares are drawn evenly between `low` and `high`; cells of one group (a district) share their
    draw, as far as their ranges are alike. A band holds nine draws in ten, and the rank as
    reported. Memory grows with cells times draws, 4 bytes each.

    Parameters
    ----------
    expected : array of shape (n,)
        Reported incidents expected in each cell.
    low, high : float or array of shape (n,)
        Plausible share reported, above 0 and at most 1.
    group : array of int, shape (n,), optional
        District of each cell; without it, each cell is one of its own.
    draws : int
    seed : int

    Raises
    ------
    ValueError
        If a count is negative, or a share is not within (0, 1].

    Examples
    --------
    >>> bands = rank_bands([9.0, 8.0, 1.0, 0.1], 0.3, 0.5)
    >>> bands.crosses(0.25).tolist(), bands.worst.tolist()
    ([True, True, False, False], [2, 2, 3, 4])
    >>> print(bands.said(2, 0.25)[1])
    Rank 3 as reported, 3 to 3 once under-reporting is allowed for: outside the top 25.0% at any ...
    """
    counts, low, high = _checked(expected, low, high)
    if draws < 1:
        raise ValueError(f"expected at least one draw, found {draws}; {DRAWS} are usual")
    groups = np.arange(len(counts)) if group is None else np.unique(group, return_inverse=True)[1]
    if groups.shape != counts.shape:
        raise ValueError(
            f"expected a group for each of {len(counts)} cells, found {len(groups)}; "
            "pass the district of each cell"
        )
    rng = np.random.default_rng(seed)
    ranks = np.empty((draws, len(counts)), np.int32)
    for draw in range(draws):
        share = low + (high - low) * rng.random(groups.max(initial=0) + 1)[groups]
        ranks[draw] = _ranks(counts / share)
    ends = np.quantile(ranks, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    rank = _ranks(counts)
    return RankBands(
        rank=rank,
        best=np.minimum(np.floor(ends[0]).astype(np.int64), rank),
        worst=np.maximum(np.ceil(ends[1]).astype(np.int64), rank),
    )


def extreme_ranks(expected: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[Ints, Ints]:
    """Best and worst rank that any shares within the ranges can give a cell, exactly.

    The best is reached where the cell reports as little and all others as much as they may. No
    draw lies beyond; few come near.

    Examples
    --------
    >>> best, worst = extreme_ranks([9.0, 8.0, 1.0], 0.3, 0.5)
    >>> best.tolist(), worst.tolist()
    ([1, 1, 3], [2, 2, 3])
    """
    counts, low, high = _checked(expected, low, high)
    most, least = counts / low, counts / high
    n = len(counts)
    best = 1 + n - np.searchsorted(np.sort(least), most, side="right")
    others = n - np.searchsorted(np.sort(most), least, side="left")
    return best.astype(np.int64), others.astype(np.int64)  # a cell's own most is among them


def _checked(expected: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[Floats, Floats, Floats]:
    counts = np.asarray(expected, np.float64)
    lows, highs = (
        np.broadcast_to(np.asarray(one, np.float64), counts.shape) for one in (low, high)
    )
    if counts.ndim != 1 or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError(
            "expected one count of at least 0 for each cell, found another; "
            "pass a layer's expected counts"
        )
    if not ((lows > 0) & (lows <= highs) & (highs <= 1)).all():
        raise ValueError(
            f"expected shares reported with 0 < low <= high <= 1, found {lows.min(initial=1):g} to "
            f"{highs.max(initial=0):g}; 0.25 to 0.5 is a third, more or less"
        )
    return counts, lows, highs


def _ranks(values: Floats) -> Ints:
    """1 for the highest; equals in order of position."""
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return rank
