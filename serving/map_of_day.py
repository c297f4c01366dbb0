"""One day's open surface: its shifts by name, its layers, how sure its cells' ranks are."""

from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.districts import Districts
from models.reporting import RankBands, rank_bands
from models.surface import Layer, Surface, SurfaceError
from serving.asking import wrong

__all__ = ["MapOfDay", "Stamp", "share_in_top", "stable_cells"]

Stamp = tuple[tuple[int, int, int], ...]
"""Time, inode and size of each of a surface's files."""


class MapOfDay:
    """An open surface, and which writing of it this is.

    Parameters
    ----------
    surface : Surface
    stamp : Stamp
    districts : Districts, optional
        The city's.
    """

    def __init__(self, surface: Surface, stamp: Stamp, districts: Districts | None = None) -> None:
        self.surface = surface
        self.stamp = stamp
        self.districts = districts
        self._sorted = lru_cache(maxsize=8)(surface.layer)
        self._drawn = lru_cache(maxsize=8)(self._bands)

    def layer(self, shift: int, category: str | None) -> Layer:
        """One shift's map; the last few stay sorted.

        Raises
        ------
        Problem
            If the map has no such category.
        """
        try:
            return self._sorted(shift, category)
        except SurfaceError:
            there = f"one of {', '.join(self.surface.categories)}"
            raise wrong("category", there, "another", "or leave it out for all") from None

    def bands(self, shift: int, category: str | None) -> RankBands:
        """Where each cell's rank may lie if reporting differs; the last few stay drawn.

        Raises
        ------
        Problem
            If the map has no such category.
        """
        return self._drawn(shift, category)

    def _bands(self, shift: int, category: str | None) -> RankBands:
        return rank_bands(self.layer(shift, category).expected)

    @cached_property
    def district(self) -> NDArray[np.int64]:
        """Position of the district in which each cell's centre lies, shape (n,); -1: in none."""
        if self.districts is None:
            return np.full(len(self.surface.grid), -1, np.int64)
        return self.districts.of(*self.surface.grid.centres())

    def shift(self, name: str | None, now: datetime) -> int:
        """Position of the shift asked for; by default the one that runs now, on the map's day.

        Raises
        ------
        Problem
            If the map has no such shift.
        """
        shifts = self.surface.shifts
        if name is None:
            day, shift = shifts.of(pd.DatetimeIndex([now]))
            today = shifts.date_of(int(day[0])) == self.surface.day
            return int(shift[0]) if today else 0
        position = shifts.names.index(name) if name in shifts.names else _number(name)
        if position not in range(len(shifts)):
            expected = f"0 to {len(shifts) - 1} or one of {', '.join(shifts.names)}"
            raise wrong("shift", expected, "another shift", "take one of these")
        return position

    def times(self, shift: int) -> dict[str, Any]:
        """What a shift is called, and when it is."""
        shifts, day = self.surface.shifts, self.surface.day
        last = shift + 1 == len(shifts)
        after = shifts.date_of(shifts.number_of(day) + last)
        return {
            "position": shift,
            "name": shifts.names[shift],
            "begins_at": shifts.begin(day, shift),
            "ends_at": shifts.begin(after, 0 if last else shift + 1),
        }


def share_in_top(layer: Layer, coverage: float) -> NDArray[np.float32]:
    """Share of the grids with each cell at the top, at the nearest coverage that was certified."""
    if not layer.share_in_top:  # nothing is sure of a map without a certificate
        return np.zeros(len(layer.order), np.float32)
    return layer.share_in_top[min(layer.share_in_top, key=lambda kept: abs(kept - coverage))]


def stable_cells(layer: Layer, coverage: float) -> NDArray[np.bool_]:
    """Cells that keep their place at the top."""
    return layer.stable(coverage) if layer.share_in_top else np.zeros(len(layer.order), bool)


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else -1
