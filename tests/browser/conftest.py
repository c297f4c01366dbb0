"""A simulated city's map served as in production, and Debian's Chromium to look at it."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from data.database import connect
from data.settings import Settings
from data.simulator.layout import lay_out
from data.simulator.places import CATEGORIES, PlacesCity
from features.grid import Grid
from features.shifts import Shifts
from models.surface import Surface
from serving.access import Account, Role
from serving.access.accounts import add_account, find_account
from serving.access.sessions import open_session
from serving.console.assets import Assets
from serving.server import Place, Running, running

DAYS = (date(2026, 3, 1), date(2026, 3, 2))
AXE = Path(__file__).parents[2] / "serving/console/node_modules/axe-core/axe.min.js"
WIDE = {"width": 1280, "height": 800}
SERIOUS = ("serious", "critical")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PICTURES = "FOREWARN_PICTURES"
NOTICE = "模拟数据 · SIMULATED DATA"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the standard's published example
# the shell is the same browser without its own windows, which take as long as the pages
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser")
NO_CHROMIUM = "no Chromium on PATH; get it with: apt-get install chromium fonts-noto-cjk"
NO_ASSETS = "the console's libraries are not vendored; get them with: make assets (needs npm)"
SENTENCES = (
    (
        "近7天此网格及邻近3起，高于平常",
        "Three here and nearby in 7 days, more than usual",
    ),
    ("此类警情在这里多发于晚间", "Here this happens mostly in the evening"),
)
PLACES = lay_out(PlacesCity(cells=1_600))


def simulated_surface(day: date) -> Surface:
    """What the simulated city expects that day, its truth taken for a forecast."""
    rng = np.random.default_rng(day.toordinal())
    grid = Grid.over(*PLACES.centres(), size_m=250, centre=PLACES.centre)
    place = grid.place(*PLACES.centres())
    expected = np.zeros((len(CATEGORIES), 3, len(grid)))
    expected[:, :, place] = PLACES.expected(9) / 7
    every = np.concatenate([expected, expected.sum(axis=0, keepdims=True)])
    # as if on sixteen other grids
    moved = np.stack([_ranks(every * rng.lognormal(0, 0.25, every.shape)) for _ in range(16)])
    rank = _ranks(every)
    shares = {
        cover: (moved <= cover * len(grid)).mean(axis=0).astype(np.float32)
        for cover in (0.01, 0.02, 0.05)
    }
    top = np.argsort(-every[-1], axis=1)[:, :40]
    return Surface(
        grid=grid,
        shifts=Shifts((0, 8, 16), "Asia/Shanghai"),
        day=day,
        as_of=datetime(2026, 2, 28, 22, tzinfo=UTC),
        categories=CATEGORIES,
        model="simulated-2026-02-28",
        expected=expected,
        low=expected * 0.72,
        high=expected * 1.31,
        usual=expected * rng.lognormal(-0.1, 0.15, expected.shape),
        rank_low=np.minimum(moved.min(axis=0), rank).astype(np.int32),
        rank_high=np.maximum(moved.max(axis=0), rank).astype(np.int32),
        share_in_top=shares,
        reasons={
            (category, shift, int(cell)): SENTENCES
            for category in range(len(CATEGORIES))
            for shift in range(3)
            for cell in top[shift]
        },
    )


def _ranks(numbers: Any) -> Any:
    order = np.argsort(-numbers, axis=-1, kind="stable")
    return np.argsort(order, axis=-1, kind="stable") + 1


def simulated_districts() -> dict[str, Any]:
    """Six of the city's, made of its cells."""
    grid = Grid.over(*PLACES.centres(), size_m=250, centre=PLACES.centre)
    rings = np.round(grid.corners(), 6)
    x, y = grid.centres_m()
    middle = np.hypot(x, y) < 2_000
    group = np.where(middle, 0, 1 + np.floor((np.arctan2(y, x) + np.pi) / (2 * np.pi) * 5) % 5)
    features = [
        {
            "type": "Feature",
            "properties": {"name": PLACES.districts[int(at)]},
            "geometry": shapely.geometry.mapping(
                shapely.coverage_union_all(shapely.polygons(rings[group == at]))
            ),
        }
        for at in np.unique(group)
    ]
    return {"type": "FeatureCollection", "features": features}


@pytest.fixture(scope="session")
def surface_of() -> Callable[[date], Surface]:
    """The simulated city's map of a day."""
    return simulated_surface


@pytest.fixture(scope="session")
def executable() -> str:
    """Debian's Chromium."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(NO_CHROMIUM)
    if not Assets.of().built:
        pytest.skip(NO_ASSETS)
    return found


class _Bank(BaseHTTPRequestHandler):
    """Takes whatever is asked of it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def bank() -> Iterator[str]:
    """The address of a receiver that listens on this machine."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Bank)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}/forewarn"
    listening.shutdown()
    thread.join()
    listening.server_close()


def receivers(url: str, folder: Path) -> Path:
    """A file of receivers: a bank, an operator and the command platform, all at one address."""
    (folder / "receiver.secret").write_text(SECRET)
    lines = [
        {"name": name, "zh": zh, "en": en, "url": url, "kinds": kinds}
        for name, zh, en, kinds in (
            ("bank", "示例银行", "Example Bank", ["stop_payment", "freeze", "return_of_funds"]),
            ("operator", "示例运营商", "Example Operator", ["number_shut_down"]),
            ("command", "指挥平台", "command platform", ["dispatch"]),
        )
    ]
    whole = {"receivers": [{**line, "secret_file": "receiver.secret"} for line in lines]}
    path = folder / "receivers.json"
    path.write_text(json.dumps(whole, ensure_ascii=False), "utf-8")
    return path


@pytest.fixture(scope="session")
def deployed(
    executable: str, new_settings: Callable[[], Settings], free_port: Callable[[], int], bank: str
) -> Iterator[Running]:
    """A service with one worker and two days' maps, if there is a browser for it."""
    settings = new_settings()
    for day in DAYS:
        simulated_surface(day).save(settings.var / "hotspots" / day.isoformat())
    districts = settings.var / "districts.json"
    districts.write_text(json.dumps(simulated_districts()), "utf-8")
    settings = replace(
        settings, districts=districts, notice=NOTICE, receivers=receivers(bank, settings.var)
    )
    with running(settings, Place(port=free_port(), workers=1)) as service:
        yield service


@pytest.fixture(scope="session")
def console(deployed: Running) -> str:
    """Its address."""
    return deployed.url


@pytest.fixture(scope="session")
def signed_in(deployed: Running) -> Callable[..., dict[str, Any]]:
    """Opens a session for somebody of a role; its cookie, as Playwright takes it."""

    def open_one(role: str, name: str | None = None, district: str | None = None) -> dict[str, Any]:
        name, now = name or f"test.{role.replace('_', '.')}", datetime.now(UTC)
        account = Account(name, Role(role), district)
        engine = connect(deployed.settings.database_url or "")
        with engine.begin() as connection:
            if find_account(connection, name) is None:
                add_account(connection, account, "no password opens this", now)
            token = open_session(connection, name, now)
        engine.dispose()
        return {"name": "forewarn", "value": token, "domain": "127.0.0.1", "path": "/"}

    return open_one


@pytest.fixture
def visit(
    console: str, chromium: Any, signed_in: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """Open a page as somebody; whatever the browser complains of in the test fails it."""
    contexts, complaints = [], []

    def opened(
        path: str,
        tongue: str = "zh",
        size: Mapping[str, int] = WIDE,
        role: str = "supervisor",
        **who: str,
    ) -> Any:
        context = chromium.new_context(viewport=dict(size), base_url=console, locale="zh-CN")
        contexts.append(context)
        home = {"domain": "127.0.0.1", "path": "/console"}
        tongue_cookie = {"name": "forewarn_tongue", "value": tongue, **home}
        context.add_cookies([tongue_cookie, signed_in(role, **who)])
        page = context.new_page()
        page.on("console", lambda said: complaints.extend(_unexpected(said.text)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: _only_ours(asked.url, console, complaints))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _unexpected(said: str) -> list[str]:
    # what is refused in words is answered so
    expected = ("status of 401", "status of 403", "status of 409", "status of 422")
    return [] if any(part in said for part in expected) else [said]


def _only_ours(url: str, console: str, complaints: list[str]) -> None:
    if not url.startswith((console, "blob:", "data:")):
        complaints.append(f"asked elsewhere: {url}")


@pytest.fixture(scope="session")
def found_by_axe() -> Callable[[Any], list[str]]:
    """What a page does against WCAG 2.2 AA, as far as axe finds it."""

    def found(page: Any) -> list[str]:
        # past the page's own policy, which rightly refuses what is not served by us
        devtools = page.context.new_cdp_session(page)
        devtools.send("Runtime.evaluate", {"expression": AXE.read_text()})
        told = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
        return [
            f"{each['id']}: {each['help']} {json.dumps([one['target'] for one in each['nodes']])}"
            for each in told["violations"]
            if each["impact"] in SERIOUS
        ]

    return found


@pytest.fixture(scope="module")
def chromium(executable: str) -> Iterator[Any]:
    """The browser, without a window; its driver's loop must be gone before others run one."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        # software WebGL: a machine that runs tests has no graphics card
        flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = driver.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the pages' pictures."""
    given = os.environ.get(PICTURES)
    folder = Path(given) if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
