"""What stands at a place: shops, bars, stations, from a table of points; never who lives there.

References
----------
Caplan, Kennedy, Miller, "Risk terrain modeling", Justice Quarterly 28 (2011): places attract.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from features.grid import Grid

__all__ = ["CovariateError", "Covariates", "columns_of"]

Floats = NDArray[np.float32]
PLACE = ("lon", "lat")
AROUND = 1.2  # standard deviation in cells of what counts as near


class CovariateError(ValueError):
    """A table of places that cannot be used."""


@dataclass(frozen=True, eq=False)
class Covariates:
    """Quantities of each cell and around it.

    Parameters
    ----------
    names : tuple of str
        Of the table's columns.
    values : float32 array, shape (2 x names, cells)
        Sums in the cell, then sums around it.

    Examples
    --------
    >>> grid = Grid.over([106.5510, 106.5700], [29.5630, 29.5630], size_m=250)
    >>> table = pa.table({"lon": [106.5511], "lat": [29.5631], "bars": [3]})
    >>> found = Covariates.of(table, grid)
    >>> found.names, found.values[0].tolist()
    (('bars',), [3.0, 0.0])
    """

    names: tuple[str, ...]
    values: Floats

    @classmethod
    def of(cls, table: pa.Table, grid: Grid) -> "Covariates":
        """Add a table of points up in a grid's cells.

        Parameters
        ----------
        table : Table
            ``lon``, ``lat`` in degrees, and columns of numbers; a missing number counts as 0.

        Raises
        ------
        CovariateError
            If a coordinate is missing, or a column is not of numbers.
        """
        names = _quantities(table)
        cell = grid.place(*(table[name].to_numpy() for name in PLACE))
        inside = cell >= 0
        sums = np.stack(
            [np.bincount(cell[inside], _numbers(table, name)[inside], len(grid)) for name in names]
        ).astype(np.float32)
        return cls(names, np.concatenate([sums, _around(sums, grid)]))


def _quantities(table: pa.Table) -> tuple[str, ...]:
    missing = [name for name in PLACE if name not in table.column_names]
    names = tuple(name for name in table.column_names if name not in PLACE)
    wrong = [name for name in names if not _is_number(table.schema.field(name).type)]
    if missing or wrong or not names or not len(table):
        found = f"no {', '.join(missing)}" if missing else (", ".join(wrong) or "no numbers")
        raise CovariateError(
            f"expected lon, lat and columns of numbers in the table of places, found {found}; "
            "leave other columns out"
        )
    return names


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(np.nan_to_num(table[name].to_numpy().astype(np.float64)))


def _around(sums: Floats, grid: Grid) -> Floats:
    columns, rows = grid.columns - grid.columns.min(), grid.rows - grid.rows.min()
    plane = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1), np.float32)
    found = np.empty_like(sums)
    for place, one in enumerate(sums):
        plane[rows, columns] = one
        found[place] = gaussian_filter(plane, AROUND, mode="constant")[rows, columns]
    return found


def columns_of(names: Sequence[str]) -> list[tuple[str, int]]:
    """Name of each row of `Covariates.values`, and the spread it is of."""
    return [(name, spread) for spread in (0, 2) for name in names]
