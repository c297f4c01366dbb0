"""What tests do with the database of their module."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from serving.cases.case import Case
from serving.cases.tables import CASES

T = TypeVar("T")


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

    def empty(self, tables: str) -> None:
        """Let tables hold nothing of what earlier tests left, nor those that point at them."""
        self.within(lambda connection: connection.execute(text(f"TRUNCATE {tables} CASCADE")))

    def rows(self, query: Any) -> list[dict[str, Any]]:
        async def asked(connection: AsyncConnection) -> list[dict[str, Any]]:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

        return self.within(asked)

    def cases(self) -> list[Case]:
        return [Case.of(row) for row in self.rows(select(CASES).order_by(CASES.c.case_id))]


@pytest.fixture
def database(server: str) -> Database:
    """The database of the module, as the test before left it."""
    return Database(server)
