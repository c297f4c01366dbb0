"""Reasons: really the model's, grouped, in sentences an officer can check in both languages."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet, FeatureSpec
from models.norms import Norms
from models.phrases import fact, kind_words, said
from models.reasons import explain
from models.remedies import KEYED, TOPICS, remedy
from models.trees import ModelError

CALLS = tuple(FeatureSpec("subscriber", "count", "call_in_new", w) for w in ("1h", "24h", "30d"))
AMOUNT = FeatureSpec("event", "value", "amount")
MEAN = FeatureSpec("subscriber", "mean", "transfer", "30d", "amount")
REPORTS = FeatureSpec("counterpart", "count", "report", "30d")
FEW = FeatureSet((*CALLS, AMOUNT, MEAN, REPORTS))
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def norms() -> Norms:
    rng = np.random.default_rng(0)
    X = rng.poisson(0.5, size=(2_000, len(FEW))).astype(float)
    X[:, 3] = rng.gamma(2.0, 200.0, size=2_000).round()
    X[:, 5] = 0.0
    return Norms.fit(X, np.array(["transfer"] * 2_000), FEW.names)


def told(vector, contributions, norms, **more):
    vector, contributions = np.array(vector), np.array(contributions)
    return explain(vector, contributions, "transfer", FEW, norms, **more)


VECTOR = [2.0, 5.0, 6.0, 48_000.0, 600.0, 3.0]


def test_windows_of_one_story_are_one_reason(norms) -> None:
    reasons = told(VECTOR, [0.5, 1.0, -0.25, 2.0, 0.0, 0.75, -4.0], norms)
    assert [reason.feature for reason in reasons] == [AMOUNT.name, CALLS[1].name, REPORTS.name]
    calls = reasons[1]
    assert calls.features == tuple(spec.name for spec in CALLS)
    assert calls.contribution == 1.25
    assert calls.share == pytest.approx(1.25 / 4.0)
    assert sum(reason.share for reason in reasons) == pytest.approx(1.0)


def test_a_reason_says_value_own_habit_peers_and_weight(norms) -> None:
    amount = told(VECTOR, [0.5, 1.0, -0.25, 2.0, 0.0, 0.75, -4.0], norms)[0]
    usual = norms.usual(AMOUNT.name, "transfer")
    assert amount.en == (
        "This event: amount is CNY 48,000; this citizen's 30 days: about CNY 600; "
        f"above 99.9% of harmless transfers (usually CNY {usual:,.0f}); "
        "50% of what raised the score."
    )
    assert amount.zh == (
        "本次事件：转账金额为48,000元；本人近30天平均约600元；"
        f"高于99.9%的无害转账（通常{usual:,.0f}元）；占升高分值因素的50%。"
    )
    assert (amount.value, amount.unit, amount.normal_citizen) == (48_000.0, "CNY", 600.0)
    assert amount.normal_peers == norms.of(AMOUNT.name, "transfer")[5]


def test_the_own_habit_is_brought_to_the_same_span(norms) -> None:
    calls = told(VECTOR, [0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], norms)[0]
    assert calls.normal_citizen == pytest.approx(6.0 / 30.0)


def test_the_own_habit_is_read_from_a_ratio_where_only_that_is_known() -> None:
    count = FeatureSpec("subscriber", "count", "call_in", "24h")
    pair = FeatureSet((count, FeatureSpec("subscriber", "habit", "call_in", "24h")))
    X = np.ones((200, 2))
    norms = Norms.fit(X, np.array(["call"] * 200), pair.names)
    args = np.array([1.0, 0.0, 0.0]), "call", pair, norms
    assert explain(np.array([6.0, 3.0]), *args)[0].normal_citizen == 2.0
    assert explain(np.array([0.0, np.nan]), *args)[0].normal_citizen is None


def test_what_is_missing_is_said_to_be_missing(norms) -> None:
    reason = told([math.nan] * 6, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], norms)[0]
    assert (reason.value, reason.normal_citizen) == (None, None)
    assert reason.en.startswith("This event: amount is: nothing on record; 100% of what raised")
    assert reason.zh.startswith("本次事件：转账金额为：无记录；")


def test_where_nothing_raised_the_score_the_lowering_is_told(norms) -> None:
    reasons = told(VECTOR, [-0.5, -0.5, 0.0, -3.0, 0.0, 0.0, 0.0], norms)
    assert [reason.share for reason in reasons] == [-0.75, -0.25]
    assert "75% of what lowered the score" in reasons[0].en


def test_no_contribution_no_reason(norms) -> None:
    assert told(VECTOR, [0.0] * 7, norms) == ()


def test_only_the_strongest_are_told(norms) -> None:
    assert len(told(VECTOR, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], norms, limit=2)) == 2


def test_lengths_must_fit(norms) -> None:
    with pytest.raises(ModelError, match="expected 6 values and as many contributions"):
        told(VECTOR, [1.0, 0.0], norms)


numbers = st.one_of(st.floats(0, 1e6), st.integers(0, 30).map(float), st.just(math.nan))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_reasons_hold_on_every_vector(data, everyone) -> None:
    seed = data.draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    size = len(FRAUD_FEATURES)
    vector = np.where(rng.random(size) < 0.3, np.nan, rng.gamma(1.0, 10.0, size).round())
    weights = rng.normal(size=size + 1) * (rng.random(size + 1) < 0.5)
    kind = data.draw(st.sampled_from(["call", "sms", "app", "transfer", "lead"]))
    reasons = explain(vector, weights, kind, FRAUD_FEATURES, everyone, limit=size)
    parts = [reason.contribution for reason in reasons]
    assert parts == sorted(parts, reverse=True)
    assert all(part > 0 for part in parts)
    assert sum(reason.share for reason in reasons) == pytest.approx(1.0)
    named = [name for reason in reasons for name in reason.features]
    assert len(named) == len(set(named))
    for reason in reasons:
        assert reason.feature in reason.features
        assert not re.search(r"\{|\bnan\b|\binf\b", reason.zh + reason.en)


@pytest.fixture(scope="module")
def everyone() -> Norms:
    X = np.random.default_rng(3).poisson(2.0, (400, len(FRAUD_FEATURES))).astype(float)
    return Norms.fit(X, np.array(["call", "transfer"] * 200), FRAUD_FEATURES.names)


@pytest.mark.parametrize("spec", FRAUD_FEATURES.specs, ids=lambda spec: spec.name)
def test_every_feature_has_words_and_a_remedy(spec) -> None:
    cure = remedy(spec)
    assert CHINESE.search(cure.clears_zh)
    assert CHINESE.search(cure.check_zh)
    assert not CHINESE.search(cure.clears_en + cure.check_en)
    for value in (0.0, 1.0, 2_500.0, math.nan):
        zh, en = fact(spec, value)
        assert CHINESE.search(zh)
        assert not CHINESE.search(en)
        assert not re.search(r"[{}]|\(s\)|（s）|CNY\)|（CNY|为是|  | in in |\bnan\b", zh + en)


def test_remedies_are_specific() -> None:
    """Twenty reasons that all say the same would be none: most topics have their own words."""
    cures = {id(cure) for cure in (*TOPICS.values(), *KEYED.values())}
    assert len(cures) >= 20


def test_a_topic_without_a_remedy_is_an_error() -> None:
    class Unknown:
        what, key, stream, name = "count", "subscriber", "newest", "subscriber.newest.count"

    with pytest.raises(KeyError, match=r"write one in models/remedies\.py"):
        remedy(Unknown())


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (3.0, "events", "3", "3"),
        (0.4, "events", "0.4", "0.4"),
        (0.0123, "times", "0.012", "0.012"),
        (1_234.5, "times", "1,234", "1,234"),
        (59.0, "s", "59秒", "59 s"),
        (1_260.0, "s", "21分钟", "21 min"),
        (9_000.0, "s", "2.5小时", "2.5 h"),
        (86_400.0 * 12, "s", "12天", "12 days"),
        (0.256, "share", "26%", "26%"),
        (1.0, "yes/no", "是", "yes"),
        (0.0, "yes/no", "否", "no"),
        (6.0, "day", "周日", "Sunday"),
        (23.0, "hour", "23时", "23 h"),
        (350.0, "%", "350%", "350%"),
        (40.0, "days", "40天", "40 days"),
    ],
)
def test_numbers_are_said_as_officers_say_them(value, unit, zh, en) -> None:
    assert said(value, unit) == (zh, en)


def test_codes_are_said_in_words() -> None:
    assert fact(FeatureSpec("event", "value", "action"), 3.0).en == (
        "this event: app action is remote control"
    )
    assert fact(FeatureSpec("event", "value", "grade"), 3.0).zh == "本次事件：线索级别为紧急"
    assert fact(FeatureSpec("event", "value", "kind"), 3.0).zh == "本次事件：事件种类为转账"
    assert fact(FeatureSpec("event", "value", "channel"), 99.0).en == "this event: channel is 99"


def test_who_was_never_seen_is_said_so() -> None:
    never = fact(FeatureSpec("counterpart", "since_first", "any"), math.nan)
    assert never.zh == "对方此前没有各类活动记录"
    assert never.en == "the counterpart: no activities of any kind on record before"


def test_money_is_large_and_time_is_long() -> None:
    longest = fact(FeatureSpec("subscriber", "max", "call_in_new", "24h", "duration"), 2_400.0)
    assert longest.zh == "本人近24小时陌生来电最长一次40分钟"
    largest = fact(FeatureSpec("subscriber", "max", "transfer", "30d", "amount"), 2_400.0)
    assert largest.zh == "本人近30天转账最大一次2,400元"


def test_a_citizens_report_is_not_one_about_the_citizen() -> None:
    own = fact(FeatureSpec("subscriber", "count", "report", "30d"), 1.0)
    assert own.zh == "本人近30天本人报案1次"
    assert own.en == "the subscriber: own reports of fraud in the last 30 days: 1"


def test_an_unknown_kind_still_has_peers() -> None:
    assert kind_words("meeting").en == "events"
