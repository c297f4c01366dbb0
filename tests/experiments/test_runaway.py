"""The feedback simulation: what reads reports stands still, what reads its own finds runs away."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.simulator.places import PlacesCity
from experiments.runaway import Spread, Years, gini, result, simulate_years
from experiments.runaway_city import City, Plan
from experiments.runaway_pipelines import FULL, NAIVE, OURS, PIPELINES, Full, Ours, allocate
from models.hotspot import HotspotConfig

TINY = Plan(
    city=PlacesCity(cells=400, incidents_per_day=60),
    seeds=(1, 2),
    before=20,
    weeks=26,
    stops=120,
    learn_from=2,
    retrain=13,
)


@cache
def years() -> Years:
    return simulate_years(TINY, names=(OURS, NAIVE))


@cache
def short() -> Years:
    return simulate_years(replace(TINY, weeks=2, before=17))


def test_the_naive_pipeline_runs_away_and_ours_does_not() -> None:
    found = years()
    assert found.drift(NAIVE).value > 0.05
    assert abs(found.drift(OURS).value) < 0.03
    assert found.at(NAIVE, "distance", -1).min() > 2 * found.at(OURS, "distance", -1).max()
    assert (found.at(NAIVE, "gini", -1) > found.at(NAIVE, "gini", 0)).all()
    assert found.at(NAIVE, "top_ratio", -1).mean() > found.at(NAIVE, "top_ratio", 0).mean()


def test_what_patrols_find_never_reaches_our_log() -> None:
    assert years().unchanged


def test_the_result_has_the_gates_keys_and_every_pipeline() -> None:
    shown = result(replace(TINY, weeks=2), short())
    assert {"ours_drift", "naive_drift", "runaway_ratio", "firewall_holds"} <= shown.figures.keys()
    assert isinstance(shown.figures["firewall_holds"], bool)
    assert [row[0] for row in shown.rows] == list(PIPELINES)
    assert all(len(row) == len(shown.columns) for row in shown.rows)
    assert shown.title.startswith("Simulated")
    json.dumps(shown.figures, allow_nan=False)


def test_a_pipeline_that_patrols_pre_empt_knows_less() -> None:
    city = City.of(replace(TINY, weeks=2, before=17), seed=1)
    ours = Ours(city, first=True)
    minutes = np.full((3, len(city.grid)), 30.0)
    found = city.find(0, minutes, first=True)
    ours.told(found, minutes)
    assert 0 < len(city.reports) - len(ours.reports) <= len(found)


def test_misfiled_finds_do_get_through() -> None:
    """What the firewall cannot stop: a find that is entered as a citizen's report."""
    city = City.of(replace(TINY, weeks=2, before=17), seed=1)
    minutes = np.full((3, len(city.grid)), 60.0)
    found = city.find(0, minutes, first=False)
    lengths = []
    for leak in (0.0, 0.5):
        ours = Ours(city, leak)
        ours.told(found, minutes)
        lengths.append(len(ours.log(city.day(1))))
    assert lengths[1] - lengths[0] == -(-len(found) // 2)


CONFIG = HotspotConfig(warm_up_days=56)
BUSY = replace(
    TINY,
    city=PlacesCity(cells=400, incidents_per_day=300),
    before=20,
    weeks=2,
    retrain=1,
    model=replace(CONFIG, recipe=replace(CONFIG.recipe, rounds=10)),
)


def test_the_whole_model_grows_trees_and_its_units_keep_to_hours_and_cap() -> None:
    city = City.of(BUSY, seed=1)
    full = Full(city)
    stops = full.stops(0)
    assert full.model.trees is not None
    assert 0 < stops.sum() <= city.stops
    assert stops.max() <= full.cap
    expected = full.expected(0)
    assert (stops * expected).sum() / stops.sum() > 1.2 * expected.mean()
    full.cap = 3
    rotated = full.stops(0)
    assert rotated.max() == 3
    assert (rotated > 0).sum() > (stops > 0).sum()


def test_what_patrols_find_moves_no_tree_and_no_route() -> None:
    city = City.of(BUSY, seed=1)
    told, untold = Full(city), Full(city)
    minutes = told.stops(0) * BUSY.stop_minutes
    np.testing.assert_array_equal(untold.stops(0) * BUSY.stop_minutes, minutes)
    found = city.find(0, minutes, first=False)
    assert len(found)
    told.told(found, minutes)
    np.testing.assert_array_equal(told.stops(1), untold.stops(1))


def test_the_whole_model_runs_in_the_first_city_only_and_has_no_interval() -> None:
    found = short()
    assert found.measured[FULL].shape[0] == 1
    assert found.measured[OURS].shape[0] == len(TINY.seeds)
    assert "[" not in str(found.drift(FULL))
    shown = result(replace(TINY, weeks=2), found).figures
    assert shown["pipelines"][FULL]["distance"]["end"][1:] == [None, None]
    assert shown["full_drift"] == pytest.approx(found.drift(FULL).value, abs=1e-4)


def _planted(ours: float, naive: float, *, unchanged: bool = True) -> Years:
    """Years whose distance grows by so much from 0.1, alike in every city."""

    def grown(by: float) -> np.ndarray:
        measured = np.ones((3, TINY.weeks, 4))
        measured[:, :, 0] = 0.1 + by * np.linspace(0, 1, TINY.weeks)
        return measured

    measured = {name: grown(ours) for name in PIPELINES} | {NAIVE: grown(naive)}
    return Years(measured, unchanged)


@pytest.mark.parametrize(
    ("given_years", "holds"),
    [
        (_planted(0.0, 0.2), True),
        (_planted(-0.05, 0.2), True),
        (_planted(0.2, 0.3), False),
        (_planted(0.0, 0.0), False),
        (_planted(0.0, 0.2, unchanged=False), False),
    ],
)
def test_the_gate_needs_a_still_pipeline_and_a_simulation_that_can_run_away(
    given_years: Years, holds: bool
) -> None:
    assert result(TINY, given_years).figures["firewall_holds"] is holds


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=40),
    st.integers(0, 500),
    st.integers(1, 30),
)
def test_all_stops_are_given_within_the_cap(weights: list[float], stops: int, cap: int) -> None:
    given_out = allocate(np.array(weights), stops, cap)
    assert given_out.sum() == min(stops, cap * len(weights))
    assert given_out.max() <= cap
    assert given_out.min() >= 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=20), st.integers(1, 300))
def test_no_stop_would_do_more_elsewhere(weights: list[float], stops: int) -> None:
    """Highest averages: the least good stop given is at least as good as the best one not given."""
    expected = np.array(weights)
    given_out = allocate(expected, stops, cap=stops)
    last = (expected / given_out.clip(1))[given_out > 0].min()
    assert last >= (expected / (given_out + 1)).max() * (1 - 1e-9)


def test_stops_of_a_table_keep_its_shape() -> None:
    assert allocate(np.ones((3, 5)), 15, 7).tolist() == [[1] * 5] * 3


def test_gini_of_one_that_gets_all_and_spread_of_the_same() -> None:
    assert gini(np.array([0.0] * 99 + [1.0])) == pytest.approx(0.99)
    assert Spread.of(np.full(4, 0.2)) == Spread(*(pytest.approx(0.2),) * 3)


def test_the_quick_plan_differs_in_size_only() -> None:
    quick = Plan.quick()
    sizes = {"city", "seeds", "before", "weeks", "stops", "learn_from", "model"}
    assert replace(Plan(), **{name: getattr(quick, name) for name in sizes}) == quick
