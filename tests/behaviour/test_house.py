"""The house keeps its own rules: names, faces, locks, ignored files."""

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = PROJECT["tool"]["setuptools"]["packages"]


def test_no_installed_distribution_ships_one_of_our_names() -> None:
    ours = {*FOLDERS, "forewarn"}
    shipped: dict[str, str] = {}
    for distribution in distributions():
        if distribution.metadata["Name"] == "forewarn":
            continue
        for file in distribution.files or ():
            top = file.parts[0].removesuffix(".py")
            if top in ours and ".dist-info" not in file.parts[0]:
                shipped[top] = distribution.metadata["Name"]
    assert not shipped


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_package_has_a_face(folder: str) -> None:
    package = importlib.import_module(folder)
    assert package.__doc__, f"{folder}/__init__.py says how it differs from its neighbours"
    assert package.__all__, f"{folder}/__init__.py names what is public"
    for name in package.__all__:
        assert hasattr(package, name), f"{folder}.{name} is promised and absent"


@pytest.mark.parametrize("folder", FOLDERS)
def test_importing_a_package_leaves_no_trace(folder: str, tmp_path: Path) -> None:
    probe = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {folder}"

    subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, check=True, capture_output=True)
    assert not list(tmp_path.iterdir())


def test_locks_have_hashes_and_no_addresses() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text, f"{lock.name}: emit no index addresses"
        pins = len(re.findall(r"^\S+==", text, flags=re.MULTILINE))
        assert pins > 0, lock.name
        assert text.count("--hash=") >= pins, lock.name


def test_the_data_folder_is_not_ignored() -> None:
    lines = (ROOT / ".gitignore").read_text().split()
    assert not {"data", "data/", "/data", "/data/", "models/", "/models/"} & set(lines)


def test_no_package_hides_under_tests() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
