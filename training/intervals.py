"""Intervals: how far a figure could have been elsewhere.

Rows of one citizen or of one day are not independent, so the bootstrap draws whole clusters.
A statistic takes the rows' weights (how often each row's cluster was drawn) instead of copies of
rows, which lets rankings sort once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.shares import wilson

__all__ = ["Interval", "bootstrap", "wilson"]

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and the interval around it, all three in the figure's own unit.

    Examples
    --------
    >>> print(Interval(0.5, 0.41, 0.58))
    0.500 [0.410, 0.580]
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def as_dict(self) -> dict[str, float | None]:
        """The three numbers for JSON, in which not-a-number is ``None``."""
        return {
            name: value if math.isfinite(value) else None
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def bootstrap(
    statistic: Callable[[Weights], float],
    cluster: ArrayLike,
    *,
    rounds: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic when whole clusters are drawn with replacement.

    Parameters
    ----------
    statistic : callable
        Takes weights, float64 of shape (n,), and returns the figure. For a paired comparison
        return the difference of two models' figures under the same weights.
    cluster : array of shape (n,)
        What is drawn together: a citizen, a day, an episode.
    rounds : int
        Number of draws. Draws in which the figure is not a number (no fraud drawn) are left out.
    level : float
        Coverage, between 0 and 1.
    seed : int
        The same seed gives the same interval.

    Raises
    ------
    ValueError
        Where there is no row to draw.

    References
    ----------
    Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 8 and 13.

    Examples
    --------
    >>> caught = np.array([0.2, 0.4, 0.3, 0.5])
    >>> print(bootstrap(lambda w: np.average(caught, weights=w), [1, 2, 3, 4], rounds=200))
    0.350 [0.225, 0.450]
    """
    _, member, sizes = np.unique(np.asarray(cluster), return_inverse=True, return_counts=True)
    if not sizes.size:
        raise ValueError("expected at least one row to draw from, found none; pass the test rows")
    draw = np.random.default_rng(seed).multinomial
    even = np.full(sizes.size, 1 / sizes.size)
    found = [statistic(draw(sizes.size, even)[member].astype(np.float64)) for _ in range(rounds)]
    value = float(statistic(np.ones(member.size)))
    return Interval(value, *_percentiles(found, level))


def _percentiles(found: list[float], level: float) -> tuple[float, float]:
    usable = np.asarray(found)[np.isfinite(found)]
    if not usable.size:
        return math.nan, math.nan
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
