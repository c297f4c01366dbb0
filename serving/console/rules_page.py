"""The page of rules and lists: what each did in the past, does now, and who answers for it."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from models.conditions import LISTS
from serving.access.gate import actor_of
from serving.access.roles import Actor
from serving.asking import wrong
from serving.console.filled import texts
from serving.console.pages import Pages
from serving.problems import Problem
from serving.rules.contracts import EntryBody, KeyBody, RuleBody, VersionBody
from serving.rules.desk import RuleDesk
from serving.rules.lists import SIGNED

__all__ = ["rules_page"]

HERE = "/console/rules"
_SEE_OTHER = 303
_FIELDS = 12
_PART = 64 * 1024  # bytes of a field; the border stops a larger body as well
Fields = Mapping[str, str]
Deed = Callable[[RuleDesk, Actor, Fields], Awaitable[BaseModel]]

EXAMPLE: Mapping[str, Any] = {
    "name": "remote_control_transfer",
    "owner": "反诈中心研判组",
    "zh": "远程控制后一小时内向新账户转账五万元以上",
    "en": "CNY 50,000 or more to a new account within an hour of remote control",
    "when": {
        "all": [
            {"kind": ["transfer"]},
            {"feature": "event.amount.value", "op": ">=", "than": 50_000, "unit": "CNY"},
            {"feature": "event.is_new.value", "op": "==", "than": 1, "unit": "yes/no"},
            {"feature": "subscriber.control.since_last", "op": "<=", "than": 3_600, "unit": "s"},
        ]
    },
    "effect": "raise",
    "level": "red",
}
STATES: Mapping[str, tuple[str, str]] = {
    "draft": ("草稿", "draft"),
    "tested": ("已检验", "tested"),
    "live": ("已启用", "live"),
    "retired": ("已停用", "retired"),
}
KINDS: Mapping[str, tuple[str, str]] = {
    "phone": ("电话号码", "phone number"),
    "account": ("账户", "account"),
    "app": ("应用或网站", "app or site"),
}


async def rules_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET`` and ``POST /console/rules``."""
    if request.method == "GET":
        return await _page(pages, request)
    async with request.form(max_files=0, max_fields=_FIELDS, max_part_size=_PART) as form:
        fields = texts(form)
    try:
        await _done(request, fields)
    except Problem as problem:
        return await _page(pages, request, fields, problem)
    return RedirectResponse(f"{HERE}#{_place(fields)}", _SEE_OTHER)


async def _done(request: Request, fields: Fields) -> None:
    deed = _DEEDS.get(fields.get("deed", ""))
    if deed is None:
        raise wrong("deed", f"one of {', '.join(_DEEDS)}", "another", "load the page again")
    desk: RuleDesk = request.app.state.rules
    zone = ZoneInfo(desk.room.config.zone)
    await deed(desk, actor_of(request.scope), {**fields, "zone": str(zone)})


async def _page(
    pages: Pages,
    request: Request,
    fields: Fields | None = None,
    problem: Problem | None = None,
) -> Response:
    desk: RuleDesk = request.app.state.rules
    actor, given = actor_of(request.scope), fields or {}
    found = (await desk.rules(actor)).rules
    lists = {name: (await desk.one_list(actor, name)).entries for name in LISTS}
    levels = {level.name: (level.zh, level.en) for level in desk.room.config.levels}
    example = json.dumps(EXAMPLE, ensure_ascii=False, indent=1)
    told = {
        "standing": [rule for rule in found if rule.state != "retired"],
        "retired": [rule for rule in found if rule.state == "retired"],
        "lists": lists,
        "list_words": LISTS,
        "signed": SIGNED,
        "states": STATES,
        "kinds": KINDS,
        "levels": levels,
        "draft": given.get("rule", example),
        "entry": given if given.get("deed") == "add" else {},
        "problem": problem,
        "mistakes": _mistakes(problem),
        "zone": ZoneInfo(desk.room.config.zone),
        "key": lambda: secrets.token_hex(16),
    }
    status = problem.kind.status if problem else 200
    return pages.page(request, "rules.html", told, status=status)


def _mistakes(problem: Problem | None) -> list[str]:
    """What is wrong with which field, in the words of the API."""
    errors = problem.more.get("errors", ()) if problem else ()
    return [
        f"{one['field']}: expected {one['expected']}, found {one['found']}; {one['fix']}"
        for one in errors
    ]


def _place(fields: Fields) -> str:
    """Where the page is looked at next."""
    return "lists" if fields.get("list") else "rules"


async def _draft(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    try:
        rule = json.loads(fields.get("rule", ""))
    except ValueError:
        raise wrong("rule", "a JSON object", "text that is none", "see the example") from None
    if not isinstance(rule, dict):
        raise wrong("rule", "a JSON object", "other JSON", "see the example")
    return await desk.draft(actor, _form(RuleBody, rule=rule, key=fields.get("key")))


async def _test(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    return await desk.test(actor, fields.get("name", ""), _version(fields))


async def _live(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    return await desk.go_live(actor, fields.get("name", ""), _version(fields))


async def _retire(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    return await desk.retire(actor, fields.get("name", ""), _version(fields))


async def _add(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    named = {name: fields.get(name) for name in ("kind", "value", "owner", "reason", "key")}
    return await desk.add(
        actor, _list(fields), _form(EntryBody, **named, expires_at=_end_of_day(fields))
    )


async def _entry_live(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    body = _form(KeyBody, key=fields.get("key"))
    return await desk.entry_live(actor, _list(fields), fields.get("entry_id", ""), body)


async def _remove(desk: RuleDesk, actor: Actor, fields: Fields) -> BaseModel:
    body = _form(KeyBody, key=fields.get("key"))
    return await desk.remove(actor, _list(fields), fields.get("entry_id", ""), body)


_DEEDS: Mapping[str, Deed] = {
    "draft": _draft,
    "test": _test,
    "live": _live,
    "retire": _retire,
    "add": _add,
    "entry_live": _entry_live,
    "remove": _remove,
}


def _form(model: type[Any], **values: Any) -> Any:
    try:
        return model(**values)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise wrong(field, "what the form asks for", "something else", "correct it") from None


def _version(fields: Fields) -> VersionBody:
    digits = fields.get("version", "")
    version = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
    found: VersionBody = _form(VersionBody, version=version, key=fields.get("key"))
    return found


def _list(fields: Fields) -> str:
    name = fields.get("list", "")
    if name not in LISTS:
        raise Problem("not-found", f"expected one of the lists {', '.join(LISTS)}")
    return name


def _end_of_day(fields: Fields) -> datetime:
    """The end of the day that was chosen, as the city's clocks have it."""
    try:
        day = datetime.fromisoformat(fields.get("until", "")).date()
    except ValueError:
        raise wrong("until", "a day", "none", "choose the day on which it ends") from None
    return datetime.combine(day, time(23, 59, 59), ZoneInfo(fields["zone"]))
