"""The order of a shift: what it must never do, and what stands first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.dissuasion import WAYS, Rates, Tried, Way
from models.trees import ModelError
from models.tries import Tries
from models.work_list import Candidate, Next, best, ordered

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
RATES = Rates()


@st.composite
def candidates(draw: st.DrawFn, most: int = 12) -> list[Candidate]:
    count = draw(st.integers(0, most))
    return [_one(draw, f"c{number}") for number in range(count)]


def _one(draw: st.DrawFn, name: str) -> Candidate:
    tried = tuple(
        Tried(channel, "plain", reached, believed, 3.0, NOW - timedelta(minutes=ago))
        for channel, reached, believed, ago in draw(
            st.lists(
                st.tuples(
                    st.sampled_from(["call_96110", "visit", "pigeon"]),
                    st.booleans(),
                    st.sampled_from([False, None]),
                    st.integers(0, 90),
                ),
                max_size=2,
            )
        )
    )
    return Candidate(
        name,
        draw(st.floats(0.01, 1.0)),
        draw(st.sampled_from(["contact", "engaged", "paying"])),
        "loan",
        draw(st.sampled_from([0.0, 1e3, 1e4, 2.5e4, 1e5])),
        NOW - timedelta(minutes=draw(st.integers(0, 600))),
        draw(st.none() | st.just(NOW + timedelta(hours=1))),
        tried,
    )


MINUTES = st.floats(0, 300)


def worked_out(given_: list[Candidate], minutes: float) -> list[Next]:
    """The oracle: every case's every way worked out by itself, in plain Python."""
    steps = []
    for one in given_:
        singles = [
            only
            for way in WAYS
            if 0 < way.minutes <= minutes and (only := best(one, NOW, replace(RATES, ways=(way,))))
        ]
        if singles:
            step = max(singles, key=lambda step: (step.value_per_minute, -step.minutes))
            due = (one.deadline_at is None, one.deadline_at or NOW)
            steps.append(((-step.value_per_minute, *due, one.case_id), step))
    found = []
    for _, step in sorted(steps, key=lambda pair: pair[0]):
        if step.minutes <= minutes:
            minutes -= step.minutes
            found.append(step)
    return found


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(candidates(10), MINUTES, st.integers(1, 4))
def test_columns_give_what_each_case_by_itself_gives(
    given_: list[Candidate], minutes: float, portion: int
) -> None:
    twins = [*given_, *(replace(one, case_id=f"{one.case_id}-twin") for one in given_)]
    expected = tuple(worked_out(twins, minutes))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("models.work_list.PORTION", portion)
        assert ordered(twins, NOW, minutes, RATES) == expected
        assert ordered(twins, NOW, minutes, RATES, 3) == expected[:3]


@given(candidates(8).filter(len), st.sampled_from(WAYS))
def test_chances_in_columns_are_the_chances(given_: list[Candidate], way: Way) -> None:
    tries = Tries.of([one.attempts for one in given_], NOW)
    stage = np.array([one.stage for one in given_])
    single = [
        RATES.chance((way.channel, way.script), one.stage, one.attempts, NOW) for one in given_
    ]
    assert tries.chance(way, stage, RATES) == pytest.approx(single, rel=1e-12)


@given(candidates(8).filter(len))
def test_suspicions_in_columns_are_the_suspicions(given_: list[Candidate]) -> None:
    tries = Tries.of([one.attempts for one in given_], NOW)
    stage = np.array([one.stage for one in given_])
    score = np.array([one.score for one in given_])
    single = [RATES.suspicion(one.score, one.stage, one.attempts) for one in given_]
    assert tries.suspicion(score, stage, RATES) == pytest.approx(single, rel=1e-12)


@given(candidates(), MINUTES)
def test_the_list_never_exceeds_the_minutes(given_: list[Candidate], minutes: float) -> None:
    found = ordered(given_, NOW, minutes, RATES)
    assert sum(step.minutes for step in found) <= minutes
    assert len({step.case_id for step in found}) == len(found)
    assert all(step.value_per_minute > 0 for step in found)


@given(candidates(), MINUTES, st.randoms())
def test_the_order_of_the_input_says_nothing(
    given_: list[Candidate], minutes: float, random: Random
) -> None:
    shuffled = random.sample(given_, len(given_))
    assert ordered(shuffled, NOW, minutes, RATES) == ordered(given_, NOW, minutes, RATES)


@given(candidates().filter(len), MINUTES, st.data())
def test_more_loss_never_lowers_the_rank(
    given_: list[Candidate], minutes: float, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(given_) - 1))
    more = given_[place].expected_loss_cny * data.draw(st.floats(1, 10))
    grown = [*given_]
    grown[place] = replace(given_[place], expected_loss_cny=more)
    assert _rank(grown, minutes, place) <= _rank(given_, minutes, place)


def _rank(given_: list[Candidate], minutes: float, place: int) -> int:
    names = [step.case_id for step in ordered(given_, NOW, minutes, RATES)]
    return names.index(f"c{place}") if f"c{place}" in names else len(given_)


@given(candidates(), MINUTES)
def test_nobody_is_idle_while_a_way_fits(given_: list[Candidate], minutes: float) -> None:
    least = min(way.minutes for way in WAYS if way.minutes)
    assert len(ordered(given_, NOW, minutes + least, RATES)) >= min(
        1, len([one for one in given_ if one.expected_loss_cny])
    )


@given(candidates(), MINUTES)
def test_each_is_helped_the_way_that_buys_most_per_minute_and_those_first(
    given_: list[Candidate], minutes: float
) -> None:
    found = ordered(given_, NOW, minutes, RATES)
    each = {one.case_id: one for one in given_}
    for step in found:
        fitting = [
            only.value_per_minute
            for way in WAYS
            if 0 < way.minutes <= minutes
            and (only := best(each[step.case_id], NOW, replace(RATES, ways=(way,))))
        ]
        assert step.value_per_minute == max(fitting)
    values = [step.value_per_minute for step in found]
    assert values == sorted(values, reverse=True)


def test_ties_go_to_the_earlier_deadline_then_by_name() -> None:
    one = Candidate("b", 0.5, "engaged", "loan", 1e4, NOW)
    soon = replace(one, case_id="c", deadline_at=NOW)
    late = replace(one, case_id="a", deadline_at=NOW + timedelta(hours=1))
    names = [
        step.case_id
        for step in ordered([one, late, soon, replace(one, case_id="d")], NOW, 99, RATES)
    ]
    assert names == ["c", "a", "b", "d"]


def test_who_believed_is_called_last() -> None:
    one = Candidate("a", 0.5, "engaged", "loan", 1e4, NOW)
    calm = replace(one, attempts=(Tried("call_96110", "plain", True, True, 4.0, NOW),))
    steps = {
        step.case_id: step for step in ordered([one, replace(calm, case_id="b")], NOW, 99, RATES)
    }
    assert steps["b"].preventable_cny == pytest.approx(steps["a"].preventable_cny * 0.1, rel=0.7)
    assert list(steps) == ["a", "b"]


def test_who_listened_and_settled_nothing_comes_before_who_was_not_reached() -> None:
    one = Candidate("a", 0.05, "engaged", "loan", 1e4, NOW)
    call = Tried("call_96110", "plain", True, False, 4.0, NOW - timedelta(hours=2))
    heard = replace(one, case_id="b", attempts=(call,))
    unheard = replace(one, case_id="c", attempts=(replace(call, reached=False),))
    steps = {step.case_id: step for step in ordered([one, heard, unheard], NOW, 99, RATES)}
    assert list(steps) == ["b", "a", "c"]
    assert steps["b"].suspicion > steps["a"].suspicion == steps["c"].suspicion == 0.05


def test_after_disbelief_the_next_step_is_another() -> None:
    one = Candidate("a", 0.5, "engaged", "loan", 1e5, NOW)
    first = best(one, NOW, RATES)
    assert first is not None
    tried = tuple(Tried(first.channel, first.script, True, False, 4.0, NOW) for _ in range(3))
    second = best(replace(one, attempts=tried), NOW, RATES)
    assert second is not None
    assert (second.channel, second.script) != (first.channel, first.script)


def test_nothing_at_stake_nothing_to_do() -> None:
    assert ordered([Candidate("a", 0.5, "engaged", "loan", 0.0, NOW)], NOW, 480, RATES) == ()
    assert ordered([], NOW, 480, RATES) == ()
    with pytest.raises(ModelError, match="score from 0 to 1"):
        Candidate("a", 1.5, "engaged", "loan", 0.0, NOW)
