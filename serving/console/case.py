"""A case's page and its forms: the card, why, what happened, what to record."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from data.database import events
from serving.access.gate import actor_of
from serving.access.roles import Action, demand
from serving.cases import attempts, outcomes, work_list
from serving.cases.case import Case
from serving.cases.contracts import Acted
from serving.cases.forms import Turn, locked_case
from serving.cases.numbers import Revealed, reveal
from serving.cases.precedents import Leading, Precedents, leading, precedents
from serving.cases.reading import Card, read, read_evidence
from serving.cases.room import CaseRoom
from serving.cases.scripts import script_for
from serving.cases.shift import officers
from serving.console import filled
from serving.console.case_news import Mark, mark_of, news
from serving.console.filled import Fields
from serving.console.measures import MEASURE_DEEDS, measures_of, office_of
from serving.console.pages import Pages
from serving.console.timeline import timeline
from serving.console.waterfall import Waterfall
from serving.console.words import Words, new_key
from serving.contracts import DecisionRecord
from serving.problems import Problem
from serving.scorer import Scorer

__all__ = [
    "DEEDS",
    "Said",
    "case_page",
    "deed_page",
    "evidence_page",
    "measure_page",
    "reveal_page",
    "show",
]

PAGE = "case.html"
RECORD = "case_evidence.html"

Deed = Callable[[Turn, str, Fields], Awaitable[Acted]]


@dataclass(frozen=True)
class Said:
    """What became of a form on this page.

    Parameters
    ----------
    zh, en : str
        What was done.
    problem : Problem or None
        Why not.
    deed : str
        Which form.
    typed : mapping
        What stood in it, to stand there again where it was refused.
    number : Revealed or None
    """

    zh: str = ""
    en: str = ""
    problem: Problem | None = None
    deed: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    number: Revealed | None = None


async def case_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/cases/{case_id}``."""
    return await show(pages, request, Said())


async def deed_page(pages: Pages, request: Request, name: str) -> Response:
    """Answer ``POST /console/cases/{case_id}/{deed}``: the same page, with what was done.

    A refused form is shown again as it was filled in, on the case as it is now.
    """
    case_id, fields = request.path_params["case_id"], await filled.fields_of(request)
    try:
        async with _room(request).turn(actor_of(request.scope)) as turn:
            acted = await DEEDS[name](turn, case_id, fields)
    except Problem as problem:
        said = Said(problem=problem, deed=name, typed=fields)
    else:
        said = Said(acted.zh, acted.en, deed=name)
    return await show(pages, request, said)


async def measure_page(pages: Pages, request: Request, name: str) -> Response:
    """Answer ``POST /console/cases/{case_id}/measures/{deed}``: requests and appeals."""
    case_id, fields = request.path_params["case_id"], await filled.fields_of(request)
    try:
        async with _room(request).turn(actor_of(request.scope)) as turn:
            _, deed = MEASURE_DEEDS[name]
            done = await deed(turn, office_of(request), case_id, fields)
    except Problem as problem:
        said = Said(problem=problem, deed=_deed_of(name, fields), typed=fields)
    else:
        said = Said(done.zh, done.en, deed=_deed_of(name, fields))
    return await show(pages, request, said)


async def reveal_page(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/cases/{case_id}/reveal``: the page with the number on it, once."""
    case_id, fields = request.path_params["case_id"], await filled.fields_of(request)
    numbers = request.app.state.numbers
    try:
        async with _room(request).turn(actor_of(request.scope)) as turn:
            number = await reveal(turn, numbers, case_id, fields.get("purpose", ""))
    except Problem as problem:
        said = Said(problem=problem, deed="reveal", typed=fields)
    else:
        said = Said("号码已显示，查看已记录", "the number is shown, and that it was", number=number)
    return await show(pages, request, said)


async def evidence_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/cases/{case_id}/evidence/{event_id}``: a record as it was kept."""
    case_id, event_id = (request.path_params[name] for name in ("case_id", "event_id"))
    room, actor = _room(request), actor_of(request.scope)
    try:
        demand(actor, Action.READ_DECISION)
        async with room.turn(actor) as turn:
            row = await read_evidence(turn, case_id, event_id)
            payload = await turn.connection.scalar(
                select(events.c.payload).where(events.c.event_id == event_id)
            )
        record = await _record(request, event_id)
    except Problem as problem:
        told = {"problem": problem, "case_id": case_id}
        return pages.page(request, RECORD, told, status=problem.kind.status)
    told = {
        "case_id": case_id,
        "row": row,
        "event": payload or {},
        "record": record,
        "words": Words(room.config, turn.now),
        "problem": None,
    }
    return pages.page(request, RECORD, told)


async def show(pages: Pages, request: Request, said: Said) -> Response:
    """The page of a case, and what was said to a form on it."""
    case_id = request.path_params["case_id"]
    room, actor = _room(request), actor_of(request.scope)
    try:
        async with room.turn(actor) as turn:
            demand(actor, Action.READ_CASE)
            case = await locked_case(turn, case_id)
            measures = await measures_of(turn, office_of(request), case)
            led = await leading(turn, case_id)
            told = {"measures": measures, **await _told(turn, case, led)}
            mark = await mark_of(turn, case_id)
            card = await read(turn, case_id)  # last: the record of it holds up all others
            told |= {"card": card, **_since(request, mark, card, told["words"])}
    except Problem as problem:
        gone = {"problem": problem, "card": None, "said": said}
        return pages.page(request, PAGE, gone, status=problem.kind.status)
    told |= {
        "said": said,
        "problem": None,
        **await _explained(request, led, told["precedents"]),
        "waits": said.problem is not None and said.problem.name == "conflict",
    }
    status = said.problem.kind.status if said.problem else 200
    return pages.page(request, PAGE, told, status=status)


async def _told(turn: Turn, case: Case, led: Leading | None) -> dict[str, Any]:
    words = Words(turn.config, turn.now)
    found: Precedents = await precedents(turn, case.case_id, led)
    may_assign = turn.actor.may(Action.ASSIGN_CASE)
    return {
        "case": case,
        "led": led,
        "words": words,
        "script": script_for(case.scam_type, case.stage),
        "precedents": found,
        "officers": await officers(turn) if may_assign and not case.closed else (),
        "mine": words.held_by(case) == turn.actor.name,
        "outcome_words": outcomes.WORDS,
        "key": new_key,
    }


def _since(request: Request, now: Mark, card: Card, words: Words) -> dict[str, Any]:
    """What happened, and what of it is new to a page that tells what it showed before."""
    happened = timeline(card, words)
    then = Mark.read(request.query_params.get("seen", "")) or now
    return {
        "timeline": happened,
        "mark": now.code,
        "seen": then.code,
        "news": news(then, now, happened, card.case, words),
    }


def _deed_of(name: str, fields: Fields) -> str:
    """Which of the page's forms was sent: each request has its own."""
    which = "" if name == "appeal" else fields.get("kind") or fields.get("request_id", "")
    return f"{name}-{which}".rstrip("-")


# --- deeds


async def _attempt(turn: Turn, case_id: str, fields: Fields) -> Acted:
    return await attempts.record(turn, filled.form(fields, case_id), filled.attempt(fields))


async def _outcome(turn: Turn, case_id: str, fields: Fields) -> Acted:
    return await outcomes.record(turn, filled.form(fields, case_id), filled.outcome(fields))


async def _reverse(turn: Turn, case_id: str, fields: Fields) -> Acted:
    instead = filled.outcome(fields) if fields.get("outcome") else None
    reason = filled.words(fields, "reason")
    return await outcomes.reverse(turn, filled.form(fields, case_id), reason, instead)


async def _note(turn: Turn, case_id: str, fields: Fields) -> Acted:
    return await work_list.note(turn, filled.form(fields, case_id), filled.words(fields, "text"))


async def _snooze(turn: Turn, case_id: str, fields: Fields) -> Acted:
    form, reason = filled.form(fields, case_id), filled.words(fields, "reason")
    return await work_list.snooze(turn, form, reason, filled.until(fields))


async def _take(turn: Turn, case_id: str, fields: Fields) -> Acted:
    return await work_list.lock(turn, filled.form(fields, case_id))


async def _release(turn: Turn, case_id: str, fields: Fields) -> Acted:
    return await work_list.unlock(turn, filled.form(fields, case_id))


async def _reassign(turn: Turn, case_id: str, fields: Fields) -> Acted:
    to = fields.get("to", "")
    if to not in await officers(turn):
        raise filled.mistaken(["to"])
    return await work_list.reassign(turn, filled.form(fields, case_id), to)


DEEDS: Mapping[str, Deed] = {
    "attempt": _attempt,
    "outcome": _outcome,
    "reverse": _reverse,
    "note": _note,
    "snooze": _snooze,
    "take": _take,
    "release": _release,
    "reassign": _reassign,
}
"""What the page's forms do, by the last part of their address."""


# --- what is asked of the scorer


async def _explained(request: Request, led: Leading | None, found: Precedents) -> dict[str, Any]:
    """The leading decision in steps, and the closed cases most like it, by its own model."""
    if led is None:
        return {"waterfall": None, "alike": ()}
    judge = None
    scorer: Scorer | None = getattr(request.app.state, "scorer", None)
    if scorer is not None:
        judge = await scorer.judge_of(led.model_version)
    return {
        "waterfall": await asyncio.to_thread(Waterfall.of, led, judge),
        "alike": await asyncio.to_thread(found.alike, led, judge),
    }


async def _record(request: Request, event_id: str) -> DecisionRecord | None:
    """The decision as it was made; None where the event was never scored."""
    try:
        scorer: Scorer = request.app.state.scorer
        return await scorer.record(event_id)
    except Problem as problem:
        if problem.name != "not-found":
            raise
        return None


def _room(request: Request) -> CaseRoom:
    room: CaseRoom = request.app.state.cases
    return room
