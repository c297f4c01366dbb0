"""A form on a case, done once, on the case as the officer saw it, or refused in words.

Every act on a case goes this way: is it his to do, was this form sent before, is the case still
what he saw, has somebody else got it; then the act, the audit record and the answer, all in the
caller's transaction. Row locks are taken before the audit log's, as `serving.access.audit` asks.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.dissuasion import Rates
from serving.access import audit
from serving.access.roles import Action, Actor, demand
from serving.cases.admission import write_cases
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.contracts import Acted, Form, Step
from serving.cases.tables import CASES, FORMS
from serving.problems import Problem

__all__ = ["Deed", "Done", "Turn", "Work", "acted", "conflict", "do_once", "locked_case", "once"]


@dataclass(frozen=True)
class Turn:
    """One request of one officer, in one transaction.

    Parameters
    ----------
    connection : AsyncConnection
        In a transaction; whoever began it commits, or rolls back on a Problem.
    actor : Actor
    now : datetime
    config : CaseConfig
    rates : Rates
        Of success, for what to do next.
    """

    connection: AsyncConnection
    actor: Actor
    now: datetime
    config: CaseConfig
    rates: Rates = field(default_factory=Rates)

    async def record(
        self,
        action: Action,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        purpose: str | None = None,
    ) -> None:
        """Put what the actor did into the audit log; last of all, as `audit.append` asks."""
        act = audit.Act(
            self.actor.name, self.actor.role, action, subject, purpose, detail=detail or {}
        )
        await audit.record(self.connection, act, self.now)


@dataclass(frozen=True)
class Deed:
    """What a form asks for.

    Parameters
    ----------
    name : str
        For the audit log, e.g. ``attempt``.
    content : mapping
        What the form says: the same key with other content is refused.
    action : Action
        What the actor must be allowed to do.
    closed : bool
        Whether it is done on a closed case rather than on one that is not.
    """

    name: str
    content: Mapping[str, Any] = field(default_factory=dict)
    action: Action = Action.WORK_CASE
    closed: bool = False


@dataclass(frozen=True)
class Done:
    """What an act came to: the case after it, what to do next, the sentence, and what else."""

    case: Case
    zh: str
    en: str
    next: Step | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


Work = Callable[[Case], Awaitable[Done]]


async def do_once(turn: Turn, form: Form, deed: Deed, work: Work) -> Acted:
    """Do what a form asks, unless it was done.

    Raises
    ------
    Problem
        ``not-found``; ``forbidden``; ``conflict`` for a stale form, a case somebody else has, a
        key that was used for something else.
    """
    demand(turn.actor, deed.action)

    async def whole() -> Acted:
        case = await locked_case(turn, form.case_id)
        _check(turn, form, deed, case)
        done = await work(case)
        return await acted(turn, case, deed, done)

    told = await once(turn, form.key, {"form": form.model_dump(), **_named(deed)}, whole)
    return Acted.model_validate(told)


async def once(
    turn: Turn, key: str, content: Mapping[str, Any], work: Callable[[], Awaitable[Any]]
) -> Any:
    """The first answer to a form with this key; a second sender waits for the first to finish."""
    fingerprint = hashlib.sha256(
        json.dumps(content, sort_keys=True, ensure_ascii=False, default=str).encode()
    ).hexdigest()
    mine = {"actor": turn.actor.name, "key": key}
    claim = insert(FORMS).values(**mine, fingerprint=fingerprint, at=turn.now)
    claimed = await turn.connection.scalar(claim.on_conflict_do_nothing().returning(FORMS.c.key))
    this = (FORMS.c.actor == turn.actor.name, FORMS.c.key == key)
    if claimed is None:
        first = (await turn.connection.execute(select(FORMS).where(*this))).one()
        if first.fingerprint != fingerprint:
            raise conflict(
                "expected a new key for another form, found one that was used; take a fresh one",
                "此操作编号已用于另一份表单，请刷新页面后重试",
                "this key was used for another form: reload the page and try again",
            )
        return first.answer
    answer = await work()
    stored = json.loads(answer.model_dump_json())
    await turn.connection.execute(update(FORMS).where(*this).values(answer=stored))
    return stored


async def locked_case(turn: Turn, case_id: str) -> Case:
    """A case the actor may see, held to the end of the transaction."""
    query = select(CASES).where(CASES.c.case_id == case_id).with_for_update()
    row = (await turn.connection.execute(query)).mappings().one_or_none()
    case = None if row is None else Case.of(row)
    if case is None or not turn.actor.sees(case.district):
        # whoever may not see a case does not learn that it exists
        raise Problem("not-found", "no case with this id among those you see")
    return case


async def acted(turn: Turn, before: Case, deed: Deed, done: Done) -> Acted:
    """Write a case that was acted on, and the act into the audit log."""
    case = replace(done.case, version=before.version + 1, changed_at=turn.now)
    await write_cases(turn.connection, [case], [case.case_id])
    # the audit log outlives the case: what was sent, but no free text
    said = {name: value for name, value in deed.content.items() if name not in {"text", "reason"}}
    plain = json.loads(json.dumps(said, default=str))
    detail = {"deed": deed.name, "version": case.version, **plain}
    await turn.record(deed.action, case.case_id, detail)
    shown = {name: getattr(case, name) for name in Acted.model_fields if hasattr(case, name)}
    return Acted(**shown, next=done.next, zh=done.zh, en=done.en, detail=done.detail)


def _check(turn: Turn, form: Form, deed: Deed, case: Case) -> None:
    # who assigns work may take a case from whoever has it open
    if deed.action != Action.ASSIGN_CASE and case.held_by_another(turn.actor.name, turn.now):
        until = turn.config.clock(case.locked_until or turn.now)
        raise conflict(
            "expected a case nobody else works on, found one held by another officer; "
            "wait, or ask for it",
            f"{case.locked_by}正在处理此案，占用至{until}",
            f"{case.locked_by} is working on this case, until {until}",
        )
    if case.version != form.version:
        changed = turn.config.clock(case.changed_at)
        raise conflict(
            f"expected version {case.version} of the case, found {form.version}; "
            "read it again and decide anew",
            f"案件在{changed}已有变化，请刷新后再提交",
            f"the case changed at {changed}: read it again, then send the form",
            version=case.version,
        )
    if case.closed != deed.closed:
        found, zh = ("closed", "已结案") if case.closed else ("open", "未结案")
        expected = "a closed case" if deed.closed else "an open case"
        raise conflict(
            f"expected {expected}, found one that is {found}; read it again",
            f"此案{zh}，不能执行此操作",
            f"this case is {found}: that cannot be done with it",
        )


def _named(deed: Deed) -> dict[str, Any]:
    return {"deed": deed.name, "content": dict(deed.content)}


def conflict(detail: str, zh: str, en: str, **more: Any) -> Problem:
    """A refusal in words."""
    return Problem("conflict", detail, {"zh": zh, "en": en, **more})
