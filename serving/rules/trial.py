"""A rule's test in a process of its own: ``python -m serving.rules.trial NAME VERSION``.

It reads days of history and makes vectors of them, minutes of work that no answer should wait for.
Who asked for it stands in the environment, and in the audit log by the time it begins.
"""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from data.database import connect
from data.settings import Settings
from features import FRAUD_FEATURES
from models.rules import parse_rule
from serving.access.roles import Actor, Role
from serving.cases.config import CaseConfig
from serving.cases.labels import outcome_labels
from serving.cases.room import CaseRoom
from serving.problems import Problem
from serving.recovery import history_of, read_truth
from serving.rules.book import Members, read_members
from serving.rules.contracts import RuleAnswer
from serving.rules.history import HistoryTest, Past, try_on_history
from serving.rules.life import record_test
from serving.rules.tables import VERSIONS
from serving.shelf import Shelf

__all__ = ["Trials", "main", "try_rule"]

_LOG = logging.getLogger("forewarn.rules")
ROOT = Path(__file__).resolve().parents[2]
_ACTOR, _ROLE = "FOREWARN_TRIAL_ACTOR", "FOREWARN_TRIAL_ROLE"


async def try_rule(
    settings: Settings,
    actor: Actor,
    name: str,
    version: int,
    progress: Callable[[str], None] = lambda _: None,
) -> RuleAnswer:
    """Test a version against history, and keep what was found.

    Parameters
    ----------
    settings : Settings
        With the address of a database that is up to date.
    actor : Actor
        Who asked for it.
    name : str
    version : int
    progress : callable, optional
        Told what is being done.

    Raises
    ------
    Problem
        ``not-found``; ``forbidden``.
    NoHistory
        If there are no past events to test on.
    """
    engine = create_async_engine(
        settings.database_url or "", connect_args={"options": "-c timezone=UTC"}
    )
    try:
        now = datetime.now(UTC)
        judge = await asyncio.to_thread(Shelf.of(settings, FRAUD_FEATURES).champion)
        room = CaseRoom(engine, CaseConfig.of(judge.bundle.policy), lambda: datetime.now(UTC))
        content, outcomes, members = await _read(engine, name, version, now)
        rule = parse_rule(content, FRAUD_FEATURES, version=version)
        progress("reading the past")
        events = await asyncio.to_thread(_truth, settings)
        past = Past(events, outcomes, members)
        config = HistoryTest(zone=settings.zone)
        found = await asyncio.to_thread(
            try_on_history, rule, judge.bundle, past, now, config, progress
        )
        async with room.turn(actor) as turn:
            return await record_test(turn, name, version, found)
    finally:
        await engine.dispose()


class Trials:
    """Starts tests in processes of their own, one at a time in this worker.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: asyncio.Task[None] | None = None

    def start(self, actor: Actor, name: str, version: int) -> None:
        """Begin a test; what it finds is kept by its process.

        Raises
        ------
        Problem
            ``busy`` while another one runs.
        """
        if self._running is not None and not self._running.done():
            raise Problem("busy", "another rule is being tested", retry_after_s=30)
        self._running = asyncio.create_task(self._run(actor, name, version))

    async def wait(self) -> None:
        """Until what runs has ended."""
        if self._running is not None:
            await self._running

    async def close(self) -> None:
        """End what runs: it is asked for again."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self, actor: Actor, name: str, version: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "serving.leash", str(os.getpid())),
            *(sys.executable, "-m", "serving.rules.trial", name, str(version)),
            cwd=ROOT,
            env=self._environment(actor),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            await _end(process)
            raise
        if process.returncode:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            _LOG.error("the test of %s@%d failed: %s", name, version, *last or ["no word"])

    def _environment(self, actor: Actor) -> dict[str, str]:
        settings = self._settings
        own = {
            "FOREWARN_VAR": str(settings.var.resolve()),
            "FOREWARN_DATABASE_URL": settings.database_url or "",
            "FOREWARN_BUNDLE": str(settings.bundle.resolve()) if settings.bundle else "",
            "FOREWARN_ZONE": settings.zone,
            _ACTOR: actor.name,
            _ROLE: actor.role.value,
        }
        return {**os.environ, **own}


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()


async def _read(
    engine: AsyncEngine, name: str, version: int, now: datetime
) -> tuple[Any, pa.Table, Members]:
    async with engine.connect() as connection:
        query = select(VERSIONS.c.content).where(
            VERSIONS.c.name == name, VERSIONS.c.version == version
        )
        content = await connection.scalar(query)
        if content is None:
            raise Problem("not-found", "no rule of this name and version")
        outcomes = await outcome_labels(connection)
        return content, outcomes, await read_members(connection, now)


def _truth(settings: Settings) -> pa.Table:
    engine = connect(settings.database_url or "")
    try:
        with engine.connect() as connection:
            return read_truth(history_of(settings), connection)
    finally:
        engine.dispose()


def main() -> None:
    """Test the version the command line names, for whom the environment names."""
    name, version = sys.argv[1], int(sys.argv[2])
    actor = Actor(os.environ.pop(_ACTOR), Role(os.environ.pop(_ROLE)))
    os.nice(10)  # scores come first
    asyncio.run(try_rule(Settings.from_environment(), actor, name, version))


if __name__ == "__main__":
    main()
