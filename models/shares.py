"""Shares of small counts: with how many trials, and how far the true one may lie from them."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["FEW", "Share", "wilson"]

FEW = 20  # below it Wilson's 95 % interval of a half is 40 points wide and more


def wilson(hits: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> Any:
    """Wilson's interval of a share: sensible for few trials and for shares near 0 and 1.

    Parameters
    ----------
    hits, trials : array of shape (k,) or number

    Returns
    -------
    (low, high)
        Arrays of shape (k,); NaN where there were no trials.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927).

    Examples
    --------
    >>> low, high = wilson(0, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.0, 0.278)
    """
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    h, n = np.asarray(hits, np.float64), np.asarray(trials, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = h / n
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        reach = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)


@dataclass(frozen=True)
class Share:
    """So many of so many.

    Parameters
    ----------
    yes, of : int

    Examples
    --------
    >>> one = Share(3, 12)
    >>> one.value, one.few, [round(end, 2) for end in one.interval]
    (0.25, True, [0.09, 0.53])
    >>> Share(0, 0).value is None
    True
    """

    yes: int
    of: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.yes / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 %; of nothing, all there is."""
        if not self.of:
            return 0.0, 1.0
        low, high = wilson(self.yes, self.of)
        return float(low), float(high)

    @property
    def few(self) -> bool:
        """Whether there were too few trials to conclude from."""
        return self.of < FEW

    def plus(self, other: "Share") -> "Share":
        """Both together."""
        return Share(self.yes + other.yes, self.of + other.of)
