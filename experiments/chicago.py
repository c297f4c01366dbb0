"""Does the patrol map beat the counts? Chicago, 26 weeks, by week and by shift, eight grids.

Protocol: DATA.md section 3. Squares of 250 m and 500 m over the cells that ever had an incident;
each week is forecast from what was known before it, ours grown anew every fourth week. Numbers of
ours were chosen on weeks before July 2017; the form of its features after two looks at later ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data.sources import chicago, real_data_folder
from experiments.predspot_rival import PredspotError, PredspotSettings, predspot_forecasts
from experiments.result import Result
from features.shifts import Shifts
from models.hotspot import HotspotConfig, levelled
from models.hotspot_baselines import (
    ExponentialCount,
    KernelDensity,
    LastPeriodCount,
    LongHistoryCount,
    ProspectiveHotspot,
    SmoothedCount,
)
from models.near_repeat import NearRepeat
from models.self_exciting import SelfExciting
from training.backtest import (
    EIGHT,
    OURS,
    SAME_SHIFT,
    USUAL,
    Backtest,
    Week,
    backtest,
    moved_logs,
    past_of,
    tallies,
)
from training.hotspot_ceiling import attainable
from training.hotspot_comparison import comparisons, gain_percent
from training.hotspot_tally import Measure, Tally
from training.intervals import Interval

__all__ = ["run"]

Progress = Callable[[str, float], None]
ZONE = "America/Chicago"
FIRST = date(2017, 7, 3)
WEEKS = 26
COVERAGES = (0.01, 0.02, 0.05, 0.1)
TOP, JUDGED = (0.01, 0.02), (0.01, 0.02, 0.05)
COUNT, SAME = "count", f"count{SAME_SHIFT}"
WHOLE_DAYS, EIGHT_HOURS = (0,), (0, 8, 16)
FAST = (
    LongHistoryCount(),
    ExponentialCount(),
    SmoothedCount(bandwidth_m=125.0),
    LastPeriodCount(),
    ProspectiveHotspot(),
)
SLOW = (KernelDensity(bandwidth_m=125.0), SelfExciting(), NearRepeat())
SLOW_GRIDS = 2  # on which slow rivals are judged elsewhere than by week on cells of 250 m
PREDSPOT_WEEKS = (0, 9, 18)
PREDSPOT = PredspotSettings(lags=12, selecting_trees=5)
QUICK_PREDSPOT = "not run in the quick version"


@dataclass(frozen=True)
class _Setup:
    """One table: size of cells, whole weeks or shifts."""

    size_m: float
    starts: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.size_m:g} m, {'week' if len(self.starts) == 1 else 'shift'}"

    @property
    def key(self) -> str:
        return f"{self.size_m:g}_{'week' if len(self.starts) == 1 else 'shift'}"


@dataclass(frozen=True)
class _Found:
    """What one setup showed."""

    setup: _Setup
    tallies: Mapping[str, Tally]
    ceiling: Mapping[float, float]
    categories: tuple[str, ...]

    @property
    def ours(self) -> Tally:
        return self.tallies[OURS]

    def beside(self, name: str) -> tuple[Tally, Tally]:
        """Ours and a rival on the grids that the rival was judged on."""
        rival = self.tallies[name]
        return self.ours.first(rival.hits.shape[1]), rival

    @property
    def best_count(self) -> str:
        """The better of the counts: of all hours, or of the same shift."""
        counts = [name for name in (COUNT, SAME) if name in self.tallies]
        return max(counts, key=lambda name: float(self.tallies[name].hits[..., :2].sum()))

    @property
    def gain(self) -> Interval:
        return gain_percent(*self.beside(self.best_count), TOP)

    def behind(self) -> list[str]:
        """Comparisons in which ours is significantly behind."""
        return [
            f"{name}: {one.category} at {one.coverage:.0%}"
            for name in self.rivals()
            for one in comparisons(*self.beside(name), JUDGED)
            if one.behind
        ]

    def rivals(self) -> list[str]:
        return [name for name in self.tallies if name not in (OURS, USUAL)]

    def compared(self) -> int:
        return len(self.rivals()) * len(self.categories) * len(JUDGED)

    def share_of_room(self) -> float:
        """Our gain over the better count, as a share of what perfect knowledge would gain."""
        ours, count = self.beside(self.best_count)
        rates = [float(tally.pooled("hit_rate")[:2].sum()) for tally in (ours, count)]
        room = sum(self.ceiling[cover] for cover in TOP) - rates[1]
        return (rates[0] - rates[1]) / room


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Forecast half a year of Chicago week by week, ours and every rival.

    Parameters
    ----------
    quick : bool
        Two weeks on two grids, few trees: for the shape of the result, not its figures.
    real_data : Path, optional
        Folder of the public data sets.
    progress : callable, optional
        Told what is being done, and the share done.

    Raises
    ------
    SourceError
        If the data are not there.
    """
    tell = progress or (lambda _sentence, _share: None)
    table = chicago(real_data_folder(real_data) / "chicago")
    setups = [
        _Setup(size, starts)
        for size in ((250.0,) if quick else (250.0, 500.0))
        for starts in (WHOLE_DAYS, EIGHT_HOURS)
    ]
    found = [
        _judge(table, setup, quick, _within(tell, number, len(setups)))
        for number, setup in enumerate(setups)
    ]
    predspot = QUICK_PREDSPOT if quick else _predspot(table, found[0].categories, tell)
    return _result(found, predspot, quick)


def _within(tell: Progress, number: int, of: int) -> Progress:
    return lambda sentence, share: tell(sentence, (number + share) / of)


def _test(setup: _Setup, quick: bool) -> Backtest:
    config = HotspotConfig()
    test = Backtest(
        first=FIRST,
        weeks=WEEKS,
        size_m=setup.size_m,
        shifts=Shifts(setup.starts, ZONE),
        offsets=EIGHT,
        config=config,
        coverages=COVERAGES,
        rivals=FAST,
        slow_rivals=SLOW,
        slow_offsets=len(EIGHT) if setup == _Setup(250.0, WHOLE_DAYS) else SLOW_GRIDS,
    )
    if not quick:
        return test
    small = replace(config, periods=6, moves=(), recipe=replace(config.recipe, rounds=20))
    return replace(test, weeks=2, offsets=EIGHT[:2], config=small, slow_rivals=())


def _judge(table: pa.Table, setup: _Setup, quick: bool, tell: Progress) -> _Found:
    test = _test(setup, quick)
    kept: list[Week] = []
    categories: list[str] = []

    def weeks() -> Any:
        for week, model in backtest(
            table, test, lambda said, done: tell(f"{setup.name}: {said}", done)
        ):
            categories[:] = model.categories
            if week.offset == 0:
                kept.append(replace(week, scores={OURS: week.scores[OURS]}))
            yield week

    stream = weeks()
    first = next(stream)
    judged_by = tallies(_again(first, stream), test, tuple(categories))
    return _Found(setup, judged_by, _ceiling(kept), tuple(categories))


def _again(first: Week, rest: Any) -> Any:
    yield first
    yield from rest


def _ceiling(weeks: Sequence[Week]) -> dict[float, float]:
    """Hit rate of somebody who knew the rates, if the rates were those we fitted.

    Their level and spread are fitted to what came in these weeks: rates that are too even would
    promise less than the counts reach.
    """
    rng = np.random.default_rng(0)
    hits, total = np.zeros(len(TOP)), 0.0
    shape = weeks[0].scores[OURS].shape
    levels = [_level(weeks, category) for category in range(shape[0])]
    for category, shift in np.ndindex(*shape[:2]):
        given = np.stack([week.scores[OURS][category, shift] for week in weeks])
        rates = np.exp(levels[category][0] + levels[category][1] * np.log(given))
        known = attainable(rates, 20, rng, TOP)
        hits += known.hits
        total += float(rates.sum())
    return dict(zip(TOP, (hits / total).tolist(), strict=True))


def _level(weeks: Sequence[Week], category: int) -> NDArray[np.float64]:
    rate = np.concatenate([week.scores[OURS][category].ravel() for week in weeks])
    came = np.concatenate([week.counts[category].ravel() for week in weeks])
    return levelled(rate, came, np.array([0.0, 1.0]))


# --- predspot, on the weeks that it finishes


def _predspot(table: pa.Table, categories: Sequence[str], tell: Progress) -> Any:
    """Hits of predspot and of the count on a few weeks; a sentence where it does not run."""
    test = replace(_test(_Setup(250.0, WHOLE_DAYS), quick=False), offsets=EIGHT[:1])
    [log] = moved_logs(table, test)
    days = [Shifts.number_of(FIRST) + 7 * week for week in PREDSPOT_WEEKS]
    moments = [
        datetime.combine(Shifts.date_of(day), datetime.min.time(), ZoneInfo(ZONE)) for day in days
    ]
    frame = pd.DataFrame(
        {
            "lon": table["lon"].to_numpy(),
            "lat": table["lat"].to_numpy(),
            "time": table["occurred_at"].to_pandas(),
            "category": table["category"].cast(pa.string()).to_pandas(),
        }
    )
    rows: dict[str, Tally] = {
        name: Tally.over(len(days), 1, tuple(categories), COVERAGES) for name in ("predspot", COUNT)
    }
    for place, category in enumerate(categories):
        tell(f"predspot 1.0: {category}", place / len(categories))
        try:
            answer = predspot_forecasts(frame, moments, log.grid, category, PREDSPOT)
        except PredspotError as error:
            return str(error)
        for week, day in enumerate(days):
            counts = log.counts(day, 7)[place].sum(axis=0)
            rows["predspot"].record(week, 0, category, answer.scores[week], counts)
            rival = LongHistoryCount().score(past_of(log, day, place))
            rows[COUNT].record(week, 0, category, rival, counts)
    return rows


# --- what is printed


def _result(found: Sequence[_Found], predspot: Any, quick: bool) -> Result:
    rows = [row for one in found for row in _rows(one)]
    week, shift = found[0], found[1]
    behind = [*week.behind(), *shift.behind()]
    compared = week.compared() + shift.compared()
    figures: dict[str, Any] = {
        "gain_week_percent": week.gain.as_dict(),
        "gain_shift_percent": shift.gain.as_dict(),
        "significantly_behind": len(behind),
        "comparisons": compared,
        "behind": behind,
        "share_of_room": {one.setup.key: one.share_of_room() for one in found},
        "tables": {one.setup.key: _figures(one) for one in found},
        "quick": quick,
    }
    notes = [
        f"{one.setup.name}: hits in the top 1 and 2 %, four categories, against {one.best_count}: "
        f"{one.gain.value:+.1f} % [{one.gain.low:+.1f}, {one.gain.high:+.1f}]; "
        f"{one.share_of_room():.0%} of the attainable room"
        for one in found
    ]
    notes.append(
        f"250 m: significantly behind in {len(behind)} of {compared} comparisons at 1, 2, 5 %"
        + (f": {'; '.join(behind)}" if behind else "")
    )
    notes.append(
        "KDE, self-exciting and near repeat: on all grids by week on cells of 250 m, else on "
        f"the first {SLOW_GRIDS} (they are slow); by shift they look at all hours, or at the same"
    )
    notes.append(
        "room: hits of who knows the rates, if they are as we fitted them, less the count's hits"
    )
    if isinstance(predspot, str):
        notes.append(f"predspot 1.0: {predspot}")
        figures["predspot"] = None
    else:
        rows += _predspot_rows(predspot)
        figures["predspot"] = {
            name: {
                category: tally.pooled("pai", [category]).tolist() for category in tally.categories
            }
            for name, tally in predspot.items()
        }
        notes.append(
            f"predspot 1.0 on {len(PREDSPOT_WEEKS)} of the weeks and one grid: its 1,000 busiest "
            "cells, 20,000 rows a tree; as published it does not finish in this time"
        )
    return Result(
        "Chicago (real incidents): 26 weeks of July to December 2017",
        ("cells", "category", "model", *(f"PAI {cover:.0%}" for cover in COVERAGES), "PEI 1 %"),
        rows,
        figures,
        notes,
    )


def _rows(one: _Found) -> list[tuple[str, ...]]:
    return [
        (
            one.setup.name,
            category,
            name,
            *(f"{value:.2f}" for value in tally.pooled("pai", [category])),
            f"{tally.pooled('pei', [category])[0]:.2f}",
        )
        for category in one.categories
        for name, tally in one.tallies.items()
    ]


def _predspot_rows(rows: Mapping[str, Tally]) -> list[tuple[str, ...]]:
    return [
        (
            "250 m, 3 weeks",
            category,
            name,
            *(f"{value:.2f}" for value in tally.pooled("pai", [category])),
            f"{tally.pooled('pei', [category])[0]:.2f}",
        )
        for category in next(iter(rows.values())).categories
        for name, tally in rows.items()
    ]


def _figures(one: _Found) -> dict[str, Any]:
    measures: tuple[Measure, ...] = ("hit_rate", "pai", "pei", "pei_star")
    return {
        name: {
            category: {
                measure: [round(float(value), 4) for value in tally.pooled(measure, [category])]
                for measure in measures
            }
            for category in one.categories
        }
        | {
            "gain_percent_of_ours": gain_percent(*one.beside(name), TOP).as_dict(),
        }
        for name, tally in one.tallies.items()
    }
