"""How an incident counts by its age: all alike, fading, only lately, in the same season."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEMORIES", "YEAR", "Memory"]

YEAR = 365.25  # days
WEEKS_OF_YEAR = 364  # the same weekday a year ago


@dataclass(frozen=True)
class Memory:
    """Weights by age.

    Attributes
    ----------
    name : str
    zh, en : str
        What officers read: "in the past six weeks".
    shape : callable
        Takes ages in days before the forecast's begin (shape (n,)) and the forecast's length in
        days, returns weights.

    Examples
    --------
    >>> fading = MEMORIES[2]
    >>> fading.name, fading.weight(np.array([0, 42]), 7).tolist()
    ('fading_6w', [1.0, 0.5])
    """

    name: str
    zh: str
    en: str
    shape: Callable[[NDArray[np.float64], int], NDArray[np.float64]]

    def weight(self, ages: NDArray[np.int64], horizon_days: int) -> NDArray[np.float64]:
        """Weights of incidents by age in days."""
        return self.shape(ages.astype(np.float64), horizon_days)


def _all(ages: NDArray[np.float64], _: int) -> NDArray[np.float64]:
    return np.ones_like(ages)


def _lately(ages: NDArray[np.float64], _: int) -> NDArray[np.float64]:
    return (ages <= 7).astype(np.float64)


def _fading(half_life_weeks: float) -> Callable[[NDArray[np.float64], int], NDArray[np.float64]]:
    def weight(ages: NDArray[np.float64], _: int) -> NDArray[np.float64]:
        return np.asarray(0.5 ** (ages / (7 * half_life_weeks)))

    return weight


def _around(
    period_days: float, sd_days: float
) -> Callable[[NDArray[np.float64], int], NDArray[np.float64]]:
    """Ages that lie whole periods before the middle of the forecast."""

    def weight(ages: NDArray[np.float64], horizon_days: int) -> NDArray[np.float64]:
        apart = (ages + horizon_days / 2) % period_days
        apart = np.minimum(apart, period_days - apart)
        return np.exp(-0.5 * (apart / sd_days) ** 2) + 1e-4

    return weight


MEMORIES: tuple[Memory, ...] = (
    Memory("all", "有记录以来", "on record", _all),
    Memory("fading_2w", "近两周", "in the last two weeks", _fading(2)),
    Memory("fading_6w", "近六周", "in the last six weeks", _fading(6)),
    Memory("fading_20w", "近五个月", "in the last five months", _fading(20)),
    Memory("fading_52w", "近一年", "in the last year", _fading(52)),
    Memory("week", "近七天", "in the last seven days", _lately),
    Memory("season", "往年同季", "in the same season", _around(YEAR, 28)),
    Memory("anniversary", "往年同周", "in the same week of the year", _around(WEEKS_OF_YEAR, 6)),
)
