"""The API's paths of requests and appeals; the description is made from `OPERATIONS` too."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.access.gate import actor_of
from serving.access.roles import Action
from serving.asking import from_body, from_query
from serving.cases.contracts import Form
from serving.cases.forms import Turn
from serving.cases.room import CaseRoom
from serving.operations import Operation
from serving.problems import Problem
from serving.requests import appeals, lifecycle, reading
from serving.requests.contracts import (
    Appeal,
    AppealAnswer,
    AppealDecision,
    AppealFiling,
    AppealList,
    AppealQuestion,
    Draft,
    LedgerAnswer,
    LedgerLine,
    LedgerQuestion,
    ListQuestion,
    ReceiverAnswer,
    RequestAnswer,
    RequestDraft,
    Requested,
    RequestForm,
    RequestList,
    RequestReason,
    RequestStamp,
    UndeliveredMessage,
)
from serving.requests.courier import Courier
from serving.requests.ledger import ledger
from serving.requests.receivers import Office
from serving.requests.request import Request

__all__ = ["OPERATIONS", "routes"]

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_YEAR = timedelta(days=365)
Handler = Callable[[Asked, Turn], Awaitable[BaseModel]]


def routes() -> list[BaseRoute]:
    """What the API answers about requests, appeals and false alarms.

    Handlers find `cases` (a CaseRoom), `office` and `courier` in the application's state.
    """
    return [
        Route(one.path, partial(_answered, one.handler), methods=[one.method]) for one in OPERATIONS
    ]


async def _of_case(asked: Asked, turn: Turn) -> RequestList:
    case_id = _id(asked, "case_id")
    found = await reading.requests_of(turn, case_id)
    await _noted(turn, case_id)
    return RequestList(requests=tuple(map(_shown, found)))


async def _draft(asked: Asked, turn: Turn) -> Requested:
    body = from_body(RequestDraft, await asked.body())
    form = Form(case_id=_id(asked, "case_id"), version=body.version, key=body.key)
    wanted = Draft(**body.model_dump(exclude={"version", "key"}))
    return await lifecycle.draft(turn, _office(asked), form, wanted)


async def _listed(asked: Asked, turn: Turn) -> RequestList:
    state = from_query(ListQuestion, asked.query_params).state
    found = await reading.requests_in(turn, state)
    letters = await reading.dead_letters(turn)
    await _noted(turn, "requests")
    return RequestList(
        requests=tuple(map(_shown, found)), dead_letters=tuple(map(_undelivered, letters))
    )


async def _sign(asked: Asked, turn: Turn) -> Requested:
    return await lifecycle.sign(turn, _form(asked, from_body(RequestStamp, await asked.body())))


async def _resend(asked: Asked, turn: Turn) -> Requested:
    return await lifecycle.resend(turn, _form(asked, from_body(RequestStamp, await asked.body())))


async def _withdraw(asked: Asked, turn: Turn) -> Requested:
    body = from_body(RequestReason, await asked.body())
    return await lifecycle.withdraw(turn, _form(asked, body), body.reason)


async def _decline(asked: Asked, turn: Turn) -> Requested:
    body = from_body(RequestReason, await asked.body())
    return await lifecycle.decline(turn, _form(asked, body), body.reason)


async def _undo(asked: Asked, turn: Turn) -> Requested:
    body = from_body(RequestReason, await asked.body())
    return await lifecycle.undo(turn, _form(asked, body), body.reason)


async def _answer(asked: Asked, turn: Turn) -> Requested:
    body = from_body(ReceiverAnswer, await asked.body())
    return await lifecycle.answer(turn, _office(asked), _form(asked, body), body.answered)


async def _file(asked: Asked, turn: Turn) -> Appeal:
    return await appeals.file(turn, _office(asked), from_body(AppealFiling, await asked.body()))


async def _decide(asked: Asked, turn: Turn) -> Appeal:
    decision = from_body(AppealDecision, await asked.body())
    return await appeals.decide(turn, _id(asked, "appeal_id"), decision)


async def _appeals(asked: Asked, turn: Turn) -> AppealList:
    question = from_query(AppealQuestion, asked.query_params)
    found = await appeals.open_appeals(turn, overdue=question.overdue)
    await _noted(turn, "appeals")
    names = AppealAnswer.model_fields
    lines = [{name: getattr(one, name) for name in names} for one in found]
    return AppealList(appeals=tuple(AppealAnswer(**line) for line in lines))


async def _ledger(asked: Asked, turn: Turn) -> LedgerAnswer:
    day = from_query(LedgerQuestion, asked.query_params).since
    zone = ZoneInfo(turn.config.zone)
    since = turn.now - _YEAR if day is None else datetime.combine(day, time(), zone)
    lines = await ledger(turn, since)
    return LedgerAnswer(lines=tuple(LedgerLine(**asdict(line)) for line in lines))


async def _answered(handler: Handler, asked: Asked) -> Response:
    room: CaseRoom = asked.app.state.cases
    async with room.turn(actor_of(asked.scope)) as turn:
        said = await handler(asked, turn)
    courier: Courier = asked.app.state.courier
    courier.wake()  # committed: what was signed may leave
    return Response(said.model_dump_json(), media_type="application/json")


def _office(asked: Asked) -> Office:
    office: Office = asked.app.state.office
    return office


def _id(asked: Asked, name: str) -> str:
    found: str = asked.path_params[name]
    if _ID.fullmatch(found) is None:
        raise Problem("not-found", f"nothing with this {name} among what you see")
    return found


def _form(asked: Asked, body: RequestStamp | ReceiverAnswer) -> RequestForm:
    return RequestForm(request_id=_id(asked, "request_id"), version=body.version, key=body.key)


def _shown(request: Request) -> RequestAnswer:
    return RequestAnswer(**{name: getattr(request, name) for name in RequestAnswer.model_fields})


def _undelivered(letter: reading.DeadLetter) -> UndeliveredMessage:
    own = ("message_id", "topic", "tries", "tried_at", "status", "problem", "excerpt")
    about = ("request_id", "version", "receiver")
    whole: dict[str, Any] = {name: getattr(letter, name) for name in own}
    return UndeliveredMessage(**whole, **{name: getattr(letter.request, name) for name in about})


async def _noted(turn: Turn, subject: str) -> None:
    """Who looked, into the audit log."""
    await turn.record(Action.READ_CASE, subject, {"view": "requests"})


def _post(
    path: str, name: str, summary: str, handler: Handler, body: type[BaseModel]
) -> Operation[Handler]:
    answers = Appeal if path.startswith("/v1/appeals") else Requested
    return Operation("POST", path, name, summary, handler, answers, body=body)


_ONE = "/v1/requests/{request_id}"

OPERATIONS: tuple[Operation[Handler], ...] = (
    Operation(
        "GET",
        "/v1/cases/{case_id}/requests",
        "case_requests",
        "Requests of a case, the newest first",
        _of_case,
        RequestList,
    ),
    _post(
        "/v1/cases/{case_id}/requests",
        "draft_request",
        "Draft a request about an account or number of the case; nothing is sent",
        _draft,
        RequestDraft,
    ),
    Operation(
        "GET",
        "/v1/requests",
        "requests",
        "Up to 500 requests, those changed last first, and messages that were given up",
        _listed,
        RequestList,
        query=ListQuestion,
    ),
    _post(
        f"{_ONE}/sign",
        "sign_request",
        "Sign a draft of somebody else's: its message leaves, as Standard Webhooks 1.0.0",
        _sign,
        RequestStamp,
    ),
    _post(f"{_ONE}/decline", "decline_request", "Do not sign a draft", _decline, RequestReason),
    _post(
        f"{_ONE}/withdraw",
        "withdraw_request",
        "Take a request back before anything has left",
        _withdraw,
        RequestReason,
    ),
    _post(
        f"{_ONE}/undo",
        "undo_request",
        "Undo a signed request: its receiver is told to lift the measure",
        _undo,
        RequestReason,
    ),
    _post(
        f"{_ONE}/answer",
        "answer_request",
        "The receiver's own system says what it did",
        _answer,
        ReceiverAnswer,
    ),
    _post(
        f"{_ONE}/told",
        "told_request",
        "An officer records what the receiver told him",
        _answer,
        ReceiverAnswer,
    ),
    _post(
        f"{_ONE}/resend",
        "resend_request",
        "Send messages that were given up again, under the same ids",
        _resend,
        RequestStamp,
    ),
    Operation(
        "GET",
        "/v1/appeals",
        "appeals",
        "Open appeals, the one due first first",
        _appeals,
        AppealList,
        query=AppealQuestion,
    ),
    _post(
        "/v1/appeals",
        "file_appeal",
        "A citizen objects to a measure or a case",
        _file,
        AppealFiling,
    ),
    _post(
        "/v1/appeals/{appeal_id}/decide",
        "decide_appeal",
        "Uphold an appeal (measures are lifted at once, the label corrected) or reject it",
        _decide,
        AppealDecision,
    ),
    Operation(
        "GET",
        "/v1/false-alarms",
        "false_alarms",
        "What false alarms cost, by month, level, scam type, district and how it was learnt",
        _ledger,
        LedgerAnswer,
        query=LedgerQuestion,
    ),
)
