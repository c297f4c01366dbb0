"""Incidents that happen on the simulated ground, each setting off others nearby soon after.

A self-exciting process: background incidents by place, season, weekday and hour, and near repeats
of near repeats. Citizens report some, more of them in one place than in another, with a delay.

References
----------
Mohler et al., "Self-exciting point process modeling of crime", JASA 106 (2011).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.incidents import INCIDENT_SCHEMA, Origin, Precision
from data.simulator.layout import lay_out
from data.simulator.places import (
    CATEGORIES,
    CELL_M,
    GENERATIONS,
    HOURS,
    NEAR_REPEAT_DAYS,
    NEAR_REPEAT_END_DAYS,
    NEAR_REPEAT_M,
    RHYTHM,
    WEEK,
    Places,
    PlacesCity,
)

__all__ = ["Happenings", "happen"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MINUTE_US = 60_000_000
EARLIER_WEEKS = 6  # simulated before the history, so that it begins with near repeats
# Hours from an incident to its report: median and log standard deviation (assumed).
DELAY_H, DELAY_SPREAD = 1.5, 1.4
LATEST_H = 24.0 * 60


@dataclass(frozen=True, eq=False)
class Happenings:
    """Everything that happened, in order of time. This is the truth: no model may see it.

    Attributes
    ----------
    occurred_us : int64 array, shape (m,)
        Microseconds since 1970, UTC.
    known_us : int64 array, shape (m,)
        When a citizen's report came in; -1 where nobody reported.
    category, cell : int64 arrays, shape (m,)
        Positions in `CATEGORIES` and in `places`.
    x, y : float64 arrays, shape (m,)
        Metres east and north of the city's centre.
    repeat : bool array, shape (m,)
        Whether another incident set it off.
    number : int64 array, shape (m,)
        Which of the city's incidents it is.
    """

    places: Places
    occurred_us: Ints
    known_us: Ints
    category: Ints
    cell: Ints
    x: Floats
    y: Floats
    repeat: NDArray[np.bool_]
    number: Ints

    def __len__(self) -> int:
        return len(self.occurred_us)

    @property
    def reported(self) -> NDArray[np.bool_]:
        """Which of them citizens reported."""
        return self.known_us >= 0

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> "Happenings":
        """Some of them."""
        return Happenings(
            self.places,
            self.occurred_us[rows],
            self.known_us[rows],
            self.category[rows],
            self.cell[rows],
            self.x[rows],
            self.y[rows],
            self.repeat[rows],
            self.number[rows],
        )

    def weeks(self, first: int, count: int = 1) -> "Happenings":
        """Those of some weeks of the history, counted from 0."""
        start = int(self.places.city.start.timestamp()) * 1_000_000
        edges = start + np.array([first, first + count]) * WEEK * DAY_US
        return self.take(slice(*np.searchsorted(self.occurred_us, edges)))

    def shift(self, starts: Sequence[int]) -> Ints:
        """Position of the shift each falls in, by the city's clock."""
        start = int(self.places.city.start.timestamp()) * 1_000_000
        hour = (self.occurred_us - start) % DAY_US // HOUR_US
        return np.asarray((np.searchsorted(starts, hour, side="right") - 1) % len(starts))

    def table(self) -> pa.Table:
        """What citizens reported, a table of `INCIDENT_SCHEMA` in order of arrival."""
        own = self.take(self.reported)
        own = own.take(np.argsort(own.known_us, kind="stable"))
        return own.as_known(own.known_us, Origin.REPORTED)

    def as_known(self, known_us: Ints, origin: Origin) -> pa.Table:
        """All of them as a table of `INCIDENT_SCHEMA`, known at such moments in such a way."""
        lon, lat = self.places.degrees(self.x, self.y)
        number = pc.utf8_lpad(pc.cast(pa.array(self.number), pa.string()), 9, "0")
        columns = {
            "incident_id": pc.binary_join_element_wise("sim", number, "-"),
            "occurred_at": _times(self.occurred_us),
            "known_at": _times(known_us),
            "category": _named(self.category, CATEGORIES),
            "lon": pa.array(lon),
            "lat": pa.array(lat),
            "origin": _alike(origin.value, len(self)),
            "precision": _alike(Precision.MINUTE.value, len(self)),
            "source": _alike("simulator", len(self)),
        }
        return pa.table(columns, schema=INCIDENT_SCHEMA)


def _times(moments: Ints) -> pa.Array:
    return pa.array(moments, pa.timestamp("us", tz="UTC"))


def _named(codes: Ints, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def _alike(name: str, rows: int) -> pa.Array:
    return _named(np.zeros(rows, np.int64), [name])


def happen(city: PlacesCity) -> Happenings:
    """Let a city's incidents happen.

    Examples
    --------
    >>> happened = happen(PlacesCity(days=28, cells=500, incidents_per_day=50))
    >>> reports = happened.table()
    >>> len(reports) < len(happened), reports["origin"][0].as_py()
    (True, 'reported')
    """
    places = lay_out(city)
    rng = city.random(21)
    born = _Points.joined(
        [_background(places, category, rng) for category in range(len(CATEGORIES))]
    )
    found = [born]
    for _ in range(GENERATIONS):
        born = _repeats(places, born, rng)
        found.append(born)
    return _settled(places, found, rng)


@dataclass(frozen=True, eq=False)
class _Points:
    """Incidents being drawn: day (and share of it passed), place, category, land use's rhythm."""

    day: Floats
    x: Floats
    y: Floats
    category: Ints
    rhythm: Ints

    @classmethod
    def joined(cls, parts: "Sequence[_Points]") -> "_Points":
        names = ("day", "x", "y", "category", "rhythm")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _background(places: Places, category: int, rng: np.random.Generator) -> _Points:
    rate = places.background[category]
    days = np.arange(-EARLIER_WEEKS * WEEK, places.city.days)
    by_day = rng.poisson(rate.sum() * places.calendar(days)[category])
    size = int(by_day.sum())
    cell = _drawn(rate, size, rng)
    rhythm = RHYTHM[category, places.use[cell]]
    return _Points(
        np.repeat(days, by_day) + _hours(rhythm, rng) / 24,
        (places.column[cell] + rng.random(size)) * CELL_M,
        (places.row[cell] + rng.random(size)) * CELL_M,
        np.full(size, category, np.int64),
        rhythm,
    )


def _repeats(places: Places, parents: _Points, rng: np.random.Generator) -> _Points:
    """What they set off: near in space, days later, at the hours usual for the place."""
    children = rng.poisson(np.array(places.city.near_repeat)[parents.category])
    of = np.repeat(np.arange(len(children)), children)
    moved = rng.normal(0, NEAR_REPEAT_M, (2, len(of)))
    within = 1 - np.exp(-NEAR_REPEAT_END_DAYS / NEAR_REPEAT_DAYS)
    later = -NEAR_REPEAT_DAYS * np.log1p(-within * rng.random(len(of)))
    x, y = parents.x[of] + moved[0], parents.y[of] + moved[1]
    rhythm = parents.rhythm[of]
    day = _after(parents.day[of], later, _hours(rhythm, rng) / 24)
    kept = (places.locate(x, y) >= 0) & (day < places.city.days)
    return _Points(day[kept], x[kept], y[kept], parents.category[of][kept], rhythm[kept])


def _after(parent: Floats, later: Floats, clock: Floats) -> Floats:
    """The day reached, at the hour drawn; a day on where that would be before the parent."""
    day = np.floor(parent + later) + clock
    return np.asarray(day + (day <= parent))


def _drawn(weight: Floats, size: int, rng: np.random.Generator) -> Ints:
    """Positions drawn by weight, sorted draws being several times as fast to look up."""
    total = np.cumsum(weight)
    found = np.searchsorted(total, np.sort(rng.random(size)) * total[-1], side="right")
    return rng.permutation(np.minimum(found, len(weight) - 1))


def _hours(rhythm: Ints, rng: np.random.Generator) -> Floats:
    """Hour of the day, whole minutes."""
    out = np.empty(len(rhythm))
    for one in range(len(HOURS)):
        rows = np.flatnonzero(rhythm == one)
        out[rows] = _drawn(HOURS[one], len(rows), rng)
    return np.asarray(out + rng.integers(0, 60, len(out)) / 60)


def _settled(places: Places, found: Sequence[_Points], rng: np.random.Generator) -> Happenings:
    """Those within the history, in order of time, and which of them are reported."""
    every = _Points.joined(found)
    repeat = np.arange(len(every.day)) >= len(found[0].day)
    inside = np.flatnonzero((every.day >= 0) & (every.day < places.city.days))
    rows = inside[np.argsort(every.day[inside], kind="stable")]
    category, x, y = every.category[rows], every.x[rows], every.y[rows]
    cell = places.locate(x, y)
    start = int(places.city.start.timestamp()) * 1_000_000
    occurred = start + np.rint(every.day[rows] * 24 * 60).astype(np.int64) * MINUTE_US
    delay = np.minimum(DELAY_H * rng.lognormal(0, DELAY_SPREAD, len(rows)), LATEST_H)
    known = occurred + (delay * 60).astype(np.int64) * MINUTE_US + MINUTE_US
    told = rng.random(len(rows)) < places.reporting[category, cell]
    return Happenings(
        places=places,
        occurred_us=occurred,
        known_us=np.where(told, known, -1),
        category=category,
        cell=cell,
        x=x,
        y=y,
        repeat=repeat[rows],
        number=np.arange(len(rows)),
    )
