"""The page of the hotspot map: what is asked of it, and what it answers.

One address shows everything, the cell that is looked at included, so that a page can be sent to a
colleague; htmx takes from it the parts that changed.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from serving.asking import from_body, from_query
from serving.console.board import Board, board
from serving.console.filled import texts
from serving.console.outline import outline
from serving.console.pages import Pages
from serving.console.patrols import carried_out, offered
from serving.console.stations import Mistake, decoded, read_stations
from serving.console.sureness import Sureness
from serving.geojson import MEDIA_TYPE
from serving.hotspot_contracts import CellQuestion, MapQuestion
from serving.hotspots import Drawn, Hotspots, matches, written
from serving.map_of_day import MapOfDay
from serving.maps import Maps
from serving.plan_contracts import PatrolPlan, PlanRequest
from serving.planner import Planner
from serving.problems import Problem

__all__ = ["cells", "city", "map_page", "plan_page"]

PAGE = "map.html"
_ASKED = tuple(MapQuestion.model_fields)
_UPLOAD = 64 * 1024  # bytes; the border stops a larger body as well


@dataclass(frozen=True)
class _Plan:
    """What became of the form for a plan."""

    made: PatrolPlan | None = None
    mistakes: tuple[Mistake, ...] = ()
    problem: Problem | None = None
    stations: str = ""
    minutes: str = ""


async def map_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/map``."""
    given = dict(request.query_params)
    return await _page(pages, request, given, _Plan())


async def plan_page(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/map/plan``: the same page, with a plan on it."""
    async with request.form(max_files=1, max_fields=10, max_part_size=_UPLOAD) as form:
        given = texts(form)
        plan = await _filled_in(form)
    if not plan.mistakes:
        plan = await _planned(request.app.state.planner, plan, given)
    return await _page(pages, request, given, plan)


async def cells(request: Request) -> Response:
    """Answer ``GET /console/map/cells``: the map as GeoJSON, as the API has it.

    Raises
    ------
    Problem
        If there is no such map.
    """
    desk: Hotspots = request.app.state.hotspots
    return _geojson(request, await desk.map(_question(dict(request.query_params))))


async def city(request: Request) -> Response:
    """Answer ``GET /console/map/city``: the outline of the city and its districts.

    Raises
    ------
    Problem
        If there is no such map.
    """
    maps: Maps = request.app.state.maps
    question = _question(dict(request.query_params))
    return _geojson(request, await asyncio.to_thread(_outline, maps, question))


async def _page(pages: Pages, request: Request, given: dict[str, str], plan: _Plan) -> Response:
    maps: Maps = request.app.state.maps
    desk: Hotspots = request.app.state.hotspots
    told: dict[str, Any] = {"plan": plan, "board": None, "cell": None, "problem": None, "kept": ()}
    told["offer"] = offered(request, plan.made)
    try:
        drawn = json.loads((await desk.map(_question(given))).body)
        shown = await asyncio.to_thread(board, maps, drawn)
        told |= {"board": shown, "cell": await _cell(request, shown, given.get("cell"))}
        told["kept"] = await carried_out(request, shown.day, drawn["shift"]["position"])
    except Problem as problem:
        told["problem"] = problem
    failed = told["problem"] or plan.problem
    status = failed.kind.status if failed else 422 if plan.mistakes else 200
    return pages.page(request, PAGE, told, status=status)


async def _cell(request: Request, shown: Board, name: str | None) -> dict[str, Any] | None:
    """The cell that is looked at, explained; None: none is, or this map has none of this name."""
    if not name:
        return None
    desk: Hotspots = request.app.state.hotspots
    question = CellQuestion.model_validate(shown.chosen)
    try:
        told = await desk.explanation(name, question)
    except Problem:
        return None
    count: int = shown.drawn["cells"]
    return {"told": told, "sure": Sureness.of(told, count)}


def _question(given: dict[str, str]) -> MapQuestion:
    """What a form asks for; what it leaves empty is not asked."""
    asked = {name: given[name] for name in _ASKED if given.get(name)}
    return from_query(MapQuestion, QueryParams(asked))


async def _filled_in(form: FormData) -> _Plan:
    upload = form.get("file")
    text = str(form.get("stations", ""))
    if isinstance(upload, UploadFile) and upload.size:
        text = decoded(await upload.read(_UPLOAD))
    minutes = str(form.get("minutes", "")).strip()
    return _Plan(mistakes=tuple(read_stations(text)[1]), stations=text, minutes=minutes)


async def _planned(planner: Planner, plan: _Plan, given: dict[str, str]) -> _Plan:
    try:
        answered = await planner.plan(_request(plan, given))
    except Problem as problem:
        return replace(plan, problem=problem)
    return replace(plan, made=PatrolPlan.model_validate_json(answered))


def _request(plan: _Plan, given: dict[str, str]) -> PlanRequest:
    asked = _question(given)
    body = {
        **asked.model_dump(mode="json", include={"date", "shift", "category", "coverage"}),
        "stations": [each.model_dump() for each in read_stations(plan.stations)[0]],
        "shift_minutes": _number(plan.minutes),
    }
    return from_body(PlanRequest, json.dumps(body).encode())


def _number(text: str) -> float | str | None:
    """A number if it is one: what is not is refused, field by field, with all the rest."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _outline(maps: Maps, question: MapQuestion) -> Drawn:
    found: MapOfDay = maps.day(question.date)
    body = written(outline(found.surface.grid, found.districts))
    return Drawn(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _geojson(request: Request, drawn: Drawn) -> Response:
    headers = {"ETag": drawn.tag, "Cache-Control": "private, no-cache"}
    if matches(drawn.tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(drawn.body, media_type=MEDIA_TYPE, headers=headers)
