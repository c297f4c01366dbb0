"""Files of records, read in portions of bounded memory: JSON lines, CSV, Parquet.

A portion holds what could be read as columns, and beside it the records that could not, as they
came. Reading judges nothing: that is the door's business (`data.intake`).
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.columns import FIELDS, TableError, check_names
from data.tables import CODE, EVENT_SCHEMA, TIME

__all__ = ["FORMATS", "Portion", "portions"]

BLOCK = 32 << 20  # bytes of text read at once
LONGEST_LINE = 64 << 20
ROWS = 1 << 18
FEW = 64  # lines too few to be worth another try as columns
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Portion:
    """Some records of a file, in the file's order.

    Attributes
    ----------
    table
        Records read as columns.
    places
        Where each row of the table stands among the portion's records.
    lines
        The other records, as they came, by where they stand.
    text
        Whether the table's numbers and flags are written as text.
    done
        Share of the file read so far, 0 to 1.
    """

    table: pa.Table
    places: NDArray[np.int64]
    lines: dict[int, bytes] = field(default_factory=dict)
    text: bool = False
    done: float = 1.0


def portions(path: Path) -> Iterator[Portion]:
    """Read a file by its suffix: ``.jsonl``, ``.ndjson``, ``.csv``, ``.parquet``.

    Raises
    ------
    TableError
        If the file cannot be read, or its columns are not ours. What was yielded before stands.
    """
    path = Path(path)
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise TableError(
            f"expected a file that ends in {', '.join(FORMATS)}, found {path.name!r}; "
            "rename it, or convert it to one of these"
        )
    if not path.is_file():
        raise TableError(f"expected a file at {path}, found none; correct the path")
    if path.stat().st_size == 0:
        raise TableError(f"expected records in {path}, found an empty file; bring it again")
    try:
        yield from reader(path)
    except (pa.ArrowException, OSError) as error:
        # Arrow quotes what it could not read: nothing of that may be shown
        raise TableError(
            f"expected a whole {path.suffix} file, found {path} damaged ({type(error).__name__}); "
            "bring it again: records that were taken in are known by their event_id"
        ) from None


# --- JSON lines


def _jsonl(path: Path) -> Iterator[Portion]:
    size = path.stat().st_size
    with path.open("rb") as file:
        for lines in _blocks(file):
            yield _parsed(lines, file.tell() / size)


def _blocks(file: io.BufferedReader) -> Iterator[list[bytes]]:
    """Lines of the file that hold something, a block's worth at a time."""
    rest = b""
    first = True
    while block := file.read(BLOCK):
        if first:
            block, first = block.removeprefix(BOM), False
        whole, found, tail = block.rpartition(b"\n")
        if not found:
            rest += tail
            if len(rest) > LONGEST_LINE:
                raise TableError(
                    f"expected one record a line, found a line longer than {len(rest)} bytes; "
                    "write JSON lines, not one document"
                )
            continue
        yield [line for line in (rest + whole).split(b"\n") if line.strip()]
        rest = tail
    if rest.strip():
        yield [rest]


def _parsed(lines: Sequence[bytes], done: float) -> Portion:
    tables: list[tuple[int, pa.Table]] = []
    others: dict[int, bytes] = {}
    _as_columns(lines, 0, tables, others)
    whole = pa.concat_tables([_JSON.empty_table(), *(table for _, table in tables)])
    spans = [np.arange(start, start + len(table)) for start, table in tables]
    places = np.concatenate([np.empty(0, np.int64), *spans])
    return Portion(whole.combine_chunks(), places, others, done=done)


def _as_columns(
    lines: Sequence[bytes],
    start: int,
    tables: list[tuple[int, pa.Table]],
    others: dict[int, bytes],
) -> None:
    """Read lines as columns; where that fails, halve, and leave a few to be read one by one."""
    table = _table(lines)
    if table is not None:
        tables.append((start, table))
    elif len(lines) <= FEW:
        others.update(enumerate(lines, start))
    else:
        middle = len(lines) // 2
        _as_columns(lines[:middle], start, tables, others)
        _as_columns(lines[middle:], start + middle, tables, others)


def _table(lines: Sequence[bytes]) -> pa.Table | None:
    text = b"\n".join(lines)
    if not _is_text(text):  # Arrow does not look
        return None
    try:
        table = pajson.read_json(
            io.BytesIO(text),
            read_options=pajson.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pajson.ParseOptions(
                explicit_schema=_JSON, unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table.select(_JSON.names) if len(table) == len(lines) else None


def _in_json(kind: pa.DataType) -> pa.DataType:
    if kind in (CODE, TIME):
        return pa.string()
    return pa.int64() if pa.types.is_integer(kind) else kind


_JSON = pa.schema(
    [*((name, _in_json(EVENT_SCHEMA.field(name).type)) for name in FIELDS), ("version", pa.int64())]
)


# --- CSV


def _csv(path: Path) -> Iterator[Portion]:
    names = _header(path)
    check_names(names)
    size = path.stat().st_size
    apart: list[bytes] = []
    with path.open("rb") as file, _reader(_Text(file, apart), names, apart) as reader:
        for batch in reader:
            table = pa.Table.from_batches([batch])
            yield _with_apart(table, apart, min(file.tell() / size, 1.0))
        if apart:
            yield _with_apart(reader.schema.empty_table(), apart, 1.0)


class _Text(io.RawIOBase):
    """The lines of a file that are UTF-8, as a stream; the others are put apart."""

    def __init__(self, file: io.BufferedReader, apart: list[bytes]) -> None:
        self._blocks = _blocks(file)
        self._apart = apart
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._rest:
            lines = next(self._blocks, None)
            if lines is None:
                return 0
            self._rest = memoryview(self._whole(lines))
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _whole(self, lines: list[bytes]) -> bytes:
        text = b"\n".join(lines) + b"\n"
        if _is_text(text):
            return text
        self._apart.extend(line for line in lines if not _is_text(line))
        return b"".join(line + b"\n" for line in lines if _is_text(line))


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        line = file.readline(BLOCK).removeprefix(BOM)
    try:
        return next(csv.reader([line.decode()]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"expected a header in UTF-8 in {path}, found another encoding; save the file as UTF-8"
        ) from error


def _reader(
    file: io.RawIOBase, names: Sequence[str], apart: list[bytes]
) -> pacsv.CSVStreamingReader:
    def keep(row: pacsv.InvalidRow) -> str:
        apart.append(row.text.encode())
        return "skip"

    return pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(block_size=BLOCK, use_threads=False),
        parse_options=pacsv.ParseOptions(invalid_row_handler=keep),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _with_apart(table: pa.Table, apart: list[bytes], done: float) -> Portion:
    """Lines that are no rows come after the others: their place is not told."""
    lines = dict(enumerate(apart, len(table)))
    apart.clear()
    return Portion(table, np.arange(len(table)), lines, text=True, done=done)


# --- Parquet


def _parquet(path: Path) -> Iterator[Portion]:
    coded = [name for name in FIELDS if EVENT_SCHEMA.field(name).type == CODE]
    with pq.ParquetFile(path, read_dictionary=coded) as file:
        check_names(file.schema_arrow.names)
        rows, done = file.metadata.num_rows, 0
        for batch in file.iter_batches(batch_size=ROWS):
            table = pa.Table.from_batches([batch])
            done += len(table)
            yield Portion(table, np.arange(len(table)), done=done / rows)


FORMATS: dict[str, Callable[[Path], Iterator[Portion]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
