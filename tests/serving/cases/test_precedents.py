"""Closed cases like an open one: by all contributions if the model is there, else as recorded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from features import FRAUD_FEATURES
from serving.cases.precedents import Leading, Precedents, _Closed
from serving.judge import Judge
from serving.shelf import Shelf

LONG, FOREIGN = "event.duration.value", "event.foreign.value"


@pytest.fixture(scope="module")
def judge(bundle_at: tuple[Path, Path]) -> Judge:
    return Shelf(*bundle_at, FRAUD_FEATURES).champion()


def vector(**values: float) -> bytes:
    found = np.full(len(FRAUD_FEATURES), 1.0)
    for name, value in values.items():
        found[FRAUD_FEATURES.names.index(f"event.{name}.value")] = value
    return found.tobytes()


@pytest.fixture
def led(judge: Judge) -> Callable[..., Leading]:
    def make(recorded: dict[str, float], **values: float) -> Leading:
        reasons = [
            {"feature": name, "contribution": weight, "value": 1_800.0}
            for name, weight in recorded.items()
        ]
        features = judge.bundle.features_digest
        answer = {"reasons": reasons}
        return Leading("e", 1.0, 0.5, "m", features, vector(**values), answer)

    return make


def closed(name: str, one: Leading) -> _Closed:
    row: Any = SimpleNamespace(
        case_id=name,
        scam_type="loan",
        outcome="paid",
        known_at=None,
        loss_cny=None,
        avoided_cny=None,
    )
    return _Closed(row, one)


def test_all_contributions_count_where_the_model_is_there(judge: Judge, led: Any) -> None:
    own = led({LONG: 2.0}, duration=1_800.0, foreign=1.0)
    # recorded alike though its vector is another's, and the other way round
    far = closed("far", led({LONG: 2.0}, duration=30.0, foreign=0.0))
    near = closed("near", led({LONG: 1.0}, duration=1_800.0, foreign=1.0))
    found = Precedents(near=(far, near))
    assert [one.case_id for one in found.alike(own, judge)] == ["near", "far"]
    assert found.alike(own, judge)[0].distance == 0.0
    assert [one.case_id for one in found.alike(own, None)] == ["far", "near"]


def test_one_vector_of_other_features_leaves_all_to_what_was_recorded(
    judge: Judge, led: Any
) -> None:
    own = led({LONG: 2.0}, duration=1_800.0, foreign=1.0)
    near = closed("near", led({LONG: 1.0}, duration=1_800.0, foreign=1.0))
    older = closed("older", replace(led({LONG: 2.0}), features_version="older", vector=b""))
    found = Precedents(near=(near, older)).alike(own, judge)
    assert [(one.case_id, one.distance) for one in found] == [("older", 0.0), ("near", 1.0)]


def test_a_case_says_what_it_has_in_common_as_it_was_there(led: Any) -> None:
    own = led({LONG: 2.0, FOREIGN: 0.5})
    both, apart = (
        closed("both", led({FOREIGN: 0.6, LONG: 1.0})),
        closed("apart", led({"gone": 9.0})),
    )
    found = {one.case_id: one for one in Precedents(near=(both, apart)).alike(own, None)}
    assert "30 min" in found["both"].en
    assert "30分钟" in found["both"].zh
    assert found["apart"].zh == found["apart"].en == ""


def test_leads_alone_are_like_nothing(judge: Judge, led: Any) -> None:
    assert Precedents(near=(closed("any", led({LONG: 2.0})),)).alike(None, judge) == ()
    assert Precedents().alike(led({LONG: 2.0}), judge) == ()
