"""Incidents of one category as points: what a forecast may look at, as known at one moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.grid import Grid

__all__ = ["Past"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Past:
    """Incidents of one category (perhaps of one shift) known at a moment, and the city's cells.

    Parameters
    ----------
    x_m, y_m : float64 array of shape (m,)
        Where, metres in the grid's projection.
    cell : int64 array of shape (m,)
        Position of the cell each lies in, 0 to n-1; -1 outside the city's cells.
    age_days : float64 array of shape (m,)
        Days before the moment of forecast, above 0.
    centres_m : float64 array of shape (n, 2)
        Centres of the cells, metres.
    size_m : float
        Side of a cell, metres.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or an incident is not before the forecast.

    Examples
    --------
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55, 106.55, 106.56], [29.56, 29.56, 29.56], [1.0, 30.0, 2.5])
    >>> past.n_cells, past.cell.tolist(), past.since(7).cell.tolist()
    (2, [0, 0, 1], [0, 1])
    """

    x_m: Floats
    y_m: Floats
    cell: Ints
    age_days: Floats
    centres_m: Floats
    size_m: float

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.x_m, self.y_m, self.cell, self.age_days)}
        if len(lengths) != 1:
            raise ValueError(f"expected four arrays of one length, found lengths {sorted(lengths)}")
        if self.centres_m.ndim != 2 or self.centres_m.shape[1] != 2:
            raise ValueError(f"expected centres of shape (n, 2), found {self.centres_m.shape}")
        if not bool(np.all(np.isfinite(self.age_days) & (self.age_days > 0))):
            raise ValueError(
                "expected ages above 0 days, found incidents at or after the forecast; "
                "pass only what was known before it"
            )
        if len(self) and not -1 <= self.cell.min() <= self.cell.max() < self.n_cells:
            raise ValueError(
                f"expected cells from -1 to {self.n_cells - 1}, found "
                f"{self.cell.min()} to {self.cell.max()}; place the incidents in this grid"
            )

    @classmethod
    def on(cls, grid: Grid, lon: ArrayLike, lat: ArrayLike, age_days: ArrayLike) -> "Past":
        """Place incidents in a grid.

        Parameters
        ----------
        lon, lat : array of shape (m,)
            Degrees.
        age_days : array of shape (m,)
            Days before the moment of forecast.
        """
        x, y = grid.metres(lon, lat)
        return cls(
            x_m=x,
            y_m=y,
            cell=grid.place(lon, lat),
            age_days=np.asarray(age_days, np.float64),
            centres_m=np.column_stack(grid.centres_m()),
            size_m=grid.size_m,
        )

    def __len__(self) -> int:
        return len(self.cell)

    @property
    def n_cells(self) -> int:
        """How many cells the city has."""
        return len(self.centres_m)

    @property
    def points_m(self) -> Floats:
        """Where the incidents were, shape (m, 2)."""
        return np.column_stack([self.x_m, self.y_m])

    def since(self, days: float) -> "Past":
        """Keep the incidents of the last so many days."""
        return self.kept(self.age_days <= days)

    def kept(self, which: Bools | Ints) -> "Past":
        """Keep the incidents at these places of the arrays."""
        return Past(
            x_m=self.x_m[which],
            y_m=self.y_m[which],
            cell=self.cell[which],
            age_days=self.age_days[which],
            centres_m=self.centres_m,
            size_m=self.size_m,
        )

    def counts(self, weight: Floats | None = None) -> Floats:
        """Incidents of each cell, or the sum of their weights, shape (n,)."""
        inside = self.cell >= 0
        weights = None if weight is None else weight[inside]
        found = np.bincount(self.cell[inside], weights, minlength=self.n_cells)
        return found.astype(np.float64)
