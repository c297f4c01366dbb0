"""The files a patrol plan is asked with: stations, and stops already made.

Either is a CSV with a header. What is wrong with one is told by its row, counted as a spreadsheet
does: the header is row 1.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from data.columns import TableError
from data.places import Extent
from data.problems import Problem, found_in
from features.grid import Grid
from models.patrol_inputs import Station

__all__ = ["read_stations", "read_visits"]

LONGEST_NAME = 64
MOST_UNITS = 1_000  # of one station


def read_stations(file: Path, city: Extent) -> tuple[Station, ...]:
    """Stations of a CSV with the columns ``name``, ``lon``, ``lat`` and ``units``, by default 1.

    Parameters
    ----------
    file : Path
        In UTF-8.
    city : Extent
        Where stations may lie.

    Raises
    ------
    TableError
        If it cannot be read, a row is wrong, two have one name, or there is none.
    """
    found: dict[str, Station] = {}
    for row in _rows(file, ("name", "lon", "lat"), ("units",)):
        station = Station(
            row.name(), row.number("lon"), row.number("lat"), row.count("units", MOST_UNITS, 1)
        )
        if station.name in found:
            row.wrong("name", "a name of its own", "that of an earlier row", "rename one of them")
        if (fault := city.fault(station.lon, station.lat)) is not None:
            row.refuse(city.problem(fault))
        found[station.name] = station
    if not found:
        raise TableError(f"expected stations in {file.name}, found only a header; add a row each")
    return tuple(found.values())


def read_visits(file: Path, grid: Grid) -> NDArray[np.int64]:
    """Stops already made in each cell, of a CSV with the columns ``cell`` and ``visits``.

    Rows of one cell add up.

    Returns
    -------
    int64 array, shape (n,)

    Raises
    ------
    TableError
        If it cannot be read, or a row is wrong.
    """
    at = {name: place for place, name in enumerate(grid.names())}
    made = np.zeros(len(grid), np.int64)
    for row in _rows(file, ("cell", "visits")):
        cell = at.get(row.cells["cell"])
        if cell is None:
            example = f"a cell of this map, such as {grid.name(0)}"
            row.wrong("cell", example, "another", "take it from the map")
        made[cell] += row.count("visits", 10_000)
    return made


@dataclass(frozen=True)
class _Row:
    """One row of a file, and where it stands."""

    file: str
    at: int
    cells: Mapping[str, str]

    def name(self) -> str:
        text = self.cells["name"]
        if not 0 < len(text) <= LONGEST_NAME or not text.isprintable():
            self.wrong("name", f"1 to {LONGEST_NAME} characters", found_in(text), "name the place")
        return text

    def number(self, column: str) -> float:
        text = self.cells[column]
        try:
            return float(text)
        except ValueError:
            self.wrong(column, "degrees such as 106.57", found_in(text), f"correct {column}")

    def count(self, column: str, most: int, absent: int | None = None) -> int:
        text = self.cells.get(column, "")
        if not text and absent is not None:
            return absent
        if not (text.isdecimal() and int(text) <= most):
            whole = f"a whole number from 0 to {most:,}"
            self.wrong(column, whole, found_in(text), f"correct {column}")
        return int(text)

    def wrong(self, column: str, expected: str, found: str, fix: str) -> NoReturn:
        self.refuse(Problem(column, expected, found, fix))

    def refuse(self, problem: Problem) -> NoReturn:
        raise TableError(f"{self.file}, row {self.at}: {problem}")


def _rows(file: Path, needed: Sequence[str], others: Sequence[str] = ()) -> Iterator[_Row]:
    """Rows that are not empty; of a row only the columns asked for."""
    reader = csv.reader(io.StringIO(_text(file), newline=""))
    header = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in needed if name not in header]:
        raise TableError(
            f"expected the columns {', '.join(needed)} in {file.name}, found none called "
            f"{missing[0]}; put the names into its first row"
        )
    places = {name: header.index(name) for name in (*needed, *others) if name in header}
    for cells in reader:
        if any(cell.strip() for cell in cells):
            padded = [*cells, *[""] * len(header)]
            yield _Row(
                file.name,
                reader.line_num,
                {name: padded[place].strip() for name, place in places.items()},
            )


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(
            f"expected a CSV file in UTF-8 in {file}, found none that can be read "
            f"({type(error).__name__}); save it as CSV UTF-8"
        ) from error
