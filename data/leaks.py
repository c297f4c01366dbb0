"""Numbers where none belongs: an event_id or a source that carries a phone, account or device.

Both are kept and logged as they come, since systems recognise their events by them; so they must
not hold what becomes a pseudonym everywhere else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from data.problems import Problem
from data.pseudonyms import identifier_fields, is_pseudonym, normalised

__all__ = ["KEPT", "may_leak", "problems_leaked"]

KEPT = ("event_id", "source")
SHORTEST = 7  # digits; shorter numbers are public services', as 95588, or nobody's
NUMBER = re.compile(rf"[0-9]{{{SHORTEST}}}")


def problems_leaked(event: BaseModel) -> list[Problem]:
    """Fields kept as they are that carry an identifier of the same record.

    Examples
    --------
    >>> from data.events import Sms
    >>> sms = {"subscriber": "138 0013 8000", "counterpart": "95588", "direction": "incoming"}
    >>> sms["occurred_at"] = "2026-03-01T10:00:00+08:00"
    >>> [one.field for one in problems_leaked(Sms(event_id="sms-13800138000-1", **sms))]
    ['event_id']
    >>> problems_leaked(Sms(event_id="sms-95588-1", **sms))
    []
    """
    private = set(_numbers(event))
    return [
        Problem(
            field,
            "text without the numbers of its own record",
            "one of them",
            "name events and systems by something else: this text is kept as it is",
        )
        for field in KEPT
        if any(number in _bare(getattr(event, field)) for number in private)
    ]


def may_leak(columns: Mapping[str, pa.Array], identifiers: Iterable[str]) -> NDArray[np.bool_]:
    """Rows of raw columns that may carry one: all that do, and hardly any other.

    Parameters
    ----------
    columns
        Arrays of one length by name; those of `KEPT` that are there are searched.
    identifiers
        Names of columns that hold identifiers; absent ones are passed over.
    """
    kept = [columns[name].cast(pa.string()) for name in KEPT if name in columns]
    found = np.zeros(len(kept[0]), dtype=bool)
    rows = np.flatnonzero(np.logical_or.reduce([_has_number(texts) for texts in kept]))
    chosen = pa.array(rows, pa.int64())
    words = [[_bare(text or "") for text in texts.take(chosen).to_pylist()] for texts in kept]
    texts_of = list(zip(*words, strict=True))
    for name in identifiers:
        if name in columns and len(rows):
            values = columns[name].take(chosen).to_pylist()
            found[rows] |= np.array(list(map(_carried, values, texts_of)), dtype=bool)
    return found


def _carried(value: str | Sequence[str] | None, texts: Iterable[str]) -> bool:
    """Whether a text holds the end of an identifier, or of one of a list of them."""
    numbers = (value,) if isinstance(value, str) else value or ()
    ends = [_bare(number or "")[-SHORTEST:] for number in numbers]
    return any(len(end) == SHORTEST and end in text for end in ends for text in texts)


def _has_number(texts: pa.Array) -> NDArray[np.bool_]:
    bare = pc.replace_substring(texts, "-", "")
    found = pc.match_substring_regex(bare, NUMBER.pattern).fill_null(False)
    flags: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return flags


def _numbers(event: BaseModel) -> Iterator[str]:
    """Identifiers of an event that are long numbers, without separators and as normalised."""
    for field, namespace in identifier_fields(type(event)).items():
        value = getattr(event, field)
        for text in (value,) if isinstance(value, str) else value or ():
            for number in (_bare(text), normalised(namespace, text)):
                if NUMBER.search(number) and not is_pseudonym(namespace, text):
                    yield number


def _bare(text: str) -> str:
    return text.replace("-", "").replace(" ", "")
