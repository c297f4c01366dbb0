"""Drafted, signed by another, withdrawn, undone, answered, expired."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from data.pseudonyms import is_pseudonym
from serving.access.audit import AUDIT, verify
from serving.cases.forms import Turn
from serving.problems import Problem
from serving.requests import (
    awaiting_signature,
    dead_letters,
    decide,
    file,
    requests_of,
)
from serving.requests.contracts import Answer, AppealDecision, AppealFiling, Draft
from serving.requests.expiry import expire
from serving.requests.lifecycle import answer, decline, draft, resend, sign, undo, withdraw
from serving.requests.measures import Kind
from serving.requests.reading import requests_in
from serving.requests.request import STEPS, State, StepKind
from serving.requests.subjects import subjects
from serving.requests.tables import REQUESTS


def test_a_draft_says_what_is_asked_and_on_which_ground(desk: Any) -> None:
    drafted = desk.draft(amount_cny=50_000.0)
    request = desk.current(drafted)
    assert (request.state, request.drafted_by, request.version) == ("drafted", "li", 1)
    assert "紧急止付" in request.zh
    assert "第二十条" in request.zh
    assert "50,000.00" in request.en
    assert "Art. 20" in request.en
    assert is_pseudonym("acc", request.subject)
    assert desk.messages() == []  # nothing leaves without a signature


def test_who_drafted_does_not_sign(desk: Any, people: Any) -> None:
    drafted = desk.draft()
    both = type(people.approver)("li", people.approver.role)
    with pytest.raises(Problem, match="forbidden") as raised:
        desk.act(sign, desk.form(drafted), by=both)
    assert raised.value.more["zh"] == "起草人不能签批自己的请求"
    with pytest.raises(Problem, match="forbidden"):
        desk.act(sign, desk.form(drafted))  # no right either
    assert desk.messages() == []


def test_the_table_knows_four_eyes_too(desk: Any) -> None:
    row = desk.current(desk.signed()).row
    same = {**row, "request_id": "other", "subject": f"acc_{'9' * 32}", "drafted_by": "he"}
    with pytest.raises(IntegrityError, match="ck_requests_four_eyes"):
        desk.database.within(lambda c: c.execute(insert(REQUESTS), [same]))
    unsigned = {**same, "drafted_by": "li", "state": "sent", "signed_by": None, "signed_at": None}
    with pytest.raises(IntegrityError, match="ck_requests_nothing_unsigned"):
        desk.database.within(lambda c: c.execute(insert(REQUESTS), [unsigned]))


def test_a_signature_starts_the_term_and_writes_the_message(desk: Any) -> None:
    drafted = desk.draft("freeze")
    by = desk.people.approver
    signed = desk.act(sign, desk.form(drafted), by=by, minute=5)
    assert (signed.state, signed.version) == ("signed", 2)
    at = desk.now + timedelta(minutes=5)
    assert signed.expires_at == at + timedelta(hours=desk.office.hours(Kind.FREEZE))
    (message,) = desk.messages()
    assert (message["state"], message["topic"], message["due_at"]) == ("pending", "request", at)


def test_a_double_click_signs_once(desk: Any) -> None:
    form = desk.form(desk.draft())

    async def both(engine: AsyncEngine) -> list[Any]:
        async def one() -> Any:
            async with engine.begin() as connection:
                return await sign(
                    Turn(connection, desk.people.approver, desk.now, desk.config), form
                )

        return list(await asyncio.gather(one(), one()))

    first, second = desk.database.run(both)
    assert first == second
    assert len(desk.messages()) == 1


def test_two_people_with_two_keys_sign_once(desk: Any, people: Any) -> None:
    drafted = desk.draft()
    desk.act(sign, desk.form(drafted), by=people.approver)
    with pytest.raises(Problem, match="conflict") as raised:
        desk.act(sign, desk.form(drafted), by=people.second)
    assert raised.value.more["version"] == 2
    with pytest.raises(Problem, match="conflict"):  # as it is now, but it is signed
        desk.act(sign, desk.form(desk.current(drafted)), by=people.second)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": f"acc_{'9' * 32}"},  # nobody of this case
        {"subject": f"tel_{'1' * 32}"},  # a number is no account
        {"receiver": "police"},
        {"receiver": "nobody"},
    ],
)
def test_only_of_those_it_is_for_and_about_what_the_case_knows(desk: Any, changes: Any) -> None:
    with pytest.raises(Problem, match="conflict") as raised:
        desk.draft(**changes)
    assert raised.value.more["zh"]


def test_a_raw_number_is_no_subject() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Draft(kind="freeze", receiver="bank", subject="6222021234567890")


def test_the_same_request_is_not_drafted_twice(desk: Any) -> None:
    first = desk.draft()
    with pytest.raises(Problem, match="conflict") as raised:
        desk.draft()
    assert "under way" in raised.value.more["en"]
    desk.act(withdraw, desk.form(first), "other account")
    assert desk.draft().state == "drafted"


def test_subjects_are_the_cases_own(desk: Any) -> None:
    case = desk.case()
    found = desk.act(subjects, case, Kind.FREEZE)
    assert [one.en for one in found] == ["payee's account", "payer's account"]
    assert found[0].amount_cny == 50_000.0
    (citizen,) = desk.act(subjects, case, Kind.DISPATCH)
    assert citizen.pseudonym == case.subscriber


def test_a_stale_case_is_told(desk: Any) -> None:
    asked = Draft(kind="freeze", receiver="bank", subject=f"acc_{'2' * 32}")
    stale = desk.case_form().model_copy(update={"version": 9})
    with pytest.raises(Problem, match="conflict"):
        desk.act(draft, desk.office, stale, asked)


def test_withdrawn_before_it_left(desk: Any) -> None:
    signed = desk.signed()
    gone = desk.act(withdraw, desk.form(signed), "the citizen called back")
    assert gone.state == "withdrawn"
    assert [one["state"] for one in desk.messages()] == ["cancelled"]
    assert desk.deliver() == 0


def test_not_withdrawn_once_it_left(desk: Any, bank: Any) -> None:
    bank.script = ["drop"]
    signed = desk.signed()
    desk.deliver()
    with pytest.raises(Problem, match="conflict") as raised:
        desk.act(withdraw, desk.form(signed), "too late")
    assert "undo" in raised.value.more["en"]


def test_an_approver_declines(desk: Any, people: Any) -> None:
    done = desk.act(decline, desk.form(desk.draft()), "no reason", by=people.approver)
    assert done.state == "withdrawn"


def test_an_undo_before_anything_left_sends_nothing(desk: Any, people: Any) -> None:
    done = desk.act(undo, desk.form(desk.signed()), "wrong account", by=people.approver)
    assert done.state == "withdrawn"
    assert desk.deliver() == 0


def test_a_receivers_own_system_answers(desk: Any, people: Any) -> None:
    signed = desk.signed()
    desk.deliver()
    told = Answer(answer="partly", words="余额不足", stopped_cny=1200.5)
    form = desk.form(signed, version=None)
    with pytest.raises(Problem, match="not-found"):
        desk.act(answer, desk.office, form, told, by=people.other_bank)
    done = desk.act(answer, desk.office, form, told, by=people.bank, minute=1)
    assert (done.state, done.zh) == ("answered", "已记录答复：部分执行")
    request = desk.current(signed)
    assert (request.answer, request.stopped_cny) == ("partly", 1200.5)
    again = desk.act(answer, desk.office, form, told, by=people.bank, minute=2)
    assert again == done


def test_an_officer_records_what_he_was_told(desk: Any) -> None:
    signed = desk.signed()
    desk.deliver()
    refused = Answer(answer="refused", words="call 13800138000")
    with pytest.raises(Problem, match="conflict"):  # a person says which version he saw
        desk.act(answer, desk.office, desk.form(signed, version=None), refused)
    desk.act(answer, desk.office, desk.form(desk.current(signed)), refused)
    request = desk.current(signed)
    assert request.answer_words == "call [number]"
    assert desk.draft().state == "drafted"  # what was refused may be asked again


@pytest.mark.parametrize("way", ["undo", "appeal"])
def test_what_was_misheard_as_refused_is_lifted_all_the_same(
    desk: Any, people: Any, way: str
) -> None:
    signed = desk.signed("freeze")
    desk.deliver()
    desk.act(answer, desk.office, desk.form(desk.current(signed)), Answer(answer="refused"))
    if way == "undo":
        desk.act(undo, desk.form(desk.current(signed)), "it was carried out", by=people.approver)
    else:
        filing = AppealFiling(request_id=signed.request_id, words="冻结有误", key=desk.key())
        appeal = desk.act(file, desk.office, filing)
        upheld = {"upheld": True, "reason": "核实有误", "false_alarm": False, "version": 1}
        decision = AppealDecision(**upheld, key=desk.key())
        desk.act(decide, appeal.appeal_id, decision, by=people.chief)
    assert desk.current(signed).state == "undone"
    assert [one["topic"] for one in desk.messages()] == ["request", "undo"]


def test_what_the_receiver_itself_refused_needs_no_undo(desk: Any, people: Any) -> None:
    signed = desk.signed()
    desk.deliver()
    form = desk.form(desk.current(signed))
    desk.act(answer, desk.office, form, Answer(answer="refused"), by=people.bank)
    with pytest.raises(Problem, match="conflict"):
        desk.act(undo, desk.form(desk.current(signed)), "no need", by=people.approver)


def test_a_quick_answer_comes_before_we_know_it_was_sent(desk: Any, people: Any, bank: Any) -> None:
    bank.script = ["hang"]
    signed = desk.signed()
    desk.deliver()  # a timeout: it may have arrived
    accepted = Answer(answer="accepted")
    desk.act(answer, desk.office, desk.form(signed, version=None), accepted, by=people.bank)
    assert desk.deliver(minute=5) == 0
    assert desk.current(signed).state == "answered"


def test_nobody_can_have_answered_what_was_not_sent(desk: Any) -> None:
    signed = desk.signed()
    with pytest.raises(Problem, match="conflict") as raised:
        desk.act(answer, desk.office, desk.form(signed), Answer(answer="accepted"))
    assert raised.value.more["zh"].startswith("消息尚未发出")
    assert desk.deliver() == 1


def test_what_is_over_ends_by_itself(desk: Any) -> None:
    old, signed = desk.draft("freeze"), desk.signed()
    desk.deliver()

    def ended(hours: float) -> int:
        at = desk.now + timedelta(hours=hours)
        return desk.database.within(lambda c: expire(c, at))  # type: ignore[no-any-return]

    assert [ended(23), ended(24), ended(24), ended(48), ended(48)] == [0, 1, 0, 1, 0]
    assert desk.current(old).state == desk.current(signed).state == "expired"


def test_an_old_draft_is_not_signed(desk: Any, people: Any) -> None:
    with pytest.raises(Problem, match="conflict") as raised:
        desk.act(sign, desk.form(desk.draft()), by=people.approver, minute=24 * 60)
    assert "over" in raised.value.more["en"]


def test_lists(desk: Any, people: Any) -> None:
    drafted = desk.draft()
    both = type(people.approver)("li", people.approver.role)
    assert len(desk.act(awaiting_signature, by=people.approver)) == 1
    assert desk.act(awaiting_signature, by=both) == ()
    assert len(desk.act(requests_of, drafted.case_id)) == 1
    assert desk.act(requests_in, State.SIGNED) == ()
    assert desk.act(requests_in, by=people.elsewhere) == ()
    assert desk.act(dead_letters) == ()
    with pytest.raises(Problem, match="not-found"):
        desk.act(requests_of, drafted.case_id, by=people.elsewhere)
    with pytest.raises(Problem, match="not-found"):
        desk.act(withdraw, desk.form(drafted), "x", by=people.elsewhere)


def test_nothing_to_send_again(desk: Any) -> None:
    with pytest.raises(Problem, match="conflict") as raised:
        desk.act(resend, desk.form(desk.signed()))
    assert "nothing to send" in raised.value.more["en"]


def test_every_act_is_in_the_audit_log_without_free_text(desk: Any, people: Any) -> None:
    signed = desk.signed()
    desk.deliver()
    desk.act(undo, desk.form(desk.current(signed)), "错误13800138000", by=people.approver)
    rows = desk.database.rows(
        select(AUDIT).where(AUDIT.c.subject == signed.request_id).order_by(AUDIT.c.seq)
    )
    assert [row["detail"].get("deed", row["action"]) for row in rows] == [
        "draft",
        "sign",
        "message_delivered",
        "undo",
    ]
    assert "错误" not in str(rows)
    assert desk.database.within(lambda c: c.run_sync(verify)).sound


def test_every_state_but_the_last_leads_on() -> None:
    last = {State.WITHDRAWN, State.UNDONE, State.EXPIRED}
    leads = set().union(*(before for before, _ in STEPS.values()))
    assert leads == set(State) - last
    assert set(STEPS) == set(StepKind)
