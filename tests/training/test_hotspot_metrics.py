"""Hotspot metrics: their identities, slow loops from the definitions, and paired bootstraps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_poisson_deviance

from training import hotspot_metrics as metrics
from training.hotspot_metrics import Tally

SMALL = settings(max_examples=80, deadline=None)
COVERAGES = (0.01, 0.1, 0.3, 1.0)


@st.composite
def periods(draw):
    """Scores with many ties, counts and a second key."""
    n = draw(st.integers(1, 40))
    column = lambda top: np.array(draw(st.lists(st.integers(0, top), min_size=n, max_size=n)))  # noqa: E731
    return column(4) / 4, column(3), column(9)


# ---------------------------------------------------------------- one period


@SMALL
@given(periods())
def test_hits_as_a_slow_loop_finds_them(period) -> None:
    score, counts, tie = period
    order = sorted(range(score.size), key=lambda i: (-score[i], -tie[i], i))
    assert metrics.ranked(score, tie).tolist() == order
    for coverage, found in zip(COVERAGES, metrics.hits(score, counts, COVERAGES, tie), strict=True):
        flagged = max(1, round(coverage * score.size))
        assert found == sum(counts[i] for i in order[:flagged])


@SMALL
@given(periods())
def test_identities_of_the_indices(period) -> None:
    score, counts, tie = period
    found = metrics.judged(score, counts, COVERAGES, tie)
    np.testing.assert_allclose(found.pai * found.coverage, found.hit_rate)
    assert found.hits[-1] == counts.sum()
    if counts.sum():
        assert (found.pei <= 1).all()
        assert (found.pei_star <= found.pei + 1e-12).all()
        assert found.pai[-1] == pytest.approx(1.0)
        few = found.flagged <= found.occupied
        np.testing.assert_allclose(found.pei_star[few], found.pei[few])
        best = metrics.judged(counts, counts, COVERAGES)
        np.testing.assert_allclose(best.pei, 1.0)
        np.testing.assert_allclose(
            best.pei_star, np.minimum(1, best.occupied / best.flagged), rtol=1e-12
        )
    else:
        assert np.isnan(found.hit_rate).all()


@SMALL
@given(periods(), st.integers(-8, 8), st.sampled_from([0.5, 1.0, 4.0]))
def test_shifting_and_stretching_the_score_changes_nothing(period, shift, stretch) -> None:
    score, counts, tie = period
    moved = metrics.hits(score * stretch + shift, counts, COVERAGES, tie)
    assert moved.tolist() == metrics.hits(score, counts, COVERAGES, tie).tolist()


def test_the_pei_star_blames_width_that_the_pei_forgives() -> None:
    counts = np.zeros(100)
    counts[:2] = 1
    found = metrics.judged(np.arange(100)[::-1], counts, (0.02, 0.10))
    assert found.pei.tolist() == [1.0, 1.0]
    assert found.pei_star.tolist() == pytest.approx([1.0, 0.2])


def test_scores_without_information_have_a_pai_of_one() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, 400)
    tally = Tally.over(400, 1, ("ALL",))
    for week in range(400):
        tally.record(week, 0, "ALL", rng.random(400), counts)
    np.testing.assert_allclose(tally.pooled("pai"), 1.0, atol=0.15)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 that are not numbers"):
        metrics.ranked([0.0, math.nan])
    with pytest.raises(ValueError, match="second key for each of 2 cells"):
        metrics.ranked([0.0, 1.0], tie=[1.0])


def test_minus_infinity_is_a_score() -> None:
    assert metrics.ranked([-math.inf, 0.0, math.inf]).tolist() == [2, 1, 0]


def test_recapture_is_one_where_the_share_is_kept_and_unknown_where_there_was_nothing() -> None:
    found = metrics.recapture_rate([20, 5, 5], 200, [10, 10, 0], 100)
    assert found[:2].tolist() == [1.0, 0.25]
    assert math.isnan(found[2])


# ---------------------------------------------------------------- expected counts


def test_poisson_deviance_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    mu = rng.uniform(0.01, 4, 200)
    y = rng.poisson(mu)
    assert metrics.poisson_deviance(mu, y) == pytest.approx(mean_poisson_deviance(y, mu))
    assert metrics.poisson_deviance([0.0], [1]) == math.inf
    assert metrics.poisson_deviance([0.0], [0]) == 0.0


def test_brier_is_least_at_the_true_intensities() -> None:
    rng = np.random.default_rng(2)
    mu = rng.uniform(0.01, 2, 20_000)
    y = rng.poisson(mu)
    true = metrics.brier_any(mu, y)
    assert true < metrics.brier_any(mu * 1.5, y)
    assert true < metrics.brier_any(mu / 1.5, y)


def test_calibration_of_the_truth_holds_it_and_that_of_a_double_does_not() -> None:
    rng = np.random.default_rng(3)
    mu = rng.gamma(0.5, 1.0, (26, 400))
    y = rng.poisson(mu)
    true = metrics.calibrated(mu, y)
    assert true.cells.sum() == mu.size
    assert len(true.cells) == 10
    inside = (true.low <= true.expected) & (true.expected <= true.high)
    assert inside.mean() >= 0.8
    double = metrics.calibrated(2 * mu, y)
    assert (double.high < double.expected).all()
    sums = true.expected * true.cells
    assert sums.max() < 1.2 * sums.min()  # bins of equal expected incidents


@pytest.mark.parametrize("mu", [[], [0.0, 0.0], [1.0] * 7])
def test_calibration_of_the_smallest(mu) -> None:
    found = metrics.calibrated(mu, np.zeros(len(mu)))
    assert found.cells.sum() == len(mu)


# ---------------------------------------------------------------- many periods


CATEGORIES = ("THEFT", "ASSAULT")


def city(weeks: int = 20, offsets: int = 3, skill: float = 1.0, seed: int = 0) -> Tally:
    """A model that knows the intensities up to noise: the more skill, the less of it."""
    noise = np.random.default_rng(seed + 1_000)
    tally = Tally.over(weeks, offsets, CATEGORIES, (0.01, 0.02, 0.05))
    rng = np.random.default_rng(5)
    rates = rng.gamma(0.4, 1.0, (offsets, len(CATEGORIES), 200))
    for week in range(weeks):
        for offset in range(offsets):
            for place, category in enumerate(CATEGORIES):
                rate = rates[offset, place]
                score = np.log(rate) + noise.normal(0, 1 / skill, rate.size)
                tally.record(week, offset, category, score, rng.poisson(rate))
    return tally


def test_pooled_figures_are_sums_over_sums() -> None:
    tally = city()
    np.testing.assert_allclose(
        tally.pooled("hit_rate"), tally.hits.sum(axis=(0, 1, 2)) / tally.total.sum()
    )
    np.testing.assert_allclose(
        tally.pooled("pei", ["ASSAULT"]),
        tally.hits[:, :, 1].sum(axis=(0, 1)) / tally.best[:, :, 1].sum(axis=(0, 1)),
    )
    share = tally.flagged.sum(axis=(0, 1, 2)) / tally.cells.sum()
    np.testing.assert_allclose(tally.pooled("pai") * share, tally.pooled("hit_rate"))


def test_an_interval_holds_its_value_and_narrows_with_more_weeks() -> None:
    few, many = (city(weeks).interval("hit_rate", 0.05) for weeks in (6, 60))
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low


def test_weeks_are_drawn_together() -> None:
    """A copy of every offset is no new evidence: the interval must stay as it is."""
    once = city(offsets=1)
    doubled = Tally(
        once.categories,
        once.coverages,
        *(
            np.concatenate([values, values], axis=1)
            for values in (once.hits, once.best, once.best_star, once.flagged)
        ),
        *(np.concatenate([values, values], axis=1) for values in (once.total, once.cells)),
    )
    twice, single = doubled.interval("pei", 0.02), once.interval("pei", 0.02)
    assert (twice.low, twice.value, twice.high) == pytest.approx(
        (single.low, single.value, single.high)
    )


def test_a_model_against_itself_gains_nothing_and_is_not_behind() -> None:
    ours = city()
    gain = metrics.gain_percent(ours, ours)
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)
    assert not metrics.significantly_behind(ours, ours)


def test_the_better_model_gains_and_the_worse_is_behind() -> None:
    better, worse = city(skill=4.0), city(skill=0.5)
    gain = metrics.gain_percent(better, worse, rounds=200)
    assert 0 < gain.low < gain.value < gain.high
    by_hand = better.hits[..., :2].sum() / worse.hits[..., :2].sum()
    assert gain.value == pytest.approx(100 * (by_hand - 1))
    assert not metrics.significantly_behind(better, worse, rounds=200)
    behind = metrics.significantly_behind(worse, better, rounds=200)
    assert {(one.category, one.coverage) for one in behind} == {
        (category, coverage) for category in CATEGORIES for coverage in (0.01, 0.02, 0.05)
    }
    assert all(one.ahead for one in metrics.comparisons(better, worse, rounds=200))


def test_a_paired_interval_is_narrower_than_the_figures_apart() -> None:
    first, second = city(skill=3.0), city(skill=2.9)
    [paired] = [
        one
        for one in metrics.comparisons(first, second, rounds=300)
        if (one.category, one.coverage) == ("THEFT", 0.05)
    ]
    alone = first.interval("hit_rate", 0.05, ["THEFT"], rounds=300)
    assert paired.difference.high - paired.difference.low < 1.5 * (alone.high - alone.low)


def test_tallies_of_other_incidents_are_refused() -> None:
    with pytest.raises(ValueError, match="record both models in the same run"):
        metrics.gain_percent(city(), city(weeks=19))
    other = city()
    other.total[0, 0, 0] += 1
    with pytest.raises(ValueError, match="record both models in the same run"):
        metrics.comparisons(city(), other)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'FRAUD'"):
        city().pooled("pai", ["FRAUD"])
    with pytest.raises(ValueError, match=r"found \[0.5\]"):
        city().interval("pai", 0.5)


# ---------------------------------------------------------------- what can be attained


def test_the_ceiling_is_what_the_intensities_say() -> None:
    rates = np.random.default_rng(0).gamma(0.4, 1.0, (30, 300))
    ceiling = metrics.attainable(rates, 20, np.random.default_rng(1), (0.02, 0.1))
    flagged = metrics.cells_flagged((0.02, 0.1), 300)
    exact = np.sort(rates, axis=1)[:, ::-1].cumsum(axis=1)[:, flagged - 1].sum(axis=0)
    np.testing.assert_allclose(ceiling.hits, exact, rtol=0.02)
    np.testing.assert_allclose(ceiling.hit_rate, exact / rates.sum(), rtol=0.02)
    assert (ceiling.low <= ceiling.hit_rate).all()
    assert (ceiling.hit_rate <= ceiling.high).all()
    assert (ceiling.pei < 1).all()


def test_nobody_beats_the_ceiling_on_its_own_intensities() -> None:
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.4, 1.0, 300)
    ceiling = metrics.hits(rates, rates)
    for _ in range(20):
        blurred = rates * rng.lognormal(0, 0.5, 300)
        assert (metrics.hits(blurred, rates) <= ceiling + 1e-9).all()


def test_share_of_room_runs_from_the_rival_to_the_ceiling() -> None:
    assert metrics.share_of_room(3.0, 3.0, 5.0) == 0.0
    assert metrics.share_of_room(5.0, 3.0, 5.0) == 1.0
    assert metrics.share_of_room(2.0, 3.0, 5.0) == -0.5
    assert np.isnan(metrics.share_of_room(2.0, 3.0, 3.0))
