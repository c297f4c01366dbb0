"""Local accounts, and what becomes of tries to guess into one.

Tries are counted by a digest of the name that was typed, whether such an account exists or not: the
same rows are written, the same work is done and the same words are said, so nothing tells which
names exist; and a password typed into the wrong field is kept nowhere. A try is counted before it
is judged, so that many at once are not free.

References
----------
NIST SP 800-63B-4 (2025), section 3.2.2 (rate limiting).
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Row,
    Table,
    Text,
    case,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from data.database import metadata
from serving.access.roles import Role

__all__ = [
    "ACCOUNTS",
    "TRIES",
    "Account",
    "AccountError",
    "accounts",
    "add_account",
    "clear_tries",
    "count_try",
    "find_account",
    "locked_until",
    "name_of",
    "replace_password_hash",
    "set_disabled",
    "set_password_hash",
]

ACCOUNTS = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("district", Text),
    Column("password_hash", Text),
    Column("must_change", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    CheckConstraint(
        f"role IN ({', '.join(repr(role.value) for role in Role)})", "ck_accounts_role"
    ),
)
"""One row a person; without a hash, another provider of identities says who it is."""

TRIES = Table(
    "sign_in_tries",
    metadata,
    Column("name_digest", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("locked_until", DateTime(timezone=True)),
    Index("ix_sign_in_tries_last_at", "last_at"),
)
"""Failed tries in a row, by a digest of the name typed."""

FREE = 5  # tries before the first wait
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)  # SP 800-63B-4, 3.2.2: from 30 s up to an hour
_DOUBLINGS = 7  # 30 s doubled so often is more than an hour
FORGOTTEN_AFTER = timedelta(days=1)
FORGOTTEN_AT_ONCE = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")  # ASCII: no two names that look alike


class AccountError(ValueError):
    """An account cannot be made, or there is none of this name."""


@dataclass(frozen=True)
class Account:
    """A person's account, as others may see it.

    Parameters
    ----------
    name : str
    role : Role
    district : str or None
        The only one he sees; None: the whole city.
    must_change : bool
        Somebody else knows his password.
    disabled_at : datetime or None
    """

    name: str
    role: Role
    district: str | None
    must_change: bool = False
    disabled_at: datetime | None = None


def name_of(text: str) -> str:
    """A name as accounts bear it.

    Raises
    ------
    AccountError
        If it cannot be one.

    Examples
    --------
    >>> name_of(" Li.Wei ")
    'li.wei'
    """
    name = _folded(text)
    if not _NAME.fullmatch(name):
        raise AccountError(
            "expected a name of 2 to 32 characters a-z, 0-9, dot, dash or underscore that begins "
            f"with a letter or digit, found {len(name)} characters that are not; fix: e.g. li.wei"
        )
    return name


def accounts(connection: Connection) -> Sequence[Account]:
    """All accounts, by name."""
    rows = connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.name))
    return [_account(row) for row in rows]


def find_account(connection: Connection, name: str) -> tuple[Account, str | None] | None:
    """An account with its password's hash, or None."""
    if not _NAME.fullmatch(_folded(name)):
        return None
    row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.name == _folded(name))).one_or_none()
    return None if row is None else (_account(row), row.password_hash)


def add_account(
    connection: Connection, account: Account, password_hash: str | None, at: datetime
) -> None:
    """Make an account.

    Raises
    ------
    AccountError
        If the name cannot be one, or is taken.
    """
    if account.role is Role.SYSTEM:
        raise AccountError("expected a person's role, found system; fix: make an API key for it")
    row = {
        "name": name_of(account.name),
        "role": account.role,
        "district": account.district,
        "password_hash": password_hash,
        "must_change": account.must_change,
        "created_at": at,
        "changed_at": at,
    }
    new = insert(ACCOUNTS).values(row).on_conflict_do_nothing().returning(ACCOUNTS.c.name)
    if connection.scalar(new) is None:
        raise AccountError("expected a new name, found one that is taken; fix: choose another")


def set_password_hash(
    connection: Connection, name: str, password_hash: str, at: datetime, *, must_change: bool
) -> None:
    """Keep another password's hash.

    Raises
    ------
    AccountError
        If there is no such account.
    """
    changed = {"password_hash": password_hash, "must_change": must_change, "changed_at": at}
    _change(connection, name, changed)


def replace_password_hash(connection: Connection, name: str, old: str, new: str) -> None:
    """Keep the same password under today's parameters, unless it was changed meanwhile."""
    wanted = (ACCOUNTS.c.name == name, ACCOUNTS.c.password_hash == old)
    connection.execute(update(ACCOUNTS).where(*wanted).values(password_hash=new))


def set_disabled(connection: Connection, name: str, at: datetime | None) -> None:
    """Let nobody in under this name from a moment on, or (None) let him in again.

    An account is never removed: what was done under its name stays told.

    Raises
    ------
    AccountError
        If there is no such account.
    """
    _change(connection, name, {"disabled_at": at})


def count_try(connection: Connection, name: str, at: datetime) -> datetime | None:
    """Count a try under a name; until when none is looked at, if that is so now.

    The count is taken back by `clear_tries` if the password turns out to be right.
    """
    failures = case((TRIES.c.last_at < at - FORGOTTEN_AFTER, 0), else_=TRIES.c.failures) + 1
    statement = insert(TRIES).values(name_digest=_digest(name), failures=1, last_at=at)
    counted = statement.on_conflict_do_update(
        index_elements=["name_digest"],
        set_={"failures": failures, "last_at": at, "locked_until": _wait(failures, at)},
        where=or_(TRIES.c.locked_until.is_(None), TRIES.c.locked_until <= at),
    ).returning(TRIES.c.failures)
    looked_at = connection.scalar(counted) is not None
    _forget(connection, at)
    return None if looked_at else locked_until(connection, name, at)


def locked_until(connection: Connection, name: str, at: datetime) -> datetime | None:
    """Until when tries under a name are not looked at; None: they are."""
    query = select(TRIES.c.locked_until).where(
        TRIES.c.name_digest == _digest(name), TRIES.c.locked_until > at
    )
    found: datetime | None = connection.scalar(query)
    return found


def clear_tries(connection: Connection, name: str) -> None:
    """Forget the failed tries under a name."""
    connection.execute(delete(TRIES).where(TRIES.c.name_digest == _digest(name)))


def _forget(connection: Connection, at: datetime) -> None:
    """Drop some of the tries that are long over, so that the table does not grow with guesses."""
    old = (
        select(TRIES.c.name_digest)
        .where(TRIES.c.last_at < at - FORGOTTEN_AFTER)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(TRIES).where(TRIES.c.name_digest.in_(old)))


def _wait(failures: ColumnElement[int], at: datetime) -> ColumnElement[datetime | None]:
    """Until when the next try waits: 30 s after the fifth failure, doubled up to an hour."""
    steps = {
        FREE + step: at + min(FIRST_WAIT * 2**step, LONGEST_WAIT) for step in range(_DOUBLINGS)
    }
    return case(steps, value=failures, else_=case((failures < FREE, None), else_=at + LONGEST_WAIT))


def _change(connection: Connection, name: str, values: dict[str, object]) -> None:
    statement = update(ACCOUNTS).where(ACCOUNTS.c.name == _folded(name)).values(values)
    if connection.execute(statement).rowcount != 1:
        raise AccountError(
            "expected the name of an account, found none of this name; fix: list the accounts"
        )


def _account(row: Row[Any]) -> Account:
    return Account(row.name, Role(row.role), row.district, row.must_change, row.disabled_at)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _digest(name: str) -> bytes:
    return hashlib.sha256(_folded(name).encode("utf-8", "surrogatepass")).digest()
