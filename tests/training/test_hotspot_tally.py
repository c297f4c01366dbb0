"""Tallies: sums over sums, and intervals that draw whole weeks."""

from collections.abc import Callable

import numpy as np
import pytest

from training.hotspot_tally import Tally

Tallied = Callable[..., Tally]


def test_scores_without_information_have_a_pai_of_one() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, 400)
    tally = Tally.over(400, 1, ("ALL",))
    for week in range(400):
        tally.record(week, 0, "ALL", rng.random(400), counts)
    np.testing.assert_allclose(tally.pooled("pai"), 1.0, atol=0.15)


def test_pooled_figures_are_sums_over_sums(tallied: Tallied) -> None:
    tally = tallied()
    np.testing.assert_allclose(
        tally.pooled("hit_rate"), tally.hits.sum(axis=(0, 1, 2)) / tally.total.sum()
    )
    np.testing.assert_allclose(
        tally.pooled("pei", ["ASSAULT"]),
        tally.hits[:, :, 1].sum(axis=(0, 1)) / tally.best[:, :, 1].sum(axis=(0, 1)),
    )
    share = tally.flagged.sum(axis=(0, 1, 2)) / tally.cells.sum()
    np.testing.assert_allclose(tally.pooled("pai") * share, tally.pooled("hit_rate"))


def test_an_interval_holds_its_value_and_narrows_with_more_weeks(tallied: Tallied) -> None:
    few, many = (tallied(weeks).interval("hit_rate", 0.05) for weeks in (6, 60))
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low


def test_weeks_are_drawn_together(tallied: Tallied) -> None:
    """A copy of every offset is no new evidence: the interval must stay as it is."""
    once = tallied(offsets=1)
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


def test_unknown_names_are_refused(tallied: Tallied) -> None:
    with pytest.raises(ValueError, match="'FRAUD'"):
        tallied().pooled("pai", ["FRAUD"])
    with pytest.raises(ValueError, match=r"found \[0.5\]"):
        tallied().interval("pai", 0.5)
