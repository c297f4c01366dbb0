"""Intervals: known answers, coverage, and clusters that matter."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from training.intervals import Interval, bootstrap, wilson


def test_wilson_equals_scipy():
    for hits, trials in [(0, 7), (3, 10), (10, 10), (41, 5_000)]:
        expected = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
        low, high = wilson(hits, trials)
        assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_without_trials_is_not_a_number():
    low, high = wilson([0, 1], [0, 2])
    assert np.isnan([low[0], high[0]]).all()
    assert np.isfinite([low[1], high[1]]).all()


def mean_of(values):
    return lambda weight: float(np.average(values, weights=weight)) if weight.sum() else math.nan


def test_bootstrap_is_repeatable_and_holds_the_value():
    values = np.random.default_rng(0).normal(size=200)
    one = bootstrap(mean_of(values), np.arange(200), seed=3)
    assert one == bootstrap(mean_of(values), np.arange(200), seed=3)
    assert one.low < one.value < one.high
    assert one.value == pytest.approx(values.mean())
    assert one.high - one.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.15)


def test_clusters_widen_the_interval_of_correlated_rows():
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(size=40), 25)
    alone = bootstrap(mean_of(values), np.arange(values.size), rounds=200)
    together = bootstrap(mean_of(values), np.repeat(np.arange(40), 25), rounds=200)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_draws_without_an_answer_are_left_out():
    y = np.array([1, 0, 0, 0, 0])
    found = bootstrap(lambda w: 1.0 if (w * y).sum() else math.nan, np.arange(5), rounds=50)
    assert (found.low, found.high) == (1, 1)
    nothing = bootstrap(lambda _: math.nan, np.arange(5), rounds=5)
    assert nothing.as_dict() == {"value": None, "low": None, "high": None}


def test_nothing_to_draw_says_so():
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap(lambda _: 0.0, [])


def test_interval_reads_well():
    assert str(Interval(0.70812, 0.69, 0.72)) == "0.708 [0.690, 0.720]"
