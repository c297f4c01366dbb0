"""Every path beside the declared scoring calls, as a Starlette application to mount.

The scoring functions are here too, so that an answer and its errors are made in one place.
"""

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving import metrics, openapi
from serving.access.gate import actor_of
from serving.asking import from_body, from_query
from serving.cases.reading import note_decision
from serving.cases.room import CaseRoom
from serving.cases.routes import routes as case_routes
from serving.console import Assets, Pages, mounted
from serving.contracts import Health
from serving.geojson import MEDIA_TYPE as GEOJSON
from serving.hotspot_contracts import CellQuestion, MapQuestion
from serving.hotspots import Hotspots, matches
from serving.incidents import IncidentDesk
from serving.patrols.routes import keep_answered
from serving.patrols.routes import routes as patrol_routes
from serving.plan_contracts import PlanRequest
from serving.planner import Planner
from serving.problems import HANDLERS, Problem, answer
from serving.reading import as_batch, as_event, as_many, as_report
from serving.requests.routes import routes as request_routes
from serving.rules.routes import routes as rule_routes
from serving.scorer import Scorer

__all__ = ["create", "score_batch", "score_one"]

_JSON = "application/json"
Handler = Callable[[Request], Awaitable[Response]]


def _reply(text: str | bytes, status: int = 200) -> Response:
    return Response(text, status_code=status, media_type=_JSON)


async def score_one(scorer: Scorer, body: bytes, query: Mapping[str, str]) -> Response:
    """Answer ``POST /v1/fraud/score``."""
    try:
        explain = _flag(query, "explain")
        decision = await scorer.score_event(as_event(body), explain=explain)
        return _reply(decision.model_dump_json())
    except Problem as problem:
        return answer(problem)


async def score_batch(scorer: Scorer, body: bytes) -> Response:
    """Answer ``POST /v1/fraud/score_batch``."""
    try:
        records, explain = as_batch(body)
        result = await scorer.score_batch(records, explain=explain)
        return _reply(result.model_dump_json())
    except Problem as problem:
        return answer(problem)


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false")
    unknown = set(query) - {name}
    if value not in {"true", "false"} or unknown:
        field = name if not unknown else "query"
        error = {
            "field": field,
            "expected": f"only {name}=true or {name}=false",
            "found": "something else",
            "fix": "see /v1/openapi.json",
        }
        raise Problem("invalid-parameter", "a query parameter is wrong", {"errors": [error]})
    return value == "true"


def _scorer(request: Request) -> Scorer:
    scorer: Scorer = request.app.state.scorer
    return scorer


async def _events(request: Request) -> Response:
    receipt = await _scorer(request).take_in(as_many(await request.body()))
    return _reply(receipt.model_dump_json(), 202)


async def _reports(request: Request) -> Response:
    receipt = await _scorer(request).take_in([as_report(await request.body())])
    return _reply(receipt.model_dump_json(), 202)


async def _decision(request: Request) -> Response:
    event_id: str = request.path_params["event_id"]
    record = await _scorer(request).record(event_id)
    room: CaseRoom = request.app.state.cases
    async with room.turn(actor_of(request.scope)) as turn:
        await note_decision(turn, event_id)
    return _reply(record.model_dump_json())


async def _hotspots(request: Request) -> Response:
    desk: Hotspots = request.app.state.hotspots
    drawn = await desk.map(from_query(MapQuestion, request.query_params))
    # whoever keeps a map asks each time whether it still holds
    headers = {"ETag": drawn.tag, "Cache-Control": "private, no-cache"}
    if matches(drawn.tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(drawn.body, media_type=GEOJSON, headers=headers)


async def _explanation(request: Request) -> Response:
    desk: Hotspots = request.app.state.hotspots
    question = from_query(CellQuestion, request.query_params)
    found = await desk.explanation(request.path_params["cell"], question)
    return _reply(found.model_dump_json())


async def _patrol_plans(request: Request) -> Response:
    planner: Planner = request.app.state.planner
    asked = from_body(PlanRequest, await request.body())
    answered = await planner.plan(asked)
    if asked.keep:
        answered = await keep_answered(request.app.state.cases, actor_of(request.scope), answered)
    return _reply(answered)


async def _incidents(request: Request) -> Response:
    desk: IncidentDesk = request.app.state.incidents
    receipt = await desk.take_in(as_many(await request.body()))
    return _reply(receipt.model_dump_json(), 202)


async def _model(request: Request) -> Response:
    return _reply(_scorer(request).model().model_dump_json())


async def _health(_: Request) -> Response:
    return _reply(Health().model_dump_json())


async def _ready(request: Request) -> Response:
    readiness = await _scorer(request).readiness()
    return _reply(readiness.model_dump_json(), 200 if readiness.ready else 503)


async def _metrics(_: Request) -> Response:
    return metrics.exposition()


async def _openapi(_: Request) -> Response:
    return _reply(json.dumps(openapi.document(), ensure_ascii=False))


def create(pages: Pages | None = None) -> Starlette:
    """The application; whoever mounts it gives its state what `Opened` holds, before a request."""
    pages = pages or Pages.of(Assets.of())
    gets: Mapping[str, Handler] = {
        "/v1/decisions/{event_id:path}": _decision,
        "/v1/hotspots": _hotspots,
        "/v1/hotspots/{cell}/explanation": _explanation,
        "/v1/model": _model,
        "/v1/health": _health,
        "/v1/ready": _ready,
        "/metrics": _metrics,
        "/v1/openapi.json": _openapi,
        "/docs.json": _openapi,  # where BentoML's own page looks: it shall show the right one
    }
    posts: Mapping[str, Handler] = {
        "/v1/events": _events,
        "/v1/reports": _reports,
        "/v1/incidents": _incidents,
        "/v1/patrol-plans": _patrol_plans,
    }
    routes = [
        *(Route(path, handler, methods=["GET"]) for path, handler in gets.items()),
        *(Route(path, handler, methods=["POST"]) for path, handler in posts.items()),
        *rule_routes(),
        *case_routes(),
        *request_routes(),
        *patrol_routes(),
        *mounted(pages),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS)
