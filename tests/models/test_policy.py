"""Levels stay within the hands there are, whatever ties and small samples do."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policy import Policy, levels_from_text, standard_levels
from models.trees import ModelError


def fitted(scores, per_day=10.0, days=5, **more) -> Policy:
    scores = np.asarray(scores, dtype=np.float64)
    day = np.arange(len(scores)) % days
    return Policy.fit(scores, day, np.arange(len(scores)), standard_levels(per_day), **more)


def warned(policy: Policy, scores: np.ndarray, days: int) -> list[float]:
    ranks = policy.ranks(scores)
    return [float((ranks <= level).sum()) / days for level in range(len(policy.levels))]


scores_lists = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.9, 1.0])),
    min_size=1,
    max_size=300,
)


@settings(max_examples=100, deadline=None)
@given(scores=scores_lists, per_day=st.floats(0.1, 80), days=st.integers(1, 6))
def test_never_beyond_capacity(scores, per_day, days) -> None:
    policy = fitted(scores, per_day, days)
    found = np.asarray(scores)
    allowed = np.cumsum([level.per_day for level in policy.levels])
    span = max(1, len(set(np.arange(len(scores)) % days)))
    for count, most in zip(warned(policy, found, span), allowed, strict=True):
        assert count <= most + 1e-9
    for level, threshold in zip(policy.levels, policy.thresholds, strict=True):
        assert threshold >= min(level.floor, policy.thresholds[0])


@settings(max_examples=50, deadline=None)
@given(scores=scores_lists, probe=st.floats(0, 1))
def test_ranks_and_level_agree(scores, probe) -> None:
    policy = fitted(scores)
    rank = int(policy.ranks(np.array([probe]))[0])
    level = policy.level(probe)
    assert level == (policy.levels[rank] if rank < len(policy.levels) else None)


def test_as_many_as_there_are_hands_without_ties() -> None:
    scores = np.linspace(0.02, 0.99, 1_000)
    policy = fitted(scores, per_day=20, days=10)
    assert warned(policy, scores, 10) == [2.0, 8.0, 20.0]
    assert policy.per_day == (2.0, 6.0, 12.0)


def test_a_citizen_counts_once_a_day_at_the_days_highest() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    same = Policy.fit(scores, np.zeros(5, int), np.zeros(5, int), standard_levels(10))
    assert same.per_day == (1.0, 0.0, 0.0)
    assert same.level(0.9).name == "red"


def test_equal_scores_are_warned_together_or_not_at_all() -> None:
    policy = fitted([0.9] * 30 + [0.5] * 5, per_day=10, days=1)
    assert policy.level(0.9) is None
    assert policy.level(np.nextafter(0.9, 1)).name == "red"


def test_nobody_is_warned_below_the_floor_however_many_hands_are_free() -> None:
    policy = fitted([0.001] * 50 + [0.3], per_day=1_000, days=1)
    assert policy.level(0.3).name == "red"
    assert policy.level(0.001) is None
    assert policy.threshold == 0.01


def test_a_sample_of_the_citys_citizens_gets_its_share_of_hands() -> None:
    scores = np.linspace(0.1, 0.99, 100)
    whole, tenth = fitted(scores, 40, 1), fitted(scores, 40, 1, share=0.1)
    assert (whole.ranks(scores) < 3).sum() == 40
    assert (tenth.ranks(scores) < 3).sum() == 4
    assert sum(tenth.per_day) == 40.0


def test_a_day_without_a_warning_is_a_day() -> None:
    day = np.array([0, 0, 0, 9])
    policy = Policy.fit(np.array([0.9, 0.8, 0.7, 0.6]), day, np.arange(4), standard_levels(0.2))
    assert sum(policy.per_day) == pytest.approx(0.2)


def test_no_scores_are_refused() -> None:
    with pytest.raises(ModelError, match="take more days"):
        fitted([])


@settings(max_examples=50, deadline=None)
@given(scores=scores_lists)
def test_text_comes_back_to_the_same_bits(scores) -> None:
    policy = fitted(scores)
    assert Policy.from_text(policy.to_text()) == policy


def test_advice_is_a_channel_and_a_deadline_that_shortens_with_the_stage() -> None:
    policy = fitted(np.linspace(0.02, 0.99, 1_000))
    stages = ("contact", "engaged", "paying")
    deadlines = [policy.advise(0.9999, stage).deadline_s for stage in stages]
    assert deadlines == sorted(deadlines, reverse=True)
    advice = policy.advise(0.9999, "paying")
    assert advice.channel.code == "visit"
    assert advice.en == "red warning: visit by the station, 96110 calling, within 10 min"
    assert advice.zh == "红色预警：10分钟内派出所上门见面劝阻，同时96110拨打"
    assert policy.advise(0.0, "paying") is None


def test_urgent_levels_are_never_slower() -> None:
    levels = standard_levels()
    for higher, lower in pairwise(levels):
        for stage, seconds in higher.deadline_s.items():
            assert seconds <= lower.deadline_s[stage]


def test_a_city_may_use_its_own_words() -> None:
    policy = fitted(np.linspace(0, 1, 100))
    ours = policy.renamed({"red": {"zh": "紫色预警", "colour": "#6a1b9a"}})
    assert (ours.levels[0].zh, ours.levels[0].colour) == ("紫色预警", "#6a1b9a")
    assert ours.thresholds == policy.thresholds
    with pytest.raises(ModelError, match=r"found \['purple'\]"):
        policy.renamed({"purple": {}})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"thresholds": (0.1, 0.2, 0.3)}, "thresholds that fall"),
        ({"thresholds": (0.3, 0.2)}, "one threshold each"),
        ({"thresholds": (float("nan"), 0.2, 0.1)}, "thresholds that fall"),
        ({"levels": (standard_levels()[0],) * 3}, "different names"),
        ({"levels": (), "thresholds": ()}, "different names"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(changes, match) -> None:
    with pytest.raises(ModelError, match=match):
        replace(fitted(np.linspace(0, 1, 100)), **changes)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"per_day": -1.0}, "per_day >= 0"),
        ({"floor": 2.0}, "floor from 0 to 1"),
        ({"deadline_s": {"paying": 60}}, r"add \['contact', 'engaged'\]"),
        ({"deadline_s": dict.fromkeys(("paying", "contact", "engaged"), 0)}, "above 0 s"),
    ],
)
def test_a_level_that_makes_no_sense_is_refused(changes, match) -> None:
    with pytest.raises(ModelError, match=match):
        replace(standard_levels()[0], **changes)


@pytest.mark.parametrize("text", ["", '{"red": 1}', "[{}]", "[1]", '[{"name": "red"}]', "null"])
def test_levels_of_another_shape_are_refused(text) -> None:
    with pytest.raises(ModelError, match="expected a JSON list of levels with name, zh, en"):
        levels_from_text(text)
