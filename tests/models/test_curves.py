"""Curves: additive, reproducible, kept as text, at ease with gaps."""

import numpy as np
import pytest

from models.curves import CurveRecipe, Curves
from models.trees import ModelError, Rows


def _rows(count: int = 400, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 4)) ** 3
    y = (X[:, 0] + np.abs(X[:, 1]) + rng.normal(size=count) > 1).astype(int)
    X[rng.random(X.shape) < 0.15] = np.nan
    return Rows(X, y)


NAMES = ("a", "b", "c", "d")


def test_contributions_add_up_and_are_centred() -> None:
    rows = _rows()
    curves = Curves.fit(rows, NAMES)
    found = curves.contributions(rows.X)
    assert np.allclose(found.sum(axis=1), curves.raw(rows.X), atol=1e-12)
    assert np.allclose(found[:, :-1].mean(axis=0), 0, atol=1e-9)


def test_the_penalised_likelihood_is_at_its_top() -> None:
    """An independent check of the fit: the loss rises in every direction tried."""
    rows, rng = _rows(), np.random.default_rng(1)
    curves = Curves.fit(rows, NAMES, CurveRecipe(penalty=1e-3))

    def loss(model: Curves) -> float:
        z = model.raw(rows.X)
        return float(np.sum(np.logaddexp(0, z) - rows.y * z))

    for _ in range(20):
        step = rng.normal(size=curves.coefficients.shape) * 0.2
        moved = Curves(
            curves.names,
            curves.recipe,
            curves.levels,
            curves.coefficients + step,
            curves.centre,
            curves.base,
        )
        assert loss(moved) > loss(curves)


def test_mean_probability_is_the_share_of_suspects() -> None:
    rows = _rows()
    p = 1 / (1 + np.exp(-Curves.fit(rows, NAMES).raw(rows.X)))
    assert np.isclose(p.mean(), np.mean(rows.y), atol=1e-5)


def test_a_weight_counts_like_copies() -> None:
    rows = _rows(150)
    twice = np.tile(np.arange(150), 2)
    weighted = Curves.fit(Rows(rows.X, rows.y, np.full(150, 2.0)), NAMES, CurveRecipe(quantiles=1))
    copied = Curves.fit(Rows(rows.X[twice], rows.y[twice]), NAMES, CurveRecipe(quantiles=1))
    assert np.allclose(weighted.raw(rows.X), copied.raw(rows.X), atol=1e-3)


def test_order_matters_and_size_does_not() -> None:
    """Ranks make heavy tails harmless: any rising transform gives the same curves."""
    rows = _rows()
    X = np.where(np.isnan(rows.X), np.nan, np.sign(rows.X) * np.abs(rows.X) ** 0.5)
    here, there = Curves.fit(rows, NAMES), Curves.fit(Rows(X, rows.y), NAMES)
    assert np.corrcoef(here.raw(rows.X), there.raw(X))[0, 1] > 0.995


def test_text_comes_back_to_the_same_bits() -> None:
    rows = _rows()
    curves = Curves.fit(rows, NAMES)
    again = Curves.from_text(curves.to_text())
    assert np.array_equal(curves.contributions(rows.X), again.contributions(rows.X))
    assert again.to_text() == curves.to_text()


def test_a_column_never_known_adds_nothing_but_may_be_known_later() -> None:
    rows = _rows()
    X = rows.X.copy()
    X[:, 2] = np.nan
    curves = Curves.fit(Rows(X, rows.y), NAMES)
    assert np.allclose(curves.contributions(rows.X)[:, 2], 0)


def test_a_constant_column_adds_nothing() -> None:
    rows = _rows()
    X = rows.X.copy()
    X[:, 2] = 7.0
    curves = Curves.fit(Rows(X, rows.y), NAMES)
    assert np.allclose(curves.contributions(X)[:, 2], 0, atol=1e-9)


def test_values_beyond_those_learnt_count_as_the_outermost() -> None:
    rows = _rows()
    curves = Curves.fit(rows, NAMES)
    edge, far = np.nanmax(rows.X, axis=0)[None], np.full((1, 4), 1e12)
    assert np.array_equal(curves.raw(edge), curves.raw(far))


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_is_refused(label: int) -> None:
    rows = _rows()
    with pytest.raises(ModelError, match=rf"both classes, 0 and 1, found \[{label}\]"):
        Curves.fit(Rows(rows.X, np.full(len(rows.X), label)), NAMES)


def test_names_and_columns_must_fit() -> None:
    rows = _rows()
    with pytest.raises(ModelError, match="a name for each of 4 columns, found 2"):
        Curves.fit(rows, NAMES[:2])
    with pytest.raises(ModelError, match=r"expected X with 4 columns, found shape \(1, 3\)"):
        Curves.fit(rows, NAMES).raw(np.zeros((1, 3)))
