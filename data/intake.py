"""The one door: every record, from HTTP or a file, becomes a concealed event or a refusal.

A record passes its contract, its clock is checked, ``known_at`` is stamped where it is absent, and
its identifiers become pseudonyms. What comes out holds no phone, account, device or id number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import from_json

from data.clock import LATE, STAMPED, problems_ahead, problems_before
from data.columns import read_columns
from data.events import EVENT_TYPES, Event
from data.leaks import problems_leaked
from data.problems import Problem, RejectedRecord, found_in, problems_of
from data.pseudonyms import Pseudonymiser
from data.screen import Concealer, Judged, screen
from data.tables import EVENT_SCHEMA, from_events, in_one_piece

__all__ = ["Intake", "Rejected", "is_late"]

LARGEST_RECORD = 65_536  # bytes of one JSON record


@dataclass(frozen=True)
class Rejected:
    """The refused rows of a table.

    Attributes
    ----------
    rows
        Where they stood, ascending.
    records
        What each said, raw: for the quarantine only.
    problems
        What is wrong with each.
    """

    rows: tuple[int, ...]
    records: tuple[Mapping[str, Any], ...]
    problems: tuple[tuple[Problem, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)


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
        self._concealer = Concealer(pseudonymiser)

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
        times = {name: getattr(event, name, None) for name in STAMPED}
        problems = [
            *problems_ahead(times, now),
            *problems_before(event.occurred_at, event.known_at),
            *problems_leaked(event),
        ]
        if problems:
            raise RejectedRecord(problems)
        if event.known_at is None:
            event = event.model_copy(update={"known_at": now.astimezone(UTC)})
        return self.pseudonymiser.conceal(event)

    def table(
        self, given: pa.Table, *, first_seq: int | None = None, text: bool = False
    ) -> tuple[pa.Table, Rejected]:
        """Many records at once, in columns named as the contracts' fields.

        Parameters
        ----------
        given
            Its column ``late`` is ours to say and is not looked at.
        first_seq
            Number of the first accepted row; None keeps the numbers given, or starts at 0.
        text
            Whether numbers and flags are written as text (CSV).

        Returns
        -------
        accepted : Table
            Concealed `EVENT_SCHEMA`, in the order given. An ``event_id`` may be there twice:
            whoever keeps events knows which it has.
        rejected : Rejected
            The other rows, with every problem found.

        Raises
        ------
        TableError
            If a column is unknown or a needed one is missing.
        """
        columns = read_columns(given, text=text)
        judged = screen(columns, self._concealer, self.clock().astimezone(UTC))
        doubted = np.flatnonzero(~judged.passed).tolist()
        tried = {place: self._try(columns.row(place)) for place in doubted}
        refused = {row: one for row, one in tried.items() if isinstance(one, RejectedRecord)}
        events = {row: one for row, one in tried.items() if not isinstance(one, RejectedRecord)}
        table, rows = _joined(judged, events)
        rejected = Rejected(
            rows=tuple(refused),
            records=tuple(columns.row(row) for row in refused),
            problems=tuple(refusal.problems for refusal in refused.values()),
        )
        seq = _numbers(given, rows, first_seq)
        return table.add_column(0, EVENT_SCHEMA.field("seq"), seq), rejected

    def _try(self, record: dict[str, Any]) -> Event | RejectedRecord:
        try:
            return self.one(record)
        except RejectedRecord as refusal:
            return refusal

    def _fields(self, record: Mapping[str, Any] | bytes | str) -> dict[str, Any]:
        found = record if isinstance(record, Mapping) else _from_json(record)
        return {name: value for name, value in found.items() if value is not None}


def _joined(judged: Judged, events: Mapping[int, Event]) -> tuple[pa.Table, NDArray[np.int64]]:
    """What the screen passed and what only the contract did, in the order they came."""
    passed = np.flatnonzero(judged.passed)
    if len(passed) == len(judged.passed):
        return judged.table, passed
    screened = judged.table.filter(pa.array(judged.passed))
    if not events:
        return screened, passed
    late = [is_late(event) for event in events.values()]
    others = from_events(events.values(), late=late).drop_columns("seq")
    rows = np.concatenate([passed, list(events)]).astype(np.int64)
    order = np.argsort(rows, kind="stable")
    whole = in_one_piece([screened, others])
    return whole.take(pa.array(order)), rows[order]


def _numbers(given: pa.Table, rows: NDArray[np.int64], first: int | None) -> pa.Array:
    if first is None and "seq" in given.column_names and given["seq"].null_count == 0:
        return given["seq"].combine_chunks().take(pa.array(rows)).cast(pa.int64())
    return pa.array(np.arange(len(rows)) + (first or 0), pa.int64())


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
