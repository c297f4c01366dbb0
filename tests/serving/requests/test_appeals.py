"""A citizen objects: reviewed by another, lifted at once, counted."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from serving.access.roles import Actor, Role
from serving.cases import attempts, outcomes
from serving.cases.contracts import Attempt, Outcome
from serving.cases.labels import outcome_labels
from serving.cases.tables import OUTCOMES
from serving.cases.work_list import lock
from serving.problems import Problem
from serving.requests import decide, file, ledger, lifecycle, open_appeals
from serving.requests.contracts import Appeal, AppealDecision, AppealFiling, Draft
from serving.requests.tables import APPEALS


def filed(desk: Any, by: Any = None, **about: Any) -> Appeal:
    about = about or {"case_id": desk.case().case_id}
    filing = AppealFiling(**about, words="我是被误报的，电话13800138000", key=desk.key())
    return desk.act(file, desk.office, filing, by=by)  # type: ignore[no-any-return]


def decided(desk: Any, appeal: Appeal, by: Any = None, minute: float = 0, **how: Any) -> Appeal:
    whole = {"upheld": True, "reason": "核实为本人正常转账", "version": appeal.version}
    decision = AppealDecision(**{**whole, "key": desk.key(), **how})
    by = by or desk.people.chief
    return desk.act(decide, appeal.appeal_id, decision, by=by, minute=minute)  # type: ignore[no-any-return]


def close(desk: Any, kind: str = "dissuaded", by: Any = None, **more: Any) -> None:
    desk.act(outcomes.record, desk.case_form(), Outcome(outcome=kind, **more), by=by)


def standing(desk: Any) -> list[str]:
    rows = desk.database.rows(select(OUTCOMES).where(OUTCOMES.c.reversed_at.is_(None)))
    return [row["outcome"] for row in rows]


def test_an_objection_opens_a_review_with_a_deadline(desk: Any, people: Any) -> None:
    appeal = filed(desk)
    assert appeal.due_at == desk.now + timedelta(days=3)
    assert appeal.zh == "申诉已受理，须在2026-03-13 10:00前答复"
    (waiting,) = desk.act(open_appeals)
    assert waiting.words == "我是被误报的，电话[number]"
    assert not waiting.overdue
    assert desk.act(open_appeals, overdue=True) == ()
    (late,) = desk.act(open_appeals, overdue=True, minute=4 * 24 * 60)
    assert (late.overdue, late.en) == (True, "24 h overdue")
    assert desk.act(open_appeals, by=people.elsewhere) == ()
    with pytest.raises(Problem, match="conflict") as raised:
        filed(desk)
    assert "under review" in raised.value.more["en"]


def test_a_bank_may_file_about_a_measure(desk: Any, people: Any) -> None:
    signed = desk.signed()
    appeal = filed(desk, people.bank, request_id=signed.request_id)
    assert desk.database.rows(select(APPEALS))[0]["case_id"] == signed.case_id
    with pytest.raises(Problem, match="not-found"):
        filed(desk, people.bank, request_id="nothing")
    with pytest.raises(Problem, match="forbidden"):
        decided(desk, appeal, by=people.officer)


def test_upheld_lifts_corrects_and_counts(desk: Any, bank: Any) -> None:
    call = Attempt(channel="call_96110", script="plain", minutes=4, reached=True)
    desk.act(attempts.record, desk.case_form(), call)
    signed, other = desk.signed(), desk.draft("freeze")
    desk.deliver()
    close(desk)
    done = decided(desk, filed(desk), minute=60)
    assert (done.state, done.detail["lifted"], done.detail["undone"]) == ("upheld", 2, 1)
    assert done.en == "upheld; measures lifted: 2; the case is a false alarm"
    assert desk.current(signed).state == "undone"
    assert desk.current(other).state == "withdrawn"
    assert standing(desk) == ["false_alarm"]
    labels = desk.database.within(outcome_labels).to_pylist()
    assert [row["verdict"] for row in labels if row["withdrawn_at"] is None] == ["none"]
    desk.deliver(minute=61)
    assert [one["type"] for one in bank.told()] == ["request.stop_payment", "undo.stop_payment"]
    (cost,) = desk.act(ledger, desk.now - timedelta(days=1), by=desk.people.chief)
    assert (cost.month, cost.level, cost.scam_type) == ("2026-03", "red", "investment")
    assert (cost.learnt_by, cost.false_alarms, cost.officer_minutes) == ("appeal", 1, 4.0)
    assert (cost.measures_taken, cost.measures_lifted) == (1, 1)


def test_an_open_case_is_closed_even_if_somebody_has_it(desk: Any, people: Any) -> None:
    desk.act(lock, desk.case_form())
    done = decided(desk, filed(desk))
    assert done.detail["outcome_id"]
    assert desk.case().closed
    assert standing(desk) == ["false_alarm"]


def test_only_the_measure_was_wrong(desk: Any, people: Any) -> None:
    wrong, right = desk.signed(), desk.signed("freeze")
    desk.deliver()
    appeal = filed(desk, request_id=wrong.request_id)
    done = decided(desk, appeal, false_alarm=False)
    assert done.detail == {"lifted": 1, "undone": 1, "outcome_id": None}
    assert desk.current(wrong).state == "undone"
    assert desk.current(right).state == "sent"
    assert not desk.case().closed
    (cost,) = desk.act(ledger, desk.now - timedelta(days=1), by=people.chief)
    assert (cost.learnt_by, cost.false_alarms, cost.measures_lifted) == ("measure", 0, 1)


def test_the_whole_case_is_no_mere_measure(desk: Any) -> None:
    with pytest.raises(Problem, match="conflict"):
        decided(desk, filed(desk), false_alarm=False)


def test_rejected_says_why_and_changes_nothing(desk: Any) -> None:
    signed = desk.signed()
    desk.deliver()
    done = decided(desk, filed(desk), upheld=False, reason="资金流向涉案账户6222021234567890")
    assert (done.state, done.zh) == ("rejected", "申诉不成立，理由可告知当事人")
    assert desk.current(signed).state == "sent"
    assert desk.database.rows(select(APPEALS))[0]["reason"] == "资金流向涉案账户[number]"
    assert desk.act(ledger, desk.now - timedelta(days=1), by=desk.people.chief) == ()
    assert filed(desk).state == "open"  # a new objection is heard


def test_who_had_a_part_in_it_does_not_decide(desk: Any, people: Any) -> None:
    signed = desk.signed()
    desk.deliver()
    close(desk, by=people.chief)
    appeal = filed(desk)
    for name in ("he", "li", "chief"):  # signed, drafted, recorded the outcome
        with pytest.raises(Problem, match="forbidden") as raised:
            decided(desk, appeal, by=Actor(name, Role.SUPERVISOR))
        assert raised.value.more["zh"]
    assert desk.current(signed).state == "sent"
    assert decided(desk, appeal, by=people.other_chief).state == "upheld"


def test_a_decision_is_made_once(desk: Any, people: Any) -> None:
    appeal = filed(desk)
    key = desk.key()
    first = decided(desk, appeal, key=key)
    assert decided(desk, appeal, key=key) == first
    with pytest.raises(Problem, match="conflict"):
        decided(desk, appeal)
    with pytest.raises(Problem, match="not-found"):
        decided(desk, appeal.model_copy(update={"appeal_id": "nothing"}))


def test_a_false_alarm_that_an_officer_saw_is_his(desk: Any, people: Any) -> None:
    close(desk, "false_alarm")
    done = decided(desk, filed(desk), minute=30)
    assert done.detail["outcome_id"]
    (cost,) = desk.act(ledger, desk.now - timedelta(days=1), by=people.chief)
    assert (cost.learnt_by, cost.false_alarms) == ("outcome", 1)
    assert desk.act(ledger, desk.now + timedelta(days=1), by=people.chief) == ()
    with pytest.raises(Problem, match="forbidden"):
        desk.act(ledger, desk.now, by=people.officer)
    far = Actor("far", Role.SUPERVISOR, "巴南区")
    assert desk.act(ledger, desk.now - timedelta(days=1), by=far) == ()


def test_who_filed_an_objection_does_not_decide_it(desk: Any, people: Any) -> None:
    """Else one supervisor alone would lift what an approver signed."""
    signed = desk.signed()
    appeal = filed(desk, people.chief, request_id=signed.request_id)
    with pytest.raises(Problem, match="forbidden") as raised:
        decided(desk, appeal, by=people.chief, false_alarm=False)
    assert raised.value.more["zh"]
    assert desk.current(signed).state == "signed"
    assert decided(desk, appeal, by=people.other_chief, false_alarm=False).state == "upheld"


def test_who_drafted_another_measure_of_the_case_does_not_find_it_a_false_alarm(
    desk: Any, people: Any
) -> None:
    one = desk.signed()
    other = desk.act(
        lifecycle.draft,
        desk.office,
        desk.case_form(),
        Draft(kind="freeze", receiver="bank", subject=f"acc_{'2' * 32}"),
        by=people.chief,
    )
    appeal = filed(desk, people.officer, request_id=one.request_id)
    with pytest.raises(Problem, match="forbidden"):
        decided(desk, appeal, by=people.chief)
    assert desk.current(other).state == "drafted"
    assert decided(desk, appeal, by=people.chief, false_alarm=False).state == "upheld"
