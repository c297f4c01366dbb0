"""Sentences about a line: ranked, by topic, in both languages, with what clears them."""

import numpy as np
import pandas as pd
import pytest

from features.line_columns import LINE_COLUMNS
from features.lines import (
    OWN,
    Neighbours,
    contact_features,
    graph_features,
    label_features,
    own_features,
)
from models.line_reasons import CLEARS, explain_line, line_norms
from models.trees import ModelError

COLUMNS = tuple(LINE_COLUMNS.values())
NAMES = tuple(LINE_COLUMNS)


def _explained(weights: dict[str, float], values: dict[str, float] | None = None) -> tuple:
    vector, contributions = np.ones(len(COLUMNS)), np.zeros(len(COLUMNS) + 1)
    for name, weight in weights.items():
        contributions[NAMES.index(name)] = weight
    for name, value in (values or {}).items():
        vector[NAMES.index(name)] = value
    norms = line_norms(np.full((20, len(COLUMNS)), 2.0), NAMES)
    return explain_line(vector, contributions, COLUMNS, norms, limit=3)


def test_a_topic_is_told_once_with_its_whole_weight() -> None:
    first, second, _ = _explained({"arpu_mean": 1.0, "arpu_max": 2.0, "sms_count": 1.0})
    assert (first.topic, first.feature, first.contribution) == ("bills", "arpu_max", 3.0)
    assert first.share == 0.75
    assert second.feature == "sms_count"


def test_sentences_say_value_norm_and_weight_in_both_languages() -> None:
    first = _explained({"imeis": 1.0}, {"imeis": 9.0})[0]
    assert first.en == (
        "Different handsets the line was used in: 9 (usually 2); "
        "100% of what moved the score, upwards."
    )
    assert first.zh == "使用过的终端数：9（通常2）；占影响分值因素的100%，使分值升高。"
    assert (first.value, first.normal) == (9.0, 2.0)
    assert first.clears_zh
    assert first.clears_en


def test_what_is_not_on_record_is_said_to_be_so() -> None:
    first = _explained({"imeis": 1.0}, {"imeis": np.nan})[0]
    assert first.value is None
    assert "无记录" in first.zh
    assert "nothing on record" in first.en


def test_what_lowers_the_score_comes_last_and_says_so() -> None:
    reasons = _explained({"imeis": -3.0, "sms_count": 1.0})
    assert reasons[0].topic == "messages"
    lowered = [r for r in _explained({"imeis": -3.0}) if r.topic == "places"]
    assert all("downwards" in reason.en for reason in lowered)


def test_every_topic_of_every_feature_can_be_cleared() -> None:
    own = own_features(pd.DataFrame(np.ones((3, 55)), columns=list(NAMES)))
    around = Neighbours(np.ones((3, 3)))
    told = [*OWN, *graph_features(around).columns, *contact_features(own, around).columns]
    told += label_features(around, np.ones(3), np.ones(3, bool), np.arange(3)).columns
    assert {column.topic for column in told} == set(CLEARS)


def test_a_vector_of_other_columns_is_refused() -> None:
    with pytest.raises(ModelError, match="expected 55 values and as many contributions"):
        explain_line(np.ones(3), np.ones(4), COLUMNS, line_norms(np.ones((5, 55)), NAMES))
