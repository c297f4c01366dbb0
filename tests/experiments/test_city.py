"""The city's comparison: its shape in a small run, its truth against the simulation's."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from data.labels import SCAM_TYPES, STAGES
from data.simulator import STAGES as TOLD_STAGES
from experiments.city import ABLATED, ALONE, CARD, CROSS, OURS, macro_f1, run
from experiments.result import Result
from features.fraud import FRAUD_FEATURES


@pytest.fixture(scope="module")
def result() -> Result:
    return run(quick=True)


def test_model_ablation_and_every_rule_stand_side_by_side(result: Result) -> None:
    heads = [row[0] for row in result.rows]
    assert heads[:2] == [OURS, ABLATED]
    assert CARD in heads
    assert {len(row) for row in result.rows} == {len(result.columns)}


def test_promised_figures_are_there_as_numbers(result: Result) -> None:
    figures = json.loads(json.dumps(dict(result.figures), allow_nan=False))
    keys = ("average_precision", "recall_at_capacity", "preventable_share")
    assert all(0.0 <= figures[key] <= 1.0 for key in keys)
    assert 0.0 <= figures["type_macro_f1"] <= 1.0
    assert 0.0 <= figures["stage_macro_f1"] <= 1.0
    assert set(figures["ahead"]) == {ABLATED, CARD}
    assert all(name.split(" ")[0] in SCAM_TYPES for name in figures["by_type"])
    assert all(low <= high for low, high in figures["intervals"].values() if low is not None)


def test_it_says_that_it_is_simulated(result: Result) -> None:
    assert result.title.startswith("Simulated city")
    assert result.notes[0].startswith("Simulated: 600 subscribers")


def test_without_other_citizens_no_feature_reads_their_events() -> None:
    assert not CROSS & {spec.key for spec in ALONE}
    assert 0 < len(ALONE) < len(FRAUD_FEATURES)


def test_truth_and_labels_use_the_same_words() -> None:
    assert TOLD_STAGES == STAGES


def test_macro_f1_is_scikit_learns() -> None:
    random = np.random.default_rng(5)
    true, told = random.integers(0, 4, 200), random.integers(0, 4, 200)
    weight = random.random(200)
    expected = f1_score(true, told, average="macro", sample_weight=weight)
    assert macro_f1(true, told, weight) == pytest.approx(expected)
