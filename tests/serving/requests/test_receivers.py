"""The file of receivers: what is wrong with it is told, and no secret is."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from data.settings import Settings
from serving.requests import Kind, Office, OfficeError

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
LINE = {"name": "bank", "url": "https://bank.cn/in", "kinds": ["freeze"], "secret_env": "BANK"}


def written(folder: Path, *lines: Any, **more: Any) -> Path:
    path = folder / "receivers.json"
    path.write_text(json.dumps({"receivers": lines, **more}), "utf-8")
    return path


def test_without_a_file_nobody_can_be_asked() -> None:
    assert Office.from_settings(Settings()).receivers == {}


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "op.secret").write_text(f"{SECRET}\n{SECRET}\n")
    operator = {
        "name": "operator",
        "zh": "运营商",
        "url": "http://127.0.0.1:9/in",
        "kinds": ["number_shut_down"],
        "secret_file": "op.secret",
        "answered_by": ["key:abcdefgh"],
    }
    path = written(tmp_path, LINE, operator, valid_h={"freeze": 72}, appeal_days=5)
    settings = Settings.from_environment({"FOREWARN_RECEIVERS": str(path)})
    office = Office.from_settings(settings, {"BANK": SECRET})
    assert office.hours(Kind.FREEZE) == 72.0
    assert office.appeal_days == 5.0
    assert [one.en for one in office.receivers_of(Kind.FREEZE)] == ["bank"]
    assert len(office.receivers["operator"].secrets) == 2  # one is taking the other's place
    assert SECRET not in repr(office)
    assert str(bytes(range(32))) not in repr(office)


@pytest.mark.parametrize(
    ("change", "environ", "message"),
    [
        ({}, {}, "expected a secret, found none"),
        ({}, {"BANK": "hunter2"}, "starts with whsec_"),
        ({}, {"BANK": "whsec_aGVsbG8="}, "found 5 bytes"),
        ({"secret_file": "x"}, {}, "either secret_file or secret_env"),
        ({"secret_env": None, "secret_file": "x"}, {}, "FileNotFoundError"),
        ({"url": "http://bank.cn"}, {"BANK": SECRET}, "https://"),
        ({"kinds": ["arrest"]}, {"BANK": SECRET}, "receivers.0.kinds"),
        ({"colour": "red"}, {"BANK": SECRET}, "colour"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, change: Any, environ: Any, message: str) -> None:
    path = written(tmp_path, {**LINE, **change})
    with pytest.raises(OfficeError, match=message) as raised:
        Office.load(path, environ)
    assert "hunter2" not in str(raised.value)


def test_a_term_is_not_longer_than_the_law_has_it(tmp_path: Path) -> None:
    with pytest.raises(OfficeError, match=r"at most 48\.0"):
        Office.load(written(tmp_path, valid_h={"stop_payment": 49}))
    with pytest.raises(OfficeError, match="found one twice"):
        Office.load(written(tmp_path, LINE, LINE), {"BANK": SECRET})
    with pytest.raises(OfficeError, match="FileNotFoundError"):
        Office.load(tmp_path / "absent.json")
