"""A patrol plan is one that units can carry out, covers most, and keeps its promises."""

import json
from dataclasses import replace
from datetime import datetime
from itertools import pairwise, permutations
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.grid import Grid
from models.patrol import Cells, Constraints, Plan, PlanError, Station, greedy_plan, plan_patrol

CHONGQING = ZoneInfo("Asia/Shanghai")
CENTRE = (106.5, 29.5)
HOME = Station("解放碑派出所", *CENTRE)


def grid_of(columns, rows) -> Grid:
    codes = sorted(set(zip(rows, columns, strict=True)))
    return Grid.from_dict(
        {
            "centre": CENTRE,
            "size_m": 250.0,
            "offset_m": (0, 0),
            "rotation_deg": 0,
            "columns": [column for _, column in codes],
            "rows": [row for row, _ in codes],
        }
    )


def scattered(count: int, seed: int, spread: int = 12, unstable: float = 0.0) -> Cells:
    random = np.random.default_rng(seed)
    grid = grid_of(*random.integers(-spread, spread, (2, count)).tolist())
    stable = random.random(len(grid)) >= unstable
    visits = random.integers(0, 3, len(grid))
    return Cells(grid, random.gamma(1.0, 0.3, len(grid)) + 0.01, stable, visits)


def way_s(limits: Constraints, start, end) -> int:
    """Whole seconds between two places in metres, by hand."""
    road = float(np.hypot(start[0] - end[0], start[1] - end[1])) * limits.detour
    return int(np.ceil(road / (limits.speed_kmh / 3.6)))


def home_xy(cells: Cells, station: Station) -> np.ndarray:
    x, y = cells.grid.metres([station.lon], [station.lat])
    return np.array([x[0], y[0]])


def beside(cells: Cells, one: int, other: int) -> bool:
    grid = cells.grid
    apart = abs(grid.columns[one] - grid.columns[other]), abs(grid.rows[one] - grid.rows[other])
    return max(apart) == 1


def anchored(cells: Cells, visited) -> bool:
    return all(
        cells.stable[cell] or any(cells.stable[o] and beside(cells, cell, o) for o in visited)
        for cell in visited
    )


def best_by_hand(cells: Cells, limits: Constraints) -> float:
    """Every order of every set of cells, one unit."""
    home, xy = home_xy(cells, limits.stations[0]), cells.xy
    open_ = [cell for cell in range(len(xy)) if cells.past[cell] < limits.visit_cap]
    most = min(limits.shift_minutes, (limits.officer_minutes or 1e9) / limits.officers_per_unit)
    best = 0.0
    for count in range(1, min(len(open_), limits.max_stops_per_unit) + 1):
        for order in permutations(open_, count):
            nodes = [home, *(xy[cell] for cell in order), home]
            legs = [way_s(limits, *pair) for pair in pairwise(nodes)]
            spent = sum(legs if limits.return_to_station else legs[:-1])
            fits = spent + count * limits.stop_minutes * 60 <= most * 60
            if fits and anchored(cells, order):
                best = max(best, float(cells.expected[list(order)].sum()))
    return best


def check(plan: Plan, cells: Cells, limits: Constraints) -> None:
    """A plan that can be carried out, and whose figures are its own."""
    visited = [stop.cell for beat in plan.beats for stop in beat.stops]
    assert len(visited) == len(set(visited))
    assert anchored(cells, visited)
    assert all(cells.past[cell] < limits.visit_cap for cell in visited)
    assert [beat.station.name for beat in plan.beats] == [
        station.name for station in limits.stations for _ in range(station.units)
    ]
    for beat in plan.beats:
        assert len(beat.stops) <= limits.max_stops_per_unit
        assert beat.end_minute <= limits.shift_minutes + 1e-9
        here, now = home_xy(cells, beat.station), 0.0
        for stop in beat.stops:
            there = cells.xy[stop.cell]
            assert stop.travel_minutes * 60 == pytest.approx(way_s(limits, here, there), abs=1.01)
            assert stop.arrive_minute == pytest.approx(now + stop.travel_minutes)
            assert stop.stay_minutes == limits.stop_minutes
            here, now = there, stop.arrive_minute + stop.stay_minutes
        if beat.stops and limits.return_to_station:
            assert (beat.end_minute - now) * 60 == pytest.approx(
                way_s(limits, here, home_xy(cells, beat.station)), abs=1.01
            )
    if limits.officer_minutes is not None:
        spent = sum(beat.end_minute for beat in plan.beats) * limits.officers_per_unit
        assert spent <= limits.officer_minutes + 1e-6
    assert plan.covered == pytest.approx(cells.expected[visited].sum())
    assert plan.covered_share == pytest.approx(plan.covered / cells.expected.sum())
    assert plan.area_share == pytest.approx(len(visited) / len(cells.grid))
    assert plan.cells == sorted(visited)
    assert not {left.cell for left in plan.left_out} & set(visited)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    minutes=st.integers(20, 110),
    stops=st.integers(1, 5),
    returns=st.booleans(),
    officers=st.sampled_from([None, 120.0]),
)
def test_the_best_plan_by_brute_force(seed, minutes, stops, returns, officers) -> None:
    cells = scattered(6, seed, spread=9, unstable=0.4)
    limits = Constraints(
        (HOME,),
        shift_minutes=minutes,
        officer_minutes=officers,
        max_stops_per_unit=stops,
        visit_cap=2,
        return_to_station=returns,
    )
    plan = plan_patrol(cells, limits)
    check(plan, cells, limits)
    assert plan.covered == pytest.approx(best_by_hand(cells, limits))


@pytest.mark.parametrize("seed", range(4))
def test_never_less_than_greedy_and_the_same_again(seed) -> None:
    cells = scattered(60, seed, spread=25, unstable=0.3)
    other = Station("南岸派出所", 106.53, 29.52, units=2)
    limits = Constraints((HOME, other), shift_minutes=120, visit_cap=2)
    plan, greedy = plan_patrol(cells, limits, rounds=20), greedy_plan(cells, limits)
    check(plan, cells, limits)
    check(greedy, cells, limits)
    assert plan.covered >= greedy.covered - 1e-12
    assert plan == plan_patrol(cells, limits, rounds=20)


def test_search_beats_greedy_where_a_far_prize_lures_it() -> None:
    """One far cell is worth most by the minute at first, and then less fits elsewhere."""
    grid = grid_of([-16, 14, 15, 16, 17], [0, 0, 0, 0, 0])
    cells = Cells(grid, np.array([1.3, 1.0, 1.0, 1.0, 1.0]), np.ones(5, bool))
    limits = Constraints((HOME,), shift_minutes=100)
    assert greedy_plan(cells, limits).cells == [0, 1, 2]
    assert plan_patrol(cells, limits).cells == [1, 2, 3, 4]


def test_more_time_never_covers_less() -> None:
    cells = scattered(25, 5)
    plans = [
        plan_patrol(cells, Constraints((HOME,), shift_minutes=minutes, visit_cap=9)).covered
        for minutes in (30, 60, 120, 480)
    ]
    assert plans == sorted(plans)
    assert plans[-1] > plans[0]


def test_all_that_can_be_visited_is() -> None:
    cells = scattered(8, 1, spread=4)
    plan = plan_patrol(cells, Constraints((HOME,), visit_cap=9))
    assert plan.covered_share == pytest.approx(1.0)
    assert plan.area_share == 1.0
    assert plan.left_out == ()


def test_an_unstable_cell_is_never_on_a_plan_alone() -> None:
    grid = grid_of([0, 1, 8], [0, 0, 0])
    cells = Cells(grid, np.array([0.1, 0.5, 0.9]), np.array([True, False, False]))
    plan = plan_patrol(cells, Constraints((HOME,)))
    assert plan.cells == [0, 1]
    (left,) = plan.left_out
    assert (left.cell, left.reason) == (2, "unstable")
    assert "不单独安排" in left.zh
    one = plan_patrol(cells, Constraints((HOME,), max_stops_per_unit=1))
    assert one.cells == [0]
    assert {left.cell: left.reason for left in one.left_out} == {1: "capacity", 2: "unstable"}


def test_a_stable_cell_that_may_not_be_visited_anchors_nothing() -> None:
    grid = grid_of([0, 1], [0, 0])
    cells = Cells(grid, np.array([0.1, 0.5]), np.array([True, False]), np.array([7, 0]))
    plan = plan_patrol(cells, Constraints((HOME,)))
    assert plan.cells == []
    assert {left.cell: left.reason for left in plan.left_out} == {0: "cap", 1: "unstable"}


def test_the_exposure_cap_leaves_a_cell_out_and_says_so() -> None:
    cells = Cells(grid_of([0, 1], [0, 0]), np.array([9.0, 1.0]), np.ones(2, bool), np.array([3, 2]))
    plan = plan_patrol(cells, Constraints((HOME,), visit_cap=3, cap_period="day"))
    assert plan.cells == [1]
    (left,) = plan.left_out
    assert left.reason == "cap"
    assert left.zh == "250:0:0：今日已巡 3 次，达到上限 3 次，本班不再安排"
    assert left.en == "250:0:0: visited 3 times this day, the cap is 3: no more stops"


def test_too_far_and_too_little_time_are_told_apart() -> None:
    cells = Cells(grid_of([0, 2, 400], [0, 0, 0]), np.array([1.0, 0.5, 9.0]), np.ones(3, bool))
    plan = plan_patrol(cells, Constraints((HOME,), shift_minutes=20))
    assert plan.cells == [0]
    assert {left.cell: left.reason for left in plan.left_out} == {1: "capacity", 2: "reach"}


def test_nothing_expected_is_no_stop_and_no_reproach() -> None:
    cells = Cells(grid_of([0, 1], [0, 0]), np.zeros(2), np.ones(2, bool))
    for make in (plan_patrol, greedy_plan):
        plan = make(cells, Constraints((HOME,)))
        assert (plan.cells, plan.left_out, plan.covered_share) == ([], (), 0.0)
        assert plan.sentences(datetime(2026, 3, 1, 22, tzinfo=CHONGQING))["zh"][1].endswith("待命")


def test_officer_minutes_are_shared_by_all_units() -> None:
    cells = scattered(40, 2)
    two = replace(HOME, units=2)
    free = Constraints((two,), visit_cap=9)
    bound = replace(free, officer_minutes=200.0)
    plan = plan_patrol(cells, bound, rounds=20)
    check(plan, cells, bound)
    assert 0 < plan.covered < plan_patrol(cells, free, rounds=20).covered


def test_a_bound_on_candidates_keeps_those_worth_most() -> None:
    cells = scattered(30, 7)
    plan = plan_patrol(cells, Constraints((HOME,), visit_cap=9), candidates=3)
    assert len(plan.cells) == 3
    assert plan.left_out == ()


def test_a_clock_limit_still_gives_a_plan() -> None:
    cells = scattered(30, 8)
    limits = Constraints((HOME,), shift_minutes=200, visit_cap=9)
    plan = plan_patrol(cells, limits, seconds=0.05)
    check(plan, cells, limits)
    assert plan.covered >= greedy_plan(cells, limits).covered - 1e-12


def example() -> tuple[Plan, Cells]:
    cells = Cells(
        grid_of([0, 3], [0, 0]), np.array([0.5, 0.25]), np.ones(2, bool), None, ("A", "B")
    )
    return plan_patrol(cells, Constraints((replace(HOME, units=2),), max_stops_per_unit=2)), cells


def test_sentences_for_officers_in_both_languages() -> None:
    plan, _ = example()
    said = plan.sentences(datetime(2026, 3, 1, 22, 0, tzinfo=CHONGQING))
    busy = next(beat for beat in plan.beats if beat.stops)
    zh = busy.sentences(datetime(2026, 3, 1, 22, 0, tzinfo=CHONGQING))["zh"]
    assert zh[0].startswith(f"{busy.unit}号巡逻组：22:00 从解放碑派出所出发，停留 2 处")
    assert any("到达 A，停留 15 分钟（本班预计 0.5 起）" in line for line in zh)
    assert any("arrive at B, stay 15 min (0.25 incidents expected)" in one for one in said["en"])
    assert zh[-1].startswith("22:3")
    assert zh[-1].endswith("返回解放碑派出所")
    assert "占全市预计的 100.0%" in said["zh"][0]
    assert len(said["zh"]) == len(said["en"])


def test_the_clock_is_right_when_daylight_saving_begins() -> None:
    begin = datetime(2026, 3, 29, 1, 50, tzinfo=ZoneInfo("Europe/Berlin"))
    plan, _ = example()
    busy = next(beat for beat in plan.beats if beat.stops)
    assert busy.sentences(begin)["en"][-1].startswith("03:2")  # no hour from two to three


def test_a_begin_without_a_zone_is_refused() -> None:
    plan, _ = example()
    with pytest.raises(PlanError, match="time zone"):
        plan.sentences(datetime(2026, 3, 1, 22))  # noqa: DTZ001


def test_the_plan_for_json_and_maps() -> None:
    plan, cells = example()
    told = json.loads(json.dumps(plan.as_dict()))
    assert told["constraints"]["stop_minutes"] == 15
    assert sum(len(beat["stops"]) for beat in told["beats"]) == 2
    drawn = json.loads(json.dumps(plan.geojson(cells.grid)))["features"]
    kinds = [one["properties"]["kind"] for one in drawn]
    assert (kinds.count("station"), kinds.count("route"), kinds.count("stop")) == (2, 1, 2)
    route = next(one["geometry"] for one in drawn if one["properties"]["kind"] == "route")
    assert route["type"] == "LineString"
    assert route["coordinates"][0] == route["coordinates"][-1] == list(CENTRE)
    stops = [one for one in drawn if one["properties"]["kind"] == "stop"]
    assert [one["geometry"]["coordinates"] for one in stops] == route["coordinates"][1:-1]
    places = np.array([one["geometry"]["coordinates"] for one in stops])
    assert sorted(cells.grid.place(*places.T).tolist()) == [0, 1]


def test_without_the_way_back_the_route_ends_at_the_last_stop() -> None:
    cells = Cells(grid_of([0, 3], [0, 0]), np.array([0.5, 0.25]), np.ones(2, bool))
    limits = Constraints((HOME,), return_to_station=False)
    plan = plan_patrol(cells, limits)
    check(plan, cells, limits)
    (beat,) = plan.beats
    assert beat.end_minute == pytest.approx(beat.stops[-1].arrive_minute + 15)
    (route,) = (one for one in plan.geojson(cells.grid)["features"][1:2])
    assert len(route["geometry"]["coordinates"]) == 3


def test_no_word_and_no_field_is_about_a_person() -> None:
    plan, _ = example()
    named = json.dumps(plan.as_dict()) + json.dumps(plan.geojson(example()[1].grid))
    assert not any(word in named for word in ("person", "suspect", "subscriber", "citizen"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"stations": ()}, "at least one station with a unit"),
        ({"stations": (replace(HOME, units=0),)}, "give each its units"),
        ({"stations": (Station("x", 29.5, 106.5),)}, "station with degrees"),
        ({"stop_minutes": 9}, r"10 to 16 minutes .* found 9"),
        ({"stop_minutes": 17}, r"Koper 1995"),
        ({"shift_minutes": 0}, r"at least one stop's 15 minutes .* found 0"),
        ({"shift_minutes": float("nan")}, "found nan"),
        ({"speed_kmh": 0}, "speed above 0"),
        ({"detour": 0.9}, "detour of 1 or more"),
        ({"visit_cap": 0}, "visit_cap of 1 or more"),
        ({"max_stops_per_unit": 0}, "max_stops_per_unit of 1 or more"),
        ({"officer_minutes": 10}, "officer minutes for at least one stop, 30"),
    ],
)
def test_constraints_nobody_could_work_under_are_refused(change, match) -> None:
    with pytest.raises(PlanError, match=match):
        Constraints(**{"stations": (HOME,), **change})


def test_cells_that_do_not_fit_their_grid_are_refused() -> None:
    grid = grid_of([0, 1], [0, 0])
    with pytest.raises(PlanError, match="stable for each of the grid's 2 cells, found 1"):
        Cells(grid, np.ones(2), np.ones(1, bool))
    with pytest.raises(PlanError, match="finite counts"):
        Cells(grid, np.array([1.0, -1.0]), np.ones(2, bool))
    with pytest.raises(PlanError, match="with cells"):
        plan_patrol(Cells(Grid(CENTRE, 250.0), np.ones(0), np.ones(0, bool)), Constraints((HOME,)))
