"""Stations as officers paste or upload them: a line each, name, longitude, latitude, units."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from serving.plan_contracts import StationGiven

__all__ = ["FIELDS", "Mistake", "decoded", "read_stations"]

FIELDS = ("name", "lon", "lat", "units")
_MOST = 5  # mistakes told at once
_ENCODINGS = ("utf-8-sig", "gb18030")  # the second is what a Chinese spreadsheet saves


@dataclass(frozen=True)
class Mistake:
    """A line that is no station.

    Parameters
    ----------
    line : int
        From 1; 0: of the whole.
    field : str
        Of `FIELDS`; ``columns``: there are too few or too many; ``none``: there is no line at all.
    """

    line: int
    field: Literal["name", "lon", "lat", "units", "columns", "none"]


def read_stations(text: str) -> tuple[Sequence[StationGiven], Sequence[Mistake]]:
    r"""The stations of a text, and what is wrong with its first lines that are none.

    Commas may be Chinese ones or tabs, a first line of names is passed over, units are 1 where none
    are given.

    Examples
    --------
    >>> found, mistakes = read_stations("名称,经度,纬度,单元\n解放碑派出所，106.57，29.56，2\n")
    >>> found[0].name, found[0].units, mistakes
    ('解放碑派出所', 2, [])
    >>> read_stations("a,106,29\nb,east,29\nc")[1]
    [Mistake(line=2, field='lon'), Mistake(line=3, field='columns')]
    """
    found: list[StationGiven] = []
    mistakes: list[Mistake] = []
    for line, parts in _lines(text):
        one = _station(line, parts)
        if isinstance(one, StationGiven):
            found.append(one)
        elif line > 1 or not _is_head(parts):
            mistakes.append(one)
    if not found and not mistakes:
        mistakes.append(Mistake(0, "none"))
    return found, mistakes[:_MOST]


def decoded(content: bytes) -> str:
    """The text of a file.

    Examples
    --------
    >>> decoded("派出所".encode("gb18030"))
    '派出所'
    """
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8", errors="replace")


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    plain = text.replace("，", ",").replace("\t", ",")
    for line, parts in enumerate(csv.reader(plain.splitlines()), start=1):
        if any(part.strip() for part in parts):
            yield line, [part.strip() for part in parts]


def _is_head(parts: list[str]) -> bool:
    """Whether a line has names where numbers belong."""
    return not any(any(sign.isdigit() for sign in part) for part in parts[1:])


def _station(line: int, parts: list[str]) -> StationGiven | Mistake:
    if not 3 <= len(parts) <= 4:
        return Mistake(line, "columns")
    try:
        return StationGiven.model_validate(dict(zip(FIELDS, parts, strict=False)))
    except ValidationError as error:
        return Mistake(line, error.errors(include_input=False)[0]["loc"][0])  # type: ignore[arg-type]
