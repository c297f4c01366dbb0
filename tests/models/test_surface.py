"""A surface comes back from disk as it was, whole, or not at all."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from features.grid import Grid
from features.shifts import Shifts
from models.surface import PAGE, TABLE, Surface, SurfaceError

ARRAYS = ("expected", "low", "high", "usual", "rank_low", "rank_high")


def surface(seed: int = 0, side: int = 8) -> Surface:
    rng = np.random.default_rng(seed)
    east, north = np.meshgrid(np.arange(side), np.arange(side))
    grid = Grid.over(106.5 + 0.0027 * east.ravel(), 29.5 + 0.0024 * north.ravel(), 250)
    expected = rng.gamma(0.5, 1.0, (2, 3, len(grid)))
    every = np.concatenate([expected, expected.sum(axis=0, keepdims=True)])
    rank = (np.argsort(np.argsort(-every, axis=2), axis=2) + 1).astype(np.int32)
    return Surface(
        grid=grid,
        shifts=Shifts((6, 14, 22), "Asia/Shanghai"),
        day=date(2026, 3, 2),
        as_of=datetime(2026, 3, 1, 4, tzinfo=UTC),
        categories=("theft", "盗窃（入室）"),
        model=f"model-{seed}",
        expected=expected,
        low=expected / 2,
        high=expected * 2,
        usual=expected * 0.9,
        rank_low=np.maximum(rank - 2, 1),
        rank_high=rank + 2,
        share_in_top={cover: rng.random(every.shape, np.float32) for cover in (0.01, 0.05)},
        reasons={(1, 2, 3): (("三天内两起", "two in three days"),)},
    )


def assert_same(one: Surface, two: Surface) -> None:
    for name in ARRAYS:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name
    for name in ("shifts", "day", "as_of", "categories", "model"):
        assert getattr(one, name) == getattr(two, name)
    assert one.grid.names() == two.grid.names()
    assert one.share_in_top.keys() == two.share_in_top.keys()
    for cover, share in one.share_in_top.items():
        assert share.tobytes() == two.share_in_top[cover].tobytes()
    assert dict(one.reasons) == dict(two.reasons)


def test_a_surface_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = surface().save(tmp_path / "2026-03-02")
    assert_same(Surface.load(folder), surface())


def test_a_newer_surface_replaces_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    surface().save(tmp_path / "day")
    surface(1, side=5).save(tmp_path / "day")
    assert_same(Surface.load(tmp_path / "day"), surface(1, side=5))
    assert [path.name for path in tmp_path.iterdir()] == ["day"]
    assert {path.name for path in (tmp_path / "day").iterdir()} == {TABLE, PAGE}


def test_who_loads_while_another_saves_gets_one_of_them_whole(tmp_path: Path) -> None:
    both = [surface(), surface(1, side=5)]
    folder = both[0].save(tmp_path / "day")
    done = threading.Event()

    def save_again_and_again() -> None:
        for one in cycle(both):
            one.save(folder)
            if done.wait(0.005):
                return

    writer = threading.Thread(target=save_again_and_again)
    writer.start()
    try:
        found = [Surface.load(folder) for _ in range(60)]
    finally:
        done.set()
        writer.join()
    for one in found:
        assert_same(one, both[one.model == both[1].model])
    assert {one.model for one in found} == {one.model for one in both}


def test_a_surface_without_reasons_or_of_one_cell(tmp_path: Path) -> None:
    bare = replace(surface(2, side=1), reasons={})
    assert_same(Surface.load(bare.save(tmp_path / "day")), bare)


@pytest.mark.parametrize("name", [TABLE, PAGE])
def test_half_replaced_is_refused(tmp_path: Path, name: str) -> None:
    """A crash between the two renames leaves one file of the old map and one of the new."""
    folder, newer = surface().save(tmp_path / "day"), surface(1).save(tmp_path / "new")
    (newer / name).replace(folder / name)
    with pytest.raises(SurfaceError, match=r"expected a whole surface .* make it again"):
        Surface.load(folder)


@pytest.mark.parametrize("at", [0.01, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", [TABLE, PAGE])
def test_a_damaged_or_cut_file_is_refused(tmp_path: Path, name: str, at: float) -> None:
    folder = surface().save(tmp_path / "day")
    whole = (folder / name).read_bytes()
    spot = int(at * len(whole))
    if name == TABLE:
        changed = whole[:spot] + bytes([whole[spot] ^ 1]) + whole[spot + 1 :]
        (folder / name).write_bytes(changed)
        with pytest.raises(SurfaceError, match="make it again"):
            Surface.load(folder)
    (folder / name).write_bytes(whole[:spot])
    with pytest.raises(SurfaceError, match="make it again with forewarn hotspots"):
        Surface.load(folder)


@pytest.mark.parametrize("page", ["[]", "{}", '"x"', "null", "{", '{"form": "another/1"}'])
def test_another_page_is_refused(tmp_path: Path, page: str) -> None:
    folder = surface().save(tmp_path / "day")
    (folder / PAGE).write_text(page)
    with pytest.raises(SurfaceError, match=r"expected a .*surface"):
        Surface.load(folder)


@pytest.mark.parametrize("lost", ["grid", "shifts", "categories", "coverages", "reasons", "day"])
def test_a_page_that_lacks_something_is_refused(tmp_path: Path, lost: str) -> None:
    folder = surface().save(tmp_path / "day")
    page = json.loads((folder / PAGE).read_text())
    del page[lost]
    (folder / PAGE).write_text(json.dumps(page))
    with pytest.raises(SurfaceError, match="none that can be read"):
        Surface.load(folder)


@pytest.mark.parametrize("name", [None, TABLE, PAGE])
def test_what_is_not_there_is_refused(tmp_path: Path, name: str | None) -> None:
    if name:
        surface().save(tmp_path / "day")
        (tmp_path / "day" / name).unlink()
    with pytest.raises(SurfaceError, match=r"none that can be read \(FileNotFoundError\)"):
        Surface.load(tmp_path / "day")


# --- asked


def test_a_layer_ranks_cells_by_what_is_expected() -> None:
    one = surface()
    for category in (None, *one.categories):
        layer = one.layer(1, category)
        own = one.expected[:, 1] if category is None else one.expected[:, 1][
            [one.categories.index(category)]
        ]  # fmt: skip
        np.testing.assert_allclose(layer.expected, own.sum(axis=0))
        assert (np.diff(layer.expected[layer.order]) <= 0).all()
        assert sorted(layer.rank) == list(range(1, len(one.grid) + 1))
        assert layer.order[0] == np.flatnonzero(layer.rank == 1)
        assert (layer.low <= layer.expected).all()
        assert (layer.high >= layer.expected).all()


def test_the_top_is_a_share_of_the_area_and_never_empty() -> None:
    layer = surface().layer(0)
    assert len(layer.top(0.001)) == 1
    assert len(layer.top(0.25)) == 16
    assert layer.top(1.0).tolist() == layer.order.tolist()


@pytest.mark.parametrize("coverage", [0, -0.1, 1.01, float("nan")])
def test_a_coverage_out_of_range_is_refused(coverage: float) -> None:
    with pytest.raises(SurfaceError, match=r"coverage above 0 and at most 1, found .* 0.01 is 1 %"):
        surface().layer(0).top(coverage)


def test_stability_is_that_of_the_nearest_coverage_kept() -> None:
    one = surface()
    layer = one.layer(2)
    assert layer.stable(0.02).tolist() == (one.share_in_top[0.01][-1, 2] >= 0.8).tolist()
    assert layer.stable(0.2, 0.5).tolist() == (one.share_in_top[0.05][-1, 2] >= 0.5).tolist()


def test_every_map_has_a_certificate_of_its_own() -> None:
    one = surface()
    for at, category in enumerate((*one.categories, None)):
        layer = one.layer(1, category)
        assert (layer.rank_low <= layer.rank).all()
        assert (layer.rank <= layer.rank_high).all()
        assert layer.rank_low.tolist() == one.rank_low[at, 1].tolist()
        assert layer.rank_high.tolist() == one.rank_high[at, 1].tolist()
        for cover, share in layer.share_in_top.items():
            assert share.tolist() == one.share_in_top[cover][at, 1].tolist()


def test_a_share_of_four_grids_in_five_is_stable_as_kept() -> None:
    """Kept in 4 bytes, 12 of 15 grids are still four in five."""
    one = surface()
    shares = {0.01: np.full_like(one.share_in_top[0.01], 12 / 15)}
    assert replace(one, share_in_top=shares).layer(0).stable(0.01).all()


@pytest.mark.parametrize("shift", [-1, 3, 99])
def test_no_such_shift(shift: int) -> None:
    with pytest.raises(SurfaceError, match=r"expected a shift from 0 to 2, found .* 06-14, 14-22"):
        surface().layer(shift)


def test_no_such_category_and_what_was_asked_is_not_repeated() -> None:
    with pytest.raises(SurfaceError, match="expected one of theft, 盗窃（入室）") as refused:
        surface().layer(0, "SECRET")
    assert "SECRET" not in str(refused.value)


def test_every_cell_is_found_by_its_name() -> None:
    one = surface()
    assert [one.position(name) for name in one.grid.names()] == list(range(len(one.grid)))


@pytest.mark.parametrize(
    "name", ["", "250", "250:1", "250:9999:0", "500:0:0", "250:a:b", "250:1:2:3", "250:" + "9" * 50]
)
def test_no_such_cell(name: str) -> None:
    one = surface()
    with pytest.raises(SurfaceError, match=f"such as '{one.grid.names()[0]}'"):
        one.position(name)
