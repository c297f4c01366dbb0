"""Numbers where none belongs: an event_id or a source that carries a phone, account or device.

Both are kept and logged as they come, since systems recognise their events by them; so they must
not hold what becomes a pseudonym everywhere else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

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
    kept = [_bare_texts(columns[name]) for name in KEPT if name in columns]
    found = np.zeros(len(kept[0]), dtype=bool)
    rows = np.flatnonzero(np.logical_or.reduce([_has_number(texts) for texts in kept]))
    chosen = pa.array(rows, pa.int64())
    texts = [_words(column.take(chosen)) for column in kept]
    for name in identifiers:
        if name not in columns:
            continue
        given = columns[name].take(chosen)
        listed = pa.types.is_list(given.type)
        places = pc.list_parent_indices(given).to_numpy() if listed else np.arange(len(rows))
        ends = _ends(pc.list_flatten(given) if listed else given)
        for words in texts:
            carried = (np.strings.find(words[places], ends) >= 0) & (ends != "")
            found[rows[places[carried]]] = True
    return found


def _bare_texts(texts: pa.Array) -> pa.Array:
    """Texts without separators, null as empty."""
    whole = texts.cast(pa.string()).fill_null("")
    return pc.replace_substring(pc.replace_substring(whole, "-", ""), " ", "")


def _has_number(texts: pa.Array) -> NDArray[np.bool_]:
    found = pc.match_substring_regex(texts, NUMBER.pattern)
    flags: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return flags


def _ends(identifiers: pa.Array) -> NDArray[np.str_]:
    """The last characters of each, empty where it is too short to be anybody's."""
    bare = _bare_texts(identifiers)
    long = pc.greater_equal(pc.utf8_length(bare), SHORTEST)
    return _words(pc.if_else(long, pc.utf8_slice_codeunits(bare, -SHORTEST), ""))


def _words(texts: pa.Array) -> NDArray[np.str_]:
    return np.array(texts.to_pylist(), dtype=np.str_)


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
