"""Reading the audit log: who saw or did what, to which subject, when; a page at a time.

`serving.access.audit` writes it and proves it whole; this only reads. Whoever looks is himself
recorded, in the same transaction.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.access.audit import AUDIT, Act, record
from serving.access.roles import Action, Actor, demand, demand_sight

__all__ = ["MOST_EXPORTED", "PAGE", "Sought", "Trace", "TrailPage", "as_csv", "look", "taken_out"]

PAGE = 100
MOST_EXPORTED = 50_000
"""Records of one file; who needs more asks for a shorter time."""

COLUMNS = ("seq", "at", "actor", "role", "action", "subject", "purpose", "detail", "hash")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Sought:
    """What is looked for; what is None is not asked.

    Parameters
    ----------
    actor, action, subject : str, optional
        Exactly as recorded.
    since, until : datetime, optional
        From the one, before the other.
    before : int, optional
        Records with a smaller number only: where the page before ended.
    """

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for a query."""
        found: list[ColumnElement[bool]] = [
            AUDIT.c[name] == value
            for name in ("actor", "action", "subject")
            if (value := getattr(self, name)) is not None
        ]
        if self.since is not None:
            found.append(AUDIT.c.at >= self.since)
        if self.until is not None:
            found.append(AUDIT.c.at < self.until)
        if self.before is not None:
            found.append(AUDIT.c.seq < self.before)
        return found


@dataclass(frozen=True)
class Trace:
    """One record as it is read."""

    seq: int
    at: datetime
    actor: str
    role: str
    action: str
    subject: str
    purpose: str | None
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True)
class TrailPage:
    """Records, the newest first.

    Parameters
    ----------
    traces : tuple of Trace
    before : int or None
        What the next page is asked with; None: there is none.
    """

    traces: tuple[Trace, ...]
    before: int | None


async def look(
    connection: AsyncConnection, actor: Actor, sought: Sought, at: datetime, size: int = PAGE
) -> TrailPage:
    """A page of the log; that it was looked at is recorded.

    Raises
    ------
    Problem
        ``forbidden``, also for one who sees one district.
    """
    _demand_whole(actor)
    found = [Trace(*row) for row in await connection.execute(_query(sought).limit(size + 1))]
    shown = tuple(found[:size])
    await record(connection, _act(actor, "look", sought, shown), at)
    return TrailPage(shown, shown[-1].seq if len(found) > size else None)


async def taken_out(
    connection: AsyncConnection, actor: Actor, sought: Sought, at: datetime
) -> tuple[Trace, ...]:
    """At most `MOST_EXPORTED` records for a file, the newest first; that they left is recorded.

    Raises
    ------
    Problem
        ``forbidden``, also for one who sees one district.
    """
    _demand_whole(actor)
    found = await connection.execute(_query(sought).limit(MOST_EXPORTED))
    traces = tuple(Trace(*row) for row in found)
    await record(connection, _act(actor, "export", sought, traces), at)
    return traces


def as_csv(traces: Iterable[Trace]) -> str:
    """Records as CSV; a cell that a spreadsheet would compute begins with an apostrophe.

    Examples
    --------
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> trace = Trace(7, at, "li.wei", "officer", "reveal", "=1+1", "-2", {}, "ab")
    >>> print(as_csv([trace]).splitlines()[1])
    7,2026-03-01T00:00:00+00:00,li.wei,officer,reveal,'=1+1,'-2,{},ab

    References
    ----------
    OWASP, CSV Injection. RFC 4180.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, traces))
    return file.getvalue()


def _demand_whole(actor: Actor) -> None:
    demand(actor, Action.READ_AUDIT)
    demand_sight(actor, None)  # a record says no district


def _cells(trace: Trace) -> Iterator[str]:
    yield str(trace.seq)
    yield trace.at.astimezone(UTC).isoformat()
    detail = json.dumps(trace.detail, ensure_ascii=False, sort_keys=True)
    words = (trace.actor, trace.role, trace.action, trace.subject, trace.purpose or "", detail)
    for text in (*words, trace.hash):
        yield f"'{text}" if text.startswith(_FORMULA) else text


def _query(sought: Sought) -> Select[*tuple[Any, ...]]:
    columns = (AUDIT.c[name] for name in COLUMNS)
    return select(*columns).where(*sought.conditions).order_by(AUDIT.c.seq.desc())


def _act(actor: Actor, deed: str, sought: Sought, found: tuple[Trace, ...]) -> Act:
    """What was looked for, by name; by value only where the log itself has that value."""
    asked = [name for name in ("actor", "action", "subject") if getattr(sought, name) is not None]
    detail: dict[str, Any] = {"deed": deed, "found": len(found)}
    for name in asked:
        detail[name] = getattr(sought, name) if found else "not in the log"
    for name in ("since", "until"):
        if (moment := getattr(sought, name)) is not None:
            detail[name] = moment.astimezone(UTC).isoformat()
    return Act(actor.name, actor.role, Action.READ_AUDIT, "audit", detail=detail)
