"""What PostgreSQL holds of the data layer: live events, live incidents and the quarantine.

Tables are declared once, in `metadata`; other layers add theirs to it. The database itself is
brought up to date by `upgrade`, from the plain DDL under ``data/migrations``.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from alembic import command
from alembic.config import Config
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    create_engine,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.exc import OperationalError

from data.events import EVENT_TYPES, Event
from data.incidents import INCIDENT_SCHEMA, Incident
from data.settings import Settings
from data.stores import StoreError, open_database
from data.tables import empty_events, from_events

__all__ = [
    "SERVING",
    "adding_incidents",
    "connect",
    "database_of",
    "event_row",
    "events",
    "incident_row",
    "incidents",
    "insert_events",
    "insert_incidents",
    "last_seq",
    "metadata",
    "quarantine",
    "read_events",
    "read_events_of",
    "read_incidents",
    "upgrade",
]

MIGRATIONS = Path(__file__).with_name("migrations")
UPGRADE_LOCK = 0x666F7265  # advisory locks, any numbers: "fore"
SERVING = 0x73657276  # held (shared) by every worker that numbers live events: "serv"

BATCH = 1_000  # rows of one statement: PostgreSQL takes 65,535 values

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("late", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("subscriber", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Index("ix_events_subscriber", "subscriber", "seq"),
    Index("ix_events_known_at", "known_at"),
)
"""Live events in order of arrival; ``payload`` is the concealed event as its contract dumps it."""

_LOGGED = select(events.c.seq, events.c.late, events.c.payload)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("category", Text, nullable=False),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    Column("origin", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("source", Text, nullable=False),
    Index("ix_incidents_known_at", "known_at"),
)
"""Live incidents: places and times, nobody's name (see `data.incidents`)."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", JSONB, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("replayed_at", DateTime(timezone=True)),
    Index("ix_quarantine_received_at", "received_at"),
)
"""Refused records, sealed; ``reason`` lists {field, expected, found, fix} without their values."""


def connect(url: str) -> Engine:
    """Engine for a database that answers.

    Raises
    ------
    StoreError
        If it does not.
    """
    engine = create_engine(url, hide_parameters=True, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError as error:
        engine.dispose()
        raise StoreError(
            f"expected PostgreSQL at {engine.url.render_as_string(hide_password=True)}, found no "
            f"answer ({_first_line(error)}); start it, or correct or unset FOREWARN_DATABASE_URL"
        ) from error
    return engine


def upgrade(url: str) -> None:
    """Bring the database up to date; several processes may call it at once.

    Raises
    ------
    StoreError
        If the database does not answer.
    """
    engine = connect(url)
    try:
        with engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


@contextmanager
def database_of(settings: Settings) -> Iterator[Engine]:
    """A deployment's database, with the tables of today; the running service's where it runs.

    Raises
    ------
    StoreError
        If it cannot be reached or started.
    """
    with open_database(settings) as url:
        upgrade(url)
        engine = connect(url)
        try:
            yield engine
        finally:
            engine.dispose()


def event_row(event: Event, *, seq: int, late: bool) -> Mapping[str, Any]:
    """Row of `events` for an event that is concealed and has its ``known_at``."""
    return {
        "seq": seq,
        "event_id": event.event_id,
        "kind": event.kind,
        "occurred_at": event.occurred_at,
        "known_at": event.known_at,
        "late": late,
        "source": event.source,
        "subscriber": event.subscriber,
        "payload": event.model_dump(mode="json", exclude_none=True),
    }


def insert_events(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Add rows made by `event_row`; the ids of those that were new.

    PostgreSQL looks for a clash in the index it is told alone before it inserts. Of two workers
    with one event the second can pass that look and then meet the first's ``seq``. So a row goes
    in if it clashes with nothing, and one that did not go in is tried by its id alone, now that
    the first has ended.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        If a ``seq`` is another event's.
    """
    given = list(rows)
    if not given:
        return set()
    free = insert(events).on_conflict_do_nothing()
    new = set(connection.scalars(free.returning(events.c.event_id), given))
    old = [row for row in given if row["event_id"] not in new]
    if old:
        connection.execute(insert(events).on_conflict_do_nothing(index_elements=["event_id"]), old)
    return new


def last_seq(connection: Connection) -> int:
    """The highest ``seq`` in the log, -1 if it is empty."""
    found: int | None = connection.scalar(select(func.max(events.c.seq)))
    return -1 if found is None else found


def read_events(connection: Connection, *, after: int = -1, limit: int = 100_000) -> pa.Table:
    """Up to `limit` logged events with a higher ``seq``, in order, as `EVENT_SCHEMA`."""
    later = events.c.seq > after
    return _read(connection, _LOGGED.where(later).order_by(events.c.seq).limit(limit))


def read_events_of(
    connection: Connection, subscribers: Iterable[str], since: datetime, *, limit: int = 100_000
) -> pa.Table:
    """Up to `limit` logged events of some citizens known since a moment, as `EVENT_SCHEMA`."""
    theirs = events.c.subscriber.in_(list(subscribers))
    found = _LOGGED.where(theirs, events.c.known_at >= since)
    return _read(connection, found.order_by(events.c.seq).limit(limit))


def _read(connection: Connection, query: Select[Any]) -> pa.Table:
    rows = connection.execute(query).all()
    if not rows:
        return empty_events()
    facts = [EVENT_TYPES[row.payload["kind"]].model_validate(row.payload) for row in rows]
    table = from_events(facts, late=[row.late for row in rows])  # type: ignore[arg-type]
    place = table.schema.get_field_index("seq")
    numbers = pa.array([row.seq for row in rows], pa.int64())
    return table.set_column(place, table.schema.field(place), numbers)


def incident_row(incident: Incident) -> Mapping[str, Any]:
    """Row of `incidents` for an incident that has its ``known_at``."""
    return incident.model_dump(exclude={"version"}) | {
        "origin": incident.origin.value,
        "precision": incident.precision.value,
    }


def adding_incidents() -> Insert:
    """Write rows made by `incident_row`; one that is there already stays as it is."""
    return insert(incidents).on_conflict_do_nothing(index_elements=["incident_id"])


def insert_incidents(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Add rows made by `incident_row`; the ids of those that were new."""
    given = list(rows)
    new: set[str] = set()
    for start in range(0, len(given), BATCH):
        statement = adding_incidents().values(given[start : start + BATCH])
        new |= set(connection.scalars(statement.returning(incidents.c.incident_id)))
    return new


def read_incidents(
    connection: Connection, before: datetime | None = None, since: datetime | None = None
) -> pa.Table:
    """Live incidents known before a moment and not older than another, as `INCIDENT_SCHEMA`."""
    query = select(*(incidents.c[name] for name in INCIDENT_SCHEMA.names))
    if before is not None:
        query = query.where(incidents.c.known_at < before)
    if since is not None:
        query = query.where(incidents.c.occurred_at >= since)
    rows = connection.execute(query.order_by("occurred_at", "incident_id")).mappings()
    return pa.Table.from_pylist([dict(row) for row in rows], schema=INCIDENT_SCHEMA)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
