"""Cells: places fall where their corners say, equal areas anywhere, names that stay."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from features.grid import Grid, GridError

CITIES = {
    "Chongqing": (106.55, 29.56),
    "Sydney": (151.21, -33.87),
    "Quito": (-78.47, -0.18),
    "Tromsø": (18.96, 69.65),
    "Taveuni": (179.98, -16.8),
}
EARTH = Geod(ellps="WGS84")
FEW = settings(max_examples=25, deadline=None)


def town(city: str, m: int = 300, spread: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    """Places around a city's middle, longitudes within -180 to 180."""
    rng = np.random.default_rng(5)
    lon, lat = CITIES[city]
    east = lon + rng.normal(0, spread, m) / np.cos(np.deg2rad(lat))
    return (east + 180) % 360 - 180, lat + rng.normal(0, spread, m)


@pytest.mark.parametrize("city", CITIES)
@pytest.mark.parametrize("laid", [{}, {"offset_m": (60.0, 185.0), "rotation_deg": 30.0}])
def test_every_cell_holds_its_centre_and_the_places_it_was_laid_over(city, laid) -> None:
    lon, lat = town(city)
    grid = Grid.over(lon, lat, 250, **laid)
    assert grid.place(*grid.centres()).tolist() == list(range(len(grid)))
    at = grid.place(lon, lat)
    assert set(at.tolist()) == set(range(len(grid)))
    x, y = grid.metres(lon, lat)
    east, north = grid.centres_m()
    assert np.hypot(x - east[at], y - north[at]).max() <= 250 / np.sqrt(2) + 5e-3


@pytest.mark.parametrize("city", CITIES)
def test_cells_have_equal_areas_on_the_ellipsoid_wherever_the_city_lies(city) -> None:
    grid = Grid.over(*town(city, 80), 250, rotation_deg=20)
    areas = [EARTH.polygon_area_perimeter(*ring.T)[0] for ring in grid.corners()]
    np.testing.assert_allclose(areas, 250.0**2, rtol=2e-4)  # positive: counter-clockwise
    assert grid.area_m2 == len(grid) * 62_500


@pytest.mark.parametrize("city", CITIES)
def test_corners_are_closed_rings_around_their_cell(city) -> None:
    grid = Grid.over(*town(city, 80), 250, offset_m=(10.0, 20.0), rotation_deg=45)
    rings = grid.corners()
    assert rings.shape == (len(grid), 5, 2)
    assert (rings[:, 0] == rings[:, 4]).all()
    x, y = grid.metres(rings[:, :4, 0], rings[:, :4, 1])
    east, north = grid.centres_m()
    np.testing.assert_allclose(x.mean(axis=1), east, atol=5e-3)  # PROJ's inverse: millimetres
    np.testing.assert_allclose(np.hypot(x.T - east, y.T - north), 125 * np.sqrt(2), atol=5e-3)


@pytest.mark.parametrize("city", CITIES)
def test_corners_never_jump_across_the_earth(city) -> None:
    rings = Grid.over(*town(city), 250, rotation_deg=20).corners()
    assert np.abs(np.diff(rings[..., 0], axis=1)).max() < 0.02
    beyond = (np.abs(rings[..., 0]) > 180).any(axis=1)
    assert beyond.any() == (city == "Taveuni")
    assert not beyond.all()


def test_a_city_on_the_date_line_has_its_middle_there() -> None:
    lon, lat = town("Taveuni")
    assert lon.min() < -179
    assert lon.max() > 179
    grid = Grid.over(lon, lat, 250)
    assert abs(abs(grid.centre[0]) - 180) <= 0.1
    assert np.hypot(*grid.centres_m()).max() < 30_000
    even = Grid.over([179.99, -179.99], [-16.8, -16.8], 250)  # their plain median is Greenwich
    assert even.centre == (180.0, -16.8)
    assert np.hypot(*even.centres_m()).max() < 2_000


def test_names_do_not_depend_on_which_cells_there_are() -> None:
    lon, lat = town("Quito")
    centre = CITIES["Quito"]
    few = Grid.over(lon[:50], lat[:50], 250, centre=centre)
    many = Grid.over(lon, lat, 250, centre=centre)
    assert set(few.names()) < set(many.names())
    known = dict(zip(many.names(), zip(*many.centres(), strict=True), strict=True))
    for name, place in zip(few.names(), zip(*few.centres(), strict=True), strict=True):
        assert known[name] == pytest.approx(place, abs=1e-12)
    assert [few.name(at) for at in range(len(few))] == few.names()


@FEW
@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(-90, 90), st.floats(40, 2_000))
def test_a_grid_is_the_same_after_json(east, north, turn, size) -> None:
    lon, lat = town("Sydney", 40)
    grid = Grid.over(lon, lat, size, offset_m=(east, north), rotation_deg=turn)
    again = Grid.from_dict(json.loads(json.dumps(grid.as_dict())))
    assert again.names() == grid.names()
    assert again.corners().tobytes() == grid.corners().tobytes()
    assert again.place(lon, lat).tolist() == grid.place(lon, lat).tolist()


def test_a_grid_moved_by_whole_cells_is_the_same_ground_under_other_names() -> None:
    lon, lat = town("Chongqing")
    grid = Grid.over(lon, lat, 250)
    moved = grid.moved(lon, lat, (500.0, -250.0))
    np.testing.assert_allclose(np.sort(moved.centres_m()), np.sort(grid.centres_m()))
    assert (moved.columns + 2).tolist() == grid.columns.tolist()
    assert (moved.rows - 1).tolist() == grid.rows.tolist()


def test_a_quarter_turn_sets_the_same_squares() -> None:
    lon, lat = town("Chongqing")
    grid = Grid.over(lon, lat, 250)
    turned = grid.moved(lon, lat, (0.0, 0.0), 90.0)
    ours, theirs = (np.column_stack(one.centres_m()).round(3) for one in (grid, turned))
    assert {tuple(place) for place in ours} == {tuple(place) for place in theirs}


@pytest.mark.parametrize(("east", "north"), [(1, 0), (0, 1), (-1, -1), (3, -2), (0, 0)])
def test_a_neighbour_lies_that_far_away_or_is_no_cell(east, north) -> None:
    grid = Grid.over(*town("Tromsø"), 250, rotation_deg=10)
    places = dict(zip(zip(grid.columns, grid.rows, strict=True), range(len(grid)), strict=True))
    wanted = [
        places.get((column + east, row + north), -1)
        for column, row in zip(grid.columns, grid.rows, strict=True)
    ]
    assert grid.neighbour(east, north).tolist() == wanted


def test_what_lies_outside_is_nowhere() -> None:
    grid = Grid.over(*town("Sydney"), 250)
    assert grid.place([0.0, np.nan, 106.5, 151.21], [0.0, -33.8, np.inf, 95.0]).tolist() == [-1] * 4
    assert Grid((0.0, 0.0), 250).place([0.0], [0.0]).tolist() == [-1]


def test_a_place_off_the_earth_makes_no_cell() -> None:
    lon, lat = town("Sydney", 20)
    grid = Grid.over([*lon, 10.0], [*lat, 95.0], 250)
    assert grid.names() == Grid.over(lon, lat, 250, centre=grid.centre).names()
    assert grid.place([10.0], [95.0]).tolist() == [-1]


@pytest.mark.parametrize("size", [24.9, 20_001, -250, float("nan")])
def test_cells_of_no_use_are_refused(size) -> None:
    with pytest.raises(GridError, match=r"expected cells of 25 to 20000 m, found .*250 is usual"):
        Grid.over([106.5], [29.5], size)


@pytest.mark.parametrize(("lon", "lat"), [([], []), ([np.nan], [29.5]), ([29.5], [106.5])])
def test_no_place_no_grid(lon, lat) -> None:
    with pytest.raises(GridError, match="expected at least one place on Earth, found none"):
        Grid.over(lon, lat, 250)
