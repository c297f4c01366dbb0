"""The audit log: who did what to which subject, and why; appended to, never changed.

Each record holds the hash of its content and of the record before it, so that `verify` finds what
was changed, removed or reordered, also by somebody who may write to every table. Two things it
cannot find alone: a cut tail, and a chain that was computed anew from some record on. Both need a
witness from outside the database (see `serving.access.seals`).

References
----------
Schneier, B., Kelsey, J. (1999). Secure audit logs to support computer forensics. ACM TISSEC 2(2).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Index,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from data.database import metadata

__all__ = [
    "AUDIT",
    "GENESIS",
    "Act",
    "Fault",
    "FaultKind",
    "Head",
    "Verdict",
    "append",
    "head",
    "record",
    "record_all",
    "verify",
]

AUDIT = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("purpose", Text),
    # json keeps a number as it was written; jsonb would rewrite 1e22 and break its hash
    Column("detail", JSON, nullable=False),
    Column("before", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Index("ix_audit_subject", "subject", "seq"),
    Index("ix_audit_actor", "actor", "seq"),
)
"""One row an act, numbered from 1 without a gap; a trigger refuses to change or remove one."""

GENESIS = "0" * 64
"""What stands before the first record."""
_LOCK = 0x61756474  # advisory lock, any number: "audt"
_PORTION = 1_000  # rows in memory at a time while the chain is walked


@dataclass(frozen=True)
class Act:
    """What somebody did.

    Parameters
    ----------
    actor : str
        Account or API key, as `serving.access.roles.Actor.name` says it.
    role : str
        In which role.
    action : str
        Which deed, usually a `serving.access.roles.Action`.
    subject : str
        What it was done to: a case, a pseudonym, a rule, an account.
    purpose : str, optional
        Why, in the actor's words, where the deed asks for it.
    detail : mapping
        What else must be known later; JSON without NaN, and nobody's name or number in it.
    """

    actor: str
    role: str
    action: str
    subject: str
    purpose: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """The last record: its number (0 in an empty log) and its hash."""

    seq: int
    hash: str


class FaultKind(StrEnum):
    """What was done to the log."""

    CHANGED = "changed"
    REMOVED = "removed"
    REPLACED = "replaced"
    REORDERED = "reordered"
    CUT = "cut"


_WORDS: Mapping[FaultKind, tuple[str, str]] = {
    FaultKind.CHANGED: ("第 {} 条记录内容被改动", "record {} was changed"),
    FaultKind.REMOVED: ("第 {} 条记录被删除", "record {} was removed"),
    FaultKind.REPLACED: (
        "第 {} 条记录被替换，或其后的记录被删除并重新编号",
        "record {} was replaced, or the one after it removed and the rest renumbered",
    ),
    FaultKind.REORDERED: ("第 {} 条记录不在原来的位置", "record {} is not where it was written"),
    FaultKind.CUT: (
        "第 {} 条记录与封存的凭证不符：其后记录被截断，或整条链被重写",
        "record {} is not the sealed one: the log was cut before it, or written anew",
    ),
}


@dataclass(frozen=True)
class Fault:
    """The first place where the log is not what was written.

    Examples
    --------
    >>> Fault(FaultKind.CHANGED, 7).en
    'record 7 was changed'
    """

    kind: FaultKind
    seq: int

    @property
    def zh(self) -> str:
        """One sentence for people, in Chinese."""
        return _WORDS[self.kind][0].format(self.seq)

    @property
    def en(self) -> str:
        """The same in English."""
        return _WORDS[self.kind][1].format(self.seq)


@dataclass(frozen=True)
class Verdict:
    """What a walk along the chain found.

    Parameters
    ----------
    head : Head
        The last record that is sound.
    fault : Fault or None
        The first that is not.
    sealed : int
        Up to which record a seal confirms the log; the tail after it can be cut unseen.
    """

    head: Head
    fault: Fault | None = None
    sealed: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


async def record(connection: AsyncConnection, act: Act, at: datetime) -> None:
    """Append an act within the caller's transaction (see `append`)."""
    await record_all(connection, (act,), at)


async def record_all(connection: AsyncConnection, acts: Sequence[Act], at: datetime) -> None:
    """Append many acts at once, in their order: a bulk action costs three statements."""
    await connection.run_sync(append, acts, at)


def append(connection: Connection, acts: Sequence[Act], at: datetime) -> None:
    """Append acts within the caller's transaction.

    Whoever appends waits for the transaction that appended before to end: do it last, after all
    row locks are taken, so that two transactions cannot wait for each other.

    Raises
    ------
    ValueError
        If `at` has no zone, or a detail is no JSON.
    """
    if at.tzinfo is None:
        raise ValueError("expected an aware time, found one without a zone; pass datetime.now(UTC)")
    if not acts:
        return
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    connection.execute(insert(AUDIT), list(_chained(head(connection), acts, at)))


def head(connection: Connection) -> Head:
    """The last record as it stands."""
    last = select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
    found = connection.execute(last).one_or_none()
    return Head(0, GENESIS) if found is None else Head(found.seq, found.hash)


def verify(connection: Connection, seals: Iterable[Head] = ()) -> Verdict:
    """Walk the whole chain and name the first record that is not what was written.

    Parameters
    ----------
    connection : Connection
        Best in a transaction of its own; records that arrive meanwhile are not looked at.
    seals : iterable of Head
        What was the last record at moments past, from outside the database.
    """
    claims = {seal.seq: seal.hash for seal in seals}
    last, sealed = Head(0, GENESIS), 0
    rows = select(AUDIT).order_by(AUDIT.c.seq).execution_options(yield_per=_PORTION)
    with connection.execute(rows) as found:
        for row in found:
            fault = _fault_of(connection, row, last)
            if fault is None and claims.get(row.seq, row.hash) != row.hash:
                fault = Fault(FaultKind.CUT, row.seq)
            if fault is not None:
                return Verdict(last, fault, sealed)
            sealed = row.seq if row.seq in claims else sealed
            last = Head(row.seq, row.hash)
    beyond = [seq for seq in claims if seq > last.seq]
    return Verdict(last, Fault(FaultKind.CUT, last.seq + 1) if beyond else None, sealed)


def _chained(last: Head, acts: Iterable[Act], at: datetime) -> Iterator[dict[str, Any]]:
    seq, before = last.seq, last.hash
    for act in acts:
        content = _content(act, at)
        try:
            digest = _digest(before, content)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"expected an act of text and plain JSON, found {type(error).__name__}; "
                "fix: give times as text, and no NaN"
            ) from error
        seq += 1
        yield {**content, "at": at, "seq": seq, "before": before, "hash": digest}
        before = digest


def _content(act: Act | Row[Any], at: datetime) -> dict[str, Any]:
    """What a record says; its number is no part of it: its place in the chain is."""
    return {
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": act.actor,
        "role": act.role,
        "action": act.action,
        "subject": act.subject,
        "purpose": act.purpose,
        "detail": dict(act.detail),
    }


def _digest(before: str, content: Mapping[str, Any]) -> str:
    text = json.dumps(
        {"before": before, **content},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _fault_of(connection: Connection, row: Row[Any], last: Head) -> Fault | None:
    """What is wrong with a record, given the last sound one."""
    follows, numbered = row.before == last.hash, row.seq == last.seq + 1
    if _is_touched(row):
        return Fault(FaultKind.CHANGED, row.seq)
    if follows and numbered:
        return None
    # content and hash agree, so the record is genuine; is the one it was written after still here?
    there = connection.scalar(select(AUDIT.c.seq).where(AUDIT.c.hash == row.before))
    if follows or there is not None or (row.before == GENESIS and last.seq):
        return Fault(FaultKind.REORDERED, row.seq)
    if numbered and last.seq:
        return Fault(FaultKind.REPLACED, last.seq)
    return Fault(FaultKind.REMOVED, last.seq + 1)


def _is_touched(row: Row[Any]) -> bool:
    try:
        expected = _digest(row.before, _content(row, row.at))
    except (TypeError, ValueError):  # a detail that is no object any more
        return True
    return row.hash != expected  # type: ignore[no-any-return]
