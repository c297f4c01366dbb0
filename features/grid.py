"""Square cells on a map in metres: where a place lies, and where a cell's corners are.

The projection is Lambert's azimuthal equal-area one around the city's own centre: every cell has
the same area anywhere on Earth, and no zone's border can run through a city.

References
----------
Snyder, "Map Projections: A Working Manual", USGS Professional Paper 1395, 1987, ch. 24.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

__all__ = ["Grid", "GridError"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SPAN = 1 << 20  # columns and rows either side of the centre: more than Earth has at 25 m
SMALLEST_M, LARGEST_M = 25.0, 20_000.0


class GridError(ValueError):
    """A grid cannot be laid as asked."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Square cells around a centre, and those of them that belong to the city.

    Parameters
    ----------
    centre : (float, float)
        Longitude and latitude of the projection's centre, degrees.
    size_m : float
        Side of a cell, metres.
    cells : array of int64, shape (n,)
        Codes of the city's cells, ascending; `Grid.over` finds them.
    offset_m : (float, float)
        How far the grid is moved east and north, metres.
    rotation_deg : float
        How far the grid is turned, counter-clockwise, degrees.

    Examples
    --------
    >>> grid = Grid.over([106.5510, 106.5512, 106.5700], [29.5630, 29.5631, 29.5630], size_m=250)
    >>> len(grid), grid.place([106.5511, 0.0], [29.5630, 0.0]).tolist()
    (2, [0, -1])
    >>> grid.names()
    ['250:-19:-17', '250:-12:-17']
    """

    centre: tuple[float, float]
    size_m: float
    cells: Ints = field(repr=False, default_factory=lambda: np.empty(0, np.int64))
    offset_m: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        if not SMALLEST_M <= self.size_m <= LARGEST_M:
            raise GridError(
                f"expected cells of {SMALLEST_M:g} to {LARGEST_M:g} m, found {self.size_m:g}; "
                "250 is usual"
            )

    @classmethod
    def over(
        cls,
        lon: ArrayLike,
        lat: ArrayLike,
        size_m: float,
        *,
        centre: tuple[float, float] | None = None,
        offset_m: tuple[float, float] = (0.0, 0.0),
        rotation_deg: float = 0.0,
    ) -> "Grid":
        """Lay a grid whose cells are those that hold at least one of the points.

        Parameters
        ----------
        lon, lat : array of shape (n,)
            Degrees. Points that are not finite are left out.
        centre : (float, float), optional
            By default the points' median, rounded to a tenth of a degree.

        Raises
        ------
        GridError
            If no point lies on Earth.
        """
        x, y = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        usable = np.isfinite(x) & (np.abs(y) <= 90)
        if not usable.any():
            raise GridError("expected at least one place on Earth, found none; bring incidents")
        x, y = x[usable], y[usable]
        empty = cls(centre or _middle(x, y), size_m, offset_m=offset_m, rotation_deg=rotation_deg)
        codes = np.unique(empty._codes(x, y))
        return replace(empty, cells=codes[codes >= 0])

    def moved(
        self, lon: ArrayLike, lat: ArrayLike, offset_m: tuple[float, float], rotation_deg: float = 0
    ) -> "Grid":
        """Lay the same grid moved and turned, its cells those that hold one of the points."""
        return Grid.over(
            lon,
            lat,
            self.size_m,
            centre=self.centre,
            offset_m=offset_m,
            rotation_deg=rotation_deg,
        )

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def columns(self) -> Ints:
        """Column of each cell, eastward from the centre."""
        return self.cells % (2 * SPAN) - SPAN

    @cached_property
    def rows(self) -> Ints:
        """Row of each cell, northward from the centre."""
        return self.cells // (2 * SPAN) - SPAN

    @property
    def area_m2(self) -> float:
        """Area of all cells, square metres."""
        return len(self) * self.size_m**2

    def place(self, lon: ArrayLike, lat: ArrayLike) -> Ints:
        """Position (0 to n-1) of the cell each point lies in; -1 outside the city's cells."""
        return self._found(self._codes(np.asarray(lon, np.float64), np.asarray(lat, np.float64)))

    def neighbour(self, columns: int, rows: int) -> Ints:
        """Position of the cell so many columns east and rows north of each; -1 where none is."""
        return self._found(_code(self.columns + columns, self.rows + rows))

    def centres(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of the cells' centres, degrees, shape (n,) each."""
        x, y = self.centres_m()
        return self._to_degrees(x, y)

    def centres_m(self) -> tuple[Floats, Floats]:
        """Metres east and north of the projection's centre, shape (n,) each."""
        u = (self.columns + 0.5).astype(np.float64) * self.size_m
        v = (self.rows + 0.5).astype(np.float64) * self.size_m
        return self._unturned(u, v)

    def corners(self) -> Floats:
        """Closed rings of longitude and latitude, counter-clockwise, shape (n, 5, 2).

        A ring is continuous: that of a cell on the 180th meridian goes on beyond 180 or -180.

        Examples
        --------
        >>> grid = Grid.over([179.999], [-16.8], 2_000, centre=(179.999, -16.8))
        >>> grid.corners()[0, :, 0].round(3).tolist()
        [179.999, 180.018, 180.018, 179.999, 179.999]
        """
        across = np.array([0, 1, 1, 0, 0])
        up = np.array([0, 0, 1, 1, 0])
        u = (self.columns[:, None] + across) * self.size_m
        v = (self.rows[:, None] + up) * self.size_m
        lon, lat = self._to_degrees(*self._unturned(u, v))
        return np.stack([np.unwrap(lon, period=360, axis=1), lat], axis=-1)

    def metres(self, lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
        """Metres east and north of the projection's centre, for any points."""
        x, y = self._projection.transform(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        return np.asarray(x), np.asarray(y)

    def inside(self, x_m: Floats, y_m: Floats) -> tuple[Floats, Floats]:
        """Where in its cell each point lies, as a share of the cell's sides, 0 to below 1.

        Parameters
        ----------
        x_m, y_m : float64 arrays of shape (n,)
            Metres, see `metres`.
        """
        u, v = self._turned(x_m, y_m)
        return u / self.size_m % 1.0, v / self.size_m % 1.0

    def names(self) -> list[str]:
        """Names of the cells, ``size:column:row``, which do not depend on which cells there are."""
        size = f"{self.size_m:g}"
        return [
            f"{size}:{column}:{row}"
            for column, row in zip(self.columns.tolist(), self.rows.tolist(), strict=True)
        ]

    def name(self, position: int) -> str:
        """Name of one cell."""
        return f"{self.size_m:g}:{self.columns[position]}:{self.rows[position]}"

    def as_dict(self) -> dict[str, Any]:
        """The grid for JSON."""
        return {
            "centre": list(self.centre),
            "size_m": self.size_m,
            "offset_m": list(self.offset_m),
            "rotation_deg": self.rotation_deg,
            "columns": self.columns.tolist(),
            "rows": self.rows.tolist(),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Grid":
        """Read what `as_dict` wrote."""
        columns, rows = (np.asarray(given[name], np.int64) for name in ("columns", "rows"))
        return cls(
            centre=(float(given["centre"][0]), float(given["centre"][1])),
            size_m=float(given["size_m"]),
            cells=_code(columns, rows),
            offset_m=(float(given["offset_m"][0]), float(given["offset_m"][1])),
            rotation_deg=float(given["rotation_deg"]),
        )

    def _found(self, codes: Ints) -> Ints:
        if not len(self):
            return np.full(codes.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(self.cells, codes), len(self) - 1)
        return np.where(self.cells[at] == codes, at, -1)

    def _codes(self, lon: Floats, lat: Floats) -> Ints:
        x, y = self.metres(lon, lat)
        with np.errstate(invalid="ignore"):
            u, v = self._turned(x, y)
            columns, rows = np.floor(u / self.size_m), np.floor(v / self.size_m)
        far = ~((np.abs(columns) < SPAN) & (np.abs(rows) < SPAN))
        codes = _code(
            np.where(far, 0, columns).astype(np.int64), np.where(far, 0, rows).astype(np.int64)
        )
        return np.where(far, np.int64(-1), codes)

    def _turned(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        cos, sin = self._angle
        x, y = x - self.offset_m[0], y - self.offset_m[1]
        return x * cos + y * sin, y * cos - x * sin

    def _unturned(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        cos, sin = self._angle
        return u * cos - v * sin + self.offset_m[0], u * sin + v * cos + self.offset_m[1]

    @property
    def _angle(self) -> tuple[float, float]:
        angle = np.deg2rad(self.rotation_deg)
        return float(np.cos(angle)), float(np.sin(angle))

    def _to_degrees(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        lon, lat = self._projection.transform(x, y, direction="INVERSE")
        return np.asarray(lon), np.asarray(lat)

    @cached_property
    def _projection(self) -> Transformer:
        lon, lat = self.centre
        own = f"+proj=laea +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m"
        return Transformer.from_crs("EPSG:4326", own, always_xy=True)


def _middle(lon: Floats, lat: Floats) -> tuple[float, float]:
    """Median of places; a city on the date line has its middle there, not across the Earth."""
    if np.ptp(lon) > 180:
        lon = lon % 360
    east = round(float(np.median(lon)), 1)
    return (east - 360 if east > 180 else east), round(float(np.median(lat)), 1)


def _code(columns: Ints, rows: Ints) -> Ints:
    return (rows + SPAN) * (2 * SPAN) + columns + SPAN
