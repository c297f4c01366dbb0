"""Pages hear of cases that changed, once a transaction, and only while they may."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.access.roles import Actor, Role
from serving.cases.admission import admit
from serving.cases.case import Case
from serving.cases.contracts import Form
from serving.cases.forms import Turn
from serving.cases.live import CHANNEL, Live, Pace, announce
from serving.cases.work_list import lock
from serving.problems import Problem

QUICK = Pace(beat_s=30, gap_s=0, again_s=0.05)
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE query = 'LISTEN ' || :channel AND state = 'idle'
"""
Work = Callable[[AsyncEngine, Live], Awaitable[Any]]


async def may() -> bool:
    return True


@asynccontextmanager
async def listening(engine: AsyncEngine, pace: Pace = QUICK, most: int = 64) -> AsyncIterator[Live]:
    live = Live(engine.url, pace, most)
    live.open()
    async with asyncio.timeout(20):
        while not live._heard:
            await asyncio.sleep(0.01)
        yield live
    await live.close()


def heard(database: Any, work: Work, **more: Any) -> Any:
    async def whole(engine: AsyncEngine) -> Any:
        async with listening(engine, **more) as live:
            return await work(engine, live)

    return database.run(whole)


async def begun(live: Live, **more: Any) -> AsyncIterator[bytes]:
    stream = live.stream(may, **more)
    assert await anext(stream) == b"retry: 50\n\n"
    return stream


def test_a_new_case_is_told_with_its_commit(database: Any, alert: Any, config: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> None:
        stream = await begun(live)
        waiting = asyncio.ensure_future(anext(stream))
        async with engine.begin() as connection:
            await admit(connection, [alert(subscriber="tel_1"), alert(subscriber="tel_2")], config)
            await asyncio.sleep(0.1)
            assert not waiting.done()
        assert (await waiting).startswith(b"event: cases\nid: ")
        again = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.2)
        assert not again.done(), "two cases of one transaction are one piece of news"
        again.cancel()

    heard(database, work)


def test_what_is_rolled_back_is_not_told(database: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> int:
        before = live._heard
        async with engine.connect() as connection:
            await announce(connection)
            await connection.rollback()
        await asyncio.sleep(0.2)
        return live._heard - before

    assert heard(database, work) == 0


def test_news_says_nothing_about_anybody(database: Any, alert: Any, config: Any) -> None:
    async def work(engine: AsyncEngine) -> list[str]:
        url = Live(engine.url)._url
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as ear:
            await ear.execute(f"LISTEN {CHANNEL}")
            async with engine.begin() as connection:
                await admit(connection, [alert(), alert(subscriber="tel_2")], config)
            return [told.payload async for told in ear.notifies(timeout=10, stop_after=1)]

    assert database.run(work) == [""]


def test_who_comes_back_is_told_what_he_may_have_missed(database: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> None:
        behind = await begun(live, last="0000-1")
        assert (await anext(behind)).startswith(b"event: cases")
        up_to_date = await begun(live, last=live._name)
        waiting = asyncio.ensure_future(anext(up_to_date))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()

    heard(database, work)


def test_a_stream_shows_that_it_lives_and_ends_with_the_session(database: Any) -> None:
    answers = iter([True, False])

    async def still() -> bool:
        return next(answers)

    async def work(engine: AsyncEngine, live: Live) -> list[bytes]:
        return [word async for word in live.stream(still)]

    pace = Pace(beat_s=0.01, gap_s=0, again_s=0.05)
    words = heard(database, work, pace=pace)
    beat = b": still here\n\n"
    assert words == [b"retry: 50\n\n", beat, beat, b"event: over\ndata: \n\n"]


def test_a_lost_connection_to_the_database_is_made_again(database: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> None:
        before = live._heard
        async with engine.begin() as connection:
            await connection.execute(text(CUT), {"channel": CHANNEL})
        while live._heard == before:  # it wakes all when it hears again
            await asyncio.sleep(0.01)
        stream = await begun(live)
        async with engine.begin() as connection:
            await announce(connection)
        assert (await anext(stream)).startswith(b"event: cases")

    heard(database, work)


def test_only_so_many_pages_listen_to_one_worker(database: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> None:
        first = await begun(live)
        live.room()
        second = await begun(live)
        with pytest.raises(Problem, match="busy"):
            live.room()
        await second.aclose()  # type: ignore[attr-defined]
        live.room()
        await first.aclose()  # type: ignore[attr-defined]

    heard(database, work, most=2)


def test_streams_end_with_the_worker(database: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> list[bytes]:
        stream = await begun(live)
        waiting = asyncio.ensure_future(_rest(stream))
        await asyncio.sleep(0.05)
        live.end()
        return await waiting

    assert heard(database, work) == [b": still here\n\n"]


async def _rest(stream: AsyncIterator[bytes]) -> list[bytes]:
    return [word async for word in stream]


def test_an_act_is_told(database: Any, opened: Callable[..., Case], config: Any, now: Any) -> None:
    case = opened()

    async def work(engine: AsyncEngine, live: Live) -> None:
        stream = await begun(live)
        form = Form(case_id=case.case_id, version=case.version, key="key-live-1")
        async with engine.begin() as connection:
            await lock(Turn(connection, Actor("li", Role.OFFICER), now, config), form)
        assert (await anext(stream)).startswith(b"event: cases")

    heard(database, work)


def test_nobody_takes_all_the_places_of_a_worker(database: Any) -> None:
    async def work(engine: AsyncEngine, live: Live) -> None:
        streams = []
        for _ in range(8):
            live.room("li")
            streams.append(await begun(live, who="li"))
        with pytest.raises(Problem, match="busy"):
            live.room("li")
        live.room("wang")
        await streams.pop().aclose()  # type: ignore[attr-defined]
        live.room("li")
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]

    heard(database, work)
