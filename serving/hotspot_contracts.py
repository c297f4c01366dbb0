"""What the API takes and gives about places: maps, their cells, patrol plans, incidents.

No person is in any of it: a cell is a place, a unit is a car or a pair on foot without a name.
"""

import re
from datetime import date as Date  # noqa: N812 - a field is called date
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from data.incidents import Category
from models.reporting import PLAUSIBLE
from serving.contracts import FieldProblem

__all__ = [
    "COVERAGE",
    "MAX_CELLS",
    "MAX_INCIDENTS",
    "Answer",
    "Asked",
    "CellQuestion",
    "Day",
    "Explanation",
    "HotspotCell",
    "HotspotFeature",
    "HotspotMap",
    "IncidentReceipt",
    "Latitude",
    "Longitude",
    "MapQuestion",
    "Polygon",
    "RefusedIncident",
    "Sentence",
    "ShiftName",
    "ShiftTimes",
]

MAX_CELLS = 10_000  # some 5 MB of GeoJSON
MAX_INCIDENTS = 1_000
COVERAGE = 0.01
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _day(value: Any) -> Any:
    """A date in full: pydantic would take a number for seconds since 1970 as well."""
    if value is None or isinstance(value, Date):
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return Date.fromisoformat(value)
    except ValueError:
        pass  # its message would repeat the value
    raise ValueError("a day of the calendar as YYYY-MM-DD")


Day = Annotated[Date, BeforeValidator(_day, json_schema_input_type=Date)]
Share = Annotated[float, Field(ge=0, le=1)]
Longitude = Annotated[float, Field(ge=-180, le=180, description="degrees east, WGS 84")]
Latitude = Annotated[float, Field(ge=-90, le=90, description="degrees north, WGS 84")]
ShiftName = Annotated[
    str,
    Field(
        pattern=r"^([0-9]|1[0-9]|2[0-3]|[0-2][0-9]-[0-2][0-9])$",
        description="position of the shift (0 the day's first) or its hours, such as 08-16; by "
        "default the shift that runs now if the map is today's, else 0",
    ),
]


class Asked(BaseModel):
    """What a client may ask for."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )


class Answer(BaseModel):
    """What a client is told."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class CellQuestion(Asked):
    """Which map a cell is looked up on."""

    date: Day | None = Field(
        None, description="day on which the shifts begin; by default the newest map's"
    )
    shift: ShiftName | None = None
    category: Category | None = Field(
        None, description="as the incidents have it; by default all together"
    )
    coverage: float = Field(
        COVERAGE,
        gt=0,
        le=1,
        description="share of the area at the top of the list; whether a cell is stable is said "
        "for the nearest coverage that was certified",
    )


class MapQuestion(CellQuestion):
    """Which map is wanted, and how much of it."""


class ShiftTimes(Answer):
    """A shift of the map's day."""

    position: int = Field(description="0 the day's first")
    name: str = Field(description="hours of the city's clock")
    begins_at: datetime
    ends_at: datetime


class Polygon(Answer):
    """RFC 7946; a cell on the 180th meridian is cut there."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any] = Field(description="degrees, rings counter-clockwise and closed")


class HotspotCell(Answer):
    """What is expected in a cell, and how sure its place on the list is."""

    cell: str = Field(description="name of the cell: side in metres, column, row")
    rank: int = Field(description="1 the highest of all cells")
    expected: float = Field(description="incidents expected in the shift")
    low: float = Field(description="nine times in ten the true rate is at or above")
    high: float = Field(description="and at or below")
    usual: float = Field(description="incidents a shift that the past alone promises")
    times_usual: float | None = Field(description="expected over usual; null: usual is nothing")
    stable: bool = Field(
        description="keeps its place on this map when the grid is moved, turned, resized"
    )
    grey: bool = Field(description="not stable: draw it grey, never send anybody for it alone")
    rank_low: int = Field(description="best rank over those grids")
    rank_high: int = Field(description="worst rank over those grids")
    share_in_top: Share = Field(description="share of those grids with the cell at the top")
    rank_if_reporting_differs: tuple[int, int] = Field(
        description="best and worst rank, nine times in ten, if the share of incidents that is "
        f"reported lies anywhere from {PLAUSIBLE[0]:.0%} to {PLAUSIBLE[1]:.0%} in each cell"
    )


class HotspotFeature(Answer):
    """A cell as a GeoJSON Feature."""

    type: Literal["Feature"]
    id: str
    geometry: Polygon
    properties: HotspotCell


class HotspotMap(Answer):
    """The cells at the top of a shift's list, the highest first, as GeoJSON (RFC 7946)."""

    type: Literal["FeatureCollection"]
    date: Date
    shift: ShiftTimes
    category: str | None = Field(description="null: all together")
    categories: tuple[str, ...] = Field(description="those the map has")
    coverage: float = Field(description="share of the area asked for")
    as_of: datetime = Field(description="only what was known before went in (UTC)")
    model: str = Field(description="version of the model")
    cell_size_m: float = Field(description="side of a cell in metres")
    cells: int = Field(description="how many the city has")
    area_share: Share = Field(description="share of the area that is shown")
    expected_share: Share | None = Field(
        description="share of all expected incidents in it; null: none are expected"
    )
    note_zh: str
    note_en: str
    features: tuple[HotspotFeature, ...]


class Sentence(Answer):
    """One reason for a cell's place on the list."""

    category: str | None = Field(description="of which category; null: all together")
    zh: str
    en: str


class Explanation(HotspotCell):
    """Why a cell is where it is on the list."""

    date: Date
    shift: ShiftTimes
    category: str | None = Field(description="null: all together")
    coverage: float = Field(description="share of the area that `stable` speaks of")
    as_of: datetime = Field(description="only what was known before went in (UTC)")
    model: str = Field(description="version of the model")
    lon: Longitude = Field(description="degrees east, of the cell's centre")
    lat: Latitude = Field(description="degrees north, of the cell's centre")
    reasons_stored: bool = Field(
        description="the map was made with reasons for this cell; else only its numbers are told"
    )
    sentences: tuple[Sentence, ...]


class RefusedIncident(Answer):
    """A record that broke its contract; its values are only in the quarantine, sealed."""

    index: int = Field(description="place in the request, from 0")
    type: str = Field(description="as a problem's type")
    quarantine_id: str
    errors: tuple[FieldProblem, ...]


class IncidentReceipt(Answer):
    """What became of the incidents sent."""

    accepted: int = Field(description="recorded, duplicates included")
    duplicates: int = Field(description="of these, known before")
    origin_assumed: int = Field(
        description="of the accepted, those without an origin: a new one counts as reported by a "
        "citizen; send origin where patrols discover incidents as well"
    )
    refused: tuple[RefusedIncident, ...]
