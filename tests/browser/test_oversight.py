"""The pages that look over others' work, in Debian's Chromium: whole and accessible."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, insert

from data.database import connect
from serving.access import Act
from serving.access.audit import append
from serving.cases.tables import ATTEMPTS, CASES, OUTCOMES
from serving.requests.tables import APPEALS, REQUESTS
from serving.server import Running

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
Shown = tuple[str, dict[str, int]]
SHOWN = pytest.mark.parametrize(
    "shown", [("zh", WIDE), ("zh", PHONE), ("en", WIDE)], ids=["zh", "phone", "en"]
)
STATIONS = "解放碑派出所,106.55,29.55,2\n江北派出所,106.57,29.56,1"
DISTRICTS = ("渝中区", "江北区", "渝北区", None)
LEVELS = (("red", 0), ("yellow", 1), ("blue", 2))
Visit = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def worked(deployed: Running) -> None:
    """A week of cases, as officers would have left them."""
    engine = connect(deployed.settings.database_url or "")
    with engine.begin() as connection:
        _fill(connection, datetime.now(UTC))
    engine.dispose()


def _fill(connection: Connection, now: datetime) -> None:
    rng = np.random.default_rng(20221201)
    cases = [_case(rng, number, now) for number in range(160)]
    connection.execute(insert(CASES), cases)
    tried = [_attempt(rng, case, turn) for case in cases for turn in range(int(rng.integers(0, 4)))]
    connection.execute(insert(ATTEMPTS), tried)
    ended = [_outcome(rng, case) for case in cases if case["state"] == "closed"]
    connection.execute(insert(OUTCOMES), ended)
    request = {
        "request_id": "oversight-1", "case_id": "oversight-000", "kind": "stop_payment",
        "receiver": "bank_a", "subject": f"acc_{'2' * 32}", "state": "drafted",
        "zh": "请对账户紧急止付", "en": "stop payments from the account", "valid_h": 48.0,
        "expires_at": now + timedelta(hours=2), "drafted_by": "li.wei", "drafted_at": now,
        "changed_at": now, "version": 1,
    }  # fmt: skip
    connection.execute(insert(REQUESTS), [request])
    appeal = {
        "appeal_id": "oversight-1", "case_id": "oversight-001", "state": "open",
        "words": "我没有被骗，请恢复我的号码", "filed_by": "li.wei", "filed_at": now,
        "due_at": now + timedelta(days=3), "version": 1,
    }  # fmt: skip
    connection.execute(insert(APPEALS), [appeal])
    acts = [
        Act("li.wei", "officer", "read_case", f"oversight-{number:03}", None, {"deed": "card"})
        for number in range(120)
    ]
    reveal = Act("li.wei", "officer", "reveal_pseudonym", "oversight-000", "上门劝阻前核对号码")
    append(connection, [*acts, reveal], now)


def _case(rng: np.random.Generator, number: int, now: datetime) -> dict[str, Any]:
    level, urgency = LEVELS[int(rng.integers(3))]
    opened = now - timedelta(hours=float(rng.uniform(0.1, 160)))
    closed = number > 1 and rng.random() < 0.6
    deadline = opened + timedelta(hours=2)
    return {
        "case_id": f"oversight-{number:03}", "subscriber": f"tel_{number:032x}",
        "state": "closed" if closed else "open", "opened_at": opened,
        "episode_ends_at": opened + timedelta(days=7), "level": level, "urgency": urgency,
        "score": 0.3, "stage": "engaged", "stage_at": opened, "scam_type": "loan",
        "expected_loss_cny": 2e4, "deadline_at": deadline,
        "met_at": opened + timedelta(hours=float(rng.uniform(0, 3))) if closed else None,
        "district": DISTRICTS[int(rng.choice(4, p=[0.5, 0.3, 0.17, 0.03]))],
        "start_tier": "station", "tier": ("station", "district", "city")[number % 3],
        "assignee": (None, "li.wei", "zhang.san")[number % 3],
        "closed_at": now - timedelta(minutes=number) if closed else None,
        "changed_at": opened, "version": 1,
    }  # fmt: skip


def _attempt(rng: np.random.Generator, case: dict[str, Any], turn: int) -> dict[str, Any]:
    channel, script = (("call_96110", "plain"), ("call_96110", "scheme"), ("visit", "scheme"))[turn]
    reached = bool(rng.random() < 0.6)
    at = case["opened_at"] + timedelta(minutes=5 + 10 * turn)
    return {
        "attempt_id": f"{case['case_id']}-{turn}", "case_id": case["case_id"],
        "subscriber": case["subscriber"], "platform": "96110", "channel": channel,
        "script": script, "reached": reached, "believed": reached and bool(rng.random() < 0.5),
        "refused": False, "minutes": 4.0, "at": at, "recorded_at": at, "recorded_by": "li.wei",
    }  # fmt: skip


def _outcome(rng: np.random.Generator, case: dict[str, Any]) -> dict[str, Any]:
    kind = str(rng.choice(["dissuaded", "paid", "false_alarm"], p=[0.5, 0.1, 0.4]))
    dissuaded = kind == "dissuaded"
    return {
        "outcome_id": case["case_id"], "case_id": case["case_id"],
        "subscriber": case["subscriber"], "outcome": kind, "scam_type": "loan",
        "loss_cny": 31_000.0 if kind == "paid" else None,
        "avoided_cny": 25_940.0 if dissuaded else None,
        "avoided_method": "typical-loss-x-would-have-left-1" if dissuaded else None,
        "intervened": True, "episode_began_at": case["opened_at"],
        "episode_ends_at": case["episode_ends_at"], "known_at": case["closed_at"],
        "recorded_by": "li.wei",
    }  # fmt: skip


PAGES = pytest.mark.parametrize(
    ("role", "name"),
    [
        ("supervisor", "overview"),
        ("supervisor", "rules"),
        ("approver", "overview"),
        ("officer", "model"),
        ("auditor", "audit"),
    ],
)


@PAGES
@SHOWN
def test_the_pages_are_whole_and_accessible(
    visit: Visit, found_by_axe: Any, pictures: Path, role: str, name: str, shown: Shown
) -> None:
    tongue, size = shown
    page = visit(f"/console/{name}", tongue, size, role)
    page.wait_for_timeout(200)  # of the drawing
    assert page.locator("main h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    tag = f"-{role}" if role == "approver" else ""
    page.screenshot(path=pictures / f"{name}{tag}-{tongue}-{size['width']}.png", full_page=True)


def test_charts_are_drawn_beside_their_tables(visit: Visit) -> None:
    page = visit("/console/model", "en", WIDE, "officer")
    page.wait_for_selector(".chart canvas")
    assert page.locator(".chart canvas").count() >= 2
    inked = "all => all.map((one) => one.getContext('2d').getImageData(0, 0, one.width, one.height)"
    inked += ".data.some((part) => part > 0))"
    assert all(page.locator(".chart canvas").evaluate_all(inked))
    page.click("[aria-labelledby=calibration-title] summary")
    assert "0.0044" in page.inner_text("[aria-labelledby=calibration-title] table.list")


def test_a_period_is_chosen_by_a_link(visit: Visit) -> None:
    page = visit("/console/overview")
    page.click("text=30 天")
    page.wait_for_url("**days=30")
    assert page.inner_text(".periods [aria-current]") == "30 天"


def test_the_log_is_searched_checked_and_taken_out(visit: Visit) -> None:
    page = visit("/console/audit", "en", WIDE, "auditor")
    page.fill("[name=actor]", "li.wei")
    page.select_option("[name=action]", "reveal_pseudonym")
    page.click(".choices .primary")
    assert page.locator(".trail tbody tr").count() == 1
    assert "上门劝阻前核对号码" in page.inner_text(".trail")
    with page.expect_download() as taken:
        page.click("text=As a file (CSV)")
    assert "reveal_pseudonym" in Path(taken.value.path()).read_text("utf-8-sig")
    page.click("text=Check that the log is whole")
    page.wait_for_selector("#verdict")
    assert re.match(r"All \d+ records are as they were written", page.inner_text("#verdict"))


@SHOWN
def test_a_plan_is_carried_out_and_its_dose_recorded(
    visit: Visit, found_by_axe: Any, pictures: Path, shown: Shown
) -> None:
    tongue, size = shown
    page = visit("/console/map?coverage=0.02&shift=2", tongue, size)
    page.fill("#stations", STATIONS)
    page.fill("[name=minutes]", "150")
    page.click("#plan-form .primary")
    page.wait_for_selector("#plan-made-title")
    page.click("#plan-result form .primary")
    page.wait_for_url("**/console/plans/plan-*")
    address = page.url
    # an officer of the shift, on his phone
    page = visit(address, tongue, size, "officer")
    before = page.locator(".sure").count()
    page.click("tbody a[href*='stop=']")
    page.fill("[name=arrived]", "17:05")
    page.fill("[name=left]", "17:19")
    page.click(".forms .primary")
    assert page.locator("#wrong").count() == 1  # what was done is not said
    assert page.input_value("[name=arrived]") == "17:05"
    page.check("[value=on_foot]")
    page.click(".forms .primary")
    page.wait_for_selector("#made-title")
    assert page.locator(".sure").count() == before + 1
    page.select_option("[name=stop]", "elsewhere")
    page.fill("[name=cell]", "250:0:0")
    page.fill("[name=arrived]", "23:50")
    page.fill("[name=left]", "00:05")
    page.check("[value=lights]")
    page.fill("[name=note]", "路灯不亮 13800138000")
    page.click(".forms .primary")
    page.wait_for_selector("text=[number]")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    page.screenshot(path=pictures / f"plan-kept-{tongue}-{size['width']}.png", full_page=True)
