"""A simulated colleague in the demonstration: works cases beside whoever looks.

He goes the way an officer's pages go: the next case, an attempt, an outcome, each in a turn of its
own and in the audit log. How citizens answer is drawn from the rates of
`data.simulator.dissuasion`, whether a warning was right from its score: all of it is simulated.
He leaves the visitor some cases.
"""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from data.settings import Settings
from data.simulator.dissuasion import BELIEF, REACH
from models.bundle import load
from models.signing import PublicKey
from serving.access import Actor, Role
from serving.cases.attempts import record as record_attempt
from serving.cases.config import CaseConfig
from serving.cases.contracts import Acted, Attempt, Form, Outcome, OutcomeKind
from serving.cases.forms import Turn
from serving.cases.outcomes import record as record_outcome
from serving.cases.room import CaseRoom
from serving.cases.work_list import listed, take_next
from serving.problems import Problem

__all__ = ["COLLEAGUE", "Colleague", "working"]

COLLEAGUE = Actor("demo.colleague", Role.OFFICER)
LEFT = 5
"""Cases that he leaves to the visitor."""

_SHIFT_MIN = 480.0
_LOG = logging.getLogger("forewarn.demo")


@dataclass
class Colleague:
    """Works one case after another.

    Parameters
    ----------
    room : CaseRoom
    rng : numpy.random.Generator
        The citizens' answers.
    pause_s : float
        Between two cases.
    """

    room: CaseRoom
    rng: np.random.Generator
    pause_s: float = 15.0
    actor: Actor = field(default=COLLEAGUE)

    async def work(self, ended: threading.Event) -> None:
        """Until told to end; what another officer has in hand is left to him."""
        while not ended.is_set():
            try:
                await self.one()
            except Problem as problem:
                _LOG.info("the simulated colleague was refused: %s", problem.detail)
            for _ in range(int(self.pause_s * 5)):
                if ended.is_set():
                    return
                await asyncio.sleep(0.2)

    async def one(self) -> bool:
        """Work one case to its end; whether there was one to spare."""
        async with self.room.turn(self.actor) as turn:
            if len(await listed(turn, _SHIFT_MIN)) <= LEFT:
                return False
            taken = await take_next(turn, _SHIFT_MIN, _key())
        if taken is None or taken.next is None:
            return False
        real = self.rng.random() < taken.score
        tried = self._tried(taken.next.channel, taken.next.script, real=bool(real))
        async with self.room.turn(self.actor) as turn:
            after = await record_attempt(turn, _form(taken), tried)
        async with self.room.turn(self.actor) as turn:
            await self._close(turn, after, tried, real=bool(real))
        return True

    def _tried(self, channel: str, script: str, *, real: bool) -> Attempt:
        reached = bool(self.rng.random() < REACH[channel])
        believes = self.rng.random() < BELIEF[channel, script]
        return Attempt(
            channel=channel,
            script=script,
            reached=reached,
            believed=bool(believes) if reached and real else None,
            refused=not reached and bool(self.rng.random() < 0.3),
            minutes=round(float(self.rng.uniform(2, 9)), 1),
        )

    async def _close(self, turn: Turn, after: Acted, tried: Attempt, *, real: bool) -> None:
        kind, loss = OutcomeKind.UNREACHABLE, None
        if tried.reached and not real:
            kind = OutcomeKind.FALSE_ALARM
        elif tried.believed:
            kind = OutcomeKind.DISSUADED
        elif tried.reached:
            kind, loss = OutcomeKind.PAID, round(float(self.rng.lognormal(9, 1)), 2)
        await record_outcome(turn, _form(after), Outcome(outcome=kind, loss_cny=loss))


@contextmanager
def working(settings: Settings, bundle: Path, seed: int = 7) -> Iterator[None]:
    """Let the colleague work beside the block, in a thread of his own.

    Parameters
    ----------
    settings : Settings
        With the address of the demonstration's database.
    bundle : Path
        In service there: its levels are those of the cases.
    seed : int
        Of the citizens' answers.
    """
    ended = threading.Event()
    key = PublicKey.from_file(settings.var / "keys" / "bundle.pub")
    config = replace(CaseConfig.of(load(bundle, key).policy), zone=settings.zone)

    async def whole() -> None:
        engine: AsyncEngine = create_async_engine(
            settings.database_url or "",
            hide_parameters=True,
            connect_args={"options": "-c timezone=UTC"},
        )
        room = CaseRoom(engine, config, lambda: datetime.now(UTC))
        try:
            await Colleague(room, np.random.default_rng(seed)).work(ended)
        finally:
            await engine.dispose()

    thread = threading.Thread(target=lambda: asyncio.run(whole()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


def _form(acted: Acted) -> Form:
    return Form(case_id=acted.case_id, version=acted.version, key=_key())


def _key() -> str:
    return uuid4().hex
