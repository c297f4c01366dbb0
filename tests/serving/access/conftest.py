"""A PostgreSQL of our own, a clock that is moved by hand, and cheap password hashes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from sqlalchemy import Engine, NullPool, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from data.database import connect, upgrade
from data.settings import Settings
from data.stores import open_database
from serving.access import ACCOUNTS, API_KEYS, AUDIT, SESSIONS, TRIES, Passwords

Ask = Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]


@dataclass
class Clock:
    """Now, until it is moved."""

    at: datetime = datetime(2026, 3, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def wait(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    """As in production, but quick."""
    return Passwords(PasswordHasher.from_parameters(CHEAPEST))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with open_database(Settings(var=tmp_path_factory.mktemp("access"))) as url:
        upgrade(url)
        yield url


@pytest.fixture
def engine(server: str) -> Iterator[Engine]:
    """The database, without what earlier tests left."""
    engine = connect(server)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        for table in (AUDIT, SESSIONS, TRIES, API_KEYS, ACCOUNTS):
            connection.execute(table.delete())
        connection.execute(text("ALTER TABLE audit ENABLE TRIGGER USER"))
    yield engine
    engine.dispose()


@pytest.fixture
def ask(engine: Engine) -> Ask:
    """Run something that wants the database and a loop."""

    def run(work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            asynchronous = create_async_engine(engine.url, poolclass=NullPool)
            try:
                return await work(asynchronous)
            finally:
                await asynchronous.dispose()

        return asyncio.run(whole())

    return run
