"""Where a citizen lives, so that his case begins with those who can knock at his door.

Events say no district. The centre may give a table of numbers and districts (`forewarn districts
FILE`), and whoever assigns a case may say it. It is read when an alert or a lead arrives, to route
the case; it is no feature, and of citizens without one nothing is asked.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from data.events import Phone
from data.pseudonyms import Pseudonymiser
from serving.cases.contracts import District
from serving.cases.tables import DISTRICTS

__all__ = ["DistrictError", "Taken", "districts_of", "keep", "keep_one", "take_in"]

_AT_ONCE = 5_000
COLUMNS = ("number", "district")


class DistrictError(ValueError):
    """A file of districts that cannot be read."""


@dataclass(frozen=True)
class Taken:
    """What became of a file: citizens with a district, and lines that were refused, by number."""

    kept: int
    refused: tuple[int, ...]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    number: Phone
    district: District


async def districts_of(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, str]:
    """Districts of those citizens of whom one is known."""
    query = select(DISTRICTS.c.subscriber, DISTRICTS.c.district).where(
        DISTRICTS.c.subscriber.in_(names)
    )
    return {row.subscriber: row.district for row in await connection.execute(query)}


async def keep_one(connection: AsyncConnection, name: str, district: str, at: datetime) -> None:
    """Remember where a citizen lives, as whoever assigned his case says."""
    await connection.run_sync(keep, {name: district}, at)


def keep(connection: Connection, found: Mapping[str, str], at: datetime) -> None:
    """Remember districts; what was learnt later stays."""
    if not found:
        return
    rows = [
        {"subscriber": name, "district": district, "known_at": at}
        for name, district in sorted(found.items())  # one order: two files cannot block each other
    ]
    new = insert(DISTRICTS)
    statement = new.on_conflict_do_update(
        index_elements=["subscriber"],
        set_={"district": new.excluded.district, "known_at": new.excluded.known_at},
        where=DISTRICTS.c.known_at <= new.excluded.known_at,
    )
    connection.execute(statement, rows)


def take_in(connection: Connection, path: Path, names: Pseudonymiser, at: datetime) -> Taken:
    """Take a CSV of numbers and districts in; only pseudonyms are kept.

    Raises
    ------
    DistrictError
        If it is no CSV in UTF-8 with these columns.
    """
    refused: list[int] = []
    kept = 0
    lines_of = _lines(path, refused)
    while lines := list(islice(lines_of, _AT_ONCE)):
        found = {names.one("tel", line.number): line.district for line in lines}
        keep(connection, found, at)
        kept += len(found)
    return Taken(kept, tuple(refused))


def _lines(path: Path, refused: list[int]) -> Iterator[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _read(csv.DictReader(file), refused)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DistrictError(
            f"expected {path.name} to be a CSV in UTF-8, found {type(error).__name__}; "
            "save it as CSV in UTF-8"
        ) from None


def _read(rows: "csv.DictReader[str]", refused: list[int]) -> Iterator[_Line]:
    heads: Iterable[str] = rows.fieldnames or ()
    lost = [name for name in COLUMNS if name not in heads]
    if lost:
        raise DistrictError(
            f"expected the columns {', '.join(COLUMNS)}, found none named {', '.join(lost)}; "
            "name them in the first line"
        )
    for row in rows:
        try:
            yield _Line.model_validate(row)
        except ValidationError:
            refused.append(rows.line_num)
