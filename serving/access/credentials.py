"""From a request's headers to who acts: by API key or by session.

Keys are remembered for some seconds, good and bad ones, so that a system's thousandth score of a
second costs a look into a dictionary; a key that was taken back works for that long. Sessions are
looked up each time: people are slow.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serving.access.keys import Found, digest_of, find_key
from serving.access.roles import Actor
from serving.access.sessions import SessionLimits, read_session, token_in
from serving.problems import Problem

__all__ = ["RENEWAL", "Credentials", "Presented"]

REMEMBERED = timedelta(seconds=5)
MOST = 1_024  # keys remembered: a flood of wrong ones drives out the oldest
RENEWAL = b"x-renewal"
"""Header of what a page asks for by itself."""
_BEARER = "bearer "


@dataclass(frozen=True)
class Presented:
    """Who acts, and the token of his session if he came with one."""

    actor: Actor
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Remembered:
    found: Found | None
    since: datetime

    def holds(self, at: datetime) -> bool:
        """Whether it may be believed without asking; not by a clock that was put back."""
        if not self.since <= at < self.since + REMEMBERED:
            return False
        expires_at = self.found.expires_at if self.found else None
        return expires_at is None or at < expires_at


class Credentials:
    """Says who a request comes from.

    Parameters
    ----------
    engine : AsyncEngine
    clock : callable
        Now, aware.
    https : bool
        Whether browsers reach us by https: then the cookie is theirs alone (see
        `serving.access.sessions.cookie`).
    limits : SessionLimits, optional
    """

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Callable[[], datetime],
        *,
        https: bool,
        limits: SessionLimits | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.https = https
        self.limits = limits or SessionLimits()
        # looked at by nobody: not written down as activity, so that the idle time runs on
        self.quiet = replace(self.limits, noted=self.limits.whole)
        self._keys: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[_Remembered]] = {}

    async def presented(self, headers: Mapping[bytes, bytes]) -> Presented | None:
        """Who acts; None if nothing good was shown. A key is never helped out by a cookie.

        Raises
        ------
        Problem
            ``unavailable`` if the database is away.
        """
        at = self._clock()
        shown = headers.get(b"authorization")
        if shown is not None:
            scheme, text = shown[: len(_BEARER)], shown[len(_BEARER) :]
            is_key = scheme.decode("latin-1").lower() == _BEARER
            actor = await self._of_key(text.decode("latin-1").strip(), at) if is_key else None
            return None if actor is None else Presented(actor)
        token = token_in(headers.get(b"cookie", b"").decode("latin-1"), https=self.https)
        if not token:
            return None
        async with self._asking() as connection:
            limits = self.quiet if headers.get(RENEWAL) else self.limits
            actor = await connection.run_sync(read_session, token, at, limits)
        return None if actor is None else Presented(actor, token)

    async def _of_key(self, text: str, at: datetime) -> Actor | None:
        digest = digest_of(text)
        known = self._keys.get(digest)
        if known is None or not known.holds(at):
            # of many requests that come at once with one key, one asks and all hear
            asking = self._asked.get(digest)
            if asking is None:
                asking = self._asked[digest] = asyncio.create_task(self._ask(text, at))
                asking.add_done_callback(lambda _: self._asked.pop(digest, None))
            known = await asyncio.shield(asking)
            self._remember(digest, known)
        return known.found.actor if known.found else None

    async def _ask(self, text: str, at: datetime) -> _Remembered:
        async with self._asking() as connection:
            return _Remembered(await connection.run_sync(find_key, text, at), at)

    def _remember(self, digest: bytes, known: _Remembered) -> None:
        self._keys[digest] = known
        self._keys.move_to_end(digest)
        while len(self._keys) > MOST:
            self._keys.popitem(last=False)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise Problem(
                "unavailable", "nobody can be let in now", {"degraded": ["accounts"]}, 1
            ) from error
