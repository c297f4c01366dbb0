"""The pages of cases without a browser: what stands on them, and what their forms do and refuse."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from data.pseudonyms import Pseudonymiser
from serving.access.audit import AUDIT
from serving.access.roles import Action, Actor, Role
from serving.app import create
from serving.cases.live import Live
from serving.cases.numbers import Numbers, keep
from serving.cases.room import CaseRoom
from serving.cases.tables import ATTEMPTS, CASES, EVIDENCE, NOTES, OUTCOMES
from serving.console import Assets, Pages
from serving.decisions import DECISIONS

pytestmark = pytest.mark.skipif(
    not Assets.of().built, reason="the console's libraries are not vendored: make assets"
)

LI, WANG = (Actor(name, Role.OFFICER) for name in ("li", "wang"))
CHIEF, SIGNER = Actor("chief", Role.SUPERVISOR), Actor("shen", Role.APPROVER)
NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
NAMES = Pseudonymiser(b"a key for tests only, 32 bytes at least")
KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def app() -> Any:
    return create(Pages.of(Assets.of()))


@pytest.fixture
def ask(
    app: Any, acting: Any, database: Any, config: Any, now: Any
) -> Callable[..., httpx.Response]:
    def run(
        path: str, fields: Any = None, by: Actor = LI, minute: float = 0, tongue: str = "en"
    ) -> httpx.Response:
        async def whole(engine: AsyncEngine) -> httpx.Response:
            clock = now + timedelta(minutes=minute)
            app.state.cases = CaseRoom(engine, config, lambda: clock)
            app.state.numbers, app.state.live = Numbers(NAMES), Live(engine.url)
            transport = httpx.ASGITransport(acting(app, by))
            cookies = {"forewarn_tongue": tongue}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", cookies=cookies
            ) as client:
                if fields is None:
                    return await client.get(path)
                return await client.post(path, data=fields)

        return database.run(whole)

    return run


def text_of(response: httpx.Response, part: str) -> str:
    """Words of an element by its id, up to the next element of its kind that ends."""
    found = re.search(rf'<(\w+)[^>]*id="{part}".*?>(.*?)</\1>', response.text, re.DOTALL)
    assert found, part
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", found[2])).split())


def form(case: Any, **fields: Any) -> dict[str, Any]:
    return {"version": case.version, "key": KEY, **fields}


ATTEMPT = {"channel": "call_96110", "script": "plain", "minutes": "4", "platform": "96110"}


def address(case: Any, deed: str = "") -> str:
    return f"/console/cases/{case.case_id}" + (f"/{deed}" if deed else "")


def decided(database: Any, event_id: str, features: dict[str, float], score: float = 0.6) -> None:
    """A decision that raised a case, by what raised it."""
    reasons = [
        {
            "feature": name,
            "contribution": weight,
            "zh": f"理由{place}",
            "en": f"Reason {place}.",
            "clears_zh": "本人可说明",
            "clears_en": "he can say",
            "check_zh": "查号码",
            "check_en": "Look at the number.",
            "right": 3,
            "warned": 10,
        }
        for place, (name, weight) in enumerate(features.items())
    ]
    row = {
        "event_id": event_id,
        "seq": 0,
        "subscriber": "tel_1",
        "kind": "call",
        "decided_at": NOW,
        "evaluated_at": NOW,
        "raw_score": 1.0,
        "score": score,
        "level": "red",
        "model_version": "gone",
        "features_version": "f",
        "vector": np.zeros(1).tobytes(),
        "thresholds": {},
        "answer": {"reasons": reasons},
    }
    database.within(lambda one: one.execute(insert(DECISIONS).values(row)))


@pytest.fixture(autouse=True)
def _clean(database: Any) -> None:
    database.within(lambda one: one.exec_driver_sql("TRUNCATE decisions"))


# --- the list


def test_an_empty_list_says_so_in_words(ask: Any) -> None:
    assert "没有未结案件" in ask("/console/shift", tongue="zh").text
    assert "No open case." in ask("/console/shift").text


def test_a_line_says_what_to_do_for_whom(ask: Any, opened: Any) -> None:
    case = opened(stage="paying", score=0.5)
    page = ask("/console/shift?minutes=60")
    assert page.status_code == 200
    line = page.text[page.text.index(f'id="line-{case.case_id}"') :]
    for said in ("yellow warning", "loan", "paying", "60 min left", "96110 call"):
        assert said in line.replace("fake loan", "loan"), said
    assert 'fill="#f9a825"' in line
    assert " style=" not in page.text


def test_minutes_are_kept_and_run_down(ask: Any, opened: Any) -> None:
    opened()
    page = ask("/console/shift?minutes=90")
    assert 'value="90"' in page.text
    assert "HttpOnly" in page.headers["set-cookie"]
    assert "forewarn_shift_ends" in page.headers["set-cookie"]
    assert "No minutes are left" in ask("/console/shift?minutes=0").text


def test_a_choice_narrows_the_list(ask: Any, opened: Any) -> None:
    red, blue = opened("tel_1", level="red"), opened("tel_2", level="blue")
    page = ask("/console/shift?level=red").text
    assert f"line-{red.case_id}" in page
    assert f"line-{blue.case_id}" not in page
    assert "No case of this choice" in ask("/console/shift?scam_type=romance").text
    assert f"line-{blue.case_id}" in ask("/console/shift?level=purple").text


def test_own_cases_come_first_and_others_stand_apart(ask: Any, opened: Any) -> None:
    mine, free = opened("tel_1", score=0.1), opened("tel_2", score=0.9)
    ask(address(mine, "take"), form(mine))
    page = ask("/console/shift").text
    assert page.index(f"line-{mine.case_id}") < page.index(f"line-{free.case_id}")
    assert "open with you until" in page
    other = ask("/console/shift", by=WANG)
    assert f"line-{mine.case_id}" not in other.text
    assert "li until" in text_of(other, "held")


def test_the_next_case_is_the_best_and_a_double_click_opens_it_once(ask: Any, opened: Any) -> None:
    opened("tel_1", score=0.1)
    best = opened("tel_2", score=0.9)
    for _ in range(2):
        answer = ask("/console/shift/next", {"key": KEY})
        assert (answer.status_code, answer.headers["location"]) == (303, address(best))


def test_nothing_next_is_told(ask: Any) -> None:
    assert "nothing is left to do now" in ask("/console/shift/next", {"key": KEY}).text


def test_many_rest_at_once_and_one_that_cannot_is_named(ask: Any, opened: Any, now: Any) -> None:
    one, two = opened("tel_1"), opened("tel_2")
    until = (now + timedelta(hours=1)).isoformat()
    ticked = [f"{one.case_id}:{one.version}", f"{two.case_id}:7"]
    fields = {"case": ticked, "key": KEY, "reason": "等家属回电", "until": until}
    page = ask("/console/shift/snooze", fields)
    assert "1 done, 1 not" in text_of(page, "told")
    assert "the case changed" in page.text
    assert "等家属回电" in text_of(page, "snoozed")
    empty = ask("/console/shift/snooze", {**fields, "case": []})
    assert empty.status_code == 422
    assert "at least one case" in empty.text
    assert "等家属回电" in empty.text


def test_a_backlog_shows_its_beginning_and_its_size(ask: Any, database: Any, opened: Any) -> None:
    row = opened("tel_0").row
    many = [{**row, "case_id": f"c{at}", "subscriber": f"tel_{at}"} for at in range(1, 400)]
    database.within(lambda one: one.execute(insert(CASES), many))
    page = ask("/console/shift?minutes=480").text
    assert page.count('id="line-') == 50
    assert "the first 50 of" in page
    assert "400 open in all" in page


# --- a case


def test_the_card_says_what_to_do_say_and_ask(ask: Any, opened: Any) -> None:
    case = opened(stage="paying")
    page = ask(address(case), tongue="zh")
    assert "我是反诈中心，请立即停止转账" in page.text
    assert "放款前让您先交过任何费用吗" in page.text
    assert "尚无人联系过当事人" in page.text
    assert "没有本系统的评分可解释" in page.text


def test_every_look_is_on_record(ask: Any, opened: Any, database: Any) -> None:
    case = opened()
    ask(address(case))
    row = database.rows(select(AUDIT).where(AUDIT.c.subject == case.case_id))[-1]
    assert (row["actor"], row["action"]) == ("li", Action.READ_CASE)


def test_a_case_that_is_not_there_or_of_another_district(ask: Any, opened: Any) -> None:
    case = opened(district="Yubei")
    assert "no such case" in ask("/console/cases/none").text
    page = ask(address(case), by=Actor("zhao", Role.OFFICER, "Banan"))
    assert page.status_code == 404
    assert "no such case" in page.text


def test_an_attempt_not_believed_scores_again(ask: Any, opened: Any, database: Any) -> None:
    case = opened(stage="contact", deadline=timedelta(hours=4))
    before = ask(address(case))
    page = ask(address(case, "attempt"), form(case, result="unbelieved", **ATTEMPT), minute=10)
    assert "recorded: did not believe" in text_of(page, "told")
    assert "engaged" in text_of(page, "card-title")
    assert text_of(page, "next-step") != text_of(before, "next-step")
    assert "60 min left" in page.text
    assert "4 contacts left" in page.text
    assert "did not believe" in text_of(page, "contacted")
    assert len(database.rows(select(ATTEMPTS))) == 1


def test_a_double_click_records_one_attempt(ask: Any, opened: Any, database: Any) -> None:
    case = opened()
    fields = form(case, result="unanswered", **ATTEMPT)
    first, second = (ask(address(case, "attempt"), fields) for _ in range(2))
    assert text_of(first, "told") == text_of(second, "told")
    assert len(database.rows(select(ATTEMPTS))) == 1


def test_a_stale_form_is_refused_and_keeps_what_was_typed(
    ask: Any, opened: Any, database: Any
) -> None:
    case = opened()
    ask(address(case, "note"), form(case, text="子女在外地"))
    late = {**form(case, text="邻居说他在家"), "key": "another-key-1"}
    page = ask(address(case, "note"), late, by=WANG)
    assert page.status_code == 409
    assert "the case changed" in text_of(page, "refused")
    assert "邻居说他在家" in page.text
    assert f'name="version" value="{case.version + 1}"' in page.text
    assert len(database.rows(select(NOTES))) == 1


def test_two_officers_on_one_case(ask: Any, opened: Any, database: Any) -> None:
    case = opened()
    ask(address(case, "take"), form(case))
    assert "li is working on this case" in text_of(ask(address(case), by=WANG), "held")
    (held,) = database.cases()
    page = ask(address(case, "attempt"), form(held, result="refused", **ATTEMPT), by=WANG)
    assert page.status_code == 409
    assert "li is working on this case" in text_of(page, "refused")
    assert database.rows(select(ATTEMPTS)) == []
    ask(address(case, "release"), {**form(held), "key": "another-key-2"})
    assert "working on this case" not in ask(address(case), by=WANG).text


@pytest.mark.parametrize(
    ("deed", "fields", "named"),
    [
        ("attempt", {**ATTEMPT}, "how the attempt went"),
        ("attempt", {**ATTEMPT, "result": "believed", "minutes": "-1"}, "minutes, from 0 to 1440"),
        ("outcome", {"outcome": "paid"}, "what was lost, in yuan"),
        ("outcome", {"outcome": "gone"}, "how it ended"),
        ("note", {"text": "  "}, "the words of the note"),
        ("snooze", {"reason": "later", "until": "tomorrow"}, "until when"),
        ("reverse", {"reason": ""}, "a reason"),
    ],
)
def test_what_is_missing_is_named(
    ask: Any, opened: Any, deed: str, fields: dict[str, str], named: str
) -> None:
    case = opened()
    page = ask(address(case, deed), form(case, **fields))
    assert page.status_code == 422
    assert named in page.text[page.text.index('id="refused"') :]


def test_an_outcome_closes_and_can_be_taken_back(ask: Any, opened: Any, database: Any) -> None:
    case = opened()
    page = ask(address(case, "outcome"), form(case, outcome="paid", loss_cny="5000"))
    assert "closed: already paid" in text_of(page, "told")
    assert "CNY 5,000 lost" in page.text
    assert "An attempt" not in page.text
    (closed,) = database.cases()
    again = {**form(closed, reason="银行已追回", outcome=""), "key": "another-key-3"}
    page = ask(address(case, "reverse"), again)
    assert "open again" in text_of(page, "told")
    assert "took back “already paid”: 银行已追回" in page.text
    assert database.rows(select(OUTCOMES))[0]["reversal_reason"] == "银行已追回"


def test_a_supervisor_gives_a_case_to_an_officer_who_exists(
    ask: Any, opened: Any, officers: Any
) -> None:
    case = opened()
    assert ask(address(case, "reassign"), form(case, to="nobody"), by=CHIEF).status_code == 422
    page = ask(address(case, "reassign"), form(case, to="li"), by=CHIEF)
    assert "assigned to li" in text_of(page, "told")
    assert "given to you" in ask("/console/shift").text
    assert ask(address(case, "reassign"), form(case, to="li")).status_code == 403


def test_who_only_signs_sees_no_forms_of_work(ask: Any, opened: Any) -> None:
    page = ask(address(opened()), by=SIGNER)
    assert page.status_code == 200
    assert "Record the attempt" not in page.text
    assert "Show the number" not in page.text


def test_a_number_is_shown_once_for_a_purpose(ask: Any, opened: Any, database: Any, now) -> None:
    who = NAMES.one("tel", "13800138000")
    case = opened(subscriber=who)
    sealed = {"subscriber": who, "sealed": Numbers(NAMES).close(who, "13800138000")}
    database.within(lambda one: keep(one, [{**sealed, "kept_at": now}]))
    assert ask(address(case, "reveal"), {"purpose": ""}).status_code == 409
    page = ask(address(case, "reveal"), {"purpose": "打电话劝阻"})
    assert "13800138000" in text_of(page, "number")
    assert "13800138000" not in ask(address(case)).text


# --- why


LONG, FOREIGN, FIRST = "event.duration.value", "event.foreign.value", "pair.call_in.count.1h"


def test_the_score_is_told_in_steps_and_words(ask: Any, opened: Any, database: Any) -> None:
    case = opened(event_id="e-led")
    decided(database, "e-led", {LONG: 2.0, FOREIGN: 1.5})
    page = ask(address(case)).text
    assert "Of 100 events like this one about 60 are frauds." in page
    assert page.count('<rect class="raises"') == 2
    assert "Reason 0." in page
    assert "raises the score by 2.00 log-odds" in page
    assert "right in 3 of 10 warnings" in page


def test_closed_cases_most_like_it_and_how_often_the_reason_was_right(
    ask: Any, opened: Any, database: Any
) -> None:
    ended = {
        "twin": ({LONG: 2.0, FOREIGN: 1.5}, "paid"),
        "near": ({LONG: 1.0, FOREIGN: 1.5}, "false_alarm"),
        "far": ({FOREIGN: 9.0}, "dissuaded"),
        "gone": ({LONG: 7.0}, "unreachable"),
    }
    for at, (name, (features, outcome)) in enumerate(ended.items()):
        case = opened(f"tel_{name}", event_id=f"e-{name}")
        decided(database, f"e-{name}", features)
        loss = {"loss_cny": "700"} if outcome == "paid" else {}
        fields = {**form(case, outcome=outcome, **loss), "key": f"another-key-{at}"}
        assert ask(address(case, "outcome"), fields).status_code == 200
    case = opened("tel_1", event_id="e-led")
    decided(database, "e-led", {LONG: 2.0, FOREIGN: 1.5})
    page = ask(address(case), minute=1)
    alike = re.findall(r"distance ([\d.]+)", page.text)
    assert alike == ["0.0", "1.0", "5.2"]
    assert "already paid" in page.text
    assert "led 2 closed cases with an answer: 1 were frauds, 1 false alarms" in text_of(
        page, "record"
    )
    assert "Of 1 more nobody knows." in text_of(page, "record")
    # what was taken back counts no more; another district's cases are not shown
    database.within(
        lambda one: one.execute(
            update(OUTCOMES)
            .where(OUTCOMES.c.outcome == "paid")
            .values(reversed_at=NOW, reversed_by="li", reversal_reason="x")
        )
    )
    assert "led 1 closed cases" in text_of(ask(address(case), minute=1), "record")


def test_evidence_of_another_case_is_not_shown(ask: Any, opened: Any, database: Any) -> None:
    one, two = opened("tel_1", event_id="e/1"), opened("tel_2", event_id="e/2")
    assert 'evidence/e/1"' in ask(address(one)).text
    assert ask(f"{address(two)}/evidence/e/1").status_code == 404
    assert len(database.rows(select(EVIDENCE))) == 2


# --- rude use


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "a", "case": "x:1"},
        {"key": "a" * 99, "case": "x:1"},
        {"key": KEY, "case": "x:0"},
        {"key": KEY, "case": "\0:1"},
        {"key": KEY, "case": "x:" + "9" * 5_000},
    ],
)
def test_a_bulk_form_that_no_page_sends_is_refused_in_words(
    ask: Any, fields: dict[str, str]
) -> None:
    until = (NOW + timedelta(hours=1)).isoformat()
    told = ask("/console/shift/snooze", {"reason": "later", "until": until, **fields})
    assert told.status_code < 500
    assert ask("/console/shift/next", fields).status_code < 500


@pytest.mark.parametrize(
    "path", ["/console/cases/%00", "/console/cases/x/evidence/%00", "/console/cases/%F0%9F%98%80"]
)
def test_an_address_the_database_cannot_hold_is_told_in_words(ask: Any, path: str) -> None:
    assert 400 <= ask(path).status_code < 500
    assert 400 <= ask(f"{path}/note", {"version": "1", "key": KEY, "text": "x"}).status_code < 500


def test_a_page_that_is_slow_to_draw_holds_up_no_other_record(
    app: Any, acting: Any, database: Any, opened: Any, config: Any, now: Any
) -> None:
    """The audit log's lock is the whole city's: it is taken last."""
    case = opened()

    async def work(engine: AsyncEngine) -> bool:
        app.state.cases = CaseRoom(engine, config, lambda: now)
        transport = httpx.ASGITransport(acting(app, LI))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            engine.connect() as other,
        ):
            await other.execute(text("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE"))
            page = asyncio.create_task(client.get(address(case)))
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            async with asyncio.timeout(15):
                while not await other.scalar(waits):
                    await asyncio.sleep(0.02)
            free = bool(await other.scalar(select(func.pg_try_advisory_lock(0x61756474))))
            await other.execute(text("SELECT pg_advisory_unlock_all()"))
            await other.rollback()
            assert (await page).status_code == 200
        return free

    assert database.run(work)


def test_a_key_has_no_session_to_end(ask: Any) -> None:
    key = Actor("key:12345678", Role.SYSTEM, scopes=frozenset({Action.SCORE}))
    assert ask("/console/sign-out", {}, by=key).status_code == 403
