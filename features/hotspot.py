"""What is known of a place before a forecast: its own past, its surroundings', its other troubles.

A `Log` holds reported incidents by cell, category and shift; a `Panel` what was known of all cells
at the begin of one forecast. Every number is a rate of incidents in a period as long as the
forecast's: a *memory* says how incidents count by their age (all alike, fading over six weeks, the
same season of past years), a *spread* how far around the cell they count. For the trees each rate
is set against the cell's usual one, since what moves a forecast is a deviation from it.

References
----------
Mohler et al., "Self-exciting point process modeling of crime", JASA 106 (2011): rates that fade.
Bowers, Johnson, Pease, "Prospective hot-spotting", British Journal of Criminology 44 (2004).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from data.incidents import Origin
from features.covariates import Covariates, columns_of
from features.grid import Grid
from features.hotspot_kernels import add_around, add_up, spread_of_incidents
from features.memories import MEMORIES, YEAR, Memory
from features.shifts import Shifts

__all__ = ["DATED", "SPREADS", "STANDS", "Column", "Log", "Panel", "reported"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
SPREADS = (0.0, 0.5, 1.2, 2.4, 4.8)  # standard deviations of a Gaussian, in cells
NEAR = 1  # the spread around incidents' exact places; the wider ones are around their cells
STEPS = 16  # of the lattice on which an incident lies in its cell: 8 m in cells of 250 m
WIDE = [0, 2, 4]  # spreads used for other categories
LASTING = ("all", "fading_20w")  # memories in which single categories are looked at
SPOT_M = 1.0  # incidents closer than this are at one spot
FAINT = 0.02  # incidents a week, added to both sides of a ratio so that noise stays small
WEEK = 7
STANDS, DATED = "place", "date"
SHRUNK = 28  # days of the city's mean added to a cell's own
LEAST = 1e-6  # incidents in a period where a city has seen none of a kind


class Column(NamedTuple):
    """What a column of the trees' input says.

    Attributes
    ----------
    who
        ``own`` category, ``others`` together, one category by name, or ``spots``.
    when
        ``shift`` (this shift only), ``day`` (all shifts), ``place`` (what stands there), ``date``
        (the time of the year), or the position of a shift.
    memory
        Name of the memory.
    spread
        Position in `SPREADS`.
    """

    who: str
    when: str
    memory: str
    spread: int

    @property
    def name(self) -> str:
        """Derived, never typed."""
        return f"{self.who}|{self.when}|{self.memory}|{SPREADS[self.spread]:g}"


@dataclass(frozen=True, eq=False)
class Log:
    """Reported incidents inside a grid's cells, in order of day.

    Attributes
    ----------
    cell, category, shift, day : arrays of shape (m,)
        Position of the cell, of the category, of the shift; day of the shift since 1970.
    known_us : int64 array of shape (m,)
        When it was learnt, microseconds since 1970.
    x_m, y_m : float64 arrays of shape (m,)
        Where it was, metres in the grid's projection.
    spot : int32 array of shape (m,)
        Exact place; incidents at one address share it.
    covariates : Covariates, optional
        What stands in and around each cell.
    """

    grid: Grid
    shifts: Shifts
    categories: tuple[str, ...]
    cell: NDArray[np.int32]
    category: NDArray[np.int16]
    shift: NDArray[np.int16]
    day: NDArray[np.int32]
    known_us: Ints
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    spot: NDArray[np.int32]
    covariates: Covariates | None = None

    @classmethod
    def of(
        cls,
        table: pa.Table,
        grid: Grid,
        shifts: Shifts,
        categories: Sequence[str] | None = None,
        places: pa.Table | None = None,
    ) -> "Log":
        """Read a table of `INCIDENT_SCHEMA`; what patrols discovered is left out.

        Parameters
        ----------
        categories : sequence of str, optional
            By default those of the table, the most frequent first.
        places : Table, optional
            What stands where, see `Covariates.of`.
        """
        kept = reported(table)
        name = kept["category"].cast(pa.string())
        categories = tuple(categories) if categories is not None else by_frequency(name)
        code = pc.index_in(name, pa.array(categories, pa.string())).fill_null(-1)
        category = code.to_numpy().astype(np.int16)
        moments = pd.DatetimeIndex(kept["occurred_at"].to_pandas())
        day, shift = shifts.of(moments)
        lon, lat = kept["lon"].to_numpy(), kept["lat"].to_numpy()
        cell = grid.place(lon, lat)
        x, y = grid.metres(lon, lat)
        spot = _spots(x, y)
        known = kept["known_at"].cast(pa.int64()).to_numpy()
        order = np.lexsort((known, day))
        order = order[(cell[order] >= 0) & (category[order] >= 0)]
        cell, category, day, spot = cell[order], category[order], day[order], spot[order]
        return cls(
            grid=grid,
            shifts=shifts,
            categories=categories,
            cell=cell.astype(np.int32),
            category=category,
            shift=shift[order].astype(np.int16),
            day=day.astype(np.int32),
            known_us=known[order],
            x_m=x[order],
            y_m=y[order],
            spot=spot.astype(np.int32),
            covariates=None if places is None else Covariates.of(places, grid),
        )

    def __len__(self) -> int:
        return len(self.cell)

    @property
    def first_day(self) -> int:
        """Day of the first incident."""
        return int(self.day[0]) if len(self) else 0

    @cached_property
    def kind(self) -> NDArray[np.int16]:
        """Category and shift as one number."""
        return (self.category * len(self.shifts) + self.shift).astype(np.int16)

    @cached_property
    def inside(self) -> NDArray[np.uint8]:
        """Where in its cell each incident lies: steps east and north of a lattice, shape (m, 2)."""
        both = np.stack(self.grid.inside(self.x_m, self.y_m), axis=1)
        return (both * STEPS).astype(np.uint8)

    @cached_property
    def around(self) -> NDArray[np.int32]:
        """Each cell among those around it, row by row from the south-west, shape (cells, 9)."""
        steps = [(east, north) for north in (-1, 0, 1) for east in (-1, 0, 1)]
        found = [self.grid.neighbour(east, north) for east, north in steps]
        return np.stack(found, axis=1).astype(np.int32)

    @property
    def kinds(self) -> int:
        """How many categories times shifts there are."""
        return len(self.categories) * len(self.shifts)

    def counts(self, first: int, days: int, known_before: datetime | None = None) -> Floats:
        """Incidents of some days, shape (categories, shifts, cells)."""
        rows = slice(*np.searchsorted(self.day, [first, first + days]))
        known = self._known(known_before)[rows] if known_before else slice(None)
        cells = len(self.grid)
        at = self.kind[rows].astype(np.int64) * cells + self.cell[rows]
        total = np.bincount(at[known], minlength=self.kinds * cells).astype(np.float32)
        return total.reshape(len(self.categories), len(self.shifts), cells)

    def before(self, day: int, known_before: datetime | None = None) -> NDArray[np.int64]:
        """Rows of the days before one, as far as they were known then."""
        rows = np.arange(np.searchsorted(self.day, day))
        moment = known_before or self.shifts.begin(Shifts.date_of(day))
        return rows[self._known(moment)[rows]]

    def _known(self, before: datetime) -> NDArray[np.bool_]:
        return self.known_us < int(before.timestamp() * 1_000_000)


class Panel:
    """What was known of every cell when a forecast begins.

    Parameters
    ----------
    log : Log
    day : int
        First day of the forecast, since 1970.
    horizon_days : int
        Length of the forecast.
    known_before : datetime, optional
        Only what was learnt before; the begin of `day` by default.
    """

    def __init__(
        self, log: Log, day: int, horizon_days: int = WEEK, known_before: datetime | None = None
    ) -> None:
        self.log, self.day, self.horizon_days = log, day, horizon_days
        rows = log.before(day, known_before)
        # of what was known then: a report of older days that came later must not stretch it
        self.history_days = max(day - int(log.day[rows].min(initial=day)), 1)
        self._faint = FAINT * horizon_days / WEEK / len(log.shifts)
        self._rates = self._spread(*self._summed(rows))
        self._spots = self._spot_rates(rows)

    def rates(self, category: int, shift: int | None = None) -> Floats:
        """Rates of one category in one shift or in all, shape (spreads, memories, cells)."""
        own = self._rates[:, category]
        return own.sum(axis=1) if shift is None else own[:, shift]

    def means(self) -> NDArray[np.float64]:
        """Mean of a period since records began, shape (categories, shifts, cells), above 0.

        Four weeks of the city's mean are added to each cell's own: no record is no promise of none.
        """
        own = self._rates[0, :, :, _at("all")].astype(np.float64)
        city = np.maximum(own.mean(axis=2, keepdims=True), LEAST)
        return np.asarray((own * self.history_days + city * SHRUNK) / (self.history_days + SHRUNK))

    def usual(self, category: int, shift: int) -> NDArray[np.float64]:
        """Columns of the usual rate, shape (cells, `USUAL`), all rates of the coming period."""
        own, day = self.rates(category, shift), self.rates(category) / len(self.log.shifts)
        rest = (self._rates.sum(axis=(1, 2)) - self.rates(category)) / len(self.log.shifts)
        found = {"own": own, "day": day, "others": rest}
        columns = [found[who][spread, _at(memory)] for who, memory, spread in USUAL]
        return np.stack([*columns, np.full(len(self.log.grid), own[0, 0].mean())], 1).astype(float)

    def columns(self, category: int, shift: int, cells: Ints, usual: NDArray[np.float64]) -> Floats:
        """The trees' input for some cells.

        Parameters
        ----------
        cells : array of int64, shape (n,)
            Positions.
        usual : array of shape (n,)
            Usual rate of each of them, above 0.

        Returns
        -------
        array of float32, shape (n, len(layout(categories, shifts, covariates)))
        """
        shifts = len(self.log.shifts)
        base = usual.astype(np.float32)
        out = [np.log(base), *self._codes(category, shift, len(cells))]
        out.extend(_against(row, base, self._faint) for row in self._own(category, shift, cells))
        day = base * shifts
        faint = self._faint * shifts
        out.extend(_against(row, day, faint) for row in self._around(category, shift, cells))
        out.extend(self._standing(cells))
        return np.stack(out, axis=1)

    def _codes(self, category: int, shift: int, rows: int) -> Iterator[Floats]:
        yield np.full(rows, category, np.float32)
        yield np.full(rows, shift, np.float32)
        angle = 2 * np.pi * (self.day + self.horizon_days / 2) / YEAR
        yield np.full(rows, np.sin(angle), np.float32)
        yield np.full(rows, np.cos(angle), np.float32)

    def _own(self, category: int, shift: int, cells: Ints) -> Iterator[Floats]:
        yield from self.rates(category, shift)[:, :, cells].reshape(-1, len(cells))

    def _around(self, category: int, shift: int, cells: Ints) -> Iterator[Floats]:
        """Rates of all shifts: this category, others, each, and how they lie on spots."""
        shifts = len(self.log.shifts)
        own = self.rates(category)[WIDE][:, :, cells]
        everything = self._rates[WIDE][..., cells].sum(axis=1)
        if shifts > 1:
            yield from own.reshape(-1, len(cells))
            lasting = [_at(name) for name in LASTING]
            rest = everything[:, shift] - self.rates(category, shift)[WIDE][:, :, cells]
            yield from rest[:, lasting].reshape(-1, len(cells)) * shifts
            yield from self._hours(category, cells)
        yield from (everything.sum(axis=1) - own).reshape(-1, len(cells))
        for other in range(len(self.log.categories)):
            each = self.rates(other)[:, :, cells]
            yield from (each[spread, _at(name)] for name in LASTING for spread in (0, 2))
        yield from self._spots[:, category][:, cells]

    def _hours(self, category: int, cells: Ints) -> Iterator[Floats]:
        """Rates on record of each shift, as if of whole days: this category and the others."""
        shifts = len(self.log.shifts)
        every = self._rates[0, :, :, _at("all")][..., cells] * shifts
        yield from every[category]
        yield from every.sum(axis=0) - every[category]

    def _standing(self, cells: Ints) -> Iterator[Floats]:
        """What stands in and around the cells."""
        if self.log.covariates is not None:
            yield from np.log1p(np.maximum(self.log.covariates.values[:, cells], 0))

    def _summed(self, rows: Ints) -> tuple[Floats, Floats]:
        """Rates in each cell, and near it, shape (categories, shifts, memories, cells) each."""
        weights = self._weights()
        log = self.log
        here, near = np.zeros((2, log.kinds, len(log.grid), len(MEMORIES)), np.float32)
        age = (self.day - log.day[rows]).astype(np.int32)
        cell, kind = log.cell[rows], log.kind[rows]
        add_up(cell, kind, age, weights, here)
        add_around(cell, kind, age, log.inside[rows], weights, SHARES, log.around, near)
        shape = (len(log.categories), len(log.shifts), len(log.grid), -1)
        return np.moveaxis(here.reshape(shape), 3, 2), np.moveaxis(near.reshape(shape), 3, 2)

    def _weights(self) -> Floats:
        """Weight of an incident by its age, so that sums are incidents in a coming period."""
        ages = np.arange(self.history_days + 1)
        return np.stack([self._weight(memory, ages) for memory in MEMORIES], 1).astype(np.float32)

    def _weight(self, memory: Memory, ages: Ints) -> NDArray[np.float64]:
        weight = memory.weight(ages, self.horizon_days)
        return np.asarray(weight * self.horizon_days / max(weight[1:].sum(), 1e-9))

    def _spread(self, here: Floats, near: Floats) -> Floats:
        """The same further around, shape (spreads, categories, shifts, memories, cells)."""
        grid = self.log.grid
        columns, rows = grid.columns - grid.columns.min(), grid.rows - grid.rows.min()
        shape = (int(rows.max()) + 1, int(columns.max()) + 1)
        out = np.empty((len(SPREADS), *here.shape), np.float32)
        out[0], out[NEAR] = here, near
        plane = np.zeros(shape, np.float32)
        for place in np.ndindex(*out.shape[1:4]):
            plane[rows, columns] = out[(0, *place)]
            for spread, sd in list(enumerate(SPREADS))[NEAR + 1 :]:
                around = gaussian_filter(plane, sd, mode="constant", truncate=3.0)
                out[(spread, *place)] = around[rows, columns]
        return out

    def _spot_rates(self, rows: Ints) -> Floats:
        """How a category's incidents lie on spots and weeks, shape (3, categories, cells)."""
        log = self.log
        found = np.zeros((3, len(log.categories), len(log.grid)), np.float32)
        week = ((log.day[rows] - self.day + self.history_days) // WEEK).astype(np.int32)
        spots = int(log.spot.max(initial=-1)) + 1
        spread_of_incidents(log.spot[rows], log.category[rows], log.cell[rows], week, spots, found)
        per_period = self.horizon_days / self.history_days
        return (found.astype(np.float64) * per_period).astype(np.float32)


USUAL: tuple[tuple[str, str, int], ...] = (
    ("own", "all", 0),
    ("own", "fading_6w", 0),
    ("own", "fading_20w", 0),
    ("own", "season", 0),
    ("own", "all", 1),
    ("own", "all", 2),
    ("own", "fading_6w", 1),
    ("own", "fading_20w", 3),
    ("day", "all", 0),
    ("day", "fading_20w", 0),
    ("day", "all", 2),
    ("others", "all", 0),
    ("others", "fading_20w", 0),
)
"""Columns from which the usual rate is mixed: who, memory, spread; the city's mean comes last."""


def layout(
    categories: Sequence[str], shifts: int, covariates: Sequence[str] = ()
) -> tuple[Column, ...]:
    """What each column of `Panel.columns` says, in order."""
    every = range(len(SPREADS))
    memories = [memory.name for memory in MEMORIES]
    found = [Column("usual", "shift", "all", 0), Column("category", "day", "all", 0)]
    found += [Column("shift", "shift", "all", 0)]
    found += [Column(who, DATED, "all", 0) for who in ("year_sin", "year_cos")]
    found += [Column("own", "shift", memory, spread) for spread in every for memory in memories]
    if shifts > 1:
        found += [Column("own", "day", memory, spread) for spread in WIDE for memory in memories]
        found += [Column("others", "shift", memory, at) for at in WIDE for memory in LASTING]
        hours = [str(shift) for shift in range(shifts)]
        found += [Column(who, hour, "all", 0) for who in ("own", "others") for hour in hours]
    found += [Column("others", "day", memory, at) for at in WIDE for memory in memories]
    for name in categories:
        found += [Column(name, "day", memory, spread) for memory in LASTING for spread in (0, 2)]
    found += [Column(who, "day", "all", 0) for who in ("largest_spot", "weeks", "spots")]
    found += [Column(name, STANDS, "all", spread) for name, spread in columns_of(covariates)]
    return tuple(found)


def reported(table: pa.Table) -> pa.Table:
    """Incidents that citizens reported: what patrols discovered shapes no map, nor its area."""
    return table.filter(pc.equal(table["origin"].cast(pa.string()), Origin.REPORTED.value))


def by_frequency(category: pa.ChunkedArray) -> tuple[str, ...]:
    """Names in a column, the most frequent first, equals in order of the alphabet."""
    counted = [(-pair["counts"], pair["values"]) for pair in pc.value_counts(category).to_pylist()]
    return tuple(name for _, name in sorted(counted))


def _against(rate: Floats, base: Floats, faint: float) -> Floats:
    ratio: Floats = np.log((rate + np.float32(faint)) / (base + np.float32(faint)))
    return ratio


def _shares() -> Floats:
    """What falls to the cell before, the own and the next, from each step, shape (STEPS, 3)."""
    steps = (np.arange(STEPS) + 0.5) / STEPS
    below = norm.cdf((np.arange(-1, 3) - steps[:, None]) / SPREADS[NEAR])
    share = np.diff(below, axis=1)
    return np.asarray(share / share.sum(axis=1, keepdims=True), np.float32)


SHARES = _shares()


def _at(memory: str) -> int:
    return next(at for at, one in enumerate(MEMORIES) if one.name == memory)


def _spots(x: NDArray[np.float64], y: NDArray[np.float64]) -> Ints:
    """Number of the exact place of each point."""
    both = np.stack([np.rint(x / SPOT_M), np.rint(y / SPOT_M)], 1).astype(np.int64)
    _, spot = np.unique(both, axis=0, return_inverse=True)
    return spot.reshape(-1)
