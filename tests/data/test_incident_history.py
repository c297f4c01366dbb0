"""The incidents' history: whole or not at all, once each, as it was known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.history import HistoryError
from data.incident_history import IncidentHistory, content_hash
from data.incident_intake import IncidentIntake
from data.incidents import INCIDENT_SCHEMA, Origin
from data.places import Extent

START = datetime(2026, 1, 1, tzinfo=UTC)


def incidents(count: int, seed: int = 0, days: int = 60) -> pa.Table:
    rng = np.random.default_rng(seed)
    minutes = rng.integers(0, days * 1440, count).tolist()
    delays = rng.integers(0, 3 * 1440, count).tolist()
    happened = [START + timedelta(minutes=minute) for minute in minutes]
    given = pa.table(
        {
            "occurred_at": happened,
            "known_at": [a + timedelta(minutes=b) for a, b in zip(happened, delays, strict=True)],
            "category": rng.choice(["THEFT", "ASSAULT"], count),
            "lon": 106.5 + rng.random(count),
            "lat": 29.5 + rng.random(count),
            "origin": rng.choice(["reported", "discovered"], count),
        }
    )
    accepted, rejected = IncidentIntake(report_delay=timedelta(0)).table(given)
    assert len(rejected) == 0
    return accepted


@pytest.fixture
def history(tmp_path: Path) -> IncidentHistory:
    return IncidentHistory(tmp_path / "incidents")


def test_it_is_read_in_order_of_time_whatever_the_files(history: IncidentHistory) -> None:
    table = incidents(300)
    assert history.append(table.slice(100)) == 200
    assert history.append(table.slice(0, 100)) == 100
    read = history.read()
    assert read.schema == INCIDENT_SCHEMA
    keys = [(row["occurred_at"], row["incident_id"]) for row in read.to_pylist()]
    assert keys == sorted(keys)
    assert sorted(map(str, read.to_pylist())) == sorted(map(str, table.to_pylist()))


def test_the_same_again_changes_nothing(history: IncidentHistory) -> None:
    table = incidents(50)
    assert history.append(pa.concat_tables([table, table])) == 50
    before = history.fingerprint()
    assert history.append(table) == 0
    assert len(history.parts()) == 1
    assert history.fingerprint() == before


def test_only_what_was_known_is_seen(history: IncidentHistory) -> None:
    table = incidents(400)
    history.append(table)
    as_of, since = START + timedelta(days=30), START + timedelta(days=10)
    expected = {
        row["incident_id"]
        for row in table.to_pylist()
        if row["known_at"] < as_of and row["occurred_at"] >= since
    }
    assert set(history.read(as_of, since=since)["incident_id"].to_pylist()) == expected
    assert len(history.read(START)) == 0
    one = history.read(as_of, columns=["lon"], origin=Origin.REPORTED)
    assert one.column_names == ["lon"]
    reported = [r for r in table.to_pylist() if r["known_at"] < as_of and r["origin"] == "reported"]
    assert sorted(one["lon"].to_pylist()) == sorted(row["lon"] for row in reported)


def test_the_fingerprint_is_of_the_content(history: IncidentHistory, tmp_path: Path) -> None:
    table = incidents(120)
    history.append(table)
    other = IncidentHistory(tmp_path / "other")
    for start in (80, 0, 40):
        other.append(table.slice(start, 40))
    assert history.fingerprint() == other.fingerprint()
    as_of = START + timedelta(days=30)
    assert history.fingerprint(as_of) != history.fingerprint()
    other.append(incidents(1, seed=9, days=1))
    assert other.fingerprint() != history.fingerprint()


def test_an_empty_history_is_a_table(history: IncidentHistory) -> None:
    assert history.read().schema == INCIDENT_SCHEMA
    assert history.append(INCIDENT_SCHEMA.empty_table()) == 0
    assert history.parts() == []
    assert history.fingerprint() == content_hash(INCIDENT_SCHEMA.empty_table())
    assert history.extent is None


def test_half_a_part_is_not_seen(history: IncidentHistory) -> None:
    table = incidents(20)
    history.append(table.slice(0, 10))
    (history.root / ".pending.parquet").write_bytes(b"cut short")
    assert len(history.read()) == 10
    assert history.append(table) == 10
    assert len(history.read()) == 20


def test_a_damaged_part_or_another_table_is_named(history: IncidentHistory) -> None:
    table = incidents(20)
    with pytest.raises(HistoryError, match="INCIDENT_SCHEMA"):
        history.append(table.drop_columns("origin"))
    unknown = table.set_column(
        2, INCIDENT_SCHEMA.field("known_at"), pa.nulls(20, INCIDENT_SCHEMA.field("known_at").type)
    )
    with pytest.raises(HistoryError, match="nulls in known_at"):
        history.append(unknown)
    history.append(table)
    part = history.parts()[0]
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(HistoryError, match="damaged"):
        history.read()


def test_the_limits_are_kept_beside(history: IncidentHistory) -> None:
    limits = Extent(105.3, 28.1, 110.2, 32.3)
    history.keep_extent(limits)
    assert IncidentHistory(history.root).extent == limits
    (history.root / "extent.json").write_text("{}")
    with pytest.raises(HistoryError, match="found it damaged"):
        assert history.extent
