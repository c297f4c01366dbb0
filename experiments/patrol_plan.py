"""From a stored map and a file of stations to a shift's patrol plan: `forewarn patrol-plan`.

The same plan as over HTTP (`serving.patrol_plans`), without a clock on its search: the same map and
stations always give the same plan.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from data.places import Extent
from data.settings import Settings
from experiments.patrol_tables import read_stations, read_visits
from experiments.result import Result
from models.exposure import ExposureReport
from models.patrol import Cells, Constraints, Plan, PlanError, plan_patrol
from models.patrol_plan import Beat, LeftOut
from models.quick_response import ALL, Demand, QuickPoint, Reach, response_coverage
from models.surface import Surface
from serving.map_of_day import MapOfDay, stable_cells
from serving.maps import Maps
from serving.patrol_plans import plan_exposure
from serving.problems import Problem
from training.hotspot_map import check_picture, draw_map

__all__ = ["PlanAsked", "Planned", "made_plan"]

Progress = Callable[[str, float], None]
SHOWN = 3  # of the cells left out
COLUMNS = {
    "zh": ("巡逻组", "次序", "网格", "到达", "停留（分钟）", "本班预计（起）"),
    "en": ("unit", "order", "cell", "arrival", "minutes", "expected"),
}
WORDS = {
    "zh": {
        "title": "{day} {shift} 班次巡逻方案 · {category}",
        "all": "全部类别",
        "unit": "{unit}号巡逻组",
        "idle": "在{station}待命",
        "back": "返回{station}",
        "over": "结束",
        "unsure": "* 名次随网格画法而变；相邻的稳定网格也在方案中",
        "left": "未安排的网格共 {count} 个（全部列于 {file}），最值得去的：",
        "written": "已写入：{file}",
    },
    "en": {
        "title": "patrol plan of {day}, shift {shift} · {category}",
        "all": "all categories",
        "unit": "unit {unit}",
        "idle": "no stop: at {station}",
        "back": "back at {station}",
        "over": "end",
        "unsure": "* rank depends on how the grid is laid; a stable neighbour is on the plan",
        "left": "{count} cells without a stop (all are in {file}), those most worth one:",
        "written": "written: {file}",
    },
}


@dataclass(frozen=True)
class PlanAsked:
    """What plan is asked for.

    Parameters
    ----------
    stations : Path
        See `read_stations`.
    out : Path
        GeoJSON file to write.
    limits : callable
        Makes the constraints of the stations and the shift's minutes.
    day : date, optional
        By default that of the newest stored map.
    shift : str, optional
        Its name or position; by default the one that runs now, else the day's first.
    category : str, optional
        By default all together.
    coverage : float
        A cell is stable that keeps its place in this top share of the area; the picture shows it.
    visits : Path, optional
        Stops already made in the cap's period, see `read_visits`.
    picture : Path, optional
        PNG or SVG to draw.
    lang : str
        Of the table and the picture, ``zh`` or ``en``; the file has both.

    Raises
    ------
    PlanError, MapError
        If it could not be made.
    """

    stations: Path
    out: Path
    limits: Callable[..., Constraints] = Constraints
    day: date | None = None
    shift: str | None = None
    category: str | None = None
    coverage: float = 0.02
    visits: Path | None = None
    picture: Path | None = None
    lang: str = "zh"

    def __post_init__(self) -> None:
        """Refuse at once what would be refused after the search."""
        check_picture(self.picture or Path("none.png"), self.lang)
        if not 0 < self.coverage <= 1:
            raise PlanError(
                f"expected a coverage above 0 and at most 1, found {self.coverage:g}; 0.02 is 2 %"
            )


@dataclass(frozen=True, eq=False)
class Planned:
    """A shift's plan on a day's map.

    Attributes
    ----------
    surface : Surface
    shift : int
    plan : Plan
    reach : tuple of Reach
        What the stations reach within 1, 3 and 5 minutes, each and all together.
    exposure : ExposureReport or None
        Districts' shares of patrol time; None where no districts are known.
    notes : tuple of str
        What is not as it was asked for.
    """

    asked: PlanAsked
    surface: Surface
    shift: int
    plan: Plan
    reach: tuple[Reach, ...]
    exposure: ExposureReport | None
    notes: tuple[str, ...] = ()

    @cached_property
    def begin(self) -> datetime:
        """When the shift begins, by the city's clock."""
        return self.surface.shifts.begin(self.surface.day, self.shift)

    @property
    def files(self) -> tuple[Path, ...]:
        """What was written."""
        return tuple(file for file in (self.asked.out, self.asked.picture) if file is not None)

    def result(self) -> Result:
        """For people: each unit's stops in order; what they cover, and what they leave out."""
        words = WORDS[self.asked.lang]
        title = words["title"].format(
            day=self.surface.day,
            shift=self.surface.shifts.names[self.shift],
            category=self.asked.category or words["all"],
        )
        rows = [row for beat in self.plan.beats for row in self._steps(beat)]
        columns = COLUMNS[self.asked.lang]
        return Result(title, columns, rows, self._figures(), tuple(self._said()))

    def geojson(self) -> dict[str, Any]:
        """Stations, stops in order and ways, each with its sentences in both languages."""
        surface, plan = self.surface, self.plan
        page = plan.geojson(surface.grid)
        for feature in page["features"]:
            self._tell(feature["properties"])
        return {
            "type": page["type"],
            "date": surface.day.isoformat(),
            "shift": MapOfDay(surface, ()).times(self.shift),
            "category": self.asked.category,
            "coverage": self.asked.coverage,
            "as_of": surface.as_of.astimezone(UTC),
            "model": surface.model,
            "covered": plan.covered,
            "covered_share": plan.covered_share,
            "area_share": plan.area_share,
            "constraints": plan.constraints,
            "left_out": [_left_out(left) for left in plan.left_out],
            "quick_response": [reach.as_dict() | reach.sentences() for reach in self.reach],
            "exposure": None if self.exposure is None else self.exposure.as_dict(),
            "features": page["features"],
        }

    def _tell(self, properties: dict[str, Any]) -> None:
        """Add to a feature what it says; a stop's cell by its name, as everywhere."""
        beat = self.plan.beats[properties["unit"] - 1]
        said = beat.sentences(self.begin)
        if properties["kind"] == "stop":
            properties["cell"] = properties.pop("name")
            properties["arrive_at"] = self._at(properties["arrive_minute"])
            said = {tongue: [lines[properties["order"]]] for tongue, lines in said.items()}
        elif properties["kind"] == "station":
            said = {tongue: lines[:1] for tongue, lines in said.items()}
        properties |= said

    def _at(self, minutes: float) -> datetime:
        """A moment of the shift by the city's clock, whatever daylight saving does."""
        moment = self.begin.astimezone(UTC) + timedelta(minutes=minutes)
        return moment.astimezone(self.begin.tzinfo)

    def _steps(self, beat: Beat) -> Iterator[tuple[str, ...]]:
        words, station = WORDS[self.asked.lang], beat.station.name
        head = words["unit"].format(unit=beat.unit)
        if not beat.stops:
            yield head, "", words["idle"].format(station=station), "", "", ""
            return
        yield head, "", station, f"{self.begin:%H:%M}", "", ""
        for order, stop in enumerate(beat.stops, 1):
            arrival = f"{self._at(stop.arrive_minute):%H:%M}"
            name = stop.name if stop.stable else f"{stop.name} *"
            yield "", f"{order}", name, arrival, f"{stop.stay_minutes:g}", f"{stop.expected:.2f}"
        end = words["back"].format(station=station) if beat.returns else words["over"]
        yield "", "", end, f"{self._at(beat.end_minute):%H:%M}", "", ""

    def _said(self) -> Iterator[str]:
        words, tongue, plan = WORDS[self.asked.lang], self.asked.lang, self.plan
        yield plan.sentences(self.begin)[tongue][0]
        yield from (reach.sentences()[tongue] for reach in self.reach if reach.name == ALL)
        if any(not stop.stable for beat in plan.beats for stop in beat.stops):
            yield words["unsure"]
        if plan.left_out:
            yield words["left"].format(count=len(plan.left_out), file=self.asked.out.name)
            yield from (getattr(left, tongue) for left in plan.left_out[:SHOWN])
        if self.exposure is not None:
            yield from (one.said[tongue == "en"] for one in self.exposure.flagged)
        yield from self.notes
        yield from (words["written"].format(file=file) for file in self.files)

    def _figures(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "day": self.surface.day.isoformat(),
            "shift": self.surface.shifts.names[self.shift],
            "category": self.asked.category,
            "units": len(plan.beats),
            "stops": len(plan.cells),
            "covered": round(plan.covered, 4),
            "covered_share": round(plan.covered_share, 4),
            "area_share": round(plan.area_share, 4),
            "left_out": len(plan.left_out),
            "within_minutes": {
                f"{reach.minutes:g}": {
                    "expected_share": round(reach.expected_share, 4),
                    "area_share": round(reach.area_share, 4),
                }
                for reach in self.reach
                if reach.name == ALL
            },
            "files": [str(file) for file in self.files],
        }


def made_plan(
    asked: PlanAsked, settings: Settings, progress: Progress, now: datetime | None = None
) -> Planned:
    """Open the day's stored map, plan one of its shifts, write the plan and draw it.

    Parameters
    ----------
    now : datetime, optional
        Aware; says which shift runs where none is asked for.

    Raises
    ------
    PlanError, SurfaceError
        If no such map is stored, it has no such shift or category, or nobody could carry out such a
        plan.
    TableError
        If a file of stations or visits is wrong; it says where.
    """
    found = _opened(settings, asked.day)
    surface, shift = found.surface, _shift(found, asked.shift, now or datetime.now(UTC))
    layer = surface.layer(shift, asked.category)
    stations = read_stations(asked.stations, Extent.around(*surface.grid.centres()))
    limits = asked.limits(stations, shift_minutes=60.0 * surface.shifts.hours(shift))
    visits = None if asked.visits is None else read_visits(asked.visits, surface.grid)
    stable = stable_cells(layer, asked.coverage)
    progress(f"planning {sum(station.units for station in stations)} units", 0.1)
    plan = plan_patrol(Cells(surface.grid, layer.expected, stable, visits), limits)
    points = [QuickPoint(one.name, one.lon, one.lat) for one in stations if one.units]
    reach = response_coverage(points, Demand(surface.grid, layer.expected, limits.travel))
    exposure = plan_exposure(found, layer.expected, plan)
    notes = _drawn(asked, surface, shift, plan)
    planned = Planned(asked, surface, shift, plan, tuple(reach), exposure, notes)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    page = json.dumps(planned.geojson(), ensure_ascii=False, default=datetime.isoformat)
    asked.out.write_text(page, "utf-8")
    return planned


def _opened(settings: Settings, day: date | None) -> MapOfDay:
    """The stored map of a day, by default the newest."""
    maps = Maps.of(settings)
    try:
        chosen = day or maps.newest()
    except Problem as problem:
        raise PlanError(
            "expected a stored map, found none; make one with forewarn hotspots"
        ) from problem
    return MapOfDay(Surface.load(maps.folder / chosen.isoformat()), (), maps.districts)


def _shift(found: MapOfDay, name: str | None, now: datetime) -> int:
    try:
        return found.shift(name, now)
    except Problem as problem:
        names = ", ".join(found.surface.shifts.names)
        raise PlanError(f"expected a shift among {names}, found {name!r}; choose one") from problem


def _left_out(left: LeftOut) -> dict[str, Any]:
    return {
        "cell": left.name,
        "expected": left.expected,
        "reason": left.reason.value,
        "zh": left.zh,
        "en": left.en,
    }


def _drawn(asked: PlanAsked, surface: Surface, shift: int, plan: Plan) -> tuple[str, ...]:
    """Draw the picture; what is not as asked."""
    if asked.picture is None:
        return ()
    picture = draw_map(
        surface,
        shift,
        asked.picture,
        category=asked.category,
        coverage=asked.coverage,
        plan=plan,
        lang=asked.lang,
    )
    return (picture.note,) if picture.note else ()
