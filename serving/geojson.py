"""Cells as GeoJSON shapes: closed rings, counter-clockwise, in degrees.

References
----------
RFC 7946, The GeoJSON Format.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from features.grid import Grid

__all__ = ["DECIMALS", "MEDIA_TYPE", "shapes"]

MEDIA_TYPE = "application/geo+json"
DECIMALS = 6  # of a degree, 10 cm: RFC 7946, section 11.2


def shapes(grid: Grid) -> Iterator[dict[str, Any]]:
    """The geometry of each cell, a Polygon unless the 180th meridian cuts it.

    Examples
    --------
    >>> next(shapes(Grid.over([106.55], [29.56], size_m=250)))["type"]
    'Polygon'
    >>> next(shapes(Grid.over([180.0], [-16.8], size_m=250, centre=(179.9, -16.8))))["type"]
    'MultiPolygon'
    """
    for ring in grid.corners():
        if np.ptp(ring[:, 0]) < 180:
            yield {"type": "Polygon", "coordinates": [_rounded(ring)]}
        else:
            yield _cut(ring)


def _cut(ring: NDArray[np.float64]) -> dict[str, Any]:
    """A cell on the 180th meridian, in two parts (RFC 7946, section 3.1.9)."""
    whole = shapely.Polygon(np.column_stack([ring[:, 0] % 360, ring[:, 1]]))
    east = shapely.intersection(whole, shapely.box(0, -90, 180, 90))
    west = shapely.intersection(whole, shapely.box(180, -90, 360, 90))
    parts = [east, affinity.translate(west, -360)]
    rings = [np.array(shapely.orient_polygons(part).exterior.coords) for part in parts]
    return {"type": "MultiPolygon", "coordinates": [[_rounded(one)] for one in rings]}


def _rounded(ring: NDArray[np.float64]) -> list[Any]:
    found: list[Any] = np.round(ring, DECIMALS).tolist()
    return found
