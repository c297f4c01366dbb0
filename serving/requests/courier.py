"""The one who carries messages: looks every second for what is due, and ends what is over."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.requests.expiry import expire
from serving.requests.outbox import Outbox

__all__ = ["Courier"]

_LOG = logging.getLogger("forewarn.requests")
_ROUNDS = 4  # at once


class Courier:
    """Delivers and expires in the background of a worker; several workers do not disturb another.

    Parameters
    ----------
    engine : AsyncEngine
    outbox : Outbox
        Closed with the courier.
    clock : callable
        Now, aware.
    every_s : float
        Seconds between two looks.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        outbox: Outbox,
        clock: Callable[[], datetime],
        *,
        every_s: float = 1.0,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._clock = clock
        self._every_s = every_s
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rounds: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._carry_for_ever())

    async def close(self) -> None:
        """Stop; what is in hand is sent again by whoever comes next, under the same id."""
        if self._task is not None:
            in_hand = (self._task, *self._rounds)
            for each in in_hand:
                each.cancel()
            await asyncio.gather(*in_hand, return_exceptions=True)
        await self._outbox.close()

    def wake(self) -> None:
        """Look at once: something was signed."""
        self._woken.set()

    async def once(self) -> int:
        """End what is over, then send what is due; how many messages were tried."""
        now = self._clock()
        async with self._engine.begin() as connection:
            await expire(connection, now)
        return await self._outbox.deliver(now)

    async def _carry_for_ever(self) -> None:
        while True:
            self._woken.clear()
            # a receiver that hangs holds up its own round, not the next
            if len(self._rounds) < _ROUNDS:
                begun = asyncio.create_task(self._round())
                self._rounds.add(begun)
                begun.add_done_callback(self._rounds.discard)
            # not wait_for: in Python 3.11 it loses a cancellation that comes with a wake
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._woken.wait()

    async def _round(self) -> None:
        try:
            if await self.once():
                self.wake()  # there may be more
        except (SQLAlchemyError, OSError) as error:
            _LOG.warning("the outbox cannot be read (%s); trying again", type(error).__name__)
        except Exception:  # noqa: BLE001 - whatever it was, what is due must not wait for ever
            _LOG.exception("a round of deliveries failed; trying again")
