"""A bundle comes back to the same bits, or not at all."""

import hashlib
import json
import os
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.spec import FeatureSet, FeatureSpec
from models import bundle, canary
from models.bundle import FILES, MANIFEST, SIGNATURE, Bundle, BundleError, Parts
from models.signing import PublicKey, Signer
from models.trees import ModelError


@pytest.fixture(scope="module")
def pristine(parts: Parts, signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundles") / "fraud"
    parts.write(directory, signer)
    return directory


@pytest.fixture
def copy(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "fraud"))


def opened(directory: Path, signer: Signer, *, try_first: bool = False) -> Bundle:
    return bundle.load(directory, signer.public_key, try_first=try_first)


def test_everything_comes_back_to_the_same_bits(parts, signer, pristine, later) -> None:
    found = opened(pristine, signer, try_first=True)
    assert np.array_equal(found.fraud.score(later.X), parts.fraud.score(later.X))
    assert np.array_equal(
        found.scam_type.probabilities(later.X), parts.scam_type.probabilities(later.X)
    )
    assert np.array_equal(found.stage.probabilities(later.X), parts.stage.probabilities(later.X))
    assert (found.policy, found.card, found.calibration) == (
        parts.policy,
        parts.card,
        parts.fraud.calibration,
    )
    assert np.array_equal(found.norms.values, parts.norms.values, equal_nan=True)
    assert found.track_record == parts.track_record
    assert (found.names, found.features_digest) == (parts.features.names, parts.features.digest)


def test_the_same_parts_and_key_write_the_same_bytes(parts, signer, pristine, tmp_path) -> None:
    version = parts.write(tmp_path / "again", signer)
    for name in (*FILES, MANIFEST, SIGNATURE):
        assert (tmp_path / "again" / name).read_bytes() == (pristine / name).read_bytes()
    manifest = (pristine / MANIFEST).read_bytes()
    assert version == hashlib.sha256(manifest).hexdigest()[:16] == opened(pristine, signer).version


def test_all_of_it_is_text(pristine) -> None:
    for path in pristine.iterdir():
        path.read_text(encoding="utf-8")


def test_a_bundle_never_changes(parts, signer, copy) -> None:
    assert parts.write(copy, signer) == opened(copy, signer).version
    other = replace(parts, card=replace(parts.card, title="Other"))
    with pytest.raises(BundleError, match="bundles never change"):
        other.write(copy, signer)
    assert [path.name for path in copy.parent.iterdir()] == ["fraud"]


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
def test_a_missing_file_is_named(copy, signer, name) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"expected the file {name}, found none"):
        opened(copy, signer)


@pytest.mark.parametrize("name", ["model.pkl", ".hidden", "fraud.txt~"])
def test_an_extra_file_is_named(copy, signer, name) -> None:
    (copy / name).write_text("")
    with pytest.raises(BundleError, match=f"no other, found also '{name}'"):
        opened(copy, signer)


@pytest.mark.parametrize("name", ["fraud.txt", "policy.json", MANIFEST, SIGNATURE])
def test_a_link_is_refused(copy, signer, name, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (copy / name).rename(elsewhere)
    (copy / name).symlink_to(elsewhere)
    with pytest.raises(BundleError, match=f"{name} to be a plain readable file"):
        opened(copy, signer)


def test_a_pipe_does_not_make_us_wait(copy, signer) -> None:
    (copy / "fraud.txt").unlink()
    os.mkfifo(copy / "fraud.txt")
    with pytest.raises(BundleError, match=r"fraud\.txt to be a plain file"):
        opened(copy, signer)


def test_a_folder_in_a_files_place_is_refused(copy, signer) -> None:
    (copy / "norms.json").unlink()
    (copy / "norms.json").mkdir()
    with pytest.raises(BundleError, match=r"norms\.json to be a plain file"):
        opened(copy, signer)


def test_an_oversized_file_is_not_read(copy, signer) -> None:
    for name in ("fraud.txt", MANIFEST):
        with (copy / name).open("ab") as file:
            file.truncate(2**40)  # sparse: reading it whole would take the machine down
    with pytest.raises(BundleError, match=r"MANIFEST\.json of at most 65536 bytes"):
        opened(copy, signer)


def test_a_longer_file_than_stated_is_refused(copy, signer) -> None:
    with (copy / "fraud.txt").open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match=r"fraud\.txt of at most \d+ bytes"):
        opened(copy, signer)


def test_another_publishers_key_is_refused(copy) -> None:
    with pytest.raises(BundleError, match="signed with the key"):
        opened(copy, Signer.fresh())


def signed_again(directory: Path, signer: Signer, **changes: object) -> None:
    """What a publisher with the right key but a broken mind would sign."""
    manifest = json.loads((directory / MANIFEST).read_text())
    for path in directory.iterdir():
        if path.name in manifest["files"]:
            content = path.read_bytes()
            stated = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            manifest["files"][path.name] = stated
    text = json.dumps({**manifest, **changes}).encode()
    (directory / MANIFEST).write_bytes(text)
    (directory / SIGNATURE).write_text(signer.sign(text))


def test_a_path_out_of_the_directory_is_never_opened(copy, signer) -> None:
    files = json.loads((copy / MANIFEST).read_text())["files"]
    files["../../../etc/passwd"] = files.pop("fraud.txt")
    signed_again(copy, signer, files=files)
    with pytest.raises(BundleError, match=r"11 files, found '\.\./\.\./\.\./etc/passwd'"):
        opened(copy, signer)


def test_another_format_is_refused(copy, signer) -> None:
    signed_again(copy, signer, format="forewarn-bundle/9")
    with pytest.raises(BundleError, match="expected forewarn-bundle/1, found 'forewarn-bundle/9'"):
        opened(copy, signer)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("tree\nversion=v4\nnum_class=1\n", "open and score as when written, found exit status"),
        ("", "open and score as when written, found exit status"),
    ],
)
def test_signed_trees_that_cannot_be_opened_kill_another_process(copy, signer, text, match) -> None:
    (copy / "fraud.txt").write_text(text)
    signed_again(copy, signer)
    with pytest.raises(BundleError, match=match):
        opened(copy, signer, try_first=True)


def test_trees_that_score_otherwise_are_refused(copy, signer) -> None:
    text = (copy / "fraud.txt").read_text()
    start = text.index("leaf_value=") + len("leaf_value=")
    (copy / "fraud.txt").write_text(text[:start] + "9" + text[start + 1 :])
    signed_again(copy, signer)
    with pytest.raises(BundleError, match="found other scores from fraud"):
        opened(copy, signer, try_first=True)


def test_the_trial_has_a_deadline(copy, signer) -> None:
    with pytest.raises(BundleError, match=r"no answer in 0\.001 s"):
        bundle.load(copy, signer.public_key, deadline_s=0.001)


@pytest.mark.parametrize("name", ["policy.json", "calibration.json", "norms.json", "card.json"])
@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"kind": 1}', "not json"])
def test_signed_parts_of_another_shape_are_refused(copy, signer, name, text) -> None:
    (copy / name).write_text(text)
    signed_again(copy, signer)
    with pytest.raises(BundleError, match="parts this version of the code can read"):
        opened(copy, signer)


def test_no_directory_says_what_to_do(tmp_path, signer) -> None:
    with pytest.raises(BundleError, match="train a model, or point FOREWARN_BUNDLE"):
        opened(tmp_path / "none", signer)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damaged_bundle_ever_loads(data, pristine, signer, tmp_path_factory) -> None:
    copy = Path(shutil.copytree(pristine, tmp_path_factory.mktemp("damaged") / "fraud"))
    name = data.draw(st.sampled_from([*FILES, MANIFEST, SIGNATURE]))
    content = (copy / name).read_bytes()
    damaged = data.draw(damages(content))
    (copy / name).write_bytes(damaged)
    if damaged.strip() == content.strip() and name == SIGNATURE:
        opened(copy, signer)  # blanks around a signature are not part of it
    elif damaged != content:
        with pytest.raises(BundleError, match="expected"):
            opened(copy, signer)
    shutil.rmtree(copy.parent)


def damages(content: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, len(content) - 1)
    return st.one_of(
        place.map(lambda at: content[:at]),
        st.tuples(place, st.integers(1, 255)).map(
            lambda hit: (
                content[: hit[0]] + bytes([content[hit[0]] ^ hit[1]]) + content[hit[0] + 1 :]
            )
        ),
        st.tuples(place, st.binary(min_size=1, max_size=9)).map(
            lambda hit: content[: hit[0]] + hit[1] + content[hit[0] :]
        ),
        st.tuples(place, place).map(
            lambda cut: content[: min(cut)] + content[max(cut) :] if cut[0] != cut[1] else b""
        ),
        st.binary(max_size=64),
    )


def test_two_files_exchanged_are_refused(copy, signer) -> None:
    (copy / "stage.txt").rename(copy / "tmp")
    (copy / "scam_type.txt").rename(copy / "stage.txt")
    (copy / "tmp").rename(copy / "scam_type.txt")
    with pytest.raises(BundleError, match=r"found \d+ bytes with"):
        opened(copy, signer)


def test_other_features_are_named(pristine, signer, features) -> None:
    found = opened(pristine, signer)
    found.require(features)
    other = FeatureSet((*features.specs[1:], FeatureSpec("pair", "since_last", "any")))
    lost, new = re.escape(features.names[0]), re.escape("pair.any.since_last")
    with pytest.raises(BundleError, match=rf"missing: \['{lost}'\], new: \['{new}'\]"):
        found.require(other)


def test_every_feature_is_told_in_the_bundle(pristine, features) -> None:
    told = json.loads((pristine / "features.json").read_text())["features"]
    assert [feature["name"] for feature in told] == list(features.names)
    assert all(feature["unit"] and feature["source"] and feature["zh"] for feature in told)
    assert [feature["direction"] for feature in told] == [0, 0, 0, 1, 0, 0]


def test_parts_over_different_features_are_not_written(parts, features, signer, tmp_path) -> None:
    odd = replace(parts, features=FeatureSet(features.specs[:1]))
    with pytest.raises(BundleError, match="fit every part on vectors of one feature set"):
        odd.write(tmp_path / "odd", signer)
    assert list(tmp_path.iterdir()) == []


def test_no_citizens_vector_is_in_a_bundle(parts, pristine) -> None:
    rows = json.loads((pristine / "canary.json").read_text())["rows"]
    made = parts.norms.rows()
    for row in np.array(rows, dtype=np.float64):
        assert any(np.array_equal(row, one, equal_nan=True) for one in made)


def test_the_canary_is_light(pristine) -> None:
    heavy = {"pandas", "sklearn", "dask", "matplotlib", "pyarrow"}
    assert heavy <= set(canary.HEAVY)


def test_a_development_key_is_made_loudly_and_kept(tmp_path, caplog) -> None:
    path = tmp_path / "keys" / "signing.pem"
    first = Signer.at(path)
    assert "NO SIGNING KEY" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Signer.at(path).sign(b"x") == first.sign(b"x")
    public = PublicKey.from_file(path.with_suffix(".pub"))
    assert public.confirms(b"x", first.sign(b"x"))


def test_a_signature_has_one_spelling_only() -> None:
    signer = Signer.fresh()
    text = signer.sign(b"x")
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = text[:-3] + digits[digits.index(text[-3]) ^ 1] + text[-2:]
    assert signer.public_key.confirms(b"x", text)
    assert not signer.public_key.confirms(b"x", twin)


@pytest.mark.parametrize("text", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_a_wrong_key_says_how_to_make_one(text) -> None:
    with pytest.raises(ModelError, match="openssl genpkey -algorithm ed25519"):
        PublicKey.from_text(text)
