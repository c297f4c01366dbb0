"""Trees are their text; contributions add up and are those of an independent definition."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from models.fraud import FraudModel, fraud_recipe
from models.trees import BOOSTING, ModelError, Recipe, Rows, Trees


def test_the_same_rows_grow_the_same_trees(city, fraud, later) -> None:
    recipe = replace(fraud_recipe((0, 0, 0, 1, 0, 0), num_leaves=15, num_threads=1), rounds=40)
    again = FraudModel.fit(city.rows, fraud.names, recipe).calibrate(later.X, later.y)
    assert again.to_text() == fraud.to_text()
    assert again.calibration == fraud.calibration


def test_text_comes_back_to_the_same_bits(fraud, later) -> None:
    again = FraudModel.from_text(fraud.to_text(), fraud.calibration)
    assert again.to_text() == fraud.to_text()
    assert np.array_equal(again.score(later.X), fraud.score(later.X))
    assert np.array_equal(again.contributions(later.X[:50]), fraud.contributions(later.X[:50]))


def test_one_row_scores_as_among_many(fraud, later) -> None:
    alone = [fraud.score(later.X[at : at + 1])[0] for at in range(200)]
    assert np.array_equal(alone, fraud.score(later.X)[:200])


def test_contributions_add_up_to_the_raw_score(fraud, later) -> None:
    found = fraud.contributions(later.X[:500])
    assert found.shape == (500, later.X.shape[1] + 1)
    assert np.abs(found.sum(axis=1) - fraud.raw(later.X[:500])).max() < 1e-9


def test_contributions_of_every_class_add_up(parts, later) -> None:
    found = parts.scam_type.contributions(later.X[:50])
    assert found.shape == (50, 11, later.X.shape[1] + 1)
    assert np.abs(found.sum(axis=2) - parts.scam_type.trees.raw(later.X[:50])).max() < 1e-9


@pytest.mark.filterwarnings("ignore")  # shap's own imports warn
def test_contributions_are_those_of_shap(fraud, later) -> None:
    shap = pytest.importorskip("shap")
    lightgbm = pytest.importorskip("lightgbm")
    explainer = shap.TreeExplainer(lightgbm.Booster(model_str=fraud.to_text()))
    rows = later.X[:200]
    ours = fraud.contributions(rows)
    assert np.array_equal(ours[:, :-1], explainer.shap_values(rows))
    assert np.allclose(ours[:, -1], explainer.expected_value, atol=1e-12, rtol=0)


def test_contributions_are_shapley_values_by_definition(city) -> None:
    """TreeExplainer asks LightGBM itself, so here is the definition, over all orders' subsets."""
    X = city.X[:, :4]
    recipe = replace(fraud_recipe(num_leaves=6, min_data_in_leaf=100, num_threads=1), rounds=3)
    trees = Trees.grow(Rows(X, city.y), ("a", "b", "c", "d"), recipe)
    for row in X[:5]:
        expected = _shapley(trees, row)
        found = trees.contributions(row[np.newaxis])[0]
        assert np.allclose(found[:4], expected, atol=1e-9, rtol=0)


def _shapley(trees: Trees, row: np.ndarray) -> list[float]:
    forest = [tree["tree_structure"] for tree in trees._booster.dump_model()["tree_info"]]
    width = len(row)
    values = []
    for feature in range(width):
        others = [other for other in range(width) if other != feature]
        value = 0.0
        for size in range(width):
            for known in itertools.combinations(others, size):
                share = math.factorial(size) * math.factorial(width - size - 1)
                more = sum(_expected(tree, row, {*known, feature}) for tree in forest)
                less = sum(_expected(tree, row, set(known)) for tree in forest)
                value += share / math.factorial(width) * (more - less)
        values.append(value)
    return values


def _expected(node: dict, row: np.ndarray, known: set[int]) -> float:
    """Mean of the leaves reached: by the row where known, by the training rows elsewhere."""
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        value = row[node["split_feature"]]
        goes_left = node["default_left"] if np.isnan(value) else value <= node["threshold"]
        return _expected(left if goes_left else right, row, known)
    weights = [_rows_below(child) for child in (left, right)]
    parts = [_expected(child, row, known) for child in (left, right)]
    return float(np.average(parts, weights=weights))


def _rows_below(node: dict) -> int:
    return node["leaf_count"] if "leaf_value" in node else node["internal_count"]


def test_every_recipe_is_deterministic() -> None:
    assert BOOSTING["deterministic"]
    assert BOOSTING["force_row_wise"]
    assert {"seed", "num_threads"} <= set(BOOSTING)


def test_early_stopping_keeps_the_best_rounds(city, later) -> None:
    recipe = Recipe(rounds=300, stop_after=5).with_params(
        objective="binary", metric="binary_logloss", learning_rate=0.5, num_threads=1
    )
    trees = Trees.grow(city.rows, tuple("abcdef"), recipe, later.rows)
    assert 0 < trees.count < 300


def test_importance_is_one_number_a_feature(fraud) -> None:
    found = fraud.trees.importance()
    assert found.shape == (6,)
    assert found[3] > 0


@pytest.mark.parametrize("shape", [(2, 5), (2, 7), (6,)])
def test_a_vector_of_another_length_is_refused(fraud, shape) -> None:
    with pytest.raises(ModelError, match="expected X with 6 columns"):
        fraud.raw(np.zeros(shape))


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (("a", "b"), "expected 6 different names"),
        (("a", "a", "b", "c", "d", "e"), "expected 6 different names"),
        (("a b", "b", "c", "d", "e", "f"), "without blanks"),
        (("{a}", "b", "c", "d", "e", "f"), "without blanks"),
    ],
)
def test_names_lightgbm_would_change_are_refused(city, names, match) -> None:
    with pytest.raises(ModelError, match=match):
        Trees.grow(city.rows, names, fraud_recipe())


@pytest.mark.parametrize(
    ("X", "y", "weight", "match"),
    [
        (np.zeros((0, 2)), np.zeros(0), None, "rows and columns"),
        (np.zeros(3), np.zeros(3), None, "rows and columns"),
        (np.zeros((3, 1)), np.zeros(2), None, r"y of shape \(3,\)"),
        (np.zeros((3, 1)), np.zeros(3), np.ones(4), r"weight of shape \(3,\)"),
    ],
)
def test_rows_that_do_not_fit_are_refused(X, y, weight, match) -> None:
    with pytest.raises(ModelError, match=match):
        Rows(X, y, weight)
