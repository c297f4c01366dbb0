"""A day's surface: its share of the week, its certificate, reasons whose numbers are right."""

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from features.hotspot import Log, Panel
from features.shifts import Shifts
from models.hotspot import HotspotConfig
from models.hotspot_bundle import HotspotBundle
from models.surface import Surface, SurfaceError
from training.hotspots import HotspotTraining, fit_hotspots
from training.surfaces import SurfaceOptions, make_surface

CITY = PlacesCity(days=140, cells=400, incidents_per_day=60)
ZONE = "Asia/Shanghai"
RECIPE = replace(HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=60), rounds=10)
TRAINING = HotspotTraining(
    starts=(6, 18), held_out=2, config=HotspotConfig(periods=8, moves=(), recipe=RECIPE)
)
AS_OF = CITY.end - timedelta(days=10)  # midnight in the city: the night shift of the day before
TODAY = CITY.first_day + timedelta(days=CITY.days - 11)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return happen(CITY).table()


@pytest.fixture(scope="module")
def bundle(table: pa.Table) -> HotspotBundle:
    return fit_hotspots(table, as_of=AS_OF, zone=ZONE, training=TRAINING)[0]


@pytest.fixture(scope="module")
def surface(bundle: HotspotBundle, table: pa.Table) -> Surface:
    return make_surface(bundle, table, TODAY, AS_OF, options=SurfaceOptions(explained=0.01))


def test_days_of_a_week_add_up_to_about_its_forecast(bundle, table, surface) -> None:
    panel = Panel(
        Log.of(table, surface.grid, bundle.shifts, bundle.model.categories),
        Shifts.number_of(TODAY),
        7,
        AS_OF,
    )
    week = bundle.model.forecast(panel).expected
    ratios = [
        bundle.days.of_places(panel.log, TODAY + timedelta(step), panel.day) for step in range(7)
    ]
    np.testing.assert_allclose(surface.expected, week * ratios[0] / 7)
    total = sum((week * ratio / 7).sum() for ratio in ratios)
    assert total == pytest.approx(week.sum(), rel=0.03)
    came = panel.log.counts(panel.day, 7).sum()
    assert total == pytest.approx(came, rel=0.25)


def test_arrays_have_the_shape_of_the_map(surface, bundle) -> None:
    cells = len(surface.grid)
    for name in ("expected", "low", "high", "usual"):
        values = getattr(surface, name)
        assert values.shape == (3, 2, cells)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (surface.low <= surface.expected).all()
    assert (surface.expected <= surface.high).all()
    assert surface.rank_low.shape == surface.rank_high.shape == (4, 2, cells)
    assert surface.rank_low.dtype == surface.rank_high.dtype == np.int32
    assert (surface.rank_low <= surface.rank_high).all()
    assert set(surface.share_in_top) == {0.01, 0.02, 0.05}
    for share in surface.share_in_top.values():
        assert share.shape == (4, 2, cells)
        assert share.dtype == np.float32
        assert ((share >= 0) & (share <= 1)).all()
    assert surface.categories == bundle.model.categories


def test_each_map_of_the_day_has_a_certificate_of_its_own(surface) -> None:
    maps = [surface.layer(0, category) for category in (*surface.categories, None)]
    for layer in maps:
        assert (layer.rank_low <= layer.rank).all()
        assert (layer.rank <= layer.rank_high).all()
        assert 0 < layer.stable(0.05).sum() <= 2 * len(layer.top(0.05))
    assert len({layer.rank_high.tobytes() for layer in maps}) == len(maps)


def test_the_top_cells_have_reasons_with_the_right_count(surface, table) -> None:
    begin = surface.shifts.begin(TODAY)
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    cells = surface.grid.place(lon, lat)
    rows = table.to_pylist()
    for shift in range(2):
        layer = surface.layer(shift)
        for cell in layer.top(0.01).tolist():
            for category, name in enumerate(surface.categories):
                zh, en = surface.reasons[category, shift, cell][0]
                days = day = 0
                for row, place in zip(rows, cells, strict=True):
                    local = row["occurred_at"].astimezone(begin.tzinfo)
                    known = row["known_at"] < AS_OF and local < begin
                    if place == cell and known and row["category"] == name:
                        days += 1
                        day += (6 <= local.hour < 18) == (shift == 0)
                # the first night began on the day before the history
                weeks = round((TODAY - CITY.first_day + timedelta(days=1)).days / 7)
                assert set(map(int, re.findall(r"\d+", zh)[:3])) == {weeks, day, days}
                assert set(map(int, re.findall(r"\d+", en)[:3])) == {weeks, day, days}
                assert name in zh
                assert re.search(r"[\u4e00-\u9fff]", zh)


def test_what_was_learnt_later_changes_nothing(surface, bundle, table, tmp_path: Path) -> None:
    known = [row for row in table.to_pylist() if row["known_at"] < AS_OF]
    assert len(known) < len(table)
    past = pa.Table.from_pylist(known, schema=table.schema)
    again = make_surface(bundle, past, TODAY, AS_OF, options=SurfaceOptions(explained=0.01))
    one, two = surface.save(tmp_path / "one"), again.save(tmp_path / "two")
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


@pytest.mark.parametrize("off", [-1, 7, 400])
def test_a_day_out_of_reach(bundle, table, off) -> None:
    last = TODAY + timedelta(days=6)
    with pytest.raises(SurfaceError, match=f"expected a day from {TODAY} to {last}.*another as_of"):
        make_surface(bundle, table, TODAY + timedelta(days=off), AS_OF)


def test_nothing_known(bundle, table) -> None:
    early = CITY.start - timedelta(days=30)
    day: date = (early + timedelta(hours=2)).date()
    with pytest.raises(SurfaceError, match="expected incidents known by then, found none"):
        make_surface(bundle, table, day, early)
    none = table.slice(0, 0)
    with pytest.raises(SurfaceError, match="expected incidents known by then, found none"):
        make_surface(bundle, none, TODAY, AS_OF)


def test_the_day_begins_with_its_first_shift(bundle, table) -> None:
    """At three in the morning the night shift of the day before is on duty."""
    night = datetime(2024, 5, 10, 3, tzinfo=bundle.shifts.begin(TODAY).tzinfo)
    with pytest.raises(SurfaceError, match="expected a day from 2024-05-09 to 2024-05-15"):
        make_surface(bundle, table, date(2024, 5, 20), night)
