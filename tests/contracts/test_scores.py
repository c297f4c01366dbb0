"""What everything that scores must keep: the fraud model and every rule alike."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.fraud import FRAUD_FEATURES
from models.baselines import RULES, rule_models
from models.directions import directions
from models.fraud import FraudModel, fraud_recipe
from models.trees import Floats, ModelError, Rows

Score = Callable[[Floats], Floats]
WIDTH = len(FRAUD_FEATURES)
NAMES = ["fraud", *(rule.name for rule in RULES)]


def vectors(seed: int, n: int) -> Floats:
    """Anything a vector may hold: gaps, zeros, huge and negative numbers."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.3, 1e3, size=(n, WIDTH)).round()
    X[rng.random(X.shape) < 0.3] = 0.0
    X[rng.random(X.shape) < 0.2] = np.nan
    X[rng.random(X.shape) < 0.01] = -1.0
    X[rng.random(X.shape) < 0.01] = 2.0**53
    return X


@pytest.fixture(scope="module")
def scorers() -> dict[str, Score]:
    X = vectors(1, 2_000)
    y = (np.nan_to_num(X[:, :8]).sum(axis=1) > 3_000).astype(int)
    recipe = replace(
        fraud_recipe(directions(FRAUD_FEATURES), num_leaves=15, num_threads=1), rounds=10
    )
    model = FraudModel.fit(Rows(X, y), FRAUD_FEATURES.names, recipe).calibrate(X, y)
    return {"fraud": model.score, **{m.name: m.score for m in rule_models(FRAUD_FEATURES)}}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40))
def test_one_number_from_0_to_1_for_each_row(scorers, name, seed, n) -> None:
    X = vectors(seed, n)
    before = X.copy()
    found = scorers[name](X)
    assert found.shape == (n,)
    assert found.dtype == np.float64
    assert np.all((found >= 0.0) & (found <= 1.0))
    assert np.array_equal(X, before, equal_nan=True), "a score changes nothing"
    assert np.array_equal(found, scorers[name](X)), "asked twice, told the same"


@pytest.mark.parametrize("name", NAMES)
def test_a_row_scores_alone_as_among_others(scorers, name) -> None:
    X = vectors(7, 900)
    together = scorers[name](X)
    alone = np.concatenate([scorers[name](X[at : at + 1]) for at in range(0, 900, 9)])
    assert np.array_equal(together[::9], alone)
    assert np.array_equal(together[::-1], scorers[name](X[::-1])), "whatever the memory's order"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, WIDTH - 1), (1, WIDTH + 1), (WIDTH,)])
def test_a_vector_of_another_length_is_refused(scorers, name, shape) -> None:
    with pytest.raises(ModelError, match=f"expected X with {WIDTH} columns"):
        scorers[name](np.zeros(shape))
