"""How often each way succeeds, and talks settle a case, learnt from closed cases."""

from datetime import datetime, timedelta

from sqlalchemy import CTE, Select, func, null, select
from sqlalchemy import case as when
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from models.dissuasion import Rates
from serving.cases.case import State
from serving.cases.contracts import OutcomeKind
from serving.cases.tables import ATTEMPTS, CASES, OUTCOMES

__all__ = ["learnt_chances"]

LEARN_FROM = timedelta(days=90)


async def learnt_chances(
    connection: AsyncConnection, now: datetime, rates: Rates | None = None
) -> Rates:
    """Rates with the attempts of the last 90 days whose cases are closed.

    A closed false alarm says who was reached, and how many talks it took until that was clear;
    nothing of belief: there was no fraud to doubt.
    """
    closed = _closed(now - LEARN_FROM)
    false_alarm = closed.c.outcome == OutcomeKind.FALSE_ALARM
    went = select(
        closed.c.channel,
        closed.c.script,
        closed.c.reached,
        when((false_alarm, null()), else_=closed.c.believed).label("believed"),
    ).subquery()
    # summed up in one order: each worker learns the same to the bit
    query = select(*went.c, func.count()).group_by(*went.c).order_by(*went.c)
    rows = await connection.execute(query)
    counted = (rates or Rates()).count({tuple(row[:4]): row[4] for row in rows})
    cleared, unsettled = (await connection.execute(_settled(closed))).one()
    return counted.settle(cleared, unsettled)


def _closed(since: datetime) -> CTE:
    """Attempts in closed cases, with what is now held to be the outcome."""
    last = (
        select(OUTCOMES.c.case_id, OUTCOMES.c.outcome)
        .ext(distinct_on(OUTCOMES.c.case_id))
        .where(OUTCOMES.c.reversed_at.is_(None))
        .order_by(OUTCOMES.c.case_id, OUTCOMES.c.known_at.desc())
        .subquery()
    )
    return (
        select(ATTEMPTS, last.c.outcome)
        .join(CASES, CASES.c.case_id == ATTEMPTS.c.case_id)
        .outerjoin(last, last.c.case_id == ATTEMPTS.c.case_id)
        .where(CASES.c.state == State.CLOSED, ATTEMPTS.c.at >= since)
        .cte("closed")
    )


def _settled(closed: CTE) -> Select[int, int]:
    """Of the false alarms: talks that showed it, each case's last, and doubts before those."""
    later = func.lead(closed.c.case_id).over(
        partition_by=closed.c.case_id, order_by=(closed.c.at, closed.c.attempt_id)
    )
    talks = (
        select(closed.c.believed, later.is_(None).label("last"))
        .where(closed.c.reached, closed.c.outcome == OutcomeKind.FALSE_ALARM)
        .subquery()
    )
    doubts = func.count().filter(~talks.c.last, ~talks.c.believed)
    return select(func.count().filter(talks.c.last), doubts).select_from(talks)
