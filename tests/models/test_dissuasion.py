"""Chances, hazard and estimates: what they must never do, whatever comes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.dissuasion import WAYS, Beta, Hazard, Left, Rates, Tried, loss_avoided, stage_after
from models.trees import ModelError

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
STAGES = ("contact", "engaged", "paying")
KEYS = [(way.channel, way.script) for way in WAYS]

ways = st.sampled_from(KEYS)
stages = st.sampled_from(STAGES)


@st.composite
def tries(draw: st.DrawFn) -> Tried:
    channel, script = draw(ways)
    reached = draw(st.booleans())
    believed = draw(st.none() | st.booleans()) if reached else False
    ago = timedelta(minutes=draw(st.integers(0, 3_000)))
    return Tried(channel, script, reached, believed, 3.0, NOW - ago)


many = st.lists(tries(), max_size=6)


def doubted(way: tuple[str, str], minutes_ago: float = 0) -> Tried:
    return Tried(*way, True, False, 3.0, NOW - timedelta(minutes=minutes_ago))


@given(ways, stages, many)
def test_a_chance_is_a_chance(way: tuple[str, str], stage: str, tried: list[Tried]) -> None:
    assert 0.0 < Rates().chance(way, stage, tried, NOW) < 1.0


@given(ways, ways, stages, many)
def test_disbelief_of_another_way_never_helps(
    way: tuple[str, str], other: tuple[str, str], stage: str, tried: list[Tried]
) -> None:
    rates = Rates()
    if other[0] != way[0]:  # of the same channel it also says that the citizen answers
        again = rates.chance(way, stage, [*tried, doubted(other)], NOW)
        assert again < rates.chance(way, stage, tried, NOW)


@given(stages, st.integers(0, 600), st.integers(1, 600))
def test_an_unanswered_call_is_forgotten(stage: str, ago: int, longer: int) -> None:
    way = ("call_96110", "plain")
    chances = [
        Rates().chance(way, stage, [Tried(*way, False, False, 1.0, NOW - minutes)], NOW)
        for minutes in (timedelta(minutes=ago), timedelta(minutes=ago + longer))
    ]
    assert chances[0] <= chances[1] <= Rates().chance(way, stage, [], NOW)


@given(many)
def test_the_deeper_the_stage_the_smaller_the_chance(tried: list[Tried]) -> None:
    for way in KEYS:
        chances = [Rates().chance(way, stage, tried, NOW) for stage in STAGES]
        assert chances == sorted(chances, reverse=True)


@given(st.floats(0.0, 1.0), stages, st.lists(st.booleans(), max_size=200))
def test_talks_that_settle_nothing_raise_the_suspicion_and_silence_does_not(
    score: float, stage: str, heard: list[bool]
) -> None:
    tried = [Tried("call_96110", "plain", yes, False, 4.0, NOW) for yes in heard]
    found = Rates().suspicion(score, stage, tried)
    assert score * (1 - 1e-9) <= found <= 1.0
    if not any(heard):
        assert found == pytest.approx(score, abs=0.0)
    elif 1e-9 < score < 1 - 1e-9:
        assert found > score


def test_suspicion_is_by_bayes_rule() -> None:
    """100 victims and 300 honest: of those who listen and are not believed, whose are left?"""
    rates = replace(Rates(), cleared=Beta.of(0.8, 10))
    doubted = Tried("call_96110", "plain", True, False, 4.0, NOW)
    victims, honest = 100 * (1 - 1 / 3), 300 * (1 - 0.8)
    expected = victims / (victims + honest)
    assert rates.suspicion(0.25, "engaged", [doubted]) == pytest.approx(expected)
    strange = replace(doubted, channel="pigeon")
    assert rates.suspicion(0.25, "engaged", [strange]) == pytest.approx(0.25)
    often = rates.settle(0, 1_000)  # if nobody can show it, a doubter is rather honest
    assert often.suspicion(0.25, "engaged", [doubted] * 100) < 0.25


def test_a_thousand_attempts_outweigh_the_prior() -> None:
    way = ("visit", "scheme")
    told = [Tried(*way, n % 10 < 9, n % 10 < 3, 40.0, NOW) for n in range(1_000)]
    learnt = Rates().learn(told)
    assert learnt.reach["visit"].mean == pytest.approx(0.9, abs=0.01)
    assert learnt.belief[way].mean == pytest.approx(1 / 3, abs=0.01)
    assert learnt.reach["call_96110"] == Rates().reach["call_96110"]


def test_what_is_not_known_of_belief_teaches_reach_only() -> None:
    way = ("call_96110", "plain")
    learnt = Rates().learn([Tried(*way, True, None, 4.0, NOW)] * 100)
    assert learnt.reach["call_96110"].mean > 0.8
    assert learnt.belief == Rates().belief
    untold = Tried(*way, True, None, 4.0, NOW)
    assert not untold.doubted
    assert stage_after("contact", untold) == "contact"


@given(
    st.lists(
        st.builds(Left, stages, st.floats(0.1, 1e3), st.floats(1.0, 1e6)), min_size=1, max_size=20
    )
)
def test_the_learnt_pace_lies_between_what_was_held_and_what_was_seen(left: list[Left]) -> None:
    for stage in STAGES:
        mine = [one for one in left if one.stage == stage]
        held, learnt = (one.per_hour(stage) for one in (Hazard(), Hazard().learn(left)))
        if not mine:
            assert learnt == held
            continue
        seen = Hazard().learn(left, weight=0.0).per_hour(stage)
        assert min(held, seen) * (1 - 1e-9) <= learnt <= max(held, seen) * (1 + 1e-9)


def test_the_learnt_pace_is_the_moneys() -> None:
    """A yuan that waits an hour and nine that wait eleven: ten hours on average."""
    left = [Left("paying", 1.0, 1.0), Left("paying", 11.0, 9.0)]
    assert Hazard().learn(left, weight=0.0).per_hour("paying") == pytest.approx(0.1)


def test_attempts_of_unknown_ways_teach_nothing() -> None:
    assert Rates().learn([Tried("pigeon", "plain", True, True, 1.0, NOW)]) == Rates()


def test_calls_succeed_as_the_source_says() -> None:
    """Shenzhen: five calls a success."""
    chance = Rates().chance(("call_96110", "plain"), "engaged", [], NOW)
    assert chance == pytest.approx(0.2)


def test_every_prior_names_its_source() -> None:
    rates = Rates()
    assert all(one.source for one in (*rates.reach.values(), *rates.belief.values(), rates.cleared))


def test_a_way_without_rates_is_named() -> None:
    with pytest.raises(ModelError, match="visit x plain"):
        Rates(belief={key: beta for key, beta in Rates().belief.items() if key[0] != "visit"})
    with pytest.raises(ModelError, match="more than 0"):
        Beta(0.0, 3.0)
    with pytest.raises(ModelError, match="expected a stage"):
        Hazard().per_hour("gone")


@given(stages, st.floats(0, 1e3), st.floats(0, 1e3))
def test_money_only_leaves(stage: str, hours: float, more: float) -> None:
    assert 0.0 <= Hazard().stays(stage, hours + more) <= Hazard().stays(stage, hours) <= 1.0


@given(st.floats(0, 1e7), stages, st.integers(0, 300))
def test_what_was_avoided_is_at_most_the_loss(loss: float, stage: str, hours: int) -> None:
    avoided = loss_avoided(loss, stage, timedelta(hours=hours))
    assert 0.0 <= avoided.cny <= loss + 5.0  # rounded to tens
    assert avoided.method
    assert "估计" in avoided.zh
    assert "estimate" in avoided.en


@given(stages, tries())
def test_a_stage_never_falls(stage: str, tried: Tried) -> None:
    assert STAGES.index(stage_after(stage, tried)) >= STAGES.index(stage)
