"""A database of our own, evidence, and officers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from data.database import upgrade
from data.settings import Settings
from data.stores import open_database
from serving.access import ACCOUNTS
from serving.cases.admission import admit
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.evidence import OURS, Admitted
from serving.cases.tables import CASES

T = TypeVar("T")
NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
TABLES = (
    "sealed_numbers, case_forms, case_notes, outcomes, attempts, case_evidence, cases, "
    "subscriber_districts, jobs"
)


@pytest.fixture(scope="session")
def config() -> CaseConfig:
    return CaseConfig.preset()


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL of our own, brought up to date."""
    with open_database(Settings(var=tmp_path_factory.mktemp("var"))) as url:
        upgrade(url)
        yield url


class Database:
    """Runs coroutines against the database, each with an engine of its own loop."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
        async def whole() -> T:
            engine = create_async_engine(
                self.url, connect_args={"options": "-c timezone=UTC -c statement_timeout=20000"}
            )
            try:
                return await work(engine)
            finally:
                await engine.dispose()

        return asyncio.run(whole())

    def within(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """In one transaction."""

        async def begun(engine: AsyncEngine) -> T:
            async with engine.begin() as connection:
                return await work(connection)

        return self.run(begun)

    def rows(self, query: Any) -> list[dict[str, Any]]:
        async def asked(connection: AsyncConnection) -> list[dict[str, Any]]:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

        return self.within(asked)

    def cases(self) -> list[Case]:
        return [Case.of(row) for row in self.rows(select(CASES).order_by(CASES.c.case_id))]


@pytest.fixture
def database(server: str) -> Database:
    """The database without a case."""
    found = Database(server)
    found.within(lambda connection: connection.execute(text(f"TRUNCATE {TABLES} CASCADE")))
    return found


@pytest.fixture
def officers(database: Database) -> tuple[str, ...]:
    """Accounts of those who work cases."""
    names = ("li", "wang", "zhao")
    rows = [
        {
            "name": name,
            "role": "officer",
            "must_change": False,
            "created_at": NOW,
            "changed_at": NOW,
        }
        for name in names
    ]
    there = insert(ACCOUNTS).on_conflict_do_nothing()
    database.within(lambda connection: connection.execute(there, rows))
    return names


@pytest.fixture
def alert() -> Callable[..., Admitted]:
    """An alert of ours, `minute` after the clock's now; keywords change it."""
    count = iter(range(1_000_000))

    def make(minute: float = 0, level: str = "yellow", **changes: Any) -> Admitted:
        number = next(count)
        at = NOW + timedelta(minutes=minute)
        urgency = ("red", "yellow", "blue").index(level)
        whole: dict[str, Any] = {
            "event_id": f"e{number}",
            "subscriber": "tel_1",
            "kind": "call",
            "platform": OURS,
            "level": level,
            "urgency": urgency,
            "deadline": timedelta(hours=1),
            "score": 0.3,
            "stage": "engaged",
            "scam_type": "loan",
            "amount_cny": 0.0,
            "occurred_at": at,
            "known_at": at,
            "zh": "可疑来电",
            "en": "a suspicious call",
        }
        return Admitted(**{**whole, **changes})

    return make


@pytest.fixture
def opened(
    database: Database, alert: Callable[..., Admitted], config: CaseConfig
) -> Callable[..., Case]:
    """A new case of a citizen."""

    def make(subscriber: str = "tel_1", **changes: Any) -> Case:
        found = alert(subscriber=subscriber, **changes)
        database.within(lambda connection: admit(connection, [found], config))
        return next(case for case in database.cases() if case.subscriber == subscriber)

    return make
