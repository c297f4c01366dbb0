"""The event table: one wide Arrow schema for every kind of fact, in order of arrival.

Columns a kind does not have are null. Identifiers are pseudonyms by the time they are here.
``seq`` is the order of arrival, which is the order in which feature state saw the events.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from data.events import EVENT_TYPES, Event

__all__ = ["EVENT_SCHEMA", "TIME", "empty_events", "from_events", "in_one_piece", "to_events"]

TIME = pa.timestamp("us", tz="UTC")
CODE = pa.dictionary(pa.int32(), pa.string())

EVENT_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("event_id", pa.string()),
        ("kind", CODE),
        ("occurred_at", TIME),
        ("known_at", TIME),
        ("late", pa.bool_()),
        ("source", CODE),
        ("subscriber", CODE),
        ("counterpart", CODE),
        ("account", CODE),
        ("device", CODE),
        ("direction", CODE),
        ("action", CODE),
        ("channel", CODE),
        ("duration_s", pa.int32()),
        ("amount_fen", pa.int64()),
        ("roaming", pa.bool_()),
        ("foreign", pa.bool_()),
        ("counterpart_age_days", pa.int32()),
        ("has_link", pa.bool_()),
        ("has_code", pa.bool_()),
        ("listed", pa.bool_()),
        ("limit_raised", pa.bool_()),
        ("scam_type", CODE),
        ("grade", CODE),
        ("loss_fen", pa.int64()),
        ("first_contact_at", TIME),
        ("reported_at", TIME),
        ("phones", pa.list_(pa.string())),
        ("accounts", pa.list_(pa.string())),
        ("apps", pa.list_(pa.string())),
        ("citizen_id", pa.string()),
    ]
)


def empty_events() -> pa.Table:
    """An event table with no rows."""
    return EVENT_SCHEMA.empty_table()


def in_one_piece(tables: Sequence[pa.Table]) -> pa.Table:
    """One table whose columns lie in one piece.

    Left in pieces, every piece carries the whole dictionary, and each later unification hashes
    all of them again: more work than reading the files.
    """
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def from_events(
    events: Iterable[Event], *, first_seq: int = 0, late: Iterable[bool] | None = None
) -> pa.Table:
    """Lay events out as a table, numbered from `first_seq` in the order given."""
    rows: list[dict[str, Any]] = [event.model_dump() for event in events]
    marks = [False] * len(rows) if late is None else list(late)
    for number, (row, mark) in enumerate(zip(rows, marks, strict=True)):
        row["seq"] = first_seq + number
        row["late"] = mark
        if "scam_type" in row:
            row["scam_type"] = str(row["scam_type"])
    return pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)


def to_events(table: pa.Table) -> list[Event]:
    """Read rows back as contract objects (`seq` and `late` stay behind)."""
    found: list[Event] = []
    for row in table.to_pylist():
        contract = EVENT_TYPES[row["kind"]]
        fields = {
            name: value
            for name, value in row.items()
            if value is not None and name in contract.model_fields
        }
        found.append(contract.model_validate(fields))  # type: ignore[arg-type]
    return found
