"""Who sends patrols in the runaway study: ours, planted naive ones, and one told the truth.

Each week a pipeline says where stops go and is told what patrols found there. All begin with the
same table and differ only in what they read of it.

References
----------
Ensign et al., "Runaway feedback loops in predictive policing", FAT* 2018.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.incidents import Origin
from data.simulator.patrols import seen
from data.simulator.places import CATEGORIES
from data.tables import in_one_piece
from experiments.runaway_city import UNIT_STOPS, WEEK, City
from features.grid import Grid
from features.hotspot import Log, Panel
from models.hotspot import PRIOR, HotspotModel, Period, periods
from models.patrol import Cells, Constraints, greedy_plan
from models.usual_rate import UsualRate

__all__ = ["FULL", "NAIVE", "OURS", "PIPELINES", "Full", "Ours", "Pipeline", "allocate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAK = 0.2  # of what patrols find, filed as if a citizen had reported it (assumed)
OURS, NAIVE, MIXED = "ours", "naive: discovered only", "naive: all known"
CORRECTED, ORACLE = "discovered, corrected", "true rates"
LEAKY, FIRST = "ours, a fifth misfiled", "ours, patrols come first"
FULL = "ours, with trees and routes"


def allocate(expected: Floats, stops: int, cap: int) -> Ints:
    """Give stops out one by one, each where most incidents are expected for every stop given.

    Parameters
    ----------
    expected : float64 array, any shape
    stops : int
        How many there are; fewer are given where the cap leaves no room.
    cap : int
        Most in one place.

    Examples
    --------
    >>> allocate(np.array([6.0, 3.0, 1.0]), stops=10, cap=10).tolist()
    [6, 3, 1]
    >>> allocate(np.array([6.0, 3.0, 1.0]), stops=10, cap=4).tolist()
    [4, 4, 2]
    """
    weight = np.maximum(expected.ravel(), 1e-12)
    stops = min(stops, cap * weight.size)
    low, high = 0.0, (stops + weight.size) / weight.min()
    for _ in range(100):
        middle = (low + high) / 2
        fits = np.minimum(np.floor(weight * middle), cap).sum() <= stops
        low, high = (middle, high) if fits else (low, middle)
    given = np.minimum(np.floor(weight * low), cap).astype(np.int64)
    while (rest := stops - int(given.sum())) > 0:
        next_best = np.where(given < cap, weight / (given + 1), -1.0)
        best = np.argsort(-next_best, kind="stable")[:rest]
        given[best[next_best[best] > 0]] += 1
    return given.reshape(expected.shape)


class Pipeline(ABC):
    """Expects incidents for a week, sends patrols, and is told what they found.

    Parameters
    ----------
    city : City
    cap : int, optional
        Most stops a week of one cell and shift; by default there is none.
    first : bool
        Whether patrols are quicker than citizens in its city.
    """

    def __init__(self, city: City, cap: int | None = None, first: bool = False) -> None:
        self.city, self.first = city, first
        self.cap = city.stops if cap is None else cap

    @abstractmethod
    def expected(self, week: int) -> Floats:
        """Incidents expected, shape (shifts, cells), in any unit."""

    @abstractmethod
    def told(self, found: pa.Table, minutes: Floats) -> None:
        """Patrols went so many minutes in each day's shift and found this."""

    def stops(self, week: int) -> Ints:
        """Stops of the week's patrols, shape (shifts, cells)."""
        return allocate(self.expected(week), self.city.stops, self.cap)


class _Reading(Pipeline):
    """What ours have in common: all that is known goes into the log, reports come out of it."""

    def __init__(self, city: City, leak: float = 0.0, first: bool = False) -> None:
        super().__init__(city, city.plan.cap, first)
        self.leak, self.reports, self.found = leak, city.reports, [city.survey]
        # what was known before a day does not change afterwards
        self.panels: dict[int, Panel] = {}

    def told(self, found: pa.Table, minutes: Floats) -> None:
        del minutes
        if self.first:
            came = pc.is_in(self.reports["incident_id"], found["incident_id"].combine_chunks())
            self.reports = self.reports.filter(pc.invert(came))
        self.found.append(_misfiled(found, self.leak))

    def log(self, day: int, grid: Grid | None = None) -> Log:
        """What is known when a day begins; what was discovered does not come out."""
        known = in_one_piece([self.city.known(self.reports, day), *self.found])
        return Log.of(known, grid or self.city.grid, self.city.shifts, CATEGORIES)

    def expected(self, week: int) -> Floats:
        day = self.city.day(week)
        log = self.log(day)
        if week % self.city.plan.retrain == 0:
            self.fit(log, day)
        self.panels[day] = Panel(log, day)
        return np.asarray(self.rates(self.panels[day]).sum(axis=0))

    @abstractmethod
    def fit(self, log: Log, day: int) -> None:
        """Learn from the weeks before a day."""

    @abstractmethod
    def rates(self, panel: Panel) -> Floats:
        """Incidents expected by what was learnt last, shape (categories, shifts, cells)."""


class Ours(_Reading):
    """The usual rate of the hotspot model, fitted every few weeks."""

    def fit(self, log: Log, day: int) -> None:
        known = log.shifts.begin(log.shifts.date_of(day))
        starts = [day - WEEK * (back + 1) for back in range(self.city.plan.learn_from)]
        for start in starts:
            if start not in self.panels:
                self.panels[start] = Panel(log, start)
        past = [Period(self.panels[start], log.counts(start, WEEK, known)) for start in starts]
        self.usual = UsualRate.fit(
            [list(_pairs(past, category)) for category in range(len(CATEGORIES))], prior=PRIOR
        )

    def rates(self, panel: Panel) -> Floats:
        shifts, categories = range(len(panel.log.shifts)), range(len(CATEGORIES))
        return np.array(
            [
                [self.usual.of(one, panel.usual(one, shift)) for shift in shifts]
                for one in categories
            ]
        )


class Full(_Reading):
    """The whole hotspot model, and the route planner that sends units to its cells."""

    def __init__(self, city: City) -> None:
        super().__init__(city)
        places = city.reports["lon"].to_numpy(), city.reports["lat"].to_numpy()
        size = city.grid.size_m
        self.moved = [
            (city.grid.moved(*places, (x * size, y * size)), dict[int, Panel]())
            for x, y in city.plan.model.moves
        ]

    def fit(self, log: Log, day: int) -> None:
        config = self.city.plan.model
        logs = [(self.log(day, grid), panels) for grid, panels in self.moved]
        past = [periods(one, day, config, kept) for one, kept in [(log, self.panels), *logs]]
        self.model = HotspotModel.fit(past, config)

    def rates(self, panel: Panel) -> Floats:
        return self.model.forecast(panel).expected

    def stops(self, week: int) -> Ints:
        """One plan for each shift, until a cell of it has been visited often enough."""
        expected = self.expected(week)
        limits = Constraints(
            self.city.stations(),
            stop_minutes=self.city.plan.stop_minutes,
            max_stops_per_unit=UNIT_STOPS,
            visit_cap=self.cap,
        )
        made = np.zeros(expected.shape, np.int64)
        sound = np.ones(len(self.city.grid), bool)
        for visits, rates in zip(made, expected, strict=True):
            left = WEEK
            while left:
                cells = greedy_plan(Cells(self.city.grid, rates, sound, visits), limits).cells
                days = min(left, self.cap - int(visits[cells].max(initial=0)))
                visits[cells] += days
                left -= days
        return made


def _pairs(past: Sequence[Period], category: int) -> Iterator[tuple[Floats, Floats]]:
    for one in past:
        for shift in range(one.counts.shape[1]):
            yield (
                one.panel.usual(category, shift),
                one.counts[category, shift].astype(np.float64),
            )


def _misfiled(found: pa.Table, share: float) -> pa.Table:
    """Some of what patrols found, entered as if a citizen had called."""
    at = found.schema.get_field_index("origin")
    wrong = np.arange(len(found)) < share * len(found)
    codes = np.where(np.random.default_rng(len(found)).permutation(wrong), 1, 0).astype(np.int32)
    names = pa.array([Origin.DISCOVERED.value, Origin.REPORTED.value])
    return found.set_column(at, "origin", pa.DictionaryArray.from_arrays(pa.array(codes), names))


class _Counted(Pipeline):
    """The planted one: a count of everything it knows, whoever found it, and no cap."""

    def __init__(self, city: City, reports: bool) -> None:
        super().__init__(city)
        self.reports, self.total = reports, city.counted(city.survey)

    def expected(self, week: int) -> Floats:
        total = self.total
        if self.reports:
            known = self.city.known(self.city.reports, self.city.day(week))
            total = total + self.city.counted(known)
        return np.tile(total, (len(self.city.shifts), 1))

    def told(self, found: pa.Table, minutes: Floats) -> None:
        del minutes
        self.total = self.total + self.city.counted(found)


class _Corrected(Pipeline):
    """The same finds, set against the chance there was to find them (after Ensign et al.)."""

    def __init__(self, city: City) -> None:
        super().__init__(city)
        plan = city.plan
        even = np.full(len(city.grid), plan.stops * plan.stop_minutes / len(city.grid))
        self.total = city.counted(city.survey)
        self.looked = seen(even) * len(city.shifts) * plan.before

    def expected(self, week: int) -> Floats:
        del week
        mean = self.total.sum() / self.looked.sum()
        prior = 1.0  # one find's worth of the city's mean, so that a lucky cell is not believed
        rate = (self.total + prior) / (self.looked + prior / mean)
        return np.tile(rate, (len(self.city.shifts), 1))

    def told(self, found: pa.Table, minutes: Floats) -> None:
        self.total = self.total + self.city.counted(found)
        self.looked = self.looked + seen(minutes).sum(axis=0)


class _Oracle(Pipeline):
    """What the rule of allocation does when it is told the true rates."""

    def expected(self, week: int) -> Floats:
        return self.city.truth(week)

    def told(self, found: pa.Table, minutes: Floats) -> None:
        del found, minutes


PIPELINES: Mapping[str, Callable[[City], Pipeline]] = {
    OURS: Ours,
    FULL: Full,
    NAIVE: lambda city: _Counted(city, reports=False),
    MIXED: lambda city: _Counted(city, reports=True),
    CORRECTED: _Corrected,
    LEAKY: lambda city: Ours(city, leak=LEAK),
    FIRST: lambda city: Ours(city, first=True),
    ORACLE: _Oracle,
}
"""By name, in the table's order."""
