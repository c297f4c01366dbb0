"""The guides' pictures, made by working some cases; the guide inside the console."""

import io
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from data.database import connect
from data.pseudonyms import Pseudonymiser
from serving.access.csrf import csrf_token
from serving.cases.districts import keep
from serving.console.guide import GUIDES
from serving.server import Running

ROOT = Path(__file__).parents[2]
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
TONGUES = ("zh", "en")
SCENES = ("work", "case", "attempt", "requests", "overview", "map", "phone")
MADE = {f"{scene}-{tongue}.png" for scene in SCENES for tongue in TONGUES}
MOST_BYTES = 250_000
WORK = "/console/shift?minutes=240"
MAP = "/console/map?coverage=0.02&shift=2"
PEOPLE = {"zhou.min": "officer", "sun.lei": "approver", "wu.hao": "supervisor"}
STATIONS = "解放碑派出所,106.55,29.55,2\n江北派出所,106.57,29.56,1"
DISTRICTS = ("渝中区", "江北区", "沙坪坝区")
OPEN = (
    # minutes ago, what another platform said (grade, type), CNY on their way; "ours": we warn
    (26, ("high", "credit"), 49_800),
    (23, ("urgent", "credit"), 120_000),
    (40, ("medium", "loan"), 8_000),
    (44, ("high", "credit"), 30_000),
    (17, ("low", "rebate"), 1_200),
    (9, None, 16_000),
    (8, ("medium", "logistics"), 5_500),
)
CLOSED = (
    ("dissuaded", "believed"), ("dissuaded", "believed"), ("false_alarm", "refused"),
    ("dissuaded", "believed"), ("paid", "unanswered"), ("dissuaded", "unbelieved"),
    ("false_alarm", "believed"), ("dissuaded", "believed"), ("unreachable", "unanswered"),
    ("paid", "unbelieved"), ("dissuaded", "believed"), ("handed_over", "believed"),
)  # fmt: skip
Make = Callable[..., Any]


def named(text: str) -> set[str]:
    """Pictures of the guides that a text shows."""
    return set(re.findall(r"\]\([\w/]*pictures/([\w-]+\.png)\)", text))


def test_the_pictures_that_are_named_are_those_that_are_made() -> None:
    guides = [path.read_text("utf-8") for path in sorted(GUIDES.glob("*.md"))]
    readme = re.findall(r"serving/guides/pictures/([\w-]+\.png)", (ROOT / "README.md").read_text())
    shown = set().union(*map(named, guides), readme)
    assert shown == MADE
    there = {path.name: path.stat().st_size for path in (GUIDES / "pictures").iterdir()}
    assert set(there) == MADE
    assert max(there.values()) < MOST_BYTES


@pytest.mark.parametrize("tongue", TONGUES)
def test_a_guide_shows_the_pictures_of_its_language(tongue: str) -> None:
    for path in GUIDES.glob(f"*.{tongue}.md"):
        assert all(name.endswith(f"-{tongue}.png") for name in named(path.read_text("utf-8")))


@dataclass
class City:
    """What happened, and who works on it."""

    systems: httpx.Client
    officer: httpx.Client
    now: datetime
    names: Pseudonymiser
    people: Iterator[int]

    def who(self) -> str:
        """A citizen whom nobody had anything about."""
        return f"1370013{next(self.people):04}"

    def pseudonym(self, number: str) -> str:
        return self.names.one("tel", number)

    def tell(self, path: str, **told: Any) -> Any:
        answer = self.systems.post(path, json=told)
        assert answer.is_success, answer.text
        return answer.json()

    def event(self, kind: str, who: str, ago: float, **more: Any) -> Any:
        at = (self.now - timedelta(minutes=ago)).isoformat()
        event_id = f"guide-{kind}-{who[-4:]}-{ago:g}"
        told = {"kind": kind, "event_id": event_id, "occurred_at": at, "subscriber": who, **more}
        return self.tell("/v1/events" if kind == "lead" else "/v1/fraud/score", **told)

    def warned(self, who: str, ago: float, cny: int) -> None:
        """A long call from abroad, then money leaves."""
        caller = {"counterpart": "+85291234567", "direction": "incoming", "foreign": True}
        assert self.event("call", who, ago, duration_s=1_860, **caller)["alert"]
        payee = {"counterpart": "6217000010009876543", "account": "6222020200112233445"}
        self.event("transfer", who, ago - 2, amount_fen=100 * cny, limit_raised=True, **payee)

    def case_of(self, who: str) -> dict[str, Any]:
        lines = self.officer.get("/v1/cases", params={"limit": 200}).json()["items"]
        return next(line for line in lines if line["subscriber"] == self.pseudonym(who))

    def work(self, case: dict[str, Any], deed: str, **content: Any) -> None:
        form = {"version": case["version"], "key": f"guide-{deed}-{case['case_id']}", **content}
        answer = self.officer.post(f"/v1/cases/{case['case_id']}/{deed}", json=form)
        assert answer.is_success, answer.text
        case["version"] = answer.json()["version"]

    def until_sent(self, case_id: str) -> None:
        """Wait for the courier: it changes the request, and a form of before would be stale."""
        for _ in range(300):
            found = self.officer.get(f"/v1/cases/{case_id}/requests").json()["requests"]
            if found[0]["state"] == "sent":
                return
            time.sleep(0.1)
        raise AssertionError("expected a request that was sent, found one that waits")


@pytest.fixture
def city(deployed: Running, key_of: Make, signed_in: Make) -> Iterator[City]:
    """A morning of the centre: a dozen closed cases, seven open ones."""
    token = signed_in("officer", name="chen.jie")["value"]
    own = {"Cookie": f"forewarn={token}", "X-CSRF-Token": csrf_token(token)}
    key = {"Authorization": f"Bearer {key_of(deployed)}"}
    with (
        httpx.Client(base_url=deployed.url, timeout=30, headers=key) as systems,
        httpx.Client(base_url=deployed.url, timeout=30, headers=own) as officer,
    ):
        names = Pseudonymiser.from_settings(deployed.settings)
        yield City(systems, officer, datetime.now(UTC), names, iter(range(1_000, 2_000)))


def close_some(city: City) -> None:
    """A dozen cases, from the warning to the outcome."""
    for outcome, result in CLOSED:
        who = city.who()
        city.warned(who, 50, 20_000)
        case = city.case_of(who)
        tried = {
            "channel": "call_96110", "script": "scheme", "minutes": 4,
            "reached": result.endswith("believed"), "refused": result == "refused",
            "believed": {"believed": True, "unbelieved": False}.get(result),
        }  # fmt: skip
        city.work(case, "attempts", attempt=tried)
        loss = {"loss_cny": 20_000} if outcome == "paid" else {}
        city.work(case, "outcomes", outcome={"outcome": outcome, **loss})


def open_some(city: City, url: str) -> Sequence[str]:
    """Seven citizens, to three of whom 12381 wrote already, to one too long ago."""
    people = [city.who() for _ in OPEN]
    engine = connect(url)
    with engine.begin() as connection:
        places = zip(people, DISTRICTS * 3, strict=False)
        keep(connection, {city.pseudonym(who): place for who, place in places}, city.now)
    engine.dispose()
    for who, (ago, lead, cny) in zip(people, OPEN, strict=True):
        if lead is None or lead[0] in {"high", "urgent"}:
            city.warned(who, ago, cny)
        if lead:
            grade, scam_type = lead
            city.event("lead", who, ago - 5, source="12381", grade=grade, scam_type=scam_type)
    for who, ago in zip(people, (14, 14, None, 34), strict=False):
        if ago:
            sent = (city.now - timedelta(minutes=ago)).isoformat()
            city.tell(
                "/v1/attempts", key=f"guide-{who}", subscriber=who, platform="12381",
                channel="sms_12381", script="plain", reached=True, believed=False, at=sent,
            )  # fmt: skip
    return people


def few_colours(whole: Image.Image) -> Image.Image:
    """256 colours, half the bytes: what fills the page as it is, what is rare as near as may be."""
    pixels = np.asarray(whole).astype(np.int32)
    codes, place, often = np.unique(
        pixels @ (65_536, 256, 1), return_inverse=True, return_counts=True
    )
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    rare = whole.quantize(128, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    kept = np.concatenate([colours[np.argsort(-often)[:128]], np.reshape(rare, (-1, 3))])
    nearest = ((colours[:, None] - kept) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    few = Image.fromarray(nearest[place].reshape(pixels.shape[:2]))
    few.putpalette(kept.ravel().tolist())
    return few


@pytest.fixture
def shoot(pictures: Path) -> Make:
    """Keep what a page shows."""

    def shot(page: Any, name: str) -> None:
        page.mouse.move(1, 1)
        whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        few_colours(whole).save(pictures / name, optimize=True)
        assert (pictures / name).stat().st_size < MOST_BYTES

    return shot


@pytest.fixture
def seen(visit: Make) -> Make:
    """Open a page as one of the shift, in a window of some height; the one before is closed."""
    windows: list[Any] = []

    def opened(path: str, tongue: str, name: str = "zhou.min", high: int = 800) -> Any:
        while windows:  # each page of cases holds a stream, and a person may have some at once
            windows.pop().close()
        page = visit(path, tongue, {**WIDE, "height": high}, role=PEOPLE[name], name=name)
        page.wait_for_selector("main h1")
        windows.append(page)
        return page

    return opened


def done(page: Any) -> Any:
    """Wait for the answer to a form, and turn to the head of the page."""
    page.wait_for_selector("#told:focus")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    return page


def draft(page: Any, kind: str) -> None:
    page.click(f"#draft-{kind} summary")
    page.click(f"#draft-{kind} button")
    done(page)


def planned(page: Any) -> Any:
    """Wait for the map, look at a cell, plan the shift."""
    address = page.get_attribute("#board", "data-cells")
    page.wait_for_selector(f'risk-map[data-drawn="{address}"]')
    page.locator("#board tbody a").nth(2).press("Enter")
    page.wait_for_selector("#explanation[data-cell]")
    page.fill("#stations", STATIONS)
    page.fill("[name=minutes]", "150")
    page.click("#plan-form .primary")
    page.wait_for_selector("#plan-made-title")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)  # of a frame
    return page


def test_the_pictures_of_a_shift(
    city: City, deployed: Running, seen: Make, visit: Make, shoot: Make
) -> None:
    close_some(city)
    people = open_some(city, deployed.settings.database_url or "")
    at = [f"/console/cases/{city.case_of(who)['case_id']}" for who in people]
    for tongue in TONGUES:
        page = seen(WORK, tongue)
        page.wait_for_selector('#wire[data-said="live"]')
        shoot(page, f"work-{tongue}.png")
    for tongue, case in zip(TONGUES, at, strict=False):
        shoot(seen(case, tongue, high=1_100), f"case-{tongue}.png")
        phone = visit(case, tongue, PHONE, role="officer", name="zhou.min")
        shoot(phone, f"phone-{tongue}.png")
        page = seen(case, tongue)
        page.check("#form-attempt [value=unbelieved]")
        page.click("#form-attempt button")
        shoot(done(page), f"attempt-{tongue}.png")
        draft(page, "stop_payment")
        page = seen(case, tongue, "sun.lei")
        page.click("[id^=form-sign-] button")
        done(page)
        city.until_sent(case.rpartition("/")[2])
        page = seen(case, tongue)
        page.locator("[id^=answer-] summary").click()
        page.select_option("[id^=answer-] [name=answer]", "accepted")
        page.fill("[id^=answer-] [name=stopped_cny]", "49800")
        page.click("[id^=answer-] button")
        done(page)
        draft(page, "freeze")
        shoot(seen(case, tongue, "sun.lei"), f"requests-{tongue}.png")
    objected = "我没有被骗，是给国外的女儿交学费"
    city.tell("/v1/appeals", case_id=at[2].rpartition("/")[2], words=objected, key="guide-appeal")
    for tongue in TONGUES:
        shoot(seen("/console/overview", tongue, "wu.hao", 1_000), f"overview-{tongue}.png")
        shoot(planned(seen(MAP, tongue, "wu.hao", 1_000)), f"map-{tongue}.png")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("tongue", TONGUES)
def test_the_guide_is_read_in_the_console(
    visit: Make, found_by_axe: Make, pictures: Path, tongue: str, size: dict[str, int]
) -> None:
    page = visit("/console/shift", tongue, size, role="officer", name="zhou.min")
    page.click("footer a")
    page.wait_for_url("**/console/guide")
    title = (GUIDES / f"officers.{tongue}.md").read_text("utf-8").splitlines()[0]
    assert page.inner_text("main h1") == title.removeprefix("# ")
    for picture in page.locator(".guide img").all():
        picture.scroll_into_view_if_needed()
        assert picture.get_attribute("alt")
        picture.evaluate("image => image.decode()")  # fails where there is none
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found_by_axe(page) == []
    name = f"guide-{tongue}-{size['width']}.png"
    page.screenshot(path=pictures / name, full_page=True)
