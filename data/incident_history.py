"""The incidents' history: accepted files in Parquet, and beside them the limits of the city.

    var/incidents/part-000000.parquet
    var/incidents/extent.json

An append is one part, sorted by time, written aside and renamed: a reader meets it whole or not at
all, and it is never changed afterwards.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.history import HistoryError
from data.incidents import INCIDENT_SCHEMA, Origin
from data.places import Extent
from data.tables import TIME, in_one_piece

__all__ = ["IncidentHistory", "content_hash", "in_order", "without_duplicates"]

ROWS_A_GROUP = 1 << 17  # what of a part is read at least: a month or so of a big city
ORDER = ("occurred_at", "incident_id")


class IncidentHistory:
    """Incidents of the past, appended file by file, read as they were known.

    Parameters
    ----------
    root
        Folder of the parts; made at the first append.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from datetime import timedelta
    >>> from data.incident_intake import IncidentIntake
    >>> history = IncidentHistory(Path(mkdtemp()))
    >>> table, _ = IncidentIntake(report_delay=timedelta(0)).table(pa.table({
    ...     "occurred_at": ["2026-03-01 10:00", "2026-03-01 09:30"], "category": ["THEFT"] * 2,
    ...     "lon": [106.55, 106.56], "lat": [29.56, 29.57]}))
    >>> history.append(table), history.append(table)
    (2, 0)
    >>> history.read(columns=["lon", "lat"]).to_pylist()
    [{'lon': 106.56, 'lat': 29.57}, {'lon': 106.55, 'lat': 29.56}]
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @property
    def extent(self) -> Extent | None:
        """The city's limits that files were judged by; None before the first.

        Raises
        ------
        HistoryError
            If what is kept of them is damaged.
        """
        path = self.root / "extent.json"
        if not path.exists():
            return None
        try:
            return Extent.from_dict(json.loads(path.read_text("utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise HistoryError(
                f"expected the city's limits in {path}, found it damaged "
                f"({type(error).__name__}); remove it and give the limits with the next file"
            ) from error

    def keep_extent(self, extent: Extent) -> None:
        """Judge later files by these limits."""
        self.root.mkdir(parents=True, exist_ok=True)
        aside = self.root / ".extent.json"
        aside.write_text(json.dumps(extent.as_dict(), indent=1) + "\n", "utf-8")
        aside.rename(self.root / "extent.json")

    def parts(self) -> list[Path]:
        """Files in the order they were appended."""
        return sorted(self.root.glob("part-*.parquet"))

    def append(self, table: pa.Table) -> int:
        """Add incidents that are not there yet; how many there were.

        Parameters
        ----------
        table
            Rows of `INCIDENT_SCHEMA` without nulls, in any order. Of several with the same
            ``incident_id`` the first one stays, as does one that is there already.

        Raises
        ------
        HistoryError
            If the schema is another, or a value is absent.
        """
        _check(table)
        new = _firsts(table["incident_id"])
        for part in self.parts():
            known = _load(part, ["incident_id"])["incident_id"]
            there = pc.is_in(table["incident_id"], value_set=known.combine_chunks())
            new &= ~there.to_numpy()
        fresh = in_order(table.filter(pa.array(new)))
        if len(fresh):
            self._write(fresh)
        return len(fresh)

    def _write(self, table: pa.Table) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        last = max((int(part.stem.removeprefix("part-")) for part in self.parts()), default=-1)
        aside = self.root / ".pending.parquet"
        pq.write_table(table, aside, compression="zstd", row_group_size=ROWS_A_GROUP)
        aside.rename(self.root / f"part-{last + 1:06d}.parquet")

    def read(
        self,
        before: datetime | None = None,
        *,
        since: datetime | None = None,
        columns: Sequence[str] | None = None,
        origin: Origin | None = None,
    ) -> pa.Table:
        """Incidents with ``known_at < before`` and ``occurred_at >= since``.

        Parameters
        ----------
        before, since
            Aware times; None means no limit. Training at ``as_of`` reads ``before=as_of``.
        columns
            Columns to read; all by default.
        origin
            Only those that came to be known so; all by default.

        Returns
        -------
        Table
            Sorted by (``occurred_at``, ``incident_id``).
        """
        chosen = list(INCIDENT_SCHEMA.names if columns is None else columns)
        needed = list(dict.fromkeys([*chosen, *ORDER, *(["origin"] if origin else [])]))
        wanted = _wanted(before, since)
        schema = pa.schema([INCIDENT_SCHEMA.field(name) for name in needed])
        tables = [_load(part, needed, wanted) for part in self.parts()]
        table = in_one_piece([schema.empty_table(), *tables])
        if origin is not None:
            table = table.filter(pc.equal(table["origin"].cast(pa.string()), origin.value))
        return (in_order(table) if len(tables) > 1 else table).select(chosen)

    def fingerprint(self, before: datetime | None = None) -> str:
        """SHA-256 over the incidents known before a moment, in whatever files they came."""
        return content_hash(self.read(before))


def in_order(table: pa.Table) -> pa.Table:
    """Sort by (``occurred_at``, ``incident_id``)."""
    moments = table["occurred_at"].cast(pa.int64()).to_numpy()
    if (np.diff(moments) > 0).all():
        return table
    return table.take(pc.sort_indices(table, [(name, "ascending") for name in ORDER]))


def without_duplicates(table: pa.Table) -> pa.Table:
    """Of several rows with the same ``incident_id`` the one that was known first, in order."""
    known = table["known_at"].cast(pa.int64()).to_numpy()
    table = table.take(pa.array(np.argsort(known, kind="stable")))
    return in_order(table.filter(pa.array(_firsts(table["incident_id"]))))


def content_hash(table: pa.Table) -> str:
    """SHA-256 over a table's values, whatever its layout in memory."""
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode())
        for part in _canonical(table[name]):
            digest.update(part)
    return digest.hexdigest()


def _canonical(column: pa.ChunkedArray) -> Iterator[bytes]:
    if pa.types.is_timestamp(column.type):
        yield column.cast(pa.int64()).to_numpy().astype("<i8").tobytes()
    elif pa.types.is_floating(column.type):
        yield column.to_numpy().astype("<f8").tobytes()
    else:
        texts = column.cast(pa.string())
        yield pc.binary_length(texts).to_numpy().astype("<i4").tobytes()
        yield "".join(texts.to_pylist()).encode()


def _firsts(ids: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each is the first of its like."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.zeros(len(codes), dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first


def _check(table: pa.Table) -> None:
    if not table.schema.equals(INCIDENT_SCHEMA):
        raise HistoryError(
            f"expected the columns {', '.join(INCIDENT_SCHEMA.names)} of INCIDENT_SCHEMA, found "
            f"{', '.join(table.column_names)} or other types; bring incidents in through "
            "data.incident_intake"
        )
    absent = [name for name in table.column_names if table[name].null_count]
    if absent:
        raise HistoryError(
            f"expected every field of every incident, found nulls in {', '.join(absent)}; "
            "data.incident_intake fills them"
        )


def _wanted(before: datetime | None, since: datetime | None) -> pc.Expression | None:
    wanted = []
    if before is not None:
        wanted.append(pc.field("known_at") < pa.scalar(before, TIME))
    if since is not None:
        wanted.append(pc.field("occurred_at") >= pa.scalar(since, TIME))
    return None if not wanted else wanted[0] if len(wanted) == 1 else wanted[0] & wanted[1]


def _load(part: Path, columns: Sequence[str], wanted: pc.Expression | None = None) -> pa.Table:
    schema = pa.schema([INCIDENT_SCHEMA.field(name) for name in columns])
    try:
        table = pq.read_table(part, columns=list(columns), filters=wanted, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise HistoryError(
            f"expected a whole Parquet file, found {part} damaged ({type(error).__name__}); "
            "restore it from a copy, or remove it and bring its file of incidents again"
        ) from error
    return table.select(list(columns)).cast(schema)
