"""News of cases, from the transaction that changed one to every open page.

PostgreSQL carries it between workers (NOTIFY): it is told with the commit, or not at all. It
carries no name: whoever hears it asks again for what he may see. Many changes in one transaction
are one piece of news, and a page is told at most once a second.

References
----------
WHATWG HTML, section 9.2 (server-sent events).
"""

import asyncio
import logging
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

import psycopg
from sqlalchemy import func, select
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.problems import Problem

__all__ = ["CHANNEL", "Live", "Pace", "announce"]

CHANNEL = "forewarn_cases"
_LOG = logging.getLogger("forewarn.serving")
_OWN = 8  # streams of one person in a worker; a browser opens six connections to a host
Still = Callable[[], Awaitable[bool]]
"""Whether he who listens may still."""


async def announce(connection: AsyncConnection) -> None:
    """Tell all workers, with the caller's commit, that cases changed."""
    await connection.execute(select(func.pg_notify(CHANNEL, "")))


@dataclass(frozen=True)
class Pace:
    """How often a stream speaks.

    Parameters
    ----------
    beat_s : float
        A sign of life at least so often; proxies cut what is silent for a minute.
    gap_s : float
        Between two pieces of news.
    again_s : float
        After which a lost connection is tried again, a page's and ours.
    """

    beat_s: float = 15.0
    gap_s: float = 1.0
    again_s: float = 3.0


@dataclass(eq=False)
class _Listener:
    who: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """One worker's ear to PostgreSQL, and the streams that pass on what it hears.

    Parameters
    ----------
    url : URL
        Of the database.
    pace : Pace, optional
    most : int
        Streams of this worker; the next one is told to come back.
    """

    def __init__(self, url: URL, pace: Pace | None = None, most: int = 64) -> None:
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._pace = pace or Pace()
        self._most = most
        self._listeners: set[_Listener] = set()
        self._born, self._heard, self._ended = secrets.token_hex(4), 0, False
        self._ear: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        self._ear = asyncio.create_task(self._listen_for_ever())
        self._end_with_the_process()

    async def close(self) -> None:
        """End all streams."""
        self.end()
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)

    def end(self) -> None:
        """Let every stream end now: a server that stops waits for them."""
        self._ended = True
        self._wake()

    @contextmanager
    def _listening(self, who: str) -> Iterator[_Listener]:
        listener = _Listener(who)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def room(self, who: str = "") -> None:
        """Check that one more may listen, and that not all of them are his.

        Raises
        ------
        Problem
            ``busy``.
        """
        if self._ended or len(self._listeners) >= self._most:
            raise Problem("busy", f"{self._most} pages are told by this worker", retry_after_s=20)
        if who and sum(each.who == who for each in self._listeners) >= _OWN:
            raise Problem("busy", f"{_OWN} pages of yours are told", retry_after_s=20)

    async def stream(
        self, still: Still, last: str | None = None, who: str = ""
    ) -> AsyncIterator[bytes]:
        """What one page is told, until he who looks at it may no longer.

        Parameters
        ----------
        still : callable
            Asked before each word: whether he may.
        last : str, optional
            ``Last-Event-ID`` of a page that comes back: what it may have missed is told at once.
        who : str, optional
            Whose page it is (see `room`).
        """
        with self._listening(who) as listener:
            yield f"retry: {self._pace.again_s * 1_000:.0f}\n\n".encode()
            if last is not None and last != self._name:
                listener.news.set()
            while not self._ended:
                yield b": still here\n\n" if not await self._news(listener) else self._told()
                if not await still():
                    yield b"event: over\ndata: \n\n"
                    return
                await self._rest()

    @property
    def _name(self) -> str:
        return f"{self._born}-{self._heard}"

    def _told(self) -> bytes:
        return f"event: cases\nid: {self._name}\ndata: \n\n".encode()

    async def _news(self, listener: _Listener) -> bool:
        try:
            async with asyncio.timeout(self._pace.beat_s):
                await listener.news.wait()
        except TimeoutError:
            return False
        listener.news.clear()
        return not self._ended

    async def _rest(self) -> None:
        if not self._ended:
            await asyncio.sleep(self._pace.gap_s)

    def _wake(self) -> None:
        self._heard += 1
        for listener in self._listeners:
            listener.news.set()

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                _LOG.warning("no news of cases: %s; trying again", type(error).__name__)
            await asyncio.sleep(self._pace.again_s)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=5,
            # who only listens would never hear that the other side is gone
            keepalives_idle=15,
            keepalives_interval=5,
            keepalives_count=3,
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._wake()  # nobody knows what was missed
            async for _ in connection.notifies():
                self._wake()

    def _end_with_the_process(self) -> None:
        """Hear the signal to stop before the server does: it would wait for streams to end."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(before):
            return

        def ended(number: int, frame: FrameType | None) -> None:
            with suppress(RuntimeError):  # the loop may be gone
                loop.call_soon_threadsafe(self.end)
            before(number, frame)

        signal.signal(signal.SIGTERM, ended)
