"""The door of incidents: what gets in, what does not and why, alone or in columns."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.columns import TableError
from data.incident_intake import EXPECTED, IncidentIntake
from data.incidents import INCIDENT_FIELDS, INCIDENT_SCHEMA, Incident, Precision, incident_table
from data.places import Extent
from data.problems import RejectedRecord

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CITY = Extent(105.3, 28.1, 110.2, 32.3)
FIELDS = {
    *("incident_id", "occurred_at", "known_at", "category", "lon", "lat"),
    *("origin", "precision", "source"),
}


def live(extent: Extent = CITY) -> IncidentIntake:
    return IncidentIntake(extent, clock=lambda: NOW)


def past(extent: Extent = CITY, zone: str = "Asia/Shanghai", days: float = 0) -> IncidentIntake:
    delay = timedelta(days=days)
    return IncidentIntake(extent, zone=zone, report_delay=delay, clock=lambda: NOW)


def record(**changes: Any) -> dict[str, Any]:
    whole = {
        "incident_id": "110-7",
        "occurred_at": "2026-03-01T22:10:00+08:00",
        "category": "盗窃（入室）",
        "lon": 106.55,
        "lat": 29.56,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def table(*rows: dict[str, Any]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def test_an_incident_has_no_field_for_a_person() -> None:
    assert set(Incident.model_fields) == FIELDS | {"version"}
    assert set(INCIDENT_FIELDS) == FIELDS
    assert set(EXPECTED) == set(Incident.model_fields)
    for word in (
        "name_",
        "person",
        "victim",
        "suspect",
        "phone",
        "citizen",
        "officer",
        "subscriber",
    ):
        assert not [field for field in FIELDS if word in field]
    with pytest.raises(RejectedRecord, match="remove it: no person belongs in an incident"):
        live().one(record(victim="Zhang San"))


def test_a_live_incident_is_known_now() -> None:
    incident = live().one(json.dumps(record()).encode())
    assert incident.known_at == NOW
    assert incident.occurred_at == datetime(2026, 3, 1, 14, 10, tzinfo=UTC)
    said = live().one(record(known_at="2026-03-02T00:00:00Z"))
    assert said.known_at == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"lon": 29.56, "lat": 106.55}, "found swapped: .*; exchange lon and lat"),
        ({"lon": "29.56", "lat": "106.55"}, "found swapped:"),
        ({"lon": 0.0, "lat": 0.0}, "found null-island:"),
        ({"lon": 121.5, "lat": 31.2}, "found outside-city:"),
        ({"lon": float("nan")}, "found not-finite:"),
        ({"lat": "inf"}, "found not-finite:"),
        ({"lat": "29,56"}, "lat: expected degrees north, -90 to 90, found text of 5 characters"),
        ({"lat": "north"}, "found 'north'; correct lat"),
        ({"lat": None}, "lat: .* found nothing; add lat"),
        ({"lon": True}, "lon: expected degrees east"),
        ({"lon": [106.55]}, "found a list of 1"),
        ({"occurred_at": "2026-03-10T12:06:00Z"}, "at most 5 minutes after ours"),
        ({"occurred_at": "2026-03-01 22:10:00"}, "a time with its offset"),
        ({"occurred_at": 1_772_000_000}, "a time with its offset"),
        ({"occurred_at": "1999-12-31T00:00:00Z"}, "2000 to 2099"),
        ({"known_at": "2026-03-01T13:00:00Z"}, "known_at: .*before occurred_at"),
        ({"known_at": "2026-03-11T13:00:00Z"}, "known_at: .*after ours"),
        ({"category": ""}, "category: expected 1 to 64 letters"),
        ({"category": "<script>"}, "category: expected 1 to 64 letters"),
        ({"category": "x" * 65}, "found text of 65 characters|found 'x"),
        ({"incident_id": None}, "incident_id: .* found nothing"),
        ({"incident_id": "two words"}, "incident_id: expected a name"),
        ({"origin": "rumour"}, "origin: expected reported or discovered"),
        ({"precision": "hour"}, "precision: expected minute or day"),
        ({"categorie": "THEFT"}, "only fields of an incident.*call it category"),
        ({"13800138000": "x"}, r"\(unknown field\)"),
        ({"copy": 1}, "copy: expected only fields"),
    ],
)
def test_a_bad_record_is_told_what_is_wrong(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(RejectedRecord, match=match) as refusal:
        live().one(record(**changes))
    assert "13800138000" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"\xff\xfe", "JSON in UTF-8"),
        (b"", "JSON in UTF-8"),
        (b"[1]", "a JSON object, found a list of 1"),
        (b'{"a": NaN}', "JSON in UTF-8"),
        (b'"' + b"x" * 70_000 + b'"', "at most 65536 bytes"),
    ],
)
def test_what_is_no_record_is_refused(text: bytes, match: str) -> None:
    with pytest.raises(RejectedRecord, match=match):
        live().one(text)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RejectedRecord) as refusal:
        live().one(record(lon=29.56, lat=106.55, category="", occurred_at="soon"))
    assert [one.field for one in refusal.value.problems] == ["lon, lat", "occurred_at", "category"]


def test_one_bad_record_does_not_hold_up_the_others() -> None:
    admitted = live().many([record(), b"no", record(incident_id="110-8"), record(lon=0, lat=0)])
    assert sorted(admitted.accepted) == [0, 2]
    assert [problems[0].field for problems in admitted.refused.values()] == ["record", "lon, lat"]


def test_only_mapped_columns_are_read() -> None:
    given = table(record(victim="Zhang San", phone="13800138000"))
    accepted, rejected = past().table(given)
    assert accepted.schema == INCIDENT_SCHEMA
    assert (len(accepted), len(rejected)) == (1, 0)
    assert "Zhang" not in str(accepted.to_pylist())


def test_a_past_incident_is_known_when_it_happened_or_a_delay_later() -> None:
    accepted, _ = past().table(table(record()))
    assert accepted["known_at"].to_pylist() == accepted["occurred_at"].to_pylist()
    accepted, _ = past(days=3).table(table(record()))
    assert accepted["known_at"][0].as_py() == datetime(2026, 3, 4, 14, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "column",
    [
        ["2026-03-01", "2026-03-02"],
        ["03/01/2026", "03/20/2025"],
        ["2026-03-01 00:00:00", "2026-03-02T00:00"],
        pd.to_datetime(["2026-03-01", "2026-03-02"]),
        [datetime(2026, 3, 1).date(), datetime(2026, 3, 2).date()],  # noqa: DTZ001
    ],
    ids=["iso", "american", "midnights", "timestamps", "dates"],
)
def test_a_day_alone_stands_at_its_noon_and_is_known_at_its_end(column: Any) -> None:
    frame = pd.DataFrame({"occurred_at": column, "category": "T", "lon": 106.5, "lat": 29.5})
    row = past().table(frame)[0].to_pylist()[0]
    assert row["precision"] == "day"
    assert row["occurred_at"] == datetime(2026, 3, 1, 4, tzinfo=UTC)
    assert row["known_at"] == datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)


def test_today_is_not_ahead_of_us_though_its_noon_is() -> None:
    morning = IncidentIntake(
        CITY, report_delay=timedelta(0), clock=lambda: datetime(2026, 3, 10, 1, tzinfo=UTC)
    )
    days = [("2026-03-10", None), ("2026-03-11", None), ("2026-03-10", "2026-03-10T08:30+08:00")]
    rows = [record(occurred_at=day, known_at=known) for day, known in days]
    accepted, rejected = morning.table(table(*rows))
    assert (len(accepted), rejected.rows) == (2, (1,))
    assert accepted["known_at"][1].as_py() >= accepted["occurred_at"][1].as_py()


def test_a_day_known_by_day_counts_from_its_end() -> None:
    rows = [
        record(occurred_at="2026-03-01 22:10", known_at=day) for day in ("2026-03-01", "2026-03-02")
    ]
    accepted, rejected = past().table(table(*rows))
    assert len(rejected) == 0
    assert accepted["known_at"][0].as_py() == datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("America/Chicago", "2017-03-12 02:30", "2017-03-12 08:00"),  # skipped: the first after
        ("America/Chicago", "2017-11-05 01:30", "2017-11-05 06:30"),  # twice: the first of them
        ("Australia/Sydney", "2025-10-05 02:30", "2025-10-04 16:00"),
        ("Australia/Sydney", "2025-04-06 02:30", "2025-04-05 15:30"),
        ("Australia/Lord_Howe", "2025-04-06 01:45", "2025-04-05 14:45"),
    ],
)
def test_a_clock_that_changes_loses_nobody(zone: str, local: str, utc: str) -> None:
    row = record(occurred_at=local)
    accepted, rejected = past(zone=zone).table(table(row))
    assert len(rejected) == 0
    assert accepted["occurred_at"][0].as_py() == datetime.fromisoformat(f"{utc}+00:00")


def test_a_day_whose_midnight_is_skipped_ends() -> None:
    row = record(occurred_at="2018-11-03")  # São Paulo went from 00:00 to 01:00 on November 4
    accepted, _ = past(zone="America/Sao_Paulo").table(table(row))
    assert accepted["known_at"][0].as_py() == datetime(2018, 11, 4, 2, 59, 59, tzinfo=UTC)


def test_sydney_is_as_good_as_any() -> None:
    rows = [record(lon=151.2, lat=-33.87, occurred_at="28/02/2026 10:30 PM", incident_id=None),
            record(lon=151.21, lat=-33.88, occurred_at="01/03/2026 9:05 am", incident_id=None),
            record(lon=-33.87, lat=151.2, occurred_at="01/03/2026 9:05 am")]  # fmt: skip
    sydney = Extent.around([151.2, 151.21, -33.87], [-33.87, -33.88, 151.2])
    accepted, rejected = past(sydney, "Australia/Sydney").table(table(*rows))
    assert [moment.isoformat() for moment in accepted["occurred_at"].to_pylist()] == [
        "2026-02-28T11:30:00+00:00",
        "2026-02-28T22:05:00+00:00",
    ]
    assert "swapped" in rejected.problems[0][0].found


def test_names_come_from_the_content_and_twins_stay_two() -> None:
    rows = [record(incident_id=None), record(incident_id=None), record(incident_id=None, lon=106.6)]
    first, again = (past().table(table(*rows))[0]["incident_id"].to_pylist() for _ in range(2))
    assert first == again
    assert len(set(first)) == 3
    assert first[1] == f"{first[0]}-1"
    moved, _ = past().table(table(*reversed(rows)))
    assert set(moved["incident_id"].to_pylist()) == set(first)
    assert past().one(record(incident_id=None)).incident_id == first[0]


def test_refused_rows_pass_again_as_records_once_mended() -> None:
    rows = [record(incident_id=None, lon=29.56, lat=106.55)] * 2
    rows.append(record(incident_id=None, occurred_at="yesterday", precision=None))
    accepted, rejected = past(days=2).table(table(*rows), source="file:csv")
    assert len(accepted) == 0
    assert len({json.dumps(one) for one in rejected.records}) == 3
    mended = [{**one, "lon": 106.55, "lat": 29.56} for one in rejected.records]
    mended[2]["occurred_at"] = "2026-03-01T22:10:00+08:00"
    incidents = [past().one(json.dumps(one).encode()) for one in mended]
    good, _ = past(days=2).table(table(record(incident_id=None), record(incident_id=None)))
    assert [one.incident_id for one in incidents[:2]] == good["incident_id"].to_pylist()
    assert {one.known_at for one in incidents} == set(good["known_at"].to_pylist())
    assert incidents[2].source == "file:csv"


def test_a_table_of_ours_comes_back_as_it_was() -> None:
    noon = record(occurred_at="2026-03-01T12:00:00+08:00", precision="day", incident_id="d")
    midnight = record(occurred_at="2026-03-01T00:00:00+08:00", incident_id="m", precision="minute")
    for row in (noon, midnight):
        first = incident_table([past().one(row)])
        again, rejected = past().table(first)
        assert len(rejected) == 0
        assert again.to_pylist() == first.to_pylist()


def test_nothing_and_everything_bad_are_tables_too() -> None:
    empty, rejected = past().table(table(record()).slice(0, 0))
    assert (len(empty), len(rejected)) == (0, 0)
    assert empty.schema == INCIDENT_SCHEMA
    none, rejected = past().table(table(record(lon=0.0, lat=0.0), record(lon=0.0, lat=0.0)))
    assert (len(none), len(rejected)) == (0, 2)
    assert none.schema == INCIDENT_SCHEMA


def test_live_rows_without_a_name_are_refused() -> None:
    accepted, rejected = live().table(table(record(), record(incident_id=None)))
    assert accepted["known_at"].to_pylist() == [NOW]
    assert rejected.problems[0][0].field == "incident_id"


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match=r"expected the columns .* found no lon, lat"):
        past().table(pa.table({"occurred_at": ["x"], "category": ["y"]}))


def test_columns_of_any_type_are_read() -> None:
    frame = pd.DataFrame(
        {
            "incident_id": [1001.0, np.nan],
            "occurred_at": pd.to_datetime(["2026-03-01 10:00", None]),
            "category": pd.Categorical(["THEFT", "THEFT"]),
            "lon": np.array([106.5, 106.5], np.float32),
            "lat": [29, 29],
        }
    )
    accepted, rejected = past().table(frame)
    assert accepted["incident_id"].to_pylist() == ["1001"]
    assert accepted["category"].to_pylist() == ["THEFT"]
    assert rejected.problems[0][0].field == "occurred_at"


cells = {
    "incident_id": st.sampled_from([None, "a", "案件-1", "two words", "x" * 65]),
    "occurred_at": st.sampled_from(
        [
            *("2026-03-01T22:10:00+08:00", "2026-03-10T12:04:00Z", "2026-03-10T12:06:00Z"),
            *("1999-12-31T23:00:00Z", "2026-02-30T00:00:00Z", "2026-03-01T22:10:00.123456Z"),
            *(None, "?", "2099-12-31T23:59:00+00:00"),
        ]
    ),
    "known_at": st.sampled_from(
        [None, None, "2026-03-01T14:06:00Z", "2026-03-01T14:04:00Z", "2026-03-11T00:00:00Z", "?"]
    ),
    "category": st.sampled_from(["THEFT", "a b", "<b>", None, "é", "x" * 65, "$5"]),
    "lon": st.one_of(
        st.sampled_from(["106.55", "1e2", "29.56", "0", "NaN", None, "abc", "1_0", "110.2"]),
    ),
    "lat": st.sampled_from(
        ["29.56", "+29.56", "106.55", "0", "inf", None, "28.1", "-29.56", "29."]
    ),
    "origin": st.sampled_from([None, "reported", "discovered", "Reported"]),
    "precision": st.sampled_from([None, "minute", "day", "hour"]),
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=8),
    st.booleans(),
)
def test_columns_and_single_records_are_judged_alike(
    rows: list[dict[str, Any]], is_live: bool
) -> None:
    door = live() if is_live else past()
    columns = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in cells})
    accepted, rejected = door.table(columns, source="unknown")
    alone = door.many(rows)
    assert rejected.rows == tuple(alone.refused)
    fields = [{one.field for one in problems} for problems in rejected.problems]
    assert fields == [{one.field for one in problems} for problems in alone.refused.values()]
    expected = incident_table(alone.accepted.values()).drop_columns("incident_id")
    assert accepted.drop_columns("incident_id").to_pylist() == expected.to_pylist()
    stated = [row["incident_id"] for place, row in enumerate(rows) if place in alone.accepted]
    found = accepted["incident_id"].to_pylist()
    assert all(said in (None, name) for said, name in zip(stated, found, strict=True))


def test_precision_is_minute_unless_every_time_is_midnight() -> None:
    rows = [record(occurred_at="2026-03-01 00:00"), record(occurred_at="2026-03-01 00:01")]
    assert past().table(table(*rows))[0]["precision"].to_pylist() == [Precision.MINUTE] * 2
    rows.append(record(occurred_at="2026-03-01"))
    assert past().table(table(*rows))[0]["precision"].to_pylist() == ["minute", "minute", "day"]
