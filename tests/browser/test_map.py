"""The map's page as officers use it, in Debian's Chromium: by keys, by mouse, in both languages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
TONGUES = pytest.mark.parametrize("tongue", ["zh", "en"])
STATIONS = "解放碑派出所,106.55,29.55,2\n江北派出所,106.57,29.56,1"
MAP = "/console/map?coverage=0.02&shift=2"
Open = Callable[..., Any]
Axe = Callable[[Any], list[str]]


@pytest.fixture
def seen(visit: Open) -> Open:
    """Open the map's page, until the map is drawn."""

    def opened(tongue: str = "zh", size: dict[str, int] = WIDE, path: str = MAP) -> Any:
        page = visit(path, tongue, size)
        drawn(page)
        return page

    return opened


def drawn(page: Any) -> None:
    """Wait until the map shows what the page says."""
    # not wait_for_function, which evaluates text: the page's policy forbids that
    address = page.get_attribute("#board", "data-cells")
    page.wait_for_selector(f'risk-map[data-drawn="{address}"]')
    page.wait_for_timeout(300)  # of a frame


def plan(page: Any) -> None:
    page.fill("#stations", STATIONS)
    page.fill("[name=minutes]", "150")
    page.click("#plan-form .primary")
    page.wait_for_selector("#plan-made-title")


@SIZES
@TONGUES
def test_the_page_is_whole_and_accessible(
    seen: Open, found_by_axe: Axe, tongue: str, size: dict[str, int], pictures: Path
) -> None:
    page = seen(tongue, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / f"map-{tongue}-{size['width']}.png")
    page.locator("#board tbody a").nth(2).press("Enter")
    page.wait_for_selector("#explanation[data-cell]")
    plan(page)
    page.evaluate("scrollTo(0, 0)")
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / f"map-plan-{tongue}-{size['width']}.png", full_page=True)


def test_a_cell_is_explained_by_keys_alone(seen: Open, pictures: Path) -> None:
    page = seen()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("t")
    page.keyboard.press("ArrowDown")
    chosen = page.evaluate("document.activeElement.dataset.cell")
    page.keyboard.press("Enter")
    page.wait_for_selector("#explanation[data-cell]")
    page.wait_for_selector("#cell-title:focus")
    assert page.locator("#explanation").get_attribute("data-cell") == chosen
    assert "为何排第 2" in page.inner_text("#cell-title")
    assert f"cell={chosen.replace(':', '%3A')}" in page.url
    assert page.locator("#board a[aria-current]").get_attribute("data-cell") == chosen
    page.screenshot(path=pictures / "cell-zh.png")
    page.keyboard.press("Escape")
    page.wait_for_selector("#explanation.empty")
    assert page.evaluate("document.activeElement.dataset.cell") == chosen


def test_a_click_on_the_map_explains_a_cell(seen: Open) -> None:
    page = seen()
    at = page.evaluate(
        """() => {
            const mark = document.querySelector('.rank-mark').getBoundingClientRect();
            return [mark.left - 5, mark.bottom + 5];
        }"""
    )
    page.mouse.click(*at)
    page.wait_for_selector("#explanation[data-cell]")
    assert "cell=" in page.url


def test_choices_change_the_list_the_map_and_the_address(seen: Open) -> None:
    page = seen()
    before = page.inner_text("#board")
    page.keyboard.press("f")
    page.select_option("[name=shift]", "0")
    page.wait_for_url("**shift=0**")
    drawn(page)
    assert page.inner_text("#board") != before
    page.select_option("[name=coverage]", "0.05")
    page.wait_for_url("**coverage=0.05**")
    drawn(page)
    assert page.locator("#board tbody tr").count() == 80
    page.go_back()
    page.wait_for_selector('#board[data-cells$="coverage=0.02"]')  # the address comes before it
    drawn(page)
    assert page.locator("#board tbody tr").count() == 32


def test_the_language_changes_and_nothing_typed_is_lost(seen: Open) -> None:
    page = seen()
    plan(page)
    page.locator("main").focus()
    page.keyboard.press("l")
    page.wait_for_selector("html[lang=en]")
    page.wait_for_selector("#plan-made-title")
    assert page.input_value("#stations") == STATIONS
    assert page.input_value("[name=minutes]") == "150"
    assert "The cells visited expect" in page.inner_text("#plan-made-title")
    assert "shift=2" in page.url


def test_a_plan_is_listed_and_drawn(seen: Open) -> None:
    page = seen()
    plan(page)
    stops = page.locator(".beat li")
    marks = page.locator(".stop-mark:not(.station)")
    assert page.locator(".beat").count() == 3
    assert stops.count() == marks.count() > 5
    assert page.evaluate("document.activeElement.id") == "plan-made-title"
    page.select_option("[name=shift]", "0")  # the plan was another shift's
    page.wait_for_url("**shift=0**")
    drawn(page)
    assert page.locator(".beat").count() == marks.count() == 0
    assert page.input_value("#stations") == STATIONS


def test_mistakes_are_told_beside_the_form(seen: Open, console: str) -> None:
    page = seen()
    table = "名称,经度,纬度\n江北,x,1".encode("gb18030")
    file = {"name": "stations.csv", "mimeType": "text/csv", "buffer": table}
    page.set_input_files("[name=file]", file)
    page.click("#plan-form .primary")
    page.wait_for_selector("#plan-result .problem")
    assert "第 2 行" in page.inner_text("#plan-result")
    assert page.evaluate("document.activeElement.className") == "problem"


def test_the_keys_are_listed_and_can_be_switched_off(
    seen: Open, found_by_axe: Axe, pictures: Path
) -> None:
    page = seen()
    page.keyboard.press("?")
    page.wait_for_selector("#shortcuts[open]")
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / "keys-zh.png")
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    assert page.evaluate("document.activeElement.dataset.cell ?? null") is None


def test_without_scripts_the_page_still_works(
    console: str, chromium: Any, signed_in: Callable[..., Any]
) -> None:
    context = chromium.new_context(base_url=console, java_script_enabled=False)
    context.add_cookies([signed_in("supervisor")])
    page = context.new_page()
    page.goto(MAP)
    page.select_option("[name=shift]", "1")
    page.click("#choices button")
    assert "shift=1" in page.url
    page.locator("#board tbody a").first.click()
    assert page.locator("#explanation[data-cell]").count() == 1
    page.fill("#stations", STATIONS)
    page.fill("[name=minutes]", "60")
    page.click("#plan-form .primary")
    assert page.locator(".beat").count() == 3
    context.close()
