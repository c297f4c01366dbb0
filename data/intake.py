"""The one door: every record, from HTTP or a file, becomes a concealed event or a refusal.

A record passes its contract, its clock is checked, ``known_at`` is stamped where it is absent, and
its identifiers become pseudonyms. What comes out holds no phone, account, device or id number.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from data.events import EVENT_TYPES, Event
from data.problems import Problem, RejectedRecord, found_in, problems_of
from data.pseudonyms import Pseudonymiser

__all__ = ["AHEAD", "LATE", "Intake", "is_late"]

AHEAD = timedelta(minutes=5)  # how far a source's clock may run ahead of ours
LATE = timedelta(minutes=5)  # known later than this after it happened: marked
LARGEST_RECORD = 65_536  # bytes of one JSON record


class Intake:
    """Turns records into concealed events.

    Parameters
    ----------
    pseudonymiser
        Keyed names for identifiers.
    clock
        Now, aware; the city's real clock by default.

    Examples
    --------
    >>> intake = Intake(Pseudonymiser(bytes(32)))
    >>> call = intake.one(b'''{"kind": "call", "event_id": "c-1", "direction": "incoming",
    ...     "occurred_at": "2026-03-01T10:00:00+08:00", "duration_s": 65,
    ...     "subscriber": "13800138000", "counterpart": "+86 10 1234 5678"}''')
    >>> call.subscriber.startswith("tel_"), call.known_at > call.occurred_at
    (True, True)
    >>> intake.one({**call.model_dump(), "duration_s": -1})
    Traceback (most recent call last):
    ...
    data.problems.RejectedRecord: duration_s: expected a whole number from 0 to 604800 ...
    """

    def __init__(
        self,
        pseudonymiser: Pseudonymiser,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.pseudonymiser = pseudonymiser
        self.clock = clock

    def one(self, record: Mapping[str, Any] | bytes | str) -> Event:
        """One record as a concealed event with its ``known_at``.

        Parameters
        ----------
        record
            JSON in UTF-8, or what it says. A field that is null counts as absent.

        Raises
        ------
        RejectedRecord
            With every problem found.
        """
        fields = self._fields(record)
        event = _parsed(fields)
        now = self.clock()
        problems = _ahead(event, now)
        if problems:
            raise RejectedRecord(problems)
        if event.known_at is None:
            event = event.model_copy(update={"known_at": now.astimezone(UTC)})
        return self.pseudonymiser.conceal(event)

    def _fields(self, record: Mapping[str, Any] | bytes | str) -> dict[str, Any]:
        found = record if isinstance(record, Mapping) else _from_json(record)
        return {name: value for name, value in found.items() if value is not None}


def is_late(event: Event) -> bool:
    """Whether an event became known more than five minutes after it happened."""
    return event.known_at is not None and event.known_at - event.occurred_at > LATE


def _from_json(record: bytes | str) -> Mapping[str, Any]:
    if len(record) > LARGEST_RECORD:
        found = f"{len(record)} bytes"
        raise RejectedRecord(
            [Problem("record", f"at most {LARGEST_RECORD} bytes", found, "send one event a record")]
        )
    try:
        found = from_json(record, allow_inf_nan=False)
    except ValueError as error:
        where = str(error)  # names a place, never quotes the text
        raise RejectedRecord(
            [Problem("record", "JSON in UTF-8", where, "correct the text")]
        ) from None
    if isinstance(found, Mapping):
        return found
    raise RejectedRecord(
        [Problem("record", "a JSON object", found_in(found), "send one event as an object")]
    )


def _parsed(fields: Mapping[str, Any]) -> Event:
    kind = fields.get("kind")
    contract = EVENT_TYPES.get(kind) if isinstance(kind, str) else None
    if contract is None:
        expected = f"one of {', '.join(EVENT_TYPES)}"
        fix = "add kind" if kind is None else "correct kind"
        raise RejectedRecord([Problem("kind", expected, found_in(kind), fix)])
    try:
        return contract.model_validate(fields)  # type: ignore[return-value]
    except ValidationError as error:
        raise RejectedRecord(problems_of(error, str(kind), fields)) from None


def _ahead(event: Event, now: datetime) -> list[Problem]:
    """Times that our clock has not reached: the source's clock is wrong, or the time is."""
    limit = now + AHEAD
    times = {
        name: getattr(event, name, None) for name in ("occurred_at", "known_at", "reported_at")
    }
    return [
        Problem(
            name,
            f"a time up to 5 minutes after ours, {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            time.isoformat(),
            "correct the source's clock, then replay the record",
        )
        for name, time in times.items()
        if time is not None and time > limit
    ]
