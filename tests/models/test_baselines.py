"""Rules find what they say, stay silent otherwise, and answer like models."""

import numpy as np
import pytest

from features.fraud import FRAUD_FEATURES, TRANSFER_FEATURES
from features.streams import KINDS
from models.baselines import READS, RULES, WEIGHTS, rule_models
from models.trees import ModelError

MODELS = {model.name: model for model in rule_models(FRAUD_FEATURES)}


def vector(**known: float | str) -> np.ndarray:
    """A transfer or call of which only what a rule reads is known."""
    X = np.full((1, len(FRAUD_FEATURES)), np.nan)
    for name, value in known.items():
        code = KINDS.index(value) if isinstance(value, str) else value
        X[0, FRAUD_FEATURES.names.index(READS[name].name)] = code
    return X


def test_every_feature_a_rule_reads_is_declared() -> None:
    assert [model.name for model in rule_models(FRAUD_FEATURES)] == [rule.name for rule in RULES]
    assert set(WEIGHTS) <= set(READS)


PAYEE = {"kind": "transfer", "is_new": 1.0}
HITS = {
    "call_then_payee": {**PAYEE, "amount": 50_000.0, "long_calls": 1.0},
    "suspect_list": {"reports": 2.0},
    "foreign_then_install": {"kind": "transfer", "foreign_calls": 1.0, "installs": 1.0},
    "large_new_payee": {**PAYEE, "amount": 50_000.0},
    "amount_velocity": {"amount": 50_000.0, "paid": 0.0, "paid_30d": 3_000.0},
    "scorecard": {**PAYEE, "amount": 50_000.0, "reports": 1.0, "controls": 1.0},
}
MISSES = {
    "call_then_payee": [
        {**HITS["call_then_payee"], "is_new": 0.0},
        {**HITS["call_then_payee"], "long_calls": 0.0},
        {**HITS["call_then_payee"], "kind": "call"},
    ],
    "suspect_list": [{"reports": 0.0, "linked_reports": 0.0, "listed": 0.0}],
    "foreign_then_install": [
        {"kind": "call", "foreign": 1.0, "installs": 0.0},
        {"kind": "app", "foreign_calls": 0.0, "installs": 3.0},
    ],
    "large_new_payee": [{**PAYEE, "amount": 19_999.0}, {**HITS["large_new_payee"], "is_new": 0.0}],
    "amount_velocity": [{"amount": 50.0, "paid": 0.0, "paid_30d": 3_000.0}, {"paid": 9e6}],
    "scorecard": [{"kind": "call", "is_new": 1.0}],
}


@pytest.mark.parametrize("name", HITS)
def test_a_rule_fires(name) -> None:
    assert 0.0 < MODELS[name].score(vector(**HITS[name]))[0] <= 1.0


@pytest.mark.parametrize(
    ("name", "known"), [(name, known) for name, all_ in MISSES.items() for known in all_]
)
def test_a_rule_stays_silent(name, known) -> None:
    assert MODELS[name].score(vector(**known))[0] == 0.0


@pytest.mark.parametrize("name", MODELS)
def test_nothing_known_nothing_said(name) -> None:
    assert MODELS[name].score(vector())[0] == 0.0


@pytest.mark.parametrize("name", MODELS)
def test_ranks_stay_between_0_and_1(name) -> None:
    rng = np.random.default_rng(1)
    X = rng.gamma(0.5, 1e4, size=(500, len(FRAUD_FEATURES))).round()
    X[rng.random(X.shape) < 0.3] = np.nan
    found = MODELS[name].score(X)
    assert found.shape == (500,)
    assert found.min() >= 0.0
    assert found.max() <= 1.0


@pytest.mark.parametrize("name", ["call_then_payee", "large_new_payee", "scorecard"])
def test_more_money_ranks_higher(name) -> None:
    known = {**HITS["call_then_payee"], "reports": 1.0}
    scores = [
        MODELS[name].score(vector(**{**known, "amount": amount}))[0] for amount in (2e4, 1e5, 5e5)
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_a_long_call_from_a_stranger_is_a_hint() -> None:
    call = {"kind": "call", "is_new": 1.0, "incoming": 1.0, "duration": 1_200.0}
    hint = MODELS["call_then_payee"].score(vector(**call))[0]
    assert 0.0 < hint < MODELS["call_then_payee"].score(vector(**HITS["call_then_payee"]))[0]


def test_only_rules_that_can_be_asked_are_bound() -> None:
    assert [model.name for model in rule_models(TRANSFER_FEATURES)] == ["amount_velocity"]
    with pytest.raises(ModelError, match=r"'event\.kind\.value'.*use a set that has them"):
        RULES[0].bind(TRANSFER_FEATURES)


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ModelError, match="expected X with"):
        MODELS["scorecard"].score(np.zeros((1, 3)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_what_it_does(rule) -> None:
    assert rule.says.zh
    assert rule.says.en
