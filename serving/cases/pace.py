"""How fast money leaves, learnt from what citizens reported and what cases came to."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa
from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from data.database import events, read_events_of
from data.labels import STAGES, label_events
from models.dissuasion import FraudEvent, Hazard, Left
from serving.cases.contracts import OutcomeKind
from serving.cases.labels import outcome_labels
from serving.cases.tables import OUTCOMES

__all__ = ["learnt_pace"]

LEARN_FROM = timedelta(days=90)
BEFORE = timedelta(days=30)  # a fraud may have begun so long before it was reported
MOST = 500  # citizens, the latest: enough to outweigh what was assumed fifty times
FEN = 100


async def learnt_pace(connection: AsyncConnection, now: datetime) -> Hazard:
    """The pace of the money of citizens who paid, as `models.dissuasion.Hazard.learn` has it.

    Which events were part of the fraud, and of which stage, the labels of training say: there is
    one definition of both.
    """
    who = await _paid(connection, now - LEARN_FROM)
    if not who:
        return Hazard()
    outcomes = await outcome_labels(connection, who)
    told = await connection.run_sync(read_events_of, who, now - LEARN_FROM - BEFORE)
    frauds = await asyncio.to_thread(_frauds, told, outcomes, now)
    return Hazard().learn(Left.of(frauds))


async def _paid(connection: AsyncConnection, since: datetime) -> Sequence[str]:
    reported = select(events.c.subscriber, events.c.known_at).where(
        events.c.kind == "report", events.c.known_at >= since
    )
    found = select(OUTCOMES.c.subscriber, OUTCOMES.c.known_at).where(
        OUTCOMES.c.outcome == OutcomeKind.PAID,
        OUTCOMES.c.reversed_at.is_(None),
        OUTCOMES.c.known_at >= since,
    )
    both = union(reported, found).subquery()
    latest = select(both.c.subscriber).order_by(both.c.known_at.desc(), both.c.subscriber)
    return sorted(set(await connection.scalars(latest.limit(MOST))))


def _frauds(told: pa.Table, outcomes: pa.Table, now: datetime) -> list[FraudEvent]:
    labels = label_events(told, now, maturity=timedelta(0), outcomes=outcomes)
    columns = told.select(["amount_fen", "occurred_at"]).to_pylist()
    return [
        FraudEvent(int(episode), STAGES[stage], (row["amount_fen"] or 0) / FEN, row["occurred_at"])
        for row, y, stage, episode in zip(
            columns, labels.y, labels.stage, labels.episode, strict=True
        )
        if y == 1 and stage >= 0
    ]
