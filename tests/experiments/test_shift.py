"""The shift comparison: its shape in a small run, and the desk's rules one by one."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from data.simulator import City, simulate
from data.simulator.city import HOUR, SECOND
from data.simulator.dissuasion import Dissuasion, Manners, Taken
from data.simulator.dissuasion_money import Swindles
from experiments.result import Result
from experiments.shift import SHOWN, TUNED_ON, UNMERGED, Plan, run
from experiments.shift_alerts import Chain, Warned
from experiments.shift_desk import Case, Desk, Duty, Ledger, Step, worked
from experiments.shift_orders import (
    CALL,
    FIRST,
    MINUTES,
    NOBODY,
    ORACLE,
    ORDERS,
    OURS,
    Ranked,
    WorkList,
    by_call,
    oracle,
)
from experiments.shift_tally import Tally, Worked
from models.dissuasion import Hazard
from models.policy import Policy, standard_levels
from models.work_list import Next

CHAIN = Chain(city=City(subscribers=200, days=3, staged=0), days=2)
BEGIN = int(CHAIN.begins.timestamp()) * SECOND
NOON = BEGIN + 12 * HOUR
POLICY = Policy(standard_levels(100), (0.5, 0.2, 0.1))
DEAF = Manners(reach=dict.fromkeys(Manners().reach, 1e-9))
READY = Manners(
    reach=dict.fromkeys(Manners().reach, 1.0 - 1e-9) | {"sms_12381": 1e-9},
    belief=dict.fromkeys(Manners().belief, 1.0 - 1e-9),
    relapse=0.0,
    cleared=1.0,
)


@pytest.fixture(scope="module")
def result() -> Result:
    return run(quick=True)


def desk(manners: Manners, *warnings: tuple[int, int, float], merged: bool = True) -> Desk:
    """Warnings as (citizen, moment, score); citizen 1 loses 500 yuan two hours after noon."""
    same = ("loan", "engaged", 1, False, 0.0, 9_000.0)
    events = pd.DataFrame(
        [(*one, *same) for one in warnings],
        columns=["subscriber", "at", "score", "scam_type", "stage", "level", "lead",
                 "amount_cny", "expected_loss_cny"],
    )  # fmt: skip
    warned = Warned(simulate(CHAIN.city), events, POLICY, Hazard(), CHAIN)
    life = Swindles({1: [(NOON - HOUR, "engaged")]}, {1: [(NOON + 2 * HOUR, 500.0)]})
    return Desk(warned, Dissuasion(life, manners, 1), Duty(officers=((8, 20, 1),), merged=merged))


def test_every_order_is_shown_and_said_to_be_simulated(result: Result) -> None:
    assert [row[0] for row in result.rows] == list(SHOWN)
    assert {len(row) for row in result.rows} == {len(result.columns)}
    assert result.title.startswith("Simulated cities")
    assert result.notes[0].startswith("Simulated: 2 cities (seeds 7, 8; settings were chosen on")


def test_promised_figures_are_there_as_numbers(result: Result) -> None:
    figures = json.loads(json.dumps(dict(result.figures), allow_nan=False))
    for value, interval in (
        ("gain_over_score_percent", "gain_over_score_interval"),
        ("share_of_oracle", "share_of_oracle_interval"),
    ):
        low, high = figures[interval]
        assert low <= figures[value] <= high
    assert figures["simulated"] is True
    assert figures["duplicates"][OURS] == 0 < figures["duplicates"][UNMERGED]
    assert figures["cny_per_officer_hour"][NOBODY] == 0.0
    assert set(figures["deadlines_kept"]) == set(figures["duplicates_share"]) == set(SHOWN)


def test_cities_are_shown_one_by_one_and_add_up(result: Result) -> None:
    whole, each = result.figures["cny_per_officer_hour"], result.figures["by_city"]
    assert list(each) == ["7", "8"]
    for name in SHOWN:
        found = [city["cny_per_officer_hour"][name] for city in each.values()]
        assert np.mean(found) == pytest.approx(whole[name], abs=1e-3)
        counted = [city["duplicates"][name] for city in each.values()]
        assert sum(counted) == result.figures["duplicates"][name]


def test_no_city_is_judged_that_settings_were_chosen_on_and_none_shares_its_luck() -> None:
    plan = Plan()
    seeds = [seed for place in range(len(plan.chains)) for seed in plan.seeds(place)]
    assert len(set(seeds)) == len(plan.chains) * plan.courses
    tuned = Chain(city=City(seed=TUNED_ON[-1], staged=0))
    with pytest.raises(
        ValueError, match="expected cities of different seeds, none of them \\(3, 11"
    ):
        Plan(chains=[tuned])
    with pytest.raises(ValueError, match="found seeds"):
        Plan(chains=[plan.chains[0]] * 2)


def city(better: float, noise: float, seed: int) -> Worked:
    """Days of very unequal money; one order saves a constant share more, but for its own noise."""
    rng = np.random.default_rng(seed)
    money = rng.lognormal(9.0, 1.0, 20)
    other = money * better * np.exp(noise * rng.standard_normal((3, 20)))
    rest = (1, 1, 0, 1, 0, 1, 1, 4.0)
    told = {"a": other, "b": np.array([money] * 3), "idle": np.zeros((3, 20))}
    return Worked({name: [Ledger(one, *rest) for one in rows] for name, rows in told.items()},
                  "idle")  # fmt: skip


def test_what_all_orders_share_does_not_widen_the_gain() -> None:
    tally = Tally([city(1.3, 0.0, 1), city(1.3, 0.0, 2), city(1.3, 0.0, 3)], 24.0)
    for gain in (tally.gain("a", "b"), tally.gain_elsewhere("a", "b")):
        assert (gain.low, gain.value, gain.high) == pytest.approx((30.0, 30.0, 30.0))
    money = tally.an_hour("b")
    assert money.low < 0.9 * money.value < 1.1 * money.value < money.high


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = np.array([holds(rng) for _ in range(300)]).mean(axis=0)
    assert (held > 0.9).all()


def holds(rng: np.random.Generator) -> tuple[bool, bool]:
    """Whether a gain's two intervals hold a true 25 %: luck in each cell, courses that differ."""
    cities = []
    for _ in range(4):
        money = rng.lognormal(9.0, 1.0, (1, 12)) * np.ones((4, 1))
        course = np.exp(0.1 * rng.standard_normal((4, 1)) - 0.1**2 / 2)
        luck = rng.binomial(1, [[[0.5]], [[0.4]]], (2, 4, 12))
        money = np.stack([money * course, money, 0 * money]) * np.stack([*luck, luck[0]])
        rest = (1, 1, 0, 1, 0, 1, 1, 4.0)
        names = ("a", "b", "idle")
        cities.append(
            Worked({n: [Ledger(o, *rest) for o in m] for n, m in zip(names, money, strict=True)},
                   "idle")
        )  # fmt: skip
    tally = Tally(cities, 24.0)
    found = tally.gain("a", "b"), tally.gain_elsewhere("a", "b")
    return found[0].low <= 25 <= found[0].high, found[1].low <= 25 <= found[1].high


def test_the_interval_grows_with_what_differs_and_another_city_is_less_certain() -> None:
    same = Tally([city(1.3, 0.1, seed) for seed in (1, 2, 3, 4)], 24.0)
    unlike = Tally([city(1.0 + 0.2 * seed, 0.1, seed) for seed in (1, 2, 3, 4)], 24.0)

    here, there = unlike.gain("a", "b"), unlike.gain_elsewhere("a", "b")
    steady = same.gain_elsewhere("a", "b")
    assert here.value == pytest.approx(there.value)
    assert there.high - there.low > here.high - here.low > 0
    assert there.high - there.low > steady.high - steady.low


def test_two_cities_say_nothing_of_a_third() -> None:
    gain = Tally([city(1.3, 0.1, 1), city(1.2, 0.1, 2)], 24.0).gain_elsewhere("a", "b")
    assert np.isfinite(gain.value)
    assert np.isnan([gain.low, gain.high]).all()


def test_one_citizen_is_one_case_and_without_merging_he_is_called_again() -> None:
    twice = ((1, NOON, 0.3), (1, NOON + 60 * SECOND, 0.6))
    merged = desk(DEAF, *twice)
    merged.hear(NOON + HOUR)
    (case,) = merged.workable(NOON + HOUR)
    assert case.score == 0.6
    honest = ((2, NOON, 0.3), (2, NOON + 60 * SECOND, 0.3))
    assert worked(desk(READY, *honest), ORDERS[FIRST]()).again == 0
    assert worked(desk(READY, *honest, merged=False), ORDERS[FIRST]()).again == 1


def test_a_citizen_is_not_called_beyond_the_budget() -> None:
    done = desk(DEAF, (2, NOON, 0.3))
    ledger = worked(done, ORDERS[FIRST]())
    assert ledger.attempts == 2 * Duty().contacts_per_day
    times = [one.at for one in done.cases[0].tried]
    pauses = [later - before for before, later in pairwise(times)]
    assert min(pauses).total_seconds() >= 60 * Duty().cool_down_min


def test_what_is_prevented_is_counted_once_and_only_before_it_left() -> None:
    early, late = desk(READY, (1, NOON, 0.3)), desk(READY, (1, NOON + 3 * HOUR, 0.3))
    assert worked(early, ORDERS[OURS]()).avoided_cny.tolist() == [500.0, 0.0]
    assert worked(late, ORDERS[OURS]()).avoided_cny.sum() == 0.0


def test_who_showed_that_nothing_is_wrong_is_left_in_peace() -> None:
    done = desk(READY, (2, NOON, 0.3), (2, NOON + HOUR, 0.9))
    ledger = worked(done, ORDERS[FIRST]())
    assert (ledger.cases, ledger.attempts, ledger.kept) == (1, 1, 1)
    assert [case.ended for case in done.closed] == [Taken.CLEARED]


def test_deadlines_count_only_who_was_spoken_to_in_time() -> None:
    night = BEGIN + HOUR
    assert worked(desk(READY, (2, NOON, 0.3)), ORDERS[OURS]()).kept == 1
    assert worked(desk(READY, (2, night, 0.3)), ORDERS[OURS]()).kept == 0


def test_the_oracle_calls_only_who_has_money_to_lose() -> None:
    ledger = worked(desk(READY, (1, NOON, 0.1), (2, NOON, 0.9)), ORDERS[ORACLE]())
    assert (ledger.attempts, ledger.believed) == (1, 1)
    assert ledger.avoided_cny.sum() == 500.0


def test_the_oracle_skips_nobody_who_is_worth_more() -> None:
    people = range(1, 40)
    done = desk(Manners(), *((one, NOON, 0.3) for one in people))
    money = np.random.default_rng(0).lognormal(8.0, 1.0, len(people)).tolist()
    done.course.swindles = Swindles(
        {one: [(NOON - HOUR, "engaged")] for one in people},
        {one: [(NOON + HOUR // 3, cny)] for one, cny in zip(people, money, strict=True)},
    )
    done.hear(NOON)
    cases, course = done.workable(NOON), done.course

    def worth(case: Case, way: tuple[str, str]) -> float:
        who = (case.subscriber, way, NOON)
        chance = course.reached(*who) * course.believed(*who)
        return course.at_stake(*who) * chance / course.expected_minutes(*who)

    step = oracle(done, cases, NOON, 600.0)
    assert step is not None
    most = max(((case, way) for case in cases for way in MINUTES), key=lambda one: worth(*one))
    assert (step.case.subscriber, step.way) == (most[0].subscriber, most[1])


def test_a_ranking_takes_the_highest_and_never_past_the_shift() -> None:
    shift = desk(READY, (1, NOON, 0.3), (2, NOON, 0.9))
    shift.hear(NOON)
    order = Ranked(lambda case: case.score, by_call)
    cases = shift.workable(NOON)
    step = order(shift, cases, NOON, 60.0)
    assert step is not None
    assert step.case.subscriber == 2
    assert order(shift, cases, NOON, 1.0) is None


def test_our_list_learns_from_closed_cases_only() -> None:
    shift, order = desk(READY, (1, NOON, 0.3), (2, NOON, 0.3), (2, NOON + HOUR, 0.2)), WorkList()
    shift.hear(NOON + HOUR)
    victim, honest = sorted(shift.workable(NOON + HOUR), key=lambda case: case.subscriber)

    def step() -> Next:
        case = replace(victim, name="asked anew", evidence=NOON)
        found = order.step(shift, replace(case, opened=case.opened + len(shift.closed)), NOON)
        assert found is not None
        return found

    before = step()
    assert shift.closed == []
    assert before.suspicion == pytest.approx(0.3)
    shift.work(Step(honest, CALL), NOON + HOUR)
    assert step() == before  # a false alarm says nothing of belief
    shift.work(Step(victim, CALL), NOON + HOUR)
    assert [case.subscriber for case in shift.closed] == [2, 1]
    assert step().script == "plain" != before.script  # what he believed
