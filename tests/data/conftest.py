"""Records of every kind, a door with a fixed clock, and the emptied database of the module."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from data.database import connect, metadata
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.settings import Settings

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
KEY = bytes(range(32))

BASE = {"occurred_at": "2026-03-01T10:00:00+08:00", "known_at": "2026-03-01T02:00:30Z"}
RECORDS: dict[str, dict[str, Any]] = {
    "call": {
        "subscriber": "13800138000",
        "counterpart": "+86 10-1234-5678",
        "direction": "incoming",
        "duration_s": 1200,
        "foreign": True,
        "counterpart_age_days": 3,
    },
    "sms": {
        "subscriber": "13800138000",
        "counterpart": "10690000123456",
        "direction": "incoming",
        "has_link": True,
    },
    "app": {
        "subscriber": "13800138000",
        "counterpart": "com.example.meeting",
        "action": "screen_share",
        "device": "860000000000001",
    },
    "transfer": {
        "subscriber": "13800138000",
        "counterpart": "6222020200012345678",
        "account": "6217000010012345678",
        "amount_fen": 4_999_900,
        "device": "860000000000001",
    },
    "report": {
        "subscriber": "13800138000",
        "scam_type": "authority",
        "loss_fen": 4_999_900,
        "first_contact_at": "2026-02-28T09:00:00+08:00",
        "reported_at": "2026-03-02T09:00:00+08:00",
        "phones": ["+86 10-1234-5678"],
        "accounts": ["6222020200012345678"],
        "citizen_id": "50010119900101123X",
    },
    "lead": {"subscriber": "13800138000", "grade": "high", "scam_type": "authority"},
}
RAW = (
    "13800138000",
    "1012345678",
    "10690000123456",
    "860000000000001",
    "6222020200012345678",
    "6217000010012345678",
    "50010119900101123X",
)


def _record(kind: str, number: int = 0, /, **changes: Any) -> dict[str, Any]:
    """A valid record of a kind, with changes; a change to None leaves the field out."""
    whole = {"kind": kind, "event_id": f"{kind}-{number}", **BASE, **RECORDS[kind], **changes}
    return {name: value for name, value in whole.items() if value is not None}


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, Any]]:
    return _record


@pytest.fixture(scope="session")
def raw_numbers() -> tuple[str, ...]:
    """Identifiers within `RECORDS`, also as they look once separators are gone."""
    return RAW


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def names() -> Pseudonymiser:
    return Pseudonymiser(KEY)


@pytest.fixture
def intake(names: Pseudonymiser) -> Intake:
    return Intake(names, clock=lambda: NOW)


@pytest.fixture
def engine(server: str) -> Iterator[Engine]:
    """The database, empty."""
    engine = connect(server)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def settings(server: str, tmp_path: Path, engine: Engine) -> Settings:
    return Settings(var=tmp_path / "var", database_url=server, pseudonym_key=KEY)
