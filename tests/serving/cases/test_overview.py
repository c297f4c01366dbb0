"""The supervisor's counts, on cases worked as officers work them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from models.shares import Share
from serving.access.roles import Actor, Role
from serving.cases import attempts, outcomes
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.contracts import Attempt, Form, Outcome
from serving.cases.forms import Turn
from serving.cases.overview import FEWEST, Overview, Place, overview
from serving.console.overview import Comparison, fairness
from serving.problems import Problem

CHIEF = Actor("chief", Role.SUPERVISOR)
LOCAL = Actor("local", Role.SUPERVISOR, "渝中区")
LI = Actor("li", Role.OFFICER)
HOUR = timedelta(hours=1)
Act = Callable[..., Any]


@pytest.fixture
def act(database: Any, config: CaseConfig, now: datetime) -> Act:
    """Do something in a turn, so many hours after now."""

    def do(
        work: Callable[..., Awaitable[Any]], *args: Any, by: Actor = LI, hour: float = 0.5
    ) -> Any:
        async def one(connection: AsyncConnection) -> Any:
            return await work(Turn(connection, by, now + hour * HOUR, config), *args)

        return database.within(one)

    return do


def form(case: Case, version: int = 1) -> Form:
    return Form(case_id=case.case_id, version=version, key=f"key-{case.case_id}-{version}"[:64])


def called(*, reached: bool, believed: bool = False) -> Attempt:
    return Attempt(
        channel="call_96110", script="plain", minutes=4, reached=reached, believed=believed
    )


def test_each_case_is_counted_where_it_belongs(opened: Callable[..., Case], act: Act) -> None:
    saved = opened("tel_1", level="red", district="渝中区", amount_cny=30_000.0)
    lost = opened("tel_2", level="red", district="江北区")
    wrong = opened("tel_3", level="yellow", district="渝中区")
    opened("tel_4", level="blue", district="渝中区")
    act(attempts.record, form(saved), called(reached=True, believed=True))
    act(attempts.record, form(lost), called(reached=False))
    act(outcomes.record, form(saved, 2), Outcome(outcome="dissuaded"))
    act(outcomes.record, form(lost, 2), Outcome(outcome="paid", loss_cny=31_000.0))
    act(outcomes.record, form(wrong), Outcome(outcome="false_alarm"))

    found: Overview = act(overview, 7, by=CHIEF, hour=3)
    assert (found.load.count, found.load.by_level) == (1, {"blue": 1})
    assert sum(hour.opened for hour in found.load.hours) == 4
    assert sum(hour.closed for hour in found.load.hours) == 3
    assert len(found.load.hours) == 14  # 13 o'clock in the city runs
    # who was closed unreached before the deadline was neither in time nor late
    assert {one.level: one.in_time for one in found.kept} == {
        "red": Share(1, 1),
        "blue": Share(0, 1),
    }
    (way,) = found.tried
    assert (way.reached, way.believed) == (Share(1, 2), Share(1, 1))
    assert way.en == "96110 call, plain warning"
    assert found.outcomes == {"dissuaded": 1, "paid": 1, "false_alarm": 1}
    assert found.money.lost_cny == 31_000.0
    assert found.money.total_cny > 0
    assert found.false_alarms == {"red": Share(0, 2), "yellow": Share(1, 1)}
    assert [(one.name, one.cases, one.hidden) for one in found.places] == [
        ("渝中区", 3, True),
        ("江北区", 1, True),
    ]


def test_who_answers_for_a_district_sees_no_other(opened: Callable[..., Case], act: Act) -> None:
    opened("tel_1", district="渝中区")
    there = opened("tel_2", district="江北区")
    opened("tel_3")
    act(attempts.record, form(there), called(reached=True))
    act(outcomes.record, form(there, 2), Outcome(outcome="false_alarm"))
    found: Overview = act(overview, 7, by=LOCAL, hour=2)
    assert found.load.count == 1
    assert (found.tried, found.outcomes, found.false_alarms) == ((), {}, {})
    assert [one.name for one in found.places] == ["渝中区"]


def test_an_outcome_taken_back_no_longer_counts(opened: Callable[..., Case], act: Act) -> None:
    case = opened()
    act(outcomes.record, form(case), Outcome(outcome="false_alarm"))
    act(outcomes.reverse, form(case, 2), "the wrong case")
    found: Overview = act(overview, 7, by=CHIEF, hour=1)
    assert found.outcomes == {}
    assert found.load.count == 1


def test_what_is_older_than_the_period_is_left_out(opened: Callable[..., Case], act: Act) -> None:
    case = opened()
    act(outcomes.record, form(case), Outcome(outcome="false_alarm"))
    assert act(overview, 7, by=CHIEF, hour=24 * 6).outcomes == {"false_alarm": 1}
    assert act(overview, 7, by=CHIEF, hour=24 * 8).outcomes == {}
    assert act(overview, 30, by=CHIEF, hour=24 * 8).outcomes == {"false_alarm": 1}


def test_an_officer_has_no_overview(act: Act) -> None:
    with pytest.raises(Problem, match="forbidden"):
        act(overview, 7)


def test_few_cases_prove_nothing(opened: Callable[..., Case], act: Act) -> None:
    for number in range(FEWEST):
        opened(f"tel_{number}", district="渝中区")
    (place,) = act(overview, 7, by=CHIEF).places
    assert not place.hidden
    assert place.shown("false_alarms") is None
    assert "nothing can be concluded" in fairness(Comparison.of((place,)))[1]


def test_reach_and_belief_count_citizens_not_calls(opened: Callable[..., Case], act: Act) -> None:
    """Of one called three times, one reached in vain, one nobody tried, and one in no danger."""
    often, vain, _, wrong = (opened(f"tel_{number}", district="渝中区") for number in range(4))
    for version, reached in ((1, False), (2, False), (3, True)):
        act(attempts.record, form(often, version), called(reached=reached, believed=reached))
    act(attempts.record, form(vain), called(reached=True))
    act(attempts.record, form(wrong), called(reached=True, believed=True))
    act(outcomes.record, form(wrong, 2), Outcome(outcome="false_alarm"))
    (place,) = act(overview, 7, by=CHIEF, hour=2).places
    assert (place.cases, place.false_alarms) == (4, Share(1, 1))
    assert (place.reached, place.believed) == (Share(3, 3), Share(1, 2))


def test_a_district_apart_is_marked_and_chance_is_told() -> None:
    usual = tuple(Place(f"第{name}区", 200, Share(20, 100), Share(60, 100)) for name in "一二三四")
    other = Place("甲区", 200, Share(55, 100), Share(58, 100))
    little = Place("乙区", FEWEST - 1, Share(9, 9), Share(0, 9))
    few = Place("丙区", 40, Share(FEWEST - 1, FEWEST - 1))
    found = Comparison.of((*usual, other, little, few))
    assert found.whole == (Share(135, 500), Share(298, 500), Share(0, 0))  # nobody small in it
    assert found.compared == 10
    assert found.apart("false_alarms") == [other]
    assert found.apart("reached") == []
    marks = {place.name: [cell.apart for cell in cells] for place, cells in found.rows}
    assert marks["甲区"] == [1, 0, 0]
    assert marks["乙区"] == marks["丙区"] == [0, 0, 0]
    zh, en = fairness(found)
    assert zh.startswith("误报率：甲区。")
    assert "Of the 10 shares compared about 1 would do so by chance alone" in en


def test_districts_alike_prove_nothing_either() -> None:
    alike = tuple(Place(name, 200, Share(20, 100), Share(60, 100)) for name in ("甲区", "乙区"))
    assert "does not prove that there is none" in fairness(Comparison.of(alike))[1]
    # one district alone, as who answers for it sees it, is compared with nobody
    assert Comparison.of(alike[:1]).compared == 0
