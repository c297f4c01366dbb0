"""The API's paths of cases, for the centre's own systems and other front ends; and of contacts."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.access.gate import actor_of
from serving.asking import from_body, from_query
from serving.cases import api_contracts as api
from serving.cases import attempts, outcomes, platforms, work_list
from serving.cases.contracts import Acted, CaseId
from serving.cases.forms import Turn
from serving.cases.reading import Card, read
from serving.cases.room import CaseRoom
from serving.cases.work_list import BulkAnswer, Listed
from serving.hotspots import matches
from serving.operations import Operation
from serving.problems import Problem

__all__ = ["OPERATIONS", "routes"]

Asked = Any  # what its operation says
Handler = Callable[[Turn, str, Asked], Awaitable[BaseModel]]
"""Given the asker's turn, the case of the path (empty without one) and what was asked."""
Shape = TypeVar("Shape", bound=BaseModel)
_CASE_ID: TypeAdapter[str] = TypeAdapter(CaseId)


def routes() -> list[BaseRoute]:
    """What the API answers about cases and contacts.

    Handlers find `cases` (a CaseRoom) and `names` (a Pseudonymiser) in the application's state.
    """
    return [Route(one.path, partial(_answered, one), methods=[one.method]) for one in OPERATIONS]


async def _listed(turn: Turn, _: str, asked: api.ListQuestion) -> api.CaseList:
    lines = await work_list.listed(turn, asked.minutes_left, asked.limit)
    return api.CaseList(items=tuple(map(_line, lines)), minutes_left=asked.minutes_left)


async def _next(turn: Turn, _: str, asked: api.NextForm) -> api.TakenCase:
    return api.TakenCase(case=await work_list.take_next(turn, asked.minutes_left, asked.key))


async def _bulk(turn: Turn, _: str, asked: api.BulkForm) -> BulkAnswer:
    if asked.to is not None:
        return await work_list.bulk_reassign(
            turn, asked.forms, asked.key, asked.to, district=asked.district
        )
    if asked.reason is None or asked.until is None:  # the contract lets none of these through
        raise Problem("invalid-parameter")
    return await work_list.bulk_snooze(turn, asked.forms, asked.key, asked.reason, asked.until)


async def _read(turn: Turn, case_id: str, _: Asked) -> api.CaseCard:
    return _card(await read(turn, case_id))


async def _lock(turn: Turn, case_id: str, asked: api.Sent) -> Acted:
    return await work_list.lock(turn, asked.of(case_id))


async def _unlock(turn: Turn, case_id: str, asked: api.Sent) -> Acted:
    return await work_list.unlock(turn, asked.of(case_id))


async def _attempt(turn: Turn, case_id: str, asked: api.AttemptForm) -> Acted:
    return await attempts.record(turn, asked.of(case_id), asked.attempt)


async def _outcome(turn: Turn, case_id: str, asked: api.OutcomeForm) -> Acted:
    return await outcomes.record(turn, asked.of(case_id), asked.outcome)


async def _reversal(turn: Turn, case_id: str, asked: api.ReversalForm) -> Acted:
    return await outcomes.reverse(turn, asked.of(case_id), asked.reason, asked.instead)


async def _snooze(turn: Turn, case_id: str, asked: api.SnoozeForm) -> Acted:
    return await work_list.snooze(turn, asked.of(case_id), asked.reason, asked.until)


async def _note(turn: Turn, case_id: str, asked: api.NoteForm) -> Acted:
    return await work_list.note(turn, asked.of(case_id), asked.text)


async def _assignment(turn: Turn, case_id: str, asked: api.AssignmentForm) -> Acted:
    form = asked.of(case_id)
    return await work_list.reassign(turn, form, asked.to, district=asked.district)


async def _reported(turn: Turn, _: str, asked: api.ReportedAttempt) -> api.ContactReceipt:
    return await platforms.report(turn, asked)


_OF_CASE = "/v1/cases/{case_id}"
_LIST = "What the rest of a shift is best spent on, in order: the asker's list"
_REPORT = (
    "Report a contact that another platform made with a citizen, whoever he is; "
    "the answer says when he may be contacted again"
)

OPERATIONS: tuple[Operation[Handler], ...] = (
    Operation(
        "GET", "/v1/cases", "cases", _LIST, _listed, api.CaseList, query=api.ListQuestion
    ),
    Operation(
        "POST",
        "/v1/cases/next",
        "next_case",
        "Take the best case nobody has; two who ask at once get different ones",
        _next,
        api.TakenCase,
        api.NextForm,
    ),
    Operation(
        "POST",
        "/v1/cases/bulk",
        "bulk",
        f"Assign up to {api.MOST} cases, or let them rest; one that cannot be holds up no other",
        _bulk,
        BulkAnswer,
        api.BulkForm,
    ),
    Operation("GET", _OF_CASE, "case", "All there is to know of a case", _read, api.CaseCard),
    *(
        Operation("POST", f"{_OF_CASE}/{path}", name, summary, handler, Acted, body)
        for path, name, summary, handler, body in (
            ("lock", "lock", "Have a case for oneself, for a while", _lock, api.Sent),
            ("unlock", "unlock", "Give a case back", _unlock, api.Sent),
            ("attempts", "attempt", "Record an attempt; the case is scored again", _attempt,
             api.AttemptForm),
            ("outcomes", "outcome", "Close a case with its outcome", _outcome, api.OutcomeForm),
            ("reversals", "reversal", "Take the last outcome back, or put another in its place",
             _reversal, api.ReversalForm),
            ("snooze", "snooze", "Let a case rest for a while", _snooze, api.SnoozeForm),
            ("notes", "note", "Add a note", _note, api.NoteForm),
            ("assignment", "assign", "Give a case to an officer", _assignment,
             api.AssignmentForm),
        )
    ),
    Operation(
        "POST",
        "/v1/attempts",
        "report_attempt",
        _REPORT,
        _reported,
        api.ContactReceipt,
        api.ReportedAttempt,
        status=202,
    ),
)  # fmt: skip


async def _answered(operation: Operation[Handler], request: Request) -> Response:
    room: CaseRoom = request.app.state.cases
    asked, case_id = await _asked(operation, request), _case_id(request)
    async with room.turn(actor_of(request.scope)) as turn:
        found = await operation.handler(turn, case_id, asked)
    body = found.model_dump_json()
    if operation.method != "GET":
        return Response(body, operation.status, media_type="application/json")
    # another attempt or piece of evidence is another answer, also where the version stays
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def _asked(operation: Operation[Handler], request: Request) -> Asked:
    if operation.body is not None:
        asked = from_body(operation.body, await request.body())
        # raw numbers end here, before anything is looked up or kept
        if isinstance(asked, api.ReportedAttempt):
            return request.app.state.names.conceal(asked)
        return asked
    return from_query(operation.query or api.NoQuestion, request.query_params)


def _case_id(request: Request) -> str:
    if "case_id" not in request.path_params:
        return ""
    try:
        return _CASE_ID.validate_python(request.path_params["case_id"])
    except ValidationError:
        raise Problem("not-found", "no case with this id among those you see") from None


def _line(listed: Listed) -> api.CaseLine:
    told = {"next": vars(listed.step)} | vars(listed)
    return _shaped(api.CaseLine, {**vars(listed.case), **told})


def _card(card: Card) -> api.CaseCard:
    left = {"contacts_left": card.budget.left, "contact_again_at": card.budget.free_at}
    return _shaped(api.CaseCard, {**vars(card.case), **vars(card), **left})


def _shaped(shape: type[Shape], told: Mapping[str, Any]) -> Shape:
    """A shape of what is told; what it has no field for stays here."""
    return shape.model_validate(told, extra="ignore")
