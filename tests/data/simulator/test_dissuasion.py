"""Simulated citizens and warnings: sourced rates are met, effects point where they should."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.simulator import Simulation
from data.simulator.city import DAY, HOUR, OFFSET
from data.simulator.dissuasion import SOURCED, WAYS, Dissuasion, Manners, Taken
from data.simulator.dissuasion_money import Swindles, swindles
from models.dissuasion import WAYS as LISTED

NOON = 20_000 * DAY - OFFSET + 10 * HOUR  # ten in the morning: the middle hour for calls
CALL, SCHEME, VISIT, TEXT = (
    ("call_96110", "plain"),
    ("call_96110", "scheme"),
    ("visit", "plain"),
    ("sms_12381", "plain"),
)
PEOPLE = range(1_500)
PLAIN = Manners(relapse=0.0)


def defrauded(stage: str = "engaged", hours: tuple[int, ...] = (5, 30)) -> Swindles:
    """Everybody is in a fraud and will pay 1,000 yuan at each of the hours from noon."""
    return Swindles(
        {who: [(NOON - HOUR, stage), (NOON + 3 * DAY, stage)] for who in PEOPLE},
        {who: [(NOON + hour * HOUR, 1_000.0) for hour in hours] for who in PEOPLE},
    )


def share(taken: Sequence[Taken], *wanted: Taken) -> float:
    return sum(one in wanted for one in taken) / len(taken)


def warned(course: Dissuasion, way: tuple[str, str], at: int = NOON) -> list[Taken]:
    return [course.warn(who, way, at).taken for who in PEOPLE]


def test_its_ways_are_the_products() -> None:
    assert set(WAYS) == {(way.channel, way.script) for way in LISTED}


def test_four_in_ten_calls_are_refused_and_five_make_a_success() -> None:
    """Shenzhen (press): about 40 % refused, five calls or more a success."""
    taken = warned(Dissuasion(defrauded(), PLAIN, 1), CALL)
    assert share(taken, Taken.UNHEARD) == pytest.approx(0.4, abs=0.03)
    assert 1 / share(taken, Taken.BELIEVED) == pytest.approx(5.0, abs=0.5)


def test_most_pay_despite_plain_warnings() -> None:
    """60 % paid despite a plain warning (vendor): here after a text and two calls."""
    course = Dissuasion(defrauded(), Manners(), 2)
    for hour, way in ((0, TEXT), (1, CALL), (2, CALL)):
        warned(course, way, NOON + hour * HOUR)
    paid = sum(course.avoided(who) < 2_000.0 for who in PEOPLE) / len(PEOPLE)
    assert paid == pytest.approx(0.6, abs=0.08)


def test_calls_cost_what_changsha_says() -> None:
    """Eight people, 400 citizens a day, three to four calls each: 2.7 minutes a call (press)."""
    course = Dissuasion(defrauded(), PLAIN, 3)
    spent = [course.warn(who, CALL, NOON).minutes for who in PEOPLE]
    assert sum(spent) / len(spent) == pytest.approx(2.7, abs=0.3)


@pytest.mark.parametrize(("weaker", "stronger"), [(TEXT, CALL), (CALL, SCHEME), (CALL, VISIT)])
def test_persons_visits_and_the_schemes_next_step_convince_more(
    weaker: tuple[str, str], stronger: tuple[str, str]
) -> None:
    found = [
        share(warned(Dissuasion(defrauded(), PLAIN, 4), way), Taken.BELIEVED)
        for way in (weaker, stronger)
    ]
    assert found[0] < found[1]


def test_the_further_it_is_the_fewer_believe() -> None:
    found = [
        share(warned(Dissuasion(defrauded(stage), PLAIN, 5), CALL), Taken.BELIEVED)
        for stage in ("contact", "engaged", "paying")
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1] + 0.05


def test_asleep_nobody_answers_and_each_contact_annoys() -> None:
    course = Dissuasion(defrauded(), PLAIN, 6)
    night = NOON - 7 * HOUR
    assert all(course.reached(who, CALL, night) < course.reached(who, CALL, NOON) for who in PEOPLE)
    before = course.reached(1, CALL, NOON + HOUR)
    course.warn(1, CALL, NOON)
    assert course.reached(1, CALL, NOON + HOUR) < before


def test_the_same_way_again_convinces_less_another_way_more() -> None:
    course = Dissuasion(defrauded(), Manners(reach=dict.fromkeys(Manners().reach, 0.999)), 7)
    before = {way: course.believed(1, way, NOON) for way in (CALL, VISIT)}
    course.warn(1, CALL, NOON)
    assert course.believed(1, CALL, NOON) < before[CALL]
    assert course.believed(1, VISIT, NOON) > before[VISIT]


def test_who_believes_stops_paying_and_some_relapse() -> None:
    calm = Dissuasion(defrauded(), PLAIN, 8)
    believers = [who for who, one in enumerate(warned(calm, VISIT)) if one is Taken.BELIEVED]
    assert {calm.avoided(who) for who in believers} == {2_000.0}
    assert calm.avoided(next(who for who in PEOPLE if who not in believers)) == 0.0
    weak = Dissuasion(defrauded(), Manners(relapse=1.0), 8)
    warned(weak, VISIT)
    assert {weak.avoided(who) for who in believers} > {2_000.0}


def test_a_visit_comes_too_late_for_what_leaves_on_the_way() -> None:
    course = Dissuasion(defrauded(hours=(0,)), PLAIN, 9)
    assert course.at_stake(1, CALL, NOON - 1) == 1_000.0
    assert course.at_stake(1, VISIT, NOON - 1) == 0.0


def test_honest_citizens_show_that_nothing_is_wrong() -> None:
    course = Dissuasion(Swindles({}, {}), PLAIN, 10)
    heard = [one for one in warned(course, CALL) if one is not Taken.UNHEARD]
    assert share(heard, Taken.CLEARED) == pytest.approx(PLAIN.cleared, abs=0.03)
    assert Taken.BELIEVED not in heard
    assert course.believed(1, CALL, NOON) == 0.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_other_manners_keep_what_is_sourced(seed: int) -> None:
    other = Manners().drawn(seed)
    assert all(other.reach[name] == Manners().reach[name] for name in SOURCED)
    assert other.belief[CALL] == Manners().belief[CALL]
    assert all(0.0 < rate < 1.0 for rate in (*other.reach.values(), *other.belief.values()))
    assert other == Manners().drawn(seed)


def test_luck_is_the_citizens_and_not_the_orders() -> None:
    forward, backward = (Dissuasion(defrauded(), PLAIN, 11) for _ in range(2))
    first = {who: forward.warn(who, CALL, NOON) for who in range(50)}
    assert first == {who: backward.warn(who, CALL, NOON) for who in reversed(range(50))}


def test_the_plots_money_is_all_there(town: Simulation) -> None:
    life, rows = swindles(town), town.plot.rows
    paid = rows["amount"][(rows["touch"] == 1) & (rows["amount"] > 0)].sum() / 100
    found = sum(cny for each in life.paid.values() for _, cny in each)
    assert found == pytest.approx(float(paid))
    victim = next(iter(life.paid))
    moment = life.payments(victim)[0][0]
    assert life.stage(victim, moment) == "paying"
    assert life.stage(victim, moment + 60 * DAY) is None


def test_without_warnings_nothing_is_avoided(town: Simulation) -> None:
    course = Dissuasion(swindles(town), replace(PLAIN, relapse=1.0), 12)
    assert all(course.avoided(who) == 0.0 for who in course.swindles.paid)
