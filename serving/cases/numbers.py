"""Sealed numbers: what a pseudonym stands for, kept for those whom somebody must call or visit.

A pseudonym cannot be undone. So the number of a citizen about whom there is an alert or a lead is
kept beside it, encrypted (AES-256-GCM under a key derived from the deployment's, the pseudonym as
associated data), and opened for one who may, with a purpose, so many an hour, on record. Of all
other citizens no number is kept, and after `RETENTION` without an alert it goes.

References
----------
NIST SP 800-38D (GCM). Personal Information Protection Law, Art. 19 (retention), Art. 28 (sensitive
data).
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from data.database import metadata
from data.pseudonyms import Pseudonymiser, is_pseudonym, normalised
from serving.access.audit import AUDIT
from serving.access.roles import Action, demand
from serving.cases.case import State
from serving.cases.forms import Turn, conflict, locked_case
from serving.cases.tables import CASES
from serving.problems import Problem
from serving.scrub import scrubbed

__all__ = ["AN_HOUR", "NUMBERS", "RETENTION", "Numbers", "Revealed", "forget", "keep", "reveal"]

NUMBERS = Table(
    "sealed_numbers",
    metadata,
    Column("subscriber", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("kept_at", DateTime(timezone=True), nullable=False),
    Index("ix_sealed_numbers_kept_at", "kept_at"),
)
"""One row a citizen with an alert or a lead; ``kept_at`` is the last one's."""

RETENTION = timedelta(days=90)
"""After the last alert or lead, unless a case is open: in a quarter outcomes are corrected."""

AN_HOUR = 30
"""Most reveals of one officer in an hour; eight people call 400 citizens a day (DOMAIN.md 1)."""

_NONCE = 12  # bytes: NIST SP 800-38D, section 8.2.2
_WATCH = 0x7265766C  # first half of an advisory lock, any number: "revl"
_LEAST = 4  # letters of a purpose


class Numbers:
    """Closes and opens numbers.

    Examples
    --------
    >>> names = Pseudonymiser(bytes(32))
    >>> numbers, who = Numbers(names), names.one("tel", "13800138000")
    >>> sealed = numbers.close(who, "+86 138 0013 8000")
    >>> b"138" in sealed, numbers.open(who, sealed)
    (False, '13800138000')
    >>> numbers.close(who, who) is None
    True
    """

    def __init__(self, pseudonymiser: Pseudonymiser) -> None:
        self._cipher = AESGCM(pseudonymiser.digest(b"forewarn number seal 1"))

    def close(self, subscriber: str, number: str) -> bytes | None:
        """A number, sealed; None where only the pseudonym reached us."""
        if is_pseudonym("tel", number):
            return None
        nonce = secrets.token_bytes(_NONCE)
        plain = normalised("tel", number).encode()
        return nonce + self._cipher.encrypt(nonce, plain, subscriber.encode())

    def open(self, subscriber: str, sealed: bytes) -> str:
        """The number.

        Raises
        ------
        ValueError
            If it was sealed under another key, or for another citizen.
        """
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], subscriber.encode())
        except InvalidTag as error:
            raise ValueError(
                "expected a number sealed under this deployment's key, found another; "
                "set FOREWARN_PSEUDONYM_KEY to the key of then"
            ) from error
        return plain.decode()


@dataclass(frozen=True)
class Revealed:
    """What a pseudonym stands for; to be shown once, and kept nowhere."""

    subscriber: str
    number: str


async def keep(connection: AsyncConnection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep sealed numbers, the newest alert's; after the citizens' cases, whose locks order us."""
    given = {row["subscriber"]: dict(row) for row in rows}
    if given:
        statement = insert(NUMBERS)
        newest = func.greatest(NUMBERS.c.kept_at, statement.excluded.kept_at)
        change = {"sealed": statement.excluded.sealed, "kept_at": newest}
        kept = statement.on_conflict_do_update(index_elements=["subscriber"], set_=change)
        await connection.execute(kept, list(given.values()))


async def reveal(turn: Turn, numbers: Numbers, case_id: str, purpose: str) -> Revealed:
    """Open the number of a case's citizen, on record.

    Parameters
    ----------
    purpose : str
        In the officer's words; it goes into the audit log, numbers taken out.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``; ``conflict`` without a purpose, after too many in an hour,
        or where no number was kept.
    """
    demand(turn.actor, Action.REVEAL_PSEUDONYM)
    case = await locked_case(turn, case_id)
    purpose = scrubbed(purpose.strip())[:200]
    if len(purpose) < _LEAST:
        raise conflict(
            "expected a purpose, found none; say what the number is needed for",
            "请填写查看号码的用途",
            "say what you need the number for",
        )
    await _within_limit(turn)
    sealed = await turn.connection.scalar(
        select(NUMBERS.c.sealed).where(NUMBERS.c.subscriber == case.subscriber)
    )
    if sealed is None:
        raise conflict(
            "expected a kept number, found none; ask the platform that sent the lead",
            "系统未保存此号码：来源只提供了代号，或已超过保存期限。请向线索来源单位查询",
            "no number is kept: it came to us as a pseudonym, or its time is over; "
            "ask the platform that sent the lead",
        )
    number = _opened(numbers, case.subscriber, sealed)
    detail = {"case_id": case.case_id}
    await turn.record(Action.REVEAL_PSEUDONYM, case.subscriber, detail, purpose)
    return Revealed(case.subscriber, number)


async def forget(connection: AsyncConnection, now: datetime) -> int:
    """Let go of numbers whose time is over; how many."""
    open_ones = select(CASES.c.subscriber).where(CASES.c.state != State.CLOSED)
    old = delete(NUMBERS).where(
        NUMBERS.c.kept_at < now - RETENTION, NUMBERS.c.subscriber.not_in(open_ones)
    )
    return (await connection.execute(old)).rowcount


async def _within_limit(turn: Turn) -> None:
    mine = func.pg_advisory_xact_lock(_WATCH, func.hashtext(turn.actor.name))
    await turn.connection.execute(select(mine))
    lately = select(func.count()).where(
        AUDIT.c.actor == turn.actor.name,
        AUDIT.c.action == Action.REVEAL_PSEUDONYM,
        AUDIT.c.at > turn.now - timedelta(hours=1),
    )
    if (await turn.connection.scalar(lately) or 0) >= AN_HOUR:
        raise conflict(
            f"expected at most {AN_HOUR} reveals an hour, found more; wait",
            f"一小时内最多查看{AN_HOUR}个号码，请稍后再试，或请值班负责人处理",
            f"at most {AN_HOUR} numbers an hour: wait, or ask your supervisor",
        )


def _opened(numbers: Numbers, subscriber: str, sealed: bytes) -> str:
    try:
        return numbers.open(subscriber, sealed)
    except ValueError as error:
        raise Problem("internal", str(error)) from error
