"""An officer's shift: the list, the next case, and what is done with cases beside attempts.

The order itself is `models.work_list`'s; which cases it orders, `serving.cases.backlog` knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ARRAY, Text, any_, cast, insert, select

from models.work_list import Next
from serving.access import ACCOUNTS
from serving.access.roles import MAY, Action, Actor, Role, demand
from serving.cases.attempts import attempts_of, contacted
from serving.cases.backlog import free_cases, steps_of
from serving.cases.case import Case, State
from serving.cases.contracts import Acted, Form
from serving.cases.districts import keep_one
from serving.cases.forms import Deed, Done, Turn, Work, acted, conflict, do_once, once
from serving.cases.ids import new_id
from serving.cases.routing import first_tier
from serving.cases.steps import DAY, told
from serving.cases.tables import CASES, NOTES
from serving.problems import Problem
from serving.scrub import scrubbed

__all__ = [
    "BulkAnswer",
    "BulkItem",
    "Listed",
    "bulk_reassign",
    "bulk_snooze",
    "listed",
    "lock",
    "note",
    "reassign",
    "snooze",
    "take_next",
    "unlock",
]


_FEW = 20  # officers who ask at once


@dataclass(frozen=True)
class Listed:
    """A line of the work list: the case, the step, and who has spoken to the citizen already."""

    case: Case
    step: Next
    contacted_zh: str
    contacted_en: str


class BulkItem(BaseModel):
    """What became of one case of many: the case after it, or why not."""

    model_config = ConfigDict(frozen=True)

    case_id: str
    done: Acted | None = None
    problem: dict[str, Any] | None = None


class BulkAnswer(BaseModel):
    """What became of each, in the order asked."""

    model_config = ConfigDict(frozen=True)

    items: tuple[BulkItem, ...]


async def listed(turn: Turn, minutes_left: float, limit: int | None = None) -> tuple[Listed, ...]:
    """What the shift's remaining minutes are best spent on, in order.

    Parameters
    ----------
    limit : int, optional
        Only so many, the first.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    demand(turn.actor, Action.READ_CASE)
    return await _lines(turn, await steps_of(turn, minutes_left, limit))


async def take_next(turn: Turn, minutes_left: float, key: str) -> Acted | None:
    """Lock the best case nobody has, for this officer; None when nothing is left to do.

    Two officers who ask at once get different cases.
    """
    demand(turn.actor, Action.WORK_CASE)

    async def work() -> BulkAnswer:
        for limit in (_FEW, None):  # all the first may have gone to officers who asked just now
            for line in await listed(turn, minutes_left, limit):
                if (case := await _still_free(turn, line.case.case_id)) is not None:
                    done = await acted(turn, case, Deed("take"), _taken(turn, case, line.step))
                    return BulkAnswer(items=(BulkItem(case_id=case.case_id, done=done),))
        return BulkAnswer(items=())

    answer = await once(turn, key, {"deed": "take_next"}, work)
    items = BulkAnswer.model_validate(answer).items
    return items[0].done if items else None


async def lock(turn: Turn, form: Form) -> Acted:
    """Have a case for oneself, for a while; asking again extends it."""

    async def work(case: Case) -> Done:
        return _held(turn, case, "案件由您处理", "the case is yours for now")

    return await do_once(turn, form, Deed("lock"), work)


async def unlock(turn: Turn, form: Form) -> Acted:
    """Give a case back."""

    async def work(case: Case) -> Done:
        return Done(_let_go(case), "案件已释放", "the case is free")

    return await do_once(turn, form, Deed("unlock"), work)


async def reassign(turn: Turn, form: Form, to: str, *, district: str | None = None) -> Acted:
    """Give a case to an officer, and to the citizen's district where that became known."""
    deed, work = _reassignment(turn, to, district)
    return await do_once(turn, form, deed, work)


async def snooze(turn: Turn, form: Form, reason: str, until: datetime) -> Acted:
    """Let a case rest, with a reason, until a moment; its deadline stays.

    A higher level or stage wakes it before.
    """
    deed, work = _snoozing(turn, reason, until)
    return await do_once(turn, form, deed, work)


async def note(turn: Turn, form: Form, words: str) -> Acted:
    """Add a note; numbers of seven digits or more are taken out of it."""

    async def work(case: Case) -> Done:
        row = {
            "note_id": new_id(turn.now),
            "case_id": case.case_id,
            "text": scrubbed(words),
            "by": turn.actor.name,
            "at": turn.now,
        }
        await turn.connection.execute(insert(NOTES), [row])
        return Done(case, "备注已添加", "note added")

    return await do_once(turn, form, Deed("note", {"text": words}), work)


async def _demand_officer(turn: Turn, name: str, district: str | None) -> None:
    """Let a name pass whose account works cases of a district: else a case would be nobody's.

    Raises
    ------
    Problem
        ``conflict``.
    """
    demand(turn.actor, Action.ASSIGN_CASE)
    query = select(ACCOUNTS.c.role, ACCOUNTS.c.district).where(
        ACCOUNTS.c.name == name, ACCOUNTS.c.disabled_at.is_(None)
    )
    row = (await turn.connection.execute(query)).one_or_none()
    if row is None or Action.WORK_CASE not in MAY[Role(row.role)]:
        raise conflict(
            "expected the account of one who works cases, found none; choose another",
            "没有可办理案件的此账号，请重新选择",
            "nobody who works cases has this account: choose another",
        )
    if not Actor(name, Role(row.role), row.district).sees(district):
        raise conflict(
            "expected one who sees the case's district, found one of another; choose another",
            "此人看不到该案所在辖区，请重新选择",
            "he does not see the case's district: choose another",
        )


async def bulk_reassign(
    turn: Turn, forms: Sequence[Form], key: str, to: str, *, district: str | None = None
) -> BulkAnswer:
    """Reassign many cases; one that cannot be does not hold up the others."""
    return await _bulk(turn, forms, key, _reassignment(turn, to, district))


async def bulk_snooze(
    turn: Turn, forms: Sequence[Form], key: str, reason: str, until: datetime
) -> BulkAnswer:
    """Snooze many cases; one that cannot be does not hold up the others."""
    return await _bulk(turn, forms, key, _snoozing(turn, reason, until))


async def _bulk(turn: Turn, forms: Sequence[Form], key: str, what: tuple[Deed, Work]) -> BulkAnswer:
    deed, work = what
    demand(turn.actor, deed.action)

    async def one(form: Form) -> BulkItem:
        try:
            async with turn.connection.begin_nested():
                done = await do_once(turn, form, deed, work)
        except Problem as problem:
            return BulkItem(case_id=form.case_id, problem=problem.document())
        return BulkItem(case_id=form.case_id, done=done)

    async def whole() -> BulkAnswer:
        ids = sorted({form.case_id for form in forms})
        # all rows before the first audit record: see `serving.access.audit.append`
        held = select(CASES.c.case_id).where(CASES.c.case_id.in_(ids)).order_by(CASES.c.case_id)
        await turn.connection.execute(held.with_for_update())
        return BulkAnswer(items=tuple([await one(form) for form in forms]))

    sent = [form.model_dump() for form in forms]
    content = {"deed": deed.name, "content": dict(deed.content), "forms": sent}
    return BulkAnswer.model_validate(await once(turn, key, content, whole))


def _reassignment(turn: Turn, to: str, district: str | None) -> tuple[Deed, Work]:
    async def work(case: Case) -> Done:
        await _demand_officer(turn, to, case.district if district is None else district)
        moved = replace(_let_go(case), assignee=to)
        if district is not None and district != case.district:
            tier = first_tier(case.level, district, turn.config)
            moved = replace(moved, district=district, start_tier=tier, tier=tier)
            await keep_one(turn.connection, case.subscriber, district, turn.now)
        return Done(moved, f"已转派给{to}", f"assigned to {to}")

    return Deed("reassign", {"to": to, "district": district}, Action.ASSIGN_CASE), work


def _snoozing(turn: Turn, reason: str, until: datetime) -> tuple[Deed, Work]:
    if not turn.now < until <= turn.now + turn.config.episode_gap:
        raise conflict(
            "expected a snooze that ends within the episode's gap, found another; choose a time",
            f"暂缓时间须在现在之后、{turn.config.episode_gap_h:.0f}小时之内",
            f"a case can rest up to {turn.config.episode_gap_h:.0f} h from now",
        )

    async def work(case: Case) -> Done:
        resting = replace(
            _let_go(case),
            state=State.SNOOZED,
            snoozed_until=until,
            snooze_reason=scrubbed(reason),
        )
        when = turn.config.clock(until)
        return Done(resting, f"暂缓至{when}", f"resting until {when}")

    return Deed("snooze", {"reason": reason, "until": until.isoformat()}), work


async def _lines(turn: Turn, steps: Sequence[Next]) -> tuple[Listed, ...]:
    """The steps with their cases, as far as these are still free."""
    # one array, not a parameter each: there may be more cases than a statement has parameters
    these = any_(cast([step.case_id for step in steps], ARRAY(Text)))
    rows = (
        await turn.connection.execute(free_cases(turn).where(CASES.c.case_id == these))
    ).mappings()
    cases = {case.case_id: case for case in map(Case.of, rows)}
    since = min((case.opened_at for case in cases.values()), default=turn.now) - DAY
    made = await attempts_of(turn.connection, {one.subscriber for one in cases.values()}, since)
    return tuple(
        _line(turn, cases[step.case_id], step, made) for step in steps if step.case_id in cases
    )


async def _still_free(turn: Turn, case_id: str) -> Case | None:
    """A case that nobody took since it was listed; one being taken now is not waited for."""
    query = free_cases(turn).where(CASES.c.case_id == case_id).with_for_update(skip_locked=True)
    row = (await turn.connection.execute(query)).mappings().one_or_none()
    return None if row is None else Case.of(row)


def _held(turn: Turn, case: Case, zh: str, en: str) -> Done:
    until = turn.now + timedelta(minutes=turn.config.lock_min)
    held = replace(
        case,
        state=State.OPEN,
        snoozed_until=None,
        snooze_reason=None,
        locked_by=turn.actor.name,
        locked_until=until,
        assignee=case.assignee or turn.actor.name,
    )
    return Done(held, zh, en)


def _taken(turn: Turn, case: Case, step: Next) -> Done:
    held = _held(turn, case, f"下一步：{step.zh}", f"next: {step.en}")
    return replace(held, next=told(step))


def _let_go(case: Case) -> Case:
    return replace(case, locked_by=None, locked_until=None)


def _line(turn: Turn, case: Case, step: Next, made: Any) -> Listed:
    zh, en = contacted([one for _, one in made.get(case.subscriber, [])], turn.config)
    return Listed(case, step, zh, en)
