"""The usual rate: planted weights come back, few incidents leave them where they were set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.usual_rate import LEAST, UsualRate

PRIOR = (0.4, 0.3, 0.2, 0.1)
PLANTED = np.array([0.6, 0.0, 0.3, 0.02])


def past(n: int, weights: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rates of which counts are drawn; the last column is the city's mean, as a panel gives it."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.gamma(0.5, 1.0, (n, 3)), np.full(n, 0.5)])
    return X, rng.poisson(X @ weights).astype(float)


def test_planted_weights_come_back() -> None:
    rate = UsualRate.fit([[past(40_000, PLANTED)]], prior=PRIOR)
    np.testing.assert_allclose(rate.weights[0], PLANTED, atol=0.03)


def test_each_category_has_weights_of_its_own_from_all_its_periods() -> None:
    other = PLANTED[::-1].copy()
    both = UsualRate.fit(
        [[past(10_000, PLANTED, seed) for seed in range(4)], [past(20_000, other)]],
        prior=PRIOR,
        prior_incidents=2,
    )
    np.testing.assert_allclose(both.weights, [PLANTED, other], atol=0.05)


def test_few_incidents_stay_near_the_prior_and_many_leave_it() -> None:
    away = []
    for n in (0, 5, 500, 50_000):
        rate = UsualRate.fit([[past(n, PLANTED)]] if n else [[]], prior=PRIOR)
        away.append(float(np.abs(rate.weights[0] - PRIOR).max()))
    assert away[0] == pytest.approx(0, abs=1e-12)
    assert away[1] < 0.05
    assert away[-1] > 0.25
    assert away == sorted(away)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.floats(0.1, 1_000))
def test_weights_are_never_negative_and_rates_always_above_zero(seed, n, trust) -> None:
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.3, 1.0, (n, 4)) * (rng.random((n, 4)) < 0.7)
    rate = UsualRate.fit([[(X, rng.poisson(0.3, n))]], prior=PRIOR, prior_incidents=trust)
    assert (rate.weights >= 0).all()
    assert np.isfinite(rate.weights).all()
    assert (rate.of(0, np.zeros((2, 4))) == LEAST).all()
    assert (rate.of(0, X) >= LEAST).all()


def test_what_is_fitted_adds_up_to_what_came() -> None:
    X, y = past(20_000, PLANTED, 3)
    rate = UsualRate.fit([[(X, y)]], prior=PRIOR)
    assert rate.of(0, X).sum() == pytest.approx(y.sum(), rel=0.03)
