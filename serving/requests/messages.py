"""What leaves the house: messages as they were signed, in the transaction that signed them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.cases.ids import new_id
from serving.requests.contracts import Asking, InTwoTongues, OutgoingMessage
from serving.requests.measures import MEASURES, Kind, undo_words
from serving.requests.request import Request, State
from serving.requests.tables import OUTBOX
from serving.scrub import scrubbed

__all__ = [
    "Delivery",
    "Lifting",
    "Message",
    "Topic",
    "cancel",
    "enqueue",
    "lift",
    "messages_of",
    "revive",
]


class Topic(StrEnum):
    """What a message is."""

    REQUEST = "request"
    UNDO = "undo"


class Delivery(StrEnum):
    """How far a message is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Message:
    """A row of the outbox, as far as it decides what may still be done."""

    message_id: str
    topic: str
    state: str
    tries: int

    @property
    def left(self) -> bool:
        """Whether the receiver may have it."""
        return self.tries > 0


@dataclass(frozen=True)
class Lifting:
    """Why and by whom a measure is lifted."""

    by: str
    at: datetime
    reason: str
    zone: str


async def messages_of(connection: AsyncConnection, request_id: str) -> list[Message]:
    """A request's messages in order, held to the end of the transaction.

    Whoever claims one to send it passes over held ones, and what was claimed counts as having left.
    """
    columns = (OUTBOX.c.message_id, OUTBOX.c.topic, OUTBOX.c.state, OUTBOX.c.tries)
    query = (
        select(*columns)
        .where(OUTBOX.c.request_id == request_id)
        .order_by(OUTBOX.c.seq)
        .with_for_update()
    )
    return [Message(*row) for row in await connection.execute(query)]


async def enqueue(
    connection: AsyncConnection, request: Request, topic: Topic, words: tuple[str, str], by: str
) -> None:
    """Write down what is to be sent about a request that has just changed."""
    row = {
        "message_id": new_id(request.changed_at),
        "request_id": request.request_id,
        "topic": topic,
        "receiver": request.receiver,
        "payload": _payload(request, topic, words, by),
        "state": Delivery.PENDING,
        "tries": 0,
        "created_at": request.changed_at,
        "due_at": request.changed_at,
    }
    await connection.execute(insert(OUTBOX), [row])


async def cancel(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """Send these no more, where they were still to be sent.

    Their leases stay: what is on its way now may still arrive, and an undo waits for it.
    """
    these = [one.message_id for one in messages if one.state == Delivery.PENDING]
    query = update(OUTBOX).where(OUTBOX.c.message_id.in_(these))
    await connection.execute(query.values(state=Delivery.CANCELLED))


async def revive(connection: AsyncConnection, messages: Sequence[Message], now: datetime) -> int:
    """Send given-up messages again under their own ids; how many there were."""
    these = [one.message_id for one in messages if one.state == Delivery.DEAD]
    query = update(OUTBOX).where(OUTBOX.c.message_id.in_(these))
    await connection.execute(query.values(state=Delivery.PENDING, tries=1, due_at=now))
    return len(these)


async def lift(connection: AsyncConnection, request: Request, why: Lifting) -> Request:
    """End a request: nothing more is sent, and where it may have left, its undo is.

    The request is held by the caller, who writes it.
    """
    messages = await messages_of(connection, request.request_id)
    left = any(one.left for one in messages)
    await cancel(connection, messages)
    ended = replace(
        request,
        state=State.UNDONE if left else State.WITHDRAWN,
        ended_by=why.by,
        ended_at=why.at,
        end_reason=scrubbed(why.reason),
        changed_at=why.at,
        version=request.version + 1,
    )
    if left:
        words = undo_words(Kind(request.kind), request.signed_at or why.at, why.zone)
        await enqueue(connection, ended, Topic.UNDO, words, why.by)
    return ended


def _payload(request: Request, topic: Topic, words: tuple[str, str], by: str) -> str:
    """The body; the same bytes at every try."""
    kind = Kind(request.kind)
    asking = Asking(
        request_id=request.request_id,
        kind=kind,
        subject=request.subject,
        amount_cny=request.amount_cny,
        expires_at=request.expires_at,
        owner=request.drafted_by,
        signed_by=by,
        ground=_both(MEASURES[kind].ground),
        text=_both(words),
    )
    told = OutgoingMessage(type=f"{topic}.{kind}", timestamp=request.changed_at, data=asking)
    return told.model_dump_json()


def _both(words: tuple[str, str]) -> InTwoTongues:
    return InTwoTongues(zh=words[0], en=words[1])
