"""Feature state as of now, shared by all workers in Valkey; its absence is never hidden.

Besides asking `features.LiveState`, this notices when the state was emptied under way (by a
restart of Valkey) and says that it is away until `serving.recovery` has rebuilt it.

A worker may be killed after it showed an event to the state and before it recorded it. So events
are announced first, in Valkey too, and struck off once they are on disk; what stays announced is
found by the keeper of some worker and recorded, so that state and log do not drift apart.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from data.events import EVENT_TYPES, Event
from data.intake import is_late
from features.spec import FeatureSet
from features.store import LiveState, Vector
from serving.judge import Seen

__all__ = ["ANNOUNCED", "WHOLE", "State", "StateAway"]

ANNOUNCED = "forewarn:announced"
WHOLE = "forewarn:whole"
"""Set once the state was brought up to the log; gone with whatever empties Valkey."""
STALE_S = 15.0  # longer than any request may take
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StateAway(RuntimeError):  # noqa: N818
    """Feature state cannot be asked, or is not up to the log."""


class State:
    """What features are made from, for one worker.

    Parameters
    ----------
    url : str
        Of Valkey.
    features : FeatureSet
        What to read.
    zone : str
        The city's time zone.
    """

    def __init__(self, url: str, features: FeatureSet, zone: str) -> None:
        self._client = Valkey.from_url(url, socket_timeout=2, socket_connect_timeout=1)
        self._live = LiveState(self._client, features, zone)
        self._highest = -1
        self._recorded: list[str] = []

    async def close(self) -> None:
        """Strike off what is recorded, let the connections go."""
        await self.strike()
        await self._client.aclose()

    def rise(self, seq: int) -> None:
        """Take note of a number the log holds: the state must be past it."""
        self._highest = max(self._highest, seq)

    async def observe(self, events: Sequence[Event], *, scored: bool = True) -> list[Seen]:
        """Vectors of events as of now, in order; then each is part of the state.

        Raises
        ------
        StateAway
            If Valkey does not answer or lost what it held.
        """
        if not events:
            return []
        past = self._highest
        with _away():
            await self._announce(events, scored=scored)
            found = await self._observed(events)
        self._check(found, past)
        return [_seen(event, vector) for event, vector in zip(events, found, strict=True)]

    async def _announce(self, events: Sequence[Event], *, scored: bool) -> None:
        """Leave a note of what is about to be shown, if the state is whole; in one trip."""
        pipe = self._client.pipeline(transaction=False)
        pipe.hset(ANNOUNCED, mapping=_notes(events, scored=scored))
        pipe.exists(WHOLE)
        if not (await pipe.execute())[-1]:
            self.recorded(event.event_id for event in events)
            raise StateAway("it is being rebuilt")

    async def _observed(self, events: Sequence[Event]) -> list[Vector]:
        if len(events) == 1:
            return [await self._live.observe(events[0])]
        return await self._live.observe_many(events)

    def recorded(self, event_ids: Iterable[str]) -> None:
        """Events that are on disk now: to be struck off with the next `strike`."""
        self._recorded += event_ids

    async def strike(self) -> None:
        """Strike off recorded events; those left by a failure are found again by the keeper."""
        names, self._recorded = self._recorded, []
        if names:
            with suppress(ValkeyError, OSError, TimeoutError):
                await self._client.hdel(ANNOUNCED, *names)

    async def left_behind(self) -> list[tuple[Event, bool]]:
        """Events announced long ago and never struck off, in order, and if they want a score.

        Raises
        ------
        StateAway
            If Valkey does not answer.
        """
        with _away():
            notes = [json.loads(note) for note in await self._client.hvals(ANNOUNCED)]
        old = [note for note in notes if note["at"] < time.time() - STALE_S]
        return [
            (EVENT_TYPES[note["event"]["kind"]].model_validate(note["event"]), note["scored"])  # type: ignore[misc]
            for note in sorted(old, key=lambda note: float(note["at"]))
        ]

    async def forgotten(self, event_ids: Sequence[str]) -> list[str]:
        """Which of these events the state would count again, were they shown to it.

        Raises
        ------
        StateAway
            If Valkey does not answer.
        """
        if not event_ids:
            return []
        with _away():
            marker = f"{self._live.codec.prefix}e:"
            pipe = self._client.pipeline(transaction=False)
            for name in event_ids:
                pipe.exists(marker + name)
            known = await pipe.execute()
        return [name for name, is_known in zip(event_ids, known, strict=True) if not is_known]

    async def word(self) -> str:
        """`ok`, `away` or `behind`."""
        try:
            with _away():
                whole = await self._client.exists(WHOLE)
        except StateAway:
            return "away"
        return "ok" if whole else "behind"

    def _check(self, found: Sequence[Vector], past: int) -> None:
        """Numbers only rise: a fresh one at or below a known one says the state began anew."""
        fresh = [vector.seq for vector in found if not vector.repeated]
        if fresh and min(fresh) <= past:
            raise StateAway("the numbering began anew: it must be rebuilt from the log")
        self.rise(max(vector.seq for vector in found))


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (ValkeyError, OSError, TimeoutError) as error:
        raise StateAway(f"{type(error).__name__}: {error}"[:200]) from error


def _notes(events: Sequence[Event], *, scored: bool) -> dict[str, str]:
    now = time.time()
    return {
        event.event_id: (
            f'{{"at": {now}, "scored": {json.dumps(scored)}, '
            f'"event": {event.model_dump_json(exclude_none=True)}}}'
        )
        for event in events
    }


def _seen(event: Event, vector: Vector) -> Seen:
    return Seen(
        event_id=event.event_id,
        kind=event.kind,
        late=is_late(event),
        values=vector.values,
        seq=vector.seq,
        now=_EPOCH + timedelta(microseconds=vector.now),
        repeated=vector.repeated,
    )
