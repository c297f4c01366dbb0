"""Rolling-origin backtest of hotspot models: forecast a week, look at what came, move on.

A model is trained anew every few weeks on what was known then, and judged week by week on several
grids moved against each other, beside its rivals: same incidents, same cells, same ties.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.grid import Grid
from features.hotspot import Log, Panel, reported
from features.incident_points import Past
from features.shifts import Shifts
from models.hotspot import HotspotConfig, HotspotModel, periods
from models.hotspot_baselines import HotspotBaseline
from training.hotspot_metrics import COVERAGES
from training.hotspot_tally import Tally

__all__ = [
    "EIGHT",
    "OURS",
    "SAME_SHIFT",
    "USUAL",
    "Backtest",
    "Week",
    "backtest",
    "labels",
    "moved_logs",
    "past_of",
    "tallies",
]

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]
OURS, USUAL = "forewarn", "usual rate"
SAME_SHIFT = ", same shift"  # after a rival's name: it looks at incidents of that shift alone
EIGHT = (
    (0.0, 0.0), (0.5, 0.5), (0.25, 0.75), (0.75, 0.25),
    (0.5, 0.0), (0.0, 0.5), (0.125, 0.375), (0.875, 0.625),
)  # fmt: skip


@dataclass(frozen=True)
class Backtest:
    """What to repeat how often.

    Parameters
    ----------
    first : date
        First day of the first week forecast.
    weeks : int
    size_m : float
        Side of a cell.
    shifts : Shifts
    offsets : sequence of (float, float)
        Grids to judge on, moved by these shares of a cell.
    retrain_weeks : int
        A model is this old at most.
    config : HotspotConfig
        How ours is grown.
    coverages : sequence of float
    rivals : sequence of HotspotBaseline
        Judged on every grid.
    slow_rivals : sequence of HotspotBaseline
        Judged on the first grids only, `slow_offsets` of them.
    """

    first: date
    weeks: int
    size_m: float
    shifts: Shifts
    offsets: Sequence[tuple[float, float]] = EIGHT
    retrain_weeks: int = 4
    config: HotspotConfig = field(default_factory=HotspotConfig)
    coverages: Sequence[float] = COVERAGES
    rivals: Sequence[HotspotBaseline] = ()
    slow_rivals: Sequence[HotspotBaseline] = ()
    slow_offsets: int = 1


@dataclass(frozen=True, eq=False)
class Week:
    """One week of a backtest on one grid.

    Attributes
    ----------
    number, offset : int
        Which week, which grid.
    scores : mapping of name to float64 array, shape (categories, shifts, cells)
    counts : float64 array of the same shape
        What came.
    """

    number: int
    offset: int
    scores: Mapping[str, Floats]
    counts: Floats


def moved_logs(table: pa.Table, test: Backtest) -> list[Log]:
    """Lay each of the test's grids over a table of incidents."""
    table = reported(table)
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    base = Grid.over(lon, lat, test.size_m)
    grids = [
        base.moved(lon, lat, (east * test.size_m, north * test.size_m))
        for east, north in test.offsets
    ]
    first = Log.of(table, grids[0], test.shifts)
    return [first, *(Log.of(table, grid, test.shifts, first.categories) for grid in grids[1:])]


def backtest(
    table: pa.Table, test: Backtest, progress: Progress | None = None
) -> Iterator[tuple[Week, HotspotModel]]:
    """Run it, a week and a grid at a time, with the model of that week.

    Parameters
    ----------
    table : Table
        `INCIDENT_SCHEMA`, the whole span; each forecast sees what was known before it.
    """
    logs = moved_logs(table, test)
    kept: list[dict[int, Panel]] = [{} for _ in logs[: 1 + len(test.config.moves)]]
    start = Shifts.number_of(test.first)
    model: HotspotModel | None = None

    def judged(number: int, offset: int, now: HotspotModel) -> Week:
        panel = Panel(logs[offset], start + 7 * number, test.config.horizon_days)
        if offset < len(kept):
            kept[offset][panel.day] = panel  # to be learnt from when the week is over
        return _week(panel, now, test, (number, offset))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number in range(test.weeks):
            if model is None or number % test.retrain_weeks == 0:
                model = _trained(logs, start + 7 * number, test.config, kept)
            jobs = [pool.submit(judged, number, offset, model) for offset in range(len(logs))]
            for job in jobs:
                yield job.result(), model
            if progress is not None:
                when = test.first + timedelta(days=7 * number)
                progress(f"week of {when} forecast on {len(logs)} grids", (number + 1) / test.weeks)


def tallies(weeks: Iterable[Week], test: Backtest, categories: Sequence[str]) -> dict[str, Tally]:
    """Hits of every model, as weeks come in.

    Shifts of one grid are pooled: each stands in the tally as a grid of its own. A rival judged on
    fewer grids has a shorter tally; compare it with `Tally.first` of another.
    """
    shifts = len(test.shifts)
    found: dict[str, Tally] = {}
    slow = {f"{rival.name}{when}" for rival in test.slow_rivals for when in ("", SAME_SHIFT)}
    for week in weeks:
        for name, scores in week.scores.items():
            if name not in found:
                grids = test.slow_offsets if name in slow else len(test.offsets)
                found[name] = Tally.over(
                    test.weeks, grids * shifts, categories, tuple(test.coverages)
                )
            for category, shift in np.ndindex(*scores.shape[:2]):
                found[name].record(
                    week.number,
                    week.offset * shifts + shift,
                    categories[category],
                    scores[category, shift],
                    week.counts[category, shift],
                )
    return found


def labels(log: Log) -> tuple[str, ...]:
    """Names of categories, with the shift where there are several."""
    if len(log.shifts) == 1:
        return log.categories
    return tuple(f"{name} {shift}" for name in log.categories for shift in log.shifts.names)


def past_of(log: Log, day: int, category: int, shift: int | None = None) -> Past:
    """What a rival may look at: incidents of one category, of one shift or of all."""
    rows = log.before(day)
    chosen = log.category[rows] == category
    if shift is not None:
        chosen &= log.shift[rows] == shift
    rows = rows[chosen]
    return Past(
        x_m=log.x_m[rows],
        y_m=log.y_m[rows],
        cell=log.cell[rows].astype(np.int64),
        age_days=(day - log.day[rows]).astype(np.float64),
        centres_m=np.column_stack(log.grid.centres_m()),
        size_m=log.grid.size_m,
    )


def _trained(
    logs: Sequence[Log], day: int, config: HotspotConfig, kept: Sequence[dict[int, Panel]]
) -> HotspotModel:
    past = [periods(log, day, config, panels) for log, panels in zip(logs, kept, strict=False)]
    return HotspotModel.fit(past, config)


def _week(panel: Panel, model: HotspotModel, test: Backtest, at: tuple[int, int]) -> Week:
    log, day = panel.log, panel.day
    forecast = model.forecast(panel)
    scores = {OURS: forecast.expected, USUAL: forecast.rate}
    rivals = [*test.rivals, *(test.slow_rivals if at[1] < test.slow_offsets else ())]
    shape = forecast.expected.shape
    for rival in rivals:
        scores[rival.name] = _by_category(rival, log, day, shape)
    if shape[1] > 1:
        for rival in rivals:
            scores[f"{rival.name}{SAME_SHIFT}"] = _by_shift(rival, log, day, shape)
    counts = log.counts(day, test.config.horizon_days).astype(np.float64)
    return Week(*at, scores, counts)


def _by_category(rival: HotspotBaseline, log: Log, day: int, shape: tuple[int, ...]) -> Floats:
    """A rival that looks at all hours: the same map for every shift."""
    found = np.stack([rival.score(past_of(log, day, category)) for category in range(shape[0])])
    return np.repeat(found[:, None], shape[1], axis=1)


def _by_shift(rival: HotspotBaseline, log: Log, day: int, shape: tuple[int, ...]) -> Floats:
    return np.stack(
        [
            [rival.score(past_of(log, day, category, shift)) for shift in range(shape[1])]
            for category in range(shape[0])
        ]
    )
