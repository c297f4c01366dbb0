"""What the map's page shows beside the map: choices, the top of the list, a scale, a cell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from serving.console.scale import Scale
from serving.map_of_day import MapOfDay
from serving.maps import Maps
from serving.problems import Problem

__all__ = ["COVERAGES", "ROWS", "Board", "board"]

COVERAGES = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of the area an officer chooses from."""

ROWS = 100
"""Of the list; the map draws all."""

_DAYS = 14  # back from the newest map


@dataclass(frozen=True)
class Board:
    """A shift's map as a page shows it.

    Parameters
    ----------
    day : date
    days : sequence of date
        Those that have a map, the newest first, and the one that is shown.
    shifts : sequence of str
        Names of the shifts.
    drawn : mapping
        A `HotspotMap` without its features.
    cells : sequence of mapping
        `HotspotCell` of the first `ROWS`, each with its class on the scale and its district.
    count : int
        How many the map draws.
    scale : Scale
    as_of : datetime
        By the city's clock.
    """

    day: date
    days: Sequence[date]
    shifts: Sequence[str]
    drawn: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]]
    count: int
    scale: Scale
    as_of: datetime

    @property
    def chosen(self) -> dict[str, str]:
        """What was asked for, spelt out: a page's address means the same map tomorrow."""
        category = self.drawn["category"]
        return {
            "date": self.day.isoformat(),
            "shift": str(self.drawn["shift"]["position"]),
            **({"category": category} if category else {}),
            "coverage": f"{self.drawn['coverage']:g}",
        }

    @property
    def coverages(self) -> Sequence[float]:
        """The choices, the one that is shown among them."""
        return sorted({*COVERAGES, self.drawn["coverage"]})

    def clock(self, moment: datetime) -> str:
        """What the city's clocks show then."""
        return moment.astimezone(self.as_of.tzinfo).strftime("%H:%M")

    def query(self, **more: str) -> str:
        """The query string of this map, with more in it."""
        return urlencode({**self.chosen, **more})


def board(maps: Maps, drawn: Mapping[str, Any]) -> Board:
    """Set out a map that was drawn; call it in a thread, files are read.

    Parameters
    ----------
    maps : Maps
    drawn : mapping
        A `HotspotMap` as the API answers it.

    Raises
    ------
    Problem
        If the map is gone.
    """
    day = date.fromisoformat(drawn["date"])
    found = maps.day(day)
    cells = [feature["properties"] for feature in drawn["features"]]
    scale = Scale.of([cell["expected"] for cell in cells])
    return Board(
        day=day,
        days=tuple(_days(maps, day)),
        shifts=found.surface.shifts.names,
        drawn={name: value for name, value in drawn.items() if name != "features"},
        cells=tuple(_row(found, cell, scale) for cell in cells[:ROWS]),
        count=len(cells),
        scale=scale,
        as_of=_local(found, found.surface.as_of),
    )


def _row(found: MapOfDay, cell: Mapping[str, Any], scale: Scale) -> dict[str, Any]:
    district = _district(found, cell["cell"])
    return {**cell, "place": scale.place(cell["expected"]), "district": district}


def _district(found: MapOfDay, cell: str) -> str | None:
    """Name of the district in which a cell's centre lies; None: in none, or none are known."""
    if found.districts is None:
        return None
    at = found.district[found.surface.position(cell)]
    return found.districts.names[at] if at >= 0 else None


def _days(maps: Maps, shown: date) -> Iterator[date]:
    newest = maps.newest()
    last = {newest - timedelta(days=back) for back in range(_DAYS)}
    for day in sorted({*last, shown}, reverse=True):
        try:
            maps.require(day)
        except Problem:
            continue
        yield day


def _local(found: MapOfDay, moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(found.surface.shifts.zone))
