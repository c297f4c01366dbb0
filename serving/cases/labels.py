"""Outcomes out of PostgreSQL, as training reads them (see `data.outcomes`)."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from data.database import upgrade
from data.outcomes import OUTCOME_SCHEMA, Verdict, write_outcomes
from data.settings import Settings
from data.stores import open_database
from serving.cases.contracts import OutcomeKind
from serving.cases.tables import EVIDENCE, OUTCOMES

__all__ = ["export", "exported", "outcome_labels"]


async def outcome_labels(
    connection: AsyncConnection, subscribers: Collection[str] | None = None
) -> pa.Table:
    """Outcomes that say something about events, `OUTCOME_SCHEMA`, in the order they were learnt.

    Parameters
    ----------
    subscribers : collection of str, optional
        Only those of these citizens.

    Notes
    -----
    Paid is a fraud and a false alarm is none. Where we stepped in nothing is known of what would
    have been: dissuaded is censored, and so are unreachable and handed over once an attempt had
    reached the citizen; without one they say nothing, and reports decide.
    """
    told = and_(
        EVIDENCE.c.case_id == OUTCOMES.c.case_id, EVIDENCE.c.known_at <= OUTCOMES.c.known_at
    )
    query = (
        select(OUTCOMES, func.array_agg(EVIDENCE.c.event_id).label("events"))
        .join(EVIDENCE, told)
        .group_by(OUTCOMES.c.outcome_id)
        .order_by(OUTCOMES.c.known_at, OUTCOMES.c.outcome_id)
    )
    if subscribers is not None:
        query = query.where(OUTCOMES.c.subscriber.in_(subscribers))
    rows = [_label(row) for row in await connection.execute(query)]
    kept = [row for row in rows if row["verdict"] is not None]
    return pa.Table.from_pylist(kept, schema=OUTCOME_SCHEMA)


async def export(connection: AsyncConnection, folder: Path) -> int:
    """Write all outcomes beside the history that training reads; how many there are."""
    table = await outcome_labels(connection)
    write_outcomes(folder, table)
    return len(table)


def exported(settings: Settings) -> int | None:
    """Write a deployment's outcomes beside its history, before training; None without a database.

    Raises
    ------
    StoreError
        If there is one and it does not answer.
    """
    embedded = settings.var / "postgres" / "data"
    if settings.database_url is None and not embedded.exists():
        return None
    with open_database(settings) as url:
        upgrade(url)
        return asyncio.run(_exported(url, settings.var / "history"))


async def _exported(url: str, folder: Path) -> int:
    engine = create_async_engine(url, connect_args={"options": "-c timezone=UTC"})
    try:
        async with engine.begin() as connection:
            return await export(connection, folder)
    finally:
        await engine.dispose()


def _label(row: Any) -> dict[str, Any]:
    return {
        "outcome_id": row.outcome_id,
        "case_id": row.case_id,
        "subscriber": row.subscriber,
        "verdict": _verdict(row.outcome, intervened=row.intervened),
        "scam_type": row.scam_type,
        "began_at": row.episode_began_at,
        "ends_at": row.episode_ends_at,
        "known_at": row.known_at,
        "withdrawn_at": row.reversed_at,
        "events": sorted(row.events),
    }


def _verdict(outcome: str, *, intervened: bool) -> str | None:
    if outcome == OutcomeKind.PAID:
        return Verdict.FRAUD
    if outcome == OutcomeKind.FALSE_ALARM:
        return Verdict.NONE
    return Verdict.CENSORED if intervened or outcome == OutcomeKind.DISSUADED else None
