"""What is late: cases past their deadline rise to the tier above; supervisors see them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.access.roles import Action, demand
from serving.cases.admission import write_cases
from serving.cases.case import Case, State
from serving.cases.config import CaseConfig
from serving.cases.forms import Turn
from serving.cases.routing import tier_now
from serving.cases.tables import CASES

__all__ = ["Overdue", "overdue", "overdue_by_tier", "sweep"]

_NOT_CLOSED = CASES.c.state != State.CLOSED
_LATE = and_(_NOT_CLOSED, CASES.c.met_at.is_(None))


@dataclass(frozen=True)
class Overdue:
    """A case that is late.

    Parameters
    ----------
    case : Case
    late : timedelta
    zh, en : str
    """

    case: Case
    late: timedelta
    zh: str
    en: str


async def sweep(connection: AsyncConnection, now: datetime, config: CaseConfig) -> int:
    """Raise what is late and wake what has slept enough; how many cases changed.

    Doing it again at the same moment changes nothing, and what a missed sweep left undone the next
    one does. Cases that an officer or a worker is changing right now wait for the next one.
    """
    rises = and_(_LATE, CASES.c.deadline_at < now, CASES.c.tier != config.tiers[0].name)
    wakes = and_(CASES.c.state == State.SNOOZED, CASES.c.snoozed_until <= now)
    query = (
        select(CASES)
        .where(or_(rises, wakes))
        .order_by(CASES.c.case_id)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(query)).mappings()
    cases = [Case.of(row) for row in rows]
    changed = [after for case in cases if (after := _swept(case, now, config)) != case]
    await write_cases(connection, changed, [case.case_id for case in changed])
    return len(changed)


async def overdue(turn: Turn, limit: int = 200) -> tuple[Overdue, ...]:
    """Cases of the actor's district whose deadline has passed, the most urgent and latest first.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    demand(turn.actor, Action.READ_OVERVIEW)
    query = select(CASES).where(_LATE, CASES.c.deadline_at < turn.now)
    if turn.actor.district is not None:
        query = query.where(CASES.c.district == turn.actor.district)
    query = query.order_by(CASES.c.urgency, CASES.c.deadline_at, CASES.c.case_id).limit(limit)
    rows = (await turn.connection.execute(query)).mappings()
    return tuple(_told(Case.of(row), turn.now, turn.config) for row in rows)


async def overdue_by_tier(turn: Turn) -> Mapping[str, int]:
    """How many cases of the actor's district are late at each tier."""
    demand(turn.actor, Action.READ_OVERVIEW)
    query = select(CASES.c.tier, func.count().label("late")).where(
        _LATE, CASES.c.deadline_at < turn.now
    )
    if turn.actor.district is not None:
        query = query.where(CASES.c.district == turn.actor.district)
    rows = await turn.connection.execute(query.group_by(CASES.c.tier))
    return {row.tier: row.late for row in rows}


def _swept(case: Case, now: datetime, config: CaseConfig) -> Case:
    after = replace(case, tier=tier_now(case, now, config))
    if case.snoozed_until is not None and case.snoozed_until <= now:
        after = replace(after, state=State.OPEN, snoozed_until=None, snooze_reason=None)
    if after == case:
        return case
    return replace(after, version=case.version + 1, changed_at=now)


def _told(case: Case, now: datetime, config: CaseConfig) -> Overdue:
    late = now - case.deadline_at
    minutes = int(late.total_seconds() // 60)
    tier = next((one for one in config.tiers if one.name == tier_now(case, now, config)), None)
    zh, en = (tier.zh, tier.en) if tier else (case.tier, case.tier)
    return Overdue(
        case, late, f"已超时{minutes}分钟，由{zh}督办", f"{minutes} min late, with the {en}"
    )
