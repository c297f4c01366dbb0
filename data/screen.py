"""The contracts applied to whole columns: a check by rows is too slow for a hundred million.

What passes here would pass its contract, value for value (see `data.rules`). A row that does not
goes to its contract, which has the last word and the words for what is wrong: so the screen may be
too strict without harm, and must never be too lax.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.clock import AHEAD, LATE, STAMPED
from data.columns import Columns
from data.events import EARLIEST, EVENT_TYPES, LATEST
from data.leaks import may_leak
from data.pseudonyms import Pseudonymiser, identifier_fields
from data.rules import KINDS, field_rules, judge_texts, text_rule, texts_pass
from data.tables import CODE, EVENT_SCHEMA, TIME

__all__ = ["Concealer", "Judged", "screen"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

REPORT = KINDS.index("report")
REFUSED, ABSENT = -2, -1
LONGEST_LIST = 64
REMEMBERED = 1 << 19
LISTS = ("phones", "accounts", "apps")
IDENTIFIERS = sorted({name for kind in EVENT_TYPES.values() for name in identifier_fields(kind)})
US = 1_000_000


@dataclass(frozen=True)
class Judged:
    """Concealed columns, and which rows may be used.

    Attributes
    ----------
    table
        `EVENT_SCHEMA` without ``seq``; rows that did not pass hold anything.
    passed
        Rows that their contract would accept.
    """

    table: pa.Table
    passed: Mask


class Concealer:
    """Judges texts by the contracts and turns identifiers into pseudonyms, each text once.

    Remembers what became of the texts it met, since the same lines and accounts come back in
    every batch. Fields with the same rule share what is remembered.
    """

    def __init__(self, names: Pseudonymiser) -> None:
        self.names = names
        self._known: dict[str, dict[str, str | None]] = {}

    def conceal(self, kind: str, field: str, words: list[str]) -> list[str | None]:
        """What each text becomes; None where the contract refuses it."""
        known = self._known.setdefault(text_rule(kind, field), {})
        if len(known) > REMEMBERED:
            known.clear()
        new = [word for word in words if word not in known]
        if new:
            known.update(zip(new, self._made(kind, field, new), strict=True))
        return [known[word] for word in words]

    def _made(self, kind: str, field: str, words: list[str]) -> list[str | None]:
        judged = judge_texts(kind, field, words)
        namespace = identifier_fields(EVENT_TYPES[kind]).get(field)
        if namespace is None:
            return judged
        one = self.names.one
        return [None if word is None else one(namespace, word) for word in judged]


def screen(columns: Columns, concealer: Concealer, now: datetime) -> Judged:
    """Judge, complete and conceal columns.

    Parameters
    ----------
    columns
        What came in, in our types.
    concealer
        Judges texts and turns identifiers into pseudonyms.
    now
        Our clock: stamps ``known_at`` where it is absent, bounds what may be claimed.
    """
    return _Pass(columns, concealer, now).run()


class _Pass:
    """One table on its way through; `ok` shrinks as columns are judged."""

    def __init__(self, columns: Columns, concealer: Concealer, now: datetime) -> None:
        self.columns = columns
        self.conceal = concealer.conceal
        self.now = now
        self.count = columns.given.num_rows
        self.kind = self._kinds()
        self.ok = (self.kind >= 0) & ~columns.doubtful
        self.row_kind = np.where(self.kind >= 0, self.kind, 0)  # so that it may index

    def run(self) -> Judged:
        """Judge every column, in the order of the schema."""
        done: dict[str, pa.Array] = {}
        for field in EVENT_SCHEMA:
            if field.name not in {"seq", "late"}:
                done[field.name] = self._column(field)
        self._version()
        self._order(done)
        self.ok &= _us(done["known_at"]) >= _us(done["occurred_at"]) - _span(AHEAD)
        self.ok &= ~may_leak(self.columns.typed, IDENTIFIERS)
        done["late"] = pa.array(_us(done["known_at"]) - _us(done["occurred_at"]) > _span(LATE))
        fields = [field for field in EVENT_SCHEMA if field.name != "seq"]
        table = pa.table([done[field.name] for field in fields], schema=pa.schema(fields))
        return Judged(table, self.ok)

    def _kinds(self) -> Ints:
        kinds = self.columns.typed["kind"]
        place = pc.index_in(kinds.dictionary.cast(pa.string()), pa.array(KINDS))
        known = np.append(place.fill_null(-1).to_numpy().astype(np.int64), -1)
        codes = kinds.indices.fill_null(len(known) - 1).to_numpy()
        return known[codes]  # type: ignore[no-any-return]

    def _column(self, field: pa.Field) -> pa.Array:
        given = self.columns.typed.get(field.name)
        if given is None:
            given = pa.nulls(self.count, field.type)
        self._presence(field.name, given)
        if field.type == CODE:
            return self._texts(field.name, given)
        if field.type == TIME:
            return self._times(field.name, given)
        if pa.types.is_list(field.type):
            return self._lists(field.name, given)
        if field.type == pa.string():
            return self._distinct(field.name, given)
        if pa.types.is_boolean(field.type):
            return self._filled(field.name, given)
        return self._numbers(field, given)

    def _presence(self, name: str, given: pa.Array) -> None:
        """A kind's needed fields are there; fields it does not have are not."""
        rules = field_rules(name)
        if given.null_count == len(given):
            self.ok &= ~rules.required[self.row_kind]
            return
        present = given.is_valid().to_numpy(zero_copy_only=False)
        self.ok &= np.where(present, rules.allowed[self.row_kind], ~rules.required[self.row_kind])

    def _numbers(self, field: pa.Field, given: pa.Array) -> pa.Array:
        if given.null_count < len(given):
            rules = field_rules(field.name)
            low, high = rules.low[self.row_kind], rules.high[self.row_kind]
            values = given.fill_null(0).to_numpy()
            absent = given.is_null().to_numpy(zero_copy_only=False)
            fits = (low <= values) & (values <= high)
            self.ok &= fits | absent
            given = pa.array(np.where(fits, values, 0), pa.int64(), mask=absent)
        return self._filled(field.name, given).cast(field.type)

    def _filled(self, name: str, given: pa.Array) -> pa.Array:
        """Absent values of kinds that have a default."""
        defaults = field_rules(name).default
        has = np.array([default is not None for default in defaults])
        if given.null_count == 0 or not has.any():
            return given
        values = np.array([default or 0 for default in defaults])[self.row_kind]
        wanted = pa.array(values.astype(bool) if pa.types.is_boolean(given.type) else values)
        return pc.if_else(
            pa.array(given.is_null().to_numpy(zero_copy_only=False) & has[self.row_kind]),
            wanted.cast(given.type),
            given,
        )

    def _times(self, name: str, given: pa.Array) -> pa.Array:
        if name == "known_at":
            given = given.fill_null(pa.scalar(self.now, TIME))
        values = given.cast(pa.int64()).fill_null(_stamp(EARLIEST)).to_numpy()
        latest = _stamp(self.now + AHEAD) if name in STAMPED else _stamp(LATEST) - 1
        self.ok &= (values >= _stamp(EARLIEST)) & (values <= min(latest, _stamp(LATEST) - 1))
        return given

    def _texts(self, name: str, given: pa.DictionaryArray) -> pa.Array:
        """Judge and conceal each distinct text of each kind once."""
        if name == "kind":
            return pa.DictionaryArray.from_arrays(
                pa.array(self.row_kind.astype(np.int32)), pa.array(KINDS)
            )
        size = len(given.dictionary) + 1  # the last stands for absent
        codes = given.indices.fill_null(size - 1).to_numpy().astype(np.int64)
        met = np.zeros(size * len(KINDS), dtype=bool)
        pairs = self.row_kind * size + codes
        met[pairs] = True
        order: dict[str, int] = {}
        becomes = self._becomes(name, given.dictionary, met.reshape(len(KINDS), size), order)
        fresh = becomes.ravel()[pairs]
        self.ok &= fresh != REFUSED
        return pa.DictionaryArray.from_arrays(
            pa.array(fresh.astype(np.int32), mask=fresh < 0), pa.array(list(order), pa.string())
        )

    def _becomes(
        self, name: str, texts: pa.Array, met: NDArray[np.bool_], order: dict[str, int]
    ) -> Ints:
        """Code of what each (kind, text) becomes; codes are dealt in `order`."""
        becomes = np.full(met.shape, ABSENT, dtype=np.int64)
        for place, default in enumerate(field_rules(name).default):
            if default is not None and met[place, -1]:
                becomes[place, -1] = order.setdefault(str(default), len(order))
        for kind, alike in _alike(name).items():
            used = np.flatnonzero(met[alike, :-1].any(axis=0))
            if len(used):
                words = texts.take(pa.array(used)).to_pylist()
                becomes[np.ix_(np.array(alike), used)] = [
                    REFUSED if word is None else order.setdefault(word, len(order))
                    for word in self.conceal(kind, name, words)
                ]
        return becomes

    def _distinct(self, name: str, given: pa.Array) -> pa.Array:
        """A column whose texts mostly differ: event_id by its pattern, citizen_id as any text."""
        if name == "event_id":
            fits = texts_pass("call", name, given).fill_null(False)
            self.ok &= fits.to_numpy(zero_copy_only=False)
            return given
        return self._texts(name, given.dictionary_encode()).cast(pa.string())

    def _lists(self, name: str, given: pa.Array) -> pa.Array:
        """Lists are the reports' only: judge their items, conceal them, fill absent ones."""
        report = self.row_kind == REPORT
        values = pc.if_else(pa.array(report), given, None)
        values = pc.if_else(pa.array(report & _nulls(given)), pa.scalar([], given.type), values)
        items = values.flatten()
        if len(items) == 0:
            return values
        parent = pc.list_parent_indices(values).to_numpy()
        encoded = items.dictionary_encode()
        words = self.conceal("report", name, encoded.dictionary.to_pylist())
        fits = np.array([*(word is not None for word in words), False])
        codes = encoded.indices.fill_null(len(words)).to_numpy()
        self.ok[parent[~fits[codes]]] = False
        lengths = values.value_lengths().fill_null(0).to_numpy()
        self.ok &= lengths <= LONGEST_LIST
        concealed = pa.array(words, pa.string()).take(encoded.indices)
        return pa.ListArray.from_arrays(_offsets(lengths, values), concealed)

    def _version(self) -> None:
        version = self.columns.typed.get("version")
        if version is not None:
            self.ok &= pc.equal(version, 1).fill_null(True).to_numpy(zero_copy_only=False)

    def _order(self, done: dict[str, pa.Array]) -> None:
        """A report's first contact, last loss and report follow one another."""
        report = self.row_kind == REPORT
        if report.any():
            first, last, told = (
                _us(done[name]) for name in ("first_contact_at", "occurred_at", "reported_at")
            )
            self.ok &= ~report | ((first <= last) & (last <= told))


@cache
def _alike(field: str) -> dict[str, list[int]]:
    """Kinds whose texts of a field obey the same rule, under the first of them."""
    found: dict[str, list[int]] = {}
    first: dict[str, str] = {}
    for place, kind in enumerate(KINDS):
        if field_rules(field).allowed[place]:
            leader = first.setdefault(text_rule(kind, field), kind)
            found.setdefault(leader, []).append(place)
    return found


def _offsets(lengths: Any, values: pa.Array) -> pa.Array:
    """Offsets of a list array; a null offset makes a null list."""
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.array(ends, pa.int32(), mask=np.append(_nulls(values), False))


def _nulls(values: pa.Array) -> Mask:
    return values.is_null().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _us(times: pa.Array) -> Ints:
    return times.cast(pa.int64()).fill_null(0).to_numpy()  # type: ignore[no-any-return]


def _stamp(time: datetime) -> int:
    return pa.scalar(time, TIME).value  # type: ignore[no-any-return]


def _span(time: Any) -> int:
    return int(time.total_seconds() * US)
