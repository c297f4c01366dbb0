"""Requests as people look at them: of a case, waiting for a signature, given up on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select

from serving.access.roles import Action, demand
from serving.cases.forms import Turn
from serving.cases.tables import CASES
from serving.problems import Problem
from serving.requests.messages import Delivery, Topic
from serving.requests.request import Request, State
from serving.requests.tables import OUTBOX, REQUESTS

__all__ = ["DeadLetter", "awaiting_signature", "dead_letters", "requests_in", "requests_of"]

_MOST = 500


@dataclass(frozen=True)
class DeadLetter:
    """A message that was given up and is still wanted.

    Parameters
    ----------
    request : Request
        That it is about.
    message_id, topic : str
        ``request`` or ``undo``: an undo that does not arrive leaves a citizen restricted.
    tries : int
    tried_at : datetime or None
    status : int or None
        HTTP status of the last answer.
    problem, excerpt : str or None
        What went wrong; the beginning of the answer, without numbers.
    """

    request: Request
    message_id: str
    topic: str
    tries: int
    tried_at: datetime | None
    status: int | None
    problem: str | None
    excerpt: str | None


async def requests_of(turn: Turn, case_id: str) -> tuple[Request, ...]:
    """All requests of a case, the newest first.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``, also for a case of a district that is not the actor's.
    """
    demand(turn.actor, Action.READ_CASE)
    lies = select(CASES.c.district).where(CASES.c.case_id == case_id)
    row = (await turn.connection.execute(lies)).one_or_none()
    if row is None or not turn.actor.sees(row.district):
        raise Problem("not-found", "no case with this id among those you see")
    query = select(REQUESTS).where(REQUESTS.c.case_id == case_id)
    return await _read(turn, query.order_by(REQUESTS.c.drafted_at.desc(), REQUESTS.c.request_id))


async def requests_in(turn: Turn, state: State | None = None) -> tuple[Request, ...]:
    """Requests of the actor's district in a state, those changed last first."""
    demand(turn.actor, Action.READ_CASE)
    query = _seen(turn, select(REQUESTS))
    if state is not None:
        query = query.where(REQUESTS.c.state == state)
    latest = query.order_by(REQUESTS.c.changed_at.desc(), REQUESTS.c.request_id)
    return await _read(turn, latest.limit(_MOST))


async def awaiting_signature(turn: Turn) -> tuple[Request, ...]:
    """Drafts the actor may sign, the most urgent case first: not his own, and still in time."""
    demand(turn.actor, Action.SIGN_MEASURE)
    query = _seen(turn, select(REQUESTS)).where(
        REQUESTS.c.state == State.DRAFTED,
        REQUESTS.c.drafted_by != turn.actor.name,
        REQUESTS.c.expires_at > turn.now,
    )
    urgent = query.order_by(CASES.c.urgency, REQUESTS.c.drafted_at, REQUESTS.c.request_id)
    return await _read(turn, urgent.limit(_MOST))


async def dead_letters(turn: Turn) -> tuple[DeadLetter, ...]:
    """Messages that were given up; undos first, then the oldest."""
    demand(turn.actor, Action.READ_CASE)
    columns = ("message_id", "topic", "tries", "tried_at", "status", "problem", "excerpt")
    wanted = or_(
        OUTBOX.c.topic == Topic.UNDO,
        and_(REQUESTS.c.ended_at.is_(None), REQUESTS.c.answered_at.is_(None)),
    )
    query = (
        _seen(turn, select(REQUESTS, *(OUTBOX.c[name] for name in columns)))
        .join(OUTBOX, OUTBOX.c.request_id == REQUESTS.c.request_id)
        .where(OUTBOX.c.state == Delivery.DEAD, wanted)
        .order_by(OUTBOX.c.topic.desc(), OUTBOX.c.created_at)
        .limit(_MOST)
    )
    rows = (await turn.connection.execute(query)).mappings()
    return tuple(_letter(row, columns) for row in rows)


def _letter(row: Mapping[str, Any], columns: tuple[str, ...]) -> DeadLetter:
    request = Request(**{name: row[name] for name in REQUESTS.c.keys()})  # noqa: SIM118
    return DeadLetter(request, **{name: row[name] for name in columns})


def _seen(turn: Turn, query: Select[Any]) -> Select[Any]:
    joined = query.join(CASES, CASES.c.case_id == REQUESTS.c.case_id)
    if turn.actor.district is None:
        return joined
    return joined.where(CASES.c.district == turn.actor.district)


async def _read(turn: Turn, query: Select[Any]) -> tuple[Request, ...]:
    rows = (await turn.connection.execute(query)).mappings()
    return tuple(Request.of(row) for row in rows)
