"""Sessions of people, on the server's side: the browser holds a random token, we hold its digest.

A session ends when it was idle for too long, when its time is over, when its account is disabled,
or when somebody ends it; all of this takes effect at once, in every worker. A sign-in always opens
a new one, so a token that was planted before it is worth nothing after it.

Kept here rather than by a library: the cookie sessions that come with Starlette cannot be ended
by the server, and the libraries that can bring neither our store, an idle time-out beside an
absolute one, nor an end of all sessions of an account.

References
----------
NIST SP 800-63B-4 (2025), section 5 (session management). OWASP, Session Management Cheat Sheet.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    update,
)

from data.database import metadata
from serving.access.accounts import ACCOUNTS
from serving.access.roles import Actor, Role

__all__ = [
    "SESSIONS",
    "SessionLimits",
    "cookie",
    "end_session",
    "end_sessions_of",
    "forget_sessions",
    "no_cookie",
    "open_session",
    "read_session",
    "token_in",
]

SESSIONS = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("ix_sessions_account", "account"),
    Index("ix_sessions_seen_at", "seen_at"),
)
"""One row an open session; whoever reads the table cannot become its user."""

TOKEN_BYTES = 32


@dataclass(frozen=True)
class SessionLimits:
    """How long a session lives.

    Parameters
    ----------
    idle : timedelta
        Without a request; SP 800-63B-4 recommends at most an hour at its second level.
    whole : timedelta
        From sign-in, whatever happens: a shift and its overtime.
    noted : timedelta
        How often a request is written down, so that reading a page is not always a write.
    """

    idle: timedelta = timedelta(minutes=30)
    whole: timedelta = timedelta(hours=12)
    noted: timedelta = timedelta(minutes=1)


def open_session(
    connection: Connection, account: str, at: datetime, replacing: str | None = None
) -> str:
    """Begin a session; its token, which is told once.

    Parameters
    ----------
    connection : Connection
    account : str
        Whose name and password were right.
    at : datetime
    replacing : str, optional
        The token the browser came with: that session ends.
    """
    token = base64.urlsafe_b64encode(secrets.token_bytes(TOKEN_BYTES)).rstrip(b"=").decode()
    if replacing is not None:
        end_session(connection, replacing)
    row = {"digest": _digest(token), "account": account, "opened_at": at, "seen_at": at}
    connection.execute(insert(SESSIONS).values(row))
    return token


def read_session(
    connection: Connection, token: str, at: datetime, limits: SessionLimits
) -> Actor | None:
    """Whose session it is, if it lives; that it was seen is noted."""
    digest = _digest(token)
    query = (
        select(
            *ACCOUNTS.c["name", "role", "district", "must_change"],
            *SESSIONS.c["opened_at", "seen_at"],
        )
        .join_from(SESSIONS, ACCOUNTS, SESSIONS.c.account == ACCOUNTS.c.name)
        .where(SESSIONS.c.digest == digest, ACCOUNTS.c.disabled_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None or at >= min(row.seen_at + limits.idle, row.opened_at + limits.whole):
        return None
    if at >= row.seen_at + limits.noted:
        seen = update(SESSIONS).where(SESSIONS.c.digest == digest, SESSIONS.c.seen_at < at)
        connection.execute(seen.values(seen_at=at))
    ref = digest.hex()[:16]
    return Actor(row.name, Role(row.role), row.district, ref, must_change=row.must_change)


def end_session(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == _digest(token)))


def end_sessions_of(connection: Connection, account: str) -> int:
    """End all sessions of an account; how many there were."""
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.account == account)).rowcount


def forget_sessions(connection: Connection, at: datetime, limits: SessionLimits) -> None:
    """Drop the rows of sessions that are over."""
    over = or_(SESSIONS.c.seen_at <= at - limits.idle, SESSIONS.c.opened_at <= at - limits.whole)
    old = select(SESSIONS.c.digest).where(over).with_for_update(skip_locked=True)
    connection.execute(delete(SESSIONS).where(SESSIONS.c.digest.in_(old)))


def cookie(token: str, *, https: bool) -> str:
    """The ``Set-Cookie`` header that gives the browser its token.

    Without an end of its own: it goes with the browser, the limits are kept on our side. Lax, so
    that a link to a case from another system opens it; what changes anything needs the page's own
    token (see `serving.access.csrf`).

    Examples
    --------
    >>> cookie("abc", https=True)
    '__Host-forewarn=abc; HttpOnly; Path=/; SameSite=Lax; Secure'
    """
    return _cookie(token, https=https)


def no_cookie(*, https: bool) -> str:
    """The ``Set-Cookie`` header that takes it back."""
    return f"{_cookie('', https=https)}; Max-Age=0"


def token_in(header: str, *, https: bool) -> str | None:
    """The session's token in a ``Cookie`` header, if there is one.

    Examples
    --------
    >>> token_in("theme=dark; forewarn=abc", https=False)
    'abc'
    """
    wanted = f"{_cookie_name(https=https)}="
    parts = (part.strip() for part in header.split(";"))
    return next((part.removeprefix(wanted) for part in parts if part.startswith(wanted)), None)


def _cookie(value: str, *, https: bool) -> str:
    secure = "; Secure" if https else ""
    return f"{_cookie_name(https=https)}={value}; HttpOnly; Path=/; SameSite=Lax{secure}"


def _cookie_name(*, https: bool) -> str:
    # browsers keep a __Host- cookie only from this very host, over https: no neighbour plants one
    return "__Host-forewarn" if https else "forewarn"


def _digest(token: str) -> bytes:
    # a token is 256 random bits: nothing to guess, so nothing to slow down
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
