"""A database without a case, evidence, and officers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql import insert

from serving.access import ACCOUNTS
from serving.access.roles import Actor
from serving.cases.admission import admit
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.evidence import OURS, Admitted

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


@pytest.fixture
def database(database: Any) -> Any:
    """The database without a case."""
    database.empty(TABLES)
    return database


@pytest.fixture
def officers(database: Any) -> tuple[str, ...]:
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
    database: Any, alert: Callable[..., Admitted], config: CaseConfig
) -> Callable[..., Case]:
    """A new case of a citizen."""

    def make(subscriber: str = "tel_1", **changes: Any) -> Case:
        found = alert(subscriber=subscriber, **changes)
        database.within(lambda connection: admit(connection, [found], config))
        return next(case for case in database.cases() if case.subscriber == subscriber)

    return make


@pytest.fixture(scope="session")
def acting() -> Callable[[Any, Actor], Any]:
    """An application behind a gate that says who asks."""

    def by(app: Any, actor: Actor) -> Any:
        async def asked(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": {"actor": actor, "token": None}}, receive, send)

        return asked

    return by
