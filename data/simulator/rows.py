"""Rows of events as numpy columns, and their layout as an Arrow event table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from data.events import ScamType
from data.simulator.identifiers import Space, code_of, mix, texts
from data.tables import EVENT_SCHEMA, TIME

__all__ = [
    "ACTIONS",
    "CHANNELS",
    "DIRECTIONS",
    "GRADES",
    "KINDS",
    "SOURCES",
    "Named",
    "Rows",
    "arrival_order",
    "as_table",
    "event_ids",
    "numbers",
]

NONE = -1  # how a column says "this kind of event has no such field"

KINDS = ("call", "sms", "app", "transfer", "report", "lead")
DIRECTIONS = ("incoming", "outgoing")
ACTIONS = ("install", "visit", "remote_control", "screen_share")
CHANNELS = ("mobile", "web", "counter", "atm", "card", "wallet")
GRADES = ("urgent", "high", "medium", "low")
SOURCES = ("operator", "network", "bank", "wallet", "police", "ministry", "platform")
SCAMS = tuple(str(scam) for scam in ScamType)

COLUMNS: Mapping[str, Any] = {
    "number": np.int64,  # what the event id is made from
    "episode": np.int64,  # of a script, for the ground truth; never in the event table
    "touch": np.int8,  # whether the other end belongs to the fraudsters; never in the event table
    "occurred": np.int64,  # microseconds since 1970, UTC
    "known": np.int64,
    "kind": np.int8,
    "source": np.int8,
    "subscriber": np.int64,
    "counterpart": np.int64,
    "account": np.int64,
    "device": np.int64,
    "direction": np.int8,
    "action": np.int8,
    "channel": np.int8,
    "duration": np.int32,
    "amount": np.int64,
    "roaming": np.int8,
    "foreign": np.int8,
    "age": np.int32,
    "link": np.int8,
    "code": np.int8,
    "listed": np.int8,
    "limit": np.int8,
    "scam": np.int8,
    "grade": np.int8,
    "loss": np.int64,
    "first_contact": np.int64,
    "reported": np.int64,
}
LATE_AFTER = 5 * 60 * 1_000_000


@dataclass(frozen=True)
class Named:
    """What a report names: codes of phones, accounts and apps, and the citizen's identity."""

    phones: tuple[int, ...]
    accounts: tuple[int, ...]
    apps: tuple[int, ...]
    citizen_id: str | None


@dataclass(frozen=True)
class Rows:
    """Columns of equal length; `named` is found by a report's number."""

    columns: Mapping[str, NDArray[Any]]
    named: Mapping[int, Named] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["occurred"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def where(self, choice: NDArray[Any]) -> "Rows":
        """Keep rows by mask or by position, in the order given."""
        return Rows({name: column[choice] for name, column in self.columns.items()}, self.named)

    def replaced(self, **columns: NDArray[Any]) -> "Rows":
        """Put other columns in the place of these."""
        return Rows({**self.columns, **columns}, self.named)

    @staticmethod
    def of(kind: str, occurred: NDArray[np.int64], **columns: ArrayLike) -> "Rows":
        """Lay out events of one kind; scalars are repeated, fields not given are absent."""
        size = len(occurred)
        given: dict[str, ArrayLike] = {**columns, "kind": KINDS.index(kind), "occurred": occurred}
        laid = {
            name: np.broadcast_to(np.asarray(given[name]).astype(dtype), size)
            if name in given
            else np.broadcast_to(np.asarray(NONE, dtype=dtype), size)
            for name, dtype in COLUMNS.items()
        }
        return Rows(laid)

    @staticmethod
    def joined(parts: Iterable["Rows"]) -> "Rows":
        """Put rows one after another."""
        found = [part for part in parts if len(part)] or [Rows.of("call", np.empty(0, np.int64))]
        named: dict[int, Named] = {}
        for part in found:
            named.update(part.named)
        if len(found) == 1:
            return Rows(found[0].columns, named)
        return Rows(
            {name: np.concatenate([part[name] for part in found]) for name in COLUMNS}, named
        )


def numbers(counter: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Scramble distinct counters into distinct 64-bit numbers that show no order."""
    return mix(counter.astype(np.uint64) ^ mix(np.uint64(seed))).view(np.int64)


def event_ids(numbers: NDArray[np.int64]) -> pa.StringArray:
    """Write 64-bit numbers as 16 hexadecimal digits each."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    octets = np.ascontiguousarray(numbers.astype(np.uint64).astype(">u8")).view(np.uint8)
    pairs = np.empty((len(octets), 2), dtype=np.uint8)
    pairs[:, 0] = digits[octets >> 4]
    pairs[:, 1] = digits[octets & 15]
    offsets = np.arange(0, 16 * len(numbers) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(pairs))


def arrival_order(rows: Rows) -> NDArray[np.int64]:
    """Order by time known, equal times by event id (sorted apart, since they are few)."""
    order = np.argsort(rows["known"])
    known = rows["known"][order]
    same = known[1:] == known[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    among = order[tied]
    order[tied] = among[np.lexsort((rows["number"][among].astype(np.uint64), known[tied]))]
    return order


def _number(column: NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(column, mask=column == NONE).cast(kind)


def _flag(column: NDArray[Any]) -> pa.Array:
    return pa.array(column == 1, mask=column == NONE)


def _choice(column: NDArray[Any], words: Iterable[str]) -> pa.Array:
    index = pa.array(column.astype(np.int32), mask=column == NONE)
    return pa.DictionaryArray.from_arrays(index, pa.array(list(words), pa.string()))


def _identifier(codes: NDArray[np.int64]) -> pa.Array:
    found = pa.array(codes, mask=codes == NONE).dictionary_encode()
    words = texts(found.dictionary.to_numpy(zero_copy_only=False))
    return pa.DictionaryArray.from_arrays(found.indices, words)


def _lists(rows: Rows, what: str) -> pa.Array:
    reports = rows["kind"] == KINDS.index("report")
    found: list[int] = []
    sizes = np.zeros(len(rows), dtype=np.int32)
    for place in np.flatnonzero(reports):
        names = getattr(rows.named[int(rows["number"][place])], what)
        found.extend(names)
        sizes[place] = len(names)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    words = texts(np.array(found, dtype=np.int64)) if found else pa.array([], pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets), words, mask=pa.array(~reports))


def _citizens(rows: Rows) -> pa.Array:
    found: list[str | None] = [None] * len(rows)
    for place in np.flatnonzero(rows["kind"] == KINDS.index("report")):
        found[place] = rows.named[int(rows["number"][place])].citizen_id
    return pa.array(found, pa.string())


def as_table(rows: Rows, first_seq: int) -> pa.Table:
    """Lay rows, already in order of arrival, out in the columns of `EVENT_SCHEMA`."""
    columns: dict[str, Any] = {
        "seq": pa.array(np.arange(first_seq, first_seq + len(rows), dtype=np.int64)),
        "event_id": event_ids(rows["number"]),
        "kind": _choice(rows["kind"], KINDS),
        "occurred_at": pa.array(rows["occurred"]).cast(TIME),
        "known_at": pa.array(rows["known"]).cast(TIME),
        "late": pa.array(rows["known"] - rows["occurred"] > LATE_AFTER),
        "source": _choice(rows["source"], SOURCES),
        "subscriber": _identifier(code_of(Space.MOBILE, rows["subscriber"])),
        "counterpart": _identifier(rows["counterpart"]),
        "account": _identifier(rows["account"]),
        "device": _identifier(rows["device"]),
        "direction": _choice(rows["direction"], DIRECTIONS),
        "action": _choice(rows["action"], ACTIONS),
        "channel": _choice(rows["channel"], CHANNELS),
        "duration_s": _number(rows["duration"], pa.int32()),
        "amount_fen": _number(rows["amount"], pa.int64()),
        "roaming": _flag(rows["roaming"]),
        "foreign": _flag(rows["foreign"]),
        "counterpart_age_days": _number(rows["age"], pa.int32()),
        "has_link": _flag(rows["link"]),
        "has_code": _flag(rows["code"]),
        "listed": _flag(rows["listed"]),
        "limit_raised": _flag(rows["limit"]),
        "scam_type": _choice(rows["scam"], SCAMS),
        "grade": _choice(rows["grade"], GRADES),
        "loss_fen": _number(rows["loss"], pa.int64()),
        "first_contact_at": _number(rows["first_contact"], pa.int64()).cast(TIME),
        "reported_at": _number(rows["reported"], pa.int64()).cast(TIME),
        "phones": _lists(rows, "phones"),
        "accounts": _lists(rows, "accounts"),
        "apps": _lists(rows, "apps"),
        "citizen_id": _citizens(rows),
    }
    laid = [columns[name] for name in EVENT_SCHEMA.names]
    return pa.Table.from_arrays(laid, schema=EVENT_SCHEMA)
