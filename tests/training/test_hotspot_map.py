"""The map as a picture: what it shows, in both languages, and never a square for a character."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager, image

from features.grid import Grid
from features.shifts import Shifts
from models.patrol import Cells, Constraints, Plan, Station, plan_patrol
from models.surface import Surface, SurfaceError
from training import hotspot_map
from training.hotspot_map import MapError, draw_map

CHINESE = hotspot_map._chinese() is not None
needs_chinese = pytest.mark.skipif(not CHINESE, reason="no Chinese font is installed here")


@pytest.fixture(scope="module")
def surface() -> Surface:
    east, north = np.meshgrid(np.arange(15), np.arange(15))
    grid = Grid.over(106.5 + 0.0027 * east.ravel(), 29.5 + 0.0024 * north.ravel(), size_m=250)
    x, y = grid.centres_m()
    total = np.exp(-np.hypot(x - x.mean(), y - y.mean()) / 700) + 0.01
    expected = np.stack([np.stack([total, total * 0.5])] * 2)
    rank = np.argsort(np.argsort(-expected.sum(axis=0), axis=1, kind="stable"), axis=1) + 1
    rank = np.stack([rank] * 3)
    share = (rank <= 0.05 * len(grid)).astype(float)
    share[rank == 2] = 0.5
    return Surface(
        grid=grid,
        shifts=Shifts((6, 18), "Asia/Shanghai"),
        day=date(2026, 3, 2),
        as_of=datetime(2026, 3, 1, 16, tzinfo=UTC),
        categories=("theft", "盗窃（入室）"),
        model="test-model",
        expected=expected,
        low=expected,
        high=expected,
        usual=expected,
        rank_low=rank,
        rank_high=rank,
        share_in_top={0.05: share},
    )


@pytest.fixture(scope="module")
def plan(surface: Surface) -> Plan:
    layer = surface.layer(0)
    cells = Cells(surface.grid, layer.expected, layer.stable(0.05))
    station = Station("解放碑派出所", 106.53, 29.52, units=2)
    return plan_patrol(cells, Constraints((station,), shift_minutes=90))


def said_on(path: Path) -> str:
    """Every text of an SVG; matplotlib draws its letters and notes the text beside them."""
    return " ".join(re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8")))


def test_a_png_shows_the_top_cells_and_which_are_grey(surface: Surface, tmp_path: Path) -> None:
    found = draw_map(surface, 0, tmp_path / "new" / "map.png", coverage=0.05, lang="en")
    assert (found.cells, found.grey, found.note) == (11, 1, "")
    pixels = image.imread(found.path)
    colours = {tuple(np.round(each[:3] * 255).astype(int)) for each in pixels.reshape(-1, 4)[::7]}
    assert (236, 236, 236) in colours  # the city
    assert any(red > 200 and blue < 60 for red, _, blue in colours)  # the heat


@pytest.mark.parametrize("lang", ["en", pytest.param("zh", marks=needs_chinese)])
def test_the_sheet_says_what_it_is_and_what_is_not_on_it(
    surface: Surface, plan: Plan, tmp_path: Path, lang: str
) -> None:
    found = draw_map(
        surface,
        0,
        tmp_path / "map.svg",
        category="盗窃（入室）",
        coverage=0.05,
        plan=plan,
        lang=lang,
    )
    said = said_on(found.path)
    assert found.lang == lang
    for fact in ("2026-03-02", "06-18", "2026-03-02 00:00", "Asia/Shanghai", "5 %", "test-model"):
        assert fact in said
    assert ("只画地点" if lang == "zh" else "no person") in said
    assert re.search("公里" if lang == "zh" else r"\d km", said)
    assert ("巡逻方案" if lang == "zh" else "Patrol plan of") in said
    assert ("2号巡逻组" if lang == "zh" else "unit 2") in said
    assert said.split().count("1") >= 2  # each unit's stops are numbered
    if CHINESE:
        assert "盗窃（入室）" in said
        assert "解放碑派出所" in said


def test_a_plan_over_a_wide_city_is_a_larger_sheet(surface: Surface, tmp_path: Path) -> None:
    far = Station("远处", 106.8, 29.5)
    near = Station("近处", 106.53, 29.52)
    cells = Cells(surface.grid, surface.layer(0).expected, np.ones(len(surface.grid), bool))
    shapes = []
    for stations in ((near,), (near, far)):
        plan = plan_patrol(cells, Constraints(stations, max_stops_per_unit=2))
        found = draw_map(surface, 0, tmp_path / "map.png", plan=plan, lang="en")
        shapes.append(image.imread(found.path).shape[:2])
    assert shapes[1][0] > 1.5 * shapes[0][0]


def test_every_unit_has_a_line_of_its_own() -> None:
    assert len({str(route) for route in hotspot_map.ROUTES}) == 16


def test_the_same_map_is_the_same_file(surface: Surface, plan: Plan, tmp_path: Path) -> None:
    for name in ("map.svg", "map.png"):
        one, two = (
            draw_map(surface, 1, tmp_path / folder / name, coverage=0.05, plan=plan, lang="en")
            for folder in ("one", "two")
        )
        assert one.path.read_bytes() == two.path.read_bytes()


def test_without_a_chinese_font_it_is_english_and_says_so(
    surface: Surface, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(font_manager, "get_font_names", list)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    found = draw_map(surface, 0, tmp_path / "zh.svg", lang="zh")
    assert found.lang == "en"
    assert "the map is in English" in found.note
    named = draw_map(surface, 0, tmp_path / "map.svg", category="盗窃（入室）", lang="en")
    assert "question marks" in named.note
    assert not re.search(r"[\u4e00-\u9fff]", said_on(found.path))
    assert "??????" in said_on(named.path)


@pytest.mark.parametrize("degrees", [0.0, 30.0])
def test_a_turned_grid_is_drawn_where_it_lies(degrees: float) -> None:
    grid = Grid.over([106.55, 106.57], [29.56, 29.57], 250, rotation_deg=degrees, offset_m=(60, 20))
    sheet = hotspot_map._Sheet(grid, "en", hotspot_map._Writer(["DejaVu Sans"]))
    squares = np.array(list(sheet._squares(np.arange(len(grid)))))
    lon, lat = grid.corners()[:, :4].transpose(2, 0, 1)
    np.testing.assert_allclose(squares, np.stack(grid.metres(lon, lat), axis=-1), atol=0.01)


def test_one_cell_alone_is_a_map(tmp_path: Path, surface: Surface) -> None:
    grid = replace(surface.grid, cells=surface.grid.cells[:1])
    alone = {
        name: getattr(surface, name)[..., :1]
        for name in ("expected", "low", "high", "usual", "rank_low", "rank_high")
    }
    shares = {0.05: np.zeros((3, 2, 1))}
    found = draw_map(
        replace(surface, grid=grid, share_in_top=shares, **alone),
        0,
        tmp_path / "one.png",
        lang="en",
    )
    assert (found.cells, found.grey) == (1, 1)


@pytest.mark.parametrize(("name", "lang"), [("map.gif", "en"), ("map", "en"), ("map.png", "fr")])
def test_another_kind_of_file_or_language_is_refused(
    surface: Surface, tmp_path: Path, name: str, lang: str
) -> None:
    with pytest.raises(MapError, match=r"expected .*, found .*; "):
        draw_map(surface, 0, tmp_path / name, lang=lang)
    with pytest.raises(SurfaceError):
        draw_map(surface, 9, tmp_path / "map.png")
