"""Columns of incidents in our types; a cell that has no place there is kept as it came.

This is about representation only (a number as text, a time without an offset). Whether an
incident is let in is for `data.incident_intake` to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.columns import TableError
from data.incident_times import Times, read_times

__all__ = ["COLUMNS", "NEEDED", "IncidentColumns", "read_incident_columns"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEEDED = ("occurred_at", "category", "lon", "lat")
TEXTS = ("incident_id", "category", "origin", "precision", "source")
COLUMNS = ("occurred_at", "known_at", "lon", "lat", *TEXTS)
NUMBER = r"^[+-]?(\d{1,17}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?$"


@dataclass(frozen=True)
class IncidentColumns:
    """Rows of incidents.

    Attributes
    ----------
    occurred, known
        When each happened, and when it was learnt if a column says so.
    lon, lat : array of float64, shape (n,)
        Degrees; not a number where there is none.
    texts
        Arrays of strings by field, of those that were there.
    unread
        By row, the cells that are needed and absent (None), or that cannot be read, as they came.
    """

    occurred: Times
    known: Times | None
    lon: Floats
    lat: Floats
    texts: Mapping[str, pa.Array]
    unread: Mapping[int, Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.lon)

    @classmethod
    def joined(cls, parts: Sequence["IncidentColumns"]) -> "IncidentColumns":
        """The rows of several, which have the same columns, one after another."""
        starts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        known = [part.known for part in parts if part.known is not None]
        return cls(
            occurred=Times.joined([part.occurred for part in parts]),
            known=Times.joined(known) if known else None,
            lon=np.concatenate([part.lon for part in parts]),
            lat=np.concatenate([part.lat for part in parts]),
            texts={
                name: pa.concat_arrays([part.texts[name] for part in parts])
                for name in parts[0].texts
            },
            unread={
                start + row: cells
                for start, part in zip(starts, parts, strict=False)
                for row, cells in part.unread.items()
            },
        )


def read_incident_columns(table: pa.Table, day_first: bool | None = None) -> IncidentColumns:
    """Bring a table into our types.

    Parameters
    ----------
    table
        Columns named as the fields of `Incident`; others are not looked at.
    day_first
        Whether 03/04/2026 is in April; by default the column tells.

    Raises
    ------
    TableError
        If a needed column is missing, or days and months cannot be told apart.

    Examples
    --------
    >>> read = read_incident_columns(pa.table({"occurred_at": ["2026-03-01 22:10"],
    ...     "category": [" THEFT "], "lon": ["106.55"], "lat": ["N 29"], "phone": ["13800138000"]}))
    >>> read.lon.tolist(), read.texts["category"].to_pylist(), read.unread
    ([106.55], ['THEFT'], {0: {'lat': 'N 29'}})
    """
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise TableError(
            f"expected the columns {', '.join(NEEDED)}, found no {', '.join(missing)}; name the "
            "file's own columns with a ColumnMap"
        )
    whole = {name: _whole(table[name]) for name in COLUMNS if name in table.column_names}
    occurred = read_times(whole["occurred_at"], day_first)
    known = read_times(whole["known_at"], day_first) if "known_at" in whole else None
    lon, lat = (_numbers(whole[name]) for name in ("lon", "lat"))
    texts = {name: _texts(whole[name]) for name in TEXTS if name in whole}
    missed = {
        "occurred_at": ~occurred.readable,
        "lon": np.isnan(lon),
        "lat": np.isnan(lat),
        "category": _nulls(texts["category"]),
        **{
            name: _nulls(read) & ~_nulls(whole[name])
            for name, read in texts.items()
            if name != "category"
        },
    }
    if known is not None:
        missed["known_at"] = ~known.readable & ~_blank(whole["known_at"])
    return IncidentColumns(occurred, known, lon, lat, texts, _unread(whole, missed))


def _unread(whole: Mapping[str, pa.Array], missed: Mapping[str, Mask]) -> dict[int, dict[str, Any]]:
    cells: dict[int, dict[str, Any]] = {}
    for name, mask in missed.items():
        for row in np.flatnonzero(mask).tolist():
            cells.setdefault(row, {})[name] = _shown(whole[name][row])
    return cells


def _numbers(values: pa.Array) -> Floats:
    """Degrees; not a number where the cell has none."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = pc.utf8_trim_whitespace(values)
        shaped = pc.fill_null(pc.match_substring_regex(values, NUMBER), False)
        values = pc.if_else(shaped, pc.utf8_ltrim(values, "+"), None)
    elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        return np.full(len(values), np.nan)
    numbers: Floats = values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    return numbers


def _texts(values: pa.Array) -> pa.Array:
    """Texts without space around them or doubled within; null where there is none."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return pc.take(_texts(values.dictionary), values.indices)
    if pa.types.is_floating(kind):
        values = _whole_floats(values)
    elif not (pa.types.is_integer(kind) or pa.types.is_string(kind)):
        text = pa.types.is_large_string(kind) or kind == pa.string_view()
        values = values if text else pa.nulls(len(values), pa.string())
    texts = pc.utf8_trim_whitespace(values.cast(pa.string()))
    texts = pc.replace_substring_regex(texts, r"\s+", " ")
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _whole_floats(values: pa.Array) -> pa.Array:
    """Whole numbers that were kept as floats because some are absent: pandas does so."""
    exact = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**53))
    return pc.if_else(pc.fill_null(exact, False), values, None).cast(pa.int64())


def _blank(values: pa.Array) -> Mask:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        empty = pc.equal(pc.utf8_trim_whitespace(values), "")
        return pc.fill_null(empty, True).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return _nulls(values)


def _nulls(values: pa.Array) -> Mask:
    return values.is_null().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if column.type == pa.string_view():
        column = column.cast(pa.string())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _decoded(column)
    return column


def _decoded(values: pa.Array) -> pa.Array:
    """Bytes of which nobody has said that they are text, as text if they are."""
    return pa.array([_text(cell) for cell in values.to_pylist()], pa.string())


def _text(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode("utf-8", "replace")


def _shown(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError):  # a time no calendar holds
        return f"{value.type} {value.value}"
