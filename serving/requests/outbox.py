"""Sends what was signed, at least once: claim, send, write down what came of it.

A message is claimed in a transaction of its own, under a lease: two workers never send one at the
same moment, and what a worker that died had in hand is sent again, under the same id, once its
lease is over. A receiver therefore does one id once (`webhook-id`, also as `Idempotency-Key`).
Messages about one request leave in their order. An undo holds whatever comes after it.

References
----------
Standard Webhooks 1.0.0, "Deliverability and reliability": backoff with jitter, Retry-After, 410.
"""

import asyncio
import logging
import random
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serving.access import audit
from serving.requests.lifecycle import write
from serving.requests.messages import Delivery, Topic
from serving.requests.receivers import Office, Receiver
from serving.requests.request import Request, State
from serving.requests.tables import OUTBOX, REQUESTS
from serving.requests.webhooks import signed_headers
from serving.scrub import scrubbed

__all__ = ["COURIER", "Outbox", "Patience"]

COURIER = "forewarn:courier"
"""Who acts, in the audit log, where nobody does."""
_LOG = logging.getLogger("forewarn.requests")
_GONE = 410
_READ_BYTES = 2_048
_EXCERPT = 200  # characters
_WRITERS = 2  # connections that people's work does without


@dataclass(frozen=True)
class Patience:
    """How long and how often a receiver is tried.

    Money leaves in minutes, so the first tries come soon; after about 70 minutes a person decides.

    Parameters
    ----------
    tries : int
        Then the message is a dead letter.
    first_s, factor, most_s : float
        Seconds before the second try, how much longer each next one waits, and the most.
    jitter : float
        Share by which a wait is lengthened or shortened at random.
    timeout_s : float
        Seconds for one whole try; Standard Webhooks recommends 15 to 30.
    lease_s : float
        Seconds after which a message in hand is somebody else's.
    at_once : int
        Messages of one round.

    Examples
    --------
    >>> patience = Patience(jitter=0.0)
    >>> [patience.wait_s(tries, random.Random(7)) for tries in (1, 2, 3, 9)]
    [2.0, 8.0, 32.0, 1800.0]
    """

    tries: int = 8
    first_s: float = 2.0
    factor: float = 4.0
    most_s: float = 1_800.0
    jitter: float = 0.25
    timeout_s: float = 15.0
    lease_s: float = 60.0
    at_once: int = 16

    def __post_init__(self) -> None:
        if self.lease_s < 2 * self.timeout_s:
            raise ValueError(
                f"expected a lease of at least two timeouts ({2 * self.timeout_s} s), found "
                f"{self.lease_s} s; fix: lengthen it, or two workers send one message at once"
            )

    def wait_s(self, tries: int, chance: random.Random) -> float:
        """Seconds after the n-th try failed."""
        # a factor raised to more than this would overflow long after it is capped
        base = min(self.most_s, self.first_s * self.factor ** min(tries - 1, 32))
        return base * chance.uniform(1 - self.jitter, 1 + self.jitter)


@dataclass(frozen=True)
class _Claimed:
    message_id: str
    request_id: str
    topic: str
    receiver: str
    payload: str
    tries: int
    lease: str


@dataclass(frozen=True)
class _Result:
    """What came of one try."""

    delivered: bool
    status: int | None = None
    excerpt: str = ""
    problem: str = ""
    gone: bool = False
    after_s: float = 0.0


class Outbox:
    """Delivers what is due.

    Parameters
    ----------
    engine : AsyncEngine
    office : Office
        Where each receiver is, and its secrets.
    patience : Patience
    chance : random.Random
        For the jitter.

    Notes
    -----
    Certificates are checked against the machine's own store. Proxies of the environment are not
    used, redirects are not followed: a message goes where the deployment said, or nowhere.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        office: Office,
        patience: Patience | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._engine = engine
        self._office = office
        self._patience = patience or Patience()
        self._chance = chance or random.Random()
        self._writing = asyncio.Semaphore(_WRITERS)
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=self._patience.timeout_s,
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def deliver(self, at: datetime) -> int:
        """Send what is due at a moment; how many messages were tried."""
        claimed = await self._claim(at)
        await asyncio.gather(*(self._carry(one, at) for one in claimed))
        return len(claimed)

    async def _carry(self, one: _Claimed, at: datetime) -> None:
        """Send one and write down what came of it: a quick receiver waits for no slow one."""
        try:
            result = await self._send(one, at)
        except Exception as error:  # noqa: BLE001 - counts as a try, lest it be tried for ever
            _LOG.exception("a message could not be sent")
            result = _Result(delivered=False, problem=type(error).__name__)
        async with self._writing:
            await self._settle(one, result, at)

    async def _claim(self, at: datetime) -> Sequence[_Claimed]:
        lease = secrets.token_hex(8)
        async with self._engine.begin() as connection:
            due = (
                select(OUTBOX.c.message_id)
                .where(_is_due(at))
                .order_by(OUTBOX.c.due_at, OUTBOX.c.seq)
                .limit(self._patience.at_once)
                .with_for_update(skip_locked=True)
            )
            names = list(await connection.scalars(due))
            if not names:
                return ()
            until = at + timedelta(seconds=self._patience.lease_s)
            columns = [OUTBOX.c[name] for name in _Claimed.__dataclass_fields__]
            taken = (
                update(OUTBOX)
                .where(OUTBOX.c.message_id.in_(names))
                .values(lease=lease, leased_until=until, tries=OUTBOX.c.tries + 1, tried_at=at)
                .returning(*columns)
            )
            return [_Claimed(*row) for row in await connection.execute(taken)]

    async def _send(self, one: _Claimed, at: datetime) -> _Result:
        receiver = self._office.receivers.get(one.receiver)
        if receiver is None:
            return _Result(delivered=False, problem="receiver is not configured here")
        try:
            async with asyncio.timeout(self._patience.timeout_s):
                return await self._post(receiver, one, at)
        except (TimeoutError, httpx.TimeoutException):
            return _Result(delivered=False, problem="timeout")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return _Result(delivered=False, problem=type(error).__name__)

    async def _post(self, receiver: Receiver, one: _Claimed, at: datetime) -> _Result:
        body = one.payload.encode()
        headers = {
            **signed_headers(one.message_id, int(at.timestamp()), body, receiver.secrets),
            "content-type": "application/json",
            "accept-encoding": "identity",  # nothing of the answer is unpacked
            "idempotency-key": one.message_id,
            "user-agent": "forewarn",
        }
        async with self._client.stream(
            "POST", receiver.url, content=body, headers=headers
        ) as response:
            excerpt = await _excerpt(response)
        return _Result(
            delivered=response.is_success,
            status=response.status_code,
            excerpt=excerpt,
            problem="" if response.is_success else "refused by status",
            gone=response.status_code == _GONE,
            after_s=_retry_after(response),
        )

    async def _settle(self, one: _Claimed, result: _Result, at: datetime) -> None:
        async with self._engine.begin() as connection:
            query = select(REQUESTS).where(REQUESTS.c.request_id == one.request_id)
            held = (await connection.execute(query.with_for_update())).mappings().one()
            request = Request.of(held)
            state = await self._written(connection, one, result, at)
            if state == Delivery.PENDING:
                return
            if state == Delivery.DELIVERED and one.topic == Topic.REQUEST:
                request = await _sent(connection, request, at)
            act = audit.Act(
                COURIER,
                "system",
                f"message_{state}",
                one.request_id,
                detail={
                    "message": one.message_id,
                    "topic": one.topic,
                    "receiver": one.receiver,
                    "tries": one.tries,
                    "status": result.status,
                    "version": request.version,
                },
            )
            await audit.record(connection, act, at)

    async def _written(
        self, connection: AsyncConnection, one: _Claimed, result: _Result, at: datetime
    ) -> str:
        """Write down what came of a try; the state of the message after it."""
        mine = (OUTBOX.c.message_id == one.message_id, OUTBOX.c.lease == one.lease)
        row = (await connection.execute(select(OUTBOX.c.state).where(*mine))).one_or_none()
        if row is None:  # our lease ran out, and another has it in hand
            return Delivery.PENDING
        state = self._state_after(row.state, one, result)
        wait = max(self._patience.wait_s(one.tries, self._chance), result.after_s)
        values: dict[str, Any] = {
            "state": state,
            "lease": None,
            "leased_until": None,
            "due_at": at + timedelta(seconds=wait),
            "status": result.status,
            "excerpt": result.excerpt or None,
            "problem": result.problem or None,
            "delivered_at": at if state == Delivery.DELIVERED else None,
        }
        await connection.execute(update(OUTBOX).where(*mine).values(values))
        return state if state != row.state else Delivery.PENDING

    def _state_after(self, state: str, one: _Claimed, result: _Result) -> str:
        if result.delivered:
            return Delivery.DELIVERED
        if state != Delivery.PENDING:  # cancelled meanwhile
            return state
        if result.gone or one.tries >= self._patience.tries:
            _LOG.error(
                "a message to %s was given up after %d tries (%s); it is listed under dead letters",
                one.receiver,
                one.tries,
                result.status or result.problem,
            )
            return Delivery.DEAD
        return Delivery.PENDING


def _is_due(at: datetime) -> Any:
    earlier = OUTBOX.alias("earlier")
    free = or_(OUTBOX.c.leased_until.is_(None), OUTBOX.c.leased_until <= at)
    waits = exists().where(
        earlier.c.request_id == OUTBOX.c.request_id,
        earlier.c.seq < OUTBOX.c.seq,
        or_(earlier.c.state == Delivery.PENDING, earlier.c.leased_until > at),
    )
    return and_(OUTBOX.c.state == Delivery.PENDING, OUTBOX.c.due_at <= at, free, ~waits)


async def _sent(connection: AsyncConnection, request: Request, at: datetime) -> Request:
    """The request, written down as sent; its state moves only if it still waited for that."""
    state = State.SENT if request.state == State.SIGNED else request.state
    changed = replace(
        request,
        state=state,
        sent_at=request.sent_at or at,
        changed_at=at,
        version=request.version + 1,
    )
    await write(connection, changed)
    return changed


async def _excerpt(response: httpx.Response) -> str:
    """The beginning of an answer, without numbers and control characters."""
    taken = b""
    async for chunk in response.aiter_raw(_READ_BYTES):
        taken += chunk
        if len(taken) >= _READ_BYTES:
            break
    text = scrubbed(taken[:_READ_BYTES].decode("utf-8", "replace"))
    return "".join(sign for sign in text if sign.isprintable())[:_EXCERPT]


def _retry_after(response: httpx.Response) -> float:
    """Seconds the receiver asks for; what is no plain number of them is passed over."""
    text = response.headers.get("retry-after", "")
    return min(float(text), 3_600.0) if text.isascii() and text.isdecimal() else 0.0
