"""Signing in, choosing a password, signing out: in Debian's Chromium, on the service as it runs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data.database import connect
from serving.access import Actor, Desk, Role
from serving.server import Running

OWN = "four random words do"
NOW = lambda: datetime.now(UTC)  # noqa: E731


@pytest.fixture
def new_account(deployed: Running) -> Callable[[str, Role], str]:
    """Makes an account; the password that is handed out."""

    def make(name: str, role: Role) -> str:
        engine = connect(deployed.settings.database_url or "")
        try:
            return Desk(engine, Actor("tests", Role.ADMINISTRATOR), NOW).add_account(name, role)
        finally:
            engine.dispose()

    return make


@pytest.fixture
def page(console: str, chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(base_url=console, viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def sign_in(page: Any, name: str, password: str) -> None:
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click(".door .primary")


def test_from_a_password_that_was_given_out_to_ones_own_and_out_again(
    page: Any, new_account: Callable[[str, Role], str], found_by_axe: Any, pictures: Path
) -> None:
    given_out = new_account("wang.fang", Role.SUPERVISOR)
    page.goto("/console/map")
    assert "/console/sign-in?back=" in page.url
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / "sign-in-zh-1280.png")
    sign_in(page, "wang.fang", "a wrong password of length")
    assert "未能登录" in page.inner_text(".problem")
    assert page.input_value("[name=name]") == "wang.fang"
    sign_in(page, "wang.fang", given_out)
    page.wait_for_url("**/console/password")
    assert found_by_axe(page) == []
    for new, again in ((OWN, "another one altogether"), ("password password", "password password")):
        page.fill("[name=old]", given_out)
        page.fill("[name=new]", new)
        page.fill("[name=again]", again)
        page.click(".door .primary")
        assert page.locator(".problem").count() == 1
    page.fill("[name=old]", given_out)
    page.fill("[name=new]", OWN)
    page.fill("[name=again]", OWN)
    page.click(".door .primary")
    page.wait_for_url("**/console/shift", wait_until="commit")
    assert "wang.fang" in page.inner_text(".who")
    page.click("text=退出")
    page.wait_for_url("**/console/sign-in")
    page.goto("/console/map")
    assert "/console/sign-in" in page.url


def test_a_link_fills_the_form_and_one_press_signs_in(
    page: Any, new_account: Callable[[str, Role], str]
) -> None:
    given_out = new_account("zhao.min", Role.AUDITOR)
    page.goto(f"/console/sign-in#name=zhao.min&password={given_out}")
    assert page.input_value("[name=name]") == "zhao.min"
    assert given_out not in page.url
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/password")


def test_whose_page_it_is_not_is_told_in_words(visit: Callable[..., Any]) -> None:
    page = visit("/console/sign-in", role="auditor")
    answer = page.goto("/console/map")
    assert answer.status == 403
    assert "无权" in page.inner_text(".problem")
    # he is known all the same: his name, his pages and the notice stand where they stand
    assert "test.auditor" in page.inner_text(".who")
    page.locator("header nav a").first.click()
    page.wait_for_selector("main h1")
    assert page.locator(".problem").count() == 0
