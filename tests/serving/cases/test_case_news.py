"""What is new in a case since an officer looked, and the stream that tells his page."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.access.roles import Actor, Role
from serving.app import create
from serving.cases import attempts, work_list
from serving.cases.admission import admit
from serving.cases.contracts import Attempt, Form
from serving.cases.forms import Turn
from serving.cases.live import Live, Pace
from serving.cases.reading import read
from serving.cases.room import CaseRoom
from serving.console import Assets, Pages
from serving.console.case_news import MOST, Mark, News, mark_of, news
from serving.console.timeline import timeline
from serving.console.words import Words
from serving.problems import Problem

LI, WANG = (Actor(name, Role.OFFICER) for name in ("li", "wang"))
ELSEWHERE = Actor("zhao", Role.OFFICER, "南岸区")
KEY = "0123456789abcdef"
CALL = {"channel": "call_96110", "script": "plain", "minutes": 4}


@given(st.text(max_size=200))
def test_whatever_is_sent_for_a_mark_is_read_or_refused(code: str) -> None:
    mark = Mark.read(code)
    assert mark is None or Mark.read(mark.code) == mark


def turn(connection: Any, config: Any, at: datetime, actor: Actor = LI) -> Turn:
    return Turn(connection, actor, at, config)


def looked(database: Any, config: Any, at: datetime, case: Any, then: Mark | None = None) -> Any:
    async def work(connection: Any) -> tuple[Mark, News]:
        mine = turn(connection, config, at)
        mark = await mark_of(mine, case.case_id)
        card, words = await read(mine, case.case_id), Words(config, at)
        return mark, news(then, mark, timeline(card, words), card.case, words)

    return database.within(work)


def test_who_looks_for_the_first_time_is_told_nothing(
    database: Any, opened: Any, config: Any, now: datetime
) -> None:
    case = opened()
    mark, told = looked(database, config, now, case)
    assert told == News()
    assert looked(database, config, now, case, mark) == (mark, News())


def test_evidence_of_another_platform_and_the_level_it_raises_come_first(
    database: Any, opened: Any, alert: Any, config: Any, now: datetime
) -> None:
    case = opened(level="yellow")
    before, _ = looked(database, config, now, case)
    found = alert(minute=5, level="red", platform="bank", kind="lead")
    database.within(lambda one: admit(one, [found], config))
    after, told = looked(database, config, now + timedelta(minutes=6), case, before)
    assert (before.level, after.level) == ("yellow", "red")
    clock = config.clock(found.known_at)
    red_zh, red_en = Words(config, now).level("red")
    assert told.lines == (
        (f"等级变为{red_zh}", f"the level is now {red_en}"),
        (f"{clock} 新证据（bank）", f"new evidence at {clock} (bank)"),
    )
    assert [one.kind for one in told.fresh] == ["evidence"]


def test_evidence_that_leaves_the_version_is_news_all_the_same(
    database: Any, opened: Any, alert: Any, config: Any, now: datetime
) -> None:
    case = opened(level="red")
    before, _ = looked(database, config, now, case)
    many = [alert(minute=minute, level="blue") for minute in range(1, MOST + 3)]
    database.within(lambda one: admit(one, many, config))
    after, told = looked(database, config, now, case, before)
    assert after.version == before.version
    assert after.evidence == before.evidence + MOST + 2
    assert told.lines[-1] == ("另有2项", "2 more")
    assert len(told.lines) == MOST + 1


def test_what_others_did_is_told_with_how_it_went(
    database: Any, opened: Any, config: Any, now: datetime
) -> None:
    case = opened()
    before, _ = looked(database, config, now, case)
    later = now + timedelta(minutes=1)
    unbelieved = Attempt(**CALL, reached=True, believed=False)

    async def work(connection: Any) -> None:
        form = Form(case_id=case.case_id, version=case.version, key=KEY)
        await attempts.record(turn(connection, config, later, WANG), form, unbelieved)

    database.within(work)
    mark, told = looked(database, config, later, case, before)
    assert told.lines[0][1].startswith("wang at ")
    assert "did not believe" in told.lines[0][1]

    async def lock(connection: Any) -> None:
        form = Form(case_id=case.case_id, version=mark.version, key=f"{KEY}1")
        await work_list.lock(turn(connection, config, later, WANG), form)

    database.within(lock)
    _, told = looked(database, config, later, case, mark)
    assert "wang took the case" in told.lines[0][1]
    assert told.fresh == ()


def test_a_case_of_another_district_has_no_mark(
    database: Any, opened: Any, config: Any, now: datetime
) -> None:
    case = opened(district="垫江县")

    async def work(connection: Any) -> None:
        await mark_of(turn(connection, config, now, ELSEWHERE), case.case_id)

    with pytest.raises(Problem) as refused:
        database.within(work)
    assert refused.value.name == "not-found"


# --- the stream


@pytest.fixture(scope="module")
def app() -> Any:
    if not Assets.of().built:
        pytest.skip("the console's libraries are not vendored: make assets")
    return create(Pages.of(Assets.of()))


@pytest.fixture
def listen(app: Any, acting: Any, database: Any, config: Any, now: datetime) -> Callable[..., Any]:
    """What a page hears while something is done: the stream is ended after a moment."""

    def run(case_id: str, done: Any = None, by: Actor = LI, seen: str = "") -> Any:
        async def whole(engine: AsyncEngine) -> httpx.Response:
            live = Live(engine.url, Pace(beat_s=0.1, gap_s=0, again_s=0.05))
            app.state.cases, app.state.live = CaseRoom(engine, config, lambda: now), live
            live.open()

            async def work() -> None:
                await asyncio.sleep(0.3)
                if done is not None:
                    async with engine.begin() as connection:
                        await done(connection)
                await asyncio.sleep(0.4)
                await live.close()

            transport = httpx.ASGITransport(acting(app, by))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                path = f"/console/cases/{case_id}/live"
                answer, _ = await asyncio.gather(client.get(path, params={"seen": seen}), work())
                return answer

        return database.run(whole)

    return run


def marks(answer: httpx.Response) -> list[str]:
    lines = answer.text.splitlines()
    return [line[6:] for line in lines if line.startswith("data: ") and line != "data: "]


def test_a_page_is_told_the_mark_it_does_not_show_and_no_other(
    listen: Any, database: Any, opened: Any, alert: Any, config: Any, now: datetime
) -> None:
    case, other = opened("tel_1"), opened("tel_2")
    mark, _ = looked(database, config, now, case)
    assert marks(listen(case.case_id)) == [mark.code]
    assert marks(listen(case.case_id, seen=mark.code)) == []

    async def elsewhere(connection: Any) -> None:
        await admit(connection, [alert(minute=1, subscriber=other.subscriber)], config)

    assert marks(listen(case.case_id, elsewhere, seen=mark.code)) == []

    async def here(connection: Any) -> None:
        await admit(connection, [alert(minute=1, level="red")], config)

    told = marks(listen(case.case_id, here, seen=mark.code))
    assert told == [looked(database, config, now, case)[0].code]


def test_a_stream_of_another_district_does_not_open(listen: Any, opened: Any) -> None:
    case = opened(district="垫江县")
    assert listen(case.case_id, by=ELSEWHERE).status_code == 404
    assert listen("no-such-case").status_code == 404
    assert listen("%00").status_code < 500
