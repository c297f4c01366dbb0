"""A city's districts: their names, their borders, and how many people live there if that is known.

They are for reports of who is exposed to how much; no model learns from them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

__all__ = ["DistrictError", "Districts"]

Floats = NDArray[np.float64]
AREAS = ("Polygon", "MultiPolygon")


class DistrictError(ValueError):
    """A file of districts that cannot be used."""


@dataclass(frozen=True, eq=False)
class Districts:
    """Areas with names.

    Parameters
    ----------
    names : tuple of str, length d
    areas : array of shapely geometry, shape (d,)
        Polygons and multipolygons, degrees (WGS 84).
    residents : float64 array, shape (d,)
        Not a number where unknown.

    Examples
    --------
    >>> squares = shapely.box([106.0, 107.0], 29.0, [107.0, 108.0], 30.0)
    >>> districts = Districts(("渝中区", "江北区"), squares, np.array([6e5, np.nan]))
    >>> districts.of([106.5, 107.5, 109.0], [29.5, 29.5, 29.5]).tolist()
    [0, 1, -1]
    """

    names: tuple[str, ...]
    areas: NDArray[Any] = field(repr=False)
    residents: Floats = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> "Districts":
        """Read a GeoJSON FeatureCollection of areas, each with a ``name`` of its own.

        A property ``residents`` is read where there is one; all others are left alone.

        Raises
        ------
        DistrictError
            If it cannot be read or holds anything else.

        References
        ----------
        RFC 7946, The GeoJSON Format.
        """
        try:
            page = json.loads(path.read_text("utf-8-sig"))
        except (OSError, ValueError) as error:
            raise _wrong(f"none in {path} that can be read ({type(error).__name__})") from error
        features = page.get("features") if isinstance(page, dict) else None
        if not isinstance(features, list) or not features:
            raise _wrong(f"no features in {path}")
        names, areas, residents = zip(*_read(features, path), strict=True)
        if len(set(names)) < len(names):
            raise _wrong(f"one name twice in {path}")
        return cls(names, np.array(areas), np.array(residents, np.float64))

    def of(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
        """District of each point, a position in `names`; -1 where it lies in none.

        A point on a border, or where areas overlap, belongs to the first of them.

        Parameters
        ----------
        lon, lat : array of shape (n,)
            Degrees.
        """
        points = shapely.points(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        point, area = shapely.STRtree(self.areas).query(points, predicate="intersects")
        found = np.full(len(points), len(self.names), np.int64)
        np.minimum.at(found, point, area)
        return np.where(found < len(self.names), found, -1)


def _read(features: list[Any], path: Path) -> Iterator[tuple[str, Any, float]]:
    """Name, area and residents of each."""
    for number, feature in enumerate(features):
        where = f"in feature {number} of {path}"
        if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
            raise _wrong(f"no properties {where}")
        told = feature["properties"]
        name = told.get("name")
        if not isinstance(name, str) or not name.strip():
            raise _wrong(f"no name {where}")
        yield name.strip(), _area(feature.get("geometry"), where), _residents(told, where)


def _area(geometry: Any, where: str) -> Any:
    try:
        area = shapely.from_geojson(json.dumps(geometry))
    except shapely.errors.GEOSException as error:
        raise _wrong(f"no area {where}") from error
    if area is None or area.geom_type not in AREAS or area.is_empty or not area.is_valid:
        raise _wrong(f"no area, or one that crosses itself, {where}")
    west, south, east, north = area.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise _wrong(f"coordinates that are no degrees {where}")
    return area


def _residents(told: Mapping[str, Any], where: str) -> float:
    count = told.get("residents")
    if count is None:
        return np.nan
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count < np.inf:
        raise _wrong(f"residents that are no count {where}")
    return float(count)


def _wrong(found: str) -> DistrictError:
    return DistrictError(
        "expected districts as a GeoJSON FeatureCollection of polygons in degrees (WGS 84), each "
        f"with its own property name, found {found}; correct the file that FOREWARN_DISTRICTS "
        "names, or unset it"
    )
