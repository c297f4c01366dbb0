"""A patrol plan out of a stored map: what `models.patrol` finds, as the API tells it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.exposure import ExposureReport, exposure
from models.patrol import Cells, Constraints, Plan, PlanError, Station, plan_patrol
from models.patrol_plan import Beat
from models.quick_response import Demand, QuickPoint, response_coverage
from models.surface import Surface
from models.travel import Travel
from serving.asking import wrong
from serving.map_of_day import MapOfDay, stable_cells
from serving.plan_contracts import PatrolPlan, PlanRequest
from serving.problems import Problem

__all__ = ["patrol_plan", "plan_exposure"]

Floats = NDArray[np.float64]
ROUNDS = 100
UNIT_ROUNDS = 1_000  # a round takes longer the more units there are
SEARCH_S = 1.0  # of each of the search's steps at most; small plans end before


def patrol_plan(found: MapOfDay, request: PlanRequest, now: datetime) -> PatrolPlan:
    """Plan a shift's stops.

    Parameters
    ----------
    found : MapOfDay
    request : PlanRequest
    now : datetime
        Aware; says which shift runs where none is asked for.

    Raises
    ------
    Problem
        If the map has no such shift, category or cell, or nobody could carry out such a plan.
    """
    surface = found.surface
    shift = found.shift(request.shift, now)
    layer = found.layer(shift, request.category)
    stable = stable_cells(layer, request.coverage)
    cells = Cells(surface.grid, layer.expected, stable, _visits(surface, request))
    try:
        constraints = _constraints(surface, shift, request)
        rounds = min(ROUNDS, UNIT_ROUNDS // sum(each.units for each in request.stations))
        plan = plan_patrol(cells, constraints, rounds=rounds, seconds=SEARCH_S)
        return _told(found, shift, request, plan)
    except PlanError as error:
        # what was asked for is not repeated
        raise Problem("no-plan", str(error).partition(", found ")[0]) from error


def plan_exposure(found: MapOfDay, expected: Floats, plan: Plan) -> ExposureReport | None:
    """Set a plan's stops beside what is expected, district by district; None without districts.

    Parameters
    ----------
    found : MapOfDay
    expected : float64 array (n,)
        Incidents expected in each cell, as the plan was made for.
    plan : Plan
    """
    if found.districts is None:
        return None
    minutes = np.zeros(len(expected))
    for beat in plan.beats:
        for stop in beat.stops:
            minutes[stop.cell] += stop.stay_minutes
    return exposure(
        found.districts.names,
        found.district,
        minutes,
        expected,
        residents=found.districts.residents,
    )


def _constraints(surface: Surface, shift: int, request: PlanRequest) -> Constraints:
    return Constraints(
        tuple(Station(**station.model_dump()) for station in request.stations),
        shift_minutes=request.shift_minutes or 60.0 * surface.shifts.hours(shift),
        officer_minutes=request.officer_minutes,
        officers_per_unit=request.officers_per_unit,
        stop_minutes=request.stop_minutes,
        max_stops_per_unit=request.max_stops_per_unit,
        speed_kmh=request.speed_kmh,
        visit_cap=request.visit_cap,
        cap_period=request.cap_period,
        return_to_station=request.return_to_station,
    )


def _visits(surface: Surface, request: PlanRequest) -> NDArray[np.int64]:
    made = np.zeros(len(surface.grid), np.int64)
    if request.visits:
        at = {name: place for place, name in enumerate(surface.grid.names())}
        for number, one in enumerate(request.visits):
            if one.cell not in at:
                raise wrong(
                    f"visits.{number}.cell", "a cell of this map", "another", "take it from the map"
                )
            made[at[one.cell]] += one.visits
    return made


def _told(found: MapOfDay, shift: int, request: PlanRequest, plan: Plan) -> PatrolPlan:
    surface = found.surface
    begin = surface.shifts.begin(surface.day, shift)
    # what was left out says so itself, and comes last here
    sentences = {
        tongue: lines[: len(lines) - len(plan.left_out)]
        for tongue, lines in plan.sentences(begin).items()
    }
    return PatrolPlan.model_validate(
        {
            "date": surface.day,
            "shift": found.times(shift),
            "category": request.category,
            "coverage": request.coverage,
            "as_of": surface.as_of.astimezone(UTC),
            "model": surface.model,
            "covered": plan.covered,
            "covered_share": min(1.0, plan.covered_share),
            "area_share": plan.area_share,
            "beats": [_beat(beat, begin) for beat in plan.beats],
            "left_out": [
                {
                    "cell": left.name,
                    "expected": left.expected,
                    "reason": left.reason.value,
                    "zh": left.zh,
                    "en": left.en,
                }
                for left in plan.left_out
            ],
            "sentences_zh": sentences["zh"],
            "sentences_en": sentences["en"],
            "geojson": _geojson(plan, surface),
            "quick_response": _quick_response(found, shift, request),
            "exposure": _exposure(found, shift, request, plan),
        }
    )


def _beat(beat: Beat, begin: datetime) -> dict[str, Any]:
    home = beat.station
    return {
        "unit": beat.unit,
        "station": {"name": home.name, "lon": home.lon, "lat": home.lat},
        "stops": [
            {
                "cell": stop.name,
                "arrive_at": begin.astimezone(UTC) + timedelta(minutes=stop.arrive_minute),
                "arrive_minute": stop.arrive_minute,
                "travel_minutes": stop.travel_minutes,
                "stay_minutes": stop.stay_minutes,
                "expected": stop.expected,
                "stable": stop.stable,
            }
            for stop in beat.stops
        ],
        "travel_minutes": beat.travel_minutes,
        "end_minute": beat.end_minute,
        "returns": beat.returns,
    }


def _quick_response(found: MapOfDay, shift: int, request: PlanRequest) -> dict[str, Any] | None:
    points = [QuickPoint(**point.model_dump()) for point in request.quick_response_points]
    if not points:
        return None
    expected = found.layer(shift, request.category).expected
    demand = Demand(found.surface.grid, expected, Travel(request.speed_kmh))
    # of each of the minutes the last tells of all points together
    together = response_coverage(points, demand)[len(points) :: len(points) + 1]
    said = [reach.sentences() for reach in together]
    return {
        "points": len(points),
        "within": [
            {
                "minutes": reach.minutes,
                "area_share": reach.area_share,
                "expected_share": reach.expected_share,
            }
            for reach in together
        ],
        "sentences_zh": [one["zh"] for one in said],
        "sentences_en": [one["en"] for one in said],
    }


def _exposure(
    found: MapOfDay, shift: int, request: PlanRequest, plan: Plan
) -> dict[str, Any] | None:
    report = plan_exposure(found, found.layer(shift, request.category).expected, plan)
    return None if report is None else report.as_dict()


def _geojson(plan: Plan, surface: Surface) -> dict[str, Any]:
    """The plan's features; a stop's cell by its name, as everywhere in the API."""
    drawn = plan.geojson(surface.grid)
    for feature in drawn["features"]:
        properties = feature["properties"]
        if properties["kind"] == "stop":
            properties["cell"] = properties.pop("name")
    return drawn
