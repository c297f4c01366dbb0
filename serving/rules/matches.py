"""What live rules and list entries matched: written with the decision, counted when asked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.cases.tables import EVIDENCE, OUTCOMES
from serving.rules.contracts import Matches
from serving.rules.tables import LIST_MATCHES, RULE_MATCHES

__all__ = ["entry_counts", "record_matches", "rule_counts"]

LATELY = timedelta(days=30)


async def record_matches(
    connection: AsyncConnection, decision: Mapping[str, Any], entries: Sequence[str]
) -> None:
    """Write down what matched in a new decision, a row of `serving.decisions.DECISIONS`."""
    about = {"event_id": decision["event_id"], "at": decision["decided_at"]}
    matched = [
        {**about, "name": one["name"], "version": one["version"], "made": one["made"]}
        for one in decision["answer"]["rules"]
    ]
    if matched:
        await connection.execute(insert(RULE_MATCHES), matched)
    if entries:
        found = [{**about, "entry_id": entry_id} for entry_id in entries]
        await connection.execute(insert(LIST_MATCHES), found)


async def rule_counts(connection: AsyncConnection, now: datetime) -> dict[tuple[str, int], Matches]:
    """Counts by name and version, with how the cases of the matches ended."""
    at, ended = RULE_MATCHES.c.at, _ended()
    matches = RULE_MATCHES.outerjoin(
        EVIDENCE, EVIDENCE.c.event_id == RULE_MATCHES.c.event_id
    ).outerjoin(ended, ended.c.case_id == EVIDENCE.c.case_id)
    query = (
        select(
            RULE_MATCHES.c.name,
            RULE_MATCHES.c.version,
            func.count().label("ever"),
            func.count().filter(at >= now - LATELY).label("lately"),
            func.count().filter(RULE_MATCHES.c.made).label("made"),
            func.count().filter(ended.c.outcome.in_(("paid", "dissuaded"))).label("frauds"),
            func.count().filter(ended.c.outcome == "false_alarm").label("false_alarms"),
            func.max(at).label("last_at"),
        )
        .select_from(matches)
        .group_by(RULE_MATCHES.c.name, RULE_MATCHES.c.version)
    )
    return {
        (row["name"], row["version"]): _matches(dict(row))
        for row in (await connection.execute(query)).mappings()
    }


def _ended() -> Any:
    """How each case ended, as it stands."""
    return (
        select(OUTCOMES.c.case_id, OUTCOMES.c.outcome)
        .ext(distinct_on(OUTCOMES.c.case_id))
        .where(OUTCOMES.c.reversed_at.is_(None))
        .order_by(OUTCOMES.c.case_id, OUTCOMES.c.known_at.desc())
        .subquery()
    )


async def entry_counts(
    connection: AsyncConnection, entry_ids: Sequence[str], now: datetime
) -> dict[str, Matches]:
    """Counts of some list entries."""
    at = LIST_MATCHES.c.at
    query = (
        select(
            LIST_MATCHES.c.entry_id,
            func.count().label("ever"),
            func.count().filter(at >= now - LATELY).label("lately"),
            func.max(at).label("last_at"),
        )
        .where(LIST_MATCHES.c.entry_id.in_(entry_ids))
        .group_by(LIST_MATCHES.c.entry_id)
    )
    return {
        row["entry_id"]: _matches(dict(row)) for row in (await connection.execute(query)).mappings()
    }


def _matches(row: Mapping[str, Any]) -> Matches:
    return Matches(**{name: row[name] for name in Matches.model_fields if name in row})
