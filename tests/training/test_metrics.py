"""Metrics against scikit-learn and against slow loops written from the definitions."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training import metrics

SMALL = settings(max_examples=60, deadline=None)


@st.composite
def events(draw, min_size=1):
    """Labels, scores with many ties, citizens and days, in order of day."""
    n = draw(st.integers(min_size, 40))
    column = lambda values: np.array(draw(st.lists(values, min_size=n, max_size=n)))  # noqa: E731
    y = column(st.integers(0, 1))
    score = column(st.integers(0, 6)) / 6
    citizen = column(st.sampled_from("abcdef"))
    day = np.sort(column(st.integers(3, 6)))
    return y, score, citizen, day


@SMALL
@given(events(), st.integers(0, 2**31))
def test_ranking_figures_equal_scikit_learn_with_weights(rows, seed):
    y, score, _, _ = rows
    weight = np.random.default_rng(seed).integers(0, 4, y.size).astype(float)
    ranking = metrics.Ranking(y, score)
    if weight[y == 1].sum() and weight[y == 0].sum():
        assert ranking.auc(weight) == pytest.approx(
            roc_auc_score(y, score, sample_weight=weight), abs=1e-12
        )
    if weight[y == 1].sum():
        assert ranking.average_precision(weight) == pytest.approx(
            average_precision_score(y, score, sample_weight=weight), abs=1e-12
        )


@SMALL
@given(events(), st.integers(0, 2**31))
def test_weights_mean_copies_of_rows(rows, seed):
    y, score, _, _ = rows
    copies = np.random.default_rng(seed).integers(0, 4, y.size)
    weighted = metrics.average_precision(y, score, copies)
    repeated = metrics.average_precision(np.repeat(y, copies), np.repeat(score, copies))
    assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True)


def test_ranking_without_one_class_is_not_a_number():
    assert math.isnan(metrics.auc([1, 1], [0.1, 0.2]))
    assert math.isnan(metrics.average_precision([0, 0], [0.1, 0.2]))
    assert math.isnan(metrics.auc([], []))


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0, 1], [0.5], "equal length"),
        ([0, -1], [0.5, 0.1], "leave unknown labels"),
        ([0, 1], [0.5, math.nan], "1 NaN"),
    ],
)
def test_ranking_says_what_is_wrong(y, score, message):
    with pytest.raises(ValueError, match=message):
        metrics.auc(y, score)


def card_precision_by_frames(y, score, citizen, day, k):
    """The Handbook's definition, with a table a day."""
    table = pd.DataFrame({"y": y, "score": score, "citizen": citizen, "day": day})
    caught, found = [], []
    for _, today in table.groupby("day"):
        rest = today[~today.citizen.isin(caught)]
        best = rest.groupby("citizen")[["score", "y"]].max()
        top = best.sort_values("score", ascending=False, kind="stable").head(k)
        caught += list(top[top.y == 1].index)
        found.append(top.y.sum() / k)
    return found


@SMALL
@given(events(), st.integers(1, 7))
def test_card_precision_equals_the_definition(rows, k):
    assert metrics.card_precision_by_day(*rows, k).tolist() == card_precision_by_frames(*rows, k)


def test_caught_citizen_drops_out_and_a_false_one_does_not():
    y, score = [1, 0, 1, 0, 0, 1], [0.9, 0.8, 0.9, 0.8, 0.1, 0.05]
    citizen, day = list("ababbc"), [1, 1, 2, 2, 3, 3]
    assert metrics.card_precision_by_day(y, score, citizen, day, 1).tolist() == [1, 0, 0]
    assert metrics.card_precision(y, score, citizen, day, 2) == pytest.approx((0.5 + 0 + 0.5) / 3)


@SMALL
@given(events(), st.integers(1, 7))
def test_capacity_equals_a_loop(rows, capacity):
    y, score, citizen, day = rows
    caught, alerts = set(), 0
    for today in np.unique(day):
        best = {}
        for i in np.flatnonzero(day == today):
            height, fraud = best.get(citizen[i], (-1, 0))
            best[citizen[i]] = (max(height, score[i]), max(fraud, y[i]))
        order = sorted(set(best) - caught, key=lambda who: (-best[who][0], who))[:capacity]
        alerts += len(order)
        caught |= {who for who in order if best[who][1]}
    found = metrics.at_capacity(y, score, citizen, day, capacity)
    defrauded = set(citizen[y == 1])
    assert (found.alerts, found.caught, found.defrauded) == (alerts, len(caught), len(defrauded))
    assert found.precision == len(caught) / alerts
    assert (
        math.isnan(found.recall) if not defrauded else found.recall == len(caught) / len(defrauded)
    )


@SMALL
@given(events(), st.integers(1, 7))
def test_alerts_start_at_the_first_event_over_the_days_line(rows, capacity):
    _, score, citizen, day = rows
    expected = np.zeros(score.size, bool)
    for today in np.unique(day):
        mine = np.flatnonzero(day == today)
        best = {who: score[mine[citizen[mine] == who]].max() for who in set(citizen[mine])}
        chosen = sorted(best, key=lambda who: (-best[who], who))[:capacity]
        line = min(best[who] for who in chosen)
        for who in chosen:
            reaching = mine[(citizen[mine] == who) & (score[mine] >= line)]
            expected[reaching[0]] = True
    assert metrics.alerts_at_capacity(score, citizen, day, capacity).tolist() == expected.tolist()


def test_more_capacity_never_loses_a_catch():
    rng = np.random.default_rng(5)
    n = 3_000
    y = (rng.random(n) < 0.05).astype(int)
    score, citizen = y * 0.3 + rng.random(n), rng.integers(0, 400, n)
    day = np.sort(rng.integers(0, 9, n))
    recalls = [metrics.at_capacity(y, score, citizen, day, c).recall for c in (1, 5, 25, 125, 625)]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1


def test_lead_time_and_preventable_loss():
    at = np.array([0, 100, 200, 300, 400, 500])
    episode = np.array([0, 0, 1, 1, -1, 2])
    alerted = np.array([False, True, True, True, True, False])
    alert_at = metrics.first_alert(alerted, episode, at, 3)
    assert alert_at.tolist() == [100, 200, math.inf]
    lead = metrics.lead_time(alert_at, [700, 150, 600])
    assert lead[:2].tolist() == [600, -50]
    assert math.isnan(lead[2])
    paid, owner, loss = [700, 150, 900, 600], [0, 1, 1, 2], [10, 20, 30, 40]
    assert metrics.preventable_share(alert_at, owner, paid, loss) == pytest.approx(0.4)
    late = metrics.preventable_share(alert_at, owner, paid, loss, reaction_s=601)
    assert late == pytest.approx(0.3)
    only_first = metrics.preventable_share(alert_at, owner, paid, loss, weight=[2, 0, 0])
    assert only_first == 1
    assert math.isnan(metrics.preventable_share(alert_at, [], [], []))


@SMALL
@given(events())
def test_brier_and_reliability_agree_with_scikit_learn_and_with_sums(rows):
    y, score, _, _ = rows
    assert metrics.brier(y, score) == pytest.approx(brier_score_loss(y, score, pos_label=1))
    curve = metrics.reliability(y, score, bins=4)
    assert curve.count.sum() == y.size
    assert curve.predicted @ curve.count == pytest.approx(score.sum())
    assert curve.observed @ curve.count == pytest.approx(y.sum())
    assert (curve.low <= curve.observed + 1e-12).all()
    assert (curve.observed <= curve.high + 1e-12).all()
    assert np.unique(curve.predicted).size == curve.predicted.size


def test_calibrated_scores_have_little_error_and_shifted_ones_theirs():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 30, 200_000)
    y = (rng.random(p.size) < p).astype(int)
    assert metrics.expected_calibration_error(y, p) < 0.002
    assert metrics.expected_calibration_error(y, p + 0.1) == pytest.approx(0.1, abs=0.003)
    assert math.isnan(metrics.expected_calibration_error([], []))


def test_errors_by_group_count_each_group_alone():
    y = [1, 1, 0, 0, 0, 1, 0]
    alerted = [1, 0, 1, 0, 0, 1, 0]
    group = ["18-40"] * 5 + ["65+"] * 2
    young, old = metrics.errors_by_group(y, alerted, group)
    assert (young.group, young.frauds, young.others) == ("18-40", 2, 3)
    assert young.false_alarm.value == pytest.approx(1 / 3)
    assert young.miss.value == 0.5
    assert old.miss.value == 0
    assert old.miss.low == 0
    assert old.miss.high < 1
    assert math.isnan(metrics.errors_by_group([0], [0], ["x"])[0].miss.value)
