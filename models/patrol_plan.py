"""A patrol plan as officers and maps read it: stops with their times, and what was left out why."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.grid import Grid
from models.patrol_inputs import Station
from models.travel import PlanError

__all__ = ["Beat", "LeftOut", "Plan", "Reason", "Stop"]

Floats = NDArray[np.float64]
DECIMALS = 6  # of a degree: a tenth of a metre


class Reason(StrEnum):
    """Why a cell that is worth a stop has none."""

    CAPACITY = "capacity"
    CAP = "cap"
    UNSTABLE = "unstable"
    REACH = "reach"


@dataclass(frozen=True)
class Stop:
    """One stop.

    Parameters
    ----------
    cell : int
        Position on the grid.
    name : str
    travel_minutes, arrive_minute, stay_minutes : float
        Way to here, arrival counted from the shift's begin, time here.
    expected : float
        Incidents expected in the cell this shift: present while the stop lasts, not prevented.
    stable : bool
        Whether the cell holds its rank when the grid is moved.
    """

    cell: int
    name: str
    travel_minutes: float
    arrive_minute: float
    stay_minutes: float
    expected: float
    stable: bool


@dataclass(frozen=True)
class Beat:
    """What one unit does in the shift.

    Parameters
    ----------
    unit : int
        From 1.
    station : Station
    stops : tuple of Stop
        In order; a unit without work has none.
    end_minute : float
        Back at the station, or the last stop's end, counted from the shift's begin.
    travel_minutes : float
        All ways, the one back included where the unit returns.
    returns : bool
    """

    unit: int
    station: Station
    stops: tuple[Stop, ...]
    end_minute: float
    travel_minutes: float
    returns: bool = True

    def sentences(self, begin: datetime) -> dict[str, list[str]]:
        """The beat for officers: one sentence a step, in Chinese and English."""
        return {
            "zh": [zh for zh, _ in self._steps(begin)],
            "en": [en for _, en in self._steps(begin)],
        }

    def _steps(self, begin: datetime) -> Iterator[tuple[str, str]]:
        name, number = self.station.name, self.unit
        if not self.stops:
            yield f"{number}号巡逻组：无停留点，在{name}待命", f"Unit {number}: no stop, at {name}"
            return
        count, way = len(self.stops), f"{self.travel_minutes:.0f}"
        yield (
            f"{number}号巡逻组：{_clock(begin, 0)} 从{name}出发，停留 {count} 处，路上 {way} 分钟",
            f"Unit {number}: {_clock(begin, 0)} leave {name}, {count} stops, {way} min on the way",
        )
        for stop in self.stops:
            at, stay = _clock(begin, stop.arrive_minute), f"{stop.stay_minutes:g}"
            risk = f"{stop.expected:.2g}"
            yield (
                f"{at} 到达 {stop.name}，停留 {stay} 分钟（本班预计 {risk} 起）",
                f"{at} arrive at {stop.name}, stay {stay} min ({risk} incidents expected)",
            )
        end = _clock(begin, self.end_minute)
        if self.returns:
            yield f"{end} 返回{name}", f"{end} back at {name}"
        else:
            yield f"{end} 结束最后一处停留", f"{end} end of the last stop"


@dataclass(frozen=True)
class LeftOut:
    """A cell that is worth a stop and has none, and why, in Chinese and English."""

    cell: int
    name: str
    expected: float
    reason: Reason
    zh: str
    en: str


@dataclass(frozen=True)
class Plan:
    """A shift's patrol plan. Of places only: it names no one.

    Parameters
    ----------
    beats : tuple of Beat
        One a unit.
    left_out : tuple of LeftOut
        The cells most worth a stop that have none, the most worth first.
    covered, covered_share : float
        Incidents expected in the cells visited during the shift, and their share of the city's.
    area_share : float
        Share of the city's cells that are visited.
    constraints : mapping
        What the plan was made under.
    """

    beats: tuple[Beat, ...]
    left_out: tuple[LeftOut, ...]
    covered: float
    covered_share: float
    area_share: float
    constraints: Mapping[str, Any]

    @property
    def cells(self) -> list[int]:
        """Positions of the cells visited, ascending."""
        return sorted(stop.cell for beat in self.beats for stop in beat.stops)

    def sentences(self, begin: datetime) -> dict[str, list[str]]:
        """The whole plan for officers: what it covers, each unit's steps, what was left out.

        Parameters
        ----------
        begin : datetime
            When the shift begins, aware; its zone is the clock's.

        Raises
        ------
        PlanError
            If `begin` has no zone.
        """
        if begin.tzinfo is None:
            raise PlanError(
                f"expected a begin with its time zone, found {begin.isoformat()}; use Shifts.begin"
            )
        steps = [beat.sentences(begin) for beat in self.beats]
        head = {
            "zh": f"到达的网格本班预计共 {self.covered:.2f} 起，占全市预计的 "
            f"{self.covered_share:.1%}，占面积的 {self.area_share:.1%}",
            "en": f"The cells visited expect {self.covered:.2f} incidents this shift, "
            f"{self.covered_share:.1%} of the city's, on {self.area_share:.1%} of its area",
        }
        return {
            tongue: [
                head[tongue],
                *(line for step in steps for line in step[tongue]),
                *(getattr(left, tongue) for left in self.left_out),
            ]
            for tongue in ("zh", "en")
        }

    def as_dict(self) -> dict[str, Any]:
        """The plan for JSON."""
        return {
            "covered": self.covered,
            "covered_share": self.covered_share,
            "area_share": self.area_share,
            "constraints": dict(self.constraints),
            "beats": [asdict(beat) for beat in self.beats],
            "left_out": [{**asdict(left), "reason": left.reason.value} for left in self.left_out],
        }

    def geojson(self, grid: Grid) -> dict[str, Any]:
        """Routes as lines, stops and stations as points.

        Parameters
        ----------
        grid : Grid
            The one the plan was made on.
        """
        lon, lat = grid.centres()
        centres: Floats = np.stack([lon, lat], axis=1).round(DECIMALS)
        features: list[dict[str, Any]] = []
        for beat in self.beats:
            features += _features(beat, centres)
        return {"type": "FeatureCollection", "features": features}


def _features(beat: Beat, centres: Floats) -> Iterator[Any]:
    home = [round(beat.station.lon, DECIMALS), round(beat.station.lat, DECIMALS)]
    places = [centres[stop.cell].tolist() for stop in beat.stops]
    name = {"unit": beat.unit, "station": beat.station.name}
    yield _feature("Point", home, {"kind": "station", **name})
    if places:
        line = [home, *places, *([home] if beat.returns else [])]
        times = {"travel_minutes": beat.travel_minutes, "end_minute": beat.end_minute}
        yield _feature("LineString", line, {"kind": "route", **name, **times})
    for order, (stop, place) in enumerate(zip(beat.stops, places, strict=True), start=1):
        yield _feature("Point", place, {"kind": "stop", **name, "order": order, **asdict(stop)})


def _feature(kind: str, coordinates: list[Any], properties: dict[str, Any]) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _clock(begin: datetime, minutes: float) -> str:
    """``22:10`` by the shift's own clock, whatever daylight saving does on the way."""
    moment = begin.astimezone(UTC) + timedelta(minutes=minutes)
    return moment.astimezone(begin.tzinfo).strftime("%H:%M")
