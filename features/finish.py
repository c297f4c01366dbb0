"""From raw integers to numbers: the one finaliser of both engines.

Only ``+ - * /`` and ``sqrt`` on float64 are used: IEEE 754 rounds each correctly, so that one row
and ten million rows get the same bits whatever instruction set numpy picks. Missing is NaN.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.periods import MICROSECOND

__all__ = ["FORMULAS", "Formula"]

Matrix = NDArray[np.float64]
Formula = Callable[[tuple[Matrix, ...], tuple[NDArray[np.float64], ...], Matrix], Matrix]
"""Arguments (n, k) each, constants (k,) each, the clock (n, 1): values (n, k)."""

STEP_APP, STEP_CALL, STEP_TRANSFER = 1.0, 2.0, 3.0
TRANSFER_KIND = 3.0


def _field(args: tuple[Matrix, ...], constants: tuple[Matrix, ...], _: Matrix) -> Matrix:
    return np.where(args[0] < 0, np.nan, args[0] / constants[0])


def _plain(args: tuple[Matrix, ...], constants: tuple[Matrix, ...], _: Matrix) -> Matrix:
    quotient: Matrix = args[0] / constants[0]
    return quotient


def _ratio(args: tuple[Matrix, ...], constants: tuple[Matrix, ...], _: Matrix) -> Matrix:
    above, below = args
    return _divide(above * constants[0], below * constants[1])


def _elapsed(args: tuple[Matrix, ...], _: tuple[Matrix, ...], now: Matrix) -> Matrix:
    return np.where(args[0] < 0, np.nan, (now - args[0]) / MICROSECOND)


def _spread(args: tuple[Matrix, ...], _: tuple[Matrix, ...], __: Matrix) -> Matrix:
    return _deviation(*args)


def _to_mean(args: tuple[Matrix, ...], _: tuple[Matrix, ...], __: Matrix) -> Matrix:
    own, count, total = args
    return np.where(own < 0, np.nan, _divide(own * count, total))


def _to_max(args: tuple[Matrix, ...], _: tuple[Matrix, ...], __: Matrix) -> Matrix:
    own, largest = args
    return np.where(own < 0, np.nan, _divide(own, largest))


def _zscore(args: tuple[Matrix, ...], _: tuple[Matrix, ...], __: Matrix) -> Matrix:
    own, count, total, squares = args
    above = own - _divide(total, count)
    return np.where(own < 0, np.nan, _divide(above, _deviation(count, total, squares)))


def _order(args: tuple[Matrix, ...], constants: tuple[Matrix, ...], _: Matrix) -> Matrix:
    now, at, kind, app, start, call = args
    limit = constants[0]
    moment = np.where(kind == TRANSFER_KIND, at, now)
    chained = (start >= 0) & (moment >= call) & (moment - start <= limit)
    begun = (app >= 0) & (moment >= app) & (moment - app <= limit)
    step = np.where(chained, STEP_CALL, np.where(begun, STEP_APP, 0.0))
    return np.where(chained & (kind == TRANSFER_KIND), STEP_TRANSFER, step)


def _deviation(count: Matrix, total: Matrix, squares: Matrix) -> Matrix:
    variance = _divide(squares - _divide(total * total, count), count)
    return np.sqrt(np.maximum(variance, 0.0))


def _divide(above: Matrix, below: Matrix) -> Matrix:
    """Quotient, NaN over zero: nothing to compare with is not the same as none of it."""
    safe = np.where(below == 0, np.nan, below)
    quotient: Matrix = above / safe
    return quotient


FORMULAS: Final[Mapping[str, Formula]] = {
    "field": _field,
    "plain": _plain,
    "ratio": _ratio,
    "elapsed": _elapsed,
    "spread": _spread,
    "to_mean": _to_mean,
    "to_max": _to_max,
    "zscore": _zscore,
    "order": _order,
}
"""Formulas by name."""
