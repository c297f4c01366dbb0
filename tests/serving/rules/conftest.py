"""An emptied database, people who may manage rules, and a desk with a clock that stands."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from data.pseudonyms import Pseudonymiser
from data.settings import Settings
from serving.access.roles import Actor, Role
from serving.cases.config import CaseConfig
from serving.cases.room import CaseRoom
from serving.rules.contracts import RuleBody, Trial, VersionBody
from serving.rules.desk import RuleDesk
from serving.rules.life import record_test
from serving.rules.tables import BOOK
from serving.rules.trial import Trials

T = TypeVar("T")
KEYS = iter(range(1_000_000))
NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
TABLES = "rules, rule_versions, list_entries, rule_matches, list_matches, decisions, events"


@pytest.fixture
def settings(server: str, tmp_path: Path) -> Settings:
    """Of a deployment with the module's database."""
    key = b"a key for tests only, 32 bytes"
    return Settings(var=tmp_path / "var", database_url=server, pseudonym_key=key)


class Bureau:
    """Runs deeds at the desk, each with an engine of its own loop."""

    def __init__(self, settings: Settings, database: Any) -> None:
        self.settings, self.database = settings, database
        self.now = NOW
        self.pseudonymiser = Pseudonymiser(b"a key for tests only, 32 bytes at least")

    def run(self, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
        return self.database.run(work)  # type: ignore[no-any-return]

    def at(self, deed: Callable[[RuleDesk], Awaitable[T]]) -> T:
        """At the desk."""

        def desk(engine: AsyncEngine) -> Awaitable[T]:
            room = CaseRoom(engine, CaseConfig.preset(), lambda: self.now)
            return deed(RuleDesk(room, self.pseudonymiser, Trials(self.settings)))

        return self.run(desk)

    def key(self) -> str:
        return f"form-{next(KEYS):08}"

    def rows(self, query: Any) -> list[dict[str, Any]]:
        return self.database.rows(query)  # type: ignore[no-any-return]

    def draft(self, document: dict[str, Any], by: Actor) -> int:
        body = RuleBody(rule=document, key=self.key())
        return self.at(lambda desk: desk.draft(by, body)).version

    def tested(self, name: str, version: int, found: Trial, by: Actor) -> None:
        async def kept(desk: RuleDesk) -> None:
            async with desk.room.turn(by) as turn:
                await record_test(turn, name, version, found)

        self.at(kept)

    def live(self, document: dict[str, Any], author: Actor, other: Actor, found: Trial) -> int:
        """The whole life, up to live."""
        version = self.draft(document, author)
        self.tested(document["name"], version, found, author)
        body = VersionBody(version=version, key=self.key())
        self.at(lambda desk: desk.go_live(other, document["name"], body))
        return version


@pytest.fixture
def bureau(settings: Settings, database: Any) -> Bureau:
    database.empty(TABLES)
    newer = update(BOOK).values(generation=BOOK.c.generation + 1)
    database.within(lambda connection: connection.execute(newer))
    return Bureau(settings, database)


@pytest.fixture
def li() -> Actor:
    return Actor("li.wei", Role.DATA_SCIENTIST)


@pytest.fixture
def wang() -> Actor:
    return Actor("wang.fang", Role.SUPERVISOR)


@pytest.fixture
def document() -> Callable[..., dict[str, Any]]:
    """A rule that raises large transfers to red; keywords change it, `...` leaves out."""

    def make(**changes: Any) -> dict[str, Any]:
        whole = {
            "name": "large_transfer",
            "owner": "反诈中心研判组",
            "zh": "单笔转账五万元以上",
            "en": "a transfer of CNY 50,000 or more",
            "when": {"feature": "event.amount.value", "op": ">=", "than": 50_000, "unit": "CNY"},
            "effect": "raise",
            "level": "red",
        }
        return {name: value for name, value in {**whole, **changes}.items() if value is not ...}

    return make


@pytest.fixture
def hold(document: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A rule that holds back what is about somebody on the allow list."""

    def make(**changes: Any) -> dict[str, Any]:
        return document(
            **{
                "name": "known_payee",
                "when": {"list": "allow", "holds": "counterpart"},
                "effect": "hold",
                "level": ...,
                "expires_at": (NOW + timedelta(days=30)).isoformat(),
                **changes,
            }
        )

    return make


@pytest.fixture
def found() -> Trial:
    """What a test came to, in numbers of no meaning."""
    return Trial(
        as_of=NOW,
        since=NOW - timedelta(days=21),
        until=NOW - timedelta(days=7),
        days=14,
        model_version="m",
        events=1_000,
        citizens=100,
        share=1,
        matched=10,
        match_rate=0.01,
        warnings=8,
        known=8,
        frauds=2,
        hit_rate=0.25,
        hit_low=0.07,
        hit_high=0.59,
        base_rate=0.001,
        overlap=0.5,
        added_per_day=0.3,
        raised_per_day=0.5,
        held_per_day=0,
        held_frauds=0,
    )


@pytest.fixture
def live(bureau: Bureau, li: Actor, wang: Actor, found: Trial) -> Callable[[dict[str, Any]], int]:
    """Puts a rule live, written by one and signed by another; its version."""
    return lambda document: bureau.live(document, li, wang, found)
