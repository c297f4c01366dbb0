"""Files of incidents as cities publish them: which column is which, and the rows of each.

Any CSV, Parquet or JSON lines with a time, a category, a latitude and a longitude will do. Only
the columns that are mapped are read: what a file says about persons stays in the file.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pydantic_core import from_json

from data.columns import TableError
from data.formats import Overlong, is_text, reader_of
from data.problems import Problem, found_in

__all__ = ["ColumnMap", "IncidentPortion", "incident_portions"]

BLOCK = 32 << 20  # bytes of text read at once
ROWS = 1 << 18
LONGEST_LINE = 1 << 20
BEGINNING = 1_024  # bytes kept of a longer one
MOST_LINES = 20  # of one CSV row whose cell holds ends of lines
BOM = b"\xef\xbb\xbf"
DELIMITERS = (",", ";", "\t")
CELL = r'(?:"(?:[^"]++|"")*+"[^{0}\n]*+|[^"{0}\n][^{0}\n]*+)?'
SAYABLE = re.compile(r"(?!.*\d{5})[^\W\d][\w .:()/-]{0,39}")
FIELDS = {
    "time": "occurred_at",
    "category": "category",
    "lat": "lat",
    "lon": "lon",
    "id": "incident_id",
    "known": "known_at",
    "origin": "origin",
}
GUESSES: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("occurredat", "datetime", "date", "time", "timestamp", "incidentdatetime"),
        *("incidentdate", "occurredon", "occurredondate", "dateocc", "occurdate", "offensedate"),
        *("案发时间", "发案时间", "发生时间", "报警时间", "时间", "日期"),
    ),
    "category": (
        *("category", "primarytype", "type", "crimetype", "offense", "offence", "incidenttype"),
        *("offensetype", "offencetype", "crime", "incidentcategory", "ofnsdesc", "crmcddesc"),
        *("类别", "案件类别", "警情类别", "案由", "类型"),
    ),
    "lat": ("lat", "latitude", "纬度"),
    "lon": ("lon", "lng", "long", "longitude", "经度"),
    # an `id` may be a row's number, which another file repeats: it must be named to be used
    "id": ("incidentid",),
    "known": ("knownat", "reportedat"),
    "origin": ("origin",),
}


@dataclass(frozen=True)
class ColumnMap:
    """Which column of a file is which, and how it is to be read.

    Parameters
    ----------
    time, category, lat, lon : str, optional
        Names of the file's columns; by default common names are recognised, whatever their case.
    id, known, origin : str, optional
        The same for what a file need not have: a name unique to the incident across files, when
        it was learnt, and whether it was ``reported`` or ``discovered``.
    day_first : bool, optional
        Whether 03/04/2026 is in April; by default the file's own days tell.
    report_delay : timedelta
        How long after they happened incidents are known, where no column says; 0 or more.

    Raises
    ------
    TableError
        If the report delay is negative: nothing is known before it happens.

    Examples
    --------
    >>> ColumnMap().resolve(["ID", "Date", "Primary Type", "Latitude", "Longitude", "Block"])
    {'Date': 'occurred_at', 'Primary Type': 'category', 'Latitude': 'lat', 'Longitude': 'lon'}
    >>> ColumnMap(lat="y").resolve(["date", "type", "x", "y"])
    Traceback (most recent call last):
    ...
    data.columns.TableError: expected a column for lon, found none among date, type, x, y; ...
    """

    time: str | None = None
    category: str | None = None
    lat: str | None = None
    lon: str | None = None
    id: str | None = None
    known: str | None = None
    origin: str | None = None
    day_first: bool | None = None
    report_delay: timedelta = field(default=timedelta(0))

    def __post_init__(self) -> None:
        if self.report_delay < timedelta(0):
            hours = self.report_delay / timedelta(hours=1)
            raise TableError(
                f"expected a report delay of 0 hours or more, found {hours:g}; nothing is known "
                "before it happens"
            )

    def resolve(self, names: Sequence[str]) -> dict[str, str]:
        """The fields of `Incident` by the names of the file's columns.

        Raises
        ------
        TableError
            If a needed column is not found, or could be one of several.
        """
        found = {role: self._column(role, names) for role in FIELDS}
        used = [column for column in found.values() if column is not None]
        twice = sorted({column for column in used if used.count(column) > 1})
        if twice:
            raise TableError(
                f"expected a column each, found {_told(twice)} for two; {_options(['lat', 'lon'])}"
            )
        return {column: FIELDS[role] for role, column in found.items() if column is not None}

    def _column(self, role: str, names: Sequence[str]) -> str | None:
        given = getattr(self, role)
        candidates = (
            _candidates(role, names) if given is None else [name for name in names if name == given]
        )
        if len(candidates) == 1:
            return candidates[0]
        if not candidates and given is None and role not in NEEDED:
            return None
        found = _told(candidates) + " for it" if candidates else "none"
        raise TableError(
            f"expected a column for {role}, found {found} among {_told(names)}; {_options([role])}"
        )


NEEDED = ("time", "category", "lat", "lon")


@dataclass(frozen=True)
class IncidentPortion:
    """Some rows of a file.

    Attributes
    ----------
    table
        Columns named as the fields of `Incident`, as the file has them.
    broken
        Rows that are none, as they came, and what is wrong with each.
    done
        Share of the file read so far, 0 to 1.
    """

    table: pa.Table
    broken: tuple[tuple[bytes, Problem], ...] = ()
    done: float = 1.0


def incident_portions(path: Path, columns: ColumnMap | None = None) -> Iterator[IncidentPortion]:
    """Read a file by its suffix: ``.csv``, ``.parquet``, ``.jsonl`` or ``.ndjson``.

    Raises
    ------
    TableError
        If it cannot be read, or its columns cannot be told.
    """
    path = Path(path)
    reader = reader_of(path, FORMATS, "incidents")
    try:
        yield from reader(path, columns or ColumnMap())
    except (pa.ArrowException, OSError) as error:
        # Arrow quotes what it could not read: nothing of that may be shown
        raise TableError(
            f"expected a whole {path.suffix} file, found {path} damaged ({type(error).__name__}); "
            "nothing of it was taken in: bring it again"
        ) from None


# --- CSV


@dataclass(frozen=True)
class _Form:
    """How a CSV file is written: what its header names, and what parts its cells."""

    names: Sequence[str]
    delimiter: str

    @cached_property
    def row(self) -> re.Pattern[bytes]:
        """A whole row, RFC 4180: every quote that opens a cell is closed."""
        cell = CELL.format(self.delimiter)
        return re.compile(rf"{cell}(?:{self.delimiter}{cell})*+\r?\n?".encode())

    @cached_property
    def rows(self) -> re.Pattern[bytes]:
        """Any number of rows of one line each."""
        cell = CELL.format(self.delimiter).replace('[^"]', '[^"\\n]')
        return re.compile(rf"(?:{cell}(?:{self.delimiter}{cell})*+\n)*+".encode())

    def is_row(self, text: bytes) -> bool:
        """Whether a row ends where the text does."""
        return self.row.fullmatch(text) is not None

    def is_rows(self, text: bytes) -> bool:
        """Whether each line is a row: most files need not be looked at line by line."""
        return is_text(text) and (b'"' not in text or self.rows.fullmatch(text) is not None)

    def has_cells(self, line: bytes) -> bool:
        """Whether a line is a row by itself, with a cell for each name."""
        if not self.is_row(line):
            return False
        cells: list[str] = next(csv.reader([line.decode()], delimiter=self.delimiter), [])
        return len(cells) == len(self.names)


def _csv(path: Path, columns: ColumnMap) -> Iterator[IncidentPortion]:
    size = path.stat().st_size
    with path.open("rb") as file:
        form = _form(file.readline(BLOCK), path)
        wanted = _places(columns.resolve(form.names), form.names)
        rest: list[bytes] = []
        while lines := [*rest, *file.readlines(BLOCK)]:
            whole = file.tell() == size
            rows, broken, rest = _sorted_out(lines, form, whole=whole)
            table = _cells(b"".join(rows), form, wanted, broken)
            yield IncidentPortion(table, _explained(broken, form), file.tell() / size)


def _form(line: bytes, path: Path) -> _Form:
    try:
        header = line.removeprefix(BOM).decode()
        delimiter = max(DELIMITERS, key=header.count)
        names = next(csv.reader([header], delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error):
        raise TableError(
            f"expected a header in UTF-8 in {path}, found another encoding; save the file as UTF-8"
        ) from None
    return _Form([name.strip() for name in names], delimiter)


def _places(resolved: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Fields by a column's place; a file may bear a name twice."""
    return {f"c{names.index(column)}": wanted for column, wanted in resolved.items()}


def _sorted_out(
    lines: list[bytes], form: _Form, *, whole: bool
) -> tuple[list[bytes], list[bytes | Overlong], list[bytes]]:
    """Rows that can be read as columns, lines that are none, and lines whose row goes on."""
    if not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    if max(map(len, lines)) <= LONGEST_LINE and form.is_rows(b"".join(lines)):
        return lines, [], []
    rows: list[bytes] = []
    broken: list[bytes | Overlong] = []
    at = 0
    while at < len(lines):
        if not whole and at + MOST_LINES > len(lines):
            return rows, broken, lines[at:]
        row = _row_at(lines, at, form)
        if row is None:
            broken.append(_kept(lines[at]))
            at += 1
        else:
            rows.append(b"".join(lines[at : at + row]))
            at += row
    return rows, broken, []


def _row_at(lines: Sequence[bytes], at: int, form: _Form) -> int | None:
    """How many lines the row that begins here has; None if none does.

    A line that is a row by itself ends no cell that another line has opened: a quote left open
    would else swallow its neighbours.
    """
    line = lines[at]
    if len(line) > LONGEST_LINE or not is_text(line):
        return None
    if b'"' not in line or form.is_row(line):
        return 1
    for end in range(at + 1, min(at + MOST_LINES, len(lines))):
        line += lines[end]
        if len(line) > LONGEST_LINE or not is_text(lines[end]) or form.has_cells(lines[end]):
            return None
        if form.is_row(line):
            return end - at + 1
    return None


def _cells(
    text: bytes, form: _Form, wanted: Mapping[str, str], broken: list[bytes | Overlong]
) -> pa.Table:
    """The wanted columns of rows, as text; rows with another number of cells go to the broken."""
    schema = pa.schema([(name, pa.string()) for name in wanted.values()])
    if not text.strip():
        return schema.empty_table()

    def keep(row: pacsv.InvalidRow) -> str:
        broken.append(_kept(row.text.encode()))
        return "skip"

    table = pacsv.read_csv(
        io.BytesIO(text),
        read_options=pacsv.ReadOptions(
            column_names=[f"c{place}" for place in range(len(form.names))],
            block_size=len(text) + 1,
            use_threads=False,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=form.delimiter, invalid_row_handler=keep, newlines_in_values=True
        ),
        convert_options=pacsv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return table.rename_columns(list(wanted.values()))


def _kept(line: bytes) -> bytes | Overlong:
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if len(line) <= LONGEST_LINE:
        return line
    return Overlong(line[:BEGINNING], len(line), hashlib.sha256(line).hexdigest())


def _explained(lines: Sequence[bytes | Overlong], form: _Form) -> tuple[tuple[bytes, Problem], ...]:
    return tuple(
        (line.stand_in, line.problem) if isinstance(line, Overlong) else (line, _why(line, form))
        for line in lines
        if isinstance(line, Overlong) or line.strip()
    )


def _why(line: bytes, form: _Form) -> Problem:
    found = found_in(line.decode()) if is_text(line) else found_in(line)
    expected = f"a row of {len(form.names)} cells of text in UTF-8, its quotes closed"
    return Problem("record", expected, found, "correct the row and bring it again")


# --- JSON lines


def _jsonl(path: Path, columns: ColumnMap) -> Iterator[IncidentPortion]:
    size = path.stat().st_size
    wanted: dict[str, str] | None = None
    with path.open("rb") as file:
        while lines := file.readlines(BLOCK):
            found, broken = _objects(lines)
            if found and wanted is None:
                names = list(dict.fromkeys(name for one in found[:ROWS] for name in one))
                wanted = columns.resolve(names)
            table = _from_objects(found, wanted or {})
            yield IncidentPortion(table, broken, file.tell() / size)


def _objects(
    lines: Sequence[bytes],
) -> tuple[list[Mapping[str, Any]], tuple[tuple[bytes, Problem], ...]]:
    found: list[Mapping[str, Any]] = []
    broken: list[tuple[bytes, Problem]] = []
    for line in lines:
        text = line.removeprefix(BOM).strip()
        one = _object(text) if len(text) <= LONGEST_LINE else None
        if one is not None:
            found.append(one)
        elif text:
            broken.append(_no_object(_kept(text)))
    return found, tuple(broken)


def _object(text: bytes) -> Mapping[str, Any] | None:
    try:
        found = from_json(text)
    except ValueError:
        return None
    return found if isinstance(found, Mapping) else None


def _no_object(line: bytes | Overlong) -> tuple[bytes, Problem]:
    if isinstance(line, Overlong):
        return line.stand_in, line.problem
    found = found_in(line.decode("utf-8", "replace"))
    return line, Problem("record", "a JSON object a line", found, "correct the line")


def _from_objects(found: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]) -> pa.Table:
    return pa.table(
        {name: _array([one.get(column) for one in found]) for column, name in wanted.items()}
    )


def _array(values: list[Any]) -> pa.Array:
    """One type for all: text where they differ."""
    if all(value is None or type(value) is float for value in values):
        return pa.array(values, pa.float64())
    texts = [value if value is None or isinstance(value, str) else repr(value) for value in values]
    return pa.array(texts, pa.string())


# --- Parquet


def _parquet(path: Path, columns: ColumnMap) -> Iterator[IncidentPortion]:
    with pq.ParquetFile(path) as file:
        wanted = columns.resolve(file.schema_arrow.names)
        rows, done = file.metadata.num_rows, 0
        for batch in file.iter_batches(batch_size=ROWS, columns=list(wanted)):
            table = pa.Table.from_batches([batch]).select(list(wanted))
            done += len(table)
            yield IncidentPortion(table.rename_columns(list(wanted.values())), done=done / rows)


def _candidates(role: str, names: Sequence[str]) -> list[str]:
    """Columns that could be it; the contract's own name settles it."""
    plain = [re.sub(r"[\W_]+", "", name).lower() for name in names]
    guesses = GUESSES[role]
    own = [name for name, bare in zip(names, plain, strict=True) if bare == guesses[0]]
    if len(own) == 1:
        return own
    return [name for name, bare in zip(names, plain, strict=True) if bare in guesses]


def _told(names: Sequence[str]) -> str:
    """Names of columns; what may be somebody's number is not shown."""
    shown = [name if SAYABLE.fullmatch(name) else "(a name not shown)" for name in names]
    return ", ".join(shown) or "no columns"


def _options(roles: Sequence[str]) -> str:
    named = " ".join(f"--{role} NAME" for role in roles)
    others = ", ".join(f"--{one.name}" for one in fields(ColumnMap) if one.name in FIELDS)
    return f"say which with {named} (there are {others})"


FORMATS: dict[str, Callable[[Path, ColumnMap], Iterator[IncidentPortion]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}
