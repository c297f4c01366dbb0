"""Patrol plans in a process of their own: OR-tools holds Python's lock for as long as it searches.

A worker starts the process at its first plan and speaks with it over two pipes, a line of JSON each
way. It is ended when a plan takes too long, when nobody waits for it any more, and by itself after
some idle minutes. One plan at a time: who comes meanwhile is told to come back.
"""

import asyncio
import json
import logging
import os
import select
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic_core import from_json

from serving.plan_contracts import PlanRequest
from serving.problems import Problem

if TYPE_CHECKING:
    from serving.maps import Maps

__all__ = ["Planner", "main"]

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 15.0  # some 4 s of them to start the process on a busy machine
IDLE_S = 600
LONGEST_LINE = 1 << 25  # bytes of an answer
_LOG = logging.getLogger("forewarn.serving")


class Planner:
    """Makes patrol plans, one at a time.

    Parameters
    ----------
    maps : Maps
        Asked whether there is a map before a process is started for it.
    deadline_s : float
        Seconds a plan may take.
    """

    def __init__(self, maps: "Maps", *, deadline_s: float = DEADLINE_S) -> None:
        self._maps = maps
        self._deadline_s = deadline_s
        self._process: Process | None = None
        self._busy = False

    async def plan(self, request: PlanRequest) -> bytes:
        """A plan as JSON.

        Raises
        ------
        Problem
            If there is no map, nobody could carry out such a plan, another one is being made, or
            it takes too long.
        """
        if self._busy:
            raise Problem("busy", "another plan is being made", retry_after_s=5)
        self._busy = True
        try:
            await asyncio.to_thread(self._maps.require, request.date)
            return await self._asked(request)
        finally:
            self._busy = False

    async def close(self) -> None:
        """End the process."""
        await self._end()

    async def _asked(self, request: PlanRequest) -> bytes:
        done = False
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._answer(request.model_dump_json().encode() + b"\n")
            done = True
        except TimeoutError:
            detail = f"no plan within {self._deadline_s:g} s; ask for fewer units or stops"
            raise Problem("timeout", detail) from None
        finally:
            if not done:  # what it would still answer belongs to nobody
                await self._end()
        return _made(answer)

    async def _answer(self, line: bytes) -> bytes:
        for _ in range(2):  # an idle process may end just as we ask
            process = await self._running()
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            try:
                process.stdin.write(line)
                await process.stdin.drain()
                if answer := await process.stdout.readline():
                    return answer
            except ConnectionError:
                pass
            await self._end()
        raise Problem("internal")

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "serving.planner",
                *self._files(),
                stdin=PIPE,
                stdout=PIPE,
                cwd=ROOT,
                limit=LONGEST_LINE,
            )
        return self._process

    def _files(self) -> list[str]:
        """Folder of the maps and file of the districts, if there is one; as `main` takes them."""
        paths = (self._maps.folder, self._maps.districts_file)
        return [str(path.resolve()) for path in paths if path is not None]

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


def _made(answer: bytes) -> bytes:
    """The plan, or the problem that the process found instead."""
    if not answer.startswith(b'{"problem"'):
        return answer.rstrip(b"\n")
    told = from_json(answer)["problem"]
    raise Problem(told["name"], told["detail"], told["more"], told["retry_after_s"])


def main() -> None:
    """Answer requests from standard input until it ends, or nobody asks for a while."""
    from serving import scrub  # noqa: PLC0415 - what follows is for the process alone
    from serving.lean import import_without  # noqa: PLC0415

    os.nice(10)  # scoring goes first
    logging.basicConfig(stream=sys.stderr)
    scrub.install()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    import_without("lightgbm", ("pandas", "sklearn", "dask", "matplotlib", "graphviz"))
    from serving.maps import Maps  # noqa: PLC0415

    folder, *districts = map(Path, sys.argv[1:])
    maps = Maps(folder, districts=next(iter(districts), None))
    while (line := _next_line(sys.stdin.buffer)) is not None:
        answers.write(_reply(maps, line) + b"\n")
        answers.flush()


def _next_line(stream: BinaryIO) -> bytes | None:
    # there is never more than one line under way, so that nothing hides in the buffer
    ready, _, _ = select.select([stream], [], [], IDLE_S)
    return (stream.readline() or None) if ready else None


def _reply(maps: "Maps", line: bytes) -> bytes:
    from serving.patrol_plans import patrol_plan  # noqa: PLC0415 - OR-tools stays out of workers

    try:
        request = PlanRequest.model_validate_json(line)
        plan = patrol_plan(maps.day(request.date), request, datetime.now(UTC))
        return plan.model_dump_json().encode()
    except Problem as problem:
        return _told(problem)
    except Exception:  # noqa: BLE001 - the process lives on, and the client is told
        _LOG.exception("unexpected error in a patrol plan")
        return _told(Problem("internal"))


def _told(problem: Problem) -> bytes:
    told: Mapping[str, Any] = {
        "name": problem.name,
        "detail": problem.detail,
        "more": dict(problem.more),
        "retry_after_s": problem.retry_after_s,
    }
    return json.dumps({"problem": told}, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
