"""The shift comparison: its shape in a small run, and the desk's rules one by one."""

import json
from itertools import pairwise

import pandas as pd
import pytest

from data.simulator import City, simulate
from data.simulator.city import DAY, HOUR, SECOND
from data.simulator.dissuasion import Dissuasion, Manners
from data.simulator.dissuasion_money import Swindles
from experiments.result import Result
from experiments.shift import SHOWN, UNMERGED, run
from experiments.shift_alerts import Chain, Warned
from experiments.shift_desk import Case, Desk, Duty, Step, worked
from experiments.shift_orders import CALL, FIRST, NOBODY, ORACLE, ORDERS, OURS, Ranked, by_call
from models.dissuasion import Hazard
from models.policy import Policy, standard_levels

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
    assert result.title.startswith("Simulated city")
    assert result.notes[0].startswith("Simulated: 600 subscribers")


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
    assert done.taught == []


def test_deadlines_count_only_who_was_spoken_to_in_time() -> None:
    night = BEGIN + HOUR
    assert worked(desk(READY, (2, NOON, 0.3)), ORDERS[OURS]()).kept == 1
    assert worked(desk(READY, (2, night, 0.3)), ORDERS[OURS]()).kept == 0


def test_the_oracle_calls_only_who_has_money_to_lose() -> None:
    ledger = worked(desk(READY, (1, NOON, 0.1), (2, NOON, 0.9)), ORDERS[ORACLE]())
    assert (ledger.attempts, ledger.believed) == (1, 1)
    assert ledger.avoided_cny.sum() == 500.0


def test_a_ranking_takes_the_highest_and_never_past_the_shift() -> None:
    shift = desk(READY, (1, NOON, 0.3), (2, NOON, 0.9))
    shift.hear(NOON)
    order = Ranked(lambda case: case.score, by_call)
    cases = shift.workable(NOON)
    step = order(shift, cases, NOON, 60.0)
    assert step is not None
    assert step.case.subscriber == 2
    assert order(shift, cases, NOON, 1.0) is None


def test_our_list_learns_from_closed_attempts_only() -> None:
    shift = desk(READY, (1, NOON, 0.3))
    shift.hear(NOON)
    case: Case = shift.workable(NOON)[0]
    assert shift.taught == []
    shift.work(Step(case, CALL), NOON)
    assert [one.believed for one in shift.taught] == [True]
    assert case.closed is not None
    assert case.closed < NOON + DAY
