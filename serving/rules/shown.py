"""Rules and lists as they are shown: in words, with states and counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from features import FRAUD_FEATURES
from models.rules import Rule, RuleError, parse_rule
from serving.rules.contracts import (
    EntryAnswer,
    EntryState,
    ListAnswer,
    Matches,
    RuleAnswer,
    RuleList,
)
from serving.rules.matches import entry_counts, rule_counts
from serving.rules.tables import ENTRIES, VERSIONS

__all__ = ["all_rules", "entries_to_sign", "one_list", "shown", "shown_entries"]

NOTHING = Matches(ever=0, lately=0)
MOST_ENTRIES = 1_000  # shown at once; all of them count
_DATES = ("created_at", "asked_at", "tested_at", "live_at", "retired_at")
_NAMES = ("name", "version", "state", "owner", "author", "tested_by", "live_by", "retired_by")


async def all_rules(connection: AsyncConnection, now: datetime) -> RuleList:
    """Every version there ever was."""
    query = select(VERSIONS).order_by(VERSIONS.c.name, VERSIONS.c.version.desc())
    rows = (await connection.execute(query)).all()
    return RuleList(rules=tuple(await shown(connection, rows, now)))


async def shown(
    connection: AsyncConnection, rows: Sequence[Row[Any]], now: datetime
) -> list[RuleAnswer]:
    """Rows of `VERSIONS` for people and systems."""
    counts = await rule_counts(connection, now)
    return [_answer(row, counts.get((row.name, row.version), NOTHING)) for row in rows]


async def one_list(connection: AsyncConnection, name: str, now: datetime) -> ListAnswer:
    """Who is on a list: those who wait first, then those that count, of each the newest."""
    over = ENTRIES.c.removed_at.is_not(None) | (ENTRIES.c.expires_at <= now)
    query = select(ENTRIES).where(ENTRIES.c.list == name)
    newest = (ENTRIES.c.added_at.desc(), ENTRIES.c.entry_id.desc())
    ordered = query.order_by(over, ENTRIES.c.live_at.is_not(None), *newest)
    rows = (await connection.execute(ordered.limit(MOST_ENTRIES))).all()
    return ListAnswer(list=name, entries=tuple(await shown_entries(connection, rows, now)))


async def entries_to_sign(connection: AsyncConnection, who: str, now: datetime) -> int:
    """How many list entries wait for a second person, and could have this one."""
    waits = ENTRIES.c.live_at.is_(None) & ENTRIES.c.removed_at.is_(None)
    query = select(func.count()).where(waits, ENTRIES.c.expires_at > now, ENTRIES.c.added_by != who)
    return int(await connection.scalar(query) or 0)


async def shown_entries(
    connection: AsyncConnection, rows: Sequence[Row[Any]], now: datetime
) -> list[EntryAnswer]:
    """Rows of `ENTRIES` for people and systems."""
    counts = await entry_counts(connection, [row.entry_id for row in rows], now)
    return [
        EntryAnswer(
            **row._asdict(),
            state=_state(row, now),
            matches=counts.get(row.entry_id, NOTHING),
        )
        for row in rows
    ]


def _state(row: Row[Any], now: datetime) -> EntryState:
    if row.removed_at is not None:
        return "removed"
    if row.expires_at <= now:
        return "expired"
    return "waiting" if row.live_at is None else "live"


def _answer(row: Row[Any], matches: Matches) -> RuleAnswer:
    rule = _parsed(row)
    content = row.content
    zh, en = rule.when.words() if rule else ("", "")
    return RuleAnswer(
        **{name: getattr(row, name) for name in (*_NAMES, *_DATES)},
        **{name: content.get(name) for name in ("effect", "level", "expires_at", "zh", "en")},
        hold_most_urgent=content.get("hold_most_urgent", False),
        when_zh=zh,
        when_en=en,
        content=content,
        readable=rule is not None,
        test=row.test,
        matches=matches,
    )


def _parsed(row: Row[Any]) -> Rule | None:
    try:
        return parse_rule(row.content, FRAUD_FEATURES, version=row.version)
    except RuleError:
        return None
