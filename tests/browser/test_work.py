"""A shift in the browser: an event comes in, an officer works the case, and it becomes a label."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pyarrow as pa
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from data.pseudonyms import Pseudonymiser
from serving.cases.labels import outcome_labels
from serving.server import Running

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
TONGUES = pytest.mark.parametrize("tongue", ["zh", "en"])
WORK = "/console/shift?minutes=480"
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def key(deployed: Running, key_of: Make) -> str:
    """Of the centre's system that sends events."""
    return str(key_of(deployed))


@pytest.fixture
def send(deployed: Running, key: str) -> Iterator[Make]:
    """Score an event over the API, as the centre's systems do."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=deployed.url, timeout=30, headers=headers) as client:

        def sent(event: dict[str, Any]) -> dict[str, Any]:
            answer = client.post("/v1/fraud/score", json=event)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        yield sent


numbers = iter(range(13_900_000_001, 13_999_999_999))


@pytest.fixture
def alerted(send: Make, fraud_call: Make, deployed: Running) -> Make:
    """An alert about a citizen who had none; his pseudonym's short form, as the list has it."""
    names = Pseudonymiser.from_settings(deployed.settings)

    def make(**changes: Any) -> str:
        number = str(next(numbers))
        answer = send(fraud_call(subscriber=number, **changes))
        assert answer["alert"]
        return names.one("tel", number)[-32:][:8]

    return make


def link(page: Any, who: str) -> Any:
    return page.locator("#shift tbody th a", has_text=who)


def opened(page: Any, who: str) -> None:
    link(page, who).click()
    page.wait_for_selector("#card-title")


def live(page: Any) -> None:
    page.wait_for_selector('#wire[data-said="live"]')


def record_attempt(page: Any, result: str, channel: str = "call_96110") -> None:
    page.select_option("#form-attempt [name=channel]", channel)
    page.check(f"#form-attempt [name=result][value={result}]")
    page.fill("#form-attempt [name=minutes]", "4")
    page.click("#form-attempt button")


def labels(deployed: Running) -> pa.Table:
    async def read() -> pa.Table:
        engine = create_async_engine(deployed.settings.database_url or "")
        try:
            async with engine.connect() as connection:
                return await outcome_labels(connection)
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1) as apart:  # the browser's driver has this thread's loop
        return apart.submit(asyncio.run, read()).result()


def test_from_an_event_to_a_label(
    visit: Make, alerted: Make, deployed: Running, pictures: Path
) -> None:
    page = visit(WORK, role="officer", name="loop")
    live(page)
    who = alerted()
    link(page, who).wait_for()  # nobody reloads the page
    assert re.search(r"\d", page.inner_text("#news"))
    opened(page, who)
    case_id = page.url.rsplit("/", 1)[1]
    before = {part: page.inner_text(part) for part in ("#next-step", ".deadline")}
    page.screenshot(path=pictures / "case-open-zh.png", full_page=True)
    record_attempt(page, "unbelieved")
    page.wait_for_selector("#told:focus")
    assert "已记录：对方不相信" in page.inner_text("#told")
    assert page.inner_text("#next-step") != before["#next-step"]
    assert "对方不相信" in page.inner_text("#contacted")
    assert page.locator("#form-attempt [name=result]:checked").count() == 0
    record_attempt(page, "believed", "visit")
    page.wait_for_selector(".timeline .attempt >> nth=1")
    assert "已联系上" in page.inner_text(".deadline")
    page.check("#form-outcome [value=dissuaded]")
    page.click("#form-outcome button")
    page.wait_for_selector("#form-reverse")
    assert "已结案：劝阻成功" in page.inner_text("#told")
    page.screenshot(path=pictures / "case-closed-zh.png", full_page=True)
    found = [row for row in labels(deployed).to_pylist() if row["case_id"] == case_id]
    assert [row["verdict"] for row in found] == ["censored"]
    page.click("#back")
    live(page)
    assert link(page, who).count() == 0


def test_what_is_looked_at_survives_news(visit: Make, alerted: Make) -> None:
    first = alerted()
    page = visit(WORK, role="officer", name="steady")
    live(page)
    row = page.locator("#shift tbody tr", has_text=first)
    row.locator("input[name=case]").check()
    link(page, first).focus()
    page.fill("#bulk [name=reason]", "等家属")
    link(page, first).focus()
    second = alerted()
    link(page, second).wait_for()
    assert page.evaluate("document.activeElement.textContent") == first
    assert row.locator("input[name=case]").is_checked()
    assert page.input_value("#bulk [name=reason]") == "等家属"
    assert "1" in page.inner_text("#ticked")
    page.click("#bulk button >> nth=0")
    page.wait_for_selector("#told:focus")
    assert link(page, first).count() == 0
    page.click("#snoozed summary")
    assert first in page.inner_text("#snoozed")


def test_two_officers_on_one_case(visit: Make, alerted: Make) -> None:
    who = alerted()
    one, two = (visit(WORK, role="officer", name=name) for name in ("first", "second"))
    opened(one, who)
    opened(two, who)
    one.click("#form-take button")
    one.wait_for_selector("#form-release")
    two.fill("#form-attempt [name=minutes]", "7")
    record_attempt(two, "refused")
    two.wait_for_selector("#refused:focus")
    assert "first正在处理此案" in two.inner_text("#refused")
    assert two.is_checked("#form-attempt [value=refused]")
    assert two.locator(".timeline .attempt").count() == 0


def test_a_double_click_counts_once(visit: Make, alerted: Make) -> None:
    who = alerted()
    page = visit(WORK, role="officer", name="quick")
    opened(page, who)
    page.check("#form-attempt [name=result][value=unanswered]")
    page.dblclick("#form-attempt button")
    page.wait_for_selector("#told:focus")
    page.wait_for_timeout(300)  # of a second answer, if there were one
    assert page.locator(".timeline .attempt").count() == 1


def test_a_stale_form_keeps_its_words(visit: Make, alerted: Make) -> None:
    who = alerted()
    one, two = (visit(WORK, role="officer", name=name) for name in ("early", "late"))
    two.route("**/console/cases/*/live?*", cut_short)  # or it would have been told in time
    opened(one, who)
    opened(two, who)
    for page, words in ((one, "子女在外地"), (two, "邻居说他在家")):
        page.click("#note summary")
        page.fill("#note textarea", words)
        page.click("#note button")
        page.wait_for_selector("#told, #refused")
    assert "案件在" in two.inner_text("#refused")
    assert two.input_value("#note textarea") == "邻居说他在家"
    assert "子女在外地" in two.inner_text(".timeline")
    two.click("#note button")
    two.wait_for_selector("#told")
    assert "邻居说他在家" in two.inner_text(".timeline")


def cut_short(route: Any) -> None:
    """A stream that ends as it begins, and a browser that comes back late."""
    route.fulfill(content_type="text/event-stream", body="retry: 60000\n\n")


def test_a_lost_connection_is_told_and_made_again(visit: Make, alerted: Make) -> None:
    page = visit(WORK, role="officer", name="offline")
    live(page)
    # the stream that runs already is cut by leaving it; new ones are refused
    page.route("**/console/shift/live", cut_short)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    page.wait_for_selector('#wire[data-said="lost"]')
    assert "实时连接已断开" in page.inner_text("#wire")
    page.unroute("**/console/shift/live")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    live(page)
    who = alerted()
    link(page, who).wait_for()


def test_a_session_that_ended_loses_nothing_that_was_typed(
    visit: Make, alerted: Make, signed_in: Make
) -> None:
    who = alerted()
    page = visit(WORK, role="officer", name="gone")
    opened(page, who)
    page.click("#note summary")
    page.fill("#note textarea", "正在通话")
    page.context.clear_cookies(name="forewarn")
    page.click("#note button")
    page.wait_for_url("**/console/sign-in?back=**")
    case = unquote(page.url.partition("back=")[2])
    page.context.add_cookies([signed_in("officer", name="gone")])
    page.goto(case)  # where signing in leads back to
    assert "之前填写的内容已恢复" in page.inner_text("#back-again")
    page.click("#note button")
    page.wait_for_selector("#told:focus")
    assert "正在通话" in page.inner_text(".timeline")


def test_the_number_is_shown_for_a_purpose(visit: Make, alerted: Make) -> None:
    who = alerted()
    page = visit(WORK, role="officer", name="caller")
    opened(page, who)
    page.click("#reveal summary")
    page.fill("#reveal [name=purpose]", "打电话劝阻")
    page.click("#reveal button")
    page.wait_for_selector("#number")
    assert re.search(r"139\d{8}", page.inner_text("#number"))
    page.reload()
    assert page.locator("#number").count() == 0


def test_a_shift_by_keys_alone(visit: Make, alerted: Make) -> None:
    alerted()
    page = visit(WORK, role="officer", name="keys")
    live(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.matches('#shift tbody th a')")
    page.keyboard.press("x")
    assert page.locator("#shift input[name=case]:checked").count() == 1
    page.keyboard.press("n")
    page.wait_for_selector("#form-release")  # it is taken
    page.keyboard.press("a")
    assert page.evaluate("document.activeElement.closest('#attempt') !== null")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("o")
    assert page.evaluate("document.activeElement.closest('#outcome') !== null")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.wait_for_selector("#shortcuts[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#shortcuts:not([open])", state="attached")
    page.wait_for_selector("body:not(:has(#shortcuts :focus))")  # it gives the focus back last
    page.wait_for_timeout(200)
    page.keyboard.press("w")
    live(page)
    assert page.url.endswith("/console/shift")


@SIZES
@TONGUES
def test_the_pages_are_whole_and_accessible(
    visit: Make, alerted: Make, found_by_axe: Make, pictures: Path, tongue: str, size: Any
) -> None:
    who = alerted()
    page = visit(WORK, tongue, size, role="supervisor", name="chief")
    live(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / f"work-{tongue}-{size['width']}.png", full_page=True)
    opened(page, who)
    record_attempt(page, "unanswered")
    page.wait_for_selector("#told:focus")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / f"case-{tongue}-{size['width']}.png", full_page=True)
    page.click(".timeline .evidence a")
    page.wait_for_selector("#event-title")
    page.click("#vector summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []


def test_without_scripts_the_loop_works_too(
    console: str, chromium: Any, signed_in: Make, alerted: Make
) -> None:
    who = alerted()
    context = chromium.new_context(base_url=console, java_script_enabled=False)
    context.add_cookies([signed_in("officer", name="plain")])
    page = context.new_page()
    page.goto(WORK)
    link(page, who).click()
    record_attempt(page, "unanswered")
    assert "已记录：未联系上" in page.inner_text("#told")
    assert page.locator(".timeline .attempt").count() == 1
    context.close()


def test_a_request_is_signed_by_another_person_and_lifted_when_the_citizen_was_right(
    visit: Make, alerted: Make, deployed: Running, found_by_axe: Make, pictures: Path
) -> None:
    who = alerted()
    officer = visit(WORK, role="officer", name="asks")
    live(officer)
    opened(officer, who)
    address = officer.url
    case_id = address.rsplit("/", 1)[1]
    officer.click("#draft-number_shut_down summary")
    officer.click("#draft-number_shut_down button")
    officer.wait_for_selector("#requests li:has-text('号码关停')")
    assert officer.locator("#requests button.primary").count() == 0  # not his to sign
    approver = visit("/console/overview", role="approver", name="signs")
    assert found_by_axe(approver) == []
    approver.screenshot(path=pictures / "approver-zh.png", full_page=True)
    waiting = approver.locator("#awaiting li", has=approver.locator(f'a[href$="{case_id}"]'))
    waiting.locator("button.primary").click()
    approver.wait_for_load_state()
    assert approver.locator(f'#awaiting a[href$="{case_id}"]').count() == 0
    request = officer.locator("#requests li", has_text="号码关停")
    for _ in range(40):
        officer.goto(address)
        if request.locator("[id^=answer-]").count():
            break
        officer.wait_for_timeout(250)
    request.locator("[id^=answer-] summary").click()
    request.locator("[id^=answer-] [name=answer]").select_option("accepted")
    request.locator("[id^=answer-] button").click()
    officer.wait_for_selector("#requests .tag:has-text('已执行')")
    officer.click("#appeal summary")
    officer.fill("#appeal [name=words]", "我是在给孩子交学费")
    officer.click("#appeal button")
    officer.wait_for_selector("#requests:has-text('我是在给孩子交学费')")
    chief = visit("/console/overview", role="supervisor", name="decides")
    appeal = chief.locator("#awaiting li", has_text="我是在给孩子交学费")
    appeal.locator("[name=found]").select_option("case")
    appeal.locator("[name=reason]").fill("学校已证实")
    appeal.locator("button").click()
    chief.wait_for_load_state()
    assert chief.locator("#awaiting li", has_text="我是在给孩子交学费").count() == 0
    found = [row for row in labels(deployed).to_pylist() if row["case_id"] == case_id]
    assert [row["verdict"] for row in found] == ["none"]
    officer.goto(address)
    assert "误报" in officer.inner_text("main")
    assert "已撤销" in request.inner_text()
