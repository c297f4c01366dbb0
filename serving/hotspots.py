"""Risk surfaces over HTTP: a shift's map as GeoJSON, and why a cell is on it.

The numbers are those stored with the surface, or follow from them; nothing is scored here. Who
asks again with the tag of what they have is told that it still holds.

References
----------
RFC 7946, The GeoJSON Format. RFC 9110, HTTP Semantics, section 13 (If-None-Match).
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from features.grid import Grid
from models.surface import Layer, Surface, SurfaceError
from serving.cell_words import from_numbers, stored
from serving.geojson import DECIMALS, shapes
from serving.hotspot_contracts import MAX_CELLS, CellQuestion, Explanation, MapQuestion
from serving.map_of_day import MapOfDay, share_in_top, stable_cells
from serving.maps import Maps
from serving.problems import Problem

__all__ = ["Drawn", "Hotspots", "geojson", "matches", "written"]

Ints = NDArray[np.int64]
_ANSWERS = 32  # maps kept as bytes
NOTE_ZH = "只画地点，不画人；仅依据市民报案；灰色网格的名次随网格画法而变，不单独据此派警"
NOTE_EN = (
    "Places, never people; from citizens' reports only; a grey cell's rank depends on how the grid "
    "is laid: nobody is sent for it alone"
)


@dataclass(frozen=True)
class Drawn:
    """A map as it is answered.

    Parameters
    ----------
    body : bytes
        GeoJSON.
    tag : str
        Its entity tag, quoted: the same for the same bytes.
    """

    body: bytes
    tag: str


class Hotspots:
    """Answers about the stored maps.

    Parameters
    ----------
    maps : Maps
    clock : callable
        Now, aware.
    """

    def __init__(
        self, maps: Maps, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._maps = maps
        self._clock = clock
        # of their own: a big map that is being read must not hold up the scorer's threads
        self._threads = ThreadPoolExecutor(2, "maps")
        self._drawn: OrderedDict[tuple[Any, ...], Drawn] = OrderedDict()

    async def map(self, question: MapQuestion) -> Drawn:
        """The top of a shift's list as GeoJSON.

        Raises
        ------
        Problem
            If there is no such map, shift or category, or it has too many cells.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._map, question)

    async def explanation(self, cell: str, question: CellQuestion) -> Explanation:
        """Why a cell is where it is on the list.

        Raises
        ------
        Problem
            If there is no such map, shift, category or cell.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._explanation, cell, question
        )

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _map(self, question: MapQuestion) -> Drawn:
        found = self._maps.day(question.date)
        shift = found.shift(question.shift, self._clock())
        key = (found.surface.day, found.stamp, shift, question.category, question.coverage)
        known = self._drawn.get(key)
        if known is None:
            _check_size(found.layer(shift, question.category), question.coverage)
            drawn = geojson(found, shift, question.category, question.coverage)
            known = self._drawn[key] = _drawn(drawn)
            while len(self._drawn) > _ANSWERS:
                self._drawn.popitem(last=False)
        return known

    def _explanation(self, cell: str, question: CellQuestion) -> Explanation:
        found = self._maps.day(question.date)
        surface = found.surface
        shift = found.shift(question.shift, self._clock())
        at = _position(surface, cell)
        (told,) = _cells(found, shift, question.category, np.array([at]), question.coverage)
        lon, lat = _some(surface.grid, np.array([at])).centres()
        kept = tuple(stored(surface, shift, at, question.category))
        reporting = found.bands(shift, question.category).said(at, question.coverage)
        return Explanation(
            **told,
            date=surface.day,
            shift=found.times(shift),
            category=question.category,
            coverage=question.coverage,
            as_of=surface.as_of.astimezone(UTC),
            model=surface.model,
            lon=round(float(lon[0]), DECIMALS),
            lat=round(float(lat[0]), DECIMALS),
            reasons_stored=bool(kept),
            sentences=(
                *kept,
                *from_numbers(told, len(surface.grid), reporting, question.category),
            ),
        )


def matches(tag: str, header: str | None) -> bool:
    """Whether ``If-None-Match`` names the tag; weakly compared, as RFC 9110 wants for a GET.

    Examples
    --------
    >>> matches('"a"', 'W/"b", "a"'), matches('"a"', "*"), matches('"a"', None)
    (True, True, False)
    """
    if header is None:
        return False
    named = {each.strip().removeprefix("W/") for each in header.split(",")}
    return tag in named or "*" in named


def written(value: Any) -> bytes:
    """JSON as we answer it; a float that is no number would be an error of ours."""
    return to_json(value, inf_nan_mode="constants")


def _position(surface: Surface, cell: str) -> int:
    try:
        return surface.position(cell)
    except SurfaceError:
        raise Problem(
            "not-found", "no cell of this map has this name; take it from the map"
        ) from None


def _check_size(layer: Layer, coverage: float) -> None:
    count = len(layer.top(coverage))
    if count > MAX_CELLS:
        raise Problem(
            "map-too-large",
            f"expected at most {MAX_CELLS} cells, found {count}; a coverage of "
            f"{floor(1e4 * MAX_CELLS / len(layer.order)) / 1e4:g} has fewer",
            {"limit_cells": MAX_CELLS},
        )


def _drawn(document: Mapping[str, Any]) -> Drawn:
    body = written(document)
    return Drawn(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def geojson(found: MapOfDay, shift: int, category: str | None, coverage: float) -> dict[str, Any]:
    """The cells at the top of a shift's list: a `HotspotMap`, dates and times as they are.

    Raises
    ------
    Problem
        If the map has no such category.
    SurfaceError
        If there is no such shift or coverage.
    """
    surface, layer = found.surface, found.layer(shift, category)
    chosen = layer.top(coverage)
    total = float(layer.expected.sum())
    drawn = shapes(_some(surface.grid, chosen))
    cells = _cells(found, shift, category, chosen, coverage)
    return {
        "type": "FeatureCollection",
        "date": surface.day,
        "shift": found.times(shift),
        "category": category,
        "categories": surface.categories,
        "coverage": coverage,
        "as_of": surface.as_of.astimezone(UTC),
        "model": surface.model,
        "cell_size_m": surface.grid.size_m,
        "cells": len(surface.grid),
        "area_share": len(chosen) / len(surface.grid),
        "expected_share": min(1.0, float(layer.expected[chosen].sum()) / total) if total else None,
        "note_zh": NOTE_ZH,
        "note_en": NOTE_EN,
        "features": [
            {"type": "Feature", "id": cell["cell"], "geometry": shape, "properties": cell}
            for cell, shape in zip(cells, drawn, strict=True)
        ],
    }


def _some(grid: Grid, chosen: Ints) -> Grid:
    """The same grid with some of its cells, in the order asked for."""
    return replace(grid, cells=grid.cells[chosen])


def _cells(
    found: MapOfDay, shift: int, category: str | None, chosen: Ints, coverage: float
) -> list[dict[str, Any]]:
    """`HotspotCell` of each chosen cell."""
    layer, bands = found.layer(shift, category), found.bands(shift, category)
    share = share_in_top(layer, coverage)[chosen].tolist()
    stable = stable_cells(layer, coverage)[chosen].tolist()
    numbers = [
        getattr(layer, name)[chosen].tolist() for name in ("expected", "low", "high", "usual")
    ]
    ranks = [getattr(layer, name)[chosen].tolist() for name in ("rank", "rank_low", "rank_high")]
    reported = np.stack([bands.best, bands.worst], axis=1)[chosen].tolist()
    names = _some(found.surface.grid, chosen).names()
    rows = zip(names, *numbers, *ranks, share, stable, reported, strict=True)
    return [
        {
            "cell": name,
            "rank": rank,
            "expected": _short(expected),
            "low": _short(low),
            "high": _short(high),
            "usual": _short(usual),
            "times_usual": round(expected / usual, 3) if usual > 0 else None,
            "stable": sure,
            "grey": not sure,
            "rank_low": best,
            "rank_high": worst,
            "share_in_top": round(part, 4),
            "rank_if_reporting_differs": ends,
        }
        for name, expected, low, high, usual, rank, best, worst, part, sure, ends in rows
    ]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
