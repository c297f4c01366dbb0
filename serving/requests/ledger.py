"""The false-alarm ledger: what false alarms cost citizens and officers.

It is drawn from the outcomes and appeals as they stand, so that an outcome that is taken back
leaves it. A measure that an appeal lifted while the case stands has a line without a false alarm.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, and_, case, cast, func, literal, select

from serving.access.roles import Action, demand
from serving.cases.contracts import OutcomeKind
from serving.cases.forms import Turn
from serving.cases.tables import ATTEMPTS, CASES, OUTCOMES
from serving.requests.request import State
from serving.requests.tables import APPEALS, REQUESTS

__all__ = ["Cost", "ledger"]


@dataclass(frozen=True)
class Cost:
    """What false alarms of one sort cost in a month.

    Parameters
    ----------
    month : str
        In the city's zone, as ``2026-03``, when it was learnt.
    level, scam_type : str
        Of the case.
    district : str or None
    learnt_by : str
        ``outcome`` (an officer saw it), ``appeal`` (a citizen objected), ``measure`` (an appeal
        found the measure wrong and the case right).
    false_alarms : int
        Cases.
    measures_taken, measures_lifted : int
        Requests that had reached a receiver; requests that were undone.
    officer_minutes : float
        Spent on attempts.
    """

    month: str
    level: str
    scam_type: str
    district: str | None
    learnt_by: str
    false_alarms: int
    measures_taken: int
    measures_lifted: int
    officer_minutes: float


async def ledger(turn: Turn, since: datetime) -> tuple[Cost, ...]:
    """False alarms learnt since a moment, of the actor's district, the newest month first.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    demand(turn.actor, Action.READ_OVERVIEW)
    found = []
    for query in (_cases(since, turn.config.zone), _measures(since, turn.config.zone)):
        mine = query
        if turn.actor.district is not None:
            mine = query.where(CASES.c.district == turn.actor.district)
        rows = await turn.connection.execute(mine)
        found += [Cost(**row) for row in rows.mappings()]
    found.sort(key=lambda cost: (cost.level, cost.scam_type, cost.district or "", cost.learnt_by))
    found.sort(key=lambda cost: cost.month, reverse=True)
    return tuple(found)


def _cases(since: datetime, zone: str) -> Select[Any]:
    by_appeal = (
        select(APPEALS.c.outcome_id, APPEALS.c.decided_at)
        .where(APPEALS.c.outcome_id.is_not(None))
        .distinct()
        .subquery()
    )
    # an appeal may also find a false alarm that an officer had seen before
    at_once = and_(
        by_appeal.c.outcome_id == OUTCOMES.c.outcome_id,
        by_appeal.c.decided_at == OUTCOMES.c.known_at,
    )
    spent = (
        select(ATTEMPTS.c.case_id, func.sum(ATTEMPTS.c.minutes).label("minutes"))
        .group_by(ATTEMPTS.c.case_id)
        .subquery()
    )
    asked = (
        select(
            REQUESTS.c.case_id,
            func.count(REQUESTS.c.sent_at).label("taken"),
            func.count().filter(REQUESTS.c.state == State.UNDONE).label("lifted"),
        )
        .group_by(REQUESTS.c.case_id)
        .subquery()
    )
    learnt = case((by_appeal.c.outcome_id.is_not(None), "appeal"), else_="outcome")
    keys = (
        _month(OUTCOMES.c.known_at, zone).label("month"),
        CASES.c.level,
        OUTCOMES.c.scam_type,
        CASES.c.district,
        learnt.label("learnt_by"),
    )
    return (
        select(
            *keys,
            func.count().label("false_alarms"),
            _sum(asked.c.taken).label("measures_taken"),
            _sum(asked.c.lifted).label("measures_lifted"),
            func.coalesce(func.sum(spent.c.minutes), 0.0).label("officer_minutes"),
        )
        .select_from(OUTCOMES)
        .join(CASES, CASES.c.case_id == OUTCOMES.c.case_id)
        .outerjoin(by_appeal, at_once)
        .outerjoin(spent, spent.c.case_id == OUTCOMES.c.case_id)
        .outerjoin(asked, asked.c.case_id == OUTCOMES.c.case_id)
        .where(
            OUTCOMES.c.outcome == OutcomeKind.FALSE_ALARM,
            OUTCOMES.c.reversed_at.is_(None),
            OUTCOMES.c.known_at >= since,
        )
        .group_by(*keys)
    )


def _measures(since: datetime, zone: str) -> Select[Any]:
    """Measures that were wrong in cases that were not."""
    keys = (
        _month(APPEALS.c.decided_at, zone).label("month"),
        CASES.c.level,
        CASES.c.scam_type,
        CASES.c.district,
    )
    return (
        select(
            *keys,
            literal("measure").label("learnt_by"),
            literal(0).label("false_alarms"),
            func.count(REQUESTS.c.sent_at).label("measures_taken"),
            func.count().filter(REQUESTS.c.state == State.UNDONE).label("measures_lifted"),
            literal(0.0).label("officer_minutes"),
        )
        .select_from(APPEALS)
        .join(CASES, CASES.c.case_id == APPEALS.c.case_id)
        .join(REQUESTS, REQUESTS.c.request_id == APPEALS.c.request_id)
        .where(
            APPEALS.c.state == "upheld",
            APPEALS.c.outcome_id.is_(None),
            APPEALS.c.decided_at >= since,
        )
        .group_by(*keys)
    )


def _month(column: Any, zone: str) -> Any:
    return func.to_char(func.timezone(zone, column), "YYYY-MM")


def _sum(column: Any) -> Any:
    # PostgreSQL sums bigint to numeric
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
