"""Chicago's incidents in our schema; the file itself is needed for some of it."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pytest

from data.incidents import INCIDENT_SCHEMA
from data.sources import SourceError, chicago, real_data_folder

REAL = real_data_folder()
here = pytest.mark.skipif(not REAL.is_dir(), reason=f"the public data sets are not at {REAL}")


def test_chicagos_clock_becomes_utc(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "occurred_at": pd.to_datetime(["2017-07-01 12:05", "2017-01-01 12:05"]),
            "category": "THEFT",
            "lat": 41.85,
            "lon": -87.65,
        }
    )
    frame.to_parquet(tmp_path / "incidents.parquet")
    table = chicago(tmp_path)
    assert table.schema == INCIDENT_SCHEMA
    assert table["occurred_at"].to_pylist() == [
        datetime(2017, 1, 1, 18, 5, tzinfo=UTC),
        datetime(2017, 7, 1, 17, 5, tzinfo=UTC),
    ]
    assert table["known_at"].to_pylist() == table["occurred_at"].to_pylist()
    assert set(table["source"].to_pylist()) == {"chicago"}


def test_another_file_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"occurred_at": ["x"], "category": ["T"], "lat": [0.0], "lon": [0.0]})
    frame.to_parquet(tmp_path / "incidents.parquet")
    with pytest.raises(SourceError, match="found 1 that are none"):
        chicago(tmp_path)
    frame.drop(columns="lat").to_parquet(tmp_path / "incidents.parquet")
    with pytest.raises(SourceError, match="found no lat"):
        chicago(tmp_path)


@here
@pytest.mark.real_data
def test_chicago_is_as_published() -> None:
    table = chicago(REAL / "chicago")
    assert len(table) == 321_877
    assert len(pc.unique(table["incident_id"])) == len(table)
    kinds = {"THEFT", "BATTERY", "CRIMINAL DAMAGE", "ASSAULT"}
    assert set(pc.unique(table["category"].cast("string")).to_pylist()) == kinds
    assert pc.min(table["occurred_at"]).as_py() == datetime(2016, 1, 1, 6, tzinfo=UTC)
    assert set(pc.unique(table["precision"].cast("string")).to_pylist()) == {"minute"}
