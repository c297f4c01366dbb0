"""The screen over columns and the contract by rows: one verdict, one event, one refusal."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.columns import FIELDS, TableError, read_columns
from data.events import EVENT_TYPES, ScamType
from data.intake import Intake, is_late
from data.problems import RejectedRecord
from data.pseudonyms import Pseudonymiser
from data.screen import Concealer, screen
from data.tables import CODE, EVENT_SCHEMA, TIME, from_events

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
INTAKE = Intake(Pseudonymiser(bytes(range(32))), clock=lambda: NOW)
KINDS = tuple(EVENT_TYPES)

PHONES = st.sampled_from(
    [
        "13800138000",
        "+86 138 0013 8000",
        "10086",
        "12",
        "",
        "tel_" + "0" * 32,
        "1" * 40,
        "１３８００",
    ]
)
ACCOUNTS = st.sampled_from(["6222020200012345678", "a@b.c", "-x", "acc_" + "f" * 32, "中文", "A"])
DEVICES = st.sampled_from(["860000000000001", "AA:BB:CC", "_x", ""])
APPS = st.sampled_from(["com.example.app", "Com.Example", "ünïcode", "a b", "", "x" * 129])
MOMENTS = st.one_of(
    st.integers(-20 * 86_400, 2 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    st.sampled_from(
        [
            NOW + timedelta(minutes=5),
            NOW + timedelta(minutes=5, microseconds=1),
            datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(2000, 1, 1, tzinfo=UTC),
            datetime(2100, 1, 1, tzinfo=UTC),
        ]
    ),
)
LARGE = st.sampled_from([-1, 0, 1, 60, 36_500, 36_501, 604_800, 604_801, 10**11, 10**11 + 1])
FLAGS = st.booleans()
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from([*KINDS, "fax", ""]),
    "event_id": st.sampled_from(["e-1", "e/2", "x" * 64, "x" * 65, "a b", "é", ""]),
    "occurred_at": MOMENTS,
    "known_at": MOMENTS,
    "source": st.sampled_from(["api", "bank.a", "no spaces", ""]),
    "subscriber": PHONES,
    "counterpart": st.one_of(PHONES, ACCOUNTS, APPS),
    "account": ACCOUNTS,
    "device": DEVICES,
    "direction": st.sampled_from(["incoming", "outgoing", "inbound"]),
    "action": st.sampled_from(["install", "visit", "call"]),
    "channel": st.sampled_from(["mobile", "web", "pigeon"]),
    "duration_s": LARGE,
    "amount_fen": LARGE,
    "counterpart_age_days": LARGE,
    "loss_fen": LARGE,
    "roaming": FLAGS,
    "foreign": FLAGS,
    "has_link": FLAGS,
    "has_code": FLAGS,
    "listed": FLAGS,
    "limit_raised": FLAGS,
    "scam_type": st.sampled_from([*map(str, ScamType), "LOAN"]),
    "grade": st.sampled_from(["urgent", "low", "purple"]),
    "first_contact_at": MOMENTS,
    "reported_at": MOMENTS,
    "phones": st.lists(st.one_of(PHONES, st.none()), max_size=3),
    "accounts": st.lists(ACCOUNTS, max_size=66),
    "apps": st.lists(APPS, max_size=3),
    "citizen_id": st.sampled_from(["50010119900101123X", "5001", "idn_" + "a" * 32, "x" * 8]),
}
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "subscriber": st.sampled_from(["13800138000", "13900139000"]),
    "event_id": st.sampled_from(["e-1", "e-2"]),
    "occurred_at": st.just(NOW - timedelta(days=2)),
    "first_contact_at": st.just(NOW - timedelta(days=3)),
    "reported_at": st.just(NOW - timedelta(days=1)),
    "direction": st.just("incoming"),
    "duration_s": st.just(60),
    "amount_fen": st.just(100),
    "loss_fen": st.just(100),
    "account": st.just("6222"),
    "action": st.just("visit"),
    "scam_type": st.just("loan"),
    "grade": st.just("low"),
}
LIKELY = {"call": "10086", "sms": "10086", "lead": "10086", "transfer": "6222", "app": "a.b"}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record that is right but for a few fields, so that both verdicts are common."""
    kind = draw(st.sampled_from(KINDS))
    contract = EVENT_TYPES[kind]
    record = {"kind": kind}
    for field in contract.model_fields:
        if contract.model_fields[field].is_required() and field in GOOD:
            record[field] = draw(GOOD[field])
    if kind in LIKELY:
        record["counterpart"] = LIKELY[kind]
    for field in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3)):
        record[field] = draw(VALUES[field])
    if draw(st.integers(0, 9)) == 0:
        record.pop(draw(st.sampled_from(sorted(record))))
    return record


def by_rows(given_records: list[dict[str, Any]]) -> tuple[pa.Table, list[Any]]:
    """The oracle: every record through its contract, one by one."""
    events, refused = [], []
    for place, record in enumerate(given_records):
        try:
            events.append(INTAKE.one(record))
        except RejectedRecord as refusal:
            refused.append((place, sorted(map(str, refusal.problems))))
    return from_events(events, late=[is_late(event) for event in events]), refused


def table_of(given_records: list[dict[str, Any]]) -> pa.Table:
    fields = [
        (field.name, pa.int64() if pa.types.is_integer(field.type) else field.type)
        for field in EVENT_SCHEMA
        if field.name in FIELDS
    ]
    return pa.Table.from_pylist(given_records, schema=pa.schema(fields))


def told(rejected: Any) -> list[Any]:
    return [
        (row, sorted(map(str, problems)))
        for row, problems in zip(rejected.rows, rejected.problems, strict=True)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(), max_size=12))
def test_columns_and_rows_agree(given_records: list[dict[str, Any]]) -> None:
    expected, refused = by_rows(given_records)
    accepted, rejected = INTAKE.table(table_of(given_records), first_seq=0)
    assert accepted.to_pylist() == expected.to_pylist()
    assert accepted.schema == EVENT_SCHEMA
    assert told(rejected) == refused


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(), min_size=1, max_size=12))
def test_what_passes_the_screen_passes_its_contract(given_records: list[dict[str, Any]]) -> None:
    columns = read_columns(table_of(given_records))
    judged = screen(columns, Concealer(INTAKE.pseudonymiser), NOW)
    for place in np.flatnonzero(judged.passed):
        INTAKE.one(given_records[place])


@pytest.mark.parametrize("kind", KINDS)
def test_the_screen_passes_what_is_right(record, kind: str) -> None:
    """Else every row would go the slow way, and nobody would notice."""
    table = table_of([INTAKE.one(record(kind, number)).model_dump() for number in range(3)])
    assert screen(read_columns(table), Concealer(INTAKE.pseudonymiser), NOW).passed.all()


def test_defaults_are_the_contracts(record) -> None:
    sparse = [
        {
            "kind": "transfer",
            "event_id": "t",
            "subscriber": "13800138000",
            "counterpart": "62",
            "account": "63",
            "amount_fen": 5,
            "occurred_at": NOW,
        },
        {
            "kind": "app",
            "event_id": "a",
            "subscriber": "13800138000",
            "counterpart": "a.b",
            "action": "visit",
            "occurred_at": NOW,
        },
        {
            "kind": "lead",
            "event_id": "l",
            "subscriber": "13800138000",
            "grade": "low",
            "occurred_at": NOW,
        },
    ]
    accepted, _ = INTAKE.table(table_of(sparse))
    found = accepted.to_pylist()
    assert found[0]["channel"] == "mobile"
    assert found[0]["limit_raised"] is False
    assert found[0]["listed"] is None
    assert found[1]["duration_s"] == 0
    assert found[2]["scam_type"] == "other"
    assert {row["source"] for row in found} == {"api"}
    assert {row["known_at"] for row in found} == {NOW}


def test_numbers_given_are_kept_unless_new_ones_are_asked_for(record) -> None:
    table = table_of([INTAKE.one(record("call", n)).model_dump() for n in range(3)])
    numbered = table.append_column("seq", pa.array([5, 7, 9]))
    assert INTAKE.table(numbered)[0]["seq"].to_pylist() == [5, 7, 9]
    assert INTAKE.table(numbered, first_seq=20)[0]["seq"].to_pylist() == [20, 21, 22]
    assert INTAKE.table(table)[0]["seq"].to_pylist() == [0, 1, 2]


TRANSFER = {"kind": ["transfer"] * 3, "event_id": ["a", "b", "c"], "counterpart": ["62"] * 3,
            "account": ["63"] * 3, "subscriber": ["13800138000"] * 3, "amount_fen": [1, 2, 3],
            "occurred_at": [NOW] * 3}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "values", "refused"),
    [
        ("amount_fen", pa.array([1.0, 2.5, float("inf")]), (1, 2)),
        ("amount_fen", pa.array([1, 2**63, 3], pa.uint64()), (1,)),
        ("amount_fen", pa.array(["1", "2", "3"]), (0, 1, 2)),
        ("amount_fen", pa.array([True, False, True]), (0, 1, 2)),
        ("amount_fen", pa.array([1, 2, 3], pa.int16()), ()),
        ("subscriber", pa.array([13800138000] * 3), (0, 1, 2)),
        ("subscriber", pa.array(["13800138000"] * 3, pa.large_string()), ()),
        ("subscriber", pa.array(["13800138000"] * 3, pa.string_view()), ()),
        ("subscriber", pa.array([b"13800138000", b"\xff1380", None]), (1, 2)),
        ("occurred_at", pa.array([NOW.replace(tzinfo=None)] * 3), (0, 1, 2)),
        ("occurred_at", pa.array([NOW] * 3, pa.timestamp("ns", "Asia/Shanghai")), ()),
        ("occurred_at", pa.array([2**55, 0, -(2**55)], pa.timestamp("s", "UTC")), (0, 1, 2)),
        ("occurred_at", pa.array(["2026-03-01T10:00:00Z", "2026-02-30T10:00:00Z", ""]), (1, 2)),
        ("occurred_at", pa.array([1, 2, 3]), (0, 1, 2)),
        ("limit_raised", pa.array([1, 0, 1]), (0, 1, 2)),
        ("device", pa.nulls(3), ()),
        ("phones", pa.array([[], None, ["10086"]], pa.list_(pa.string())), (0, 2)),
        ("version", pa.array([1, 2, None]), (1,)),
    ],
)
def test_types_of_other_writers(field: str, values: pa.Array, refused: tuple[int, ...]) -> None:
    table = pa.table({**TRANSFER, field: values})
    accepted, rejected = INTAKE.table(table)
    assert rejected.rows == refused
    assert len(accepted) + len(rejected) == 3


def test_pandas_writes_absent_numbers_as_floats() -> None:
    frame = pd.DataFrame({**TRANSFER, "occurred_at": "2026-03-01T10:00:00Z"})
    frame["counterpart_age_days"] = [np.nan] * 3
    frame["amount_fen"] = [1.0, 2.0, 3.0]
    assert INTAKE.table(pa.Table.from_pandas(frame))[1].rows == ()


def test_foreign_columns_are_refused_with_a_difference() -> None:
    table = pa.table({"kind": ["call"], "event_id": ["a"], "ocurred_at": [NOW], "13800": [1]})
    with pytest.raises(TableError, match="found no occurred_at, subscriber and the unknown ocur"):
        INTAKE.table(table)


def test_an_empty_table_is_nothing() -> None:
    accepted, rejected = INTAKE.table(table_of([]))
    assert (len(accepted), len(rejected)) == (0, 0)
    assert accepted.schema == EVENT_SCHEMA


def test_no_raw_number_leaves_the_door(record, raw_numbers) -> None:
    rows = [INTAKE.one(record(kind, 1)).model_dump() for kind in KINDS]
    raw = [
        {**row, **{k: v for k, v in record(row["kind"], 1).items() if k in FIELDS}} for row in rows
    ]
    for row in raw:
        for name in ("occurred_at", "known_at", "first_contact_at", "reported_at"):
            if isinstance(row.get(name), str):
                row[name] = datetime.fromisoformat(row[name])
    accepted, _ = INTAKE.table(table_of(raw))
    assert len(accepted) == len(KINDS)
    written = json.dumps(accepted.to_pylist(), default=str)
    assert not [number for number in raw_numbers if number in written]
    dictionaries = [
        accepted[field.name].chunk(0).dictionary.to_pylist()
        for field in EVENT_SCHEMA
        if field.type == CODE
    ]
    assert not [number for number in raw_numbers if number in json.dumps(dictionaries)]
    assert accepted.schema.field("known_at").type == TIME
