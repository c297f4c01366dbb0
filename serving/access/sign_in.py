"""Signing in and out: from proof to a session, with a record of both."""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.access.accounts import Account
from serving.access.audit import Act, append
from serving.access.identity import Identity
from serving.access.roles import Actor
from serving.access.sessions import SessionLimits, end_session, forget_sessions, open_session

__all__ = ["SignIn"]


class SignIn:
    """Opens and ends sessions.

    Parameters
    ----------
    engine : AsyncEngine
    identity : Identity
        Who says who somebody is.
    clock : callable
        Now, aware.
    limits : SessionLimits, optional
    """

    def __init__(
        self,
        engine: AsyncEngine,
        identity: Identity,
        clock: Callable[[], datetime],
        limits: SessionLimits | None = None,
    ) -> None:
        self._engine = engine
        self._identity = identity
        self._clock = clock
        self._limits = limits or SessionLimits()

    async def enter(self, proof: Mapping[str, str], replacing: str | None = None) -> str:
        """Sign somebody in; the token of his new session, for `serving.access.sessions.cookie`.

        Parameters
        ----------
        proof : mapping
            What the identity provider asks for.
        replacing : str, optional
            The token the browser came with: that session ends.

        Raises
        ------
        Problem
            If he is not let in.
        """
        at = self._clock()
        account = await self._identity.identify(proof, at)
        async with self._engine.begin() as connection:
            return await connection.run_sync(self._entered, account, replacing, at)

    async def leave(self, actor: Actor, token: str) -> None:
        """Sign him out."""
        act = Act(actor.name, actor.role, "sign_out", actor.name)

        def left(connection: Connection) -> None:
            end_session(connection, token)
            append(connection, [act], self._clock())

        async with self._engine.begin() as connection:
            await connection.run_sync(left)

    def _entered(
        self, connection: Connection, account: Account, replacing: str | None, at: datetime
    ) -> str:
        forget_sessions(connection, at, self._limits)
        token = open_session(connection, account.name, at, replacing)
        append(connection, [Act(account.name, account.role, "sign_in", account.name)], at)
        return token
