"""Expected counts: scikit-learn's deviance, the truth the best calibrated."""

import math

import numpy as np
import pytest
from sklearn.metrics import mean_poisson_deviance

from training.hotspot_counts import brier_any, calibrated, poisson_deviance


def test_poisson_deviance_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    mu = rng.uniform(0.01, 4, 200)
    y = rng.poisson(mu)
    assert poisson_deviance(mu, y) == pytest.approx(mean_poisson_deviance(y, mu))
    assert poisson_deviance([0.0], [1]) == math.inf
    assert poisson_deviance([0.0], [0]) == 0.0


def test_brier_is_least_at_the_true_intensities() -> None:
    rng = np.random.default_rng(2)
    mu = rng.uniform(0.01, 2, 20_000)
    y = rng.poisson(mu)
    true = brier_any(mu, y)
    assert true < brier_any(mu * 1.5, y)
    assert true < brier_any(mu / 1.5, y)


def test_calibration_of_the_truth_holds_it_and_that_of_a_double_does_not() -> None:
    rng = np.random.default_rng(3)
    mu = rng.gamma(0.5, 1.0, (26, 400))
    y = rng.poisson(mu)
    true = calibrated(mu, y)
    assert true.cells.sum() == mu.size
    assert len(true.cells) == 10
    inside = (true.low <= true.expected) & (true.expected <= true.high)
    assert inside.mean() >= 0.8
    double = calibrated(2 * mu, y)
    assert (double.high < double.expected).all()
    sums = true.expected * true.cells
    assert sums.max() < 1.2 * sums.min()  # bins of equal expected incidents


@pytest.mark.parametrize("mu", [[], [0.0, 0.0], [1.0] * 7])
def test_calibration_of_the_smallest(mu) -> None:
    found = calibrated(mu, np.zeros(len(mu)))
    assert found.cells.sum() == len(mu)
