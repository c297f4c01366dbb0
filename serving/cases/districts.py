"""Where a citizen lives, so that his case begins with those who can knock at his door.

Events say no district. The centre may give a table of numbers and districts (`forewarn districts
FILE`), and whoever assigns a case may say it. It is read when an alert or a lead arrives, to route
the case; it is no feature, and of citizens without one nothing is asked.

A city's file has tens of millions of lines. All of it is read first, line by line, into a table
that only this connection sees; where a line is wrong, or the file breaks off, nothing has changed.
Then what is new is taken over in portions, each a short transaction in the order of the names. Not
in one swap: that would hold the rows of everybody who moved for minutes, and whoever assigns such
a citizen's case would wait. A citizen's district does not depend on another's, so what was taken
over before an interruption is right, and reading the file again does the rest. Of citizens whose
district is as before nothing is written: last year's file anew costs reading, not writing.
"""

import csv
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from data.events import Phone
from data.problems import WORDS, Problem, found_in
from data.pseudonyms import Pseudonymiser
from serving.cases.contracts import District
from serving.cases.tables import DISTRICTS

__all__ = ["DistrictError", "Taken", "districts_of", "keep", "keep_one", "take_in"]

COLUMNS = ("number", "district")
SAID = 20  # wrong lines told one by one; all are counted
_PORTION = 50_000  # rows of one transaction: a second or less, as long as an officer may wait
_OFTEN = 500_000  # lines between two words of progress
_PHONE: TypeAdapter[str] = TypeAdapter(Phone)
_DISTRICT: TypeAdapter[str] = TypeAdapter(District)
_EXPECTED = {
    "number": WORDS["tel"],
    "district": "a name of 1 to 64 characters that begins with a letter, no long number in it",
}

_READ = """
CREATE TEMPORARY TABLE districts_read (subscriber text, district text, line bigint)
"""
# one row a citizen: of several lines the last counts; as bytes, which sorts fastest
_SORTED = """
CREATE TEMPORARY TABLE districts_sorted AS
SELECT row_number() OVER (ORDER BY subscriber COLLATE "C") AS place, subscriber, district
FROM (
    SELECT DISTINCT ON (subscriber COLLATE "C") subscriber, district FROM districts_read
    ORDER BY subscriber COLLATE "C", line DESC
) last
ORDER BY place
"""
# whoever's district is as before is left out first: a row that meets itself is locked, thus written
_TAKEN_OVER = """
INSERT INTO subscriber_districts AS known (subscriber, district, known_at)
SELECT subscriber, district, :at FROM districts_sorted sorted
WHERE place > :after AND place <= :upto AND (
    SELECT there.district = sorted.district FROM subscriber_districts there
    WHERE there.subscriber = sorted.subscriber
) IS NOT TRUE
ORDER BY place
ON CONFLICT (subscriber) DO UPDATE
SET district = excluded.district, known_at = excluded.known_at
WHERE known.known_at <= excluded.known_at AND known.district <> excluded.district
"""


class DistrictError(ValueError):
    """A file of districts that cannot be read, or has lines that are wrong."""


@dataclass(frozen=True)
class Taken:
    """What became of a file.

    Parameters
    ----------
    citizens : int
        That it names; of one who stands there twice the last line counts.
    changed : int
        Of these, whose district was not known before, or was another.
    wrong : int
        Lines that were left out.
    said : tuple of str
        What is wrong with the first of these, by line.
    """

    citizens: int
    changed: int
    wrong: int = 0
    said: tuple[str, ...] = ()


@dataclass
class _Wrong:
    """Lines that are none; only so many are kept, however many there are."""

    count: int = 0
    said: list[str] = field(default_factory=list)

    def note(self, line: int, problem: Problem) -> None:
        self.count += 1
        if len(self.said) < SAID:
            self.said.append(f"line {line}: {problem}")


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


def take_in(
    engine: Engine,
    path: Path,
    names: Pseudonymiser,
    at: datetime,
    *,
    leave_out: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Taken:
    """Take a CSV of numbers and districts in; only pseudonyms are kept.

    Memory does not grow with the file; PostgreSQL needs some 250 bytes of disk a line meanwhile.
    What was learnt after `at` stays.

    Parameters
    ----------
    engine : Engine
    path : Path
        CSV in UTF-8 with the columns ``number`` and ``district``, others among them.
    names : Pseudonymiser
    at : datetime
        When this is known.
    leave_out : bool
        Take the other lines in where some are wrong.
    progress : callable, optional
        Told how far it is.

    Raises
    ------
    DistrictError
        If it is no such CSV, or a line is wrong and none may be left out; nothing has changed.
    """
    wrong = _Wrong()
    with engine.connect() as connection:
        connection.detach()  # what only this connection sees ends with it
        with connection.begin():
            _copy(connection, _rows(path, names, wrong, progress))
            if wrong.count and not leave_out:
                raise DistrictError(_told(path, wrong))
            progress("sorting")
            connection.execute(text("SET LOCAL work_mem = '64MB'"))
            citizens = connection.execute(text(_SORTED)).rowcount
            connection.execute(text("DROP TABLE districts_read"))
            connection.execute(text("CREATE INDEX ON districts_sorted USING brin (place)"))
            connection.execute(text("ANALYZE districts_sorted"))  # else it reads all each time
            progress(f"{citizens:,} citizens sorted")
        changed = sum(_taken_over(connection, citizens, at, progress))
    return Taken(citizens, changed, wrong.count, tuple(wrong.said))


def _told(path: Path, wrong: _Wrong) -> str:
    return (
        f"expected a number and a district in every line of {path.name}, found {wrong.count:,} "
        "wrong lines; correct them, or leave them out (--leave-out); nothing was changed\n  "
        + "\n  ".join(wrong.said)
    )


Row = tuple[str, str, int]


def _copy(connection: Connection, rows: Iterator[Row]) -> None:
    connection.execute(text(_READ))
    cursor = connection.connection.cursor()
    with cursor.copy("COPY districts_read FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _taken_over(
    connection: Connection, citizens: int, at: datetime, progress: Callable[[str], None]
) -> Iterator[int]:
    """Rows written of each portion."""
    for after in range(0, citizens, _PORTION):
        upto = min(after + _PORTION, citizens)
        with connection.begin():
            portion = {"after": after, "upto": upto, "at": at}
            yield connection.execute(text(_TAKEN_OVER), portion).rowcount
        if upto % _OFTEN == 0 or upto == citizens:
            progress(f"{upto:,} of {citizens:,} citizens compared")


def _rows(
    path: Path, names: Pseudonymiser, wrong: _Wrong, progress: Callable[[str], None]
) -> Iterator[Row]:
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            places = _places(next(reader, []))
            for fields in reader:
                line = reader.line_num
                if fields and (row := _row(fields, places, line, wrong)):
                    yield names.one("tel", row[0]), row[1], line
                if line % _OFTEN == 0:
                    progress(f"{line:,} lines read, {wrong.count:,} of them wrong")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DistrictError(
            f"expected {path.name} to be a CSV in UTF-8, found {type(error).__name__} after line "
            f"{line:,}; save it as CSV in UTF-8; nothing was changed"
        ) from None


def _places(heads: Sequence[str]) -> tuple[int, int]:
    """Where the columns are."""
    lost = [name for name in COLUMNS if name not in heads]
    if lost:
        raise DistrictError(
            f"expected the columns {', '.join(COLUMNS)}, found none named {', '.join(lost)}; "
            "name them in the first line"
        )
    return heads.index("number"), heads.index("district")


def _row(
    fields: Sequence[str], places: tuple[int, int], line: int, wrong: _Wrong
) -> tuple[str, str] | None:
    """Number and district; None of a line that is none, which is noted."""
    number, district = (fields[place] if place < len(fields) else None for place in places)
    at = "number"
    try:
        found = _PHONE.validate_python(number)
        at = "district"
        return found, _district(district)
    except ValidationError:
        given = number if at == "number" else district
        # found_in never shows what may be somebody's
        hidden = found_in(given and "*" * len(given))
        wrong.note(line, Problem(at, _EXPECTED[at], hidden, "correct the line"))
        return None


@lru_cache(maxsize=1_024)  # a city has some dozens
def _district(given: str | None) -> str:
    return _DISTRICT.validate_python(given)
