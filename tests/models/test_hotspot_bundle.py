"""A hotspot model in its signed folder: the same forecast, or no model at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from features.calendar_days import Calendar
from features.grid import Grid
from features.hotspot import Log, Panel
from features.shifts import Shifts
from models.card import Card
from models.day_profile import DayProfile
from models.hotspot import HotspotConfig, HotspotModel, periods
from models.hotspot_bundle import HotspotBundle
from models.sealed import BundleError
from models.signing import Signer

CITY = PlacesCity(days=98, cells=400, incidents_per_day=150)
SHIFTS = Shifts((6, 18), "Asia/Shanghai")
CARD = Card("Where?", "Ranks places.", "2026-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def panel() -> Panel:
    table = happen(CITY).table()
    grid = Grid.over(table["lon"].to_numpy(), table["lat"].to_numpy(), 250, offset_m=(10, 20))
    return Panel(Log.of(table, grid, SHIFTS), Shifts.number_of(CITY.first_day) + CITY.days - 1)


@pytest.fixture(scope="module")
def bundle(panel: Panel) -> HotspotBundle:
    recipe = HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=40)
    config = HotspotConfig(periods=6, warm_up_days=42, moves=(), recipe=replace(recipe, rounds=10))
    past = periods(panel.log, panel.day, config)
    model = HotspotModel.fit([past], config).calibrated(past[-2:])
    assert model.trees is not None
    days = DayProfile.fit(panel.log, panel.day, Calendar("CN"))
    return HotspotBundle(model, days, panel.log.grid, SHIFTS, CARD)


@pytest.fixture
def folder(bundle: HotspotBundle, signer: Signer, tmp_path: Path) -> Path:
    bundle.write(tmp_path / "bundle", signer)
    return tmp_path / "bundle"


@pytest.mark.parametrize("trees", [True, False])
def test_what_is_loaded_forecasts_the_same_to_the_bit(
    bundle: HotspotBundle, panel: Panel, signer: Signer, tmp_path: Path, trees: bool
) -> None:
    given = bundle if trees else replace(bundle, model=replace(bundle.model, trees=None))
    version = given.write(tmp_path / "bundle", signer)
    again = HotspotBundle.load(tmp_path / "bundle", signer.public_key)
    assert again.version == version
    assert (again.model.trees is None) is not trees
    ours, theirs = given.model.forecast(panel), again.model.forecast(panel)
    assert ours.expected.tobytes() == theirs.expected.tobytes()
    assert ours.high.tobytes() == theirs.high.tobytes()
    assert again.grid.as_dict() == given.grid.as_dict()
    assert (again.shifts, again.card) == (given.shifts, given.card)
    assert again.days.to_text() == given.days.to_text()


def test_the_same_model_is_the_same_version(
    bundle: HotspotBundle, signer: Signer, tmp_path: Path
) -> None:
    one, two = (bundle.write(tmp_path / name, signer) for name in ("a", "b"))
    other = replace(bundle, shifts=Shifts((6, 18), "UTC")).write(tmp_path / "c", signer)
    assert one == two != other


@pytest.mark.parametrize(
    "name", ["hotspot.json", "hotspot.txt", "days.json", "place.json", "card.json", "MANIFEST.json"]
)
def test_one_changed_byte_is_refused(folder: Path, signer: Signer, name: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    for at in (0, len(content) // 2, len(content) - 1):
        changed = content.copy()
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BundleError, match="bundle refused"):
            HotspotBundle.load(folder, signer.public_key)


def test_a_missing_file_another_key_and_no_folder_are_refused(
    folder: Path, signer: Signer, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="bundle refused"):
        HotspotBundle.load(folder, Signer.fresh().public_key)
    (folder / "hotspot.txt").unlink()
    with pytest.raises(BundleError, match=r"the file hotspot\.txt"):
        HotspotBundle.load(folder, signer.public_key)
    with pytest.raises(BundleError, match="bundle refused"):
        HotspotBundle.load(tmp_path / "none", signer.public_key)


def test_numbers_survive_the_folder(folder: Path, bundle: HotspotBundle, signer: Signer) -> None:
    again = HotspotBundle.load(folder, signer.public_key)
    np.testing.assert_array_equal(again.model.usual.weights, bundle.model.usual.weights)
    np.testing.assert_array_equal(again.model.level, bundle.model.level)
