"""Figures by which calls of suspect lines are judged: both kinds of line count the same."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["g_mean", "macro_f1"]


def macro_f1(y: ArrayLike, called: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean of the F1 of suspects and the F1 of the others; NaN unless there are both.

    Parameters
    ----------
    y, called : array of shape (n,)
        1 or true for a suspect; what it is and what it was called.
    weight : array of shape (n,), optional

    Examples
    --------
    >>> round(macro_f1([1, 1, 0, 0], [1, 0, 0, 0]), 3)
    0.733
    """
    hit, missed, alarm, cleared = _counts(y, called, weight)
    if not hit + missed or not cleared + alarm:
        return math.nan
    of_suspects = 2 * hit / (2 * hit + missed + alarm)
    of_others = 2 * cleared / (2 * cleared + missed + alarm)
    return float((of_suspects + of_others) / 2)


def g_mean(y: ArrayLike, called: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Root of the product of both recalls; NaN unless there are lines of both kinds.

    References
    ----------
    Kubat, Matwin, Addressing the curse of imbalanced training sets, ICML 1997.

    Examples
    --------
    >>> round(g_mean([1, 1, 0, 0], [1, 0, 0, 0]), 3)
    0.707
    """
    hit, missed, alarm, cleared = _counts(y, called, weight)
    if not hit + missed or not cleared + alarm:
        return math.nan
    return float(np.sqrt(hit / (hit + missed) * cleared / (cleared + alarm)))


def _counts(y: ArrayLike, called: ArrayLike, weight: ArrayLike | None) -> NDArray[Any]:
    truth, said = np.asarray(y) == 1, np.asarray(called).astype(bool)
    w = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    cells = (truth & said, truth & ~said, ~truth & said, ~truth & ~said)
    return np.array([w[cell].sum() for cell in cells])
