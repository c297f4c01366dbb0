"""From a body's bytes to mappings: strict JSON, of the outer shape the path asks for.

What is inside an event is the intake door's business, not this module's.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from serving.contracts import MAX_EVENTS, MAX_EXPLAINED
from serving.problems import Problem

__all__ = ["Record", "as_batch", "as_event", "as_many", "as_report"]

Record = Mapping[str, Any]
_SCORED = ("call", "sms", "app", "transfer", "lead")


def _parsed(body: bytes) -> Any:
    if not body.strip():
        raise Problem("malformed-json", "expected a JSON document, found an empty body")
    try:
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        # the parser's message names a place and never quotes the text
        raise Problem("malformed-json", f"expected JSON in UTF-8: {error}") from None


def _wrong(field: str, expected: str, found: str, fix: str) -> Problem:
    error = {"field": field, "expected": expected, "found": found, "fix": fix}
    return Problem("invalid-event", f"{field}: expected {expected}", {"errors": [error]})


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(field, "an object", _kind(value), "send one event as a JSON object")
    return value


def as_event(body: bytes) -> Record:
    """One event that may be scored.

    Examples
    --------
    >>> as_event(b'{"kind": "call"}')
    {'kind': 'call'}
    >>> as_event(b'[]').detail
    Traceback (most recent call last):
    ...
    serving.problems.Problem: invalid-event
    """
    record = _object(_parsed(body), "body")
    if record.get("kind") == "report":
        raise _wrong("kind", f"one of {', '.join(_SCORED)}", "report", "send it to /v1/reports")
    return record


def as_report(body: bytes) -> Record:
    """One fraud report; ``kind`` may be left out, the path says it."""
    record = _object(_parsed(body), "body")
    if record.setdefault("kind", "report") != "report":
        raise _wrong("kind", "report", "another kind", "send other events to /v1/events")
    return record


def as_many(body: bytes) -> list[Any]:
    """One record of any kind, or a list of them."""
    found = _parsed(body)
    return [_object(found, "body")] if not isinstance(found, list) else _counted(found, "body")


def as_batch(body: bytes) -> tuple[list[Any], bool]:
    """The events of a batch, and whether to explain them all."""
    found = _object(_parsed(body), "body")
    for name in found:
        if name not in {"events", "explain"}:
            raise _wrong("body", "only events and explain", "another key", "leave it out")
    explain = found.get("explain", False)
    if not isinstance(explain, bool):
        raise _wrong("explain", "true or false", _kind(explain), "correct it or leave it out")
    events = found.get("events")
    if not isinstance(events, list):
        raise _wrong("events", "a list of events", _kind(events), 'send {"events": [...]}')
    return _counted(events, "events", MAX_EXPLAINED if explain else MAX_EVENTS), explain


def _counted(records: list[Any], field: str, most: int = MAX_EVENTS) -> list[Any]:
    if not 1 <= len(records) <= most:
        raise _wrong(field, f"1 to {most} events", str(len(records)), "split the batch")
    return records
