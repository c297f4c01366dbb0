"""From a file of incidents to an explained map, for cities of every kind, by the real stores."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.columns import TableError
from data.settings import Settings
from experiments.patrol_map import (
    Asked,
    keep_places,
    lay_incidents,
    made_map,
    published_hotspots,
)
from features.covariates import CovariateError
from models.hotspot import HotspotConfig
from models.surface import Surface, SurfaceError
from training.hotspots import HotspotError, HotspotTraining

AS_OF = datetime(2025, 6, 2, 4, tzinfo=UTC)
CITIES = {"Chongqing": (106.55, 29.56), "Sydney": (151.2, -33.87), "Quito": (-78.5, -0.2)}
CONFIG = HotspotConfig(periods=8, moves=())
QUICK = HotspotTraining(
    held_out=2, config=replace(CONFIG, recipe=replace(CONFIG.recipe, rounds=10))
)


def city(rows: int, at: tuple[float, float], *, kinds: int = 3, seed: int = 1) -> pd.DataFrame:
    """Incidents of a year before `AS_OF`, most of them around a few spots."""
    rng = np.random.default_rng(seed)
    spots = rng.normal(0, 0.012, (12, 2))
    spot = spots[rng.integers(0, len(spots), rows)] + rng.normal(0, 0.0015, (rows, 2))
    start = AS_OF.replace(tzinfo=None) - pd.Timedelta(days=365)
    when = start + pd.to_timedelta(np.sort(rng.integers(0, 365 * 1440, rows)), unit="min")
    return pd.DataFrame(
        {
            "Date": when.strftime("%Y-%m-%d %H:%M"),
            "Primary Type": np.array(["THEFT", "BATTERY", "DAMAGE"])[rng.integers(0, kinds, rows)],
            "Latitude": at[1] + spot[:, 1],
            "Longitude": at[0] + spot[:, 0],
        }
    )


def asked(tmp_path: Path, frame: pd.DataFrame, **changes: object) -> Asked:
    file = tmp_path / "incidents.csv"
    frame.to_csv(file, index=False)
    base = Asked(as_of=AS_OF, out=tmp_path / "map.geojson", incidents=file, training=QUICK)
    return replace(base, **changes)


def silent(_sentence: str, _share: float) -> None:
    return


@pytest.mark.parametrize("name", CITIES)
def test_a_file_becomes_an_explained_map_anywhere_on_earth(name: str, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    wanted = asked(tmp_path, city(3_000, CITIES[name]), coverage=0.05, picture=tmp_path / "m.png")
    mapped = made_map(wanted, settings, silent)
    page = json.loads(wanted.out.read_text("utf-8"))
    assert len(page["shifts"]) == 3
    assert len(page["features"]) == mapped.cells > 0
    lon, lat = CITIES[name]
    for feature in page["features"]:
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert np.abs(ring - [lon, lat]).max() < 0.2
        told = feature["properties"]
        assert told["low"] <= told["expected"] <= told["high"]
        assert len(told["why"]["zh"]) == len(told["why"]["en"]) >= 2
        best, worst = told["rank_if_reporting_differs"]
        assert best <= told["rank"] <= worst
    assert all(file.stat().st_size > 1_000 for file in mapped.files)
    stored = Surface.load(mapped.folder)
    assert stored.day == date(2025, 6, 2)
    assert "expected" in str(mapped.result().columns)


def test_the_same_file_twice_changes_nothing_and_trains_once(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    wanted = asked(tmp_path, city(2_500, CITIES["Quito"]))
    first = made_map(wanted, settings, silent)
    again = made_map(wanted, settings, silent)
    assert again.surface.model == first.surface.model
    np.testing.assert_array_equal(again.surface.expected, first.surface.expected)


def test_one_category_and_days_without_hours_make_a_map_of_whole_days(tmp_path: Path) -> None:
    frame = city(400, CITIES["Sydney"], kinds=1)
    frame["Date"] = frame["Date"].str[:10]
    settings = Settings(var=tmp_path / "var", zone="Australia/Sydney")
    with pytest.raises(HotspotError, match=r"times with their hour.*--shifts 0"):
        made_map(asked(tmp_path, frame), settings, silent)
    whole = replace(QUICK, starts=(0,))
    mapped = made_map(asked(tmp_path, frame, training=whole), settings, silent)
    assert mapped.surface.categories == ("THEFT",)
    assert mapped.surface.shifts.names == ("00-24",)


def test_twenty_incidents_make_a_map_that_promises_little(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    mapped = made_map(asked(tmp_path, city(20, CITIES["Quito"])), settings, silent)
    [bundle] = published_hotspots(settings)
    assert bundle.model.trees is None
    assert 0 < mapped.surface.expected.sum() < 1


def test_a_map_of_what_was_known_long_ago_says_so(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    late = asked(tmp_path, city(300, CITIES["Quito"]), as_of=AS_OF + timedelta(days=30))
    mapped = made_map(late, settings, silent)
    assert "the last one known 30 days earlier" in mapped.result().notes[0]
    page = json.loads(late.out.read_text("utf-8"))
    assert datetime.fromisoformat(page["last_incident_at"]) < AS_OF


def test_too_little_says_in_one_sentence_why_not(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    with pytest.raises(HotspotError, match=r"at least 10 incidents.*found 5"):
        made_map(asked(tmp_path, city(5, CITIES["Quito"])), settings, silent)


def test_a_day_beyond_the_horizon_and_a_wrong_category_are_told(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    frame = city(300, CITIES["Quito"])
    with pytest.raises(SurfaceError, match=r"expected a day from 2025-06-02 to 2025-06-08"):
        made_map(asked(tmp_path, frame, day=date(2025, 7, 1)), settings, silent)
    with pytest.raises(SurfaceError, match="leave it out for all together"):
        made_map(asked(tmp_path, frame, category="ARSON"), settings, silent)


def test_a_file_without_places_names_its_columns(tmp_path: Path) -> None:
    frame = city(50, CITIES["Quito"]).drop(columns=["Latitude"])
    with pytest.raises(TableError, match="lat"):
        made_map(asked(tmp_path, frame), Settings(var=tmp_path / "var", zone="UTC"), silent)


def test_a_table_of_places_is_learnt_from_and_needed_again(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    lon, lat = CITIES["Quito"]
    table = pa.table({"lon": [lon, lon + 0.01], "lat": [lat, lat], "bars": [3, 1]})
    pq.write_table(table, tmp_path / "places.parquet")
    frame = city(3_000, CITIES["Quito"])
    made_map(asked(tmp_path, frame, places=tmp_path / "places.parquet"), settings, silent)
    [bundle] = published_hotspots(settings)
    assert bundle.model.covariates == ("bars",)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"lon": [1.0], "lat": [1.0]}),
        pa.table({"lon": [1.0], "bars": [1]}),
        pa.table({"lon": [1.0], "lat": [1.0], "name": ["bar"]}),
    ],
)
def test_a_table_of_places_needs_numbers(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "places.parquet")
    with pytest.raises(CovariateError, match="expected lon, lat and columns of numbers"):
        keep_places(tmp_path / "places.parquet", Settings(var=tmp_path))


def test_a_model_trained_later_draws_no_earlier_map(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    frame = city(2_500, CITIES["Quito"])
    made_map(asked(tmp_path, frame), settings, silent)
    made_map(asked(tmp_path, frame, as_of=AS_OF - timedelta(days=60)), settings, silent)
    later, earlier = sorted(
        (datetime.fromisoformat(one.card.as_of) for one in published_hotspots(settings)),
        reverse=True,
    )
    assert later - earlier == timedelta(days=60)


def test_asking_for_other_cells_trains_anew_and_asking_for_none_does_not(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    frame = city(300, CITIES["Quito"])
    made_map(asked(tmp_path, frame), settings, silent)
    big = replace(QUICK, size_m=500.0)
    assert (
        made_map(asked(tmp_path, frame, training=big), settings, silent).surface.grid.size_m == 250
    )
    mapped = made_map(asked(tmp_path, frame, training=big, strict=("size_m",)), settings, silent)
    assert mapped.surface.grid.size_m == 500


def test_what_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="as_of that has come"):
        Asked(as_of=datetime.now(UTC) + timedelta(days=1), out=tmp_path / "m.geojson")
    with pytest.raises(ValueError, match="coverage above 0"):
        Asked(as_of=AS_OF, out=tmp_path / "m.geojson", coverage=0)
    with pytest.raises(ValueError, match="expected zh or en"):
        Asked(as_of=AS_OF, out=tmp_path / "m", picture=tmp_path / "m.png", lang="fr")
    with pytest.raises(ValueError, match="ISO 3166"):
        HotspotTraining(country="ZZ")


def test_a_file_of_another_city_is_told(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    made_map(asked(tmp_path, city(300, CITIES["Quito"])), settings, silent)
    with pytest.raises(HotspotError, match="expected incidents of this city"):
        made_map(asked(tmp_path, city(300, CITIES["Sydney"])), settings, silent)


def test_invented_incidents_never_meet_real_ones(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", zone="UTC")
    made_map(asked(tmp_path, city(300, CITIES["Quito"])), settings, silent)
    with pytest.raises(HotspotError, match="another FOREWARN_VAR"):
        lay_incidents(settings)
