"""A city's limits in every hemisphere, and the names of what lies beyond them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.places import EARTH, FAULTS, SOUND, Extent, PlaceError, PlaceFault

CHONGQING = Extent(105.3, 28.1, 110.2, 32.3)
CITIES = {
    "Chongqing": (106.55, 29.56),
    "Chicago": (-87.65, 41.85),
    "Sydney": (151.2, -33.87),
    "Rio": (-43.2, -22.9),
    "Suva": (178.44, -18.14),
    "Taveuni, on the date line": (179.98, -16.8),
    "Longyearbyen": (15.63, 78.22),
    "Greenwich": (0.0, 51.48),
}


def plainly(extent: Extent, lon: float, lat: float) -> PlaceFault | None:
    """The same judgement, written down for one place."""

    def inside(x: float, y: float) -> bool:
        if extent.west < extent.east:
            return extent.west <= x <= extent.east and extent.south <= y <= extent.north
        return (x >= extent.west or x <= extent.east) and extent.south <= y <= extent.north

    if not (np.isfinite(lon) and np.isfinite(lat)):
        return PlaceFault.NOT_FINITE
    if abs(lon) < 0.01 and abs(lat) < 0.01:
        return PlaceFault.NULL_ISLAND
    if inside(lon, lat):
        return None
    return PlaceFault.SWAPPED if inside(lat, lon) else PlaceFault.OUTSIDE


degrees = st.one_of(
    st.floats(-180, 180),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 0.005, 0.01, -0.0099, 105.3, 110.2, 28.1, 32.3, 106.55, 29.56]),
)


@given(st.lists(st.tuples(degrees, degrees), min_size=1, max_size=20))
def test_columns_and_single_places_are_judged_alike(places: list[tuple[float, float]]) -> None:
    lon, lat = np.array(places).T
    codes = CHONGQING.judge(lon, lat)
    together = [None if code == SOUND else FAULTS[code] for code in codes]
    assert together == [CHONGQING.fault(*place) for place in places]
    assert together == [plainly(CHONGQING, *place) for place in places]


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_a_box_across_the_date_line_is_judged_plainly(lon: float, lat: float) -> None:
    across = Extent(176.0, -20.0, -178.0, -12.0)
    assert across.fault(lon, lat) == plainly(across, lon, lat)


@pytest.mark.parametrize(("lon", "lat"), CITIES.values(), ids=CITIES)
def test_limits_are_found_around_any_city(lon: float, lat: float) -> None:
    rng = np.random.default_rng(3)
    x = (lon + rng.normal(0, 0.05, 40) + 180) % 360 - 180
    y = lat + rng.normal(0, 0.05, 40)
    wrong = np.array([[0.0, 0.0], [np.nan, lat], [lat, lon], [500.0, 3.0], [30.0, 30.0]]).T
    extent = Extent.around(np.append(x, wrong[0]), np.append(y, wrong[1]))
    assert (extent.judge(x, y) == SOUND).all()
    assert extent.fault(0.0, 0.0) is PlaceFault.NULL_ISLAND
    far = extent.fault((lon + 20 + 180) % 360 - 180, lat)
    assert far in {PlaceFault.OUTSIDE, PlaceFault.SWAPPED}
    high = min(extent.north, 90.0) - extent.south
    assert 5.5 < high <= 6.01


def test_a_big_city_fits_even_if_most_happens_at_its_edge() -> None:
    lon = np.concatenate([np.full(90, 105.4), np.full(10, 108.3)])
    extent = Extent.around(lon, np.full(100, 29.5))
    assert (extent.judge(lon, np.full(100, 29.5)) == SOUND).all()


def test_swapped_is_named_where_it_can_be_told() -> None:
    assert CHONGQING.fault(29.56, 106.55) is PlaceFault.SWAPPED
    assert CHONGQING.fault(116.4, 39.9) is PlaceFault.OUTSIDE
    assert Extent.around([151.2], [-33.87]).fault(-33.87, 151.2) is PlaceFault.SWAPPED
    assert EARTH.fault(29.56, 106.55) is PlaceFault.SWAPPED
    # Chicago's, swapped, would be in Antarctica
    assert EARTH.fault(41.85, -87.65) is PlaceFault.SWAPPED


def test_problems_name_the_fault_and_the_fix() -> None:
    said = {fault: str(CHONGQING.problem(fault)) for fault in FAULTS}
    assert all(f"found {fault}:" in text for fault, text in said.items())
    assert "exchange lon and lat" in said[PlaceFault.SWAPPED]
    assert "105.3 E to 110.2 E, 28.1 N to 32.3 N" in said[PlaceFault.OUTSIDE]
    assert "83.6 W to 20 W, 10 S to 5 N" in str(
        Extent(-83.6, -10, -20, 5).problem(PlaceFault.OUTSIDE)
    )


def test_an_outline_is_finer_than_its_box(tmp_path: Path) -> None:
    ring = [[106.0, 29.0], [107.0, 29.0], [106.0, 30.0], [106.0, 29.0]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    file = tmp_path / "city.geojson"
    for document in (
        shape,
        {"type": "Feature", "properties": {}, "geometry": shape},
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {}, "geometry": shape}],
        },
    ):
        file.write_text(json.dumps(document))
        city = Extent.from_text(str(file))
        assert city.fault(106.2, 29.2) is None
        assert city.fault(106.0, 29.0) is None
        assert city.fault(106.9, 29.9) is PlaceFault.OUTSIDE
        assert city.fault(29.2, 106.2) is PlaceFault.SWAPPED
    again = Extent.from_dict(json.loads(json.dumps(city.as_dict())))
    assert again.as_dict() == city.as_dict()
    assert again.fault(106.9, 29.9) is PlaceFault.OUTSIDE


def test_limits_are_read_from_text() -> None:
    assert Extent.from_text("105.3,28.1, 110.2,32.3") == CHONGQING
    assert Extent.from_dict(CHONGQING.as_dict()) == CHONGQING


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1,2,3", "expected a GeoJSON file or west,south,east,north"),
        ("105,32,110,28", "south below north"),
        ("nan,28,110,32", "in degrees"),
        ("105,28,105,32", "in degrees"),
        ("105,28,190,32", "in degrees"),
        ("nowhere.geojson", "FileNotFoundError"),
    ],
)
def test_limits_that_are_none_say_so(text: str, match: str) -> None:
    with pytest.raises(PlaceError, match=match):
        Extent.from_text(text)


def test_a_file_without_an_area_says_so(tmp_path: Path) -> None:
    point = tmp_path / "point.geojson"
    point.write_text('{"type": "Point", "coordinates": [106, 29]}')
    with pytest.raises(PlaceError, match="expected polygons that do not cross themselves"):
        Extent.from_geojson(point)
    point.write_text("no json")
    with pytest.raises(PlaceError, match="GEOSException"):
        Extent.from_geojson(point)
    bow = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
    point.write_text(json.dumps({"type": "Polygon", "coordinates": [bow]}))
    with pytest.raises(PlaceError, match="cross themselves"):
        Extent.from_geojson(point)


def test_no_limits_are_found_where_no_city_is() -> None:
    with pytest.raises(PlaceError, match="expected at least one place on Earth"):
        Extent.around([0.0, np.nan, 500.0], [0.0, 1.0, 1.0])
    lon, lat = np.linspace(-170, 170, 40), np.linspace(-60, 60, 40)
    with pytest.raises(PlaceError, match="expected one city"):
        Extent.around(lon, lat)
