"""What an administrator does: accounts, keys; and what an auditor does: a walk along the audit log.

Each deed is one transaction with its own record in the audit log. Synchronous, for the command
line; a page calls it in a thread.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from serving.access import accounts, keys
from serving.access.accounts import Account
from serving.access.audit import Act, Verdict, append, verify
from serving.access.keys import ApiKey
from serving.access.passwords import Passwords, temporary
from serving.access.roles import Action, Actor, Role, demand
from serving.access.seals import Seals
from serving.access.sessions import end_sessions_of

__all__ = ["Desk", "seal_audit", "verify_audit"]


@dataclass(frozen=True)
class Desk:
    """An administrator at work.

    Parameters
    ----------
    engine : Engine
    by : Actor
        Who he is; on the command line, whoever may run it.
    clock : callable
        Now, aware.
    passwords : Passwords, optional
    """

    engine: Engine
    by: Actor
    clock: Callable[[], datetime]
    passwords: Passwords = field(default_factory=Passwords)

    def accounts(self) -> Sequence[Account]:
        """All accounts, by name."""
        with self._deed() as (connection, _):
            return accounts.accounts(connection)

    def add_account(self, name: str, role: Role, district: str | None = None) -> str:
        """Make an account; its first password, to be handed over and changed at once.

        Parameters
        ----------
        name : str
        role : Role
        district : str, optional
            The only one he sees. None: the whole city.

        Raises
        ------
        AccountError
            If the name cannot be one or is taken, or the role is no person's.
        """
        account = Account(accounts.name_of(name), role, district, must_change=True)
        password = temporary()
        kept = self.passwords.hash(password)
        with self._deed() as (connection, at):
            accounts.add_account(connection, account, kept, at)
            detail = {"role": role.value, "district": district}
            self._record(connection, at, "add_account", account.name, detail)
        return password

    def set_password(self, name: str) -> str:
        """Give somebody who forgot his a new one, to be changed at once; his sessions end.

        Raises
        ------
        AccountError
            If there is no such account.
        """
        password = temporary()
        kept = self.passwords.hash(password)
        with self._about("set_password", name) as (connection, account, at):
            accounts.set_password_hash(connection, account, kept, at, must_change=True)
            accounts.clear_tries(connection, account)
            end_sessions_of(connection, account)
        return password

    def disable(self, name: str) -> None:
        """Let nobody in under this name any more; his sessions end now.

        Raises
        ------
        AccountError
            If there is no such account.
        """
        with self._about("disable_account", name) as (connection, account, at):
            accounts.set_disabled(connection, account, at)
            end_sessions_of(connection, account)

    def enable(self, name: str) -> None:
        """Let him in again.

        Raises
        ------
        AccountError
            If there is no such account.
        """
        with self._about("enable_account", name) as (connection, account, _):
            accounts.set_disabled(connection, account, None)

    def unlock(self, name: str) -> None:
        """Forget the wrong tries under a name, so that it need not wait.

        Raises
        ------
        AccountError
            If the name cannot be one.
        """
        with self._about("unlock_account", name) as (connection, account, _):
            accounts.clear_tries(connection, account)

    def keys(self) -> Sequence[ApiKey]:
        """All keys ever given out, oldest first."""
        with self._deed() as (connection, _):
            return keys.keys(connection)

    def new_key(
        self, name: str, scopes: Collection[Action], expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Give out an API key; its text is told here and never again.

        Raises
        ------
        ApiKeyError
            If a scope is none that a system may have, or the key would be over already.
        """
        with self._deed() as (connection, at):
            key, text = keys.issue_key(
                connection, name, scopes, at, by=self.by.name, expires_at=expires_at
            )
            expiry = expires_at and expires_at.isoformat()
            detail = {"system": name, "scopes": sorted(scopes), "expires_at": expiry}
            self._record(connection, at, "issue_key", f"key:{key.key_id}", detail)
        return key, text

    def revoke_key(self, key_id: str) -> None:
        """Take a key back; workers that remember it do so for some seconds.

        Raises
        ------
        ApiKeyError
            If no key with this id is in use.
        """
        with self._deed() as (connection, at):
            keys.revoke_key(connection, key_id, at)
            self._record(connection, at, "revoke_key", f"key:{key_id}")

    @contextmanager
    def _deed(self) -> Iterator[tuple[Connection, datetime]]:
        demand(self.by, Action.MANAGE_ACCOUNTS)
        with self.engine.begin() as connection:
            yield connection, self.clock()

    @contextmanager
    def _about(self, action: str, name: str) -> Iterator[tuple[Connection, str, datetime]]:
        """A deed on one account, under its name as it is kept."""
        name = accounts.name_of(name)
        with self._deed() as (connection, at):
            yield connection, name, at
            self._record(connection, at, action, name)

    def _record(
        self,
        connection: Connection,
        at: datetime,
        action: str,
        subject: str,
        detail: dict[str, Any] | None = None,
    ) -> None:
        act = Act(self.by.name, self.by.role, action, subject, detail=detail or {})
        append(connection, [act], at)


def verify_audit(engine: Engine, seals: Seals) -> Verdict:
    """Walk the whole audit log, against the seals.

    Raises
    ------
    SealError
        If the file of seals is not as it was written.
    """
    with engine.connect() as connection:
        return verify(connection, seals.heads())


def seal_audit(engine: Engine, seals: Seals, at: datetime) -> Verdict:
    """Walk the audit log and, if it is sound, witness its last record.

    Raises
    ------
    SealError
        If the file of seals is not as it was written.
    """
    found = verify_audit(engine, seals)
    if found.sound and found.head.seq > found.sealed:
        seals.add(found.head, at)
    return found
