"""A day's risk surface: expected incidents per category, shift and cell, how sure, and why.

A surface is computed once and kept as two files, a Parquet table and a JSON page; whoever serves
it needs no incidents and no model.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.grid import Grid
from features.shifts import Shifts

__all__ = ["Layer", "Surface", "SurfaceError"]

Floats = NDArray[np.float64]
Ranks = NDArray[np.int32]
Shares = NDArray[np.float32]
TABLE, PAGE = "surface.parquet", "surface.json"
FORM = "forewarn-surface/3"  # 3: a certificate for each category
TRIES, PAUSE_S = 10, 0.01  # while somebody is replacing the files, one after the other
NUMBERS = ("expected", "low", "high", "usual")
CERTIFIED = ("rank_low", "rank_high")


class SurfaceError(ValueError):
    """A surface that cannot be used as asked."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One shift's map for one category, or for all together.

    Attributes
    ----------
    expected, low, high, usual : float64 arrays, shape (n,)
        Incidents expected in the shift, the interval of the rate, and what the past alone says.
    order : int64 array, shape (n,)
        Cells by expected count, the highest first.
    rank : int64 array, shape (n,)
        Rank of each cell, 1 the highest.
    rank_low, rank_high : int32 arrays, shape (n,)
        Best and worst rank on this map when the grid is moved, turned and resized.
    share_in_top : mapping of coverage to float32 array, shape (n,)
        Share of those grids in which the cell lies in the top of that coverage.
    """

    expected: Floats
    low: Floats
    high: Floats
    usual: Floats
    order: NDArray[np.int64]
    rank: NDArray[np.int64]
    rank_low: Ranks
    rank_high: Ranks
    share_in_top: Mapping[float, Shares]

    def top(self, coverage: float) -> NDArray[np.int64]:
        """Cells of the top share of the area, the highest first, at least one.

        Raises
        ------
        SurfaceError
            If the coverage is not above 0 and at most 1.
        """
        if not 0 < coverage <= 1:
            raise SurfaceError(
                f"expected a coverage above 0 and at most 1, found {coverage:g}; 0.01 is 1 %"
            )
        return self.order[: max(1, round(coverage * len(self.order)))]

    def stable(self, coverage: float, threshold: float = 0.8) -> NDArray[np.bool_]:
        """Which cells keep their place in the top, at the nearest coverage kept, shape (n,)."""
        nearest = min(self.share_in_top, key=lambda kept: abs(kept - coverage))
        return self.share_in_top[nearest] >= threshold


@dataclass(frozen=True, eq=False)
class Surface:
    """Expected incidents of one day.

    Parameters
    ----------
    grid : Grid
    shifts : Shifts
    day : date
        Day on which the shifts begin, by the city's clock.
    as_of : datetime
        Only what was known before went in.
    categories : tuple of str
    model : str
        Version of the model.
    expected, low, high, usual : float64 arrays, shape (categories, shifts, cells)
    rank_low, rank_high : int32 arrays, shape (categories + 1, shifts, cells)
        The certificate of each category's map, and last of all together.
    share_in_top : mapping of coverage to float32 array, shape (categories + 1, shifts, cells)
        The same.
    reasons : mapping of (category, shift, cell) positions to sentences ((zh, en), ...)
        Of the highest cells.
    """

    grid: Grid
    shifts: Shifts
    day: date
    as_of: datetime
    categories: tuple[str, ...]
    model: str
    expected: Floats
    low: Floats
    high: Floats
    usual: Floats
    rank_low: Ranks
    rank_high: Ranks
    share_in_top: Mapping[float, Shares]
    reasons: Mapping[tuple[int, int, int], Sequence[tuple[str, str]]] = field(default_factory=dict)

    def layer(self, shift: int, category: str | None = None) -> Layer:
        """One shift's map, of one category or of all together.

        Raises
        ------
        SurfaceError
            If there is no such shift or category.
        """
        if not 0 <= shift < len(self.shifts):
            raise SurfaceError(
                f"expected a shift from 0 to {len(self.shifts) - 1}, found {shift}; "
                f"they are {', '.join(self.shifts.names)}"
            )
        at = self._which(category)
        numbers = {name: self._chosen(getattr(self, name)[:, shift], at) for name in NUMBERS}
        order = np.argsort(-numbers["expected"], kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(1, len(order) + 1)
        return Layer(
            **numbers,
            order=order,
            rank=rank,
            rank_low=self.rank_low[at, shift],
            rank_high=self.rank_high[at, shift],
            share_in_top={cover: share[at, shift] for cover, share in self.share_in_top.items()},
        )

    def position(self, cell: str) -> int:
        """Position of a cell by its name.

        Raises
        ------
        SurfaceError
            If no cell of the city bears it.
        """
        size, *place = cell.split(":")
        try:
            column, row = (int(part) for part in place)
            found = np.flatnonzero((self.grid.columns == column) & (self.grid.rows == row))
        except ValueError:
            found = np.empty(0, np.int64)
        if len(found) != 1 or size != f"{self.grid.size_m:g}":
            raise SurfaceError(
                "expected the name of a cell of this map, such as "
                f"{self.grid.name(0)!r}, found another; take it from the map"
            )
        return int(found[0])

    def save(self, folder: Path) -> Path:
        """Write the surface; who loads it meanwhile gets the old one or the new one, whole."""
        partial = folder.with_name(f".{folder.name}.part")
        partial.mkdir(parents=True, exist_ok=True)
        pq.write_table(self._table(), partial / TABLE, compression="zstd")
        page = {**self._page(), "table": _digest((partial / TABLE).read_bytes())}
        (partial / PAGE).write_text(json.dumps(page, ensure_ascii=False), "utf-8")
        if folder.exists():
            for name in (TABLE, PAGE):
                (partial / name).replace(folder / name)
            partial.rmdir()
        else:
            partial.rename(folder)
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Surface":
        """Read what `save` wrote.

        Raises
        ------
        SurfaceError
            If there is none, or it is not one of ours.
        """
        try:
            found = _whole(folder)
            if found is not None:
                page, table = found
                return cls._opened(page, pq.read_table(pa.BufferReader(table)))
        except (OSError, LookupError, TypeError, ValueError, pa.ArrowException) as error:
            raise SurfaceError(
                f"expected a surface in {folder.name}, found none that can be read "
                f"({type(error).__name__}); make it again with forewarn hotspots"
            ) from error
        raise SurfaceError(
            f"expected a whole surface of form {FORM} in {folder.name}, found another; "
            "make it again with forewarn hotspots"
        )

    @classmethod
    def _opened(cls, page: Mapping[str, Any], table: pa.Table) -> "Surface":
        grid = Grid.from_dict(page["grid"])
        shifts = Shifts(tuple(page["shifts"]), page["zone"])
        shape = (len(page["categories"]) + 1, len(shifts), len(grid))
        numbers = {name: table[name].to_numpy().reshape(shape)[:-1] for name in NUMBERS}
        certified = {name: table[name].to_numpy().reshape(shape) for name in CERTIFIED}
        shares = {
            cover: table[f"share_in_top_{cover:g}"].to_numpy().reshape(shape)
            for cover in page["coverages"]
        }
        return cls(
            grid=grid,
            shifts=shifts,
            day=date.fromisoformat(page["day"]),
            as_of=datetime.fromisoformat(page["as_of"]),
            categories=tuple(page["categories"]),
            model=page["model"],
            **numbers,
            **certified,
            share_in_top=shares,
            reasons={
                tuple(entry["at"]): tuple((zh, en) for zh, en in entry["said"])
                for entry in page["reasons"]
            },
        )

    def _which(self, category: str | None) -> int:
        """Position of a category's certificate; all together come last."""
        if category is None:
            return len(self.categories)
        if category not in self.categories:
            raise SurfaceError(
                f"expected one of {', '.join(self.categories)}, found another category; "
                "leave it out for all together"
            )
        return self.categories.index(category)

    def _chosen(self, numbers: Floats, at: int) -> Floats:
        return np.asarray(numbers[at] if at < len(self.categories) else _summed(numbers))

    def _table(self) -> pa.Table:
        """Every number, a row for each category, shift and cell, then for all together."""
        columns: dict[str, NDArray[Any]] = {}
        for name in NUMBERS:
            numbers = getattr(self, name)
            columns[name] = np.concatenate([numbers, _summed(numbers)[None]]).ravel()
        for name in CERTIFIED:
            columns[name] = getattr(self, name).ravel()
        for cover, share in self.share_in_top.items():
            columns[f"share_in_top_{cover:g}"] = share.ravel()
        return pa.table(columns)

    def _page(self) -> dict[str, Any]:
        return {
            "form": FORM,
            "day": self.day.isoformat(),
            "as_of": self.as_of.isoformat(),
            "model": self.model,
            "categories": list(self.categories),
            "shifts": list(self.shifts.starts),
            "zone": self.shifts.zone,
            "coverages": list(self.share_in_top),
            "grid": self.grid.as_dict(),
            "reasons": [
                {"at": list(at), "said": [list(pair) for pair in said]}
                for at, said in self.reasons.items()
            ],
        }


def _summed(numbers: Floats) -> Floats:
    """All categories together; of their intervals the ends add up, which is on the safe side."""
    return np.asarray(numbers.sum(axis=0))


def _whole(folder: Path) -> tuple[Mapping[str, Any], bytes] | None:
    """The page and the table that is its own; while one of the two is newer, look again."""
    for _ in range(TRIES):
        with (folder / PAGE).open("rb") as first, (folder / TABLE).open("rb") as second:
            page, table = json.loads(first.read()), second.read()
        if not isinstance(page, dict) or page.get("form") != FORM:
            return None
        if page.get("table") == _digest(table):
            return page, table
        time.sleep(PAUSE_S)
    return None


def _digest(table: bytes) -> str:
    return hashlib.sha256(table).hexdigest()
