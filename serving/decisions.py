"""Decisions as they were made: recorded before they are answered, with all that was known.

An event's row in the log and its decision go into one transaction. Writes that meet are committed
together, because a commit costs a disk flush however many rows it holds. A row that is there
already stays as it is: whoever comes second gets what the first was told. Alerts and leads meet
their citizen's case in the same transaction; other events cost it nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    CompoundSelect,
    DateTime,
    Double,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    cast,
    delete,
    false,
    func,
    null,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from data.database import SERVING, events, insert_events, metadata
from data.events import EVENT_TYPES, Event
from data.quarantine import keeping
from serving.cases.admission import admit
from serving.cases.config import CaseConfig
from serving.cases.evidence import Admitted, concerns
from serving.cases.numbers import keep
from serving.contracts import Decision
from serving.judge import Judge, Seen
from serving.rules.matches import record_matches

__all__ = ["DECISIONS", "POSTPONED", "Entry", "Ledger", "Told", "decision_row", "vector_of"]

Row = Mapping[str, Any]
Floats = NDArray[np.float64]

DECISIONS = Table(
    "decisions",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("subscriber", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("evaluated_at", DateTime(timezone=True), nullable=False),
    Column("raw_score", Double, nullable=False),
    Column("score", Double, nullable=False),
    Column("level", Text),
    Column("model_version", Text, nullable=False),
    Column("features_version", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("thresholds", JSON, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("rules", JSON(none_as_null=True)),
    Index("ix_decisions_decided_at", "decided_at", postgresql_using="brin"),
)
"""One row a scored event; ``vector`` is little-endian float64, ``answer`` what the client got.

``rules`` says which rules applied and who was listed (`serving.rules.Standing.row`); null: none.
"""

POSTPONED = Table(
    "postponed",
    metadata,
    Column("arrival", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("scored", Boolean, nullable=False),
    Column("payload", JSONB, nullable=False),
)
"""Events acknowledged while feature state was away, until the keeper has shown them to it."""

_KEEPER = 0x6B656570  # advisory lock, any number: "keep"


@dataclass(frozen=True)
class Entry:
    """What one event leaves behind: its row in the log and, if it was scored, its decision.

    Parameters
    ----------
    event, decision : Row
    entries : tuple of str
        List entries that a live rule found in the event.
    number : bytes or None
        The citizen's, sealed, of an alert or a lead; kept beside its case.
    """

    event: Row
    decision: Row | None = None
    entries: tuple[str, ...] = ()
    number: bytes | None = field(default=None, repr=False)

    @property
    def concerns(self) -> bool:
        """Whether it is an alert or a lead."""
        return concerns(self.event, self.decision)

    @property
    def touched(self) -> bool:
        """Whether a rule or a list matched."""
        return self.decision is not None and bool(
            self.entries or self.decision["answer"].get("rules")
        )


@dataclass(frozen=True)
class Told:
    """What was told of an event before.

    Parameters
    ----------
    payload : mapping
        The concealed event.
    answer : mapping or None
        Its decision as it was answered, if it was scored.
    recorded : bool
        In the log; else it waits for feature state.
    """

    payload: Row
    answer: Row | None
    recorded: bool


@dataclass
class _Waiting:
    entries: Sequence[Entry]
    done: "asyncio.Future[frozenset[str]]"


def vector_of(stored: bytes) -> Floats:
    """A stored vector, to the bit.

    Examples
    --------
    >>> vector_of(np.array([1.5, np.nan]).astype("<f8").tobytes())
    array([1.5, nan])
    """
    return np.frombuffer(stored, dtype="<f8").astype(np.float64)


def decision_row(
    event: Event, seen: Seen, decision: Decision, judge: Judge, rules: Row | None = None
) -> Row:
    """Row of `DECISIONS`: what was known, under which versions and thresholds, and the answer."""
    return {
        "event_id": event.event_id,
        "seq": seen.seq,
        "subscriber": event.subscriber,
        "kind": event.kind,
        "decided_at": decision.decided_at,
        "evaluated_at": seen.now,
        "raw_score": decision.raw_score,
        "score": decision.score,
        "level": decision.level and decision.level.name,
        "model_version": judge.bundle.version,
        "features_version": judge.bundle.features_digest,
        "vector": seen.values.astype("<f8").tobytes(),
        "thresholds": dict(judge.thresholds),
        "answer": decision.model_dump(mode="json"),
        "rules": rules,
    }


class Ledger:
    """The event log and the decisions in PostgreSQL, for one worker.

    Parameters
    ----------
    url : str
        ``postgresql+psycopg://…``
    cases : CaseConfig, optional
        How alerts and leads become cases; the first preset by default.
    at_once : int
        Most rows of one commit.
    """

    def __init__(self, url: str, *, cases: CaseConfig | None = None, at_once: int = 256) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=8,
            max_overflow=0,
            pool_timeout=2,
            pool_pre_ping=False,
            hide_parameters=True,
            skip_autocommit_rollback=True,
            connect_args={
                "connect_timeout": 2,
                "options": "-c statement_timeout=4000 -c timezone=UTC",
            },
        )
        # a read is one statement: without a transaction round it, it is one trip instead of three
        self._reads = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._cases = cases or CaseConfig.preset()
        self._at_once = at_once
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._presence: AsyncConnection | None = None

    async def open(self) -> None:
        """Start the writer, and show that somebody serves."""
        self._presence = await self._engine.connect()
        await self._presence.execution_options(isolation_level="AUTOCOMMIT")
        await self._presence.execute(select(func.pg_advisory_lock_shared(SERVING)))
        self._writer = asyncio.create_task(self._write_for_ever())

    async def close(self) -> None:
        """Write what waits, then let the connections go."""
        while self._waiting:
            await asyncio.sleep(0.01)
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        if self._presence is not None:
            await self._presence.close()
        await self._engine.dispose()

    async def ping(self) -> None:
        """Raise unless PostgreSQL answers."""
        async with self._reads.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def last_seq(self) -> int:
        """The highest ``seq`` recorded, -1 in an empty log."""
        async with self._reads.connect() as connection:
            found = await connection.scalar(select(func.max(events.c.seq)))
        return -1 if found is None else int(found)

    async def known(self, event_ids: Sequence[str]) -> dict[str, Told]:
        """Those events that were told before, in one statement; the log's word goes first."""
        if not event_ids:
            return {}
        async with self._reads.connect() as connection:
            rows = (await connection.execute(_told(event_ids))).all()
        return {
            row.event_id: Told(row.payload, row.answer, row.recorded)
            for row in sorted(rows, key=lambda row: bool(row.recorded))
        }

    async def record_of(self, event_id: str) -> Row | None:
        """A decision with its event, or None."""
        query = (
            select(DECISIONS, events.c.payload)
            .join(events, events.c.event_id == DECISIONS.c.event_id)
            .where(DECISIONS.c.event_id == event_id)
        )
        async with self._reads.connect() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else dict(row)

    async def write(self, entries: Sequence[Entry]) -> frozenset[str]:
        """Record entries; returns when they are on disk.

        A caller that goes away does not take its rows along: they are written all the same.

        Returns
        -------
        frozenset of str
            Ids of events whose decision may be somebody else's: to be read again.
        """
        if not entries:
            return frozenset()
        done = asyncio.get_running_loop().create_future()
        done.add_done_callback(_looked_at)
        self._waiting.append(_Waiting(entries, done))
        self._wake.set()
        return await asyncio.shield(done)

    async def quarantine(self, rows: Sequence[Row]) -> None:
        """Keep refused records, sealed."""
        async with self._engine.begin() as connection:
            await connection.execute(keeping(), list(rows))

    async def postpone(self, given: Sequence[Event], *, scored: bool) -> None:
        """Keep events until feature state is back."""
        rows = [
            {
                "event_id": event.event_id,
                "scored": scored,
                "payload": event.model_dump(mode="json", exclude_none=True),
            }
            for event in given
        ]
        async with self._engine.begin() as connection:
            await _insert_new(connection, POSTPONED, rows)

    async def postponed(self, limit: int) -> list[tuple[Event, bool]]:
        """The events that have waited longest, and whether they want a score."""
        query = (
            select(POSTPONED.c.payload, POSTPONED.c.scored)
            .order_by(POSTPONED.c.arrival)
            .limit(limit)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [(_event(row.payload), row.scored) for row in rows]

    async def forget(self, event_ids: Sequence[str]) -> None:
        """Let go of postponed events that are recorded now."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(POSTPONED).where(POSTPONED.c.event_id.in_(event_ids)))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Whether this worker may settle what waits: one at a time, so that order is kept."""
        async with self._engine.begin() as connection:
            yield bool(await connection.scalar(select(func.pg_try_advisory_xact_lock(_KEEPER))))

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            group = self._next_group()
            if group:
                await self._settle(group)
            else:
                self._wake.clear()

    def _next_group(self) -> list[_Waiting]:
        """What waits, in order, up to a commit's worth; never nothing while something waits."""
        rows = 0
        for count, each in enumerate(self._waiting):
            rows += len(each.entries)
            if count and rows > self._at_once:
                break
        else:
            count = len(self._waiting)
        group = self._waiting[:count]
        del self._waiting[:count]
        return group

    async def _settle(self, group: Sequence[_Waiting]) -> None:
        try:
            others = await self._insert([entry for each in group for entry in each.entries])
        except (IntegrityError, DataError) as error:
            # one bad row must not fail its neighbours: each caller gets a transaction of its own
            if len(group) == 1:
                group[0].done.set_exception(error)
            else:
                for each in group:
                    await self._settle([each])
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for these rows
            for each in group:
                each.done.set_exception(error)
        else:
            for each in group:
                each.done.set_result(others)

    async def _insert(self, entries: Sequence[Entry]) -> frozenset[str]:
        async with self._engine.begin() as connection:
            await connection.run_sync(insert_events, [entry.event for entry in entries])
            decided = [entry for entry in entries if entry.decision is not None]
            ours = await _insert_plain(connection, [one for one in decided if not one.touched])
            ours |= await _insert_touched(connection, [one for one in decided if one.touched])
            found = [entry for entry in entries if entry.concerns]
            admitted = [Admitted.of(one.event, one.decision, self._cases) for one in found]
            await admit(connection, admitted, self._cases)
            await keep(connection, _numbers(found, admitted))
        names = Counter(one.event["event_id"] for one in decided)
        return frozenset(name for name, times in names.items() if times > 1 or name not in ours)


def _numbers(found: Sequence[Entry], admitted: Sequence[Admitted]) -> list[Row]:
    return [
        {"subscriber": about.subscriber, "sealed": entry.number, "kept_at": about.known_at}
        for entry, about in zip(found, admitted, strict=True)
        if entry.number is not None
    ]


async def _insert_new(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        statement = insert(table).on_conflict_do_nothing(index_elements=["event_id"])
        await connection.execute(statement, list(rows))


async def _insert_plain(connection: AsyncConnection, plain: Sequence[Entry]) -> set[str]:
    """Decisions that are the model's alone; the ids of those that were not recorded before."""
    if not plain:
        return set()
    new = insert(DECISIONS).on_conflict_do_nothing(index_elements=["event_id"])
    rows = [dict(entry.decision or {}) for entry in plain]
    return set(await connection.scalars(new.returning(DECISIONS.c.event_id), rows))


async def _insert_touched(connection: AsyncConnection, touched: Sequence[Entry]) -> set[str]:
    """The same of those that rules or lists matched, with what did."""
    ours = set()
    for entry in touched:
        row = entry.decision or {}
        new = insert(DECISIONS).values(row).on_conflict_do_nothing(index_elements=["event_id"])
        if await connection.scalar(new.returning(DECISIONS.c.event_id)) is not None:
            ours.add(row["event_id"])
            await record_matches(connection, row, entry.entries)
    return ours


def _told(event_ids: Sequence[str]) -> CompoundSelect[Any]:
    joined = events.outerjoin(DECISIONS, DECISIONS.c.event_id == events.c.event_id)
    logged = (
        select(events.c.event_id, events.c.payload, DECISIONS.c.answer, true().label("recorded"))
        .select_from(joined)
        .where(events.c.event_id.in_(event_ids))
    )
    nothing = cast(null(), JSON).label("answer")
    waiting = select(
        POSTPONED.c.event_id, POSTPONED.c.payload, nothing, false().label("recorded")
    ).where(POSTPONED.c.event_id.in_(event_ids))
    return union_all(logged, waiting)


def _event(payload: Mapping[str, Any]) -> Event:
    found: Event = EVENT_TYPES[payload["kind"]].model_validate(payload)  # type: ignore[assignment]
    return found


def _looked_at(done: "asyncio.Future[frozenset[str]]") -> None:
    """An error whose caller went away is no news to the loop."""
    if not done.cancelled():
        done.exception()
