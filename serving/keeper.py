"""Jobs that keep the service in order, each at its time, for as long as a worker lives.

A job of one worker at a time takes an advisory lock in the transaction it works in, which also
remembers that it succeeded: a worker that dies in between leaves nothing done and nothing held. A
job that fails is logged and tried again.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, DateTime, Table, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from data.database import metadata
from serving import metrics

__all__ = ["JOBS", "Job", "Keeper", "every"]

JOBS = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("succeeded_at", DateTime(timezone=True), nullable=False),
)
"""When each job of one worker at a time last succeeded, whichever worker did it."""

_LOG = logging.getLogger("forewarn.serving")
_JOBS = 0x6A6F6273  # first half of an advisory lock, any number: "jobs"
_TICK_S = 5.0  # how often a worker looks what is due
_AGAIN = 6  # so many times longer after a failure

Due = Callable[[datetime | None, datetime], bool]
"""Whether it is time again, given when it last succeeded (None: never) and now."""


@dataclass(frozen=True)
class Job:
    """Something to be done again and again.

    Parameters
    ----------
    name : str
        For the log, the metrics and `JOBS`.
    due : callable
    work : callable
        Given a connection in a transaction, and now.
    alone : bool
        One worker does it for all; else each worker does it for itself.
    """

    name: str
    due: Due
    work: Callable[[AsyncConnection, datetime], Awaitable[Any]]
    alone: bool = True


def every(**span: float) -> Due:
    """So often, from success to the next try.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> hourly = every(hours=1)
    >>> [hourly(last, noon) for last in (None, noon, noon - timedelta(hours=1))]
    [True, False, True]
    """
    gap = timedelta(**span)
    return lambda last, now: last is None or now - last >= gap


class Keeper:
    """Does the jobs of one worker.

    Parameters
    ----------
    engine : AsyncEngine
    clock : callable
        Now, aware.
    jobs : sequence of Job
    tick_s : float
        Seconds between two looks at what is due; six times as many after a failure.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Callable[[], datetime],
        jobs: Sequence[Job],
        tick_s: float = _TICK_S,
    ) -> None:
        self._engine, self._clock, self._tick_s = engine, clock, tick_s
        self._jobs = tuple(jobs)
        self._own: dict[str, datetime] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin; each job has a task of its own, so that a slow one holds up none."""
        self._tasks = [asyncio.create_task(self._keep(job)) for job in self._jobs]

    async def close(self) -> None:
        """Stop; what is half done is rolled back, and another worker's turn."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def once(self, job: Job) -> bool:
        """Do a job if it is due and nobody else is at it; whether it was done."""
        now = self._clock()
        if not job.due(self._own.get(job.name), now):  # what we did ourselves needs no asking
            return False
        async with self._engine.begin() as connection:
            if not await self._my_turn(connection, job, now):
                return False
            await job.work(connection, now)
            if job.alone:
                await _remember(connection, job, now)
        self._own[job.name] = now
        metrics.job_done(job.name, now)
        return True

    async def _my_turn(self, connection: AsyncConnection, job: Job, now: datetime) -> bool:
        if not job.alone:
            return True
        if not job.due(await _succeeded_at(connection, job), now):
            return False
        lock = select(func.pg_try_advisory_xact_lock(_JOBS, _number(job.name)))
        if not await connection.scalar(lock):
            return False
        # whoever had the lock may have done it since we looked
        return job.due(await _succeeded_at(connection, job), now)

    async def _keep(self, job: Job) -> None:
        while True:
            done = await self._tried(job)
            await asyncio.sleep(self._tick_s if done else _AGAIN * self._tick_s)

    async def _tried(self, job: Job) -> bool:
        """Whether nothing went wrong."""
        try:
            await self.once(job)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _LOG.warning("the job %s waits: %s", job.name, type(error).__name__)
        except Exception:  # noqa: BLE001 - one surprise must not end a job for ever
            _LOG.exception("the job %s failed; it is tried again", job.name)
        else:
            return True
        metrics.job_failed(job.name)
        return False


async def _succeeded_at(connection: AsyncConnection, job: Job) -> datetime | None:
    query = select(JOBS.c.succeeded_at).where(JOBS.c.name == job.name)
    found: datetime | None = await connection.scalar(query)
    return found


async def _remember(connection: AsyncConnection, job: Job, now: datetime) -> None:
    new = insert(JOBS).values(name=job.name, succeeded_at=now)
    change = {"succeeded_at": new.excluded.succeeded_at}
    await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=change))


def _number(name: str) -> int:
    """A number for a lock, the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big", signed=True)
