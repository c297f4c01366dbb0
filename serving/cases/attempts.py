"""Attempts to reach a citizen: recorded as they went, and the case scored again at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, Text, any_, cast, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from data.clock import AHEAD
from models.dissuasion import Tried, stage_after
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.contracts import Acted, Attempt, Form
from serving.cases.forms import Deed, Done, Turn, conflict, do_once
from serving.cases.ids import new_id
from serving.cases.steps import budget, next_step
from serving.cases.tables import ATTEMPTS

__all__ = [
    "TRIED",
    "Contact",
    "after_attempt",
    "attempt_row",
    "attempts_of",
    "contacted",
    "demand_made",
    "how",
    "record",
    "tried_since",
]

TRIED = ("channel", "script", "reached", "believed", "minutes", "at")


@dataclass(frozen=True)
class Contact:
    """An attempt with who made it.

    Parameters
    ----------
    platform : str
    tried : Tried
    refused : bool
    """

    platform: str
    tried: Tried
    refused: bool = False


async def record(turn: Turn, form: Form, attempt: Attempt) -> Acted:
    """Record an attempt and score the case again: stage, deadline, and what to do next.

    An attempt is a fact: it is recorded although the citizen's contact budget is spent; `next` then
    says when he may be contacted again.

    Raises
    ------
    Problem
        As `serving.cases.forms.do_once`; ``conflict`` for an attempt in the future.
    """
    at = attempt.at or turn.now
    demand_made(turn, at)

    async def work(case: Case) -> Done:
        tried = Tried(
            attempt.channel,
            attempt.script,
            attempt.reached,
            attempt.believed,
            attempt.minutes,
            at,
        )
        contact = Contact(attempt.platform, tried, attempt.refused)
        await turn.connection.execute(
            insert(ATTEMPTS), [attempt_row(turn, case.subscriber, case.case_id, contact)]
        )
        return await _scored_again(turn, after_attempt(case, tried, turn.config), contact)

    return await do_once(turn, form, Deed("attempt", attempt.model_dump(mode="json")), work)


def demand_made(turn: Turn, at: datetime) -> None:
    """Let an attempt pass that was made, or refuse one that lies ahead of our clock.

    Raises
    ------
    Problem
        ``conflict``.
    """
    if at > turn.now + AHEAD:
        raise conflict(
            "expected an attempt that was made, found a time ahead of our clock; correct it",
            "劝阻时间晚于当前时间，请更正",
            "the attempt lies in the future: correct its time",
        )


async def attempts_of(
    connection: AsyncConnection, subscribers: Iterable[str], since: datetime
) -> Mapping[str, list[tuple[str | None, Contact]]]:
    """Each citizen's attempts since a moment, in order, each with its case, if it has one."""
    # one array, not a parameter each: a backlog may have more citizens than a statement parameters
    these = any_(cast(list(subscribers), ARRAY(Text)))
    query = (
        select(ATTEMPTS)
        .where(ATTEMPTS.c.subscriber == these, ATTEMPTS.c.at >= since)
        .order_by(ATTEMPTS.c.at, ATTEMPTS.c.attempt_id)
    )
    found: dict[str, list[tuple[str | None, Contact]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.subscriber, []).append((row.case_id, _contact(row)))
    return found


async def tried_since(
    connection: AsyncConnection, subscribers: Iterable[str], since: datetime
) -> Mapping[str, list[tuple[str | None, Tried]]]:
    """What was tried with each citizen since a moment, in order, each with its case."""
    these = any_(cast(list(subscribers), ARRAY(Text)))
    query = (
        select(ATTEMPTS.c.subscriber, ATTEMPTS.c.case_id, *(ATTEMPTS.c[name] for name in TRIED))
        .where(ATTEMPTS.c.subscriber == these, ATTEMPTS.c.at >= since)
        .order_by(ATTEMPTS.c.at, ATTEMPTS.c.attempt_id)
    )
    found: dict[str, list[tuple[str | None, Tried]]] = {}
    for subscriber, case_id, *tried in await connection.execute(query):
        found.setdefault(subscriber, []).append((case_id, Tried(*tried)))
    return found


def contacted(contacts: Sequence[Contact], config: CaseConfig) -> tuple[str, str]:
    """Who spoke to the citizen last and how it went, in a sentence (zh, en); empty if nobody did.

    Examples
    --------
    >>> from datetime import UTC
    >>> call = Tried("call_96110", "plain", True, False, 4, datetime(2026, 3, 1, 2, 20, tzinfo=UTC))
    >>> contacted([Contact("96110", call)], CaseConfig.preset())
    ('96110已于10:20联系，对方不相信', 'already contacted by 96110 at 10:20, did not believe')
    """
    if not contacts:
        return "", ""
    last = contacts[-1]
    when = config.clock(last.tried.at)
    zh, en = how(last.tried, refused=last.refused)
    more_zh, more_en = "", ""
    if len(contacts) > 1:
        more_zh, more_en = f"（共{len(contacts)}次）", f" ({len(contacts)} attempts in all)"
    return (
        f"{last.platform}已于{when}联系，{zh}{more_zh}",
        f"already contacted by {last.platform} at {when}, {en}{more_en}",
    )


def after_attempt(case: Case, tried: Tried, config: CaseConfig) -> Case:
    """The case as the attempt leaves it; one not believed has a new deadline to be spoken to."""
    stage = stage_after(case.stage, tried)
    moved = tried.at if stage != case.stage else case.stage_at
    case = replace(case, stage=stage, stage_at=moved)
    if not tried.reached or tried.believed is None:
        return case
    if tried.believed:
        return replace(case, met_at=case.met_at or tried.at)
    level = config.levels[min(case.urgency, len(config.levels) - 1)]
    due = tried.at + timedelta(seconds=level.deadline_s[stage])
    return replace(case, met_at=None, deadline_at=due)


async def _scored_again(turn: Turn, case: Case, contact: Contact) -> Done:
    since = min(case.opened_at, turn.now - timedelta(days=1))
    made = await attempts_of(turn.connection, [case.subscriber], since)
    whole = made.get(case.subscriber, [])
    left = budget([one.tried.at for _, one in whole], turn.now, turn.config)
    own = [one.tried for name, one in whole if name == case.case_id]
    zh, en = how(contact.tried, refused=contact.refused)
    return Done(
        case,
        f"已记录：{zh}",
        f"recorded: {en}",
        next_step(case, own, turn.now, turn.rates),
        {"contacts_left": left.left, "contact_again_at": left.free_at.isoformat()},
    )


def how(tried: Tried, *, refused: bool) -> tuple[str, str]:
    """How a contact went, in words (zh, en)."""
    if refused:
        return "对方拒绝交谈", "refused to talk"
    if not tried.reached:
        return "未联系上", "did not answer"
    if tried.believed:
        return "对方已相信", "believed the warning"
    if tried.believed is None:
        return "已送达，是否相信尚不清楚", "reached, belief not known"
    return "对方不相信", "did not believe"


def attempt_row(
    turn: Turn, subscriber: str, case_id: str | None, contact: Contact
) -> dict[str, Any]:
    """Row of `ATTEMPTS` for a contact with a citizen, in a case or outside of one."""
    tried = {name: getattr(contact.tried, name) for name in TRIED}
    return {
        **tried,
        "attempt_id": new_id(turn.now),
        "case_id": case_id,
        "subscriber": subscriber,
        "platform": contact.platform,
        "refused": contact.refused,
        "recorded_at": turn.now,
        "recorded_by": turn.actor.name,
    }


def _contact(row: Any) -> Contact:
    tried = Tried(**{name: getattr(row, name) for name in TRIED})
    return Contact(row.platform, tried, row.refused)
