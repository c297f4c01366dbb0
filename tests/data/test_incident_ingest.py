"""Files of incidents end in the history or in the quarantine; nothing is lost, nothing is mixed."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import Engine

from data.columns import TableError
from data.database import incident_row, insert_incidents, read_incidents
from data.incident_files import ColumnMap
from data.incident_history import IncidentHistory
from data.incident_ingest import (
    Taken,
    incident_history,
    ingest_incidents,
    live_intake,
    quarantined_incidents,
    read_truth_incidents,
    replay_incidents,
)
from data.incident_intake import IncidentIntake
from data.incidents import incident_table
from data.ingest import quarantined, replay_quarantine
from data.places import Extent, PlaceError
from data.pseudonyms import Pseudonymiser
from data.quarantine import Quarantine, Refused, Sealer, corrected
from data.settings import Settings

HEAD = "Date,Primary Type,Latitude,Longitude,Victim"
GOOD = [
    "03/01/2025 10:00:00 PM,THEFT,29.5601,106.5501,Li",
    "03/15/2025 12:30:00 AM,THEFT,29.5602,106.5502,Wang",
    "03/16/2025 12:30:00 AM,ASSAULT,29.5603,106.5503,Zhao",
]
SWAPPED = "03/16/2025 12:30:00 AM,ASSAULT,106.5503,29.5603,Zhao"
ISLAND = "03/16/2025 12:30:00 AM,ASSAULT,0.0,0.0,Zhao"
OUTSIDE = "03/16/2025 12:30:00 AM,ASSAULT,39.9,116.4,Zhao"
FUTURE = "03/16/2062 12:30:00 AM,ASSAULT,29.5603,106.5503,Zhao"
WORDS = "03/16/2025 12:30:00 AM,ASSAULT,29N,106.5503,Zhao"
SHORT = "03/16/2025 12:30:00 AM,ASSAULT"


@pytest.fixture
def city(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "city.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([HEAD, *lines]) + "\n")
        return path

    return write


def history(settings: Settings) -> IncidentHistory:
    return incident_history(settings)


def test_a_file_is_taken_in_once(settings: Settings, city: Callable[..., Path]) -> None:
    path = city(*GOOD, GOOD[0])
    said: list[str] = []
    taken = ingest_incidents(path, settings, progress=lambda text, _: said.append(text))
    assert taken == Taken(accepted=4)
    assert said[0] == "4 rows read"
    assert "4 rows do not say reported or discovered" in said[1]
    assert ingest_incidents(path, settings) == Taken(duplicates=4)
    assert ingest_incidents(city(*GOOD[:2]), settings) == Taken(duplicates=2)
    read = history(settings).read()
    assert "Zhao" not in str(read.to_pylist())
    assert read["occurred_at"][0].as_py() == datetime(2025, 3, 1, 14, tzinfo=UTC)
    assert set(read["source"].to_pylist()) == {"file:csv"}


def test_the_commonest_fault_is_told_without_a_row(
    settings: Settings, city: Callable[..., Path]
) -> None:
    said: list[str] = []
    path = city(GOOD[0], SWAPPED, SWAPPED.replace("12:30", "12:40"), ISLAND)
    ingest_incidents(path, settings, progress=lambda text, _: said.append(text))
    assert said[-1].startswith("2 rows refused: lon, lat: expected a place within")
    assert "swapped" in said[-1]
    assert "Zhao" not in said[-1]
    assert "106.5503" not in said[-1]


def test_bad_rows_are_kept_and_pass_once_mended(
    settings: Settings, city: Callable[..., Path]
) -> None:
    bad = [SWAPPED, ISLAND, OUTSIDE, FUTURE, WORDS, SHORT, SWAPPED]
    path = city(*GOOD, *bad)
    assert ingest_incidents(path, settings) == Taken(accepted=3, refused=7)
    assert ingest_incidents(path, settings) == Taken(duplicates=3, refused=7)
    with quarantined_incidents(settings) as ingest:
        held = ingest.quarantine.list()
        assert ingest.quarantine.count() == len(held) == 7
    assert {one.times for one in held} == {2}
    assert {one.source for one in held} == {"incidents:file:csv"}
    found = [one.problems[0].found.split(":")[0] for one in held]
    assert {"null-island", "outside-city", "swapped", "2062-03-15T16"} < set(found)
    assert "Zhao" not in str(held)
    assert "106.55" not in str(held)

    swapped = [one.id for one in held if one.problems[0].found.startswith("swapped")]
    mend = corrected(["lon=106.5503", "lat=29.5603"], [])
    assert replay_incidents(settings, mend=mend, ids=swapped).passed == 2
    assert replay_incidents(settings).passed == 0
    put = ["occurred_at=2025-03-20T01:00:00Z", "lon=106.5", "lat=29.5", "category=THEFT"]
    rest = replay_incidents(settings, mend=corrected(put, ["record"]))
    assert (rest.passed, rest.refused) == (5, 0)
    read = history(settings).read()
    # one swapped row, mended, is the third good one again; the rest were made alike by the mend
    assert len(read) == 3 + 1 + 1
    assert (read["known_at"].to_numpy() == read["occurred_at"].to_numpy()).all()


def test_events_and_incidents_keep_to_themselves(
    settings: Settings, engine: Engine, names: Pseudonymiser, intake, city: Callable[..., Path]
) -> None:
    record = b"the same bytes"
    problem = intake_problems(intake, record)
    Quarantine(engine, intake).add([Refused(record, problem, "test")])
    ingest_incidents(city(*GOOD, SWAPPED), settings)
    with quarantined_incidents(settings) as ingest:
        ingest.quarantine.add([Refused(record, problem, "incidents:api")])
        assert {one.source for one in ingest.quarantine.list()} == {
            "incidents:file:csv",
            "incidents:api",
        }
        of_incidents = [one.id for one in ingest.quarantine.list()]
    with quarantined(settings) as events:
        assert [one.source for one in events.list()] == ["test"]
        assert events.count() == 1
        of_events = [one.id for one in events.list()]
    assert not set(of_incidents) & set(of_events)
    assert replay_quarantine(settings, ids=of_incidents).refused == 0
    assert replay_incidents(settings, ids=of_events).refused == 0
    assert replay_quarantine(settings).refused == 1
    assert replay_incidents(settings).refused == 2


def intake_problems(intake: Any, record: bytes) -> Any:
    with pytest.raises(ValueError, match="JSON") as refusal:
        intake.one(record)
    return refusal.value.problems


def test_limits_are_kept_for_the_next_file(settings: Settings, city: Callable[..., Path]) -> None:
    ingest_incidents(city(*GOOD), settings)
    limits = history(settings).extent
    assert limits is not None
    assert limits.fault(106.55, 29.56) is None
    beijing = "03/16/2025 12:30:00 AM,ASSAULT,39.9,116.4,Zhao"
    assert ingest_incidents(city(beijing, beijing), settings).refused == 2
    assert history(settings).extent == limits
    wide = Extent(100, 20, 120, 45)
    assert ingest_incidents(city(beijing), settings, extent=wide).accepted == 1
    assert history(settings).extent == wide
    assert live_intake(settings).extent == wide


def test_only_bad_rows_are_all_kept(settings: Settings, city: Callable[..., Path]) -> None:
    assert ingest_incidents(city(ISLAND, SHORT), settings) == Taken(refused=2)
    assert history(settings).extent is None
    assert ingest_incidents(city(SHORT), settings) == Taken(refused=1)
    assert len(history(settings).read()) == 0


def test_a_file_that_cannot_be_told_brings_nothing(
    settings: Settings, city: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(TableError, match="found no rows"):
        ingest_incidents(city(), settings)
    soon = ["soon,THEFT,29.5,106.5,Li", "later,THEFT,29.5,106.5,Li"]
    with pytest.raises(TableError, match="found none in the column of times"):
        ingest_incidents(city(*soon), settings)
    with pytest.raises(TableError, match="expected an IANA time zone, found 'Mars'"):
        ingest_incidents(city(*GOOD), settings, zone="Mars")
    spread = [f"03/16/2025 12:30:00 AM,T,{lat},{10 * lat},x" for lat in (1, 5, 9, 13, 17)]
    with pytest.raises(PlaceError, match="expected one city"):
        ingest_incidents(city(*spread), settings)
    damaged = tmp_path / "city.parquet"
    pd.DataFrame({"date": ["2026-03-01"], "type": ["T"], "lat": [1.0], "lon": [1.0]}).to_parquet(
        damaged
    )
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(TableError, match="damaged"):
        ingest_incidents(damaged, settings)
    assert history(settings).parts() == []


def test_sydney_in_json_lines_by_named_columns(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "sydney.jsonl"
    rows = [
        {"when": "28/02/2025", "what": "Break and enter", "y": -33.87, "x": 151.2, "no": 1},
        {"when": "01/03/2025", "what": "Theft", "y": -33.88, "x": 151.21, "no": 2},
        {"when": "01/03/2025", "what": "Theft", "y": 151.21, "x": -33.88, "no": 3},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    columns = ColumnMap("when", "what", "y", "x", id="no", report_delay=timedelta(days=1))
    taken = ingest_incidents(path, settings, columns, zone="Australia/Sydney")
    assert taken == Taken(accepted=2, refused=1)
    read = history(settings).read().to_pylist()
    assert [row["incident_id"] for row in read] == ["1", "2"]
    assert read[0]["occurred_at"] == datetime(2025, 2, 28, 1, tzinfo=UTC)
    assert read[0]["known_at"] == datetime(2025, 3, 1, 12, 59, 59, tzinfo=UTC)
    assert {row["precision"] for row in read} == {"day"}
    mend = corrected(["lon=151.21", "lat=-33.88"], [])
    # the rows' zone is not kept with them, but their moments and their delay are
    assert replay_incidents(replace(settings, zone="Australia/Sydney"), mend=mend).passed == 1
    assert history(settings).read()["known_at"][2].as_py() == read[1]["known_at"]


def test_live_incidents_are_written_once_and_join_the_truth(
    settings: Settings, engine: Engine, city: Callable[..., Path]
) -> None:
    ingest_incidents(city(*GOOD), settings)
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    door = IncidentIntake(history(settings).extent or Extent(0, 0, 1, 1), clock=lambda: now)
    record = {"category": "THEFT", "lon": 106.55, "lat": 29.56,
              "occurred_at": "2026-03-10T10:00:00Z"}  # fmt: skip
    live = [door.one({"incident_id": f"110-{n}", **record}) for n in range(3)]
    known = history(settings).read().to_pylist()[0]
    again = door.one({**{name: known[name] for name in ("incident_id", "lon", "lat", "category")},
                      "occurred_at": known["occurred_at"]})  # fmt: skip
    rows = [incident_row(one) for one in [*live, again]]
    with engine.begin() as connection:
        assert insert_incidents(connection, []) == set()
        assert len(insert_incidents(connection, rows)) == 4
        assert insert_incidents(connection, rows) == set()
        stored = read_incidents(connection)
        assert stored.to_pylist() == incident_table([again, *live]).to_pylist()
        assert len(read_incidents(connection, before=now)) == 0
        assert len(read_incidents(connection, since=now - timedelta(days=1))) == 3
    truth = read_truth_incidents(settings)
    assert len(truth) == 3 + 3
    assert truth.to_pylist()[0] == known
    assert len(read_truth_incidents(settings, before=now)) == 3
    assert len(read_truth_incidents(settings, since=now - timedelta(days=1))) == 3


def test_many_live_incidents_are_written(engine: Engine) -> None:
    door = IncidentIntake(report_delay=timedelta(0))
    count = 2_500
    given = pa.table(
        {
            "occurred_at": ["2025-03-01 10:00"] * count,
            "category": ["T"] * count,
            "lon": [106.0] * count,
            "lat": [29.0] * count,
        }
    )
    rows = door.table(given)[0].to_pylist()
    with engine.begin() as connection:
        assert len(insert_incidents(connection, rows)) == count


def test_a_live_record_refused_is_sealed_as_an_incident(
    settings: Settings, engine: Engine, names: Pseudonymiser
) -> None:
    record = {"incident_id": "110-1", "category": "THEFT", "lon": 0, "lat": 0,
              "occurred_at": "2025-03-10T10:00:00Z"}  # fmt: skip
    admitted = live_intake(settings).many([record])
    seal = Sealer(Pseudonymiser.from_settings(settings))
    row = seal.row(record, admitted.refused[0], source="incidents:api")
    with quarantined_incidents(settings) as ingest:
        ingest.quarantine.add(
            [Refused(json.dumps(record).encode(), admitted.refused[0], "incidents:api")]
        )
        assert ingest.quarantine.count() == 1
    assert row["source"] == "incidents:api"
    assert replay_incidents(settings, mend=corrected(["lon=106.5", "lat=29.5"], [])).passed == 1
    known = history(settings).read()["known_at"][0].as_py()
    assert known > datetime(2025, 3, 10, 10, tzinfo=UTC)
