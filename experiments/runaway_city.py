"""One simulated city of the runaway study, and what everybody knows when its year begins."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.simulator.incident_process import Happenings, happen
from data.simulator.patrols import discovered
from data.simulator.places import CELL_M, PlacesCity
from features.grid import Grid
from features.shifts import Shifts
from models.hotspot import HotspotConfig
from models.patrol import Constraints, Station

__all__ = ["WEEK", "City", "Plan"]

Floats = NDArray[np.float64]
WEEK = 7
UNIT_STOPS = Constraints.max_stops_per_unit  # in a shift


@dataclass(frozen=True)
class Plan:
    """What one run does; the default is the one whose figures count.

    Parameters
    ----------
    city : PlacesCity
        Its days are `before` and `weeks`.
    seeds : tuple of int
        Cities simulated.
    before, weeks : int
        Weeks of history, and weeks in which patrols follow the map.
    stops : int
        Stops of all patrols in a shift.
    stop_minutes : float
        Length of a stop.
    cap : int
        Most stops a week of one cell and shift on our plan: one a day.
    learn_from, retrain : int
        Weeks our model learns from, and weeks between two fits.
    tolerance : float
        Largest drift of the distance that counts as standing still (our choice).
    full : int
        Of the cities, so many also have the whole model, trees and all, and the route planner.
    model : HotspotConfig
        How that one is grown; by default as the product grows it.
    """

    city: PlacesCity = field(default_factory=PlacesCity)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    before: int = 52
    weeks: int = 52
    stops: int = 240
    stop_minutes: float = 15.0
    cap: int = WEEK
    learn_from: int = 16
    retrain: int = 4
    tolerance: float = 0.03
    full: int = 1
    model: HotspotConfig = field(default_factory=HotspotConfig)

    @classmethod
    def quick(cls) -> "Plan":
        """Return small cities and half a year: for the table's shape, never for its figures."""
        model = cls().model
        return cls(
            city=PlacesCity(cells=400, incidents_per_day=60),
            seeds=(1, 2, 3, 4),
            before=26,
            weeks=26,
            stops=80,
            learn_from=6,
            model=replace(model, periods=12, recipe=replace(model.recipe, rounds=30)),
        )


@dataclass(frozen=True, eq=False)
class City:
    """What happens there, and what is known of it before patrols follow any map.

    Attributes
    ----------
    happened : Happenings
        The truth; no pipeline but the oracle's sees it.
    reports : Table
        What citizens report in both years.
    survey : Table
        What patrols found in the first, spread evenly.
    """

    plan: Plan
    happened: Happenings
    grid: Grid
    shifts: Shifts
    reports: pa.Table
    survey: pa.Table

    @classmethod
    def of(cls, plan: Plan, seed: int) -> "City":
        """Simulate it."""
        days = (plan.before + plan.weeks) * WEEK
        happened = happen(replace(plan.city, seed=seed, days=days))
        places, shifts = happened.places, Shifts()
        grid = Grid.over(*places.centres(), CELL_M, centre=places.centre)
        even = np.full((len(shifts), len(grid)), plan.stops * plan.stop_minutes / len(grid))
        past = happened.weeks(0, plan.before)
        survey = discovered(past, even, shifts.starts, places.city.random(30))
        return cls(plan, happened, grid, shifts, happened.table(), survey)

    @property
    def stops(self) -> int:
        """Stops of a week."""
        return self.plan.stops * len(self.shifts) * WEEK

    def day(self, week: int) -> int:
        """First day of a week of the patrolled year, since 1970."""
        return Shifts.number_of(self.happened.places.city.first_day) + WEEK * (
            self.plan.before + week
        )

    def truth(self, week: int) -> Floats:
        """Expected incidents, shape (shifts, cells)."""
        found = self.happened.places.expected(self.plan.before + week, self.shifts.starts)
        return np.asarray(found.sum(axis=0))

    def find(self, week: int, minutes: Floats, first: bool) -> pa.Table:
        """What patrols come upon in a week; every pipeline meets the same luck."""
        happened = self.happened.weeks(self.plan.before + week)
        rng = self.happened.places.city.random(31, week)
        return discovered(happened, minutes, self.shifts.starts, rng, first=first)

    def known(self, reports: pa.Table, day: int) -> pa.Table:
        """Reports known when a day begins."""
        begin = pa.scalar(self.shifts.begin(Shifts.date_of(day)), pa.timestamp("us", tz="UTC"))
        return reports.filter(pc.less(reports["known_at"], begin))

    def counted(self, table: pa.Table) -> Floats:
        """Incidents of a table in each cell."""
        at = self.grid.place(table["lon"].to_numpy(), table["lat"].to_numpy())
        return np.asarray(np.bincount(at, minlength=len(self.grid)), np.float64)

    def stations(self) -> tuple[Station, ...]:
        """Stations of units that make a shift's stops, one each, in districts far and near."""
        places, (lon, lat) = self.happened.places, self.happened.places.centres()
        there = np.unique(places.district)
        units = -(-self.plan.stops // UNIT_STOPS)
        chosen = there[np.linspace(0, len(there) - 1, units).round().astype(int)]
        return tuple(
            Station(places.districts[at], float(lon[own].mean()), float(lat[own].mean()))
            for at, own in ((at, places.district == at) for at in chosen.tolist())
        )
