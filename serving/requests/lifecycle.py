"""What people do with a request: draft, sign, withdraw, undo, record the answer, send again.

Four eyes: whoever drafted does not sign, here and in the table. Nothing leaves without a signature:
the message is written in the transaction that signs. Row locks are taken in one order: case,
request, its messages, the audit log.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.access.roles import Action, Role, demand
from serving.cases.case import Case
from serving.cases.contracts import Form
from serving.cases.forms import Turn, conflict, locked_case, once
from serving.cases.ids import new_id
from serving.cases.tables import CASES
from serving.problems import Problem
from serving.requests.contracts import Answer, Draft, Requested, RequestForm
from serving.requests.measures import MEASURES, Kind, draft_words
from serving.requests.messages import (
    Lifting,
    Topic,
    cancel,
    enqueue,
    lift,
    messages_of,
    revive,
)
from serving.requests.receivers import Office
from serving.requests.request import STEPS, Answered, Request, State, StepKind
from serving.requests.subjects import subjects
from serving.requests.tables import REQUESTS
from serving.scrub import scrubbed

__all__ = [
    "ANSWERS",
    "STATES",
    "answer",
    "decline",
    "draft",
    "recorded",
    "resend",
    "sign",
    "undo",
    "withdraw",
    "write",
]

STATES: Mapping[State, tuple[str, str]] = {
    State.DRAFTED: ("待签批", "waits for a signature"),
    State.SIGNED: ("已签批，待送达", "signed, on its way"),
    State.SENT: ("已送达，待答复", "sent, waits for an answer"),
    State.ANSWERED: ("已答复", "answered"),
    State.WITHDRAWN: ("已撤回", "withdrawn"),
    State.UNDONE: ("已撤销", "undone"),
    State.EXPIRED: ("已到期", "expired"),
}
ANSWERS: Mapping[Answered, tuple[str, str]] = {
    Answered.ACCEPTED: ("已执行", "carried out"),
    Answered.REFUSED: ("未执行", "refused"),
    Answered.PARTLY: ("部分执行", "carried out in part"),
}


@dataclass(frozen=True)
class _Step:
    """What a form does: its name for the audit log, the right it takes, what it says."""

    name: str
    action: Action
    kind: StepKind | None = None
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Done:
    request: Request
    zh: str
    en: str


_Work = Callable[[Request], Awaitable[_Done]]


async def draft(turn: Turn, office: Office, form: Form, asked: Draft) -> Requested:
    """Draft a request from a case, open or closed; nothing is sent.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``; ``conflict`` for a stale form, a receiver that is not asked
        for such things, a subject the case does not know, or a request that is there already.
    """
    demand(turn.actor, Action.REQUEST_MEASURE)

    async def whole() -> Requested:
        case = await locked_case(turn, form.case_id)
        _check_draft(case, office, form, asked)
        known = {one.pseudonym for one in await subjects(turn, case, asked.kind)}
        if asked.subject not in known:
            raise conflict(
                "expected an account or number of this case, of the kind the request is about, "
                "found another; choose one of the case's",
                "该账户或号码与本案无关，或不适用于此类请求",
                "this account or number is not one of the case's for such a request",
            )
        request = _drafted(turn, office, case, asked)
        try:
            async with turn.connection.begin_nested():
                await turn.connection.execute(insert(REQUESTS), [request.row])
        except IntegrityError as error:
            raise conflict(
                "expected no such request under way, found one; work with that one",
                "同样的请求已在办理中",
                "the same request is under way already",
            ) from error
        zh, en = MEASURES[asked.kind].zh, MEASURES[asked.kind].en
        done = _Done(request, f"已起草：{zh}，待签批", f"drafted: {en}; it waits for a signature")
        return await recorded(turn, _Step("draft", Action.REQUEST_MEASURE), done)

    content = {"form": form.model_dump(), "draft": asked.model_dump(mode="json")}
    return Requested.model_validate(await once(turn, form.key, content, whole))


async def sign(turn: Turn, form: RequestForm) -> Requested:
    """Sign a draft: its message is written here, and sent by the courier.

    Raises
    ------
    Problem
        ``forbidden``, also for whoever drafted it; ``not-found``; ``conflict``.
    """

    async def work(request: Request) -> _Done:
        if request.drafted_by == turn.actor.name:
            raise Problem(
                "forbidden",
                "expected another person than the one who drafted it, found the same",
                {
                    "zh": "起草人不能签批自己的请求",
                    "en": "who drafted a request does not sign it",
                },
            )
        signed = replace(
            _moved(turn, request, StepKind.SIGN),
            signed_by=turn.actor.name,
            signed_at=turn.now,
            expires_at=turn.now + timedelta(hours=request.valid_h),
        )
        words = (request.zh, request.en)
        await enqueue(turn.connection, signed, Topic.REQUEST, words, turn.actor.name)
        return _Done(signed, "已签批，正在发送", "signed; it is being sent")

    return await _do_once(turn, form, _Step("sign", Action.SIGN_MEASURE, StepKind.SIGN), work)


async def withdraw(turn: Turn, form: RequestForm, reason: str) -> Requested:
    """Take a request back before anything has left.

    Raises
    ------
    Problem
        As `sign`; ``conflict`` once the receiver may have it: undo it then.
    """
    step = _Step("withdraw", Action.REQUEST_MEASURE, StepKind.WITHDRAW, {"reason": reason})
    return await _do_once(turn, form, step, lambda request: _withdrawn(turn, request, reason))


async def decline(turn: Turn, form: RequestForm, reason: str) -> Requested:
    """Do not sign a draft, with a reason."""
    step = _Step("decline", Action.SIGN_MEASURE, StepKind.WITHDRAW, {"reason": reason})
    return await _do_once(turn, form, step, lambda request: _withdrawn(turn, request, reason))


async def undo(turn: Turn, form: RequestForm, reason: str) -> Requested:
    """Undo a signed request: the same receiver is told to lift the measure.

    One signature is enough to lift, and it may be that of whoever signed the measure.
    """

    async def work(request: Request) -> _Done:
        if not request.to_lift:
            raise _wrong_state(request)
        why = Lifting(turn.actor.name, turn.now, reason, turn.config.zone)
        ended = await lift(turn.connection, request, why)
        if ended.state == State.WITHDRAWN:
            return _Done(ended, "尚未发出，已撤回", "nothing had left: it is withdrawn")
        return _Done(ended, "已撤销，正在通知接收单位", "undone; the receiver is being told")

    step = _Step("undo", Action.SIGN_MEASURE, StepKind.UNDO, {"reason": reason})
    return await _do_once(turn, form, step, work)


async def answer(turn: Turn, office: Office, form: RequestForm, told: Answer) -> Requested:
    """Record what the receiver says: its own system, or an officer who was told.

    Raises
    ------
    Problem
        As `sign`; ``not-found`` for a system that does not answer for this receiver.
    """
    system = turn.actor.role == Role.SYSTEM
    action = Action.ANSWER_MEASURE if system else Action.REQUEST_MEASURE

    async def work(request: Request) -> _Done:
        receiver = office.receivers.get(request.receiver)
        if system and (receiver is None or turn.actor.name not in receiver.answered_by):
            raise _not_found()
        messages = await messages_of(turn.connection, request.request_id)
        if not any(message.left for message in messages):
            raise conflict(
                "expected an answer to a message that was sent, found none sent yet; wait a moment",
                "消息尚未发出，不能登记答复，请稍候",
                "nothing has been sent yet, so nobody can have answered: wait a moment",
            )
        answered = replace(
            _moved(turn, request, StepKind.ANSWER),
            answer=told.answer,
            answer_words=scrubbed(told.words),
            stopped_cny=told.stopped_cny,
            answered_by=turn.actor.name,
            answered_at=turn.now,
        )
        # what was answered has arrived, whatever the line said
        await cancel(turn.connection, messages)
        zh, en = ANSWERS[told.answer]
        return _Done(answered, f"已记录答复：{zh}", f"answer recorded: {en}")

    step = _Step("answer", action, StepKind.ANSWER, told.model_dump(mode="json"))
    return await _do_once(turn, form, step, work)


async def resend(turn: Turn, form: RequestForm) -> Requested:
    """Send a request's given-up messages again, under the same ids."""

    async def work(request: Request) -> _Done:
        messages = await messages_of(turn.connection, request.request_id)
        over = request.ended_at is not None
        due = [one for one in messages if one.topic == Topic.UNDO or not over]
        if not await revive(turn.connection, due, turn.now):
            raise conflict(
                "expected a message that was given up and is still wanted, found none; "
                "read the request again",
                "没有可重发的消息",
                "there is nothing to send again",
            )
        again = replace(request, changed_at=turn.now, version=request.version + 1)
        return _Done(again, "正在重新发送", "it is being sent again")

    return await _do_once(turn, form, _Step("resend", Action.REQUEST_MEASURE), work)


async def write(connection: AsyncConnection, request: Request) -> None:
    """Write a request that is held."""
    query = update(REQUESTS).where(REQUESTS.c.request_id == request.request_id)
    await connection.execute(query.values(request.row))


async def recorded(turn: Turn, step: _Step, done: _Done) -> Requested:
    """Write what was done into the audit log, and say it."""
    request = done.request
    said = {name: value for name, value in step.content.items() if name not in {"words", "reason"}}
    detail = {
        "deed": step.name,
        "case": request.case_id,
        "kind": str(request.kind),
        "receiver": request.receiver,
        "state": str(request.state),
        "version": request.version,
        **said,
    }
    await turn.record(step.action, request.request_id, detail)
    shown = {name: getattr(request, name) for name in Requested.model_fields}
    return Requested(**{**shown, "zh": done.zh, "en": done.en})


async def _do_once(turn: Turn, form: RequestForm, step: _Step, work: _Work) -> Requested:
    demand(turn.actor, step.action)

    async def whole() -> Requested:
        request = await _locked(turn, form.request_id)
        _check(turn, form, step, request)
        done = await work(request)
        await write(turn.connection, done.request)
        return await recorded(turn, step, done)

    content = {"form": form.model_dump(), "deed": step.name, "content": dict(step.content)}
    return Requested.model_validate(await once(turn, form.key, content, whole))


async def _locked(turn: Turn, request_id: str) -> Request:
    query = (
        select(REQUESTS, CASES.c.district)
        .join(CASES, CASES.c.case_id == REQUESTS.c.case_id)
        .where(REQUESTS.c.request_id == request_id)
        .with_for_update(of=REQUESTS)
    )
    row = (await turn.connection.execute(query)).mappings().one_or_none()
    if row is None or not turn.actor.sees(row["district"]):
        raise _not_found()
    content = dict(row)
    del content["district"]
    return Request(**content)


def _check(turn: Turn, form: RequestForm, step: _Step, request: Request) -> None:
    missing = form.version is None and turn.actor.role != Role.SYSTEM
    if missing or (form.version is not None and form.version != request.version):
        changed = turn.config.clock(request.changed_at)
        raise conflict(
            f"expected version {request.version} of the request, found {form.version}; "
            "read it again and decide anew",
            f"请求在{changed}已有变化，请刷新后再提交",
            f"the request changed at {changed}: read it again, then send the form",
            version=request.version,
        )
    if step.kind is not None and not request.may(step.kind):
        raise _wrong_state(request)
    if step.kind == StepKind.SIGN and request.expires_at <= turn.now:
        raise conflict(
            "expected a draft in its time, found one that is over; draft it anew",
            "草稿已过期，请重新起草",
            "this draft is over: draft it anew",
        )


def _check_draft(case: Case, office: Office, form: Form, asked: Draft) -> None:
    if case.version != form.version:
        raise conflict(
            f"expected version {case.version} of the case, found {form.version}; "
            "read it again and decide anew",
            "案件已有变化，请刷新后再提交",
            "the case changed: read it again, then send the form",
            version=case.version,
        )
    receiver = office.receivers.get(asked.receiver)
    if receiver is None or asked.kind not in receiver.kinds:
        names = ", ".join(one.name for one in office.receivers_of(asked.kind)) or "nobody"
        raise conflict(
            f"expected a receiver that takes such requests ({names}), found another; choose one, "
            "or add it to FOREWARN_RECEIVERS",
            "该单位不受理此类请求",
            "this receiver takes no such requests",
        )


def _drafted(turn: Turn, office: Office, case: Case, asked: Draft) -> Request:
    hours = office.hours(asked.kind)
    zh, en = draft_words(Kind(asked.kind), case, asked.subject, asked.amount_cny, hours)
    return Request(
        request_id=new_id(turn.now),
        case_id=case.case_id,
        kind=asked.kind,
        receiver=asked.receiver,
        subject=asked.subject,
        state=State.DRAFTED,
        zh=zh,
        en=en,
        valid_h=hours,
        expires_at=turn.now + timedelta(hours=office.sign_within_h),
        drafted_by=turn.actor.name,
        drafted_at=turn.now,
        changed_at=turn.now,
        amount_cny=asked.amount_cny,
    )


async def _withdrawn(turn: Turn, request: Request, reason: str) -> _Done:
    messages = await messages_of(turn.connection, request.request_id)
    if any(one.left for one in messages):
        raise conflict(
            "expected a request that has not left, found one the receiver may have; undo it",
            "请求已发出，请改用撤销",
            "the request has left: undo it instead",
        )
    why = Lifting(turn.actor.name, turn.now, reason, turn.config.zone)
    ended = await lift(turn.connection, request, why)
    return _Done(ended, "已撤回，未发出", "withdrawn; nothing has left")


def _moved(turn: Turn, request: Request, step: StepKind) -> Request:
    return replace(request, state=STEPS[step][1], changed_at=turn.now, version=request.version + 1)


def _wrong_state(request: Request) -> Problem:
    zh, en = STATES[State(request.state)]
    if request.answer == Answered.REFUSED:
        zh, en = f"{zh}（未执行）", f"{en} (refused)"
    return conflict(
        f"expected a request this can be done with, found one that is {request.state}; "
        "read it again",
        f"请求{zh}，不能执行此操作",
        f"the request is {en}: that cannot be done with it",
        version=request.version,
    )


def _not_found() -> Problem:
    # whoever may not see it does not learn that it exists
    return Problem("not-found", "no request with this id among those you see")
