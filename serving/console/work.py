"""The work list's page and its forms: what to do next, for whom, in the minutes that are left."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from serving.access.gate import actor_of
from serving.access.roles import Action
from serving.cases.contracts import Form
from serving.cases.live import Live
from serving.cases.room import CaseRoom
from serving.cases.shift import Choice, officers, shift
from serving.cases.work_list import BulkAnswer, bulk_reassign, bulk_snooze, take_next
from serving.console.filled import mistaken, read, texts, until
from serving.console.pages import Pages
from serving.console.presence import still_there
from serving.console.words import Words, new_key
from serving.problems import Problem

__all__ = ["live", "next_case", "reassign_page", "snooze_page", "work_page"]

PAGE = "work.html"
ENDS = "forewarn_shift_ends"
WHOLE_SHIFT = 480  # minutes
_MOST_MINUTES = 1_440
_MOST_FIELDS = 1_100
_MOST_CASES = 500  # of one bulk action
_SEE_OTHER = 303


@dataclass(frozen=True)
class _Said:
    """What became of a form on this page."""

    zh: str = ""
    en: str = ""
    problem: Problem | None = None
    typed: Mapping[str, str] = field(default_factory=dict)
    ticked: frozenset[str] = frozenset()
    refused: tuple[Mapping[str, Any], ...] = ()


async def work_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/shift``."""
    response = await _page(pages, request, _Said())
    if request.query_params.get("minutes"):
        _keep_minutes(request, response, _minutes(request))
    return response


async def next_case(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/shift/next``: the best case nobody has, or the page that says why not.

    The same form sent twice leads to the same case.
    """
    async with request.form(max_files=0, max_fields=8) as form:
        key = str(form.get("key", ""))
    try:
        if not _is_key(key):
            raise mistaken(["key"])
        async with _room(request).turn(actor_of(request.scope)) as turn:
            taken = await take_next(turn, _minutes(request), key)
    except Problem as problem:
        return await _page(pages, request, _Said(problem=problem))
    if taken is None:
        nothing = _Said("现在没有可处理的案件", "nothing is left to do now")
        return await _page(pages, request, nothing)
    return RedirectResponse(f"/console/cases/{taken.case_id}", _SEE_OTHER)


async def snooze_page(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/shift/snooze``: let many cases rest."""

    async def work(turn: Any, fields: Mapping[str, str], forms: list[Form]) -> BulkAnswer:
        reason = fields.get("reason", "").strip()
        if not reason:
            raise mistaken(["reason"])
        return await bulk_snooze(turn, forms, fields.get("key", ""), reason, until(fields))

    return await _bulk(pages, request, work)


async def reassign_page(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/shift/reassign``: give many cases to an officer."""

    async def work(turn: Any, fields: Mapping[str, str], forms: list[Form]) -> BulkAnswer:
        to = fields.get("to", "")
        if to not in await officers(turn):
            raise mistaken(["to"])
        return await bulk_reassign(turn, forms, fields.get("key", ""), to)

    return await _bulk(pages, request, work)


async def live(request: Request) -> Response:
    """Answer ``GET /console/shift/live``: a word whenever a case changed, till the session ends.

    Raises
    ------
    Problem
        ``busy``.
    """
    desk: Live = request.app.state.live
    who = actor_of(request.scope).name
    desk.room(who)

    async def still() -> bool:
        return await still_there(request, Action.READ_CASE)

    async def told() -> AsyncIterator[bytes]:
        async for word in desk.stream(still, request.headers.get("last-event-id"), who):
            yield word

    # a proxy that gathers the words of a stream keeps them from the page
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told(), media_type="text/event-stream", headers=headers)


async def _bulk(pages: Pages, request: Request, work: Any) -> Response:
    async with request.form(max_files=0, max_fields=_MOST_FIELDS) as form:
        fields = texts(form)
        ticked = _ticked(form)
    said = _Said(typed=fields, ticked=frozenset(one.partition(":")[0] for one in ticked))
    try:
        forms = _forms(ticked, fields.get("key", ""))
        async with _room(request).turn(actor_of(request.scope)) as turn:
            answer = await work(turn, fields, forms)
    except Problem as problem:
        said = _Said(problem=problem, typed=said.typed, ticked=said.ticked)
    else:
        said = _told(answer)
    return await _page(pages, request, said)


def _ticked(form: FormData) -> list[str]:
    return [str(one) for one in form.getlist("case")]


def _forms(ticked: list[str], key: str) -> list[Form]:
    """One form a case that was ticked, its key derived from the whole form's."""
    if not _is_key(key):
        raise mistaken(["key"])
    if not 1 <= len(ticked) <= _MOST_CASES:
        raise mistaken(["case"])
    forms = []
    for place, one in enumerate(ticked):
        case_id, _, version = one.partition(":")
        given = {"case_id": case_id, "version": version, "key": f"{key}-{place}"}
        forms.append(read(Form, given, given))
    return forms


def _is_key(key: str) -> bool:
    return key.isascii() and key.isalnum() and 8 <= len(key) <= 56


def _told(answer: BulkAnswer) -> _Said:
    done = sum(item.done is not None for item in answer.items)
    refused = [
        {"case_id": item.case_id, **_words_of(item.problem)}
        for item in answer.items
        if item.problem is not None
    ]
    return _Said(
        f"已处理{done}起" + (f"，{len(refused)}起未处理" if refused else ""),
        f"{done} done" + (f", {len(refused)} not" if refused else ""),
        refused=tuple(refused),
        ticked=frozenset(one["case_id"] for one in refused),
    )


def _words_of(problem: Mapping[str, Any]) -> dict[str, str]:
    found = {"zh": "此案不在您可处理的范围", "en": "not among the cases you may work"}
    return {name: str(problem.get(name) or words) for name, words in found.items()}


async def _page(pages: Pages, request: Request, said: _Said) -> Response:
    room, minutes, choice = _room(request), _minutes(request), _choice(request)
    actor = actor_of(request.scope)
    async with room.turn(actor) as turn:
        found = await shift(turn, minutes, choice)
        others = await officers(turn) if actor.may(Action.ASSIGN_CASE) else ()
    told = {
        "shift": found,
        "minutes": minutes,
        "choice": choice,
        "said": said,
        "officers": others,
        "words": Words(room.config, turn.now),
        "keys": {"next": new_key(), "bulk": new_key()},
        "renew": _renewing(request, minutes),
    }
    status = said.problem.kind.status if said.problem else 200
    return pages.page(request, PAGE, told, status=status)


def _renewing(request: Request, minutes: int) -> str:
    """The query that shows the same list again."""
    asked = {"minutes": str(minutes)} if request.query_params.get("minutes") else {}
    choice = _choice(request)
    asked |= {"level": choice.level or "", "scam_type": choice.scam_type or ""}
    return "&".join(f"{name}={value}" for name, value in asked.items() if value)


def _choice(request: Request) -> Choice:
    asked, config = request.query_params, _room(request).config
    level, scam_type = asked.get("level"), asked.get("scam_type")
    known = Words(config, _room(request).clock()).scam_types
    return Choice(
        level if level in config.level_names else None, scam_type if scam_type in known else None
    )


def _minutes(request: Request) -> int:
    """Of the shift: as asked, or till the end that was kept, or a whole one."""
    asked = request.query_params.get("minutes", "")
    if asked.isascii() and asked.isdecimal() and len(asked) <= 4:
        return min(int(asked), _MOST_MINUTES)
    ends = request.cookies.get(ENDS, "")
    if ends.isascii() and ends.isdecimal() and len(ends) <= 12:
        left = (int(ends) - _room(request).clock().timestamp()) / 60
        if 0 < left <= _MOST_MINUTES:
            return int(left)
    return WHOLE_SHIFT


def _keep_minutes(request: Request, response: Response, minutes: int) -> None:
    """Keep when the shift ends, so that the minutes count down on other pages too."""
    ends = _room(request).clock() + timedelta(minutes=minutes)
    response.set_cookie(
        ENDS,
        f"{ends.timestamp():.0f}",
        max_age=minutes * 60,
        path="/console",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def _room(request: Request) -> CaseRoom:
    room: CaseRoom = request.app.state.cases
    return room
