"""Levels, grades and tiers are data: presets load, nonsense is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.policy import Policy, standard_levels
from serving.cases.config import GRADES, PRESETS, CaseConfig, CaseConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_its_text(name: str, tmp_path: Path) -> None:
    config = CaseConfig.preset(name)
    path = tmp_path / "city.json"
    path.write_text(config.to_text())
    assert CaseConfig.load(path) == config
    assert [tier.zh for tier in config.tiers][:3] == ["市局", "分局", "派出所"]
    ranks = [config.urgency(config.level_of_grade(grade).name) for grade in GRADES]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("grades", {"urgent": "red"}, "expected grades"),
        ("starts", {"red": "moon", "yellow": "city", "blue": "city"}, "tiers of starts"),
        ("loss_cny", {"theft": 1.0}, "scam types"),
        ("lock_min", 0, "lock_min above 0"),
        ("levels", [], "levels of grades"),
        ("colour", "red", "start from one of the presets"),
        ("zone", "Mars/Olympus", "a time zone"),
    ],
)
def test_what_cannot_be_used_is_named(field: str, value: Any, match: str, tmp_path: Path) -> None:
    content = json.loads(CaseConfig.preset().to_text())
    path = tmp_path / "city.json"
    path.write_text(json.dumps(content | {field: value}))
    with pytest.raises(CaseConfigError, match=match):
        CaseConfig.load(path)


def test_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseConfigError, match=r"city\.json"):
        CaseConfig.load(tmp_path / "city.json")


def test_the_bundles_levels_are_in_service() -> None:
    named = tuple(replace(level, zh=level.zh + "！") for level in standard_levels())
    config = CaseConfig.of(Policy(named, (0.5, 0.3, 0.1)))
    assert [level.zh for level in config.levels] == ["红色预警！", "黄色预警！", "蓝色预警！"]
    assert config.grades == CaseConfig.preset().grades
    two = tuple(replace(level, name=name) for level, name in zip(named[:2], "ab", strict=True))
    assert CaseConfig.of(Policy(two, (0.5, 0.3))).starts == {"a": "station", "b": "district"}
