"""Plans that are carried out, on screen: keeping one, and what was done at each of its stops."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from serving.access.gate import actor_of
from serving.access.roles import Action
from serving.cases.forms import conflict
from serving.cases.ids import new_id
from serving.cases.room import CaseRoom
from serving.console.pages import Pages, who
from serving.patrols import Dose, PlanDelivered, PlanKept, keep, kept_of_shift, read, record
from serving.patrols.contracts import DEEDS
from serving.plan_contracts import PatrolPlan
from serving.problems import Problem

__all__ = ["Offer", "carried_out", "dose_form", "keep_form", "kept_page", "offered"]

PAGE = "plan_kept.html"
ELSEWHERE = "elsewhere"
_PURPOSE = b"forewarn patrol plan offered 1\n"
_SEE_OTHER = 303
_UPLOAD = 1024 * 1024
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Offer:
    """A plan that may be kept: nobody else's, and not changed on its way.

    Parameters
    ----------
    text : str
        A `PlanKept` as JSON.
    seal : str
        Under the session that it was made for.
    """

    text: str
    seal: str


def offered(request: Request, made: PatrolPlan | None) -> Offer | None:
    """What a page brings back to keep the plan it shows; None for whoever may not."""
    token, actor = request.scope.get("state", {}).get("token"), who(request)
    if made is None or not token or actor is None or not actor.may(Action.PLAN_PATROL):
        return None
    text = PlanKept.of(made).model_dump_json()
    return Offer(text, _seal(token, text))


async def carried_out(request: Request, day: date, shift: int) -> tuple[Mapping[str, Any], ...]:
    """Kept plans of a shift, for whoever is known; a store that is away hides them, no more."""
    actor, room = who(request), getattr(request.app.state, "cases", None)
    if actor is None or room is None:
        return ()
    try:
        async with room.turn(actor) as turn:
            return await kept_of_shift(turn, day, shift)
    except Problem:
        return ()


async def keep_form(request: Request) -> Response:
    """Answer ``POST /console/plans``: keep the plan that was shown, and go to its page.

    Raises
    ------
    Problem
        ``conflict`` if it is not the plan that this session was shown.
    """
    room: CaseRoom = request.app.state.cases
    async with request.form(max_files=0, max_fields=6, max_part_size=_UPLOAD) as form:
        text, seal = str(form.get("plan", "")), str(form.get("seal", ""))
    token = request.scope["state"]["token"] or ""
    if not hmac.compare_digest(_seal(token, text).encode(), seal.encode()):
        raise conflict(
            "expected a plan that this session was shown, found another; make the plan again",
            "这份计划不是本次登录所生成的，请重新生成",
            "this plan was not made in this session: make it again",
        )
    async with room.turn(actor_of(request.scope)) as turn:
        plan_id = await keep(turn, PlanKept.model_validate_json(text))
    return RedirectResponse(f"/console/plans/{plan_id}", _SEE_OTHER)


async def kept_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/plans/{plan_id}``."""
    return await _page(pages, request)


async def dose_form(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/plans/{plan_id}/doses``: record a stop, and show the plan again."""
    room: CaseRoom = request.app.state.cases
    plan_id = request.path_params["plan_id"]
    async with request.form(max_files=0, max_fields=30) as form:
        typed = _typed(form)
    actor = actor_of(request.scope)
    try:
        async with room.turn(actor) as turn:
            found = await read(turn, plan_id)
            dose = _dose(typed, found, room.config.zone)
            await record(turn, plan_id, dose)
    except Problem as problem:
        if problem.name not in {"conflict", "invalid-parameter"}:
            raise
        return await _page(pages, request, typed, problem)
    return RedirectResponse(f"/console/plans/{plan_id}", _SEE_OTHER)


async def _page(
    pages: Pages,
    request: Request,
    typed: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
) -> Response:
    room: CaseRoom = request.app.state.cases
    async with room.turn(actor_of(request.scope)) as turn:
        found = await read(turn, request.path_params["plan_id"])
    blank = {"stop": request.query_params.get("stop", ""), "done": (), "key": new_id(turn.now)}
    told = {
        "found": found,
        "typed": {"cell": "", "arrived": "", "left": "", "note": "", **blank, **(typed or {})},
        "problem": problem,
        "deeds": DEEDS,
        "elsewhere": ELSEWHERE,
        "local": ZoneInfo(room.config.zone),
    }
    return pages.page(request, PAGE, told, status=problem.kind.status if problem else 200)


def _typed(form: FormData) -> dict[str, Any]:
    names = ("stop", "cell", "arrived", "left", "note", "key")
    texts = {name: str(form.get(name, "")).strip() for name in names}
    return {**texts, "done": tuple(str(one) for one in form.getlist("done"))}


def _dose(typed: Mapping[str, Any], found: PlanDelivered, zone: str) -> Dose:
    """The form as a dose.

    Raises
    ------
    Problem
        ``invalid-parameter``, in words.
    """
    stop = next((one for one in found.stops if one.order == typed["stop"]), None)
    shift = found.plan.shift
    arrived = near(typed["arrived"], shift.begins_at + (shift.ends_at - shift.begins_at) / 2, zone)
    # whoever leaves before he came left after midnight
    left = near(typed["left"], arrived + timedelta(hours=12) - _MINUTE, zone) if arrived else None
    content = {
        "key": typed["key"],
        "cell": stop.cell if stop else typed["cell"],
        "unit": stop.unit if stop else None,
        "arrived_at": arrived,
        "left_at": left,
        "done": typed["done"],
        "note": typed["note"] or None,
    }
    try:
        return Dose.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]["loc"]
        zh, en = _WRONG.get(str(first[0]) if first else "", _WRONG[""])
        raise Problem("invalid-parameter", "a field of the form", {"zh": zh, "en": en}) from None


_WRONG: Mapping[str, tuple[str, str]] = {
    "cell": ("请选择停留点，或填写地图上的网格名称", "choose a stop, or give a cell by its name"),
    "arrived_at": ("请填写到达时间，如 16:05", "give the time of arrival, e.g. 16:05"),
    "left_at": ("请填写离开时间，如 16:20", "give the time of leaving, e.g. 16:20"),
    "done": ("请至少选择一项所做的工作", "choose at least one thing that was done"),
    "note": ("备注最多500字", "a note has 500 characters at most"),
    "key": ("表单已失效，请刷新页面", "the form is stale: load the page again"),
    "": ("离开须晚于到达，且不超过12小时", "leave after arriving, within 12 h"),
}


def near(text: str, moment: datetime, zone: str) -> datetime | None:
    """The moment nearest to another at which the city's clocks show a time; None: it is no time.

    Examples
    --------
    >>> middle = datetime(2026, 3, 1, 20, tzinfo=UTC)  # 04:00 of the next day there
    >>> near("23:50", middle, "Asia/Shanghai").isoformat()
    '2026-03-01T15:50:00+00:00'
    >>> near("noon", middle, "Asia/Shanghai") is None
    True
    """
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        return None
    day = moment.astimezone(ZoneInfo(zone)).date()
    several = [
        datetime.combine(day + timedelta(days=more), clock.replace(tzinfo=None), ZoneInfo(zone))
        for more in (-1, 0, 1)
    ]
    return min((one.astimezone(UTC) for one in several), key=lambda one: abs(one - moment))


def _seal(token: str, text: str) -> str:
    return hmac.new(token.encode(), _PURPOSE + text.encode(), hashlib.sha256).hexdigest()
