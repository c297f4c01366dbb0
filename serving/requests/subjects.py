"""Accounts and numbers a case knows: only about these can anything be asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from data.database import events
from data.events import EVENT_TYPES
from data.pseudonyms import identifier_fields
from serving.cases.case import Case
from serving.cases.forms import Turn
from serving.requests.measures import MEASURES, Kind

__all__ = ["Subject", "subjects"]

_MOST = 2_000  # newest events looked at: a citizen's episode has tens
_PARTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("transfer", "counterpart"): ("收款账户", "payee's account"),
    ("transfer", "account"): ("付款账户", "payer's account"),
    ("report", "accounts"): ("报案提供的账户", "account named in the report"),
    ("report", "phones"): ("报案提供的号码", "number named in the report"),
}
_CITIZEN = ("当事人号码", "the citizen's line")
_OTHER = ("对方号码", "number of the other end")


@dataclass(frozen=True)
class Subject:
    """What a request may be about.

    Parameters
    ----------
    pseudonym : str
    zh, en : str
        Which part it played last.
    seen_at : datetime
        When it was last seen.
    amount_cny : float or None
        The last amount that went to or from it.
    """

    pseudonym: str
    zh: str
    en: str
    seen_at: datetime
    amount_cny: float | None = None


async def subjects(turn: Turn, case: Case, kind: Kind) -> tuple[Subject, ...]:
    """What a request of this kind may be about in this case, seen last first.

    The other end's account or number first, for a dispatch the citizen.
    """
    since = case.opened_at - turn.config.episode_gap
    query = (
        select(events.c.kind, events.c.occurred_at, events.c.payload)
        .where(events.c.subscriber == case.subscriber, events.c.known_at >= since)
        .order_by(events.c.seq.desc())
        .limit(_MOST)
    )
    found: dict[str, Subject] = {}
    for row in await turn.connection.execute(query):
        for one in _named(row):
            found.setdefault(one.pseudonym, one)
    own = Subject(case.subscriber, *_CITIZEN, case.opened_at)
    if kind == Kind.DISPATCH:
        return (own,)
    found.pop(case.subscriber, None)
    about = MEASURES[kind].about
    return tuple(one for one in (*found.values(), own) if one.pseudonym.partition("_")[0] in about)


def _named(row: Any) -> Iterator[Subject]:
    fen = row.payload.get("amount_fen")
    amount = None if fen is None else fen / 100
    for field, namespace in identifier_fields(EVENT_TYPES[row.kind]).items():
        value = row.payload.get(field)
        if field == "subscriber" or not value or namespace not in {"tel", "acc"}:
            continue
        zh, en = _PARTS.get((row.kind, field), _OTHER)
        for text in [value] if isinstance(value, str) else value:
            yield Subject(text, zh, en, row.occurred_at, amount)
