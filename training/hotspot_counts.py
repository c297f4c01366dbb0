"""How well expected counts of incidents were forecast: Brier score, deviance, calibration."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

__all__ = ["Calibrated", "brier_any", "calibrated", "poisson_deviance"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
