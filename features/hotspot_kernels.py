"""The sums behind hotspot features, compiled: incidents weighted by age, added up per cell."""

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["add_up", "largest_at_one_spot"]


@nb.njit(cache=True, nogil=True)
def add_up(
    cell: NDArray[np.int32],
    kind: NDArray[np.int16],
    age: NDArray[np.int32],
    weights: NDArray[np.float32],
    sums: NDArray[np.float32],
) -> None:
    """Add each incident's weights to its cell.

    Parameters
    ----------
    cell, kind, age : arrays of shape (m,)
        Where it lies (negative: nowhere), its category and shift as one number, days of age.
    weights : array of float32, shape (days, kernels)
        Weight of an incident of each age, in each kernel.
    sums : array of float32, shape (kinds, cells, kernels)
        Added to.
    """
    kernels = weights.shape[1]
    for row in range(len(cell)):
        place = cell[row]
        if place < 0:
            continue
        for kernel in range(kernels):
            sums[kind[row], place, kernel] += weights[age[row], kernel]


@nb.njit(cache=True, nogil=True)
def largest_at_one_spot(
    spot: NDArray[np.int32],
    category: NDArray[np.int16],
    cell: NDArray[np.int32],
    spots: int,
    largest: NDArray[np.float32],
) -> None:
    """Find the most incidents of a category that one exact spot of each cell saw.

    Parameters
    ----------
    spot, category, cell : arrays of shape (m,)
    spots : int
        How many distinct spots there are.
    largest : array of float32, shape (categories, cells)
        Overwritten where a cell holds a larger one.
    """
    count = np.zeros((largest.shape[0], spots), np.int32)
    for row in range(len(spot)):
        place = cell[row]
        if place < 0:
            continue
        kind = category[row]
        count[kind, spot[row]] += 1
        largest[kind, place] = max(largest[kind, place], np.float32(count[kind, spot[row]]))
