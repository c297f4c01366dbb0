"""Attempts, outcomes, locks, forms: two officers, a double click, a stale form."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as there_is
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from data.database import event_row, events
from data.intake import Intake
from data.outcomes import read_outcomes
from data.pseudonyms import Pseudonymiser
from models.dissuasion import Hazard, Rates
from serving.access import ACCOUNTS
from serving.access.audit import AUDIT
from serving.access.roles import Actor, Role
from serving.cases import attempts, outcomes, work_list
from serving.cases.admission import admit
from serving.cases.api_contracts import AssignmentForm
from serving.cases.case import Case
from serving.cases.chances import learnt_chances
from serving.cases.config import CaseConfig
from serving.cases.contracts import Acted, Attempt, Form, Outcome
from serving.cases.escalation import overdue, overdue_by_tier, sweep
from serving.cases.forms import Turn
from serving.cases.labels import export, outcome_labels
from serving.cases.pace import learnt_pace
from serving.cases.reading import note_decision, read
from serving.cases.tables import ATTEMPTS, CASES, EVIDENCE, NOTES, OUTCOMES
from serving.problems import Problem

LI, WANG = (Actor(name, Role.OFFICER) for name in ("li", "wang"))
CHIEF = Actor("chief", Role.SUPERVISOR)
CALL = {"channel": "call_96110", "script": "plain", "minutes": 4}
UNBELIEVED = Attempt(**CALL, reached=True, believed=False)
UNANSWERED = Attempt(**CALL, reached=False)
MINUTE = timedelta(minutes=1)


@dataclass
class Desk:
    """Acts on cases, each act in a transaction of its own."""

    database: Any
    config: CaseConfig
    now: datetime

    def act(
        self,
        work: Callable[..., Awaitable[Any]],
        *args: Any,
        by: Actor = LI,
        minute: float = 0,
        **more: Any,
    ) -> Any:
        async def one(connection: AsyncConnection) -> Any:
            turn = Turn(connection, by, self.now + minute * MINUTE, self.config)
            return await work(turn, *args, **more)

        return self.database.within(one)

    def together(self, *acts: tuple[Actor, Callable[[Turn], Awaitable[Any]]]) -> list[Any]:
        """Acts at once, each on a connection of its own; a Problem is an answer."""

        async def one(engine: AsyncEngine, by: Actor, work: Any) -> Any:
            async with engine.begin() as connection:
                return await work(Turn(connection, by, self.now, self.config))

        async def all_at_once(engine: AsyncEngine) -> list[Any]:
            work = (one(engine, by, work) for by, work in acts)
            return list(await asyncio.gather(*work, return_exceptions=True))

        return self.database.run(all_at_once)


@pytest.fixture
def desk(database: Any, config: CaseConfig, now: datetime, officers: tuple[str, ...]) -> Desk:
    return Desk(database, config, now)


keys = iter(range(10_000_000, 99_999_999))


def form(case: Case | Acted, **changes: Any) -> Form:
    whole = {"case_id": case.case_id, "version": case.version, "key": f"key-{next(keys)}"}
    return Form(**{**whole, **changes})


# --- attempts


def test_an_attempt_that_is_not_believed_scores_the_case_again(desk: Desk, opened) -> None:
    case = opened(stage="contact", deadline=timedelta(hours=4))
    done = desk.act(attempts.record, form(case), UNBELIEVED, minute=10)
    assert (done.stage, done.version) == ("engaged", 2)
    assert done.deadline_at == desk.now + 70 * MINUTE  # yellow, engaged: an hour from the attempt
    assert done.next is not None
    assert (done.next.channel, done.next.script) != ("call_96110", "plain")
    assert done.zh == "已记录：对方不相信"
    assert done.detail["contacts_left"] == desk.config.contacts_per_day - 1


def test_believed_meets_the_deadline(desk: Desk, opened, database) -> None:
    believed = Attempt(**CALL, reached=True, believed=True)
    desk.act(attempts.record, form(opened()), believed)
    (case,) = database.cases()
    assert case.met_at == desk.now
    assert not case.overdue(desk.now + timedelta(days=9))


def test_who_believed_and_goes_on_is_in_danger_again(desk: Desk, opened, alert, database) -> None:
    believed = Attempt(**CALL, reached=True, believed=True)
    desk.act(attempts.record, form(opened()), believed, minute=5)
    (before,) = desk.act(work_list.listed, 480, minute=60)
    again = [alert(60, occurred_at=desk.now + 60 * MINUTE)]
    done = database.within(lambda connection: admit(connection, again, desk.config))
    assert done[0].effect == "raised"
    (case,) = database.cases()
    assert (case.met_at, case.deadline_at) == (None, desk.now + 120 * MINUTE)
    (after,) = desk.act(work_list.listed, 480, minute=60)
    assert after.step.preventable_cny > before.step.preventable_cny


def test_an_attempt_ahead_of_our_clock_is_refused(desk: Desk, opened) -> None:
    late = UNBELIEVED.model_copy(update={"at": desk.now + timedelta(hours=1)})
    with pytest.raises(Problem, match="conflict") as raised:
        desk.act(attempts.record, form(opened()), late)
    assert "future" in raised.value.more["en"]


@pytest.mark.parametrize("wrong", [{"reached": False, "believed": True}, {"refused": True}])
def test_an_attempt_must_make_sense(wrong: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="only if"):
        Attempt(**CALL, **{"reached": True, **wrong})


def test_rates_learn_from_closed_cases_only(desk: Desk, opened, database) -> None:
    case = opened()
    done = desk.act(attempts.record, form(case), UNBELIEVED)

    async def mean(connection: AsyncConnection) -> float:
        return (await learnt_chances(connection, desk.now)).reach["call_96110"].mean

    before = database.within(mean)
    desk.act(outcomes.record, form(done), Outcome(outcome="unreachable"))
    assert database.within(mean) > before


# --- forms


def test_a_double_click_does_one_thing(desk: Desk, opened, database) -> None:
    same = form(opened())

    async def click(turn: Turn) -> Acted:
        return await attempts.record(turn, same, UNANSWERED)

    first, second = desk.together((LI, click), (LI, click))
    assert first == second
    assert len(database.rows(select(ATTEMPTS))) == 1
    assert desk.act(attempts.record, same, UNANSWERED, minute=5) == first


def test_a_key_is_for_one_form(desk: Desk, opened) -> None:
    case = opened()
    done = desk.act(attempts.record, form(case, key="the-same-key"), UNANSWERED)
    with pytest.raises(Problem) as raised:
        desk.act(attempts.record, form(done, key="the-same-key"), UNBELIEVED)
    assert "another form" in raised.value.more["en"]


def test_a_stale_form_is_told_so(desk: Desk, opened, alert, database) -> None:
    case = opened(level="blue", stage="contact")
    found = alert(3, "red", stage="paying")
    database.within(lambda connection: admit(connection, [found], desk.config))
    with pytest.raises(Problem) as raised:
        desk.act(outcomes.record, form(case), Outcome(outcome="false_alarm"), minute=4)
    assert raised.value.more == {
        "zh": "案件在10:03已有变化，请刷新后再提交",
        "en": "the case changed at 10:03: read it again, then send the form",
        "version": 2,
    }


def test_two_officers_on_one_case(desk: Desk, opened) -> None:
    case = opened()

    async def close(turn: Turn) -> Acted:
        return await outcomes.record(turn, form(case), Outcome(outcome="false_alarm"))

    answers = desk.together((LI, close), (WANG, close))
    assert sorted(type(one).__name__ for one in answers) == ["Acted", "Problem"]


def test_a_locked_case_is_somebody_elses_for_a_while(desk: Desk, opened) -> None:
    mine = desk.act(work_list.lock, form(opened()))
    with pytest.raises(Problem) as raised:
        desk.act(work_list.lock, form(mine), by=WANG, minute=1)
    assert raised.value.more["zh"] == "li正在处理此案，占用至10:15"
    theirs = desk.act(work_list.lock, form(mine), by=WANG, minute=16)
    assert theirs.locked_by == "wang"
    free = desk.act(work_list.unlock, form(theirs), by=WANG, minute=17)
    assert free.locked_by is None


def test_another_district_sees_no_case(desk: Desk, opened) -> None:
    case = opened(district="渝中区")
    elsewhere = Actor("zhao", Role.OFFICER, "江北区")
    with pytest.raises(Problem, match="not-found"):
        desk.act(work_list.lock, form(case), by=elsewhere)
    assert desk.act(work_list.listed, 480, by=elsewhere) == ()


def test_who_may_not_may_not(desk: Desk, opened) -> None:
    case = opened()
    with pytest.raises(Problem, match="forbidden"):
        desk.act(work_list.reassign, form(case), "wang")
    with pytest.raises(Problem, match="forbidden"):
        desk.act(work_list.lock, form(case), by=Actor("audit", Role.AUDITOR))


def test_every_act_is_in_the_audit_log(desk: Desk, opened, database) -> None:
    case = opened()
    done = desk.act(attempts.record, form(case), UNBELIEVED)
    desk.act(work_list.note, form(done), "回拨 13800138000")
    rows = database.rows(select(AUDIT).where(AUDIT.c.subject == case.case_id))
    assert [row["detail"]["deed"] for row in rows] == ["attempt", "note"]
    assert "13800138000" not in str(rows)
    assert database.rows(select(NOTES))[0]["text"] == "回拨 [number]"


# --- outcomes


def test_dissuaded_avoids_a_loss_by_a_named_method(desk: Desk, opened, database) -> None:
    done = desk.act(outcomes.record, form(opened()), Outcome(outcome="dissuaded"))
    assert done.state == "closed"
    assert done.next is None
    (row,) = database.rows(select(OUTCOMES))
    assert row["avoided_cny"] == done.detail["avoided_cny"] == pytest.approx(29_200, rel=0.01)
    assert row["avoided_method"] == "typical-loss-x-would-have-left-1"


def test_only_who_paid_has_a_loss() -> None:
    with pytest.raises(ValueError, match="loss_cny"):
        Outcome(outcome="paid")
    with pytest.raises(ValueError, match="loss_cny"):
        Outcome(outcome="dissuaded", loss_cny=5.0)


def test_an_outcome_can_be_taken_back(desk: Desk, opened, database) -> None:
    case = opened()
    closed = desk.act(outcomes.record, form(case), Outcome(outcome="false_alarm"))
    again = desk.act(outcomes.reverse, form(closed), "citizen called back", minute=60)
    assert (again.state, again.version) == ("open", 3)
    (row,) = database.rows(select(OUTCOMES))
    assert row["reversed_at"] == desk.now + 60 * MINUTE
    with pytest.raises(Problem, match="conflict"):
        desk.act(outcomes.reverse, form(again), "again", minute=61)


def test_an_outcome_can_be_corrected(desk: Desk, opened, database) -> None:
    closed = desk.act(outcomes.record, form(opened()), Outcome(outcome="dissuaded"))
    paid = Outcome(outcome="paid", loss_cny=30_000.5)
    done = desk.act(outcomes.reverse, form(closed), "he paid after all", paid, minute=60)
    assert done.state == "closed"
    rows = database.rows(select(OUTCOMES).order_by(OUTCOMES.c.known_at))
    assert [(row["outcome"], row["reversed_at"] is None) for row in rows] == [
        ("dissuaded", False),
        ("paid", True),
    ]
    assert rows[1]["loss_cny"] == 30_000.5


def test_taking_back_does_not_open_a_second_case(desk: Desk, opened, alert, database) -> None:
    closed = desk.act(outcomes.record, form(opened()), Outcome(outcome="unreachable"))
    later = alert(60 * 24 * 30)
    database.within(lambda connection: admit(connection, [later], desk.config))
    done = desk.act(outcomes.reverse, form(closed), "reached", minute=60 * 24 * 31)
    assert done.state == "closed"
    assert "another open case" in done.en


# --- closed cases and new evidence


@pytest.mark.parametrize(
    ("outcome", "changes", "effect"),
    [
        ("dissuaded", {}, "reopened"),
        ("unreachable", {}, "reopened"),
        ("dissuaded", {"known": 60, "occurred": -30}, "kept"),
        ("dissuaded", {"known": 60, "occurred": -30, "level": "red"}, "reopened"),
        ("false_alarm", {}, "kept"),
        ("false_alarm", {"level": "red"}, "reopened"),
        ("false_alarm", {"platform": "12381"}, "reopened"),
        ("dissuaded", {"known": 60 * 24 * 8, "occurred": 60 * 24 * 8}, "opened"),
    ],
)
def test_when_a_closed_case_opens_again(
    desk: Desk, opened, alert, outcome: str, changes: dict[str, Any], effect: str
) -> None:
    desk.act(outcomes.record, form(opened()), Outcome(outcome=outcome))
    changes = dict(changes)
    at = changes.pop("known", 60) * MINUTE + desk.now
    occurred = changes.pop("occurred", 60) * MINUTE + desk.now
    found = alert(**changes, known_at=at, occurred_at=occurred)
    done = desk.database.within(lambda connection: admit(connection, [found], desk.config))
    assert [one.effect.value for one in done] == [effect]


# --- the shift


def test_the_list_is_in_order_of_what_a_minute_prevents(desk: Desk, opened) -> None:
    for number, (score, amount) in enumerate([(0.1, 0), (0.5, 90_000), (0.5, 0)]):
        opened(f"tel_{number}", score=score, amount_cny=amount)
    found = desk.act(work_list.listed, 480)
    assert [line.case.subscriber for line in found] == ["tel_1", "tel_2", "tel_0"]
    assert len(desk.act(work_list.listed, 9)) == 2


def test_a_citizen_is_left_alone_after_a_contact(desk: Desk, opened) -> None:
    desk.act(attempts.record, form(opened()), UNANSWERED)
    assert desk.act(work_list.listed, 480, minute=5) == ()
    (line,) = desk.act(work_list.listed, 480, minute=15)
    assert line.contacted_zh == "96110已于10:00联系，未联系上"


def test_the_budget_counts_every_platform(desk: Desk, opened) -> None:
    case: Any = opened()
    for number in range(desk.config.contacts_per_day):
        bank = UNANSWERED.model_copy(update={"platform": "bank"})
        case = desk.act(attempts.record, form(case), bank, minute=20 * number)
    assert desk.act(work_list.listed, 480, minute=600) == ()
    assert len(desk.act(work_list.listed, 480, minute=24 * 60 + 1)) == 1


def test_two_officers_who_ask_for_the_next_case_get_two(desk: Desk, opened) -> None:
    for number in range(2):
        opened(f"tel_{number}")

    def ask(key: str) -> Callable[[Turn], Awaitable[Acted | None]]:
        async def work(turn: Turn) -> Acted | None:
            return await work_list.take_next(turn, 480, key)

        return work

    first, second = desk.together((LI, ask("next-li-1")), (WANG, ask("next-wang-1")))
    assert {first.locked_by, second.locked_by} == {"li", "wang"}
    assert first.case_id != second.case_id
    assert first.next is not None
    assert first.next.zh in first.zh
    assert desk.act(work_list.take_next, 480, "next-li-1") == first  # a double click
    assert desk.act(work_list.take_next, 480, "next-zhao-1", by=Actor("zhao", Role.OFFICER)) is None


def test_a_snoozed_case_wakes_in_time_or_when_it_rises(desk: Desk, opened, alert, database) -> None:
    case = opened(level="blue", stage="contact")
    until = desk.now + 120 * MINUTE
    resting = desk.act(work_list.snooze, form(case), "the citizen sleeps", until)
    assert resting.state == "snoozed"
    assert desk.act(work_list.listed, 480, minute=60) == ()
    assert len(desk.act(work_list.listed, 480, minute=121)) == 1
    found = alert(30, "red", stage="contact")
    database.within(lambda connection: admit(connection, [found], desk.config))
    assert database.cases()[0].state == "open"
    with pytest.raises(Problem, match="conflict"):
        desk.act(work_list.snooze, form(case), "for ever", desk.now + timedelta(days=99))


def test_a_supervisor_moves_many_at_once(desk: Desk, opened) -> None:
    cases = [opened(f"tel_{number}") for number in range(3)]
    desk.act(work_list.lock, form(cases[0]), by=WANG)
    forms = [form(case) for case in cases]
    answer = desk.act(work_list.bulk_reassign, forms, "bulk-key-1", "zhao", by=CHIEF)
    assert [item.done is not None for item in answer.items] == [False, True, True]  # 0 is stale
    assert answer.items[0].problem["status"] == 409
    assert desk.act(work_list.bulk_reassign, forms, "bulk-key-1", "zhao", by=CHIEF) == answer
    assert [line.case.subscriber for line in desk.act(work_list.listed, 480)] == []


def test_a_case_goes_to_its_district_once_that_is_known(desk: Desk, opened, database) -> None:
    case = opened(level="red")
    assert (case.district, case.tier) == (None, "city")
    there = Actor("zhao", Role.OFFICER, "渝中区")
    assert desk.act(work_list.listed, 480, by=there) == ()
    done = desk.act(work_list.reassign, form(case), "zhao", by=CHIEF, district="渝中区")
    assert done.tier == "station"
    assert len(desk.act(work_list.listed, 480, by=there)) == 1


# --- reading


def test_a_card_tells_all_and_reading_it_is_recorded(desk: Desk, opened, database) -> None:
    case: Any = opened()
    case = desk.act(attempts.record, form(case), UNBELIEVED)
    case = desk.act(work_list.note, form(case), "明早再打")
    case = desk.act(outcomes.record, form(case), Outcome(outcome="unreachable"))
    card = desk.act(read, case.case_id, by=WANG, minute=5)
    rows = (card.evidence, card.attempts, card.outcomes, card.notes)
    assert [len(each) for each in rows] == [1, 1, 1, 1]
    assert card.contacted_en == "already contacted by 96110 at 10:00, did not believe"
    assert (card.budget.left, card.next) == (desk.config.contacts_per_day - 1, None)
    last = database.rows(select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(1))[0]
    assert (last["actor"], last["action"], last["subject"]) == ("wang", "read_case", case.case_id)
    with pytest.raises(Problem, match="not-found"):
        desk.act(read, "no-such-case")


# --- deadlines


def test_what_is_late_rises_once(desk: Desk, opened, database) -> None:
    case = opened(level="red", district="渝中区", deadline=timedelta(minutes=30))
    assert case.tier == "station"

    def swept(minute: float) -> int:
        return database.within(lambda c: sweep(c, desk.now + minute * MINUTE, desk.config))

    assert [swept(minute) for minute in (30, 31, 31, 40, 61, 300)] == [0, 1, 0, 0, 1, 0]
    assert database.cases()[0].tier == "city"
    (late,) = desk.act(overdue, by=CHIEF, minute=90)
    assert late.zh == "已超时60分钟，由市局督办"
    assert desk.act(overdue_by_tier, by=CHIEF, minute=90) == {"city": 1}
    assert desk.act(overdue, by=Actor("chief2", Role.SUPERVISOR, "江北区"), minute=90) == ()


# --- labels out


def test_outcomes_go_out_as_labels(desk: Desk, opened, alert, database, tmp_path) -> None:
    told = {
        "dissuaded": {},
        "paid": {"loss_cny": 5.0},
        "false_alarm": {},
        "unreachable": {},
    }
    for name, more in told.items():
        desk.act(outcomes.record, form(opened(name)), Outcome(outcome=name, **more))
    table = database.within(outcome_labels).to_pylist()
    assert database.within(lambda connection: export(connection, tmp_path)) == 3
    assert read_outcomes(tmp_path).to_pylist() == table
    assert {row["subscriber"]: row["verdict"] for row in table} == {
        "dissuaded": "censored",
        "paid": "fraud",
        "false_alarm": "none",
    }
    assert all(row["known_at"] == desk.now and len(row["events"]) == 1 for row in table)
    week = desk.config.episode_gap
    assert {(row["began_at"], row["ends_at"]) for row in table} == {
        (desk.now - week, desk.now + week)
    }


def test_nothing_is_lost_or_done_twice(desk: Desk, opened, alert, database) -> None:
    """Officers, alerts and a sweep on the same few citizens, all at once."""
    cases = [opened(f"tel_{number}") for number in range(4)]

    async def admits(turn: Turn) -> None:
        found = [alert(1, "red", subscriber=f"tel_{number}") for number in (3, 1, 0, 2)]
        await admit(turn.connection, found, turn.config)

    async def sweeps(turn: Turn) -> None:
        await sweep(turn.connection, turn.now + timedelta(hours=9), turn.config)

    def tries(case: Case) -> Callable[[Turn], Awaitable[Acted]]:
        async def work(turn: Turn) -> Acted:
            return await attempts.record(turn, form(case), UNBELIEVED)

        return work

    answers = desk.together(
        *((LI, tries(case)) for case in cases), *((LI, admits) for _ in range(3)), (LI, sweeps)
    )
    wrong = [one for one in answers if isinstance(one, Exception)]
    assert all(isinstance(one, Problem) for one in wrong)
    done = sum(isinstance(one, Acted) for one in answers)
    assert database.rows(select(func.count()).select_from(ATTEMPTS))[0]["count_1"] == done
    assert database.rows(select(func.count()).select_from(EVIDENCE))[0]["count_1"] == 4 + 12
    assert len(database.rows(select(CASES))) == 4


# --- what is learnt


def test_a_false_alarm_teaches_who_was_reached_and_nothing_of_belief(
    desk: Desk, opened, database
) -> None:
    done = desk.act(attempts.record, form(opened()), UNBELIEVED)
    for attempt in (UNBELIEVED, UNANSWERED, UNBELIEVED):
        done = desk.act(attempts.record, form(done), attempt)
    closed = desk.act(outcomes.record, form(done), Outcome(outcome="false_alarm"))
    way = ("call_96110", "plain")

    async def learnt(connection: AsyncConnection) -> Rates:
        return await learnt_chances(connection, desk.now)

    rates, prior = database.within(learnt), Rates()
    assert rates.reach["call_96110"].mean > prior.reach["call_96110"].mean
    assert rates.belief == prior.belief
    # of three talks the last showed it
    assert rates.cleared == prior.cleared.seen(1, 2)
    paid = Outcome(outcome="paid", loss_cny=1.0)
    desk.act(outcomes.reverse, form(closed), "he paid", paid)
    rates = database.within(learnt)
    assert rates.belief[way].mean < prior.belief[way].mean
    assert rates.cleared == prior.cleared


def test_the_pace_is_learnt_from_who_paid(desk: Desk, database) -> None:
    """Three days from the first call to the money, told by reports: slower than was assumed."""
    intake = Intake(Pseudonymiser(bytes(32)), clock=lambda: desk.now)
    facts = []
    for citizen in range(40):
        line, account = f"138001380{citizen:02}", f"6222{citizen:04}"
        begun = desk.now - timedelta(days=6)
        same = {"subscriber": line, "occurred_at": begun.isoformat()}
        call = {"kind": "call", "event_id": f"c{citizen}", "counterpart": "+85291234567"}
        call |= {"direction": "incoming", "duration_s": 1_800, **same}
        paid_at = (begun + timedelta(days=3)).isoformat()
        paid = {"kind": "transfer", "event_id": f"t{citizen}", "counterpart": account}
        paid |= {"subscriber": line, "occurred_at": paid_at, "amount_fen": 3_000_000}
        paid |= {"account": f"6228{citizen:04}", "channel": "mobile"}
        told = {"kind": "report", "event_id": f"r{citizen}", "scam_type": "loan", **same}
        told |= {"loss_fen": 3_000_000, "first_contact_at": begun.isoformat()}
        told |= {"occurred_at": paid_at, "reported_at": desk.now.isoformat()}
        told |= {"phones": ["+85291234567"], "accounts": [account]}
        facts += [call, paid, told]
    rows = [event_row(intake.one(fact), seq=n, late=False) for n, fact in enumerate(facts)]
    database.within(lambda connection: connection.execute(events.delete()))
    database.within(lambda connection: connection.execute(insert(events), rows))

    async def learnt(connection: AsyncConnection) -> Hazard:
        return await learnt_pace(connection, desk.now + timedelta(hours=1))

    found, prior = database.within(learnt), Hazard()
    stage = "engaged"
    assert found.per_hour(stage) < prior.per_hour(stage) / 3
    assert found.per_hour(stage) == pytest.approx(50 / (10 * 12 + 40 * 72), rel=1e-6)
    database.within(lambda connection: connection.execute(events.delete()))
    assert database.within(learnt) == prior


def test_a_case_is_given_to_nobody_who_does_not_see_it(desk: Desk, opened, database) -> None:
    """Else it would be on no list at all."""
    row = {"role": "officer", "must_change": False, "created_at": desk.now, "changed_at": desk.now}
    far = there_is(ACCOUNTS).values(name="far", district="巴南区", **row).on_conflict_do_nothing()
    database.within(lambda connection: connection.execute(far))
    case = opened(level="red")
    with pytest.raises(Problem, match="conflict") as refused:
        desk.act(work_list.reassign, form(case), "far", by=CHIEF, district="渝中区")
    assert refused.value.more["zh"]
    with pytest.raises(Problem, match="conflict"):
        desk.act(work_list.reassign, form(case), "far", by=CHIEF)  # nobody knows its district
    told = desk.act(work_list.bulk_reassign, [form(case)], "bulk-far-1", "far", by=CHIEF)
    assert told.items[0].done is None
    assert desk.act(work_list.reassign, form(case), "far", by=CHIEF, district="巴南区").assignee


@pytest.mark.parametrize(
    "field",
    [{"channel": "call_13800138000"}, {"script": "13800138000"}, {"platform": "银行13800138000"}],
)
def test_no_number_hides_in_a_code(field: dict[str, str]) -> None:
    """Codes go into the audit log as they are, and stay there."""
    with pytest.raises(ValueError, match="number"):
        Attempt(**{**CALL, "reached": False, **field})


def test_no_number_hides_in_a_district() -> None:
    with pytest.raises(ValueError, match="number"):
        AssignmentForm(version=1, key="12345678", to="li", district="渝中区13800138000")


def test_a_decision_is_read_by_who_sees_its_case_and_on_record(
    desk: Desk, opened, alert, database
) -> None:
    opened(district="渝中区", event_id="e-decided")
    here, far = (Actor(name, Role.OFFICER, name) for name in ("渝中区", "巴南区"))

    def looked() -> int:
        query = select(AUDIT).where(AUDIT.c.subject == "e-decided")
        return len(database.rows(query))

    before = looked()
    desk.act(note_decision, "e-decided", by=here)
    desk.act(note_decision, "e-decided", by=LI)
    assert looked() == before + 2
    with pytest.raises(Problem, match="not-found"):
        desk.act(note_decision, "e-decided", by=far)
    with pytest.raises(Problem, match="not-found"):
        desk.act(note_decision, "e-of-no-case", by=here)
    assert looked() == before + 2
