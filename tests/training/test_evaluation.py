"""Figures on a span of days, checked against the functions they are made of."""

import numpy as np
import pytest

from training import metrics
from training.datasets import Part
from training.evaluation import FIGURES, Judged, alerts_of, capacity_curve, evaluate, groups

DAY_US = 86_400 * 1_000_000
COUNT, CITIZENS, DAYS = 4_000, 300, 6


def a_part(seed: int = 3) -> Part:
    random = np.random.default_rng(seed)
    known = np.sort(random.integers(0, DAYS * DAY_US, COUNT)).astype("datetime64[us]")
    citizen = random.integers(0, CITIZENS, COUNT)
    fraud = (citizen < 12) & (random.random(COUNT) < 0.5)
    whole = np.arange(COUNT)
    return Part(
        X=random.normal(size=(COUNT, 2)),
        seq=whole,
        citizen=citizen,
        kind=np.zeros(COUNT, np.int64),
        amount_fen=np.where(fraud & (random.random(COUNT) < 0.4), 50_000, 0),
        known_at=known,
        occurred_at=known,
        y=fraud.astype(np.int64),
        scam_type=np.where(fraud, 0, -1),
        stage=np.where(fraud, 1, -1),
        episode=np.where(fraud, citizen, -1),
        weight=np.ones(COUNT),
    )


def judged(noise: float, capacity: float = 5.0) -> Judged:
    part = a_part()
    random = np.random.default_rng(9)
    return Judged(part, part.y + noise * random.normal(size=len(part)), capacity)


@pytest.mark.parametrize("noise", [0.1, 0.6, 2.0])
def test_counts_by_citizen_add_up_to_the_figures_at_capacity(noise: float) -> None:
    found, part = judged(noise), a_part()
    alerts = alerts_of(found)
    whole = metrics.at_capacity(part.y, found.score, part.citizen, part.day, 5)
    assert alerts.alerts.sum() == whole.alerts
    assert alerts.caught.sum() == whole.caught
    assert alerts.defrauded.sum() == whole.defrauded


def test_every_figure_has_an_interval_around_it() -> None:
    found = judged(0.8)
    probability = Judged(found.part, 1 / (1 + np.exp(-found.score)), found.capacity)
    figures = evaluate(probability, rounds=60)
    assert list(figures) == list(FIGURES)
    for name, figure in figures.items():
        assert figure.low <= figure.high, name
        if name not in ("ece", "lead_time_h"):
            assert figure.low <= figure.value <= figure.high, name


def test_a_better_score_is_found_better() -> None:
    good, poor = (evaluate(judged(noise), calibrated=False, rounds=20) for noise in (0.2, 2.0))
    for name in ("average_precision", "recall_at_capacity", "preventable_share"):
        assert good[name].value > poor[name].value


def test_weights_of_one_give_the_plain_figures() -> None:
    found = judged(0.8)
    probability = 1 / (1 + np.exp(-found.score))
    figures = evaluate(Judged(found.part, probability, 5.0), rounds=5)
    y = found.part.y
    assert figures["ece"].value == pytest.approx(metrics.expected_calibration_error(y, probability))
    assert figures["brier"].value == pytest.approx(metrics.brier(y, probability))
    assert figures["average_precision"].value == pytest.approx(
        metrics.average_precision(y, probability)
    )
    assert figures["auc"].value == pytest.approx(metrics.auc(y, probability))


def test_equal_scores_are_one_step_of_the_ranking() -> None:
    found = judged(0.8)
    coarse = np.round(found.score, 1)
    figures = evaluate(Judged(found.part, coarse, 5.0), calibrated=False, rounds=5)
    y = found.part.y
    assert figures["auc"].value == pytest.approx(metrics.auc(y, coarse))
    assert figures["average_precision"].value == pytest.approx(metrics.average_precision(y, coarse))


def test_the_same_seed_draws_the_same_intervals() -> None:
    once, again = (evaluate(judged(0.8), calibrated=False, rounds=20, seed=4) for _ in range(2))
    assert once == again


def test_without_fraud_figures_are_unknown_not_wrong() -> None:
    part = a_part().take(a_part().y == 0)
    figures = evaluate(Judged(part, part.X[:, 0], 5.0), calibrated=False, rounds=5)
    assert np.isnan(figures["average_precision"].value)
    assert np.isnan(figures["recall_at_capacity"].value)
    assert np.isnan(figures["lead_time_h"].value)


def test_rates_by_group_count_citizens_not_events() -> None:
    found = judged(0.2)
    group = np.where(np.arange(CITIZENS) % 2, "odd", "even")
    rows = groups(found, group)
    assert [row.group for row in rows] == ["even", "odd"]
    assert sum(row.frauds + row.others for row in rows) == len(np.unique(found.part.citizen))


def test_more_hands_reach_more() -> None:
    _, recall = capacity_curve(judged(0.8), np.array([1, 5, 20]))
    assert (np.diff(recall) >= 0).all()
