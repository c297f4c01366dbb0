"""Files into the history: what passes the door is appended, what does not goes to the quarantine.

`data.intake` judges records wherever they come from; this module decides where a file's records
end up. A file may be brought again at any time: records that are there already are recognised by
their ``event_id``, refused ones by their bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, select

from data.database import SERVING, database_of, last_seq, read_events
from data.events import Event
from data.formats import Overlong, Portion, portions
from data.history import History, alone
from data.intake import Intake, is_late
from data.problems import Problem, RejectedRecord, found_in
from data.pseudonyms import Pseudonymiser
from data.quarantine import Mend, Quarantine, Refused, Replayed, as_record
from data.seen import Seen
from data.settings import Settings
from data.stores import StoreError
from data.tables import EVENT_SCHEMA, empty_events, from_events, in_one_piece

__all__ = [
    "Ingest",
    "Taken",
    "archive",
    "ingest_file",
    "opened",
    "quarantined",
    "replay_quarantine",
]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Taken:
    """What became of a file's records.

    Attributes
    ----------
    accepted, duplicates, refused : int
        Together they are all records of the file.
    late : int
        Of the accepted: known more than five minutes after they happened.
    disordered : int
        Of the accepted: known before one that stands earlier in the history. Features see events
        in the order they were brought; sort the file by ``known_at`` if there are many.
    """

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    late: int = 0
    disordered: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.refused + other.refused,
            self.late + other.late,
            self.disordered + other.disordered,
        )


class Ingest:
    """Brings records into one history.

    Parameters
    ----------
    intake
        The door.
    history
        Where accepted events go, in order of arrival.
    quarantine
        Where the others go.
    """

    def __init__(self, intake: Intake, history: History, quarantine: Quarantine) -> None:
        self.intake = intake
        self.history = history
        self.quarantine = quarantine
        self._seen: Seen | None = None
        self._latest = np.iinfo(np.int64).min

    def file(self, path: Path, progress: Progress | None = None) -> Taken:
        """Bring a file in.

        Raises
        ------
        TableError
            If it cannot be read to its end, or its columns are not ours. What was read before
            stays; bring the mended file again.
        """
        taken = Taken()
        for portion in portions(path):
            taken += self.portion(portion, source=f"file:{path.suffix.lstrip('.')}")
            if progress is not None:
                progress(f"{taken.accepted:,} accepted, {taken.refused:,} refused", portion.done)
        return taken

    def portion(self, portion: Portion, *, source: str) -> Taken:
        """Bring some records of a file in."""
        table, rejected = self.intake.table(portion.table, first_seq=0, text=portion.text)
        refused = [
            Refused(as_record(record), problems, source)
            for record, problems in zip(rejected.records, rejected.problems, strict=True)
        ]
        events: dict[int, Event] = {}
        for place, line in portion.lines.items():
            if isinstance(line, Overlong):
                refused.append(Refused(line.stand_in, [line.problem], source))
                continue
            try:
                events[place] = self.intake.one(line)
            except RejectedRecord as refusal:
                refused.append(Refused(line, _for_text(refusal, portion, line), source))
        rows = np.delete(portion.places, list(rejected.rows))
        taken = self.events(_merged(table, rows, events))
        self.quarantine.add(refused)
        return replace(taken, refused=len(refused))

    def events(self, table: pa.Table) -> Taken:
        """Append concealed events that are not there yet, numbering them."""
        if self._seen is None:
            self._seen = self._remembered()
            self._latest = self._last_known()
        new = self._seen.add(table["event_id"])
        fresh = table if new.all() else table.filter(pa.array(new))
        numbers = np.arange(len(fresh)) + self.history.next_seq
        fresh = fresh.set_column(0, EVENT_SCHEMA.field("seq"), pa.array(numbers, pa.int64()))
        self.history.append(fresh)
        return Taken(
            accepted=len(fresh),
            duplicates=len(table) - len(fresh),
            late=fresh["late"].to_numpy().sum().item() if len(fresh) else 0,
            disordered=self._disorder(fresh),
        )

    def _remembered(self) -> Seen:
        seen = Seen()
        for part in self.history.parts():
            seen.add(self.history.column(part, "event_id"))
        return seen

    def _last_known(self) -> int:
        """The highest ``known_at`` of the history, in microseconds."""
        last = self.history.days()[-1:]
        parts = [part for day in last for part in self.history.parts(day)]
        known = [pc.max(self.history.column(part, "known_at")).value for part in parts]
        return max(known, default=self._latest)

    def _disorder(self, table: pa.Table) -> int:
        known = table["known_at"].cast(pa.int64()).to_numpy()
        if len(known) == 0:
            return 0
        latest = np.maximum.accumulate(np.concatenate([[self._latest], known]))
        self._latest = latest[-1]
        return int((known < latest[:-1]).sum())


@contextmanager
def opened(settings: Settings, intake: Intake | None = None) -> Iterator[Ingest]:
    """The history of a deployment, ready to take records in, its live events archived first.

    Raises
    ------
    StoreError
        If the service runs: it numbers events itself.
    """
    intake = intake or Intake(Pseudonymiser.from_settings(settings))
    history = History(settings.var / "history")
    with database_of(settings) as engine, _resting(engine) as connection, alone(history.root):
        archive(history, connection)
        yield Ingest(intake, history, Quarantine(engine, intake))


@contextmanager
def quarantined(settings: Settings) -> Iterator[Quarantine]:
    """The quarantine of a deployment, to look at; the service may run."""
    with database_of(settings) as engine:
        yield Quarantine(engine, Intake(Pseudonymiser.from_settings(settings)))


def ingest_file(path: Path, settings: Settings, progress: Progress | None = None) -> Taken:
    """Bring a file of records into the history of a deployment.

    Parameters
    ----------
    path
        ``.jsonl``, ``.csv`` or ``.parquet`` in the contracts' fields.
    settings
        Where history, quarantine and key are.
    progress
        Told a sentence and the share done, 0 to 1.

    Raises
    ------
    TableError
        If the file cannot be read or its columns are not ours.
    StoreError
        If the service runs, or the database does not answer.
    """
    with opened(settings) as ingest:
        return ingest.file(Path(path), progress)


def replay_quarantine(
    settings: Settings, *, mend: Mend | None = None, ids: Sequence[str] | None = None
) -> Replayed:
    """Send quarantined records through the door again, into the history.

    Parameters
    ----------
    mend
        Corrects a record (a mapping) before it is tried.
    ids
        Only these; all that wait by default.
    """
    with opened(settings) as ingest:

        def accept(events: Sequence[Event]) -> None:
            ingest.events(_table(events))

        return ingest.quarantine.replay(accept, mend=mend, ids=ids)


def archive(history: History, connection: Connection) -> int:
    """Append the log's live events that the history does not hold yet; how many there were.

    The log keeps its rows: decisions point at them.
    """
    count = 0
    while last_seq(connection) >= history.next_seq:
        table = read_events(connection, after=history.next_seq - 1)
        history.append(table)
        count += len(table)
    return count


@contextmanager
def _resting(engine: Engine) -> Iterator[Connection]:
    """A connection, with the promise that no worker numbers events meanwhile."""
    with engine.connect() as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(SERVING))):
            raise StoreError(
                "expected no running service, found one that numbers live events; stop it first, "
                "or send the records to its POST /v1/events"
            )
        try:
            yield connection
        finally:
            connection.rollback()
            connection.scalar(select(func.pg_advisory_unlock(SERVING)))


def _table(events: Sequence[Event]) -> pa.Table:
    return from_events(events, late=[is_late(event) for event in events])


def _merged(table: pa.Table, rows: NDArray[np.int64], events: dict[int, Event]) -> pa.Table:
    """Rows of columns and single events, in the file's order."""
    if not events:
        return table
    places = np.concatenate([rows, list(events)])
    whole = in_one_piece([empty_events(), table, _table(list(events.values()))])
    return whole.take(pa.array(np.argsort(places, kind="stable")))


def _for_text(refusal: RejectedRecord, portion: Portion, line: bytes) -> Sequence[Problem]:
    """What is wrong with a line; a CSV line is only here because its cells do not fit."""
    if not portion.text:
        return refusal.problems
    found = found_in(_text_or_bytes(line))
    cells = f"{portion.table.num_columns} cells of text in UTF-8 on one line"
    return [Problem("record", cells, found, "correct the line and bring it again")]


def _text_or_bytes(line: bytes) -> str | bytes:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line
