"""A simulated city's map served as in production, and Debian's Chromium to look at it."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from data.settings import Settings
from data.simulator.layout import lay_out
from data.simulator.places import CATEGORIES, PlacesCity
from features.grid import Grid
from features.shifts import Shifts
from models.surface import Surface
from serving.console.assets import Assets
from serving.server import Place, running

DAYS = (date(2026, 3, 1), date(2026, 3, 2))
PICTURES = "FOREWARN_PICTURES"
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
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip(NO_CHROMIUM)
    if not Assets.of().built:
        pytest.skip(NO_ASSETS)
    return found


@pytest.fixture(scope="session")
def console(
    executable: str, new_settings: Callable[[], Settings], free_port: Callable[[], int]
) -> Iterator[str]:
    """Address of a service with one worker and two days' maps, if there is a browser for it."""
    settings = new_settings()
    for day in DAYS:
        simulated_surface(day).save(settings.var / "hotspots" / day.isoformat())
    districts = settings.var / "districts.json"
    districts.write_text(json.dumps(simulated_districts()), "utf-8")
    settings = replace(settings, districts=districts)
    with running(settings, Place(port=free_port(), workers=1)) as service:
        yield service.url


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
