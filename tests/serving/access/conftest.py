"""An emptied database, a clock that is moved by hand, and cheap password hashes."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from data.database import connect
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
def ask(engine: Engine, database: Any) -> Ask:
    """Run something that wants the database and a loop."""
    return database.run  # type: ignore[no-any-return]
