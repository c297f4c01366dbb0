"""A cell's place holds when the grid is moved, or the map says that it does not."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.grid import Grid
from models.stability import MapCertificate, alternatives, certify_map, certify_maps
from models.trees import ModelError

CENTRE = (106.5, 29.5)


def dense(side=24, size_m=250.0, **more) -> Grid:
    """A full square of cells around the centre."""
    columns, rows = np.meshgrid(np.arange(side) - side // 2, np.arange(side) - side // 2)
    given_ = {"centre": CENTRE, "size_m": size_m, "offset_m": (0, 0), "rotation_deg": 0}
    return Grid.from_dict({**given_, **more, "columns": columns.ravel(), "rows": rows.ravel()})


def degrees(grid: Grid, x, y) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of metres, found by a fine grid's centres: within half a metre."""
    lon, lat = grid.centres()
    east, north = grid.centres_m()
    slope = np.linalg.lstsq(
        np.stack([east, north, np.ones_like(east)], axis=1), np.stack([lon, lat], axis=1)
    )[0]
    found = np.stack([x, y, np.ones_like(x)], axis=1) @ slope
    return found[:, 0], found[:, 1]


def counted(grid: Grid, lon, lat) -> np.ndarray:
    at = grid.place(lon, lat)
    return np.bincount(at[at >= 0], minlength=len(grid)).astype(float)


def certified(base: Grid, lon, lat, **more) -> MapCertificate:
    """The certificate of a map that counts points, alternatives made from the same points."""
    others = [(grid, counted(grid, lon, lat)) for grid in alternatives(base, lon, lat)]
    return certify_map(base, counted(base, lon, lat), others, **more)


SMALL = dense(6)
AROUND_SMALL = alternatives(SMALL, *SMALL.centres())


def test_alternatives_move_turn_and_resize_around_one_centre() -> None:
    base = dense()
    lon, lat = base.centres()
    others = alternatives(base, lon, lat)
    moves = {grid.offset_m for grid in others} - {base.offset_m}
    assert len(moves) >= 8
    assert {grid.rotation_deg for grid in others} == {0.0, 15.0, 30.0, 45.0}
    assert {grid.size_m for grid in others} == {200.0, 250.0, 312.5}
    assert {grid.centre for grid in others} == {base.centre}
    assert all((grid.place(lon, lat) >= 0).all() for grid in others)


def test_alternatives_of_a_turned_grid_move_along_its_own_sides() -> None:
    base = dense(rotation_deg=90.0, offset_m=(40.0, 0.0))
    lon, lat = base.centres()
    first = alternatives(base, lon, lat)[0]
    assert first.offset_m == pytest.approx((40.0, 125.0))
    assert first.rotation_deg == 90.0


@pytest.mark.parametrize(("size_m", "sizes"), [(25.0, {25.0, 31.25}), (20_000.0, {16e3, 20e3})])
def test_sizes_no_grid_may_have_are_left_out(size_m, sizes) -> None:
    base = Grid.over([106.5], [29.5], size_m)
    found = {grid.size_m for grid in alternatives(base, np.array([106.5]), np.array([29.5]))}
    assert found == sizes


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(0, 1e6), min_size=16, max_size=16), copies=st.integers(0, 4))
def test_the_same_grid_again_changes_no_rank(values, copies) -> None:
    grid, found = dense(4), np.array(values)
    sure = certify_map(grid, found, [(grid, found)] * copies, coverages=(0.1, 0.5))
    assert np.array_equal(sure.rank_low, sure.rank_high)
    assert np.array_equal(sure.rank_median, sure.rank)
    assert set(sure.share_in_top[0.5].tolist()) <= {0.0, 1.0}
    assert not sure.grey(0.1).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), others=st.integers(0, 5))
def test_ranks_are_ordered_and_shares_are_shares(seed, others) -> None:
    random, base = np.random.default_rng(seed), SMALL
    grids = AROUND_SMALL[:others]
    maps = [(grid, random.poisson(0.5, len(grid)).astype(float)) for grid in grids]
    values = random.poisson(0.5, len(base)).astype(float)
    sure = certify_map(base, values, maps, coverages=(0.05, 0.2))
    assert sorted(sure.rank.tolist()) == list(range(1, len(base) + 1))
    assert (sure.rank_low <= sure.rank_median).all()
    assert (sure.rank_median <= sure.rank_high).all()
    assert (sure.rank_low <= sure.rank).all() or others >= 20
    assert sure.grids == others + 1
    for cover, share in sure.share_in_top.items():
        assert share.sum() <= max(1, round(cover * len(base))) + 1e-9
        assert (sure.grey(cover) <= sure.top[cover]).all()
        assert not (sure.grey(cover) & sure.stable(cover)).any()


def test_a_smooth_strong_peak_is_stable() -> None:
    base, random = dense(), np.random.default_rng(3)
    lon, lat = degrees(base, *random.normal(125, 300, (2, 20_000)))
    sure = certified(base, lon, lat)
    top = sure.rank <= 2
    assert sure.stable(0.01)[top].all()
    assert sure.rank_high[top].max() <= 12
    assert not sure.grey(0.01)[top].any()


def test_one_point_on_a_cells_border_is_unstable() -> None:
    base = dense()
    lon, lat = degrees(base, np.array([1.0]), np.array([125.0]))
    sure = certified(base, lon, lat, coverages=(0.002,))
    (cell,) = np.flatnonzero(sure.rank == 1)
    assert counted(base, lon, lat)[cell] == 1
    assert sure.grey(0.002)[cell]
    assert sure.share_in_top[0.002][cell] < 0.8
    assert "1个随网格移动" in sure.sentences(0.002)["zh"]


def test_equal_values_rank_by_position_and_nothing_is_never_top() -> None:
    grid = dense(4)
    sure = certify_map(grid, np.full(16, 2.0), [])
    assert sure.rank.tolist() == list(range(1, 17))
    none = certify_map(grid, np.zeros(16), [(grid, np.zeros(16))], coverages=(0.5,))
    assert not none.share_in_top[0.5].any()
    assert not none.top[0.5].any()


def test_densities_not_counts_are_compared() -> None:
    """A grid of larger cells over the same even ground sees the same map."""
    base, larger = dense(8, 250.0), dense(8, 500.0)
    sure = certify_map(base, np.ones(64), [(larger, np.full(64, 4.0))])
    assert np.array_equal(sure.rank_low, sure.rank_high)


@settings(max_examples=25, deadline=None)
@given(
    turn=st.sampled_from([0.0, 15.0, 45.0, 90.0]),
    east=st.floats(-400, 400),
    base_turn=st.sampled_from([0.0, 30.0]),
)
def test_lookup_in_metres_agrees_with_the_grids_own_by_degrees(turn, east, base_turn) -> None:
    """Independent oracle: sample points placed by `Grid.place`, through the projection."""
    base = dense(5, 400.0, rotation_deg=base_turn)
    other = dense(5, 300.0, rotation_deg=turn, offset_m=(east, 77.0))
    values = np.random.default_rng(1).uniform(1, 2, 25)
    corners = base.corners()[:, :4]
    step = (np.arange(4) + 0.5) / 4
    u, v = np.meshgrid(step, step)
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], -1).reshape(16, 4)
    points = np.einsum("sk,nkd->nsd", weights, corners)
    at = other.place(points[..., 0], points[..., 1])
    density = np.where(at >= 0, values[at], 0.0).mean(axis=1)
    sure = certify_map(base, np.zeros(25), [(other, values)])
    seen = np.where(sure.rank == 1, sure.rank_high, sure.rank_high)
    expected = np.argsort(np.argsort(-np.round(density, 9), kind="stable")) + 1
    close = np.abs(np.subtract.outer(density, density)) < 1e-6
    np.fill_diagonal(close, val=False)
    apart = ~close.any(axis=1)
    assert np.array_equal(
        np.maximum(sure.rank, expected)[apart], np.maximum(sure.rank, seen)[apart]
    )


def test_rows_are_by_rank_and_go_through_json() -> None:
    grid = dense(2)
    sure = certify_map(grid, np.array([0.0, 3.0, 1.0, 2.0]), [], coverages=(0.5,))
    rows = json.loads(json.dumps(sure.as_rows()))
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["cell"] == grid.names()[1]
    assert [row["stable"]["0.5"] for row in rows] == [True, True, False, False]


def test_many_chunks_are_one_map(monkeypatch) -> None:
    base, random = dense(12), np.random.default_rng(5)
    lon, lat = base.centres()
    maps = [(grid, random.uniform(size=len(grid))) for grid in alternatives(base, lon, lat)]
    values = random.uniform(size=len(base))
    whole = certify_map(base, values, maps)
    monkeypatch.setattr("models.stability.CHUNK", 7)
    parts = certify_map(base, values, maps)
    assert np.array_equal(whole.rank_low, parts.rank_low)
    assert np.array_equal(whole.rank_high, parts.rank_high)


def test_maps_certified_at_once_are_each_certified_as_if_alone() -> None:
    random = np.random.default_rng(6)
    maps = [(grid, random.gamma(0.5, size=(3, len(grid)))) for grid in AROUND_SMALL]
    values = random.gamma(0.5, size=(3, len(SMALL)))
    together = certify_maps(SMALL, values, iter(maps), coverages=(0.05, 0.2))
    for at, sure in enumerate(together):
        others = [(grid, found[at]) for grid, found in maps]
        alone = certify_map(SMALL, values[at], others, coverages=(0.05, 0.2))
        assert sure.as_rows() == alone.as_rows()
        assert sure.sentences(0.2) == alone.sentences(0.2)


def test_what_cannot_be_certified_says_why() -> None:
    grid = dense(4)
    with pytest.raises(ModelError, match=r"expected 16 finite values"):
        certify_map(grid, np.ones(15), [])
    with pytest.raises(ModelError, match=r"for each map \(2\), found shape \(3, 16\)"):
        certify_maps(grid, np.ones((2, 16)), [(grid, np.ones((3, 16)))])
    with pytest.raises(ModelError, match="0 or more"):
        certify_map(grid, np.full(16, np.nan), [])
    with pytest.raises(ModelError, match="around"):
        certify_map(grid, np.ones(16), [(dense(4, centre=(0.0, 0.0)), np.ones(16))])
    with pytest.raises(ModelError, match="coverages"):
        certify_map(grid, np.ones(16), [], coverages=(0.0,))
    with pytest.raises(ModelError, match="certify the map with it"):
        certify_map(grid, np.ones(16), []).grey(0.3)
    with pytest.raises(ModelError, match="with cells"):
        certify_map(Grid(CENTRE, 250.0), np.empty(0), [])
