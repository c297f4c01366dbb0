"""The history: every accepted event in Parquet, one folder a day of ``known_at`` (UTC).

    var/history/day=2026-03-01/part-000000000000-000000071233.parquet

A part's name carries the first and last ``seq`` it holds. Parts are written aside and renamed, so
a reader never meets half a file, and they are never changed afterwards.

An append of several days is several parts, and counts whole or not at all. They are drafted in the
folder ``.pending``; while they are being renamed, the name of a file there (``from-000000071234``)
says with which ``seq`` the append began, and parts that begin there or later do not count. Its
removal is the commit. Where a crash left it behind, the next append first removes those parts:
whoever brought them finds `History.next_seq` as it was before, and brings them again.
"""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.tables import CODE, EVENT_SCHEMA, in_one_piece

__all__ = ["History", "HistoryError", "alone"]

NOTE = "from-"


class HistoryError(ValueError):
    """A table cannot be appended, or a part cannot be read."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the history in a folder for writing; another process that wants to write waits."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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

    @property
    def next_seq(self) -> int:
        """The number the next event to arrive will bear."""
        return max((last + 1 for _, last in map(_span, self.parts())), default=0)

    def days(self) -> list[date]:
        """Days (UTC, of ``known_at``) that hold events, in order."""
        folders = {part.parent.name for part in self.parts()}
        return sorted(date.fromisoformat(name.removeprefix("day=")) for name in folders)

    def parts(self, day: date | None = None) -> list[Path]:
        """Files of one day, or of all days, in order of day and first ``seq``."""
        wanted = "day=*" if day is None else f"day={day.isoformat()}"
        end = self._unfinished()
        found = self.root.glob(f"{wanted}/part-*.parquet")
        return sorted(part for part in found if _span(part)[0] < end)

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
        self._clear()
        self._commit(self._drafts(table, seq), int(seq[0]))

    def _drafts(self, table: pa.Table, seq: np.ndarray) -> dict[Path, Path]:
        """Write a part a day aside; where each belongs, by where it is."""
        self._pending.mkdir(parents=True)
        drafts: dict[Path, Path] = {}
        known = _microseconds(table["known_at"])
        days = known // 86_400_000_000
        for day in np.unique(days):
            chosen = days == day
            rows = table if chosen.all() else table.filter(pa.array(chosen))
            part = self._part(_date(int(day)), seq[chosen])
            draft = self._pending / part.parent.name
            pq.write_table(rows, draft, compression="zstd", compression_level=1)
            drafts[draft] = part
        return drafts

    def _commit(self, drafts: Mapping[Path, Path], first: int) -> None:
        """Put drafts in place, to be seen together."""
        note = self._pending / f"{NOTE}{first:012d}"
        note.touch()
        for draft, part in drafts.items():
            part.parent.mkdir(exist_ok=True)
            draft.rename(part)
        note.unlink()
        self._pending.rmdir()

    def _clear(self) -> None:
        """Remove what an append that was cut short has left."""
        if not self._pending.exists():
            return
        end = self._unfinished()
        for part in self.root.glob("day=*/part-*.parquet"):
            if _span(part)[0] >= end:
                part.unlink()
        shutil.rmtree(self._pending)

    @property
    def _pending(self) -> Path:
        return self.root / ".pending"

    def _unfinished(self) -> int:
        """Where an append began that is not finished; beyond every ``seq`` if there is none."""
        notes = self._pending.glob(f"{NOTE}*")
        return min((int(note.name.removeprefix(NOTE)) for note in notes), default=sys.maxsize)

    def _part(self, day: date, seq: np.ndarray) -> Path:
        return self.root / f"day={day.isoformat()}" / f"part-{seq[0]:012d}-{seq[-1]:012d}.parquet"

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
        return _in_order(in_one_piece([schema.empty_table(), *tables])).select(chosen)

    def column(self, part: Path, name: str) -> pa.ChunkedArray:
        """One column of one part."""
        return _load(part, [name])[name]

    def batches(self, before: datetime | None = None) -> Iterator[pa.Table]:
        """Read day by day, in order of day: bounded memory for long histories."""
        for day in self._within(before, None):
            tables = [_load(part, EVENT_SCHEMA.names) for part in self.parts(day)]
            yield _in_order(_between(in_one_piece(tables), None, before))

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
