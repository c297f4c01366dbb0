"""A year in which patrols follow the map and the map learns from patrols: which pipeline runs away.

Everything here is simulated (`data.simulator`). Each week a pipeline expects incidents from what it
knows, the same budget of stops goes where it expects most, and patrols come upon some incidents
that nobody reported. All pipelines (`experiments.runaway_pipelines`) begin with the same table: a
year of citizens' reports, and what patrols found in that year while they were spread evenly
(`experiments.runaway_city`).

References
----------
Ensign et al., "Runaway feedback loops in predictive policing", FAT* 2018.
Lum, Isaac, "To predict and serve?", Significance 13 (2016).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from experiments.result import Result
from experiments.runaway_city import WEEK, City, Plan
from experiments.runaway_pipelines import FULL, NAIVE, OURS, PIPELINES, Full, Ours, Pipeline
from models.exposure import exposure

__all__ = ["Spread", "Years", "gini", "result", "run", "simulate_years"]

Floats = NDArray[np.float64]
Progress = Callable[[str], None]
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
        `MEASURES`, every week; `FULL` has fewer cities, the first ones.
    unchanged : bool
        Whether our logs after the year are, row by row, those of a city without patrols.
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
    """Let the pipelines so named send patrols in every city; the full one in the first few."""
    tell = progress or (lambda _: None)
    found: dict[str, list[Floats]] = {name: [] for name in names}
    unchanged = True
    for number, seed in enumerate(plan.seeds, 1):
        city = City.of(plan, seed)
        for name in (one for one in names if one != FULL or number <= plan.full):
            tell(f"city {number} of {len(plan.seeds)}: {name}")
            pipeline = PIPELINES[name](city)
            found[name].append(_year(city, pipeline))
            if name in {OURS, FULL} and isinstance(pipeline, Ours | Full):
                unchanged &= _blind_to_finds(city, pipeline)
    return Years({name: np.stack(each) for name, each in found.items()}, unchanged)


def _year(city: City, pipeline: Pipeline) -> Floats:
    """Measures of every week, shape (weeks, measures)."""
    found = []
    for week in range(city.plan.weeks):
        minutes = pipeline.stops(week) * city.plan.stop_minutes / WEEK
        found.append(_measured(city, minutes.sum(axis=0), city.truth(week).sum(axis=0)))
        pipeline.told(city.find(week, minutes, pipeline.first), minutes)
    return np.array(found)


def _blind_to_finds(city: City, pipeline: Ours | Full) -> bool:
    """Whether the log after the year is the one of a city without patrols, row by row."""
    day = city.day(city.plan.weeks)
    ours, bare = pipeline.log(day), Ours(city)
    bare.found = [city.survey.slice(0, 0)]
    other = bare.log(day)
    names = ("cell", "category", "shift", "day", "known_us", "spot")
    return all(np.array_equal(getattr(ours, name), getattr(other, name)) for name in names)


def _measured(city: City, minutes: Floats, truth: Floats) -> list[float]:
    places = city.happened.places
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
    """A mean over cities and its 95 % interval (Student's t); one city has none."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Floats) -> "Spread":
        """Of one number for each city."""
        mean = float(found.mean())
        if len(found) == 1:
            return cls(mean, np.nan, np.nan)
        error = float(found.std(ddof=1) / np.sqrt(len(found)))
        half = float(student.ppf(0.975, len(found) - 1)) * error
        return cls(mean, mean - half, mean + half)

    def as_list(self) -> list[float | None]:
        """Mean and ends, for JSON; an end that there is not is None."""
        ends = (self.value, self.low, self.high)
        return [None if np.isnan(one) else round(one, 4) for one in ends]

    def __str__(self) -> str:
        known = "" if np.isnan(self.low) else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.value:+.3f}{known}"


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
            "full_drift": round(years.drift(FULL).value, 4),
            "full_cities": plan.full,
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


def _figures(plan: Plan, years: Years, name: str) -> dict[str, dict[str, list[float | None]]]:
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

        Ours: citizens' reports only, at most {plan.cap} stops a week in a cell and shift.
        Naive: a count without a cap, of what patrols discovered, or of reports and discoveries
        together. Corrected: discoveries over the chance there was to make them (Ensign et al.
        2018). Misfiled: a fifth of what patrols find is entered as a citizen's report. Patrols come
        first: what they meet before a citizen calls is missing from the reports. True rates: the
        same rule, told the truth.

        Top district: the most exposed one's share of patrol time over its share of incidents.
        Gini: how unevenly cells share patrol time. Both: first week → last. Correlation: patrol
        time and true rates over cells, last week.

        Ours is the usual rate of the hotspot model, fitted every {plan.retrain} weeks, without its
        trees: both read the same log. Our logs after the year are
        {"" if years.unchanged else "NOT "}row by row those of a city without patrols.

        With trees and routes, in {plan.full} of the cities: the whole hotspot model, as often
        fitted; units leave their stations on the planner's routes, which visit the likeliest cells
        once a day and others never, so that its distance is not to be set against the others', its
        drift is. Cut for time: the planner inserts greedily, without its local search, which covers
        some 1 % more in 40 times the time; weekly, not daily; without the certificate.

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
