"""Files of records, read in portions of bounded memory: JSON lines, CSV, Parquet.

A portion holds what could be read as columns, and beside it the records that could not, as they
came. Reading judges nothing: that is the door's business (`data.intake`). A row of CSV is one
line, since no field holds a line's end.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic_core import to_json

from data.columns import FIELDS, TableError, check_names
from data.problems import Problem
from data.tables import CODE, EVENT_SCHEMA, TIME

__all__ = ["FORMATS", "Overlong", "Portion", "is_text", "portions", "reader_of"]

BLOCK = 32 << 20  # bytes of text read at once
LONGEST_LINE = 64 << 20
BEGINNING = 1_024  # bytes kept of a longer one
ROWS = 1 << 18
FEW = 64  # lines too few to be worth another try as columns
BOM = b"\xef\xbb\xbf"
CELL = rb'(?:"(?:[^"]++|"")*+"[^,\r]*+|[^",\r][^,\r]*+)?'
ROW = re.compile(rb"%b(?:[,\r]%b)*+" % (CELL, CELL))  # RFC 4180, lenient as Arrow is


@dataclass(frozen=True)
class Overlong:
    """A line too long to be held in memory: how it begins, its bytes and their hash."""

    beginning: bytes
    size: int
    sha256: str

    @property
    def stand_in(self) -> bytes:
        """JSON that is kept in the line's place."""
        beginning = self.beginning.decode("utf-8", "replace")
        return to_json({"beginning": beginning, "bytes": self.size, "sha256": self.sha256})

    @property
    def problem(self) -> Problem:
        """Why it is refused."""
        return Problem(
            "record",
            f"one record a line, at most {LONGEST_LINE} bytes",
            f"a line of {self.size} bytes",
            "write one record a line, not one document, and bring the file again",
        )


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
        The other records, as they came, by where they stand; those that are too long come last.
    text
        Whether the table's numbers and flags are written as text.
    done
        Share of the file read so far, 0 to 1.
    """

    table: pa.Table
    places: NDArray[np.int64]
    lines: dict[int, bytes | Overlong] = field(default_factory=dict)
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
    reader = reader_of(path, FORMATS, "records")
    try:
        yield from reader(path)
    except (pa.ArrowException, OSError) as error:
        # Arrow quotes what it could not read: nothing of that may be shown
        raise TableError(
            f"expected a whole {path.suffix} file, found {path} damaged ({type(error).__name__}); "
            "bring it again: records that were taken in are known by their event_id"
        ) from None


Reader = TypeVar("Reader")


def reader_of(path: Path, readers: Mapping[str, Reader], holds: str) -> Reader:
    """Choose what reads a file by its suffix.

    Raises
    ------
    TableError
        If nothing reads such files, or there is none, or an empty one.
    """
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise TableError(
            f"expected a file that ends in {', '.join(readers)}, found {path.name!r}; "
            "rename it, or convert it to one of these"
        )
    if not path.is_file():
        raise TableError(f"expected a file at {path}, found none; correct the path")
    if path.stat().st_size == 0:
        raise TableError(f"expected {holds} in {path}, found an empty file; bring it again")
    return reader


# --- JSON lines


def _jsonl(path: Path) -> Iterator[Portion]:
    size = path.stat().st_size
    apart: list[bytes | Overlong] = []
    with path.open("rb") as file:
        for lines in _blocks(file, apart):
            yield _parsed(lines, apart, file.tell() / size)


def _blocks(file: io.BufferedReader, apart: list[bytes | Overlong]) -> Iterator[list[bytes]]:
    """Lines of the file that hold something, a block's worth at a time; what is too long apart."""
    rest = b""
    first = True
    while block := file.read(BLOCK):
        if first:
            block, first = block.removeprefix(BOM), False
        whole, found, tail = block.rpartition(b"\n")
        if not found:
            rest += tail
            if len(rest) > LONGEST_LINE:
                apart.append(_to_its_end(rest, file))
                rest = b""
            continue
        yield [line for line in (rest + whole).split(b"\n") if line.strip()]
        rest = tail
    if rest.strip() or apart:
        yield [rest] if rest.strip() else []


def _to_its_end(start: bytes, file: io.BufferedReader) -> Overlong:
    """Read on to the end of a line, remembering no more of it."""
    digest, size = hashlib.sha256(start), len(start)
    while piece := file.readline(BLOCK):
        inside = piece.removesuffix(b"\n")
        digest.update(inside)
        size += len(inside)
        if inside != piece:
            break
    return Overlong(start[:BEGINNING], size, digest.hexdigest())


def _parsed(lines: Sequence[bytes], apart: list[bytes | Overlong], done: float) -> Portion:
    tables: list[tuple[int, pa.Table]] = []
    others: dict[int, bytes | Overlong] = {}
    _as_columns(lines, 0, tables, others)
    others.update(enumerate(apart, len(lines)))
    apart.clear()
    whole = pa.concat_tables([_JSON.empty_table(), *(table for _, table in tables)])
    spans = [np.arange(start, start + len(table)) for start, table in tables]
    places = np.concatenate([np.empty(0, np.int64), *spans])
    return Portion(whole.combine_chunks(), places, others, done=done)


def _as_columns(
    lines: Sequence[bytes],
    start: int,
    tables: list[tuple[int, pa.Table]],
    others: dict[int, bytes | Overlong],
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
    if not is_text(text):  # Arrow does not look
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
    apart: list[bytes | Overlong] = []
    with path.open("rb") as file, _reader(_Text(file, apart), names, apart) as reader:
        for batch in reader:
            table = pa.Table.from_batches([batch])
            yield _with_apart(table, apart, min(file.tell() / size, 1.0))
        if apart:
            yield _with_apart(reader.schema.empty_table(), apart, 1.0)


class _Text(io.RawIOBase):
    """The lines of a file that can be rows, as a stream; the others are put apart."""

    def __init__(self, file: io.BufferedReader, apart: list[bytes | Overlong]) -> None:
        self._blocks = _blocks(file, apart)
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
        if b'"' not in text and is_text(text):
            return text
        fit = [_is_row(line) for line in lines]
        if not all(fit):
            self._apart.extend(line for line, fits in zip(lines, fit, strict=True) if not fits)
            text = b"".join(line + b"\n" for line in compress(lines, fit))
        return text


def _is_row(line: bytes) -> bool:
    """Whether a line ends where its row does: a quote left open would swallow the next ones."""
    return is_text(line) and (b'"' not in line or ROW.fullmatch(line) is not None)


def is_text(line: bytes) -> bool:
    """Whether it is UTF-8."""
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
    file: io.RawIOBase, names: Sequence[str], apart: list[bytes | Overlong]
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


def _with_apart(table: pa.Table, apart: list[bytes | Overlong], done: float) -> Portion:
    """Lines that are no rows come after the others: their place is not told."""
    lines = dict(enumerate(apart, len(table)))
    apart.clear()
    return Portion(table, np.arange(len(table)), lines, text=True, done=done)


# --- Parquet


def _parquet(path: Path) -> Iterator[Portion]:
    schema = pq.read_schema(path)
    check_names(schema.names)
    with pq.ParquetFile(path, read_dictionary=_coded(schema)) as file:
        rows, done = file.metadata.num_rows, 0
        for batch in file.iter_batches(batch_size=ROWS):
            table = pa.Table.from_batches([batch])
            done += len(table)
            yield Portion(table, np.arange(len(table)), done=done / rows)


def _coded(schema: pa.Schema) -> list[str]:
    """Columns to be read as codes: ours are, and the file's are texts."""
    return [
        found.name
        for found in schema
        if found.name in FIELDS
        and EVENT_SCHEMA.field(found.name).type == CODE
        and _plain(found.type) in (pa.string(), pa.large_string())
    ]


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


FORMATS: dict[str, Callable[[Path], Iterator[Portion]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
