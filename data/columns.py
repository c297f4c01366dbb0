"""Columns as files bring them, in the types of our table; what has no place there is pointed out.

This is about representation only (a whole number kept as a float, a time as text). Whether a
value is allowed is the contract's business, in `data.screen`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.events import EVENT_TYPES
from data.tables import CODE, EVENT_SCHEMA, TIME

__all__ = ["FIELDS", "Columns", "TableError", "read_columns"]

Mask = NDArray[np.bool_]
Read = tuple[pa.Array, Mask]  # the typed values, and where a value could not be read

FIELDS = tuple(field.name for field in EVENT_SCHEMA if field.name not in {"seq", "late"})
NEEDED = ("kind", "event_id", "occurred_at", "subscriber")
IGNORED = ("seq", "late")  # ours to say, not the source's
TIME_TEXT = (
    r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
    r"(Z|[+-](0\d|1[0-4]):[0-5]\d)$"
)
WHOLE_TEXT = r"^-?\d{1,18}$"
EXACT = 2**53  # beyond it a double skips whole numbers
BETWEEN = "|"  # parts the items of a list in one CSV cell


class TableError(ValueError):
    """A table's columns do not fit the contracts; nothing of it was taken in."""


@dataclass(frozen=True)
class Columns:
    """A table in our types.

    Attributes
    ----------
    typed
        One array a column that was there, by name; null where there was none or it is unreadable.
    unreadable
        Where a column holds something its type has no place for.
    given
        The table as it came.
    """

    typed: Mapping[str, pa.Array]
    unreadable: Mapping[str, Mask]
    given: pa.Table

    @property
    def doubtful(self) -> Mask:
        """Rows with anything unreadable."""
        rows = np.zeros(self.given.num_rows, dtype=bool)
        for mask in self.unreadable.values():
            rows |= mask
        return rows

    def row(self, place: int) -> dict[str, Any]:
        """One row as a record for its contract, nulls left out."""
        values = {
            name: _shown(self.given[name][place])
            if name in self.unreadable and self.unreadable[name][place]
            else _shown(array[place])
            for name, array in self.typed.items()
        }
        return {name: value for name, value in values.items() if value is not None}


def read_columns(table: pa.Table, *, text: bool = False) -> Columns:
    """Bring a table into our types.

    Parameters
    ----------
    table
        Columns named as the contracts' fields.
    text
        Whether numbers and flags are written as text (CSV).

    Raises
    ------
    TableError
        If a column is unknown or a needed one is missing.
    """
    check_names(table.column_names)
    typed: dict[str, pa.Array] = {}
    unreadable: dict[str, Mask] = {}
    for name in table.column_names:
        if name in IGNORED:
            continue
        wanted = pa.int64() if name == "version" else EVENT_SCHEMA.field(name).type
        typed[name], mask = _read(_whole(table[name]), wanted, text=text)
        if mask.any():
            unreadable[name] = mask
    return Columns(typed, unreadable, table)


def check_names(names: list[str]) -> None:
    """Refuse a table whose columns are not ours.

    Examples
    --------
    >>> check_names(["kind", "event_id", "occurred", "subscriber"])
    Traceback (most recent call last):
    ...
    data.columns.TableError: expected ..., found no occurred_at and the unknown occurred; ...
    """
    known = {*FIELDS, *IGNORED, "version"}
    missing = [name for name in NEEDED if name not in names]
    unknown = [
        name if re.fullmatch(r"[A-Za-z_ ]{1,40}", name) else "(a name not shown)"
        for name in names
        if name not in known
    ]
    twice = sorted({name for name in names if names.count(name) > 1} & known)
    faults = [
        *([f"no {', '.join(missing)}"] if missing else []),
        *([f"the unknown {', '.join(unknown)}"] if unknown else []),
        *([f"{', '.join(twice)} twice"] if twice else []),
    ]
    if faults:
        fields = sorted({field for one in EVENT_TYPES.values() for field in one.model_fields})
        raise TableError(
            f"expected the columns {', '.join(NEEDED)} and any of {', '.join(fields)}, found "
            f"{' and '.join(faults)}; rename or drop them and bring the file again"
        )


def _read(values: pa.Array, wanted: pa.DataType, *, text: bool) -> Read:
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), wanted), _none(values)
    if pa.types.is_binary(values.type):
        return _from_bytes(values, wanted)
    if wanted in (CODE, pa.string()):
        return _texts(values, wanted)
    if wanted == TIME:
        return _times(values)
    if pa.types.is_list(wanted):
        return _lists(values, text=text)
    return (
        _flags(values, text=text) if pa.types.is_boolean(wanted) else _whole_numbers(values, text)
    )


def _from_bytes(values: pa.Array, wanted: pa.DataType) -> Read:
    """Bytes of a CSV cell, of which nobody has said yet that they are text."""
    texts, broken = _each(values, lambda part: part.cast(pa.string()))
    read, unreadable = _read(texts, wanted, text=True)
    return read, unreadable | broken


def _texts(values: pa.Array, wanted: pa.DataType) -> Read:
    plain = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (pa.types.is_string(plain) or pa.types.is_large_string(plain) or _is_view(plain)):
        return _unread(values, wanted)
    if values.type == wanted:
        return values, _none(values)
    if wanted == CODE and not pa.types.is_dictionary(values.type):
        return values.cast(pa.string()).dictionary_encode(), _none(values)
    return values.cast(wanted), _none(values)


def _whole_numbers(values: pa.Array, text: bool) -> Read:
    if pa.types.is_integer(values.type):
        return _each(values, lambda part: part.cast(pa.int64()))
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float64())  # Arrow does not round halves
        numbers = pc.if_else(pc.is_nan(values), None, values)  # how pandas writes an absent one
        whole = pc.and_(pc.equal(numbers, pc.round(numbers)), pc.less(pc.abs(numbers), EXACT))
        return _chosen(numbers, whole, lambda part: part.cast(pa.int64()), pa.int64())
    if text and pa.types.is_string(values.type):
        shaped = pc.match_substring_regex(values, WHOLE_TEXT)
        return _chosen(values, shaped, lambda part: part.cast(pa.int64()), pa.int64())
    return _unread(values, pa.int64())


def _flags(values: pa.Array, *, text: bool) -> Read:
    if pa.types.is_boolean(values.type):
        return values, _none(values)
    if text and pa.types.is_string(values.type):
        said = pc.utf8_lower(values)
        known = pc.is_in(said, pa.array(["true", "false", "1", "0"]))
        yes = pa.array(["true", "1"])
        return _chosen(said, known, lambda part: pc.is_in(part, yes), pa.bool_())
    return _unread(values, pa.bool_())


def _times(values: pa.Array) -> Read:
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        exact = values.type.unit != "ns"  # nanoseconds are cut to microseconds
        return _each(values, lambda part: part.cast(TIME, safe=exact))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        shaped = pc.match_substring_regex(values, TIME_TEXT)
        return _chosen(values, shaped, lambda part: part.cast(TIME), TIME)
    return _unread(values, TIME)


def _lists(values: pa.Array, *, text: bool) -> Read:
    wanted = pa.list_(pa.string())
    if text and pa.types.is_string(values.type):
        return pc.split_pattern(values, BETWEEN).cast(wanted), _none(values)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        item = values.type.value_type
        if pa.types.is_string(item) or pa.types.is_large_string(item) or pa.types.is_null(item):
            return values.cast(wanted), _none(values)
    return _unread(values, wanted)


def _chosen(
    values: pa.Array, chosen: pa.Array, cast: Callable[[pa.Array], pa.Array], wanted: pa.DataType
) -> Read:
    """Cast the values that have the right shape; the others are unreadable."""
    fit = pc.fill_null(chosen, False)
    read, broken = _each(pc.if_else(fit, values, None), cast)
    missed = pc.and_(pc.is_valid(values), pc.invert(fit)).to_numpy(zero_copy_only=False)
    valid = pa.array(~broken)
    return pc.if_else(pc.and_(fit, valid), read, pa.scalar(None, wanted)), missed | broken


def _each(values: pa.Array, cast: Callable[[pa.Array], pa.Array]) -> Read:
    """Cast all values at once; where that fails, halve until the culprits are alone."""
    try:
        return cast(values), _none(values)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return cast(pa.nulls(1, values.type)), np.ones(1, dtype=bool)
    middle = len(values) // 2
    left, left_broken = _each(values.slice(0, middle), cast)
    right, right_broken = _each(values.slice(middle), cast)
    return pa.concat_arrays([left, right]), np.concatenate([left_broken, right_broken])


def _unread(values: pa.Array, wanted: pa.DataType) -> Read:
    present = values.is_valid().to_numpy(zero_copy_only=False)
    return pa.nulls(len(values), wanted), present


def _none(values: pa.Array) -> Mask:
    return np.zeros(len(values), dtype=bool)


def _is_view(kind: pa.DataType) -> bool:
    return bool(kind == pa.string_view())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.unify_dictionaries().combine_chunks()


def _shown(value: pa.Scalar) -> Any:
    try:
        shown = value.as_py()
        return shown.decode() if isinstance(shown, bytes) else shown
    except UnicodeDecodeError:
        return value.as_py()
    except (ValueError, OverflowError):  # a time no calendar holds
        return f"{value.type} {value.value}"
