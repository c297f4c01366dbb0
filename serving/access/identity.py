"""Who somebody is: by name and password today, by single sign-on when a city has it.

`Identity` is the seam: a provider looks at what a browser brings (fields of a form, the answer of
a sign-on server) and says which account it is. What the account may do, its session and its trail
in the audit log do not depend on the provider.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.access.accounts import (
    Account,
    clear_tries,
    count_try,
    find_account,
    replace_password_hash,
    set_password_hash,
)
from serving.access.audit import Act, append
from serving.access.passwords import Passwords, check, weak
from serving.access.sessions import end_sessions_of
from serving.problems import Problem

__all__ = ["Identity", "LocalIdentity"]

AT_ONCE = 2  # passwords checked at a time in one worker: each takes 64 MiB
MOST = 16  # signing in at a time, those who wait for it among them: seconds of work


class Identity(Protocol):
    """Says whose proof this is."""

    async def identify(self, proof: Mapping[str, str], at: datetime) -> Account:
        """The account, which is there and not disabled.

        Raises
        ------
        Problem
            ``wrong-credentials`` or ``too-many-tries``, in the same words whether there is such an
            account or not.
        """
        ...


class LocalIdentity:
    """Accounts of our own, by ``name`` and ``password``.

    Parameters
    ----------
    engine : AsyncEngine
    passwords : Passwords, optional
    """

    def __init__(self, engine: AsyncEngine, passwords: Passwords | None = None) -> None:
        self._engine = engine
        self._passwords = passwords or Passwords()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._in_hand = 0

    async def identify(self, proof: Mapping[str, str], at: datetime) -> Account:
        """See `Identity`; the same work is done for names that do not exist.

        Raises
        ------
        Problem
            Also ``busy``, before the try is counted: a flood of guesses must not hold all places.
        """
        if self._in_hand >= MOST:
            raise Problem("busy", f"{MOST} sign in at the moment", retry_after_s=5)
        self._in_hand += 1
        try:
            return await self._identified(proof, at)
        finally:
            self._in_hand -= 1

    async def _identified(self, proof: Mapping[str, str], at: datetime) -> Account:
        name, password = proof.get("name", ""), proof.get("password", "")
        async with self._engine.begin() as connection:
            until = await connection.run_sync(count_try, name, at)
            found = await connection.run_sync(find_account, name)
        if until is not None:
            raise Problem(
                "too-many-tries",
                "several wrong tries under this name",
                retry_after_s=ceil((until - at).total_seconds()),
            )
        account, kept = found or (None, None)
        if account is not None and account.disabled_at is not None:
            kept = None
        if not await self._match(kept, password) or account is None or kept is None:
            raise Problem("wrong-credentials", "expected a name and its password, found no match")
        await self._let_in(account.name, kept, password)
        return account

    async def change(self, name: str, old: str, new: str, at: datetime) -> None:
        """Give an account a password of its own; all its sessions end.

        Raises
        ------
        Problem
            If the old one is wrong, or the new one weak or the old one again.
        """
        account = await self.identify({"name": name, "password": old}, at)
        check(new, account.name)
        if new == old:
            raise weak(
                "expected another password, found the same again",
                "新密码与当前密码相同，请另选。",
                "The new password is the one until now: take another.",
            )
        kept = await self._hashed(new)

        def changed(connection: Connection) -> None:
            set_password_hash(connection, account.name, kept, at, must_change=False)
            end_sessions_of(connection, account.name)
            act = Act(account.name, account.role, "change_password", account.name)
            append(connection, [act], at)

        async with self._engine.begin() as connection:
            await connection.run_sync(changed)

    async def _let_in(self, name: str, kept: str, password: str) -> None:
        fresh = await self._hashed(password) if self._passwords.outdated(kept) else None
        async with self._engine.begin() as connection:
            await connection.run_sync(clear_tries, name)
            if fresh is not None:
                await connection.run_sync(replace_password_hash, name, kept, fresh)

    async def _match(self, kept: str | None, password: str) -> bool:
        async with self._room:
            return await asyncio.to_thread(self._passwords.match, kept, password)

    async def _hashed(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(self._passwords.hash, password)
