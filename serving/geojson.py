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
WORLD = shapely.box(-180, -90, 180, 90)


def shapes(grid: Grid) -> Iterator[dict[str, Any]]:
    """The geometry of each cell, a Polygon unless the 180th meridian cuts it.

    Examples
    --------
    >>> next(shapes(Grid.over([106.55], [29.56], size_m=250)))["type"]
    'Polygon'
    >>> next(shapes(Grid.over([180.0], [-16.8], size_m=250, centre=(179.9, -16.8))))["type"]
    'MultiPolygon'
    """
    for ring in np.round(grid.corners(), DECIMALS):
        if np.abs(ring[:, 0]).max() > 180:
            yield _cut(ring)
        else:
            yield {"type": "Polygon", "coordinates": [ring.tolist()]}


def _cut(ring: NDArray[np.float64]) -> dict[str, Any]:
    """A cell that reaches beyond the 180th meridian, cut there (RFC 7946, section 3.1.9)."""
    cell = shapely.Polygon(ring)
    parts = [
        shapely.intersection(affinity.translate(cell, turn), WORLD, grid_size=10.0**-DECIMALS)
        for turn in (-360, 0, 360)
    ]
    rings = [[_coordinates(part)] for part in parts if part.area > 0]
    if len(rings) == 1:  # it lies wholly on the other side, or touches the meridian
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _coordinates(part: shapely.Polygon) -> list[Any]:
    ring = np.array(shapely.orient_polygons(part).exterior.coords)
    found: list[Any] = np.round(ring, DECIMALS).tolist()
    return found
