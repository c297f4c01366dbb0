"""A case's page in the browser while others work on the case: it is live, and no word is lost."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from data.pseudonyms import Pseudonymiser
from serving.server import Running

WORK = "/console/shift?minutes=480"
FRAUD = {"kind": "call", "duration_s": 1_800, "foreign": True}
Make = Callable[..., Any]
numbers = iter(range(13_700_000_001, 13_799_999_999))


@pytest.fixture(scope="module")
def key(deployed: Running, key_of: Make) -> str:
    """Of the centre's system that sends events."""
    return str(key_of(deployed))


@pytest.fixture
def send(deployed: Running, key: str, call: Make) -> Iterator[Make]:
    """Score an event over the API, as the centre's systems do."""
    headers = {"Authorization": f"Bearer {key}"}
    common = ("event_id", "occurred_at")
    with httpx.Client(base_url=deployed.url, timeout=30, headers=headers) as client:

        def sent(**event: Any) -> dict[str, Any]:
            usual = call() if event["kind"] == "call" else {one: call()[one] for one in common}
            answer = client.post("/v1/fraud/score", json={**usual, **event})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        yield sent


@pytest.fixture
def alerted(send: Make, deployed: Running) -> Make:
    """A case of a citizen who had none: his number and his pseudonym's short form."""
    names = Pseudonymiser.from_settings(deployed.settings)

    def make(**event: Any) -> tuple[str, str]:
        number = str(next(numbers))
        send(**(event or FRAUD), subscriber=number)
        return number, names.one("tel", number)[-32:][:8]

    return make


def opened(visit: Make, who: str, name: str, tongue: str = "zh", **more: Any) -> Any:
    page = visit(WORK, tongue, role="officer", name=name, **more)
    page.locator("#shift tbody th a", has_text=who).click()
    page.wait_for_selector('#case-wire[data-said="live"]')
    return page


def typed_note(page: Any, words: str) -> None:
    page.click("#note summary")
    page.locator("#note textarea").press_sequentially(words)


def test_what_another_officer_does_appears_while_a_note_is_typed(
    visit: Make, alerted: Make, found_by_axe: Make
) -> None:
    _, who = alerted()
    one, two = (opened(visit, who, name) for name in ("types", "calls"))
    typed_note(one, "邻居说")
    note = one.locator("#note textarea")
    before = note.bounding_box()
    two.check("#form-attempt [name=result][value=unbelieved]")
    two.click("#form-attempt button")
    two.wait_for_selector("#told:focus")
    assert two.inner_text("#news") == ""  # his own deed is no news to him
    one.wait_for_selector(".timeline .attempt.fresh")
    assert "calls" in one.inner_text("#news")
    assert "对方不相信" in one.inner_text("#news")
    assert "仍在表单中" in one.inner_text("#news-kept")
    assert note.input_value() == "邻居说"
    assert note.evaluate("each => each === document.activeElement")
    assert abs(note.bounding_box()["y"] - before["y"]) < 2
    assert found_by_axe(one) == []
    note.press_sequentially("他在家")
    one.wait_for_function(
        "() => document.querySelector('#form-note [name=version]').value"
        " === document.querySelector('#form-take [name=version]').value"
    )
    one.click("#note button")
    one.wait_for_selector("#told:focus")
    assert "邻居说他在家" in one.inner_text(".timeline")
    assert note.input_value() == ""
    assert one.inner_text("#news") == ""


def test_a_form_takes_the_new_version_only_after_the_officer_was_told(
    visit: Make, alerted: Make
) -> None:
    _, who = alerted()
    one, two = (opened(visit, who, name) for name in ("slow", "quickly"))
    typed_note(one, "正在通话")
    version = one.locator("#form-note [name=version]")
    before = version.input_value()
    one.evaluate(
        """() => {
            const seen = [];
            window.seen = seen;
            const look = () => {
                const version = document.querySelector("#form-note [name=version]").value;
                seen.push([document.querySelector("#news").textContent.trim() !== "", version]);
            };
            setInterval(look, 20);
        }"""
    )
    two.click("#form-take button")
    two.wait_for_selector("#form-release")
    one.wait_for_function(
        "was => document.querySelector('#form-note [name=version]').value !== was", arg=before
    )
    assert "quickly" in one.inner_text("#news")
    one.wait_for_timeout(50)
    looks = one.evaluate("window.seen")
    assert [True, before] in looks  # told, and still the old version
    assert all(told for told, number in looks if number != before)


def test_the_level_rises_without_a_reload(
    visit: Make, alerted: Make, send: Make, found_by_axe: Make
) -> None:
    number, who = alerted(kind="lead", grade="low", source="12381")
    page = opened(visit, who, "reads", "en")
    page.evaluate("window.same = true")
    before = page.inner_text(".card.action .level")
    send(kind="lead", grade="urgent", source="bank", subscriber=number)
    page.wait_for_selector(".timeline .fresh")
    after = page.inner_text(".card.action .level")
    assert (before, after) == ("blue warning", "red warning")
    assert "the level is now red warning; new evidence at" in page.inner_text("#news")
    assert "(bank)" in page.inner_text("#news")
    assert page.evaluate("window.same")
    assert found_by_axe(page) == []
    page.click("#news-seen")
    assert page.inner_text("#news") == ""
    assert page.locator(".timeline .fresh").count() == 0


def test_a_case_closed_elsewhere_keeps_what_was_typed_and_cannot_be_sent(
    visit: Make, alerted: Make, found_by_axe: Make
) -> None:
    _, who = alerted()
    one, two, idle = (opened(visit, who, name, "en") for name in ("writes", "closes", "idle"))
    typed_note(one, "half a sent")
    two.check("#form-outcome [value=dissuaded]")
    two.click("#form-outcome button")
    two.wait_for_selector("#told:focus")
    one.wait_for_selector("#form-note .form-ended")
    assert "can no longer be done" in one.inner_text("#form-note")
    assert one.input_value("#note textarea") == "half a sent"
    assert one.is_disabled("#note button")
    assert one.is_disabled("#form-attempt button")
    assert "closed: dissuaded" in one.inner_text("#news")
    assert "Closed." in one.inner_text(".card.action")
    assert found_by_axe(one) == []
    idle.wait_for_selector("#form-reverse")  # who typed nothing sees the closed case at once
    one.click("#form-note .form-ended a")
    one.wait_for_selector("#form-reverse")


def test_a_session_that_ended_closes_the_stream_and_sends_nobody_away(
    visit: Make, alerted: Make, signed_in: Make
) -> None:
    _, who = alerted()
    one, two = (opened(visit, who, name) for name in ("leaves", "stays"))
    typed_note(one, "还没写完")
    address = one.url
    other = one.context.new_page()
    other.goto(address)
    other.click("form[action$=sign-out] button")
    other.wait_for_url("**/sign-in**")
    two.click("#form-take button")
    one.wait_for_selector('#case-wire[data-said="over"]')
    assert one.url == address
    assert one.input_value("#note textarea") == "还没写完"


def test_without_scripts_a_button_shows_what_is_new(
    console: str, chromium: Any, signed_in: Make, alerted: Make, visit: Make
) -> None:
    _, who = alerted()
    context = chromium.new_context(base_url=console, java_script_enabled=False)
    context.add_cookies([signed_in("officer", name="plainly")])
    page = context.new_page()
    page.goto(WORK)
    page.locator("#shift tbody th a", has_text=who).click()
    two = opened(visit, who, "acts")
    two.click("#form-take button")
    two.wait_for_selector("#form-release")
    page.click("#case-anew")
    assert "acts" in page.inner_text("#news")
    context.close()
