"""The API of kept plans and of the dose."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.access.gate import actor_of
from serving.access.roles import Actor
from serving.asking import from_body
from serving.cases.room import CaseRoom
from serving.patrols.contracts import Dose, PlanKept
from serving.patrols.doses import record
from serving.patrols.keeping import keep, read
from serving.plan_contracts import PatrolPlan

__all__ = ["keep_answered", "routes"]

_JSON = "application/json"


def routes() -> list[BaseRoute]:
    """Routes that find the `CaseRoom` in the application's state as ``cases``."""
    path = "/v1/patrol-plans/{plan_id}"
    return [
        Route(path, _plan, methods=["GET"]),
        Route(f"{path}/doses", _doses, methods=["POST"]),
    ]


async def keep_answered(room: CaseRoom, actor: Actor, answered: bytes) -> bytes:
    """Keep a plan that was just made, and name it in the answer."""
    made = PatrolPlan.model_validate_json(answered)
    async with room.turn(actor) as turn:
        plan_id = await keep(turn, PlanKept.of(made))
    return made.model_copy(update={"plan_id": plan_id}).model_dump_json().encode()


async def _plan(request: Request) -> Response:
    room: CaseRoom = request.app.state.cases
    async with room.turn(actor_of(request.scope)) as turn:
        found = await read(turn, request.path_params["plan_id"])
    return Response(found.model_dump_json(), media_type=_JSON)


async def _doses(request: Request) -> Response:
    room: CaseRoom = request.app.state.cases
    dose = from_body(Dose, await request.body())
    async with room.turn(actor_of(request.scope)) as turn:
        found = await record(turn, request.path_params["plan_id"], dose)
    return Response(found.model_dump_json(), 201, media_type=_JSON)
