"""What is over: drafts nobody signed in time, measures whose time has passed."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.access import audit
from serving.requests.lifecycle import write
from serving.requests.messages import cancel, messages_of
from serving.requests.outbox import COURIER
from serving.requests.request import Answered, Request, State
from serving.requests.tables import REQUESTS

__all__ = ["expire"]

_MOST = 200  # of one transaction; the rest comes with the next
_WHY = "its time has passed"


async def expire(connection: AsyncConnection, now: datetime) -> int:
    """End what is over at a moment; how many requests.

    The receiver knew the end from the message and lifts the measure by itself: nothing is sent.
    Doing it again changes nothing; requests somebody works on right now wait for the next time.
    """
    query = (
        select(REQUESTS)
        .where(
            REQUESTS.c.ended_at.is_(None),
            REQUESTS.c.expires_at <= now,
            or_(REQUESTS.c.answer.is_(None), REQUESTS.c.answer != Answered.REFUSED),
        )
        .order_by(REQUESTS.c.request_id)
        .limit(_MOST)
        .with_for_update(skip_locked=True)
    )
    over = [Request.of(row) for row in (await connection.execute(query)).mappings()]
    acts = []
    for request in over:
        await cancel(connection, await messages_of(connection, request.request_id))
        ended = replace(
            request,
            state=State.EXPIRED,
            ended_by=COURIER,
            ended_at=now,
            end_reason=_WHY,
            changed_at=now,
            version=request.version + 1,
        )
        await write(connection, ended)
        detail = {"case": request.case_id, "kind": request.kind, "version": ended.version}
        acts.append(audit.Act(COURIER, "system", "expire", request.request_id, detail=detail))
    await audit.record_all(connection, acts, now)
    return len(over)
