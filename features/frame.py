"""Event tables as the bulk engine sees them: integer columns, identifier codes, stream masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.attributes import CODES, EMPTY, capped_amount, defaults, whole_yuan
from features.clock import local_hours, local_weekdays
from features.plan import VALUES, Plan
from features.predicates import NIGHT_HOURS
from features.streams import KINDS, STREAMS

__all__ = ["NAMESPACES", "TOUCH", "Frame", "Identities", "in_order", "without_repeats"]

Ints = NDArray[np.int64]
NAMESPACES: Final = {"call": 0, "sms": 0, "lead": 0, "app": 1, "transfer": 2}
"""Kind of event to what its counterpart is: a number, an app or an account. The same text in two
namespaces is two counterparts."""
FROM_STATE: Final = ("surprise", "is_new", "new_device")
SQUARED: Final = len(VALUES)
"""Column of `Frame.values` beside those of `features.plan.VALUES`."""
NAMED: Final = {"phones": 0, "apps": 1, "accounts": 2}
NAMED_SPACES: Final = {"phones": "t:", "apps": "p:", "accounts": "a:"}
TOUCH: Final = 1 << 62
"""Bit of a mask that says: the key was in use (only facts and reports do that, links do not)."""


def without_repeats(table: pa.Table) -> pa.Table:
    """Keep the first of every `event_id`: a repeated event is the same fact."""
    codes = table["event_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    if not len(codes) or int(codes[-1]) == int(codes.max()) == len(codes) - 1:
        return table
    _, first = np.unique(codes, return_index=True)
    return table.take(pa.array(np.sort(first)))


def in_order(table: pa.Table) -> pa.Table:
    """Rows in order of arrival (`seq`)."""
    seq = table["seq"].to_numpy()
    return table if bool((np.diff(seq) > 0).all()) else table.sort_by("seq")


class Frame:
    """Columns of ``n`` events in order of arrival, read lazily as numpy arrays.

    Parameters
    ----------
    table : Table
        Events in `data.tables.EVENT_SCHEMA`, sorted by `seq`; columns that a stream or feature
        does not need may be absent.
    zone : str
        The city's time zone.
    """

    def __init__(self, table: pa.Table, zone: str) -> None:
        self.table = table.unify_dictionaries()
        self.zone = zone
        self._times: dict[str, Ints] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def times(self, column: str) -> Ints:
        """UTC microseconds of a time column without nulls."""
        if column not in self._times:
            whole = pc.cast(self.table[column], pa.timestamp("us", tz="UTC")).cast(pa.int64())
            self._times[column] = np.ascontiguousarray(whole.to_numpy())
        return self._times[column]

    def text(self, column: str) -> tuple[NDArray[np.int32], list[Any]]:
        """Codes (-1 for null) and the values they stand for."""
        if column not in self.table.column_names:
            return np.full(len(self), -1, np.int32), []
        codes, values = _encoded(self.table[column])
        return codes, values.to_pylist()

    def strings(self, column: str) -> list[str]:
        """Text of every row, empty for null."""
        if column not in self.table.column_names:
            return [""] * len(self)
        return [text or "" for text in self.table[column].to_pylist()]

    def named(self) -> dict[int, list[str]]:
        """For each report the counterparts it names, with their namespace, each once."""
        found: dict[int, dict[str, int]] = {}
        for column, space in NAMED_SPACES.items():
            rows, texts = _named(self.table, column)
            for row, text in zip(rows.tolist(), texts.to_pylist(), strict=True):
                found.setdefault(row, {})[space + text] = 0
        return {row: list(names) for row, names in found.items()}

    def member(self, column: str, values: Sequence[str]) -> NDArray[np.bool_]:
        codes, known = self.text(column)
        lookup = np.array([*(value in values for value in known), False])
        found: NDArray[np.bool_] = lookup[codes]
        return found

    def flag(self, column: str) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.number(column) == 1
        return found

    def number(self, column: str) -> Ints:
        """Integers of a column; null is what the contract takes it for, else `EMPTY`."""
        if column not in self.table.column_names:
            return self._with_defaults(np.full(len(self), EMPTY, np.int64), column)
        found = self.table[column]
        whole = pc.fill_null(pc.cast(found, pa.int64()), EMPTY)
        numbers = np.ascontiguousarray(whole.to_numpy())
        return self._with_defaults(numbers, column) if found.null_count else numbers

    def _with_defaults(self, numbers: Ints, column: str) -> Ints:
        for kind, default in defaults(column).items():
            missing = (numbers == EMPTY) & (self.kind == KINDS.index(kind))
            value = CODES[column].index(default) if column in CODES else int(default)
            numbers = np.where(missing, value, numbers)
        return numbers

    @cached_property
    def kind(self) -> Ints:
        """Position in `features.streams.KINDS`."""
        codes, values = self.text("kind")
        return np.array([*(KINDS.index(value) for value in values), -1], dtype=np.int64)[codes]

    @cached_property
    def now(self) -> Ints:
        """The evaluation clock: the running maximum of `known_at`, which never goes back."""
        return np.maximum.accumulate(self.times("known_at"))

    @cached_property
    def at(self) -> Ints:
        """Where each event is placed in time: when it happened; a report, when it is known."""
        placed = np.minimum(self.times("occurred_at"), self.now)
        return np.where(self.kind == KINDS.index("report"), self.now, placed)

    @cached_property
    def hour(self) -> Ints:
        return local_hours(self.times("occurred_at"), self.zone)

    @cached_property
    def weekday(self) -> Ints:
        """Day of the week on the city's clock, 0 Monday."""
        return local_weekdays(self.times("occurred_at"), self.zone)

    @cached_property
    def values(self) -> Ints:
        """Shape (n, 6): one, the rest of `features.plan.VALUES`, whole yuan squared."""
        amount = np.maximum(self.number("amount_fen"), 0)
        found = np.zeros((len(self), len(VALUES) + 1), dtype=np.int64)
        found[:, 0] = 1
        found[:, 1] = capped_amount(amount)
        found[:, 2] = whole_yuan(amount)
        found[:, 3] = np.maximum(self.number("duration_s"), 0)
        found[:, SQUARED] = found[:, 2] * found[:, 2]
        return found

    def coded(self, column: str) -> Ints:
        """Position in the fixed list of a column's values (`features.attributes.CODES`)."""
        codes, values = self.text(column)
        known = CODES[column]
        places = [*(known.index(value) if value in known else EMPTY for value in values), EMPTY]
        return self._with_defaults(np.array(places, dtype=np.int64)[codes], column)

    def masks(self, plan: Plan) -> Ints:
        """Bit ``b`` of a row: it belongs to stream ``plan.streams[b]``, circumstances aside."""
        mask = np.full(len(self), TOUCH, dtype=np.int64)
        for bit, name in enumerate(plan.streams):
            mask |= self._belongs(name).astype(np.int64) << bit
        return mask

    def _belongs(self, name: str) -> NDArray[np.bool_]:
        stream = STREAMS[name]
        kinds = [KINDS.index(kind) for kind in stream.kinds]
        found = np.isin(self.kind, kinds) if kinds else np.zeros(len(self), dtype=bool)
        for predicate in stream.where if found.any() else ():
            found &= predicate.columns(self)
        return found

    def attributes(self, rows: NDArray[np.intp], fields: Sequence[str]) -> Ints:
        """The event block of some rows, shape (m, len(fields)); the state's part is `EMPTY`."""
        block = np.full((len(rows), len(fields)), EMPTY, dtype=np.int64)
        for place, name in enumerate(fields):
            if name not in FROM_STATE:
                block[:, place] = self._attribute(name)[rows]
        return block

    def _attribute(self, name: str) -> Ints:
        transfer = self.kind == KINDS.index("transfer")
        makers: dict[str, Callable[[], Ints]] = {
            "now": lambda: self.now,
            "at": lambda: self.at,
            "kind": lambda: self.kind,
            "amount": lambda: np.where(transfer, self.values[:, 1], EMPTY),
            "yuan": lambda: np.where(transfer, self.values[:, 2], EMPTY),
            "duration": lambda: self.number("duration_s"),
            "hour": lambda: self.hour,
            "weekday": lambda: self.weekday,
            "weekend": lambda: (self.weekday >= 5).astype(np.int64),
            "night": lambda: np.isin(self.hour, NIGHT_HOURS).astype(np.int64),
            "incoming": lambda: self.coded("direction"),
            "age_days": lambda: self.number("counterpart_age_days"),
            "delay": lambda: self.now - self.at,
        }
        if name in makers:
            return makers[name]()
        return self.coded(name) if name in CODES else self.number(name)


@dataclass(frozen=True)
class Identities:
    """Integer keys of every row, -1 where it has none, and what was named in reports.

    `subscriber`, `counterpart`, `account`, `payee`, `device` have shape (n,); `named_row` and
    `named_key` list the counterparts reports name; the sizes bound the codes. Counterparts are
    numbered ``3 * text + namespace``.
    """

    subscriber: Ints
    counterpart: Ints
    account: Ints
    payee: Ints
    device: Ints
    named_row: Ints
    named_key: Ints
    subscribers: pa.Array
    texts: pa.Array
    devices: pa.Array

    @classmethod
    def of(cls, frame: Frame) -> "Identities":
        """Number the identifiers of a frame."""
        table = frame.table
        subscriber, subscribers = _encoded_or_none(table, "subscriber")
        device, devices = _encoded_or_none(table, "device")
        named = [_named(table, column) for column in NAMED]
        parts = [_encoded_or_none(table, name) for name in ("counterpart", "account")]
        values = [part[1] for part in parts] + [name[1] for name in named]
        texts, lookups = _unified(values)
        counterpart = _through(lookups[0], parts[0][0])
        space = np.array([NAMESPACES.get(kind, -1) for kind in (*KINDS, "")])[frame.kind]
        keyed = (counterpart >= 0) & (space >= 0)
        keys = [
            3 * lookup + place for lookup, place in zip(lookups[2:], NAMED.values(), strict=True)
        ]
        row, key = _each_once(np.concatenate([name[0] for name in named]), np.concatenate(keys))
        return cls(
            subscriber=subscriber,
            counterpart=np.where(keyed, 3 * counterpart + space, -1),
            account=_through(lookups[1], parts[1][0]),
            payee=np.where(space == 2, counterpart, -1),
            device=device,
            named_row=row,
            named_key=key,
            subscribers=subscribers,
            texts=texts,
            devices=devices,
        )


def _encoded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    indices = pc.fill_null(whole.indices.cast(pa.int32()), -1).to_numpy()
    return np.ascontiguousarray(indices), whole.dictionary


def _encoded_or_none(table: pa.Table, column: str) -> tuple[Ints, pa.Array]:
    if column not in table.column_names:
        return np.full(table.num_rows, -1, np.int64), pa.array([], pa.string())
    codes, values = _encoded(table[column])
    unique, lookup = _unified([values])
    return _through(lookup[0], codes), unique


def _unified(parts: Sequence[pa.Array]) -> tuple[pa.Array, list[Ints]]:
    """One list of distinct texts, and for each part where its values are in it."""
    whole = pa.concat_arrays([part.cast(pa.string()) for part in parts]).dictionary_encode()
    places = whole.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(part) for part in parts])
    return whole.dictionary, np.split(places, ends[:-1])


def _through(lookup: Ints, codes: NDArray[Any]) -> Ints:
    found: Ints = np.append(lookup, -1)[codes]
    return found


def _named(table: pa.Table, column: str) -> tuple[Ints, pa.Array]:
    if column not in table.column_names:
        return np.empty(0, np.int64), pa.array([], pa.string())
    lists = table[column].combine_chunks()
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    return rows, pc.list_flatten(lists)


def _each_once(rows: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """A report that names a counterpart twice names it once."""
    pairs = np.unique(np.stack([rows, keys], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
