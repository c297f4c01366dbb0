"""What a patrol plan is made from, and what it is: units without names, places, minutes."""

from datetime import date as Date  # noqa: N812 - a field is called date
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from data.incidents import Category
from serving.hotspot_contracts import (
    Answer,
    Asked,
    Day,
    Latitude,
    Longitude,
    Share,
    ShiftName,
    ShiftTimes,
)

__all__ = ["MAX_UNITS", "CellName", "PatrolPlan", "PlanRequest", "Visits"]

MAX_UNITS = 40  # some 8 s of search; a bigger city plans a district at a time
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w][\w .:()·（）-]*$")
]
CellName = Annotated[str, StringConstraints(pattern=r"^[0-9.]{2,8}:-?[0-9]{1,7}:-?[0-9]{1,7}$")]


class StationGiven(Asked):
    """Where units start."""

    name: Label = Field(description="a place's name")
    lon: Longitude
    lat: Latitude
    units: int = Field(1, ge=0, le=MAX_UNITS, description="cars or pairs that start here")


class Visits(Asked):
    """Stops already made in a cell, in the cap's period."""

    cell: CellName = Field(description="name of the cell, as on the map")
    visits: int = Field(ge=0, le=10_000, description="how many stops")


class PointGiven(Asked):
    """Where a quick-response unit waits."""

    name: Label = Field(description="a place's name")
    lon: Longitude
    lat: Latitude


class PlanRequest(Asked):
    """What a shift's patrols may spend."""

    date: Day | None = Field(
        None, description="day on which the shifts begin; by default the newest map's"
    )
    shift: ShiftName | None = None
    category: Category | None = Field(None, description="by default all together")
    coverage: float = Field(
        0.02, gt=0, le=1, description="a cell is stable that keeps its place in this top share"
    )
    stations: tuple[StationGiven, ...] = Field(min_length=1, max_length=50)
    officer_minutes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="officer-minutes of all units together; by default every unit's whole shift",
    )
    officers_per_unit: int = Field(2, ge=1, le=10, description="officers in a unit")
    shift_minutes: float | None = Field(
        None,
        ge=16,
        le=1_440,
        description="minutes each unit has, travel included; by default the whole shift",
    )
    stop_minutes: float = Field(15, ge=10, le=16, description="minutes of a stop (Koper 1995)")
    max_stops_per_unit: int = Field(20, ge=1, le=50, description="stops of a unit at most")
    speed_kmh: float = Field(25, ge=1, le=200, description="km/h along the road, lights included")
    visit_cap: int = Field(
        7, ge=1, le=1_000, description="stops a cell may have in the period, this one included"
    )
    cap_period: Literal["day", "week"] = "week"
    return_to_station: bool = True
    visits: tuple[Visits, ...] = Field(
        (), max_length=10_000, description="stops already made in the period; 0 elsewhere"
    )
    quick_response_points: tuple[PointGiven, ...] = Field(
        (), max_length=200, description="what they reach within 1, 3 and 5 minutes is told as well"
    )
    keep: bool = Field(
        False, description="carry it out: it is kept, has a `plan_id`, and its dose is recorded"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        units = sum(station.units for station in self.stations)
        if not 1 <= units <= MAX_UNITS:
            raise ValueError(f"1 to {MAX_UNITS} units at all stations together")
        least = self.stop_minutes * self.officers_per_unit
        if self.officer_minutes is not None and self.officer_minutes < least:
            raise ValueError("officer_minutes for one stop of one unit at least")
        return self


class StationTold(Answer):
    """Where a unit starts."""

    name: str
    lon: Longitude
    lat: Latitude


class StopTold(Answer):
    """One stop."""

    cell: str = Field(description="name of the cell")
    arrive_at: datetime
    arrive_minute: float = Field(description="minutes from the shift's begin")
    travel_minutes: float = Field(description="minutes of the way to here")
    stay_minutes: float = Field(description="minutes here")
    expected: float = Field(description="incidents expected in the cell in the whole shift")
    stable: bool = Field(description="if not, a stable neighbour is on the plan")


class BeatTold(Answer):
    """What one unit does."""

    unit: int = Field(description="number of the unit, from 1")
    station: StationTold
    stops: tuple[StopTold, ...]
    travel_minutes: float = Field(description="minutes of all ways")
    end_minute: float = Field(description="minutes from the shift's begin to the end of the beat")
    returns: bool


class LeftOutTold(Answer):
    """A cell worth a stop that has none, and why."""

    cell: str
    expected: float = Field(description="incidents expected in the shift")
    reason: Literal["capacity", "cap", "unstable", "reach"]
    zh: str
    en: str


class ReachTold(Answer):
    """What the quick-response points reach in so many minutes."""

    minutes: float = Field(description="minutes of driving")
    area_share: Share = Field(description="share of the city's cells")
    expected_share: Share = Field(description="share of the incidents expected in the shift")


class QuickResponseTold(Answer):
    """How much of the city quick-response points reach."""

    points: int = Field(description="how many were given")
    within: tuple[ReachTold, ...]
    sentences_zh: tuple[str, ...]
    sentences_en: tuple[str, ...]


class DistrictTold(Answer):
    """One district's share of the patrols beside its share of what is expected."""

    name: str
    cells: int = Field(description="how many of the map's cells have their centre in it")
    area_share: Share = Field(description="their share of the cells of all districts")
    minutes: float = Field(description="minutes of all stops in it, ways not counted")
    minutes_share: Share = Field(description="of the minutes in all districts")
    expected: float = Field(description="incidents expected in the shift")
    expected_share: Share = Field(description="of those expected in all districts")
    ratio: float | None = Field(
        description="share of the minutes over share of the incidents; null: none are expected"
    )
    beyond_minutes: float = Field(description="minutes beyond its share; below 0: short of it")
    residents: float | None = Field(description="null: not known")
    residents_share: Share | None = Field(
        description="of the residents of all districts; null: those of some are not known"
    )
    minutes_per_1000: float | None = Field(description="by a thousand residents; null: not known")
    expected_per_1000: float | None = Field(description="by a thousand residents; null: not known")
    flagged: bool = Field(description="far beyond its share: review before it is carried out")
    zh: str
    en: str


class ExposureTold(Answer):
    """Whether the stops are where incidents are expected, district by district."""

    threshold: float = Field(description="ratio above which a district is flagged")
    distance: Share = Field(
        description="share of the minutes that would have to move for all ratios to be 1"
    )
    minutes_elsewhere: float = Field(description="minutes of stops that lie in no district")
    expected_elsewhere: float = Field(description="incidents expected in no district")
    districts: tuple[DistrictTold, ...] = Field(description="the largest ratio first")


class PatrolPlan(Answer):
    """Which cells, in what order, how long; and what was left out. Places only."""

    plan_id: str | None = Field(None, description="null: it was made and not kept")
    date: Date
    shift: ShiftTimes
    category: str | None = Field(description="null: all together")
    coverage: float = Field(description="share of the area that `stable` speaks of")
    as_of: datetime = Field(description="only what was known before went in (UTC)")
    model: str = Field(description="version of the model")
    covered: float = Field(description="incidents expected in the cells visited, in the shift")
    covered_share: Share = Field(description="their share of the city's")
    area_share: Share = Field(description="share of the city's cells that are visited")
    beats: tuple[BeatTold, ...]
    left_out: tuple[LeftOutTold, ...]
    sentences_zh: tuple[str, ...] = Field(description="what it covers, then each unit's steps")
    sentences_en: tuple[str, ...]
    geojson: dict[str, Any] = Field(description="RFC 7946: stations, routes and stops")
    quick_response: QuickResponseTold | None = Field(description="null: no points were given")
    exposure: ExposureTold | None = Field(
        description="null: no districts are known; FOREWARN_DISTRICTS names a file of them"
    )
