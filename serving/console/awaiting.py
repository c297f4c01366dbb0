"""What waits on the overview: signatures, messages that did not arrive, appeals; their forms."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from serving.access.gate import actor_of
from serving.access.roles import Action
from serving.cases.forms import Turn
from serving.cases.ids import new_id
from serving.cases.room import CaseRoom
from serving.problems import Problem
from serving.requests import (
    MEASURES,
    Cost,
    awaiting_signature,
    dead_letters,
    decide,
    decline,
    ledger,
    open_appeals,
    resend,
    sign,
)
from serving.requests.contracts import AppealDecision, RequestForm

__all__ = ["awaiting", "decide_appeal", "decline_request", "resend_request", "sign_request", "sums"]

Sent = TypeVar("Sent", bound=BaseModel)
_BACK = "/console/overview?done={}#awaiting"
_SEE_OTHER = 303
_FIELDS = 12


async def awaiting(turn: Turn, since: datetime) -> dict[str, Any]:
    """What waits for the actor to act or to know, each as far as it is his; and the ledger."""
    may = turn.actor.may
    sees = may(Action.READ_CASE)
    return {
        "unsigned": await awaiting_signature(turn) if may(Action.SIGN_MEASURE) else (),
        "undelivered": await dead_letters(turn) if sees else (),
        "appeals": await open_appeals(turn) if sees else (),
        "costs": sums(await ledger(turn, since)),
        "measures": {str(kind): (one.zh, one.en) for kind, one in MEASURES.items()},
        "key": new_id(turn.now),
    }


def sums(costs: tuple[Cost, ...]) -> Mapping[str, tuple[int, int, int, float]]:
    """The ledger by how false alarms were learnt: cases, measures taken, lifted, minutes.

    Examples
    --------
    >>> one = Cost("2026-03", "red", "loan", None, "appeal", 1, 2, 2, 30.0)
    >>> sums((one, one))
    {'appeal': (2, 4, 4, 60.0)}
    """
    found: dict[str, tuple[int, int, int, float]] = {}
    for one in costs:
        cases, taken, lifted, minutes = found.get(one.learnt_by, (0, 0, 0, 0.0))
        found[one.learnt_by] = (
            cases + one.false_alarms,
            taken + one.measures_taken,
            lifted + one.measures_lifted,
            minutes + one.officer_minutes,
        )
    return found


async def sign_request(request: Request) -> Response:
    """Answer ``POST /console/requests/{request_id}/sign``."""
    return await _done(request, "sign", lambda turn, form: sign(turn, _stamp(request, form)))


async def decline_request(request: Request) -> Response:
    """Answer ``POST /console/requests/{request_id}/decline``."""
    return await _done(
        request, "decline", lambda turn, form: decline(turn, _stamp(request, form), _reason(form))
    )


async def resend_request(request: Request) -> Response:
    """Answer ``POST /console/requests/{request_id}/resend``."""
    return await _done(request, "resend", lambda turn, form: resend(turn, _stamp(request, form)))


async def decide_appeal(request: Request) -> Response:
    """Answer ``POST /console/appeals/{appeal_id}/decide``."""
    appeal_id = request.path_params["appeal_id"]
    return await _done(
        request, "decide", lambda turn, form: decide(turn, appeal_id, _decision(form))
    )


async def _done(
    request: Request, name: str, deed: Callable[[Turn, FormData], Awaitable[Any]]
) -> Response:
    """Do what a form asks, and go back to the overview, which says so."""
    room: CaseRoom = request.app.state.cases
    async with (
        request.form(max_files=0, max_fields=_FIELDS) as form,
        room.turn(actor_of(request.scope)) as turn,
    ):
        await deed(turn, form)
    return RedirectResponse(_BACK.format(name), _SEE_OTHER)


def _stamp(request: Request, form: FormData) -> RequestForm:
    request_id = request.path_params["request_id"]
    return _parsed(RequestForm, {"request_id": request_id, **_version(form)})


def _decision(form: FormData) -> AppealDecision:
    found = str(form.get("found", ""))
    content = {"upheld": found in {"case", "measure"}, "false_alarm": found != "measure"}
    return _parsed(AppealDecision, {**content, "reason": _reason(form), **_version(form)})


def _version(form: FormData) -> dict[str, str]:
    return {"version": str(form.get("version", "")), "key": str(form.get("key", ""))}


def _reason(form: FormData) -> str:
    reason = str(form.get("reason", "")).strip()
    if not reason:
        raise Problem("invalid-parameter", "expected a reason, found none; give one")
    return reason


def _parsed(model: type[Sent], content: Mapping[str, Any]) -> Sent:
    try:
        return model.model_validate(content)
    except ValidationError:
        raise Problem("invalid-parameter", "a field of the form; load the page again") from None
