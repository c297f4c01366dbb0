"""Maps, explanations and patrol plans over HTTP, from surfaces stored while the service runs."""

import asyncio
import json
import os
import re
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import shapely

from data.districts import DistrictError
from data.settings import Settings
from features.grid import Grid
from features.shifts import Shifts
from models.reporting import rank_bands
from models.surface import PAGE, Surface
from serving.geojson import shapes
from serving.hotspot_contracts import MAX_CELLS, CellQuestion, HotspotMap, MapQuestion
from serving.hotspots import Hotspots
from serving.map_of_day import MapOfDay
from serving.maps import Maps
from serving.plan_contracts import PatrolPlan, PlanRequest
from serving.planner import Planner
from serving.problems import MEDIA_TYPE, Problem
from serving.server import Running

DAY, BIG = date(2026, 3, 2), date(2026, 2, 2)
JSON = {"Content-Type": "application/json"}
STATION = {"name": "解放碑派出所", "lon": 106.551, "lat": 29.561, "units": 2}
SECRET = "SECRETPLACE"


def surface(day: date = DAY, side: int = 20, **changes: Any) -> Surface:
    """A square city whose middle is the likeliest; the second likeliest cell is not stable."""
    east, north = np.meshgrid(np.arange(side), np.arange(side))
    lon, lat = 106.5 + 0.0027 * east.ravel(), 29.5 + 0.0024 * north.ravel()
    grid = Grid.over(lon, lat, size_m=250, centre=(106.5, 29.5))
    count = len(grid)
    x, y = grid.centres_m()
    far = np.hypot(x - x.mean(), y - y.mean())
    total = np.exp(-far / 700) + 0.01
    theft = np.stack([total, 0.5 * total, 0.25 * total])
    expected = np.stack([theft, theft[:, ::-1] * 0.5])
    every = np.concatenate([expected, expected.sum(axis=0, keepdims=True)])
    rank = (np.argsort(np.argsort(-every, axis=2, kind="stable"), axis=2) + 1).astype(np.int32)
    share = {cover: (rank <= cover * count).astype(np.float32) for cover in (0.01, 0.05)}
    for part in share.values():
        part[rank == 2] = 0.5
    stored = Surface(
        grid=grid,
        shifts=Shifts((0, 8, 16), "Asia/Shanghai"),
        day=day,
        as_of=datetime(2026, 3, 1, 4, tzinfo=UTC),
        categories=("theft", "盗窃（入室）"),
        model="test-model",
        expected=expected,
        low=expected * 0.5,
        high=expected * 1.5,
        usual=expected * 0.8,
        rank_low=np.maximum(rank - 3, 1),
        rank_high=rank + 5,
        share_in_top=share,
        reasons={(0, 0, int(np.argmax(total))): [("三天内两起", "Two in three days")]},
    )
    return replace(stored, **changes)


@pytest.fixture(scope="module")
def stored(service: Running) -> Path:
    """The service's folder of maps, written after it started."""
    folder = service.settings.var / "hotspots"
    surface().save(folder / DAY.isoformat())
    surface(BIG, side=104).save(folder / BIG.isoformat())
    return folder


@pytest.fixture(scope="module")
def city(stored: Path) -> Surface:
    return Surface.load(stored / DAY.isoformat())


def assert_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document = dict(response.json())
    assert document["type"] == f"urn:forewarn:problem:{name}"
    assert document["fix"]
    assert SECRET not in response.text
    return document


# --- the map


def test_a_map_is_geojson_of_the_top_cells(api: httpx.Client, city: Surface) -> None:
    response = api.get("/v1/hotspots", params={"date": "2026-03-02", "shift": 1, "coverage": 0.05})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/geo+json"
    found = HotspotMap.model_validate_json(response.content)
    layer = city.layer(1)
    top = layer.top(0.05)
    names = [city.grid.names()[cell] for cell in top]
    assert [feature.properties.cell for feature in found.features] == names
    assert [feature.properties.rank for feature in found.features] == list(range(1, len(top) + 1))
    assert found.features[0].properties.expected == pytest.approx(layer.expected[top[0]], rel=1e-5)
    assert found.area_share == pytest.approx(len(top) / len(city.grid))
    assert found.expected_share == pytest.approx(layer.expected[top].sum() / layer.expected.sum())
    assert (found.shift.name, found.category) == ("08-16", None)
    assert found.shift.begins_at == datetime(2026, 3, 2, 0, tzinfo=UTC)
    assert found.shift.ends_at == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert re.search(r"[\u4e00-\u9fff]", found.note_zh)


def test_the_shapes_are_the_cells_closed_and_counter_clockwise(
    api: httpx.Client, city: Surface
) -> None:
    features = api.get("/v1/hotspots", params={"date": "2026-03-02"}).json()["features"]
    for feature in features:
        (ring,) = feature["geometry"]["coordinates"]
        polygon = shapely.Polygon(ring)
        assert ring[0] == ring[-1]
        assert polygon.exterior.is_ccw
        place = city.grid.place([polygon.centroid.x], [polygon.centroid.y])
        assert city.grid.names()[int(place[0])] == feature["id"]


def test_a_cell_that_is_not_stable_is_grey(api: httpx.Client, stored: Path) -> None:
    params = {"date": "2026-03-02", "shift": "00-08"}
    cells = [one["properties"] for one in api.get("/v1/hotspots", params=params).json()["features"]]
    assert [cell["rank"] for cell in cells if cell["grey"]] == [2]
    assert all(cell["stable"] != cell["grey"] for cell in cells)
    assert cells[1]["share_in_top"] == 0.5
    assert cells[0]["rank_low"] <= cells[0]["rank"] <= cells[0]["rank_high"]
    assert cells[0]["times_usual"] == pytest.approx(1.25)


def test_a_category_has_a_map_of_its_own(api: httpx.Client, city: Surface) -> None:
    params = {"date": "2026-03-02", "shift": 2, "category": "盗窃（入室）"}
    found = HotspotMap.model_validate_json(api.get("/v1/hotspots", params=params).content)
    layer = city.layer(2, "盗窃（入室）")
    assert found.category == "盗窃（入室）"
    assert found.features[0].properties.expected == pytest.approx(layer.expected.max(), rel=1e-5)
    cells = [feature.properties for feature in found.features]
    assert all(cell.rank_low <= cell.rank <= cell.rank_high for cell in cells)
    assert [cell.rank for cell in cells if cell.grey] == [2]


def test_a_cell_says_how_far_its_rank_could_move_if_reporting_differs(
    api: httpx.Client, city: Surface
) -> None:
    params = {"date": "2026-03-02", "shift": 1, "category": "theft", "coverage": 0.02}
    features = api.get("/v1/hotspots", params=params).json()["features"]
    bands = rank_bands(city.layer(1, "theft").expected)
    for feature in features:
        told = feature["properties"]
        at = city.position(told["cell"])
        best, worst = told["rank_if_reporting_differs"]
        assert (best, worst) == (bands.best[at], bands.worst[at])
        assert best <= told["rank"] <= worst
    first = features[0]["properties"]
    found = api.get(f"/v1/hotspots/{first['cell']}/explanation", params=params).json()
    assert found["rank_if_reporting_differs"] == first["rank_if_reporting_differs"]
    at = city.position(first["cell"])
    assert found["sentences"][-1] == {
        "category": "theft",
        **dict(zip(("zh", "en"), bands.said(at, 0.02), strict=True)),
    }


def test_the_newest_map_is_the_default(api: httpx.Client, stored: Path) -> None:
    assert api.get("/v1/hotspots").json()["date"] == DAY.isoformat()


def test_by_default_it_is_the_shift_that_runs_now_on_the_maps_day() -> None:
    found = MapOfDay(surface(), ())
    assert found.shift(None, datetime(2026, 3, 2, 1, tzinfo=UTC)) == 1  # 09:00 in the city
    assert found.shift(None, datetime(2026, 3, 2, 15, tzinfo=UTC)) == 2
    assert found.shift(None, datetime(2026, 3, 2, 17, tzinfo=UTC)) == 0  # tomorrow already
    night = MapOfDay(surface(shifts=Shifts((6, 14, 22), "Asia/Shanghai")), ())
    assert night.shift(None, datetime(2026, 3, 2, 18, tzinfo=UTC)) == 2  # 02:00, still its day
    assert night.times(2)["ends_at"].isoformat() == "2026-03-03T06:00:00+08:00"
    for name, position in {"0": 0, "2": 2, "22-06": 2}.items():
        assert night.shift(name, datetime.now(UTC)) == position


def test_who_has_the_map_already_is_told_so(api: httpx.Client, stored: Path) -> None:
    params = {"date": "2026-03-02", "shift": 0}
    first = api.get("/v1/hotspots", params=params)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = api.get("/v1/hotspots", params=params, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = api.get("/v1/hotspots", params={**params, "shift": 1}, headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert other.headers["etag"] != tag


def test_a_map_written_anew_needs_no_restart(api: httpx.Client, stored: Path) -> None:
    day = date(2026, 1, 5)
    params = {"date": day.isoformat(), "shift": 0}
    assert_problem(api.get("/v1/hotspots", params=params), 404, "no-map")
    surface(day).save(stored / day.isoformat())
    before = api.get("/v1/hotspots", params=params)
    surface(day, model="another").save(stored / day.isoformat())
    after = api.get(
        "/v1/hotspots", params=params, headers={"If-None-Match": before.headers["etag"]}
    )
    assert (before.json()["model"], after.json()["model"]) == ("test-model", "another")


def test_too_many_cells_are_refused_with_the_coverage_that_fits(
    api: httpx.Client, stored: Path
) -> None:
    params = {"date": BIG.isoformat(), "coverage": 1.0}
    document = assert_problem(api.get("/v1/hotspots", params=params), 422, "map-too-large")
    assert document["limit_cells"] == MAX_CELLS
    fits = float(document["detail"].split("coverage of ")[1].split()[0])
    answer = api.get("/v1/hotspots", params={**params, "coverage": fits})
    assert len(answer.json()["features"]) <= MAX_CELLS


def test_a_day_without_a_map_says_how_to_make_one(api: httpx.Client, stored: Path) -> None:
    for path in ("/v1/hotspots", "/v1/hotspots/250:1:1/explanation"):
        document = assert_problem(api.get(path, params={"date": "2020-01-01"}), 404, "no-map")
        assert "forewarn hotspots" in document["fix"]


@pytest.mark.parametrize(
    "query",
    [
        "date=2026-3-2", "date=yesterday", "date=1767225600", "date=", "date=2026-02-30",
        "shift=3", "shift=-1", "shift=09-17", "shift=night", "shift=",
        "category=SECRETPLACE", "category=", f"category={'x' * 65}",
        "coverage=0", "coverage=-1", "coverage=1.1", "coverage=nan", "coverage=inf", "coverage=x",
        "SECRETPLACE=1", "%53ECRETPLACE9=1", "shift=0&shift=1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/hotspots", "/v1/hotspots/250:1:1/explanation"])
def test_a_wrong_parameter_is_named_and_not_repeated(
    api: httpx.Client, stored: Path, path: str, query: str
) -> None:
    response = api.get(f"{path}?{query}")
    if "SECRETPLACE=" in query:  # an unknown parameter that could be a word is named
        assert response.status_code == 422
        return
    document = assert_problem(response, 422, "invalid-parameter")
    (error,) = document["errors"]
    assert set(error) == {"field", "expected", "found", "fix"}
    assert error["field"] in {"date", "shift", "category", "coverage", "query", "(unknown field)"}


def test_a_damaged_map_is_no_error_of_ours(tmp_path: Path) -> None:
    folder = surface().save(tmp_path / DAY.isoformat())
    desk = Hotspots(Maps(tmp_path))
    question = MapQuestion(date=DAY)
    page = json.loads((folder / PAGE).read_text())
    for damage in ("{", "{}", json.dumps({**page, "shifts": [99]}), json.dumps({**page, "day": 1})):
        (folder / PAGE).write_text(damage)
        with pytest.raises(Problem) as caught:
            asyncio.run(desk.map(question))
        assert caught.value.name == "no-map"
    surface().save(tmp_path / "2026-03-04")
    with pytest.raises(Problem, match="no-map"):
        asyncio.run(desk.map(MapQuestion(date=date(2026, 3, 4))))
    desk.close()


def test_only_the_last_few_surfaces_stay_open(tmp_path: Path) -> None:
    days = [date(2026, 3, number) for number in range(1, 6)]
    for day in days:
        surface(day, side=3).save(tmp_path / day.isoformat())
    (tmp_path / "0000-notes").mkdir()
    maps = Maps(tmp_path, kept=2)
    for day in days:
        assert maps.day(day).surface.day == day
    assert list(maps._open) == days[-2:]
    assert maps.day(days[-1]) is maps.day(None)
    with pytest.raises(Problem, match="no-map"):
        Maps(tmp_path / "nowhere").newest()


def test_there_is_a_map_while_it_is_written_anew(tmp_path: Path) -> None:
    folder, done = surface(side=6).save(tmp_path / DAY.isoformat()), threading.Event()

    def save_again_and_again() -> None:
        for side in cycle((7, 6)):
            surface(side=side, model=f"side {side}").save(folder)
            if done.wait(0.005):
                return

    writer, maps = threading.Thread(target=save_again_and_again), Maps(tmp_path)
    writer.start()
    try:
        found = [maps.day(DAY).surface for _ in range(60)]
    finally:
        done.set()
        writer.join()
    sizes = {one.model: len(one.grid) for one in found if one.model != "test-model"}
    assert sizes == {model: int(model[-1]) ** 2 for model in sizes}
    latest = maps.day(DAY).surface
    assert latest.model == Surface.load(folder).model
    assert maps.day(DAY).surface is latest


def test_a_map_without_a_certificate_is_all_grey(tmp_path: Path) -> None:
    surface(share_in_top={}).save(tmp_path / DAY.isoformat())
    drawn = asyncio.run(Hotspots(Maps(tmp_path)).map(MapQuestion(coverage=0.05)))
    assert all(one["properties"]["grey"] for one in json.loads(drawn.body)["features"])


def test_nothing_expected_is_told_as_such(tmp_path: Path) -> None:
    nothing = np.zeros_like(surface().expected)
    surface(expected=nothing, usual=nothing).save(tmp_path / DAY.isoformat())
    drawn = json.loads(asyncio.run(Hotspots(Maps(tmp_path)).map(MapQuestion())).body)
    assert drawn["expected_share"] is None
    assert drawn["features"][0]["properties"]["times_usual"] is None


@pytest.mark.parametrize("lon", [179.999, -179.999])
def test_a_cell_on_the_180th_meridian_is_cut_there(lon: float) -> None:
    grid = Grid.over([lon], [-16.8], size_m=2_000, centre=(lon, -16.8), offset_m=(-900.0, 0.0))
    (shape,) = shapes(grid)
    parts = [shapely.Polygon(rings[0]) for rings in shape["coordinates"]]
    assert shape["type"] == "MultiPolygon"
    assert {part.centroid.x > 0 for part in parts} == {True, False}
    assert all(part.exterior.is_ccw and np.ptp(part.bounds[::2]) < 0.1 for part in parts)


@pytest.mark.parametrize("middle", [180.0, -180.0, 179.99])
def test_a_city_on_the_180th_meridian_is_drawn_whole(middle: float) -> None:
    """Cells whose very edge the meridian is lie on one side of it."""
    places = np.random.default_rng(0).normal(0, 0.02, (2, 200))
    lon = (middle + places[0] + 180) % 360 - 180
    grid = Grid.over(lon, places[1] - 16.8, size_m=250, centre=(middle, -16.8))
    cut = 0
    for name, shape in zip(grid.names(), shapes(grid), strict=True):
        drawn = shapely.geometry.shape(shape)
        assert drawn.is_valid
        assert drawn.geom_type == shape["type"]
        assert np.abs(shapely.get_coordinates(drawn)[:, 0]).max() <= 180
        inside = drawn.representative_point()
        assert grid.names()[int(grid.place([inside.x], [inside.y])[0])] == name
        assert drawn.area == pytest.approx(0.00235 * 0.00226, rel=0.01)
        cut += shape["type"] == "MultiPolygon"
    assert (cut > 0) == (middle == 179.99)


# --- why


def test_an_explanation_gives_the_stored_reasons_and_the_numbers(
    api: httpx.Client, city: Surface
) -> None:
    top = int(city.layer(0).top(0.01)[0])
    name = city.grid.names()[top]
    params = {"date": "2026-03-02", "shift": 0}
    response = api.get(f"/v1/hotspots/{name}/explanation", params=params)
    found = response.json()
    assert found["cell"] == name
    assert found["rank"] == 1
    assert found["reasons_stored"]
    assert found["sentences"][0] == {
        "category": "theft", "zh": "三天内两起", "en": "Two in three days"
    }  # fmt: skip
    assert city.grid.place([found["lon"]], [found["lat"]]).tolist() == [top]
    assert f"Rank 1 of {len(city.grid)}" in found["sentences"][-2]["en"]
    assert "under-reporting is allowed for" in found["sentences"][-1]["en"]
    for sentence in found["sentences"]:
        assert re.search(r"[\u4e00-\u9fff]", sentence["zh"])
        assert re.match(r"[A-Z0-9]", sentence["en"])


def test_a_cell_without_reasons_is_explained_from_its_numbers(
    api: httpx.Client, city: Surface
) -> None:
    last = city.grid.names()[int(city.layer(2).order[-1])]
    params = {"date": "2026-03-02", "shift": 2, "category": "theft"}
    found = api.get(f"/v1/hotspots/{last}/explanation", params=params).json()
    assert not found["reasons_stored"]
    assert found["grey"]
    assert len(found["sentences"]) == 3
    assert "1.25 times that" in found["sentences"][0]["en"]
    assert "not stable" in found["sentences"][1]["en"]


@pytest.mark.parametrize(
    "cell",
    ["250:99999:1", "500:1:1", "SECRETPLACE", "250:1", "250:1:1:1", "250:a:b", "%00", ":::",
     "250:" + "9" * 400 + ":1", "250:１:1e3", "..", "%ff"],
)  # fmt: skip
def test_a_cell_that_is_not_there_is_404(api: httpx.Client, stored: Path, cell: str) -> None:
    assert_problem(api.get(f"/v1/hotspots/{cell}/explanation"), 404, "not-found")


def test_the_default_question_is_one() -> None:
    assert CellQuestion().coverage == MapQuestion().coverage == 0.01


# --- the plan


def asked(**changes: Any) -> dict[str, Any]:
    return {"date": "2026-03-02", "shift": "08-16", "stations": [STATION], **changes}


def test_a_plan_visits_the_likeliest_cells_within_the_shift(
    api: httpx.Client, city: Surface
) -> None:
    points = [{"name": "较场口", "lon": 106.525, "lat": 29.522}]
    request = asked(quick_response_points=points, shift_minutes=120, coverage=0.05)
    response = api.post("/v1/patrol-plans", json=request)
    assert response.status_code == 200, response.text
    plan = PatrolPlan.model_validate_json(response.content)
    names = city.grid.names()
    expected = city.layer(1).expected
    stops = [stop for beat in plan.beats for stop in beat.stops]
    assert [beat.unit for beat in plan.beats] == [1, 2]
    assert all(beat.end_minute <= 120 for beat in plan.beats)
    assert plan.covered == pytest.approx(sum(expected[names.index(stop.cell)] for stop in stops))
    assert plan.covered_share > plan.area_share
    first = plan.beats[0].stops[0]
    assert first.arrive_at - plan.shift.begins_at == timedelta(minutes=first.arrive_minute)
    assert {left.reason for left in plan.left_out} <= {"capacity", "unstable", "reach", "cap"}
    assert STATION["name"] in " ".join(plan.sentences_zh)
    assert len(plan.sentences_en) == 1 + len(stops) + 2 * len(plan.beats)
    kinds = [feature["properties"]["kind"] for feature in plan.geojson["features"]]
    assert kinds.count("route") == 2
    assert kinds.count("stop") == len(stops)
    assert plan.quick_response is not None
    assert [reach.minutes for reach in plan.quick_response.within] == [1, 3, 5]
    shares = [reach.expected_share for reach in plan.quick_response.within]
    assert shares == sorted(shares)
    assert shares[-1] > 0.5
    assert plan.exposure is None  # no districts are set


def test_a_cell_visited_often_enough_is_left_out(api: httpx.Client, city: Surface) -> None:
    top = city.grid.names()[int(city.layer(1).top(0.01)[0])]
    visits = [{"cell": top, "visits": 7}]
    plan = api.post("/v1/patrol-plans", json=asked(visits=visits, shift_minutes=60)).json()
    stops = {stop["cell"] for beat in plan["beats"] for stop in beat["stops"]}
    assert stops
    assert top not in stops
    assert {left["cell"]: left["reason"] for left in plan["left_out"]}[top] == "cap"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stations": []}, "stations"),
        ({"stations": [{**STATION, "units": 0}]}, "body"),
        ({"stations": [{**STATION, "lon": 200}]}, "stations.0.lon"),
        ({"stations": [{**STATION, "lon": "106"}]}, "stations.0.lon"),
        ({"stations": [{**STATION, "phone": SECRET}]}, "stations.0.phone"),
        ({"stations": [STATION] * 51}, "stations"),
        ({"stop_minutes": 30}, "stop_minutes"),
        ({"speed_kmh": True}, "speed_kmh"),
        ({"officer_minutes": 5}, "body"),
        ({"officers": [SECRET]}, "officers"),
        ({"visits": [{"cell": SECRET, "visits": 1}]}, "visits.0.cell"),
        ({"visits": [{"cell": "250:9999:1", "visits": 1}]}, "visits.0.cell"),
        ({"shift": "3"}, "shift"),
        ({"category": SECRET}, "category"),
        ({"date": 5}, "date"),
        ({f"{SECRET} 9": 1}, "(unknown field)"),
    ],
)
def test_a_wrong_constraint_is_named_and_not_repeated(
    api: httpx.Client, stored: Path, change: dict[str, Any], field: str
) -> None:
    document = assert_problem(
        api.post("/v1/patrol-plans", json=asked(**change)), 422, "invalid-parameter"
    )
    assert document["errors"][0]["field"] == field


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": "\\ud800"}', b"[" * 20_000])
def test_a_body_that_is_no_json_is_400(api: httpx.Client, stored: Path, body: bytes) -> None:
    assert_problem(api.post("/v1/patrol-plans", content=body, headers=JSON), 400, "malformed-json")


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b"{}"])
def test_a_body_of_another_shape_is_422(api: httpx.Client, stored: Path, body: bytes) -> None:
    response = api.post("/v1/patrol-plans", content=body, headers=JSON)
    assert_problem(response, 422, "invalid-parameter")


def test_a_plan_for_a_day_without_a_map_is_404(api: httpx.Client, stored: Path) -> None:
    assert_problem(api.post("/v1/patrol-plans", json=asked(date="2020-01-01")), 404, "no-map")


def planner_at(folder: Path, **changes: Any) -> Planner:
    surface().save(folder / DAY.isoformat())
    return Planner(Maps(folder), **changes)


REQUEST = PlanRequest.model_validate({"stations": [STATION], "shift_minutes": 60})


def districts_at(folder: Path) -> Path:
    """Two districts side by side through the middle of the city, and one that it has no cell in."""
    edges = {"西区": (106.0, 106.527), "东区": (106.527, 107.0), "远区": (107.0, 107.1)}
    page = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"name": name, "residents": 1_000, "adcode": 500_000},
                "geometry": json.loads(shapely.to_geojson(shapely.box(west, 29.0, east, 30.0))),
            }
            for name, (west, east) in edges.items()
        ],
    }
    file = folder / "districts.geojson"
    file.write_text(json.dumps(page, ensure_ascii=False), "utf-8")
    return file


def test_a_plan_tells_each_districts_share_if_districts_are_known(tmp_path: Path) -> None:
    async def planned() -> bytes:
        surface().save(tmp_path / DAY.isoformat())
        planner = Planner(Maps(tmp_path, districts=districts_at(tmp_path)), deadline_s=240.0)
        try:
            return await planner.plan(REQUEST)
        finally:
            await planner.close()

    plan = PatrolPlan.model_validate_json(asyncio.run(planned()))
    assert plan.exposure is not None
    told = {one.name: one for one in plan.exposure.districts}
    assert set(told) == {"西区", "东区", "远区"}
    stops = [stop for beat in plan.beats for stop in beat.stops]
    minutes = sum(stop.stay_minutes for stop in stops)
    assert sum(one.minutes for one in told.values()) == pytest.approx(minutes)
    assert sum(one.cells for one in told.values()) == len(surface().grid)
    assert (told["远区"].cells, told["远区"].ratio) == (0, None)
    assert told["西区"].expected_share == pytest.approx(0.5, abs=0.05)
    assert told["东区"].residents_share == pytest.approx(1 / 3)
    assert (plan.exposure.minutes_elsewhere, plan.exposure.expected_elsewhere) == (0, 0)
    assert "占巡逻时间" in plan.exposure.districts[0].zh


def test_districts_that_cannot_be_read_are_told_at_the_start(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, districts=tmp_path / "none.geojson")
    with pytest.raises(DistrictError, match=r"none.geojson .*FOREWARN_DISTRICTS"):
        Maps.of(settings)


def test_the_loop_goes_on_while_a_plan_is_made_and_a_second_one_is_told_to_come_back(
    tmp_path: Path,
) -> None:
    async def crowd() -> tuple[Any, int]:
        planner = planner_at(tmp_path, deadline_s=240.0)
        first = asyncio.create_task(planner.plan(REQUEST))
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as caught:
            await planner.plan(REQUEST)
        turns = 0
        while not first.done():
            await asyncio.sleep(0.01)
            turns += 1
        done = await first
        assert planner._process is not None
        process = planner._process
        assert await planner.plan(REQUEST) == done
        assert planner._process is process
        process.kill()  # whoever asks next does not notice
        assert await planner.plan(REQUEST) == done
        await planner.close()
        return caught.value, turns

    problem, turns = asyncio.run(crowd())
    assert (problem.name, problem.retry_after_s) == ("busy", 5)
    assert turns > 10


def test_a_plan_that_takes_too_long_is_given_up_and_its_process_ended(tmp_path: Path) -> None:
    async def late() -> int:
        planner = planner_at(tmp_path, deadline_s=0.2)
        task = asyncio.create_task(planner.plan(REQUEST))
        while planner._process is None:
            await asyncio.sleep(0.001)
        process = planner._process
        with pytest.raises(Problem, match="timeout"):
            await task
        assert planner._process is None
        return process.pid

    pid = asyncio.run(late())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
