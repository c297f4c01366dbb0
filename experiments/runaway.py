"""A year in which patrols follow the map and the map learns from patrols: which pipeline runs away.

Everything here is simulated (`data.simulator`). Each week a pipeline expects incidents from what it
knows, the same budget of stops goes where it expects most, and patrols come upon some incidents
that nobody reported. All pipelines begin with the same table: a year of citizens' reports, and
what patrols found in that year while they were spread evenly. They differ only in what they read.

References
----------
Ensign et al., "Runaway feedback loops in predictive policing", FAT* 2018.
Lum, Isaac, "To predict and serve?", Significance 13 (2016).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import t as student

from data.incidents import Origin
from data.simulator.incident_process import Happenings, happen
from data.simulator.patrols import discovered, seen
from data.simulator.places import CATEGORIES, CELL_M, PlacesCity
from data.tables import in_one_piece
from experiments.result import Result
from features.grid import Grid
from features.hotspot import Log, Panel
from features.shifts import Shifts
from models.exposure import exposure
from models.hotspot import PRIOR, Period
from models.usual_rate import UsualRate

__all__ = ["Plan", "Spread", "Years", "allocate", "gini", "result", "run", "simulate_years"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[str], None]
WEEK = 7
LEAK = 0.2  # of what patrols find, filed as if a citizen had reported it (assumed)
OURS, NAIVE, MIXED = "ours", "naive: discovered only", "naive: all known"
CORRECTED, ORACLE = "discovered, corrected", "true rates"
LEAKY, FIRST = "ours, a fifth misfiled", "ours, patrols come first"


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

    @classmethod
    def quick(cls) -> "Plan":
        """Return small cities and half a year: for the table's shape, never for its figures."""
        city = PlacesCity(cells=400, incidents_per_day=60)
        return cls(city=city, seeds=(1, 2, 3, 4), before=26, weeks=26, stops=80, learn_from=6)


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


@dataclass(frozen=True, eq=False)
class _World:
    """One simulated city and what everybody knows when the year begins."""

    plan: Plan
    happened: Happenings
    grid: Grid
    shifts: Shifts
    reports: pa.Table
    survey: pa.Table

    @classmethod
    def of(cls, plan: Plan, seed: int) -> "_World":
        days = (plan.before + plan.weeks) * WEEK
        happened = happen(replace(plan.city, seed=seed, days=days))
        places, shifts = happened.places, Shifts()
        grid = Grid.over(*places.centres(), CELL_M, centre=places.centre)
        even = np.full((len(shifts), len(grid)), plan.stops * plan.stop_minutes / len(grid))
        past = happened.weeks(0, plan.before)
        survey = discovered(past, even, shifts.starts, places.city.random(30))
        return cls(plan, happened, grid, shifts, happened.table(), survey)

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


class _Pipeline(Protocol):
    """Expects incidents for a week, and is told what patrols found in it."""

    cap: int
    first: bool  # whether patrols are quicker than citizens in its city

    def expected(self, week: int) -> Floats:
        """Incidents expected, shape (shifts, cells), in any unit."""
        ...

    def told(self, found: pa.Table, minutes: Floats) -> None:
        """Patrols went so many minutes in each day's shift and found this."""
        ...


class _Ours:
    """The usual rate, re-fitted every few weeks, from a log that keeps reported incidents only."""

    def __init__(self, world: _World, leak: float = 0.0, first: bool = False) -> None:
        self.world, self.leak, self.cap, self.first = world, leak, world.plan.cap, first
        self.reports, self.found = world.reports, [world.survey]
        self._panels: dict[int, Panel] = {}
        self._usual: UsualRate | None = None

    def expected(self, week: int) -> Floats:
        plan, day = self.world.plan, self.world.day(week)
        log = self.log(day)
        if self._usual is None or week % plan.retrain == 0:
            self._usual = self._fitted(log, day)
        self._panels[day] = panel = Panel(log, day)
        return _rates(panel, self._usual)

    def told(self, found: pa.Table, minutes: Floats) -> None:
        del minutes
        if self.first:
            came = pc.is_in(self.reports["incident_id"], found["incident_id"].combine_chunks())
            self.reports = self.reports.filter(pc.invert(came))
        self.found.append(_misfiled(found, self.leak))

    def log(self, day: int) -> Log:
        """Everything known goes in; what was discovered does not come out."""
        known = in_one_piece([self.world.known(self.reports, day), *self.found])
        return Log.of(known, self.world.grid, self.world.shifts, CATEGORIES)

    def _fitted(self, log: Log, day: int) -> UsualRate:
        known = log.shifts.begin(log.shifts.date_of(day))
        starts = [day - WEEK * (back + 1) for back in range(self.world.plan.learn_from)]
        for start in starts:  # what was known before a day does not change afterwards
            if start not in self._panels:
                self._panels[start] = Panel(log, start)
        past = [Period(self._panels[start], log.counts(start, WEEK, known)) for start in starts]
        return UsualRate.fit(
            [list(_pairs(past, category)) for category in range(len(CATEGORIES))], prior=PRIOR
        )


def _rates(panel: Panel, usual: UsualRate) -> Floats:
    """All categories together, shape (shifts, cells)."""
    shifts, categories = range(len(panel.log.shifts)), range(len(CATEGORIES))
    every = [[usual.of(one, panel.usual(one, shift)) for shift in shifts] for one in categories]
    return np.asarray(np.sum(every, axis=0))


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


class _Counted:
    """The planted one: a count of everything it knows, whoever found it, and no cap."""

    first = False

    def __init__(self, world: _World, reports: bool) -> None:
        self.world, self.reports = world, reports
        self.cap = world.plan.stops * WEEK
        self.total = world.counted(world.survey)

    def expected(self, week: int) -> Floats:
        total = self.total
        if self.reports:
            known = self.world.known(self.world.reports, self.world.day(week))
            total = total + self.world.counted(known)
        return np.tile(total, (len(self.world.shifts), 1))

    def told(self, found: pa.Table, minutes: Floats) -> None:
        del minutes
        self.total = self.total + self.world.counted(found)


class _Corrected:
    """The same finds, set against the chance there was to find them (after Ensign et al.)."""

    first = False

    def __init__(self, world: _World) -> None:
        plan = world.plan
        self.world, self.cap = world, plan.stops * WEEK
        even = np.full(len(world.grid), plan.stops * plan.stop_minutes / len(world.grid))
        self.total = world.counted(world.survey)
        self.looked = seen(even) * len(world.shifts) * plan.before

    def expected(self, week: int) -> Floats:
        del week
        mean = self.total.sum() / self.looked.sum()
        prior = 1.0  # one find's worth of the city's mean, so that a lucky cell is not believed
        rate = (self.total + prior) / (self.looked + prior / mean)
        return np.tile(rate, (len(self.world.shifts), 1))

    def told(self, found: pa.Table, minutes: Floats) -> None:
        self.total = self.total + self.world.counted(found)
        self.looked = self.looked + seen(minutes).sum(axis=0)


class _Oracle:
    """What the rule of allocation does when it is told the true rates."""

    first = False

    def __init__(self, world: _World) -> None:
        self.world, self.cap = world, world.plan.stops * WEEK

    def expected(self, week: int) -> Floats:
        return self.world.truth(week)

    def told(self, found: pa.Table, minutes: Floats) -> None:
        del found, minutes


PIPELINES: Mapping[str, Callable[[_World], _Pipeline]] = {
    OURS: _Ours,
    NAIVE: lambda world: _Counted(world, reports=False),
    MIXED: lambda world: _Counted(world, reports=True),
    CORRECTED: _Corrected,
    LEAKY: lambda world: _Ours(world, leak=LEAK),
    FIRST: lambda world: _Ours(world, first=True),
    ORACLE: _Oracle,
}
MEASURES = ("distance", "top_ratio", "gini", "correlation")


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Let every pipeline send patrols for a year, in several cities.

    Parameters
    ----------
    quick : bool
        Small cities and half a year, for the table's shape.
    real_data : Path, optional
        Not used: no public data say what patrols did not find.
    progress : callable, optional
        Told what is being done.
    """
    del real_data
    plan = Plan.quick() if quick else Plan()
    return result(plan, simulate_years(plan, progress))


@dataclass(frozen=True, eq=False)
class Years:
    """What happened to every pipeline.

    Attributes
    ----------
    measured : mapping of pipeline to float64 array, shape (cities, weeks, measures)
        `MEASURES`, every week.
    unchanged : bool
        Whether our log after the year is, row by row, that of a city without patrols.
    """

    measured: Mapping[str, Floats]
    unchanged: bool

    def at(self, name: str, measure: str, week: int) -> Floats:
        """One measure of a week, a number for each city."""
        return np.asarray(self.measured[name][:, week, MEASURES.index(measure)])

    def drift(self, name: str) -> "Spread":
        """How far the distance from the true rates grew from the first week to the last."""
        return Spread.of(self.at(name, "distance", -1) - self.at(name, "distance", 0))


def simulate_years(
    plan: Plan, progress: Progress | None = None, names: Sequence[str] = tuple(PIPELINES)
) -> Years:
    """Let the pipelines so named send patrols in every city."""
    tell = progress or (lambda _: None)
    found: dict[str, list[Floats]] = {name: [] for name in names}
    unchanged = True
    for number, seed in enumerate(plan.seeds, 1):
        world = _World.of(plan, seed)
        for name in names:
            tell(f"city {number} of {len(plan.seeds)}: {name}")
            pipeline = PIPELINES[name](world)
            found[name].append(_year(world, pipeline))
            if name == OURS and isinstance(pipeline, _Ours):
                unchanged &= _blind_to_finds(world, pipeline)
    return Years({name: np.stack(each) for name, each in found.items()}, unchanged)


def _year(world: _World, pipeline: _Pipeline) -> Floats:
    """Measures of every week, shape (weeks, measures)."""
    plan = world.plan
    found = []
    for week in range(plan.weeks):
        stops = allocate(
            pipeline.expected(week), plan.stops * len(world.shifts) * WEEK, pipeline.cap
        )
        minutes = stops * plan.stop_minutes / WEEK
        found.append(_measured(world, minutes.sum(axis=0), world.truth(week).sum(axis=0)))
        pipeline.told(world.find(week, minutes, pipeline.first), minutes)
    return np.array(found)


def _blind_to_finds(world: _World, pipeline: _Ours) -> bool:
    """Whether the log after the year is the one of a city without patrols, row by row."""
    day = world.day(world.plan.weeks)
    ours, bare = pipeline.log(day), _Ours(world)
    bare.found = [world.survey.slice(0, 0)]
    other = bare.log(day)
    names = ("cell", "category", "shift", "day", "known_us", "spot")
    return all(np.array_equal(getattr(ours, name), getattr(other, name)) for name in names)


def _measured(world: _World, minutes: Floats, truth: Floats) -> list[float]:
    places = world.happened.places
    report = exposure(places.districts, places.district, minutes, truth)
    given, true = (
        np.array([getattr(one, name) for one in report.districts])
        for name in ("minutes_share", "expected_share")
    )
    return [
        float(np.abs(given - true).sum() / 2),
        float(report.largest.ratio or np.nan),
        gini(minutes),
        float(np.corrcoef(minutes, truth)[0, 1]),
    ]


def gini(amounts: Floats) -> float:
    """0 when all get the same, near 1 when one gets everything.

    Examples
    --------
    >>> gini(np.ones(4)), gini(np.array([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    sizes = np.sort(amounts)
    n = len(sizes)
    return float(2 * (np.arange(1, n + 1) @ sizes) / (n * sizes.sum()) - (n + 1) / n)


@dataclass(frozen=True)
class Spread:
    """A mean over cities and its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Floats) -> "Spread":
        """Of one number for each city."""
        mean, error = float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found)))
        half = float(student.ppf(0.975, len(found) - 1)) * error
        return cls(mean, mean - half, mean + half)

    def as_list(self) -> list[float]:
        """Mean and ends, for JSON."""
        return [round(self.value, 4), round(self.low, 4), round(self.high, 4)]

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


HEADS = (
    "patrols follow",
    "distance, weeks 1 / 13 / last",
    "drift [95 %]",
    "top district",
    "Gini",
    "correlation",
)


def result(plan: Plan, years: Years) -> Result:
    """The table, and whether the firewall holds."""
    ours, naive = years.drift(OURS), years.drift(NAIVE)
    runs_away = naive.low > max(plan.tolerance, ours.high)
    stands = ours.high <= plan.tolerance and years.unchanged
    ratio = years.at(NAIVE, "distance", -1).mean() / years.at(OURS, "distance", -1).mean()
    return Result(
        title="Simulated cities: a year of patrols that follow the map, and which map chases them",
        columns=HEADS,
        rows=[_row(plan, years, name) for name in PIPELINES],
        figures={
            "ours_drift": round(ours.value, 4),
            "naive_drift": round(naive.value, 4),
            "ours_drift_interval": [round(ours.low, 4), round(ours.high, 4)],
            "naive_drift_interval": [round(naive.low, 4), round(naive.high, 4)],
            "runaway_ratio": round(float(ratio), 2),
            "naive_runs_away": bool(runs_away),
            "ours_unchanged_by_patrols": years.unchanged,
            "firewall_holds": bool(stands and runs_away),
            "tolerance": plan.tolerance,
            "cities": len(plan.seeds),
            "weeks": plan.weeks,
            "pipelines": {name: _figures(plan, years, name) for name in PIPELINES},
        },
        notes=_notes(plan, years),
    )


def _row(plan: Plan, years: Years, name: str) -> tuple[str, ...]:
    def mean(measure: str, week: int) -> float:
        return float(years.at(name, measure, week).mean())

    return (
        name,
        " / ".join(f"{mean('distance', week):.3f}" for week in _weeks(plan).values()),
        str(years.drift(name)),
        f"{mean('top_ratio', 0):.2f} → {mean('top_ratio', -1):.2f}",
        f"{mean('gini', 0):.2f} → {mean('gini', -1):.2f}",
        f"{mean('correlation', -1):.2f}",
    )


def _figures(plan: Plan, years: Years, name: str) -> dict[str, dict[str, list[float]]]:
    """Mean and interval of each measure at the start, a quarter on and at the end."""
    return {
        measure: {
            when: Spread.of(years.at(name, measure, week)).as_list()
            for when, week in _weeks(plan).items()
        }
        for measure in MEASURES
    }


def _weeks(plan: Plan) -> dict[str, int]:
    return {"start": 0, "quarter": min(13, plan.weeks) - 1, "end": plan.weeks - 1}


def _notes(plan: Plan, years: Years) -> tuple[str, ...]:
    city = plan.city
    lines = f"""
        Simulated: {len(plan.seeds)} cities of {city.cells:,} cells, some
        {city.incidents_per_day:g} incidents a day, a third of them reported, more in one district
        than in another; {plan.before} weeks of history, {plan.weeks} weeks of patrols,
        {plan.stops} stops of {plan.stop_minutes:g} minutes a shift.

        Distance: share of patrol time that would have to move to another district for every
        district to get its share of what truly happens (total variation). Drift: last week's less
        the first's; brackets: 95 % over the cities (Student's t).

        Ours: citizens' reports only, at most one stop a day in a cell and shift. Naive: a count
        without a cap, of what patrols discovered, or of reports and discoveries together.
        Corrected: discoveries over the chance there was to make them (Ensign et al. 2018).
        Misfiled: a fifth of what patrols find is entered as a citizen's report. Patrols come first:
        what they meet before a citizen calls is missing from the reports. True rates: the same
        rule, told the truth.

        Top district: the most exposed one's share of patrol time over its share of incidents.
        Gini: how unevenly cells share patrol time. Both: first week → last. Correlation: patrol
        time and true rates over cells, last week.

        Ours is the usual rate of the hotspot model, fitted every {plan.retrain} weeks, without its
        trees: both read the same log. That log after the year is
        {"" if years.unchanged else "NOT "}row by row that of a city without patrols.

        The firewall holds if ours drifts at most {plan.tolerance:g} (our choice) at the upper end,
        its log is unchanged by patrols, and the planted naive pipeline does run away: a simulation
        in which nothing can run away shows nothing.

        Our distance is not 0: districts report unequally, which no firewall mends (models.reporting
        gives bands), and even the true rates leave some, for stops are whole.

        Assumed away: patrols deter nobody, and citizens report no more and no less where they are.
        """
    return tuple(" ".join(note.split()) for note in lines.split("\n\n"))


if __name__ == "__main__":
    from experiments.result import print_result

    print_result(run(progress=lambda text: print(text, flush=True)))
