import hashlib
import hmac
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.events import EVENT_TYPES
from data.pseudonyms import Pseudonymiser, identifier_fields, is_pseudonym, key_of
from data.settings import Settings

KEY = bytes(range(32))


@pytest.mark.parametrize("key", [KEY, b"k" * 64, b"k" * 100])
@pytest.mark.parametrize("name", ["sha256", "sm3"])
def test_pseudonyms_are_the_hmac_of_the_standard_library(key: bytes, name: str) -> None:
    expected = hmac.new(key, b"tel:13800138000", name).hexdigest()[:32]
    assert Pseudonymiser(key, name).one("tel", "138 0013-8000") == f"tel_{expected}"


def test_sm3_is_the_standards_sm3() -> None:
    # GB/T 32905-2016, example 1
    digest = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert hashlib.new("sm3", b"abc").hexdigest() == digest


def test_the_same_text_in_two_namespaces_shares_nothing(names: Pseudonymiser) -> None:
    tel, acc = names.one("tel", "13800138000"), names.one("acc", "13800138000")
    assert tel.partition("_")[2] != acc.partition("_")[2]


@pytest.mark.parametrize(
    "spelling",
    ["13800138000", "+8613800138000", "008613800138000", "8613800138000", "138-0013 8000"],
)
def test_spellings_of_one_number_are_one(names: Pseudonymiser, spelling: str) -> None:
    assert names.one("tel", spelling) == names.one("tel", "13800138000")


def test_a_key_gives_other_pseudonyms() -> None:
    assert Pseudonymiser(KEY).one("tel", "10086") != Pseudonymiser(KEY[::-1]).one("tel", "10086")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a key of at least 32 bytes, found 8"):
        Pseudonymiser(b"too weak")


@given(st.text(max_size=40))
def test_pseudonyms_look_alike_and_stay(text: str) -> None:
    names = Pseudonymiser(KEY)
    once = names.one("acc", text)
    assert is_pseudonym("acc", once)
    assert names.one("acc", once) == once


def test_what_only_looks_like_a_pseudonym_is_hashed(names: Pseudonymiser) -> None:
    odd = ("tel_" + "0" * 32, "acc_" + "0" * 31, "acc_" + "G" * 32, "acc_" + "٣" * 32)
    assert all(names.one("acc", text) != text for text in odd)


@given(st.lists(st.one_of(st.none(), st.text("0123456789 +-", min_size=1, max_size=9))))
def test_a_column_is_its_values_one_by_one(texts: list[str | None]) -> None:
    names = Pseudonymiser(KEY)
    expected = [None if text is None else names.one("tel", text) for text in texts]
    plain = pa.array(texts, pa.string())
    halves = pa.chunked_array(
        [plain[: len(texts) // 2].dictionary_encode(), plain[len(texts) // 2 :].dictionary_encode()]
    )
    for column in (plain, plain.dictionary_encode(), halves):
        found = names.column("tel", column)
        assert found.to_pylist() == expected
        assert len(set(found.dictionary.to_pylist())) == len(found.dictionary)


def test_identifiers_are_found_by_their_mark(record, intake) -> None:
    for kind, contract in EVENT_TYPES.items():
        concealed = intake.one(record(kind))
        for field, namespace in identifier_fields(contract).items():
            value = getattr(concealed, field)
            found = value if isinstance(value, tuple) else [value] if value else []
            assert all(is_pseudonym(namespace, text) for text in found), (kind, field)


def test_a_development_key_is_made_once_and_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(var=tmp_path / "var")
    with ThreadPoolExecutor(8) as pool, caplog.at_level(logging.WARNING):
        keys = set(pool.map(key_of, [settings] * 8))
    assert len(keys) == 1
    assert "DEVELOPMENT key" in caplog.text
    assert keys.pop().hex() not in caplog.text
    files = list(settings.var.iterdir())
    assert [file.name for file in files] == ["development.key"]
    assert files[0].stat().st_mode & 0o077 == 0


def test_a_set_key_makes_no_file(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", pseudonym_key=KEY, pseudonym_hash="sm3")
    assert Pseudonymiser.from_settings(settings).hash == "sm3"
    assert not settings.var.exists()
