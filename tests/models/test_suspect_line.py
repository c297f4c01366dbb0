"""The suspect-line model: additive, kept as text, cut where it is worth most."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from models.calibration import sigmoid
from models.suspect_line import FLAT, LineRecipe, SuspectLineModel, best_threshold, line_recipe
from models.trees import ModelError, Rows

NAMES = ("calls", "cities", "bill", "noise")


def _rows(count: int = 500, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    X = rng.lognormal(size=(count, 4))
    y = (X[:, 0] * X[:, 1] + rng.normal(size=count) > 2).astype(int)
    X[rng.random(X.shape) < 0.1] = np.nan
    return Rows(X, y)


@pytest.fixture(scope="module")
def model() -> SuspectLineModel:
    recipe = LineRecipe(members=2, curve_features=("bill", "calls"))
    fitted = SuspectLineModel.fit(_rows(), NAMES, recipe)
    later = _rows(seed=1)
    return fitted.calibrate(fitted.raw(later.X), later.y)


def test_contributions_add_up_to_the_raw_score(model: SuspectLineModel) -> None:
    X = _rows(seed=2).X
    assert np.abs(model.contributions(X).sum(axis=1) - model.raw(X)).max() < 1e-9


def test_trees_and_curves_have_half_a_voice_each(model: SuspectLineModel) -> None:
    X = _rows(60, seed=2).X
    trees = np.mean([member.contributions(X) for member in model.members], axis=0)
    curves = model.curves.contributions(X[:, [2, 0]])
    found = model.contributions(X)
    assert np.allclose(found[:, 1], trees[:, 1] / 2, atol=1e-12)
    assert np.allclose(found[:, 2], (trees[:, 2] + curves[:, 0]) / 2, atol=1e-12)


def test_text_comes_back_to_the_same_bits(model: SuspectLineModel) -> None:
    X = _rows(seed=3).X
    again = SuspectLineModel.from_text(model.to_text())
    assert np.array_equal(again.score(X), model.score(X))
    assert np.array_equal(again.suspect(X), model.suspect(X))
    assert again.to_text() == model.to_text()


def test_the_same_rows_make_the_same_model() -> None:
    recipe = LineRecipe(members=2)
    texts = {SuspectLineModel.fit(_rows(), NAMES, recipe).to_text() for _ in range(2)}
    assert len(texts) == 1


def test_score_is_a_probability_that_keeps_the_order(model: SuspectLineModel) -> None:
    X = _rows(seed=4).X
    raw, score = model.raw(X), model.score(X)
    assert ((score > 0) & (score < 1)).all()
    assert (np.diff(score[np.argsort(raw)]) >= 0).all()


def test_a_line_is_scored_alike_alone_and_in_a_table(model: SuspectLineModel) -> None:
    X = _rows(seed=5).X
    assert np.allclose(model.raw(X[:1]), model.raw(X)[:1], atol=1e-12)


def test_one_class_only_is_refused() -> None:
    rows = _rows()
    with pytest.raises(ModelError, match="both classes"):
        SuspectLineModel.fit(Rows(rows.X, np.zeros(len(rows.X))), NAMES)
    with pytest.raises(ModelError, match="both classes"):
        best_threshold(np.arange(3.0), np.ones(3))


def _worth(raw: np.ndarray, y: np.ndarray, cut: float) -> float:
    return float(f1_score(y, raw >= cut, average="macro"))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_threshold_is_nearly_the_best_of_all(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    y = np.append(rng.integers(0, 2, 12 + seed), [0, 1])
    raw = rng.normal(size=len(y)) + y
    raw = np.round(raw) if ties else raw
    levels = np.unique(raw)
    cuts = [levels[0] - 1, *((levels[1:] + levels[:-1]) / 2), levels[-1] + 1]
    best = max(_worth(raw, y, cut) for cut in cuts)
    assert _worth(raw, y, best_threshold(raw, y)) >= best - FLAT - 1e-9


def test_threshold_on_a_large_sample_is_where_theory_puts_it() -> None:
    """Two normal classes of equal size and spread: the best cut is halfway."""
    rng = np.random.default_rng(0)
    y = np.arange(40_000) % 2
    assert abs(best_threshold(rng.normal(size=40_000) + 2 * y, y) - 1.0) < 0.1


def test_raising_every_suspicious_column_never_lowers_a_made_up_model() -> None:
    """Learnt behaviour: where more calls mean more suspicion, the score says so."""
    rng = np.random.default_rng(9)
    X = rng.uniform(0, 10, (800, 2))
    rows = Rows(X, (X[:, 0] + rng.normal(size=800) > 5).astype(int))
    fitted = SuspectLineModel.fit(rows, ("calls", "noise"), LineRecipe(line_recipe(), members=1))
    low, high = np.array([[1.0, 5.0]]), np.array([[9.0, 5.0]])
    assert sigmoid(fitted.raw(high))[0] > 0.9
    assert sigmoid(fitted.raw(low))[0] < 0.1
