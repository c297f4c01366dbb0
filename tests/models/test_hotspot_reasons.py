"""Sentences of a cell: the numbers in them are those a plain count finds, in both languages."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from features.grid import Grid
from features.hotspot import DATED, Log, Panel, layout
from features.shifts import Shifts
from models.hotspot import HotspotConfig, HotspotModel, periods
from models.hotspot_reasons import _moves, explain_cells

CITY = PlacesCity(days=140, cells=400, incidents_per_day=80)
SHIFTS = Shifts((0, 12), "Asia/Shanghai")
RECIPE = replace(
    HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=40, lambda_l2=1.0), rounds=40
)
CONFIG = HotspotConfig(periods=10, warm_up_days=56, moves=(), recipe=RECIPE)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return happen(CITY).table()


@pytest.fixture(scope="module")
def log(table: pa.Table) -> Log:
    return Log.of(table, Grid.over(table["lon"].to_numpy(), table["lat"].to_numpy(), 250), SHIFTS)


@pytest.fixture(scope="module")
def panel(log: Log) -> Panel:
    return Panel(log, last_day())


@pytest.fixture(scope="module")
def model(log: Log) -> HotspotModel:
    return HotspotModel.fit([periods(log, last_day(), CONFIG)], CONFIG)


def last_day() -> int:
    return Shifts.number_of(CITY.first_day) + CITY.days - 1


def numbers(sentence: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", sentence)]


def counted(table: pa.Table, panel: Panel, category: str, shift: int, cell: int) -> list[int]:
    """On record in the shift, at all hours, and in the last seven days, by a plain loop."""
    begin = SHIFTS.begin(Shifts.date_of(panel.day))
    week = begin - timedelta(days=7)
    here = panel.log.grid.place(table["lon"].to_numpy(), table["lat"].to_numpy()) == cell
    found = [0, 0, 0]
    for row in table.filter(pa.array(here)).to_pylist():
        when: datetime = row["occurred_at"].astimezone(begin.tzinfo)
        if row["category"] != category or row["known_at"] >= begin or when >= begin:
            continue
        own = (when.hour >= 12) == (shift == 1)
        found[0] += own
        found[1] += 1
        found[2] += own and when >= week
    return found


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("category", [0, 1])
def test_what_happened_here_is_what_a_plain_loop_counts(
    table: pa.Table, model: HotspotModel, panel: Panel, category: int, shift: int
) -> None:
    forecast = model.forecast(panel)
    cells = np.argsort(-forecast.expected[category, shift])[:4].tolist()
    said = explain_cells(model, panel, forecast, category, shift, cells)
    name = model.categories[category]
    weeks = round(panel.history_days / 7)
    for cell, ((zh, en), *_) in zip(cells, said, strict=True):
        own, day, lately = counted(table, panel, name, shift, cell)
        assert numbers(zh) == [weeks, own, day, lately]
        assert numbers(en) == [own, weeks, day, lately]
        assert name in zh
        assert name in en


def test_the_outlook_is_the_forecast(model: HotspotModel, panel: Panel) -> None:
    forecast = model.forecast(panel)
    cell = int(np.argmax(forecast.expected[0, 1]))
    ((_, (zh, en), *_),) = explain_cells(model, panel, forecast, 0, 1, [cell])
    expected, usual = forecast.expected[0, 1, cell], forecast.usual[0, 1, cell]
    for sentence in (zh, en):
        for wanted in (expected, usual, expected / usual):
            assert any(abs(number - wanted) <= 0.00501 for number in numbers(sentence)), sentence


def test_what_moved_the_forecast_says_which_way(model: HotspotModel, panel: Panel) -> None:
    assert model.trees is not None
    forecast = model.forecast(panel)
    cells = np.argsort(-forecast.expected[0, 0])[:12].tolist()
    moves = [pair for one in explain_cells(model, panel, forecast, 0, 0, cells) for pair in one[2:]]
    assert moves
    for zh, en in moves:
        factor = float(zh.rpartition("×")[2])
        assert factor == float(en.rpartition(" ")[2])
        assert ("升高" in zh) == ("raises" in en) == (factor > 1)
        assert ("降低" in zh) == ("lowers" in en) == (factor < 1)
        assert abs(np.log(factor)) > np.log(1.04)


def test_the_time_of_the_year_is_one_sentence(model: HotspotModel) -> None:
    columns = layout(model.categories, model.shifts)
    moved = np.array([0.1 if column.when == DATED else 0.0 for column in columns])
    said = _moves(columns, moved, "theft")
    assert said == [
        ("这个时节：使预计数升高，×1.22", "the time of the year raises expectation, times 1.22")
    ]


def test_cells_that_trees_leave_alone_have_no_moves(model: HotspotModel, panel: Panel) -> None:
    forecast = model.forecast(panel)
    still = np.flatnonzero(forecast.expected[0, 0] == forecast.rate[0, 0])[:20].tolist()
    assert still
    assert {len(one) for one in explain_cells(model, panel, forecast, 0, 0, still)} == {2}


def test_no_cells_no_sentences(model: HotspotModel, panel: Panel) -> None:
    assert explain_cells(model, panel, model.forecast(panel), 0, 0, []) == []
