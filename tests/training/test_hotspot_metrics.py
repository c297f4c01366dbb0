"""Hotspot metrics: their identities, and slow loops from the definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import hotspot_metrics as metrics

SMALL = settings(max_examples=80, deadline=None)
COVERAGES = (0.01, 0.1, 0.3, 1.0)


@st.composite
def periods(draw):
    """Scores with many ties, counts and a second key."""
    n = draw(st.integers(1, 40))
    column = lambda top: np.array(draw(st.lists(st.integers(0, top), min_size=n, max_size=n)))  # noqa: E731
    return column(4) / 4, column(3), column(9)


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
