"""Migrations lead to what the code declares; the log keeps order and knows its events."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

import serving.access
import serving.cases.numbers
import serving.cases.tables
import serving.decisions
import serving.keeper
import serving.patrols.tables
import serving.requests.tables
import serving.rules.tables
from data.database import (
    connect,
    event_row,
    insert_events,
    last_seq,
    metadata,
    read_events,
    upgrade,
)
from data.events import EVENT_TYPES
from data.intake import Intake, is_late
from data.stores import StoreError
from data.tables import from_events


def test_migrations_lead_to_the_declared_tables(engine: Engine) -> None:
    assert serving.decisions.DECISIONS.metadata is metadata
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_several_processes_may_upgrade_at_once(server: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [server] * 4))


def test_a_database_that_does_not_answer_is_named() -> None:
    url = "postgresql+psycopg://forewarn:secret@localhost:1/forewarn"
    with pytest.raises(StoreError, match="expected PostgreSQL at postgresql") as raised:
        connect(url)
    assert "secret" not in str(raised.value)


def test_the_log_gives_back_what_it_was_given(engine: Engine, intake: Intake, record) -> None:
    facts = [intake.one(record(kind)) for kind in EVENT_TYPES]
    late = [is_late(fact) for fact in facts]
    with engine.begin() as connection:
        assert last_seq(connection) == -1
        assert len(read_events(connection)) == 0
        rows = [event_row(fact, seq=7 + n, late=late[n]) for n, fact in enumerate(facts)]
        assert insert_events(connection, rows) == {fact.event_id for fact in facts}
        assert last_seq(connection) == 12
        expected = from_events(facts, first_seq=7, late=late).to_pylist()
        assert read_events(connection).to_pylist() == expected
        assert read_events(connection, after=9, limit=2)["seq"].to_pylist() == [10, 11]


def test_an_event_is_logged_once(engine: Engine, intake: Intake, record) -> None:
    call = intake.one(record("call"))
    with engine.begin() as connection:
        assert insert_events(connection, []) == set()
        assert insert_events(connection, [event_row(call, seq=0, late=False)]) == {"call-0"}
        assert insert_events(connection, [event_row(call, seq=1, late=False)]) == set()
        assert last_seq(connection) == 0


def test_a_number_of_another_event_is_an_error(engine: Engine, intake: Intake, record) -> None:
    call = intake.one(record("call"))
    other = call.model_copy(update={"event_id": "other"})
    with engine.begin() as connection:
        insert_events(connection, [event_row(call, seq=0, late=False)])
    rows = [event_row(one, seq=seq, late=False) for seq, one in enumerate((other, call), start=0)]
    with pytest.raises(IntegrityError, match="events_pkey"), engine.begin() as connection:
        insert_events(connection, rows)
