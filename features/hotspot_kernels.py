"""The sums behind hotspot features, compiled: incidents weighted by age, added up per cell."""

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["add_around", "add_up", "spread_of_incidents"]


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
def add_around(  # noqa: PLR0913, PLR0917 - compiled code takes flat arrays
    cell: NDArray[np.int32],
    kind: NDArray[np.int16],
    age: NDArray[np.int32],
    inside: NDArray[np.uint8],
    weights: NDArray[np.float32],
    shares: NDArray[np.float32],
    around: NDArray[np.int32],
    sums: NDArray[np.float32],
) -> None:
    """Add each incident's weights to its cell and the eight around, by how near it lies to each.

    Parameters
    ----------
    cell, kind, age, weights
        As in `add_up`.
    inside : array of uint8, shape (m, 2)
        Where in its cell an incident lies: step of a lattice eastward and northward.
    shares : array of float32, shape (steps, 3)
        What falls to the cell before, the own and the one after, by step.
    around : array of int32, shape (cells, 9)
        Cells around each, south-western first, row by row; negative where none is.
    sums : array of float32, shape (kinds, cells, kernels)
        Added to.
    """
    kernels = weights.shape[1]
    for row in range(len(cell)):
        place = cell[row]
        if place < 0:
            continue
        east, north = shares[inside[row, 0]], shares[inside[row, 1]]
        for at in range(9):
            beside = around[place, at]
            if beside < 0:
                continue
            share = east[at % 3] * north[at // 3]
            for kernel in range(kernels):
                sums[kind[row], beside, kernel] += share * weights[age[row], kernel]


@nb.njit(cache=True, nogil=True)
def spread_of_incidents(
    spot: NDArray[np.int32],
    category: NDArray[np.int16],
    cell: NDArray[np.int32],
    week: NDArray[np.int32],
    spots: int,
    found: NDArray[np.float32],
) -> None:
    """Count how a category's incidents lie on spots and weeks in each cell.

    Parameters
    ----------
    spot, category, cell, week : arrays of shape (m,)
        In order of time; weeks count from 0.
    spots : int
        How many distinct spots there are.
    found : array of float32, shape (3, categories, cells)
        Zeros; becomes the most incidents at one exact spot, weeks with any, different spots.
    """
    count = np.zeros((found.shape[1], spots), np.int32)
    latest = np.full(found.shape[1:], -1, np.int32)
    for row in range(len(spot)):
        place = cell[row]
        if place < 0:
            continue
        kind = category[row]
        count[kind, spot[row]] += 1
        here = count[kind, spot[row]]
        found[0, kind, place] = max(found[0, kind, place], np.float32(here))
        if latest[kind, place] != week[row]:
            latest[kind, place] = week[row]
            found[1, kind, place] += 1
        if here == 1:
            found[2, kind, place] += 1
