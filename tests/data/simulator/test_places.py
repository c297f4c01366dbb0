"""The simulated city's incidents: the same twice, and as the truth says."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from data.incidents import INCIDENT_SCHEMA, Incident
from data.simulator.incident_process import Happenings, happen
from data.simulator.layout import lay_out
from data.simulator.patrols import discovered, seen
from data.simulator.places import CATEGORIES, CELL_M, LAND_USES, PlacesCity
from features.grid import Grid
from features.hotspot import Log
from features.shifts import Shifts

STARTS = (0, 8, 16)


@cache
def year() -> Happenings:
    return happen(PlacesCity(seed=3, days=364, cells=600, incidents_per_day=150))


def share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum())


def test_the_same_city_has_the_same_incidents_and_another_seed_others() -> None:
    city = PlacesCity(days=20, cells=400, incidents_per_day=30)
    first, again = happen(city), happen(city)
    assert first.table().equals(again.table())
    other = happen(PlacesCity(seed=8, days=20, cells=400, incidents_per_day=30))
    assert not first.table().equals(other.table())


def test_reports_fit_the_schema_and_the_contract() -> None:
    table = year().table()
    assert table.schema.equals(INCIDENT_SCHEMA)
    assert pc.unique(table["origin"].cast(pa.string())).to_pylist() == ["reported"]
    for row in table.slice(0, 20).to_pylist():
        Incident.model_validate(row)
    assert pc.count_distinct(table["incident_id"]).as_py() == len(table)


def test_nothing_is_known_before_it_happened_nor_happens_outside_the_history() -> None:
    table, city = year().table(), year().places.city
    known, occurred = table["known_at"].to_numpy(), table["occurred_at"].to_numpy()
    assert (known > occurred).all()
    assert (np.diff(known.astype(np.int64)) >= 0).all()
    assert pc.min(table["occurred_at"]).as_py() >= city.start
    assert pc.max(table["occurred_at"]).as_py() < city.end
    delay_h = (known - occurred).astype("timedelta64[m]").astype(float) / 60
    assert 0.5 < np.median(delay_h) < 4
    assert 0.005 < (delay_h > 24).mean() < 0.1


def test_the_history_begins_at_midnight_in_the_city() -> None:
    city = PlacesCity(first_day=date(2025, 3, 1), days=2)
    assert city.start == datetime(2025, 2, 28, 16, tzinfo=UTC)
    assert city.end - city.start == timedelta(days=2)


def test_every_district_and_land_use_is_there_near_chongqing() -> None:
    places = lay_out(PlacesCity(cells=1_000))
    assert set(places.district.tolist()) == set(range(38))
    assert set(places.use.tolist()) == set(range(len(LAND_USES)))
    lon, lat = places.centres()
    assert np.abs(lon - 106.55).max() < 0.1
    assert np.abs(lat - 29.55).max() < 0.1
    assert 960 < len(places) < 1_040


def test_cells_are_the_grids_own() -> None:
    happened = year()
    places = happened.places
    grid = Grid.over(*places.centres(), CELL_M, centre=places.centre)
    assert np.array_equal(grid.place(*places.centres()), np.arange(len(places)))
    lon, lat = places.degrees(happened.x, happened.y)
    assert (grid.place(lon, lat) == happened.cell).mean() > 0.9999


def test_counts_are_what_the_truth_expects() -> None:
    """Poisson with clusters: a near repeat makes the variance larger, not the mean."""
    happened = year()
    expected = sum(happened.places.expected(week, STARTS) for week in range(52))
    counts = np.zeros_like(expected)
    np.add.at(counts, (happened.category, happened.shift(STARTS), happened.cell), 1)
    assert counts.sum() == pytest.approx(expected.sum(), rel=0.02)
    assert counts.sum((1, 2)) == pytest.approx(expected.sum((1, 2)), rel=0.05)
    assert counts.sum((0, 2)) == pytest.approx(expected.sum((0, 2)), rel=0.04)
    cells, truth = counts.sum((0, 1)), expected.sum((0, 1))
    assert 1.0 < ((cells - truth) ** 2 / truth).mean() < 1.7


def test_shifts_of_the_truth_add_up_to_the_day() -> None:
    places = year().places
    whole = places.expected(5, (0,))[:, 0]
    assert places.expected(5, (6, 14, 22)).sum(axis=1) == pytest.approx(whole)


def test_season_weekday_and_hour_show() -> None:
    happened = year()
    of_kind = happened.category == CATEGORIES.index("打架斗殴")
    day = (
        happened.occurred_us - int(happened.places.city.start.timestamp()) * 10**6
    ) // 86_400_000_000
    saturday = (happened.places.city.first_day.weekday() + day) % 7 == 5
    assert share(saturday & of_kind, of_kind) > 1.15 / 7
    summer = (day >= 152) & (day < 244)
    assert share(summer & of_kind, of_kind) > 1.1 * 92 / 364
    bars = happened.places.use[happened.cell] == LAND_USES.index("nightlife")
    late = happened.shift((0, 6, 18)) != 1
    assert share(late & bars, bars) > share(late & ~bars, ~bars) + 0.15


def test_near_repeats_follow_near_and_soon() -> None:
    """Of pairs at most 150 m apart more lie within four days than when days are shuffled (Knox)."""
    happened = year()
    homes = happened.places.use[happened.cell] == LAND_USES.index("residential")
    theft = happened.take((happened.category == 0) & homes)
    one, other = cKDTree(np.stack([theft.x, theft.y], 1)).query_pairs(150, output_type="ndarray").T
    day = theft.occurred_us // 86_400_000_000

    def soon(days: np.ndarray) -> float:
        return float((np.abs(days[one] - days[other]) <= 4).mean())

    rng = np.random.default_rng(0)
    shuffled = [soon(rng.permutation(day)) for _ in range(5)]
    assert soon(day) > 1.1 * max(shuffled)
    assert 0.1 < happened.repeat.mean() < 0.2


def test_without_near_repeats_there_are_none() -> None:
    happened = happen(PlacesCity(days=60, cells=400, near_repeat=(0.0, 0.0, 0.0)))
    assert not happened.repeat.any()


def test_reporting_differs_by_place_unless_told_not_to() -> None:
    happened = year()
    places = happened.places
    told = happened.reported.astype(float)
    assert told.mean() == pytest.approx(
        places.reporting[happened.category, happened.cell].mean(), abs=0.01
    )
    by_district = np.bincount(places.district[happened.cell], told) / np.bincount(
        places.district[happened.cell]
    )
    assert by_district.max() > 1.3 * by_district.min()
    even = lay_out(PlacesCity(cells=400, uneven_reporting=0.0))
    assert np.ptp(even.reporting, axis=1).max() == 0


def test_patrols_find_only_what_nobody_reported_and_only_where_they_are() -> None:
    happened = year()
    minutes = np.zeros((len(STARTS), len(happened.places)))
    minutes[1, :50] = 60.0
    found = discovered(happened, minutes, STARTS, np.random.default_rng(1))
    assert found.schema.equals(INCIDENT_SCHEMA)
    assert pc.unique(found["origin"].cast(pa.string())).to_pylist() == ["discovered"]
    assert not set(found["incident_id"].to_pylist()) & set(
        happened.table()["incident_id"].to_pylist()
    )
    places = happened.places
    grid = Grid.over(*places.centres(), CELL_M, centre=places.centre)
    assert grid.place(found["lon"].to_numpy(), found["lat"].to_numpy()).max() < 50
    assert len(found) > 0


def test_patrols_that_come_first_find_what_would_have_been_reported_too() -> None:
    happened = year()
    minutes = np.full((len(STARTS), len(happened.places)), 60.0)
    hidden, every = (
        set(
            discovered(happened, minutes, STARTS, np.random.default_rng(1), first=first)[
                "incident_id"
            ].to_pylist()
        )
        for first in (False, True)
    )
    told = set(happened.table()["incident_id"].to_pylist())
    assert not hidden & told
    assert every & told
    assert len(every) > 1.3 * len(hidden)


def test_a_log_of_both_holds_the_reported_alone() -> None:
    happened = year()
    places = happened.places
    grid = Grid.over(*places.centres(), CELL_M, centre=places.centre)
    minutes = np.full((len(STARTS), len(places)), 30.0)
    found = discovered(happened, minutes, STARTS, np.random.default_rng(1))
    both = pa.concat_tables([happened.table(), found]).unify_dictionaries()
    assert len(Log.of(both, grid, Shifts(), CATEGORIES)) == int(happened.reported.sum())


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 300), st.floats(0, 300))
def test_more_patrols_find_more(some: float, more: float) -> None:
    low, high = sorted((some, more))
    assert 0 <= seen(np.array(low)) <= seen(np.array(high)) < 1
    happened = year().weeks(0, 4)
    shape = (len(STARTS), len(happened.places))
    counts = [
        len(discovered(happened, np.full(shape, minutes), STARTS, np.random.default_rng(0)))
        for minutes in (low, high)
    ]
    assert counts[0] <= counts[1]


def test_a_quiet_city_is_no_error() -> None:
    happened = happen(PlacesCity(days=3, cells=400, incidents_per_day=0))
    assert len(happened.table()) == 0
    minutes = np.ones((len(STARTS), len(happened.places)))
    assert len(discovered(happened, minutes, STARTS, np.random.default_rng(0))) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"days": 0}, "days: expected 1 to"),
        ({"cells": 10}, "cells: expected 400"),
        ({"near_repeat": (0.9, 0.1, 0.1)}, "near_repeat: expected 0 to"),
        ({"near_repeat": (0.1,)}, "expected 3 numbers, found 1"),
        ({"uneven_reporting": 2.0}, "uneven_reporting: expected 0 to 1"),
    ],
)
def test_impossible_cities_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PlacesCity(**wrong)  # type: ignore[arg-type]


def test_minutes_of_another_city_are_refused() -> None:
    with pytest.raises(ValueError, match="expected patrol minutes of at least 0 in shape"):
        discovered(year(), np.ones((3, 7)), STARTS, np.random.default_rng(0))
