"""The door, one record at a time: what passes, what does not, and how it is said."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from data.events import EVENT_TYPES
from data.intake import Intake, is_late
from data.problems import RejectedRecord, expectation

KINDS = tuple(EVENT_TYPES)


def refusal(intake: Intake, record: Any) -> RejectedRecord:
    with pytest.raises(RejectedRecord) as raised:
        intake.one(record)
    return raised.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_passes_as_mapping_and_as_json(intake: Intake, record, kind: str) -> None:
    fields = record(kind)
    assert intake.one(fields) == intake.one(json.dumps(fields).encode())
    assert intake.one(fields).kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_comes_back_to_itself(intake: Intake, record, kind: str) -> None:
    event = intake.one(record(kind))
    assert intake.one(event.model_dump(mode="json")) == event


def test_known_at_is_stamped_where_absent(intake: Intake, record, now) -> None:
    assert intake.one(record("call", known_at=None)).known_at == now


def test_null_counts_as_absent(intake: Intake, record) -> None:
    assert intake.one(record("call") | {"roaming": None}) == intake.one(record("call"))


def test_late_is_more_than_five_minutes(intake: Intake, record, now) -> None:
    seen = {
        minutes: is_late(
            intake.one(record("sms", occurred_at=(now - late).isoformat(), known_at=None))
        )
        for minutes, late in ((5, timedelta(minutes=5)), (6, timedelta(minutes=5, seconds=1)))
    }
    assert seen == {5: False, 6: True}


@pytest.mark.parametrize("field", ["occurred_at", "known_at", "reported_at"])
def test_a_clock_ahead_is_refused(intake: Intake, record, now, field: str) -> None:
    near, far = now + timedelta(minutes=5), now + timedelta(minutes=5, seconds=1)
    rest = {"occurred_at": now.isoformat(), "reported_at": now.isoformat(), "known_at": None}
    if field == "occurred_at":
        rest["reported_at"] = (now + timedelta(days=1)).isoformat()
    else:
        intake.one(record("report", **{**rest, field: near.isoformat()}))
    refused = refusal(intake, record("report", **{**rest, field: far.isoformat()}))
    assert field in [problem.field for problem in refused.problems]
    assert "correct the source's clock" in str(refused)


WRONG = [
    ("call", {"duration_s": None}, "duration_s: expected a whole number", "found nothing; add"),
    ("call", {"duration_s": -1}, "from 0 to 604800", "found -1"),
    ("call", {"duration_s": 10**30}, "from 0 to 604800", "found a number of 31 characters"),
    ("call", {"duration_s": 604_801}, "from 0 to 604800", "found a number of 6 characters"),
    ("call", {"duration_s": "60"}, "a whole number", "found text of 2 characters"),
    ("call", {"duration_s": 60.0}, "a whole number", "found 60.0"),
    ("call", {"duration_s": True}, "a whole number", "found true"),
    ("call", {"duration_s": [60]}, "a whole number", "found a list of 1"),
    ("call", {"roaming": "yes"}, "true or false", "found 'yes'"),
    ("call", {"direction": "inbound"}, "one of incoming, outgoing", "found 'inbound'"),
    ("call", {"subscriber": 13800138000}, "a phone number", "found a number;"),
    ("call", {"subscriber": "Zhang San"}, "a phone number", "found text of 9 characters"),
    ("call", {"subscriber": ""}, "a phone number", "found empty text"),
    ("call", {"subscriber": {"tel": "138"}}, "a phone number", "found an object of 1"),
    ("call", {"event_id": "x" * 65}, "a name of 1 to 64", "found text of 65 characters"),
    ("call", {"event_id": "a b"}, "a name of 1 to 64", "found text of 3 characters"),
    ("call", {"occurred_at": "2026-03-01T10:00:00"}, "with its offset", "2026-03-01T10:00:00'"),
    ("call", {"occurred_at": "2026-02-30T10:00:00Z"}, "with its offset", "'2026-02-30T10:00:00Z'"),
    ("call", {"occurred_at": 1_772_330_400}, "with its offset", "found a number of 10"),
    ("call", {"occurred_at": "0001-01-01T00:00:00+14:00"}, "2000 to 2099", "found '0001"),
    ("call", {"occurred_at": "1999-12-31T23:59:59Z"}, "2000 to 2099", "found '1999"),
    ("call", {"amount_fen": 5}, "only fields of call", "remove it"),
    ("call", {"duratoin_s": 5}, "only fields of call", "call it duration_s"),
    ("call", {"13800138000": 5}, r"\(unknown field\): expected only fields", "remove it"),
    ("call", {"version": 2}, "version: expected 1", "found 2"),
    ("transfer", {"amount_fen": 0}, "from 1 to 100000000000", "found 0"),
    ("transfer", {"amount_fen": 12.5}, "a whole number", "found 12.5"),
    ("transfer", {"channel": "carrier pigeon"}, "one of mobile, web", "found text of 14"),
    ("app", {"counterpart": "no spaces"}, "a name of 1 to 128", "found text of 9"),
    ("report", {"phones": "10086"}, "up to 64, each a phone number", "found text of 5"),
    ("report", {"phones": ["10086", 5]}, r"phones\.1: expected", "found a number;"),
    ("report", {"phones": ["10086"] * 65}, "up to 64", "found a list of 65"),
    ("report", {"loss_fen": -1}, "from 0 to", "found -1"),
    ("report", {"first_contact_at": "2026-03-01T03:00:00Z"}, "first_contact_at <= occurred_at", ""),
    ("lead", {"grade": "purple"}, "one of urgent, high, medium, low", "found 'purple'"),
    ("call", {"kind": "fax"}, "one of call, sms, app", "found 'fax'; correct kind"),
    ("call", {"kind": None}, "one of call, sms, app", "found nothing; add kind"),
    ("call", {"kind": ["call"]}, "one of call, sms, app", "found a list of 1"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_record_is_told_what_and_how(intake: Intake, record, raw_numbers, wrong) -> None:
    kind, changes, expected, found = wrong
    told = str(refusal(intake, record(kind, **changes)))
    assert re.search(expected, told)
    assert found in told
    assert not [raw for raw in raw_numbers if raw in told]


def test_every_problem_is_told_at_once(intake: Intake) -> None:
    fields = [problem.field for problem in refusal(intake, {"kind": "call"}).problems]
    assert fields == [
        "event_id",
        "occurred_at",
        "subscriber",
        "counterpart",
        "direction",
        "duration_s",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected JSON in UTF-8"),
        (b"   ", "expected JSON in UTF-8"),
        (b'{"kind": "call"', "expected JSON in UTF-8"),
        (b'{"kind": "\xff\xfe"}', "expected JSON in UTF-8"),
        ('{"kind": "call"}'.encode("utf-16"), "expected JSON in UTF-8"),
        (b'{"kind": "call", "duration_s": NaN}', "expected JSON in UTF-8"),
        (b"[" * 5_000, "expected JSON in UTF-8"),
        (b"null", "expected a JSON object, found nothing"),
        (b"[]", "expected a JSON object, found a list of 0"),
        (b'"13800138000"', "expected a JSON object, found text of 11 characters"),
        (b" " * 70_000, "expected at most 65536 bytes, found 70000 bytes"),
    ],
)
def test_what_is_no_record_is_told_so(intake: Intake, text: bytes, message: str) -> None:
    told = str(refusal(intake, text))
    assert message in told
    assert "13800138000" not in told


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_an_expectation(kind: str) -> None:
    assert all(expectation(kind, field) for field in EVENT_TYPES[kind].model_fields)
