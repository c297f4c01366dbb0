"""An event_id or a source must not carry a number that becomes a pseudonym everywhere else."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from data.intake import Intake
from data.problems import RejectedRecord
from data.pseudonyms import Pseudonymiser

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CALL = {
    "kind": "call",
    "event_id": "c-1",
    "occurred_at": "2026-03-01T10:00:00+08:00",
    "known_at": "2026-03-01T10:00:05+08:00",
    "subscriber": "+86 138-0013-8000",
    "counterpart": "17012345678",
    "direction": "incoming",
    "duration_s": 60,
}


@pytest.fixture
def intake() -> Intake:
    return Intake(Pseudonymiser(b"k" * 32), clock=lambda: NOW)


@pytest.mark.parametrize(
    "carried",
    [
        {"event_id": "13800138000"},
        {"event_id": "call-138-0013-8000-7"},
        {"event_id": "20260301:17012345678"},
        {"source": "line17012345678"},
    ],
)
def test_a_number_in_what_is_kept_is_refused_by_rows_and_by_columns(
    intake: Intake, carried: dict[str, Any]
) -> None:
    with pytest.raises(RejectedRecord) as refusal:
        intake.one({**CALL, **carried})
    assert [one.field for one in refusal.value.problems] == list(carried)
    assert "138" not in str(refusal.value)
    table = pa.Table.from_pylist([{**CALL, "source": "operator"}, {**CALL, **carried}])
    accepted, rejected = intake.table(table)
    assert accepted.num_rows == 1
    assert rejected.rows == (1,)


@pytest.mark.parametrize("event_id", ["20260301000000000017", "95588-1", "9f2c1380013"])
def test_a_number_of_its_own_is_no_leak(intake: Intake, event_id: str) -> None:
    record = {**CALL, "event_id": event_id}
    assert intake.one(record).event_id == event_id
    assert intake.table(pa.Table.from_pylist([record]))[0].num_rows == 1


def test_a_report_names_its_fraudsters_nowhere_else(intake: Intake) -> None:
    report = {
        "kind": "report",
        "event_id": "r-17012345678",
        "occurred_at": "2026-03-01T10:00:00+08:00",
        "subscriber": "13800138000",
        "scam_type": "rebate",
        "loss_fen": 1,
        "first_contact_at": "2026-03-01T09:00:00+08:00",
        "reported_at": "2026-03-01T11:00:00+08:00",
        "phones": ["170 1234 5678"],
    }
    assert intake.table(pa.Table.from_pylist([report]))[1].rows == (0,)
    with pytest.raises(RejectedRecord, match="event_id"):
        intake.one(report)


@pytest.mark.parametrize("record", [{"source": "13800138000"}])
def test_a_system_is_not_named_by_a_number(intake: Intake, record: dict[str, Any]) -> None:
    with pytest.raises(RejectedRecord, match="source"):
        intake.one({**CALL, **record})


def test_an_app_is_not_named_by_a_number(intake: Intake) -> None:
    app = {
        **{name: CALL[name] for name in ("event_id", "occurred_at", "subscriber")},
        "kind": "app",
        "counterpart": "13900139000",
        "action": "visit",
    }
    with pytest.raises(RejectedRecord, match="counterpart"):
        intake.one(app)
    assert intake.one({**app, "counterpart": "203.0.113.7"})


def test_what_is_known_before_it_happened_is_refused(intake: Intake) -> None:
    record = {**CALL, "known_at": "2001-01-01T00:00:00Z"}
    with pytest.raises(RejectedRecord, match="known_at"):
        intake.one(record)
    accepted, rejected = intake.table(pa.Table.from_pylist([CALL, record]))
    assert (accepted.num_rows, rejected.rows) == (1, (1,))
