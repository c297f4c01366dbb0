"""The console's answers, without a browser: headers, languages, errors in words."""

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from models.surface import Surface
from serving.access import Actor, Role
from serving.app import create
from serving.console.assets import FOLDER, Assets
from serving.console.pages import Pages
from serving.hotspots import Hotspots
from serving.limits import Border
from serving.maps import Maps
from serving.planner import Planner

Ask = Callable[..., httpx.Response]
NEEDS_ASSETS = pytest.mark.skipif(
    not Assets.of().built, reason="the console's libraries are not vendored: make assets"
)


def asked(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(Border(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **more)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def city(
    tmp_path_factory: pytest.TempPathFactory, surface_of: Callable[[date], Surface]
) -> Iterator[Starlette]:
    folder = tmp_path_factory.mktemp("hotspots")
    surface_of(date(2026, 3, 2)).save(folder / "2026-03-02")
    yield from served(folder)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starlette]:
    yield from served(tmp_path_factory.mktemp("none"))


def served(folder: Path) -> Iterator[Starlette]:
    app, maps = create(), Maps(folder)
    app.state.maps, app.state.hotspots, app.state.planner = maps, Hotspots(maps), Planner(maps)
    yield app
    app.state.hotspots.close()


@pytest.mark.parametrize("path", ["/console", "/console/"])
@pytest.mark.parametrize(
    ("role", "first"),
    [
        (Role.OFFICER, "shift"),
        (Role.SUPERVISOR, "shift"),
        (Role.APPROVER, "overview"),
        (Role.AUDITOR, "audit"),
        (Role.ADMINISTRATOR, "password"),
    ],
)
def test_the_console_opens_on_the_first_page_of_ones_role(
    nowhere: Starlette, path: str, role: Role, first: str
) -> None:
    async def come(scope: Any, receive: Any, send: Any) -> None:
        state = {**scope.get("state", {}), "actor": Actor("somebody", role)}
        await nowhere({**scope, "state": state}, receive, send)

    response = asked(come, "GET", path)
    assert (response.status_code, response.headers["location"]) == (307, f"/console/{first}")


@NEEDS_ASSETS
def test_a_page_lets_nothing_in_from_outside_and_is_kept_by_nobody(city: Starlette) -> None:
    response = asked(city, "GET", "/console/map")
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    # nor does it try to: no address of another host, no script or style inside
    assert not re.search(r"""(src|href|action|hx-\w+)="(https?:)?//""", response.text)
    assert not re.search(r"<script(?![^>]* src=)(?![^>]*application/json)", response.text)
    assert " style=" not in response.text
    assert "<style" not in response.text


@NEEDS_ASSETS
def test_files_are_kept_for_good_under_the_name_of_their_contents(city: Starlette) -> None:
    text = asked(city, "GET", "/console/map").text
    names = set(re.findall(r'(?:src|href)="(/console/static/[^"]+)"', text))
    assert len(names) >= 5
    for name in names:
        response = asked(city, "GET", name)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
    old = re.sub(r"static/\w+/", "static/0/", next(iter(names)))
    assert asked(city, "GET", old).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["%2e%2e/pages.py", "..%2fpages.py", "nothing.js", ""])
def test_no_other_file_is_served(nowhere: Starlette, name: str) -> None:
    assert asked(nowhere, "GET", f"/console/static/0/{name}").status_code == 404


def test_libraries_come_with_their_licences() -> None:
    for library in FOLDER.glob("vendor/*/"):
        assert (library / "LICENSE.txt").is_file(), library.name


def test_an_unbuilt_console_says_how_to_build_it(tmp_path: Path) -> None:
    (tmp_path / "console.css").touch()
    pages = Pages.of(Assets.of(tmp_path))
    scope = {"type": "http", "method": "GET", "path": "/console/map", "headers": []}
    response = pages.page(Request(scope), "map.html", {})
    assert response.status_code == 503
    assert "make assets" in bytes(response.body).decode()


@NEEDS_ASSETS
def test_chinese_first_english_by_the_switch(city: Starlette) -> None:
    page = asked(city, "GET", "/console/map")
    assert '<html lang="zh-Hans">' in page.text
    assert "热点地图" in page.text
    chosen = {"to": "en", "back": "/console/map?shift=1"}
    switch = asked(city, "POST", "/console/language", data=chosen)
    assert (switch.status_code, switch.headers["location"]) == (303, "/console/map?shift=1")
    cookie = switch.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    page = asked(city, "GET", "/console/map", headers=headers)
    assert '<html lang="en">' in page.text
    assert "Hotspot map" in page.text


@pytest.mark.parametrize("back", ["https://elsewhere", "//elsewhere", "/v1/model", "/console//x"])
def test_the_switch_never_leads_away(nowhere: Starlette, back: str) -> None:
    response = asked(nowhere, "POST", "/console/language", data={"to": "xx", "back": back})
    assert response.headers["location"] == "/console/"
    assert "set-cookie" not in response.headers


@NEEDS_ASSETS
def test_what_cannot_be_shown_is_told_in_words(city: Starlette, nowhere: Starlette) -> None:
    for app, query, status, words in (
        (nowhere, "", 404, "没有保存这一天的地图"),
        (city, "?date=2020-01-01", 404, "没有保存这一天的地图"),
        (city, "?date=yesterday", 422, "无法按所填内容作答"),
        (city, "?coverage=7", 422, "无法按所填内容作答"),
        (city, "?shift=9", 422, "无法按所填内容作答"),
    ):
        response = asked(app, "GET", f"/console/map{query}")
        assert response.status_code == status
        assert response.headers["content-type"].startswith("text/html")
        assert words in response.text


@NEEDS_ASSETS
def test_what_is_asked_is_never_markup(city: Starlette) -> None:
    response = asked(city, "GET", "/console/map?category=<script>alert(1)</script>&cell=<b>")
    assert "<script>alert" not in response.text
    assert "<b>" not in response.text


@NEEDS_ASSETS
def test_a_page_holds_the_cell_it_was_asked_for(city: Starlette) -> None:
    page = asked(city, "GET", "/console/map?shift=2&coverage=0.05").text
    cell = re.findall(r'data-cell="([^"]+)"', page)[2]
    page = asked(city, "GET", f"/console/map?shift=2&coverage=0.05&cell={cell}").text
    assert f'id="explanation" class="card" aria-labelledby="cell-title" data-cell="{cell}"' in page
    for words in ("为何排第 3", "近7天此网格及邻近3起", "本班次预计", "网格移动后", "报案率不同时"):
        assert words in page
    assert "hatched" in page
    lost = asked(city, "GET", "/console/map?cell=250:9999:9999")
    assert lost.status_code == 200


@NEEDS_ASSETS
def test_the_map_is_drawn_from_what_the_api_answers(city: Starlette) -> None:
    query = "?date=2026-03-02&shift=1&coverage=0.05"
    drawn = asked(city, "GET", f"/console/map/cells{query}")
    assert drawn.content == asked(city, "GET", f"/v1/hotspots{query}").content
    tag = {"If-None-Match": drawn.headers["etag"]}
    assert asked(city, "GET", f"/console/map/cells{query}", headers=tag).status_code == 304
    ground = asked(city, "GET", "/console/map/city?date=2026-03-02").json()
    assert [each["properties"]["kind"] for each in ground["features"]] == ["city"]


@NEEDS_ASSETS
def test_lines_that_are_no_stations_are_named(city: Starlette) -> None:
    stations = "解放碑派出所,106.55,29.55,2\n江北,east,29.5\nx"
    response = asked(city, "POST", "/console/map/plan", data={"stations": stations})
    assert response.status_code == 422
    assert "第 2 行：应为经度" in response.text
    assert "第 3 行：应为有三或四列" in response.text
    assert "江北,east,29.5" in response.text  # what was typed is not lost
    response = asked(city, "POST", "/console/map/plan", data={"stations": "", "shift": "1"})
    assert "请至少填写一个驻地" in response.text


@NEEDS_ASSETS
def test_a_plan_that_nobody_could_carry_out_is_told_in_words(city: Starlette) -> None:
    form = {"stations": "a,106.55,29.55,0", "minutes": "many"}
    response = asked(city, "POST", "/console/map/plan", data=form)
    assert response.status_code == 422
    assert "无法按所填内容作答" in response.text


def test_nobody_is_sent_to_sign_in_and_back(console: str) -> None:
    with httpx.Client(base_url=console) as client:
        page = client.get("/console/map?shift=1", headers={"Accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"] == "/console/sign-in?back=%2Fconsole%2Fmap%3Fshift%3D1"
        assert client.get("/console/map/cells").status_code == 401


def test_a_form_from_elsewhere_signs_nobody_in(console: str) -> None:
    proof = {"name": "somebody", "password": "something or other"}
    headers = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}
    told = httpx.post(f"{console}/console/sign-in", data=proof, headers=headers)
    assert told.status_code == 403
    assert "set-cookie" not in told.headers
