"""The ground under a map without tiles: the outline of the city's cells, and its districts."""

from typing import Any

import numpy as np
import shapely

from data.districts import Districts
from features.grid import Grid
from serving.geojson import DECIMALS

__all__ = ["outline"]


def outline(grid: Grid, districts: Districts | None) -> dict[str, Any]:
    """The city as GeoJSON: one Feature of kind ``city``, one of kind ``district`` for each.

    Parameters
    ----------
    grid : Grid
    districts : Districts, optional
        Their borders are drawn, and their names where a point inside is.

    Examples
    --------
    >>> found = outline(Grid.over([106.55, 106.5505], [29.56, 29.5605], size_m=250), None)
    >>> [feature["properties"]["kind"] for feature in found["features"]]
    ['city']
    """
    rings = np.round(grid.corners(), DECIMALS)
    city = shapely.coverage_union_all(shapely.polygons(rings))
    features = [_feature(city, {"kind": "city"})]
    if districts is not None:
        for name, area in zip(districts.names, districts.areas, strict=True):
            inside = shapely.point_on_surface(area)
            place = [round(inside.x, DECIMALS), round(inside.y, DECIMALS)]
            features.append(_feature(area, {"kind": "district", "name": name, "at": place}))
    west, south, east, north = city.bounds
    return {"type": "FeatureCollection", "bbox": [west, south, east, north], "features": features}


def _feature(area: Any, properties: dict[str, Any]) -> dict[str, Any]:
    geometry = shapely.geometry.mapping(area)
    return {"type": "Feature", "geometry": geometry, "properties": properties}
