"""Comparisons: nothing against itself, paired by week, and only of the same incidents."""

from collections.abc import Callable

import pytest

from training.hotspot_comparison import comparisons, gain_percent, significantly_behind
from training.hotspot_tally import Tally

Tallied = Callable[..., Tally]


def test_a_model_against_itself_gains_nothing_and_is_not_behind(tallied: Tallied) -> None:
    ours = tallied()
    gain = gain_percent(ours, ours)
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)
    assert not significantly_behind(ours, ours)


def test_the_better_model_gains_and_the_worse_is_behind(tallied: Tallied) -> None:
    better, worse = tallied(skill=4.0), tallied(skill=0.5)
    gain = gain_percent(better, worse, rounds=200)
    assert 0 < gain.low < gain.value < gain.high
    by_hand = better.hits[..., :2].sum() / worse.hits[..., :2].sum()
    assert gain.value == pytest.approx(100 * (by_hand - 1))
    assert not significantly_behind(better, worse, rounds=200)
    behind = significantly_behind(worse, better, rounds=200)
    assert {(one.category, one.coverage) for one in behind} == {
        (category, coverage) for category in better.categories for coverage in (0.01, 0.02, 0.05)
    }
    assert all(one.ahead for one in comparisons(better, worse, rounds=200))


def test_a_paired_interval_is_narrower_than_the_figures_apart(tallied: Tallied) -> None:
    first, second = tallied(skill=3.0), tallied(skill=2.9)
    [paired] = [
        one
        for one in comparisons(first, second, rounds=300)
        if (one.category, one.coverage) == ("THEFT", 0.05)
    ]
    alone = first.interval("hit_rate", 0.05, ["THEFT"], rounds=300)
    assert paired.difference.high - paired.difference.low < 1.5 * (alone.high - alone.low)


def test_tallies_of_other_incidents_are_refused(tallied: Tallied) -> None:
    with pytest.raises(ValueError, match="record both models in the same run"):
        gain_percent(tallied(), tallied(weeks=19))
    other = tallied()
    other.total[0, 0, 0] += 1
    with pytest.raises(ValueError, match="record both models in the same run"):
        comparisons(tallied(), other)
