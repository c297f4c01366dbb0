"""A published bundle lies under its version, once, and nothing half-written stays."""

from dataclasses import replace
from pathlib import Path

import pytest

from data.settings import Settings
from models.sealed import seal, unseal
from models.signing import PublicKey, Signer
from training.publish import publish


class Note:
    """The smallest thing that can be published."""

    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, directory: Path, signer: Signer) -> str:
        return seal(directory, {"note.txt": self.text.encode()}, signer, "note/1")


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return replace(Settings.from_environment({}), var=tmp_path)


def test_a_bundle_lies_under_its_version_and_opens_with_the_public_key(here: Settings) -> None:
    path, version = publish(Note("one"), here, "notes")
    assert path == here.var / "notes" / version
    key = PublicKey.from_file(here.var / "keys" / "bundle.pub")
    assert unseal(path, key, "note/1", ["note.txt"]) == ({"note.txt": b"one"}, version)


def test_the_same_is_published_once_and_is_then_the_latest(here: Settings) -> None:
    first = publish(Note("one"), here, "notes")
    other = publish(Note("two"), here, "notes")
    before = first[0].stat().st_mtime_ns
    assert publish(Note("one"), here, "notes") == first
    assert first[0].stat().st_mtime_ns > before
    assert {path.name for path in (here.var / "notes").iterdir()} == {first[1], other[1]}


def test_kinds_lie_apart(here: Settings) -> None:
    one, two = (publish(Note("one"), here, kind)[0] for kind in ("notes", "others"))
    assert one.name == two.name
    assert one != two
