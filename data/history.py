"""The history: every accepted event in Parquet, one folder a day of ``known_at`` (UTC).

    var/history/day=2026-03-01/part-000000000000-000000071233.parquet

A part's name carries the first and last ``seq`` it holds. Parts are written aside and renamed, so
a reader never meets half a file, and they are never changed afterwards.
"""

import fcntl
import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.tables import CODE, EVENT_SCHEMA

__all__ = ["History", "HistoryError"]


class HistoryError(ValueError):
    """A table cannot be appended, or a part cannot be read."""


class History:
    """Events by day, appended in order of arrival, read as they were known.

    Parameters
    ----------
    root
        Folder of the day folders; made at the first append.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from data.events import Call
    >>> from data.tables import from_events
    >>> history = History(Path(mkdtemp()))
    >>> history.append(from_events([Call(
    ...     event_id="c1", occurred_at="2026-03-01T10:00:00+08:00",
    ...     known_at="2026-03-01T10:00:05+08:00", subscriber="tel_" + "0" * 32,
    ...     counterpart="tel_" + "1" * 32, direction="incoming", duration_s=60)]))
    >>> history.days(), history.next_seq, history.read(columns=["event_id"]).to_pylist()
    ([datetime.date(2026, 3, 1)], 1, [{'event_id': 'c1'}])
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the history for writing; another process that wants to write waits."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def next_seq(self) -> int:
        """The number the next event to arrive will bear."""
        return max((last + 1 for _, last in map(_span, self.parts())), default=0)

    def days(self) -> list[date]:
        """Days (UTC, of ``known_at``) that hold events, in order."""
        found = self.root.glob("day=*") if self.root.exists() else ()
        return sorted(date.fromisoformat(folder.name[4:]) for folder in found)

    def parts(self, day: date | None = None) -> list[Path]:
        """Files of one day, or of all days, in order of day and first ``seq``."""
        wanted = "day=*" if day is None else f"day={day.isoformat()}"
        return sorted(self.root.glob(f"{wanted}/part-*.parquet"))

    def append(self, table: pa.Table) -> None:
        """Add events in order of arrival; their ``seq`` must follow what is there.

        Parameters
        ----------
        table
            Rows of `EVENT_SCHEMA` with identifiers already pseudonymised, ``seq`` ascending from
            `next_seq` or later, ``known_at`` set.

        Raises
        ------
        HistoryError
            If the schema, the numbering or a time is wrong.
        """
        if table.num_rows == 0:
            return
        seq = self._numbered(table)
        known = _microseconds(table["known_at"])
        days = known // 86_400_000_000
        for day in np.unique(days):
            chosen = days == day
            rows = table if chosen.all() else table.filter(pa.array(chosen))
            span = seq[chosen]
            self._write(rows, _date(int(day)), (int(span[0]), int(span[-1])))

    def read(
        self,
        before: datetime | None = None,
        since: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Events with ``since <= known_at < before``, sorted by ``seq``.

        Parameters
        ----------
        before, since
            Aware times; None means no limit. Training at ``as_of`` reads ``before=as_of``.
        columns
            Columns to read; all by default.
        """
        chosen = list(EVENT_SCHEMA.names if columns is None else columns)
        needed = list(dict.fromkeys([*chosen, "seq", "known_at"]))
        tables = [
            _between(_load(part, needed), since, before)
            for day in self._within(before, since)
            for part in self.parts(day)
        ]
        schema = pa.schema([EVENT_SCHEMA.field(name) for name in needed])
        return _in_order(_whole([schema.empty_table(), *tables])).select(chosen)

    def column(self, part: Path, name: str) -> pa.ChunkedArray:
        """One column of one part."""
        return _load(part, [name])[name]

    def batches(self, before: datetime | None = None) -> Iterator[pa.Table]:
        """Read day by day, in order of day: bounded memory for long histories."""
        for day in self._within(before, None):
            tables = [_load(part, EVENT_SCHEMA.names) for part in self.parts(day)]
            yield _in_order(_between(_whole(tables), None, before))

    def fingerprint(self, before: datetime | None = None) -> str:
        """SHA-256 over the content known before a moment, whatever the files' layout.

        Two histories that hold the same events in the same order have the same fingerprint, also
        when they were appended in other portions.
        """
        digest = hashlib.sha256()
        for table in self.batches(before):
            for name in EVENT_SCHEMA.names:
                digest.update(_canonical(table[name].combine_chunks()))
        return digest.hexdigest()

    def _numbered(self, table: pa.Table) -> np.ndarray:
        if not table.schema.equals(EVENT_SCHEMA):
            raise HistoryError(
                f"expected the columns of EVENT_SCHEMA, found {_difference(table.schema)}; "
                "bring records in through data.intake"
            )
        if table["known_at"].null_count or table["seq"].null_count:
            raise HistoryError(
                "expected seq and known_at in every row, found nulls; data.intake stamps both"
            )
        seq = table["seq"].to_numpy()
        if seq[0] < self.next_seq or (np.diff(seq) <= 0).any():
            raise HistoryError(
                f"expected seq ascending from {self.next_seq} or later, found {seq[0]} … "
                f"{seq[-1]}; number new events from History.next_seq"
            )
        return seq  # type: ignore[no-any-return]

    def _within(self, before: datetime | None, since: datetime | None) -> list[date]:
        first = date.min if since is None else since.astimezone(UTC).date()
        last = date.max if before is None else before.astimezone(UTC).date()
        return [day for day in self.days() if first <= day <= last]

    def _write(self, table: pa.Table, day: date, span: tuple[int, int]) -> None:
        folder = self.root / f"day={day.isoformat()}"
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".draft-{secrets.token_hex(4)}"
        pq.write_table(table, draft, compression="zstd", compression_level=1)
        draft.rename(folder / f"part-{span[0]:012d}-{span[1]:012d}.parquet")


def _span(part: Path) -> tuple[int, int]:
    first, last = part.stem.removeprefix("part-").split("-")
    return int(first), int(last)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * 86_400, UTC).date()


def _load(part: Path, columns: Sequence[str]) -> pa.Table:
    schema = pa.schema([EVENT_SCHEMA.field(name) for name in columns])
    try:
        # partitioning=None: the folder's day is not a column
        table = pq.read_table(part, columns=list(columns), partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise HistoryError(
            f"expected a whole Parquet file, found {part} damaged ({error}); restore it from a copy"
        ) from error
    return table.select(list(columns)).cast(schema)


def _whole(tables: Sequence[pa.Table]) -> pa.Table:
    """One table whose columns lie in one piece.

    Left in pieces, every piece carries the whole dictionary, and each later unification hashes
    all of them again: more work than reading the files.
    """
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _between(table: pa.Table, since: datetime | None, before: datetime | None) -> pa.Table:
    known = table["known_at"]
    keep = []
    if since is not None:
        keep.append(pc.greater_equal(known, pa.scalar(since, known.type)))
    if before is not None:
        keep.append(pc.less(known, pa.scalar(before, known.type)))
    if all(pc.all(mask).as_py() is not False for mask in keep):
        return table
    return table.filter(pc.and_(keep[0], keep[-1]))


def _in_order(table: pa.Table) -> pa.Table:
    seq = table["seq"].to_numpy()
    if (np.diff(seq) > 0).all():
        return table
    return table.take(pa.array(np.argsort(seq, kind="stable")))


def _microseconds(times: pa.ChunkedArray) -> np.ndarray:
    return times.cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]


def _difference(found: pa.Schema) -> str:
    missing = [name for name in EVENT_SCHEMA.names if name not in found.names]
    extra = [name for name in found.names if name not in EVENT_SCHEMA.names]
    typed = [
        f"{name}: {found.field(name).type} for {EVENT_SCHEMA.field(name).type}"
        for name in EVENT_SCHEMA.names
        if name in found.names and found.field(name).type != EVENT_SCHEMA.field(name).type
    ]
    return f"missing {missing}, unknown {extra}, other types {typed}, or another order"


def _canonical(values: pa.Array) -> bytes:
    """Bytes of a column that depend on its values alone, not on how Arrow laid them out."""
    if values.type == CODE:
        values = values.cast(pa.string())
    valid = np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_list(values.type):
        lengths = values.value_lengths().fill_null(0).to_numpy().astype("<i4").tobytes()
        return b"".join((valid, lengths, _canonical(values.flatten())))
    if pa.types.is_string(values.type):
        texts = values.fill_null("")
        lengths = pc.binary_length(texts).to_numpy().astype("<i4").tobytes()
        return b"".join((valid, lengths, _letters(texts)))
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    numbers = values.fill_null(False if pa.types.is_boolean(values.type) else 0)
    return b"".join((valid, numbers.to_numpy(zero_copy_only=False).astype("<i8").tobytes()))


def _letters(texts: pa.StringArray) -> bytes:
    """All texts in one, in UTF-8, read from where Arrow keeps them."""
    if not len(texts):
        return b""
    _, places, letters = texts.buffers()
    ends = np.frombuffer(places, np.int32, len(texts) + 1, offset=4 * texts.offset)
    return memoryview(letters)[ends[0] : ends[-1]].tobytes() if letters else b""
