"""The hotspot model learns a planted rhythm, keeps it as text, and says how sure it is."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from data.incidents import INCIDENT_SCHEMA
from features.grid import Grid
from features.hotspot import Log, Panel
from features.shifts import Shifts
from models.hotspot import HotspotConfig, HotspotModel, Period, periods
from models.trees import ModelError, Recipe
from models.usual_rate import UsualRate

SIDE, WEEKS = 16, 60
START = datetime(2024, 1, 1, tzinfo=UTC)
FIRST = (START.date() - datetime(1970, 1, 1).date()).days  # noqa: DTZ001
RECIPE = replace(
    HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=40, lambda_l2=5.0),
    rounds=60,
)
CONFIG = HotspotConfig(periods=40, warm_up_days=56, top_share=0.5, moves=(), recipe=RECIPE)


def town(seed: int = 0, mean: float = 0.35, burst: float = 5.0) -> Log:
    """Two categories; where three or more came in a week, five times as many come in the next."""
    rng = np.random.default_rng(seed)
    usual = mean * rng.gamma(2.0, 0.5, (2, SIDE * SIDE))
    times, cells, kinds = [], [], []
    lately = np.zeros_like(usual)
    for week in range(WEEKS + 1):
        lately = rng.poisson(usual * np.where((lately == 2) | (lately == 3), burst, 1.0))
        for category in range(2):
            cell = np.repeat(np.arange(SIDE * SIDE), lately[category])
            cells.append(cell)
            kinds.append(np.full(len(cell), category, np.int32))
            times.append(week * 7 * 86_400 + rng.integers(0, 7 * 86_400, len(cell)))
    return logged(*(np.concatenate(one) for one in (times, cells, kinds)))


def logged(seconds: np.ndarray, cell: np.ndarray, kind: np.ndarray) -> Log:
    rows = len(cell)
    lon = 106.5 + 0.00258 * (cell % SIDE + 0.5)
    lat = 29.5 + 0.00226 * (cell // SIDE + 0.5)
    moments = pa.array(
        int(START.timestamp()) * 1_000_000 + seconds * 1_000_000, pa.timestamp("us", tz="UTC")
    )
    same = {
        name: pa.array([value] * rows).dictionary_encode()
        for name, value in (("origin", "reported"), ("precision", "minute"), ("source", "test"))
    }
    names = pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(["theft", "盗窃"]))
    columns = {
        "incident_id": pa.array([str(at) for at in range(rows)]),
        "occurred_at": moments,
        "known_at": moments,
        "category": names,
        "lon": pa.array(lon),
        "lat": pa.array(lat),
        **same,
    }
    table = pa.table({name: columns[name] for name in INCIDENT_SCHEMA.names})
    table = table.cast(INCIDENT_SCHEMA)
    every = np.arange(SIDE * SIDE)
    grid = Grid.over(
        106.5 + 0.00258 * (every % SIDE + 0.5), 29.5 + 0.00226 * (every // SIDE + 0.5), 250
    )
    return Log.of(table, grid, Shifts((0,), "UTC"), ("theft", "盗窃"))


@pytest.fixture(scope="module")
def log() -> Log:
    return town()


@pytest.fixture(scope="module")
def past(log: Log) -> list[Period]:
    return periods(log, FIRST + 7 * WEEKS, CONFIG)


@pytest.fixture(scope="module")
def model(past: list[Period]) -> HotspotModel:
    return HotspotModel.fit([past[:-8]], CONFIG).calibrated(past[-8:-2])


@pytest.fixture(scope="module")
def panel(log: Log) -> Panel:
    return Panel(log, FIRST + 7 * WEEKS)


def deviance(rate: np.ndarray, count: np.ndarray) -> float:
    """Minus the Poisson log likelihood, up to what does not depend on the rate."""
    return float((rate - count * np.log(rate)).mean())


# --- what it learns


def test_periods_are_over_before_the_day_and_after_the_warm_up(log, past) -> None:
    last = FIRST + 7 * WEEKS
    days = [one.panel.day for one in past]
    assert days == [last - 7 * back for back in range(CONFIG.periods, 0, -1)]
    assert sum(one.counts.sum() for one in past) == log.counts(days[0], last - days[0]).sum()
    short = periods(log, FIRST + 70, CONFIG)
    assert [one.panel.day - log.first_day for one in short] == [56, 63]
    kept: dict[int, Panel] = {}
    once = periods(log, FIRST + 70, CONFIG, kept)
    again = periods(log, FIRST + 77, CONFIG, kept)
    assert once[0].panel is again[0].panel


def test_a_planted_rhythm_is_learnt_that_the_count_does_not_see(model, past) -> None:
    assert model.trees is not None
    ours, usual, count = [], [], []
    for one in past[-2:]:
        forecast = model.forecast(one.panel)
        ours.append(deviance(forecast.expected, one.counts))
        usual.append(deviance(forecast.rate, one.counts))
        rates = np.stack([one.panel.rates(category)[0, :1] for category in range(2)])
        count.append(deviance(rates + 0.02, one.counts))
    assert np.mean(ours) < np.mean(usual) - 0.005
    assert np.mean(ours) < np.mean(count) - 0.005


def test_cells_after_a_burst_are_expected_to_see_more(model, past) -> None:
    one = past[-1]
    forecast = model.forecast(one.panel)
    lately = np.stack([one.panel.rates(category)[0, 5:6] for category in range(2)])
    excited = (lately > 1.5) & (lately < 3.5)
    times = forecast.expected / forecast.rate
    assert times[excited].mean() > 1.3 * times[lately < 0.5].mean()


def test_calibration_brings_totals_to_what_came(past) -> None:
    raw = HotspotModel.fit([past[:-8]], CONFIG)
    off = replace(raw, level=np.array([[0.7, 1.0], [-0.4, 0.8]]))
    for given in (raw, off):
        model = given.calibrated(past[-8:])
        for category in range(2):
            came = sum(one.counts[category].sum() for one in past[-8:])
            told = sum(model.forecast(one.panel).expected[category].sum() for one in past[-8:])
            assert told == pytest.approx(came, rel=0.005)


def test_a_week_not_seen_has_about_the_total_expected(model, past) -> None:
    came = sum(float(one.counts.sum()) for one in past[-2:])
    told = sum(model.forecast(one.panel).expected.sum() for one in past[-2:])
    assert told == pytest.approx(came, rel=0.25)


# --- how sure it is


@pytest.mark.parametrize("shape", [0.004, 0.05, 1.0, 40.0, np.inf])
def test_the_interval_holds_what_is_expected(model, shape) -> None:
    sure = replace(model, shape=np.array([shape, shape]))
    expected = np.geomspace(1e-5, 30, 40).reshape(2, 1, 20)
    low, high = sure.interval(expected)
    assert (low >= 0).all()
    assert (low <= expected).all()
    assert (high >= expected).all()
    wide_low, wide_high = sure.interval(expected, 0.99)
    assert (wide_low <= low).all()
    assert (wide_high >= high).all()


def test_rates_that_vary_get_wide_intervals() -> None:
    rng = np.random.default_rng(1)
    log = town(3)
    found = periods(log, FIRST + 7 * WEEKS, replace(CONFIG, periods=12))
    model = HotspotModel.fit([found], replace(CONFIG, top_share=0.02))
    rates = [model.forecast(one.panel).rate for one in found]
    for shape in (2.0, 8.0):
        came = [
            rng.poisson(rate * rng.gamma(shape, 1 / shape, rate.shape)).astype(np.float32)
            for rate in rates
        ]
        seen = [replace(one, counts=count) for one, count in zip(found, came, strict=True)]
        bare = replace(model, trees=None)
        np.testing.assert_allclose(bare.calibrated(seen).shape, shape, rtol=0.5)


# --- kept as text, and the same again


def test_texts_give_the_same_forecast_to_the_bit(model, panel) -> None:
    again = HotspotModel.from_texts(model.to_texts())
    ours, theirs = model.forecast(panel), again.forecast(panel)
    for name in ("expected", "low", "high", "usual", "rate"):
        assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes()
    assert again.to_texts() == model.to_texts()


def test_a_model_of_other_columns_is_refused_in_words(model) -> None:
    texts = model.to_texts()
    facts = json.loads(texts["hotspot.json"])
    facts["columns"] = facts["columns"][:-1]
    with pytest.raises(ModelError, match="expected a model of the columns that this version makes"):
        HotspotModel.from_texts(texts | {"hotspot.json": json.dumps(facts)})


def test_the_same_incidents_give_the_same_model(past) -> None:
    config = replace(CONFIG, recipe=replace(RECIPE, rounds=8))
    one, two = (HotspotModel.fit([past], config).to_texts() for _ in range(2))
    assert one == two


def test_few_incidents_grow_no_trees_and_are_forecast_all_the_same() -> None:
    log = town(1, mean=0.02, burst=1.0)
    past = periods(log, FIRST + 7 * WEEKS, CONFIG)
    model = HotspotModel.fit([past], CONFIG).calibrated(past[-4:])
    assert model.trees is None
    panel = Panel(log, FIRST + 7 * WEEKS)
    forecast = model.forecast(panel)
    came = sum(one.counts.sum() for one in past) / len(past)
    assert forecast.expected.sum() == pytest.approx(came, rel=0.5)
    assert (forecast.expected > 0).all()
    assert not model.contributions(panel, 0, 0, [0, 1]).any()
    texts = model.to_texts()
    assert set(texts) == {"hotspot.json"}
    again = HotspotModel.from_texts(texts).forecast(panel)
    assert again.expected.tobytes() == forecast.expected.tobytes()


# --- why


def test_contributions_add_up_to_the_factor_on_every_cell(model, panel) -> None:
    plain = replace(model, level=np.tile([0.0, 1.0], (2, 1)))
    forecast = plain.forecast(panel)
    cells = np.arange(SIDE * SIDE)
    for category in range(2):
        moved = plain.contributions(panel, category, 0, cells).sum(axis=1)
        factor = np.log(forecast.expected[category, 0] / forecast.rate[category, 0])
        np.testing.assert_allclose(moved, factor, atol=1e-6)
        assert (moved == 0).sum() >= len(cells) // 2  # trees look at the likeliest half


def test_every_count_in_one_cell_is_levelled_without_a_wild_slope() -> None:
    seconds = np.sort(np.random.default_rng(0).integers(0, WEEKS * 7 * 86_400, 900))
    log = logged(seconds, np.zeros(900, np.int64), np.zeros(900, np.int32))
    one = Grid(log.grid.centre, 250.0, log.grid.cells[:1])
    alone = replace(log, grid=one)
    past = periods(alone, FIRST + 7 * WEEKS, CONFIG)
    model = HotspotModel.fit([past], CONFIG).calibrated(past[-24:])
    expected = model.forecast(Panel(alone, FIRST + 7 * WEEKS)).expected
    assert expected[0].sum() == pytest.approx(15, rel=0.4)
    assert 0 < model.level[0, 1] < 3


def test_a_recipe_is_a_value() -> None:
    assert isinstance(HotspotConfig().recipe, Recipe)
    assert UsualRate(np.ones((1, 2))).of(0, np.ones((3, 2))).tolist() == [2.0] * 3
