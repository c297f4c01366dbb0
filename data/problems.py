"""What is wrong with a record, field by field: expected, found, fix; never the value itself.

A refused record may hold a phone number in any field, so ``found`` tells a value's type and size,
and shows the value only where it cannot be an identifier.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from data.events import EVENT_TYPES, json_schema
from data.pseudonyms import identifier_fields

__all__ = ["Problem", "RejectedRecord", "expectation", "field_schemas", "found_in", "problems_of"]

SAYABLE = re.compile(r"[A-Za-z_]{1,40}")
TIMELIKE = re.compile(r"\d{4}-\d\d?-\d\d?([T ][0-9:.]{1,15})?([Zz]|[+-][0-9:]{2,5})?")
SMALL = 100_000  # a number below it is no phone, account or identity number
WORDS = {
    "tel": "a phone number: 3 to 31 digits, spaces or hyphens, with an optional + in front",
    "acc": "an account: 1 to 64 letters, digits, or . _ @ -, the first a letter or digit",
    "dev": "a device id: 1 to 64 letters, digits, or . _ : -, the first a letter or digit",
    "idn": "an identity number: 6 to 24 digits or capital letters",
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one field."""

    field: str
    expected: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, found {self.found}; {self.fix}"

    def as_dict(self) -> dict[str, str]:
        """The same as a mapping, for JSON."""
        return asdict(self)


class RejectedRecord(ValueError):  # noqa: N818  (what it holds is refused, not broken)
    """A record that does not fit its contract.

    Attributes
    ----------
    problems : tuple of Problem
    quarantine_id : str or None
        Where the record is kept, once it is.
    """

    def __init__(self, problems: Sequence[Problem], quarantine_id: str | None = None) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)
        self.quarantine_id = quarantine_id


def problems_of(error: ValidationError, kind: str, record: Mapping[str, Any]) -> list[Problem]:
    """Problems of a record that its contract refused, in our words and without its values."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    contract = EVENT_TYPES[kind]
    return [_problem(detail, kind, contract, record) for detail in details]


def expectation(kind: str, field: str) -> str:
    """What a field of a contract must hold, derived from its published schema.

    Examples
    --------
    >>> expectation("transfer", "amount_fen")
    'a whole number from 1 to 100000000000 (integer fen (CNY/100))'
    >>> expectation("call", "direction")
    'one of incoming, outgoing (seen from the subscriber)'
    """
    namespace = identifier_fields(EVENT_TYPES[kind]).get(field)
    schema = field_schemas()[kind][field]
    many = "up to 64, each " if schema.get("type") == "array" else ""
    said = WORDS[namespace] if namespace else _shape(schema)
    note = f" ({schema['description']})" if "description" in schema else ""
    return f"{many}{said}{note}"


def found_in(value: Any) -> str:
    """Describe a value without showing what may identify somebody.

    Examples
    --------
    >>> [found_in(value) for value in (None, -5, "13800138000", "inbound", "2026-02-30", [1, 2])]
    ['nothing', '-5', 'text of 11 characters', "'inbound'", "'2026-02-30'", 'a list of 2']
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str | bytes):
        return _text(value)
    if isinstance(value, datetime):
        return f"{value.isoformat()}" if value.tzinfo else f"{value.isoformat()} without an offset"
    return _kind_of(value)


@cache
def field_schemas() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """JSON Schema of every field of every kind, references resolved, null alternatives dropped."""
    definitions = json_schema()["$defs"]
    return {
        kind: {
            name: _resolved(schema, definitions)
            for name, schema in definitions[contract.__name__]["properties"].items()
        }
        for kind, contract in EVENT_TYPES.items()
    }


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    merged = {**(options[0] if options else {}), **schema}
    if "$ref" in merged:
        shared = definitions[merged["$ref"].rpartition("/")[2]]
        merged = {**{name: shared[name] for name in ("enum", "type")}, **merged}
    return {name: value for name, value in merged.items() if name not in {"anyOf", "$ref", "title"}}


def _shape(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "a time with its offset, 2000 to 2099, such as 2026-03-01T10:00:00+08:00"
    if "enum" in schema or "const" in schema:
        names = [str(name) for name in schema.get("enum", [schema.get("const")])]
        return f"one of {', '.join(names)}" if len(names) > 1 else names[0]
    if schema.get("type") == "integer":
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        return f"a whole number from {low} to {schema['maximum']}"
    if schema.get("type") == "array":
        return _shape(schema["items"])
    longest = schema.get("maxLength", 64)
    plain = f"a name of 1 to {longest} letters, digits or . _ : @ / -"
    return "true or false" if schema.get("type") == "boolean" else plain


def _problem(
    detail: ErrorDetails, kind: str, contract: type[BaseModel], record: Mapping[str, Any]
) -> Problem:
    field = str(detail["loc"][0]) if detail["loc"] else ""
    if not field:
        return _disordered()
    if detail["type"] == "extra_forbidden":
        return _unknown(field, kind, contract)
    value = record.get(field)
    for step in detail["loc"][1:]:
        field, value = f"{field}.{step}", _item(value, step)
    top = str(detail["loc"][0])
    found = _text_size(value) if top in identifier_fields(contract) else found_in(value)
    fix = f"add {field}" if value is None else f"correct {field}"
    return Problem(field, expectation(kind, top), found, fix)


def _item(value: Any, step: int | str) -> Any:
    return value[step] if isinstance(value, list | tuple) and isinstance(step, int) else value


def _disordered() -> Problem:
    return Problem(
        "first_contact_at",
        "first_contact_at <= occurred_at <= reported_at",
        "another order",
        "correct the three times",
    )


def _unknown(field: str, kind: str, contract: type[BaseModel]) -> Problem:
    near = difflib.get_close_matches(field, contract.model_fields, 1)
    name = field if SAYABLE.fullmatch(field) else "(unknown field)"
    fix = f"call it {near[0]}" if near else "remove it"
    return Problem(name, f"only fields of {kind}", "a field it does not have", fix)


def _number(value: float) -> str:
    if abs(value) < SMALL:
        return str(value)
    return f"a number of {len(str(abs(value)))} characters"


def _kind_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object of {len(value)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"


def _text(value: str | bytes) -> str:
    if isinstance(value, str) and (SAYABLE.fullmatch(value) or TIMELIKE.fullmatch(value)):
        return repr(value)
    return _text_size(value)


def _text_size(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes that are not UTF-8"
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value.strip() else "empty text"
    if isinstance(value, int | float):
        return "a number"
    return found_in(value)
