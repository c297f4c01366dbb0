"""The auditor's page: who saw or did what, to what, why; and whether the log is whole."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import URL, NullPool, create_engine
from starlette.requests import Request
from starlette.responses import Response

from serving.access.audit import Act, Verdict, record
from serving.access.desk import verify_audit
from serving.access.gate import actor_of
from serving.access.roles import ROLES, Action, demand
from serving.access.seals import SealError, Seals
from serving.access.trail import MOST_EXPORTED, Sought, as_csv, look, taken_out
from serving.cases.room import CaseRoom
from serving.console.audit_words import deed, details
from serving.console.pages import Pages
from serving.problems import Problem

__all__ = ["ACTIONS", "Filter", "audit_check", "audit_file", "audit_page", "verdict_words"]

PAGE = "audit.html"
_LONGEST = 200  # of a filter's text
_TEXTS = ("actor", "action", "subject")
_DAYS = ("since", "until")

ACTIONS: Mapping[str, tuple[str, str]] = {
    Action.READ_CASE: ("查看案件", "read a case"),
    Action.WORK_CASE: ("办理案件", "worked a case"),
    Action.ASSIGN_CASE: ("转派案件", "assigned a case"),
    Action.REVEAL_PSEUDONYM: ("查看真实号码", "revealed a number"),
    Action.REQUEST_MEASURE: ("申请措施", "requested a measure"),
    Action.SIGN_MEASURE: ("签批措施", "signed a measure"),
    Action.ANSWER_MEASURE: ("答复措施", "answered a request"),
    Action.FILE_APPEAL: ("登记申诉", "filed an appeal"),
    Action.DECIDE_APPEAL: ("裁定申诉", "decided an appeal"),
    Action.MANAGE_RULES: ("管理规则", "changed a rule"),
    Action.PLAN_PATROL: ("保存巡逻计划", "kept a patrol plan"),
    Action.RECORD_DOSE: ("记录巡逻情况", "recorded a patrol stop"),
    Action.READ_DECISION: ("查看评分记录", "read a decision"),
    Action.READ_AUDIT: ("查看审计日志", "looked at the audit log"),
    Action.PUBLISH_MODEL: ("发布模型", "published a model"),
    Action.TAKE_IN: ("接收外部联系记录", "took in another platform's contact"),
    "sign_in": ("登录", "signed in"),
    "sign_out": ("退出", "signed out"),
    "change_password": ("修改密码", "changed the own password"),
    "add_account": ("新建账号", "made an account"),
    "set_password": ("重置密码", "gave out a new password"),
    "disable_account": ("停用账号", "disabled an account"),
    "enable_account": ("启用账号", "enabled an account"),
    "unlock_account": ("解除锁定", "unlocked an account"),
    "issue_key": ("发放接口密钥", "gave out a key"),
    "revoke_key": ("收回接口密钥", "took a key back"),
    "expire": ("措施到期", "a measure expired"),
}
"""What an act is called on screen; others by their code."""

_walking = asyncio.Semaphore(1)


@dataclass(frozen=True)
class Filter:
    """What the form of the page holds, as it was typed.

    Parameters
    ----------
    texts : mapping of str to str
        By the names of the form's fields.
    """

    texts: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Filter":
        """Of a query string."""
        names = (*_TEXTS, *_DAYS, "before")
        return cls({name: given.get(name, "").strip()[:_LONGEST] for name in names})

    def sought(self, zone: str) -> Sought:
        """The same as the log is asked, days by the city's calendar.

        Raises
        ------
        Problem
            ``invalid-parameter``.

        Examples
        --------
        >>> Filter.of({"since": "2026-03-02"}).sought("Asia/Shanghai").since.isoformat()
        '2026-03-01T16:00:00+00:00'
        """
        if not all(text.isprintable() for text in self.texts.values()):
            raise Problem("invalid-parameter", "expected text that can be printed")
        since, until = (_midnight(self.texts[name], zone) for name in _DAYS)
        before = self.texts["before"]
        if before and not (before.isascii() and before.isdigit() and len(before) < 19):
            raise Problem("invalid-parameter", "expected before to be a record's number")
        return Sought(
            **{name: self.texts[name] or None for name in _TEXTS},
            since=since,
            until=until and until + timedelta(days=1),
            before=int(before) if before else None,
        )

    def query(self, **more: str) -> str:
        """The query string of the same, with more in it."""
        kept = {name: text for name, text in self.texts.items() if text and name != "before"}
        return urlencode({**kept, **more})


async def audit_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/audit``."""
    room: CaseRoom = request.app.state.cases
    return await _page(pages, request, room, Filter.of(request.query_params))


async def audit_file(request: Request) -> Response:
    """Answer ``GET /console/audit.csv``: what the filter finds, for a spreadsheet."""
    room: CaseRoom = request.app.state.cases
    sought = Filter.of(request.query_params).sought(room.config.zone)
    async with room.turn(actor_of(request.scope)) as turn:
        traces = await taken_out(turn.connection, turn.actor, sought, turn.now)
    text = await asyncio.to_thread(as_csv, traces)
    name = f"audit-{turn.now:%Y%m%dT%H%M%SZ}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    # a spreadsheet takes UTF-8 for what it is only with this mark before it
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)


async def audit_check(pages: Pages, request: Request) -> Response:
    """Answer ``POST /console/audit/verify``: walk the chain and say what was found."""
    room: CaseRoom = request.app.state.cases
    actor = actor_of(request.scope)
    demand(actor, Action.READ_AUDIT)
    if _walking.locked():
        raise Problem("busy", "the audit log is being checked already", retry_after_s=5)
    async with _walking:
        words, sound = await asyncio.to_thread(_walked, room.engine.url, request.app.state.seals)
    async with room.turn(actor) as turn:
        detail = {"deed": "verify", "sound": sound}
        act = Act(actor.name, actor.role, Action.READ_AUDIT, "audit", detail=detail)
        await record(turn.connection, act, turn.now)
    return await _page(pages, request, room, Filter.of({}), (words, sound))


def verdict_words(verdict: Verdict) -> tuple[str, str]:
    """What a walk found, in a sentence (zh, en).

    Examples
    --------
    >>> from serving.access.audit import Head
    >>> verdict_words(Verdict(Head(12, "ab"), None, 10))[1]
    'All 12 records are as they were written; up to record 10 a seal outside the database confirms \
it, the 2 after it could be cut off unseen.'
    """
    last, sealed = verdict.head.seq, verdict.sealed
    if verdict.fault is not None:
        zh = (
            f"日志有问题：{verdict.fault.zh}。其前的 {last} 条记录完好。"
            "请立即保全数据库和封存文件。"
        )
        en = (
            f"The log is not whole: {verdict.fault.en}. The {last} records before are sound. "
            "Secure the database and the file of seals at once."
        )
    elif sealed == last:
        zh = f"全部 {last} 条记录与写入时一致，且全部经数据库之外的封存凭证确认。"
        en = (
            f"All {last} records are as they were written, and a seal outside the database "
            "confirms them all."
        )
    else:
        zh = (
            f"全部 {last} 条记录与写入时一致；封存凭证确认到第 {sealed} 条，"
            f"其后 {last - sealed} 条若被截去则无从发现。"
        )
        en = (
            f"All {last} records are as they were written; up to record {sealed} a seal outside "
            f"the database confirms it, the {last - sealed} after it could be cut off unseen."
        )
    return zh, en


async def _page(
    pages: Pages,
    request: Request,
    room: CaseRoom,
    asked: Filter,
    verdict: tuple[tuple[str, str], bool] | None = None,
) -> Response:
    told: dict[str, Any] = {"asked": asked, "verdict": verdict, "problem": None, "found": None}
    try:
        sought = asked.sought(room.config.zone)
        async with room.turn(actor_of(request.scope)) as turn:
            told["found"] = await look(turn.connection, turn.actor, sought, turn.now)
    except Problem as problem:
        told["problem"] = problem
    status = told["problem"].kind.status if told["problem"] else 200
    told |= {
        "actions": ACTIONS,
        "roles": {role.value: words for role, words in ROLES.items()},
        "zone": ZoneInfo(room.config.zone),
        "most": MOST_EXPORTED,
        "deed": deed,
        "details": details,
    }
    return pages.page(request, PAGE, told, status=status)


def _walked(url: URL, seals: Seals) -> tuple[tuple[str, str], bool]:
    """Walk the log on a connection of its own, for as long as it takes."""
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        verdict = verify_audit(engine, seals)
    except SealError:
        zh = "封存文件被改动，或以另一密钥写成：请取用另存的副本后再验证。"
        en = "The file of seals was changed, or is under another key: take the copy kept elsewhere."
        return (zh, en), False
    finally:
        engine.dispose()
    return verdict_words(verdict), verdict.sound


def _midnight(text: str, zone: str) -> datetime | None:
    """When a day begins in the city."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem("invalid-parameter", "expected a day as YYYY-MM-DD") from None
