"""The rolling backtest sees what was known, judges every model on the same incidents and cells."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from features.shifts import Shifts
from models.hotspot import HotspotConfig
from models.hotspot_baselines import ExponentialCount, LongHistoryCount
from training.backtest import (
    EIGHT,
    OURS,
    SAME_SHIFT,
    USUAL,
    Backtest,
    backtest,
    labels,
    moved_logs,
    past_of,
    tallies,
)

CITY = PlacesCity(days=154, cells=400, incidents_per_day=60)
RECIPE = replace(HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=60), rounds=8)
FIRST = CITY.first_day + timedelta(days=126)
TEST = Backtest(
    first=FIRST,
    weeks=3,
    size_m=250.0,
    shifts=Shifts((0, 12), "Asia/Shanghai"),
    offsets=EIGHT[:2],
    retrain_weeks=2,
    config=HotspotConfig(periods=8, warm_up_days=56, recipe=RECIPE),
    coverages=(0.01, 0.05, 1.0),
    rivals=(LongHistoryCount(),),
    slow_rivals=(ExponentialCount(),),
)
LONG, SLOW = LongHistoryCount().name, ExponentialCount().name


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return happen(CITY).table()


@pytest.fixture(scope="module")
def run(table):
    return list(backtest(table, TEST))


def test_every_week_is_judged_on_every_grid(run) -> None:
    assert [(week.number, week.offset) for week, _ in run] == [
        (number, offset) for number in range(3) for offset in range(2)
    ]
    for week, _ in run:
        rivals = {LONG, SLOW} if week.offset == 0 else {LONG}
        wanted = {OURS, USUAL} | rivals | {f"{name}{SAME_SHIFT}" for name in rivals}
        assert set(week.scores) == wanted
        assert {scores.shape for scores in week.scores.values()} == {week.counts.shape}
        assert all(np.isfinite(scores).all() for scores in week.scores.values())


def test_a_model_is_grown_anew_as_often_as_asked(run) -> None:
    models = [model for _, model in run]
    assert all(model is models[0] for model in models[:4])
    assert models[4] is models[5] is not models[0]


def test_what_came_is_counted_whole_on_every_grid(run, table) -> None:
    day = table["occurred_at"].to_pandas().dt.tz_convert("Asia/Shanghai").dt.date
    for week, _ in run:
        first = FIRST + timedelta(days=7 * week.number)
        came = ((day >= first) & (day < first + timedelta(days=7))).sum()
        assert week.counts.sum() == came


def test_the_long_history_count_is_a_count_of_what_was_known(run, table) -> None:
    log = moved_logs(table, TEST)[1]
    week = next(week for week, _ in run if (week.number, week.offset) == (2, 1))
    begin = TEST.shifts.begin(FIRST + timedelta(days=14))
    now = pa.scalar(begin, table["known_at"].type)
    known = table.filter(
        pc.and_(pc.less(table["known_at"], now), pc.less(table["occurred_at"], now))
    )
    for category, name in enumerate(log.categories):
        own = known.filter(pc.equal(known["category"].cast(pa.string()), name))
        at = log.grid.place(own["lon"].to_numpy(), own["lat"].to_numpy())
        wanted = np.bincount(at, minlength=len(log.grid))
        for scores in week.scores[LONG][category]:
            np.testing.assert_array_equal(np.argsort(-scores, kind="stable"),
                                          np.argsort(-wanted, kind="stable"))  # fmt: skip


def test_what_is_learnt_later_changes_no_forecast(table, run) -> None:
    """The same cells and categories, but nothing known from the first week's begin on."""
    begin = TEST.shifts.begin(FIRST)
    late = pc.greater_equal(table["known_at"], pa.scalar(begin, table["known_at"].type))
    rows = table.filter(late)
    at = table.schema.get_field_index("known_at")
    much_later = pa.array([CITY.end] * len(rows), table.schema.field(at).type)
    changed = pa.concat_tables(
        [table.filter(pc.invert(late)), rows.set_column(at, table.schema.field(at), much_later)]
    )
    again = list(backtest(changed, replace(TEST, weeks=1)))
    for (week, _), (other, _) in zip(run[:2], again, strict=True):
        for name in (OURS, USUAL, LONG):
            assert week.scores[name].tobytes() == other.scores[name].tobytes()


def test_discovered_incidents_are_no_part_of_a_backtest(table) -> None:
    field = table.schema.field("origin")
    at = table.schema.get_field_index("origin")
    found = table.set_column(at, field, pa.array(["discovered"] * len(table)).cast(field.type))
    lon = pa.array(np.asarray(found["lon"].to_numpy()) + 0.5)
    found = found.set_column(table.schema.get_field_index("lon"), table.schema.field("lon"), lon)
    plain, both = moved_logs(table, TEST), moved_logs(pa.concat_tables([table, found]), TEST)
    assert [len(log) for log in both] == [len(log) for log in plain]
    assert [log.grid.names() for log in both] == [log.grid.names() for log in plain]


def test_tallies_hold_hits_of_the_top_and_all_of_it_at_last(run, table) -> None:
    log = moved_logs(table, TEST)[0]
    found = tallies((week for week, _ in run), TEST, log.categories)
    assert found[OURS].hits.shape[:2] == (3, 4)  # weeks, grids x shifts
    assert found[SLOW].hits.shape[:2] == (3, 2)
    for name in (OURS, USUAL, LONG):
        hits = found[name].hits
        assert (np.diff(hits, axis=-1) >= 0).all()
        total = sum(week.counts.sum() for week, _ in run)
        assert hits[..., -1].sum() == total
    week, _ = run[0]
    cells = max(1, round(0.05 * week.counts.shape[2]))
    top = np.argsort(-week.scores[OURS][1, 0], kind="stable")[:cells]
    assert found[OURS].hits[0, 0, 1, 1] == week.counts[1, 0, top].sum()


def test_progress_and_labels(table) -> None:
    told: list[tuple[str, float]] = []
    short = replace(TEST, weeks=1, offsets=EIGHT[:1], config=replace(TEST.config, moves=()))
    list(backtest(table, short, lambda *said: told.append(said)))
    assert told == [(f"week of {FIRST} forecast on 1 grids", 1.0)]
    log = moved_logs(table, short)[0]
    assert len(labels(log)) == 6
    assert labels(log)[1] == f"{log.categories[0]} 12-24"
    whole = moved_logs(table, replace(short, shifts=Shifts((0,), "Asia/Shanghai")))[0]
    assert labels(whole) == whole.categories


def test_a_rival_sees_one_category_and_shift_of_the_past(table) -> None:
    log = moved_logs(table, TEST)[0]
    day = Shifts.number_of(FIRST)
    parts = [past_of(log, day, 0, shift) for shift in range(2)]
    together = past_of(log, day, 0)
    assert sum(len(part.age_days) for part in parts) == len(together.age_days)
    assert together.age_days.min() >= 1
    east, north = together.centres_m[together.cell].T
    assert np.abs(together.x_m - east).max() <= 125 + 1e-6
    assert np.abs(together.y_m - north).max() <= 125 + 1e-6
    assert isinstance(Shifts.date_of(day), date)
