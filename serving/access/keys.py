"""API keys of systems: shown once, kept as a digest, each for a few actions.

A key reads ``fwk_<id>_<secret>``: the first part lets a scanner of leaked secrets find it, the id
names it in lists and in the audit log.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    LargeBinary,
    Table,
    Text,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import metadata
from serving.access.roles import MAY, Action, Actor, Role

__all__ = [
    "API_KEYS",
    "ApiKey",
    "ApiKeyError",
    "Found",
    "digest_of",
    "find_key",
    "issue_key",
    "keys",
    "revoke_key",
]

API_KEYS = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
)
"""One row a key that was ever given out."""

SECRET_BYTES = 32
ID_BYTES = 5  # eight letters: a trillion keys
NOTED = timedelta(minutes=1)
"""How often the use of a key is written down: a score must not wait for a write."""
_FORM = re.compile(r"fwk_([a-z2-7]{8})_[A-Za-z0-9_-]{43}")


class ApiKeyError(ValueError):
    """A key cannot be given out or taken back."""


@dataclass(frozen=True)
class ApiKey:
    """A key as people may see it: all but the secret.

    Parameters
    ----------
    key_id : str
    name : str
        Of the system that has it.
    scopes : frozenset of Action
        What it is good for.
    created_by : str
    created_at : datetime
    expires_at, revoked_at, last_used_at : datetime or None
    """

    key_id: str
    name: str
    scopes: frozenset[Action]
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class Found:
    """Who comes with a key, and until when it is good."""

    actor: Actor
    expires_at: datetime | None


def issue_key(
    connection: Connection,
    name: str,
    scopes: Collection[Action],
    at: datetime,
    *,
    by: str,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Give out a key; the text is told here and never again.

    Raises
    ------
    ApiKeyError
        If there is no scope, one that no system may have, or the key would be over already.
    """
    _check(name, scopes, at, expires_at)
    key_id = base64.b32encode(secrets.token_bytes(ID_BYTES)).decode().lower()
    secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    text = f"fwk_{key_id}_{secret}"
    key = ApiKey(key_id, name, frozenset(scopes), by, at, expires_at)
    row = {
        "key_id": key_id,
        "name": name,
        "digest": digest_of(text),
        "scopes": sorted(key.scopes),
        "created_by": by,
        "created_at": at,
        "expires_at": expires_at,
    }
    connection.execute(insert(API_KEYS).values(row))
    return key, text


def keys(connection: Connection) -> Sequence[ApiKey]:
    """All keys ever given out, oldest first."""
    wanted = [column for column in API_KEYS.c if column.name != "digest"]
    rows = connection.execute(select(*wanted).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id))
    return [
        ApiKey(**{**row, "scopes": frozenset(map(Action, row["scopes"]))})
        for row in rows.mappings()
    ]


def revoke_key(connection: Connection, key_id: str, at: datetime) -> None:
    """Take a key back; once done it stays done.

    Raises
    ------
    ApiKeyError
        If no key with this id is in use.
    """
    wanted = (API_KEYS.c.key_id == key_id, API_KEYS.c.revoked_at.is_(None))
    if connection.execute(update(API_KEYS).where(*wanted).values(revoked_at=at)).rowcount != 1:
        raise ApiKeyError(
            "expected the id of a key in use, found none of this id; fix: list the keys, and give "
            "the eight letters after fwk_"
        )


def find_key(connection: Connection, text: str, at: datetime) -> Found | None:
    """Who comes with a key, if it is good; that it was used is noted."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    row = connection.execute(
        select(API_KEYS).where(
            API_KEYS.c.key_id == form[1],
            API_KEYS.c.digest == digest_of(text),
            API_KEYS.c.revoked_at.is_(None),
            or_(API_KEYS.c.expires_at.is_(None), API_KEYS.c.expires_at > at),
        )
    ).one_or_none()
    if row is None:
        return None
    if row.last_used_at is None or row.last_used_at <= at - NOTED:
        used = update(API_KEYS).where(API_KEYS.c.key_id == row.key_id)
        connection.execute(used.values(last_used_at=at))
    # what was taken out of the table of roles since is no scope any more
    scopes = frozenset(Action(each) for each in row.scopes if each in MAY[Role.SYSTEM])
    name = f"key:{row.key_id}"
    return Found(Actor(name, Role.SYSTEM, ref=row.key_id, scopes=scopes), row.expires_at)


def digest_of(text: str) -> bytes:
    """What is kept of a key.

    One round of SHA-256 is right here: the secret is 256 random bits, so there is nothing to guess
    that a slow hash could slow down, and every request of a system would pay for it. Whoever reads
    the digests can neither undo them nor, the lookup being by digest, learn one from timing.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _check(
    name: str, scopes: Collection[Action], at: datetime, expires_at: datetime | None
) -> None:
    most = MAY[Role.SYSTEM]
    beyond = sorted(set(scopes) - most)
    if not scopes or beyond:
        raise ApiKeyError(
            f"expected scopes among {', '.join(sorted(most))}, found "
            f"{', '.join(beyond) or 'none'}; fix: give what the system needs and no more"
        )
    if not name.strip():
        raise ApiKeyError("expected the name of a system, found none; fix: say who will have it")
    if expires_at is not None and expires_at <= at:
        raise ApiKeyError("expected an expiry to come, found one past; fix: choose a later one")
