"""A shift's plan from the command's side: a stored map, a file of stations, and what is written."""

import json
import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from typer.testing import CliRunner

import forewarn
from data.columns import TableError
from data.places import EARTH, Extent
from data.settings import Settings
from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from experiments.patrol_plan import PlanAsked, Planned, made_plan
from experiments.patrol_tables import read_stations, read_visits
from features.grid import Grid
from models.hotspot import HotspotConfig
from models.patrol import Constraints, PlanError
from models.surface import SurfaceError
from training.hotspot_map import MapError
from training.hotspots import HotspotTraining, fit_hotspots
from training.surfaces import SurfaceOptions, make_surface

CITY = PlacesCity(cells=400, days=140, incidents_per_day=60)
AS_OF = CITY.end - timedelta(days=10)
TODAY = CITY.first_day + timedelta(days=CITY.days - 10)
RECIPE = replace(HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=60), rounds=10)
TRAINING = HotspotTraining(held_out=2, config=HotspotConfig(periods=8, moves=(), recipe=RECIPE))
STATIONS = "name,lon,lat,units\n解放碑派出所,106.55,29.56,2\n南坪派出所,106.56,29.54,1\n"
CHONGQING = Extent(105.3, 28.1, 110.2, 32.3)


def silent(_sentence: str, _share: float) -> None:
    return


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment in which the map of a small simulated city's day is stored."""
    settings = Settings(var=tmp_path_factory.mktemp("var"))
    table = happen(CITY).table()
    bundle, _ = fit_hotspots(table, as_of=AS_OF, zone=settings.zone, training=TRAINING)
    surface = make_surface(bundle, table, TODAY, AS_OF, options=SurfaceOptions((0.1,), 0.01))
    surface.save(settings.var / "hotspots" / TODAY.isoformat())
    return settings


@pytest.fixture
def stations(tmp_path: Path) -> Path:
    path = tmp_path / "stations.csv"
    path.write_text(STATIONS, "utf-8")
    return path


def planned(settings: Settings, stations: Path, **changes: Any) -> Planned:
    limits = changes.pop("limits", partial(Constraints, max_stops_per_unit=6))
    asked = PlanAsked(
        stations=stations,
        out=stations.with_name("new") / "plan.geojson",
        limits=limits,
        coverage=0.1,
    )
    return made_plan(replace(asked, **changes), settings, silent)


def page(found: Planned) -> dict[str, Any]:
    return dict(json.loads(found.asked.out.read_text("utf-8")))


def of_kind(found: Planned, kind: str) -> list[dict[str, Any]]:
    return [one for one in page(found)["features"] if one["properties"]["kind"] == kind]


def test_the_file_holds_stops_in_order_and_a_way_for_each_unit_in_both_languages(
    settings: Settings, stations: Path
) -> None:
    found = planned(settings, stations)
    written = page(found)
    assert written["type"] == "FeatureCollection"
    assert len(of_kind(found, "station")) == len(found.plan.beats) == 3
    ways = of_kind(found, "route")
    stops = of_kind(found, "stop")
    for way in ways:
        own = [one for one in stops if one["properties"]["unit"] == way["properties"]["unit"]]
        assert [one["properties"]["order"] for one in own] == list(range(1, len(own) + 1))
        places = [one["geometry"]["coordinates"] for one in own]
        line = way["geometry"]["coordinates"]
        assert line[1:-1] == places
        assert line[0] == line[-1]
        assert len(way["properties"]["zh"]) == len(way["properties"]["en"]) == len(own) + 2
    for stop in stops:
        told = stop["properties"]
        assert told["cell"] in told["zh"][0]
        assert told["cell"] in told["en"][0]
        assert datetime.fromisoformat(told["arrive_at"]).utcoffset() == timedelta(hours=8)
    names = found.surface.grid.names()
    for left in written["left_out"]:
        assert left["cell"] in names
        assert left["reason"] in {"capacity", "unstable", "reach"}
        assert left["zh"] != left["en"]


def test_a_plan_is_carried_out_within_the_shift(settings: Settings, stations: Path) -> None:
    found = planned(settings, stations)
    stable = {one.cell: one.stable for beat in found.plan.beats for one in beat.stops}
    assert any(stable.values())
    for beat in found.plan.beats:
        assert beat.end_minute <= 60 * found.surface.shifts.hours(found.shift)
        for earlier, later in pairwise(beat.stops):
            assert later.arrive_minute >= earlier.arrive_minute + earlier.stay_minutes


def test_the_same_map_and_stations_have_the_same_plan(settings: Settings, stations: Path) -> None:
    assert page(planned(settings, stations)) == page(planned(settings, stations))


@pytest.mark.parametrize(
    ("lang", "head", "said"), [("zh", "巡逻组", "分钟内可到达"), ("en", "unit", "within 3 min")]
)
def test_the_table_has_a_row_for_each_stop_in_either_language(
    settings: Settings, stations: Path, lang: str, head: str, said: str
) -> None:
    found = planned(settings, stations, lang=lang)
    result = found.result()
    assert result.columns[0] == head
    orders = [row[1] for row in result.rows if row[1]]
    assert len(orders) == len(found.plan.cells) == result.figures["stops"]
    assert all(re.fullmatch(r"\d\d:\d\d", row[3]) for row in result.rows)
    assert sum(said in note for note in result.notes) >= 1
    json.dumps(result.figures, allow_nan=False)


def test_more_is_within_reach_the_longer_one_drives(settings: Settings, stations: Path) -> None:
    within = planned(settings, stations).result().figures["within_minutes"]
    assert list(within) == ["1", "3", "5"]
    shares = [one["expected_share"] for one in within.values()]
    assert sorted(shares) == shares
    assert shares[-1] > 0


def test_fewer_hours_and_no_way_back_are_kept_to(settings: Settings, stations: Path) -> None:
    limits = partial(Constraints, officer_minutes=180, return_to_station=False)
    found = planned(settings, stations, limits=limits, lang="en")
    assert sum(beat.end_minute for beat in found.plan.beats) <= 90
    assert any(row[2] == "end" for row in found.result().rows)


def test_a_unit_without_a_stop_stands_by(settings: Settings, stations: Path) -> None:
    far = "name,lon,lat,units\n近,106.55,29.56,1\n远,106.55,30.9,1\n"
    stations.write_text(far, "utf-8")
    rows = planned(settings, stations).result().rows
    assert ("2号巡逻组", "", "在远待命", "", "", "") in rows


def test_cells_visited_often_enough_are_left_out(
    settings: Settings, stations: Path, tmp_path: Path
) -> None:
    first = planned(settings, stations)
    visits = tmp_path / "visits.csv"
    names = [stop["properties"]["cell"] for stop in of_kind(first, "stop")]
    visits.write_text("cell,visits\n" + "".join(f"{name},7\n" for name in names), "utf-8")
    second = planned(settings, stations, visits=visits)
    assert not {*first.plan.cells} & {*second.plan.cells}
    assert "cap" in {left["reason"] for left in page(second)["left_out"]}


def test_districts_are_told_their_share_where_they_are_known(
    settings: Settings, stations: Path, tmp_path: Path
) -> None:
    assert page(planned(settings, stations))["exposure"] is None
    ring = [[106.0, 29.0], [106.55, 29.0], [106.55, 30.0], [106.0, 30.0], [106.0, 29.0]]
    west = {
        "type": "Feature",
        "properties": {"name": "西城"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    file = tmp_path / "districts.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [west]}), "utf-8")
    found = planned(replace(settings, districts=file), stations)
    [told] = page(found)["exposure"]["districts"]
    assert told["name"] == "西城"
    assert told["minutes"] > 0


def test_by_default_it_is_the_shift_that_runs_now_on_the_maps_day(
    settings: Settings, stations: Path
) -> None:
    asked = PlanAsked(stations=stations, out=stations.with_name("plan.geojson"), coverage=0.1)
    for hours, begin in ((9, 8), (17, 16), (40, 0)):
        now = datetime.combine(TODAY, time(), ZoneInfo(settings.zone)) + timedelta(hours=hours)
        assert made_plan(asked, settings, silent, now).begin.hour == begin


def test_a_shift_and_a_category_are_taken_as_asked(settings: Settings, stations: Path) -> None:
    found = planned(settings, stations, shift="08-16", category="盗窃", lang="en")
    assert found.begin.hour == 8
    assert page(found)["category"] == "盗窃"
    assert "shift 08-16 · 盗窃" in found.result().title


def test_a_picture_is_drawn_with_the_plan_on_it(settings: Settings, stations: Path) -> None:
    found = planned(settings, stations, picture=stations.with_name("plan.svg"), lang="en")
    assert found.files[1].exists()
    said = found.files[1].read_text("utf-8")
    assert "Patrol plan of" in said
    assert "unit 3" in said


def test_without_a_map_it_says_how_to_make_one(
    settings: Settings, stations: Path, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match=r"expected a stored map, found none; make one"):
        planned(replace(settings, var=tmp_path / "bare"), stations)
    with pytest.raises(SurfaceError, match=r"expected a surface in 2020-01-01, found .*; make"):
        planned(settings, stations, day=date(2020, 1, 1))


def test_what_the_map_does_not_have_is_told(settings: Settings, stations: Path) -> None:
    with pytest.raises(PlanError, match=r"a shift among 00-08, 08-16, 16-24, found '9-17'"):
        planned(settings, stations, shift="9-17")
    with pytest.raises(SurfaceError, match="expected one of 盗窃"):
        planned(settings, stations, category="ARSON")


def test_what_cannot_be_is_refused_at_once(stations: Path) -> None:
    asked = partial(PlanAsked, stations=stations, out=stations)
    with pytest.raises(PlanError, match="coverage above 0"):
        asked(coverage=2.0)
    with pytest.raises(MapError, match=r"\.png or \.svg"):
        asked(picture=stations)
    with pytest.raises(MapError, match="zh or en"):
        asked(lang="fr")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("A,106.5,29.5,1\n\nB,29.5,106.5,1\n", r"row 4: lon, lat: .*swapped.*; exchange"),
        ("A,0,0,1\n", r"row 2: lon, lat: .*null-island"),
        ("A,nan,29.5,1\n", r"row 2: lon, lat: .*no number"),
        ("A,106.5,north,1\n", r"row 2: lat: expected degrees .*, found 'north'; correct lat"),
        ("A,106.5\n", r"row 2: lat: expected degrees .*, found empty text; correct lat"),
        ("A,106.5,29.5,two\n", r"row 2: units: expected a whole number .*, found 'two'; correct"),
        ("A,106.5,29.5,-1\n", r"row 2: units: "),
        (" ,106.5,29.5,1\n", r"row 2: name: expected 1 to 64 characters, found empty text"),
        ("A,106.5,29.5,1\nA,106.6,29.5,1\n", r"row 3: name: expected a name of its own"),
        ("", r"found only a header; add a row each"),
    ],
)
def test_a_wrong_row_of_stations_is_told_by_its_number(
    tmp_path: Path, rows: str, fault: str
) -> None:
    file = tmp_path / "stations.csv"
    file.write_text(f"name,lon,lat,units\n{rows}", "utf-8")
    with pytest.raises(TableError, match=fault):
        read_stations(file, CHONGQING)


def test_stations_as_a_spreadsheet_saves_them(tmp_path: Path) -> None:
    file = tmp_path / "stations.csv"
    file.write_bytes('\ufeffLat,Lon,Name\r\n29.5,106.5,"甲, 乙"\r\n'.encode())
    [station] = read_stations(file, EARTH)
    assert (station.name, station.lon, station.lat, station.units) == ("甲, 乙", 106.5, 29.5, 1)
    file.write_bytes("name,lon,lat\n派出所,106.5,29.5".encode("gb18030"))
    with pytest.raises(TableError, match="save it as CSV UTF-8"):
        read_stations(file, EARTH)
    file.write_text("name,lon\n", "utf-8")
    with pytest.raises(TableError, match="found none called lat"):
        read_stations(file, EARTH)
    with pytest.raises(TableError, match="FileNotFoundError"):
        read_stations(tmp_path / "none.csv", EARTH)


def test_visits_of_one_cell_add_up_and_a_cell_elsewhere_is_told(tmp_path: Path) -> None:
    grid = Grid.over([106.551, 106.57], [29.563, 29.563], 250)
    file = tmp_path / "visits.csv"
    name = grid.name(1)
    file.write_text(f"cell,visits\n{name},2\n{name},3\n", "utf-8")
    np.testing.assert_array_equal(read_visits(file, grid), [0, 5])
    file.write_text("cell,visits\n250:1:1,2\n", "utf-8")
    with pytest.raises(TableError, match=r"row 2: cell: expected a cell of this map, such as 250:"):
        read_visits(file, grid)


def test_the_command_prints_the_figures_last(
    settings: Settings, stations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREWARN_VAR", str(settings.var))
    out = stations.with_name("plan.geojson")
    words = ["patrol-plan", str(stations), "--shift", "0", "--max-stops", "4", "--out", str(out)]
    done = CliRunner().invoke(forewarn.app, words, catch_exceptions=False)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["day"] == TODAY.isoformat()
    assert (figures["shift"], figures["units"]) == ("00-08", 3)
    kinds = [one["properties"]["kind"] for one in json.loads(out.read_text("utf-8"))["features"]]
    assert figures["stops"] == kinds.count("stop") <= 12
