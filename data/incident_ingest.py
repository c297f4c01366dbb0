"""Files of incidents into the history: what passes the door is appended, the rest kept aside.

A file may be brought again at any time, also while the service runs: incidents that are there
already are recognised by their ``incident_id``, refused rows by their bytes. A file counts whole
or not at all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine

from data.columns import TableError
from data.database import database_of, read_incidents
from data.history import alone
from data.incident_columns import IncidentColumns, read_incident_columns
from data.incident_files import ColumnMap, incident_portions
from data.incident_history import IncidentHistory, without_duplicates
from data.incident_intake import IncidentIntake
from data.incident_times import TIME_FORMS, day_first_in
from data.incidents import Incident, incident_table
from data.places import EARTH, SOUND, Extent
from data.problems import Problem
from data.pseudonyms import Pseudonymiser
from data.quarantine import INCIDENTS, Mend, Refused, Replayed, Shelf, as_record
from data.settings import Settings

__all__ = [
    "FROM_FILE",
    "IncidentIngest",
    "Taken",
    "incident_history",
    "ingest_incidents",
    "live_intake",
    "opened_incidents",
    "quarantined_incidents",
    "read_truth_incidents",
    "replay_incidents",
]

Progress = Callable[[str, float], None]
FROM_FILE = f"{INCIDENTS}file:"
"""How the source of a refused row begins; live ones are ``incidents:api``."""


@dataclass(frozen=True)
class Taken:
    """What became of a file's rows: together they are all of them."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0


class IncidentIngest:
    """Brings files of incidents into one history.

    Parameters
    ----------
    history
        Where accepted incidents go, and where the city's limits are kept.
    engine
        Of the database with the quarantine.
    pseudonymiser
        Its key seals refused rows.
    zone
        IANA name of the city's zone.
    clock
        Now, aware.
    """

    def __init__(
        self,
        history: IncidentHistory,
        engine: Engine,
        pseudonymiser: Pseudonymiser,
        *,
        zone: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.history = history
        self.zone = zone
        self.clock = clock
        self.quarantine: Shelf[Incident] = Shelf(
            engine, pseudonymiser, clock, self._again, incidents=True
        )

    def file(
        self,
        path: Path,
        columns: ColumnMap | None = None,
        *,
        zone: str | None = None,
        extent: Extent | None = None,
        progress: Progress | None = None,
    ) -> Taken:
        """Bring a file in (see `ingest_incidents`)."""
        columns = columns or ColumnMap()
        read, broken = _read(Path(path), columns, progress)
        told = progress or (lambda _sentence, _share: None)
        if read is None:
            self.quarantine.add(_as_refused(broken, path))
            _tell(_refused_most(broken), told)
            return Taken(refused=len(broken))
        limits = extent or self.history.extent or _around(read)
        door = self._door(limits, columns.report_delay, zone)
        source = f"file:{path.suffix.lstrip('.').lower()}"
        table, rejected = door.columns(read, source=source)
        if len(table) or extent is not None:
            self.history.keep_extent(limits)
        new = self.history.append(table)
        refused = [
            (as_record(record), problems)
            for record, problems in zip(rejected.records, rejected.problems, strict=True)
        ]
        self.quarantine.add(_as_refused([*refused, *broken], path))
        _tell([*_taken_for_reported(read), *_refused_most([*refused, *broken])], told)
        return Taken(new, len(table) - new, len(refused) + len(broken))

    def replay(self, *, mend: Mend | None = None, ids: Sequence[str] | None = None) -> Replayed:
        """Send refused records through the door again, into the history."""

        def accept(incidents: Sequence[Incident]) -> None:
            self.history.append(incident_table(incidents))

        return self.quarantine.replay(accept, mend=mend, ids=ids)

    def _door(self, extent: Extent, delay: timedelta | None, zone: str | None) -> IncidentIntake:
        return IncidentIntake(
            extent, zone=_checked(zone or self.zone), report_delay=delay, clock=self.clock
        )

    def _again(self, source: str, record: Any) -> Incident:
        delay = timedelta(0) if source.startswith(FROM_FILE) else None
        return self._door(self.history.extent or EARTH, delay, None).one(record)


def ingest_incidents(
    path: Path,
    settings: Settings,
    columns: ColumnMap | None = None,
    *,
    zone: str | None = None,
    extent: Extent | None = None,
    progress: Progress | None = None,
) -> Taken:
    """Bring a file of incidents into the history of a deployment.

    Parameters
    ----------
    path
        ``.csv``, ``.parquet`` or ``.jsonl`` with a time, a category, a latitude and a longitude.
    settings
        Where history, quarantine and key are, and the city's zone.
    columns
        Which column is which; common names are recognised.
    zone
        IANA zone of times without an offset; by default the city's.
    extent
        The city's limits, which later files are judged by as well. By default those that are
        kept, at first a box around the middle of the file's own places.
    progress
        Told a sentence and the share done, 0 to 1; last what is assumed of the rows, and the
        fault that most of the refused ones have.

    Raises
    ------
    TableError
        If the file cannot be read, its columns cannot be told, or none of its times can be read.
    PlaceError
        If no limits are given or kept and the file's places lie far from one another.
    StoreError
        If the database does not answer.
    """
    with opened_incidents(settings) as ingest:
        return ingest.file(Path(path), columns, zone=zone, extent=extent, progress=progress)


def replay_incidents(
    settings: Settings, *, mend: Mend | None = None, ids: Sequence[str] | None = None
) -> Replayed:
    """Send quarantined incidents through the door again, into the history.

    Parameters
    ----------
    mend
        Corrects a record (a mapping) before it is tried.
    ids
        Only these; all that wait by default.
    """
    with opened_incidents(settings) as ingest:
        return ingest.replay(mend=mend, ids=ids)


def incident_history(settings: Settings) -> IncidentHistory:
    """The incidents' history of a deployment, to read."""
    return IncidentHistory(settings.var / "incidents")


def live_intake(settings: Settings) -> IncidentIntake:
    """The door of live incidents, with the limits that the history keeps.

    Its `IncidentIntake.many` says what becomes of a list of records.
    """
    limits = incident_history(settings).extent or EARTH
    return IncidentIntake(limits, zone=settings.zone)


def read_truth_incidents(
    settings: Settings, before: datetime | None = None, *, since: datetime | None = None
) -> pa.Table:
    """All incidents known before a moment: the history's and the live ones of the database.

    Parameters
    ----------
    before
        Aware; training at ``as_of`` reads ``before=as_of``.
    since
        Leaves out what happened earlier.

    Returns
    -------
    Table
        `INCIDENT_SCHEMA` sorted by (``occurred_at``, ``incident_id``). Of an incident that came
        both ways, the one that was known first.
    """
    past = incident_history(settings).read(before, since=since)
    with database_of(settings) as engine, engine.connect() as connection:
        live = read_incidents(connection, before, since)
    if len(live) == 0:
        return past
    return without_duplicates(pa.concat_tables([past, live]).unify_dictionaries().combine_chunks())


@contextmanager
def opened_incidents(settings: Settings) -> Iterator[IncidentIngest]:
    """The incidents of a deployment, ready to take files in; another that writes waits."""
    history = incident_history(settings)
    with quarantined_incidents(settings) as ingest, alone(history.root):
        yield ingest


@contextmanager
def quarantined_incidents(settings: Settings) -> Iterator[IncidentIngest]:
    """The incidents of a deployment, to look at what their quarantine holds."""
    with database_of(settings) as engine:
        names = Pseudonymiser.from_settings(settings)
        yield IncidentIngest(incident_history(settings), engine, names, zone=settings.zone)


def _read(
    path: Path, columns: ColumnMap, progress: Progress | None
) -> tuple[IncidentColumns | None, list[tuple[bytes, Sequence[Problem]]]]:
    """A whole file in our types, and the rows that are none."""
    parts: list[IncidentColumns] = []
    broken: list[tuple[bytes, Sequence[Problem]]] = []
    day_first = columns.day_first
    for portion in incident_portions(path, columns):
        broken += [(line, [problem]) for line, problem in portion.broken]
        if len(portion.table):
            if day_first is None:
                day_first = _day_first(portion.table["occurred_at"])
            parts.append(read_incident_columns(portion.table, day_first))
        if progress is not None:
            progress(f"{sum(map(len, parts)):,} rows read", portion.done)
    if not parts and not broken:
        raise TableError(f"expected incidents in {path}, found no rows; bring the whole file")
    return (_with_times(IncidentColumns.joined(parts)) if parts else None), broken


def _day_first(column: pa.ChunkedArray) -> bool | None:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    return day_first_in(pc.unique(pc.utf8_trim_whitespace(column)))


def _with_times(read: IncidentColumns) -> IncidentColumns:
    if len(read) > 1 and not read.occurred.readable.any():
        raise TableError(
            f"expected times such as {TIME_FORMS}, found none in the column of times; "
            "name another column with --time, or write them so"
        )
    return read


def _around(read: IncidentColumns) -> Extent:
    """Limits inferred from the places themselves; all of Earth where none can be used."""
    if (EARTH.judge(read.lon, read.lat) == SOUND).any():
        return Extent.around(read.lon, read.lat)
    return EARTH


def _tell(sentences: Iterable[str], progress: Progress) -> None:
    for sentence in sentences:
        progress(sentence, 1.0)


def _taken_for_reported(read: IncidentColumns) -> Iterator[str]:
    """What is assumed where the file does not say how incidents came to be known."""
    said = read.texts.get("origin")
    silent = len(read) if said is None else said.null_count
    if silent:
        yield (
            f"{silent:,} rows do not say reported or discovered: taken for reported by citizens; "
            "if the file says, name its column with --origin"
        )


def _refused_most(rows: Sequence[tuple[bytes, Sequence[Problem]]]) -> Iterator[str]:
    """The fault that most refused rows have; no row is quoted."""
    faults = Counter(str(problem) for _, problems in rows for problem in problems)
    for fault, count in faults.most_common(1):
        yield f"{count:,} rows refused: {fault}"


def _as_refused(rows: Sequence[tuple[bytes, Sequence[Problem]]], path: Path) -> Iterator[Refused]:
    source = f"{FROM_FILE}{path.suffix.lstrip('.').lower()}"
    return (Refused(record, problems, source) for record, problems in rows)


def _checked(zone: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TableError(
            f"expected an IANA time zone, found {zone!r}; write for example Asia/Shanghai"
        ) from error
