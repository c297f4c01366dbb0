"""Small streams of events, and an embedded Valkey for the session."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import valkey

from data.settings import Settings
from data.stores import open_valkey
from data.tables import EVENT_SCHEMA

START = 1_700_000_000_000_000  # 2023-11-14T22:13:20Z
SECOND = 1_000_000
Row = Mapping[str, Any]
Table = Callable[[Sequence[Row]], pa.Table]
Stream = Callable[..., pa.Table]


def _table(rows: Sequence[Row]) -> pa.Table:
    full = [{"seq": seq, "event_id": f"e{seq}", **_times(row)} for seq, row in enumerate(rows)]
    return pa.Table.from_pylist(full, schema=EVENT_SCHEMA)


def _times(row: Row) -> dict[str, Any]:
    """Seconds from the start in `known` and `occurred` become times."""
    found = {key: value for key, value in row.items() if key not in {"known", "occurred"}}
    known = START + int(row["known"] * SECOND)
    occurred = START + int(row.get("occurred", row["known"]) * SECOND)
    found |= {"known_at": known, "occurred_at": occurred, "late": known - occurred > 300 * SECOND}
    if found["kind"] == "report":
        found |= {"first_contact_at": occurred, "reported_at": max(known, occurred)}
        found |= {"scam_type": "other", "loss_fen": found.get("loss_fen", 100)}
    found.setdefault("source", "test")
    return found


def _one(random: np.random.Generator, known: float, days: float, keys: int) -> dict[str, Any]:
    kinds = ["call", "sms", "app", "transfer", "report", "lead"]
    kind = str(random.choice(kinds, p=[0.34, 0.12, 0.12, 0.34, 0.03, 0.05]))
    late = random.random() < 0.2
    row: dict[str, Any] = {
        "kind": kind,
        "known": known,
        "occurred": known - (random.random() * days * 86_400 if late else 0),
        "subscriber": str(random.integers(100, 100 + keys)),
    }
    other = str(random.integers(100, 100 + 2 * keys))
    if kind in {"call", "sms"}:
        direction = str(random.choice(["incoming", "outgoing"]))
        row |= {"counterpart": other, "direction": direction, "foreign": random.random() < 0.2}
    if kind == "call":
        row |= {"duration_s": int(random.integers(0, 1_500)), "roaming": False}
        row |= {"counterpart_age_days": int(random.integers(0, 400))}
    if kind == "sms":
        row |= {"has_link": random.random() < 0.3, "has_code": random.random() < 0.3}
    if kind == "app":
        action = str(random.choice(["install", "visit", "remote_control"]))
        row |= {"counterpart": other, "action": action, "listed": random.random() < 0.2}
        row |= {"duration_s": 0}
    if kind == "transfer":
        row |= {"counterpart": other, "account": row["subscriber"], "channel": "mobile"}
        row |= {"amount_fen": int(random.integers(1, 5_000_000)), "limit_raised": False}
        row |= {"device": str(random.integers(0, keys))} if random.random() < 0.7 else {}
    if kind == "report":
        row |= {"phones": [other, other], "accounts": [other], "apps": []}
    if kind == "lead":
        row |= {"grade": "high", "scam_type": "other"}
        row |= {"counterpart": other} if random.random() < 0.5 else {}
    return row


@pytest.fixture(scope="session")
def table() -> Table:
    """Rows with `kind`, `known` and perhaps `occurred` in seconds, as an event table."""
    return _table


@pytest.fixture(scope="session")
def stream() -> Stream:
    """A seeded stream of every kind of event among few keys, some of them late."""

    def make(events: int, *, seed: int = 0, days: float = 45, keys: int = 6) -> pa.Table:
        random = np.random.default_rng(seed)
        known = np.sort(random.integers(0, int(days * 86_400), events))
        return _table([_one(random, float(moment), days, keys) for moment in known])

    return make


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey."""
    settings = replace(Settings.from_environment({}), var=tmp_path_factory.mktemp("valkey"))
    with open_valkey(settings) as url:
        yield url


@pytest.fixture
def client(valkey_url: str) -> Iterator[valkey.Valkey]:
    """A connection to it, emptied."""
    with valkey.from_url(valkey_url) as found:
        found.flushall()
        yield found
