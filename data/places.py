"""A city's limits: whether a place lies within them, and what is wrong with one that does not.

Limits are a box or an outline in degrees (WGS 84). Where nobody has told them, they are a box
around the middle of the places that a file brings.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from data.problems import Problem

__all__ = ["EARTH", "FAULTS", "SOUND", "Extent", "PlaceError", "PlaceFault"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NULL_ISLAND_DEG = 0.01  # this near to 0, 0 a geocoder has failed; it is open sea
POLAR_DEG = 80.0  # no city lies beyond: Longyearbyen is at 78.2 degrees north
HALF_WIDTH_DEG = 3.0  # of a great circle, 334 km: Chongqing is 470 km from east to west


class PlaceError(ValueError):
    """A city's limits cannot be used, or not be found."""


class PlaceFault(StrEnum):
    """Why a place is refused."""

    NOT_FINITE = "not-finite"
    NULL_ISLAND = "null-island"
    SWAPPED = "swapped"
    OUTSIDE = "outside-city"


FAULTS = tuple(PlaceFault)
SOUND = -1


@dataclass(frozen=True)
class Extent:
    """Limits of a city, degrees; the border belongs to it.

    Parameters
    ----------
    west, south, east, north : float
        A box; one whose west is greater than its east crosses the date line (RFC 7946, 5.2).
    outline : shapely geometry, optional
        Polygon or multipolygon within the box: only what lies in it is in the city.

    Examples
    --------
    >>> city = Extent(105.3, 28.1, 110.2, 32.3)
    >>> city.fault(106.55, 29.56) is None, city.fault(29.56, 106.55), city.fault(0, 0)
    (True, <PlaceFault.SWAPPED: 'swapped'>, <PlaceFault.NULL_ISLAND: 'null-island'>)
    >>> print(city.problem(PlaceFault.SWAPPED))
    lon, lat: expected a place within 105.3 E to 110.2 E, 28.1 N to 32.3 N, found swapped: ...
    """

    west: float
    south: float
    east: float
    north: float
    outline: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not (self._is_box() and self.west != self.east):
            raise PlaceError(
                "expected west, south, east and north in degrees, south below north, found "
                f"{self.west}, {self.south}, {self.east}, {self.north}; "
                "write for example 105.3,28.1,110.2,32.3"
            )
        if self.outline is not None:
            shapely.prepare(self.outline)

    def _is_box(self) -> bool:
        sides = -180 <= self.west <= 180 and -180 <= self.east <= 180
        return sides and -90 <= self.south < self.north <= 90

    @classmethod
    def from_text(cls, text: str) -> "Extent":
        """Read ``west,south,east,north``, or the path of a GeoJSON file.

        Raises
        ------
        PlaceError
            If it is neither.
        """
        try:
            west, south, east, north = (float(part) for part in text.split(","))
        except ValueError:
            return cls.from_geojson(Path(text))
        return cls(west, south, east, north)

    @classmethod
    def from_geojson(cls, path: Path) -> "Extent":
        """Read an outline: a Polygon, MultiPolygon, Feature or FeatureCollection in degrees.

        Raises
        ------
        PlaceError
            If the file is missing or holds no area.

        References
        ----------
        RFC 7946, The GeoJSON format.
        """
        try:
            found = shapely.from_geojson(Path(path).read_text("utf-8-sig"))
        except (OSError, UnicodeDecodeError, shapely.errors.GEOSException) as error:
            raise PlaceError(
                f"expected a GeoJSON file or west,south,east,north, found {str(path)!r} "
                f"({type(error).__name__}); correct it"
            ) from None
        return cls._of(shapely.union_all(shapely.get_parts(found)), str(path))

    @classmethod
    def _of(cls, outline: Any, name: str) -> "Extent":
        if outline.geom_type not in {"Polygon", "MultiPolygon"} or not outline.is_valid:
            raise PlaceError(
                f"expected polygons that do not cross themselves in {name}, found "
                f"{outline.geom_type}; export the city's border as GeoJSON in degrees (WGS 84)"
            )
        west, south, east, north = map(float, outline.bounds)
        return cls(west, south, east, north, outline)

    @classmethod
    def around(cls, lon: ArrayLike, lat: ArrayLike) -> "Extent":
        """A box around the middle of places, 3 degrees of a great circle to each side.

        The middle is the median of the places as points of a sphere, so that neither the date
        line nor a few wrong places move it.

        Parameters
        ----------
        lon, lat : array of shape (n,)
            Degrees. Null island, the poles and what is not finite are left out.

        Raises
        ------
        PlaceError
            If no place is left, or if more than half lie outside the box.
        """
        x, y = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        usable = EARTH.judge(x, y) == SOUND
        if not usable.any():
            raise PlaceError(
                "expected at least one place on Earth, found none; correct the columns of "
                "longitude and latitude, or give the city's limits"
            )
        x, y = x[usable], y[usable]
        box = cls._box(*_middle(x, y))
        inside = float((box.judge(x, y) == SOUND).mean())
        if inside < 0.5:
            raise PlaceError(
                f"expected one city, found {inside:.0%} of the places within 330 km of their "
                "middle; give the city's limits as west,south,east,north or a GeoJSON file"
            )
        return box

    @classmethod
    def _box(cls, lon: float, lat: float) -> "Extent":
        across = np.sin(np.deg2rad(HALF_WIDTH_DEG)) / np.cos(np.deg2rad(lat))
        half = float(np.rad2deg(np.arcsin(min(across, 1.0))))
        south, north = max(lat - HALF_WIDTH_DEG, -90.0), min(lat + HALF_WIDTH_DEG, 90.0)
        west, south, east, north = (
            round(side, 2) for side in (_turned(lon - half), south, _turned(lon + half), north)
        )
        return cls(west, south, east, north)

    def judge(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int8]:
        """What is wrong with places.

        Parameters
        ----------
        lon, lat : array of shape (n,)
            Degrees.

        Returns
        -------
        array of int8, shape (n,)
            Place in `FAULTS`, -1 where nothing is wrong.
        """
        x, y = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        found = np.full(x.shape, FAULTS.index(PlaceFault.OUTSIDE), np.int8)
        found[self._within(y, x)] = FAULTS.index(PlaceFault.SWAPPED)
        found[self._within(x, y)] = SOUND
        nowhere = (np.abs(x) < NULL_ISLAND_DEG) & (np.abs(y) < NULL_ISLAND_DEG)
        found[nowhere] = FAULTS.index(PlaceFault.NULL_ISLAND)
        found[~(np.isfinite(x) & np.isfinite(y))] = FAULTS.index(PlaceFault.NOT_FINITE)
        return found

    def fault(self, lon: float, lat: float) -> PlaceFault | None:
        """What is wrong with one place; None if nothing is."""
        code = int(self.judge(np.array([lon]), np.array([lat]))[0])
        return None if code == SOUND else FAULTS[code]

    def problem(self, fault: PlaceFault) -> Problem:
        """The fault in words; the place itself is not told."""
        found, fix = SAID[fault]
        return Problem("lon, lat", f"a place within {self}", f"{fault}: {found}", fix)

    def __str__(self) -> str:
        sides = (
            f"{_named(self.west, 'EW')} to {_named(self.east, 'EW')}",
            f"{_named(self.south, 'NS')} to {_named(self.north, 'NS')}",
        )
        return ", ".join(sides) + ("" if self.outline is None else " and the city's outline")

    def as_dict(self) -> dict[str, Any]:
        """The limits for JSON."""
        sides = {name: getattr(self, name) for name in ("west", "south", "east", "north")}
        drawn = None if self.outline is None else json.loads(shapely.to_geojson(self.outline))
        return {**sides, "outline": drawn}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Extent":
        """Read what `as_dict` wrote."""
        drawn = given["outline"]
        outline = None if drawn is None else shapely.from_geojson(json.dumps(drawn))
        west, south, east, north = (
            float(given[name]) for name in ("west", "south", "east", "north")
        )
        return cls(west, south, east, north, outline)

    def _within(self, x: Floats, y: Floats) -> Mask:
        with np.errstate(invalid="ignore"):
            past_west, past_east = x >= self.west, x <= self.east
            turned = self.west > self.east
            across = (past_west | past_east) if turned else (past_west & past_east)
            inside = across & (np.abs(x) <= 180) & (y >= self.south) & (y <= self.north)
        if self.outline is not None:
            inside[inside] = shapely.intersects_xy(self.outline, x[inside], y[inside])
        return inside


SAID = {
    PlaceFault.NOT_FINITE: ("a coordinate that is no number", "geocode the place again"),
    PlaceFault.NULL_ISLAND: (
        "0 degrees east, 0 degrees north, where failed geocoding ends",
        "geocode the place again",
    ),
    PlaceFault.SWAPPED: (
        "latitude and longitude in each other's place",
        "exchange lon and lat",
    ),
    PlaceFault.OUTSIDE: (
        "a place beyond them",
        "correct the place, or give the city's limits if these are not they",
    ),
}

EARTH = Extent(-180.0, -POLAR_DEG, 180.0, POLAR_DEG)
"""Wherever a city can be."""


def _middle(lon: Floats, lat: Floats) -> tuple[float, float]:
    """Median of places on the sphere, coordinate by coordinate; a tenth of a degree is enough."""
    across, up = np.deg2rad(lon), np.deg2rad(lat)
    points = (np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up))
    x, y, z = (float(np.median(part)) for part in points)
    middle = np.rad2deg(np.arctan2(y, x)), np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    return round(float(middle[0]), 1), round(float(middle[1]), 1)


def _turned(lon: float) -> float:
    """The same longitude from -180 to 180."""
    return lon if -180 <= lon <= 180 else (lon + 180) % 360 - 180


def _named(degrees: float, sides: str) -> str:
    return f"{abs(degrees):g} {sides[degrees < 0]}"
