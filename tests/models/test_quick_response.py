"""Quick-response points: what they reach in time, and the best places for new ones."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.grid import Grid
from models.quick_response import (
    Demand,
    QuickPoint,
    choose_points,
    greedy_points,
    response_coverage,
)
from models.travel import PlanError, Travel


def city(side=10, seed=0, speed=20.0) -> Demand:
    columns, rows = np.meshgrid(np.arange(side), np.arange(side))
    grid = Grid.from_dict(
        {
            "centre": (106.5, 29.5),
            "size_m": 250.0,
            "offset_m": (0, 0),
            "rotation_deg": 0,
            "columns": columns.ravel(),
            "rows": rows.ravel(),
        }
    )
    expected = np.random.default_rng(seed).gamma(0.5, 1.0, side * side)
    return Demand(grid, expected, Travel(speed))


def places(demand: Demand, count: int, seed: int) -> list[QuickPoint]:
    lon, lat = demand.grid.centres()
    picked = np.random.default_rng(seed).choice(len(lon), count, replace=False)
    return [QuickPoint(f"点{at}", float(lon[at]), float(lat[at])) for at in picked]


def cells_by_hand(demand: Demand, point: QuickPoint, minutes: float) -> set[int]:
    x, y = demand.grid.metres([point.lon], [point.lat])
    east, north = demand.grid.centres_m()
    straight_m = np.hypot(east - x[0], north - y[0])
    reach_m = demand.travel.speed_kmh * 1000 / 60 * minutes / demand.travel.detour
    return set(np.flatnonzero(straight_m <= reach_m + 0.001).tolist())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1_000), count=st.integers(1, 6), speed=st.floats(5, 60))
@example(seed=328, count=1, speed=6.5)  # three minutes are just the side of a cell
def test_reach_is_what_travel_says(seed, count, speed) -> None:
    demand = city(8, seed, speed)
    points = places(demand, count, seed)
    total = demand.expected.sum()
    found = response_coverage(points, demand)
    assert [reach.minutes for reach in found] == [m for m in (1, 3, 5) for _ in range(count + 1)]
    for reach in found:
        named = [point for point in points if reach.name in (point.name, "all")]
        cells = set().union(*(cells_by_hand(demand, one, reach.minutes) for one in named))
        assert reach.expected_share == pytest.approx(demand.expected[list(cells)].sum() / total)
        assert reach.area_share == pytest.approx(len(cells) / 64)


def test_more_minutes_reach_no_less_and_all_no_more_than_the_sum() -> None:
    demand = city()
    points = places(demand, 3, 1)
    found = {(reach.name, reach.minutes): reach for reach in response_coverage(points, demand)}
    for name in ("all", *(point.name for point in points)):
        shares = [found[name, minutes].expected_share for minutes in (1.0, 3.0, 5.0)]
        assert shares == sorted(shares)
    for minutes in (1.0, 3.0, 5.0):
        each = [found[point.name, minutes].expected for point in points]
        assert max(each) <= found["all", minutes].expected <= sum(each) + 1e-9


def test_no_point_reaches_nothing_and_sentences_say_so() -> None:
    (reach,) = response_coverage([], city(), [3])
    assert (reach.name, reach.expected_share, reach.area_share) == ("all", 0.0, 0.0)
    said = reach.sentences()
    assert said["zh"] == "全部快反点 3 分钟内可到达全市预计警情的 0.0%、面积的 0.0%"
    assert said["en"].startswith("All points within 3 min: 0.0%")
    assert json.loads(json.dumps(reach.as_dict()))["minutes"] == 3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), k=st.integers(1, 3), held=st.integers(0, 2))
def test_the_best_choice_by_brute_force(seed, k, held) -> None:
    demand = city(8, seed)
    points = places(demand, 8 + held, seed)
    candidates, standing = points[:8], points[8:]

    def worth(chosen) -> float:
        cells = set().union(*(cells_by_hand(demand, one, 2.0) for one in (*chosen, *standing)))
        return float(demand.expected[list(cells)].sum())

    best = max(worth(chosen) for chosen in combinations(candidates, k))
    choice = choose_points(candidates, k, demand, minutes=2.0, standing=standing)
    assert choice.expected == pytest.approx(best)
    assert worth(choice.points) == pytest.approx(best)
    assert choice.optimal
    assert choice.best_share == pytest.approx(choice.expected_share)
    greedy = greedy_points(candidates, k, demand, minutes=2.0, standing=standing)
    assert greedy.expected <= choice.expected + 1e-12
    assert greedy.best_share >= choice.expected_share - 1e-12


def test_greedy_is_beaten_where_the_middle_looks_best() -> None:
    """Church and ReVelle's own warning: the best single place is not in the best pair."""
    demand = city(1 + 8, speed=20.0)
    expected = np.zeros(81)
    row = np.arange(9) + 4 * 9  # one street of nine cells; 2 minutes reach two cells either side
    expected[row] = [0, 3, 3, 2, 2, 2, 3, 3, 0]
    street = Demand(demand.grid, expected, Travel(20.0, 1.0))
    lon, lat = street.grid.centres()
    at = {"西": row[1], "中": row[4], "东": row[7]}
    candidates = [QuickPoint(name, lon[cell], lat[cell]) for name, cell in at.items()]
    choice = choose_points(candidates, 2, street, minutes=1.6)
    assert [point.name for point in choice.points] == ["西", "东"]
    assert choice.expected > greedy_points(candidates, 2, street, minutes=1.6).expected


def test_the_same_question_has_the_same_answer() -> None:
    demand = city(14, 4, speed=15.0)
    candidates = places(demand, 50, 4)
    first, second = (choose_points(candidates, 6, demand, nodes=1) for _ in range(2))
    assert first == second
    assert first.expected >= greedy_points(candidates, 6, demand).expected
    assert first.best_share >= first.expected_share


def test_places_that_add_nothing_are_not_chosen() -> None:
    demand = city(4)
    far = [QuickPoint("远", 107.5, 29.5), QuickPoint("更远", 108.5, 29.5)]
    choice = choose_points(far, 2, demand)
    assert choice.points == ()
    assert choice.optimal
    near = places(demand, 1, 0)
    held = choose_points(near, 1, demand, standing=near)
    assert held.points == ()
    assert held.expected == greedy_points(near, 1, demand).expected


def test_what_cannot_be_asked_says_why() -> None:
    demand = city(4)
    points = places(demand, 2, 0)
    with pytest.raises(PlanError, match="expected 1 to 2 points"):
        choose_points(points, 3, demand)
    with pytest.raises(PlanError, match="expected minutes above 0, found 0"):
        response_coverage(points, demand, [0])
    with pytest.raises(PlanError, match="expected a point with degrees"):
        response_coverage([QuickPoint("x", 29.5, 106.5)], demand)
    with pytest.raises(PlanError, match="16 cells"):
        Demand(demand.grid, np.ones(3), Travel(20))
    with pytest.raises(PlanError, match="not all 0"):
        Demand(demand.grid, np.zeros(16), Travel(20))
    with pytest.raises(PlanError, match=r"speed above 0 .* found 0"):
        Travel(0)
    with pytest.raises(PlanError, match="detour of 1 or more"):
        Travel(20, 0.5)
