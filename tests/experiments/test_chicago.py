"""The Chicago experiment's shape, on a small simulated city in its place."""

import json
from datetime import date

import pyarrow as pa
import pytest

from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from experiments.chicago import EIGHT_HOURS, WHOLE_DAYS, _judge, _result, _Setup
from training.backtest import OURS

SETUPS = (_Setup(250.0, WHOLE_DAYS), _Setup(250.0, EIGHT_HOURS))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    city = PlacesCity(first_day=date(2016, 8, 1), days=360, cells=400, incidents_per_day=80)
    return happen(city).table()


def test_both_tables_are_made_and_every_figure_is_json(table: pa.Table) -> None:
    found = [_judge(table, setup, True, lambda _said, _done: None) for setup in SETUPS]
    result = _result(found, "not run", True)
    figures = json.loads(json.dumps(dict(result.figures), allow_nan=False))
    assert {"gain_week_percent", "gain_shift_percent", "significantly_behind"} <= set(figures)
    assert figures["comparisons"] == sum(one.compared() for one in found)
    assert {len(row) for row in result.rows} == {len(result.columns)}
    for one in found:
        assert one.best_count in one.tallies
        for tally in one.tallies.values():
            assert (tally.hits <= tally.best).all()
        ours, rival = one.beside("exponential")
        assert (ours.total == rival.total).all()
        assert 0 < ours.pooled("hit_rate")[0] < ours.pooled("hit_rate")[-1] <= 1


def test_by_shift_a_rival_may_look_at_all_hours_or_at_its_own(table: pa.Table) -> None:
    found = _judge(table, SETUPS[1], True, lambda _said, _done: None)
    assert {"count", "count, same shift", OURS} <= set(found.tallies)
