"""Jobs are done at their time, by one worker, wholly or not at all, and tried again."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from data.outcomes import read_outcomes
from data.settings import Settings
from serving import metrics
from serving.access import AUDIT, Seals
from serving.access.audit import Act, append
from serving.cases.config import CaseConfig
from serving.cases.room import CaseRoom
from serving.cases.tables import FORMS
from serving.housekeeping import Chores
from serving.keeper import JOBS, Job, Keeper, every

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def engine(server: str) -> Iterator[Engine]:
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, case_forms"))
    yield engine
    engine.dispose()


@pytest.fixture
def within(database: Any, engine: Engine) -> Callable[..., Any]:
    return database.run  # type: ignore[no-any-return]


def counting(done: list[datetime], name: str = "count", *, alone: bool = True) -> Job:
    async def work(_: AsyncConnection, now: datetime) -> None:
        await asyncio.sleep(0.05)
        done.append(now)

    return Job(name, every(minutes=1), work, alone)


@pytest.mark.parametrize(("alone", "times"), [(True, 1), (False, 2)])
def test_a_job_is_done_once_for_all_or_once_by_each(within, alone: bool, times: int) -> None:
    done: list[datetime] = []

    async def two_workers(engine: AsyncEngine) -> None:
        clock, job = Clock(), counting(done, alone=alone)
        workers = [Keeper(engine, clock, [job]) for _ in range(2)]
        await asyncio.gather(*(one.once(job) for one in workers))
        await asyncio.gather(*(one.once(job) for one in workers))  # not due again
        assert len(done) == times
        clock.at += timedelta(minutes=1)
        await asyncio.gather(*(one.once(job) for one in workers))

    within(two_workers)
    assert len(done) == 2 * times


def test_a_restart_does_not_do_it_again(within) -> None:
    done: list[datetime] = []
    job = counting(done)
    for _ in range(2):
        within(lambda engine: Keeper(engine, Clock(), [job]).once(job))
    assert done == [NOW]


def test_a_worker_that_dies_leaves_it_to_another(within, engine: Engine) -> None:
    """Its transaction goes: what it wrote, the lock, and the note that it succeeded."""

    async def dies(connection: AsyncConnection, now: datetime) -> None:
        row = {"actor": "li", "key": "12345678", "fingerprint": "", "answer": None, "at": now}
        await connection.execute(insert(FORMS), [row])
        await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    done: list[datetime] = []

    async def two_workers(asynchronous: AsyncEngine) -> None:
        first = Keeper(asynchronous, Clock(), [])
        with pytest.raises(Exception, match=r"terminat|closed"):
            await first.once(Job("same", every(minutes=1), dies))
        await Keeper(asynchronous, Clock(), []).once(counting(done, "same"))

    within(two_workers)
    assert done == [NOW]
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(FORMS)) == 0


def test_a_job_that_fails_is_tried_again(within, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def work(_: AsyncConnection, __: datetime) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("not yet")

    async def kept(engine: AsyncEngine) -> None:
        keeper = Keeper(engine, Clock(), [Job("stubborn", every(minutes=1), work)], tick_s=0.01)
        await keeper.open()
        for _ in range(200):
            await asyncio.sleep(0.02)
            if len(tries) == 3:
                break
        await asyncio.sleep(0.1)
        await keeper.close()

    within(kept)
    assert len(tries) == 3
    assert "the job stubborn failed; it is tried again" in caplog.text
    told = metrics.exposition().body.decode()
    assert 'forewarn_job_failures_total{job="stubborn"} 2.0' in told
    (line,) = [one for one in told.splitlines() if 'last_success_seconds{job="stubborn"}' in one]
    assert float(line.split()[-1]) == NOW.timestamp()


def test_the_chores_of_a_deployment(within, server: str, engine: Engine, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, database_url=server, pseudonym_key=bytes(32))
    with engine.begin() as connection:
        append(connection, [Act("li", "officer", "read_case", "c1")], NOW)
        rows = [
            {"actor": "li", "key": f"key-{days}", "fingerprint": "", "answer": None}
            | {"at": NOW - timedelta(days=days)}
            for days in (1, 8)
        ]
        connection.execute(insert(FORMS), rows)

    async def all_of_them(asynchronous: AsyncEngine) -> CaseRoom:
        clock = Clock()
        room = CaseRoom(asynchronous, CaseConfig.preset(), clock)
        jobs = Chores.of(settings, room).jobs
        keeper = Keeper(asynchronous, clock, jobs)
        assert all([await keeper.once(job) for job in jobs])
        assert not any([await keeper.once(job) for job in jobs])
        return room

    within(all_of_them)
    with engine.connect() as connection:
        assert list(connection.scalars(select(FORMS.c.key))) == ["key-1"]
        assert connection.scalar(select(func.count()).select_from(JOBS)) == 5
        head = connection.execute(select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(1)).one()
    assert Seals.of(settings).heads()[-1].hash == head.hash
    assert (tmp_path / "history" / "outcomes.parquet").exists()
    assert len(read_outcomes(tmp_path / "history")) == 0


def test_an_audit_log_that_was_changed_is_no_success(
    within, server: str, engine: Engine, tmp_path: Path
) -> None:
    settings = Settings(var=tmp_path, database_url=server, pseudonym_key=bytes(32))
    with engine.begin() as connection:
        append(connection, [Act("li", "officer", "read_case", "c1")], NOW)
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE audit SET actor = 'wang'"))
        connection.execute(text("ALTER TABLE audit ENABLE TRIGGER USER"))

    async def sealed(asynchronous: AsyncEngine) -> None:
        clock = Clock()
        jobs = Chores.of(settings, CaseRoom(asynchronous, CaseConfig.preset(), clock)).jobs
        (seal,) = [job for job in jobs if job.name == "seal_audit"]
        await Keeper(asynchronous, clock, jobs).once(seal)

    with pytest.raises(Exception, match="expected a sound audit log, found that record 1"):
        within(sealed)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(JOBS)) == 0
    assert Seals.of(settings).heads() == []
