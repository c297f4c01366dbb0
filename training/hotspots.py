"""From incidents to a signed hotspot model: search, judge on weeks held out, fit, publish.

The last weeks before `as_of` judge the model and set its level; it is then grown again on all
weeks. Searching looks at weeks before those. Everything is as known at the day.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.settings import Settings
from features.calendar_days import Calendar
from features.grid import Grid
from features.hotspot import SPREADS, Log, Panel, reported
from features.memories import MEMORIES
from features.shifts import Shifts
from models.card import Card
from models.day_profile import DayProfile
from models.hotspot import HotspotConfig, HotspotModel, Period, periods
from models.hotspot_baselines import ExponentialCount, LongHistoryCount
from models.hotspot_bundle import HotspotBundle
from training.backtest import labels, past_of
from training.hotspot_comparison import gain_percent
from training.hotspot_counts import brier_any, poisson_deviance
from training.hotspot_tally import Tally
from training.intervals import Interval
from training.publish import publish
from training.report import as_metrics, flat
from training.search import tune
from training.tracking import Record, Tracking

__all__ = ["HotspotError", "HotspotTraining", "TrainedHotspots", "fit_hotspots", "train_hotspots"]

Progress = Callable[[str, float, str], None]
EXPERIMENT = "forewarn-hotspot"
TOP = (0.01, 0.02)
RED_LINES = (
    "A map says where and when, never who: an incident has no field for a person.",
    "Only incidents that citizens reported are learnt from; what patrols discovered is kept apart.",
    "An unstable cell is greyed out, and never on a plan alone.",
)
LIMITS = (
    "Reporting differs from place to place; see the bands on ranks.",
    "A cell is greyed out where its rank depends on where the grid's lines fall.",
)
SPACE: Mapping[str, tuple[float, float]] = {
    "num_leaves": (7, 63),
    "min_data_in_leaf": (100, 3000),
    "feature_fraction": (0.1, 0.6),
    "lambda_l2": (1.0, 200.0),
    "rounds": (50, 600),
}
SHORTEST_DAYS = 56
FEWEST = 10
KEPT_BYTES = 2 << 30  # of panels of one grid


class HotspotError(ValueError):
    """Incidents from which no map can be made; the message says what would be needed."""


@dataclass(frozen=True)
class HotspotTraining:
    """How a city's hotspot model is trained.

    Parameters
    ----------
    size_m : float
        Side of a cell, metres.
    starts : tuple of int
        Hours at which shifts begin.
    country : str
        For holidays, ISO 3166; empty for none.
    held_out : int
        Weeks at the end that judge the model and set its level.
    trials : int
        Trials of the search; 0 for none.
    config : HotspotConfig
    """

    size_m: float = 250.0
    starts: tuple[int, ...] = (0, 8, 16)
    country: str = "CN"
    held_out: int = 8
    trials: int = 0
    config: HotspotConfig = field(default_factory=HotspotConfig)

    def __post_init__(self) -> None:
        """Refuse at once what would be refused later."""
        Grid((0.0, 0.0), self.size_m)
        Shifts(self.starts)
        Calendar(self.country)


@dataclass(frozen=True)
class TrainedHotspots:
    """What training left behind.

    Attributes
    ----------
    bundle : Path
    version : str
    figures : mapping of str to Interval
        On the weeks held out.
    run_id : str
        In MLflow.
    """

    bundle: Path
    version: str
    figures: Mapping[str, Interval]
    run_id: str


def fit_hotspots(
    table: pa.Table,
    *,
    as_of: datetime,
    zone: str,
    places: pa.Table | None = None,
    training: HotspotTraining | None = None,
    progress: Progress | None = None,
) -> tuple[HotspotBundle, dict[str, Interval]]:
    """Fit a model to incidents, as known at a moment; its figures are of weeks held out.

    Parameters
    ----------
    table : Table
        `INCIDENT_SCHEMA`.
    as_of : datetime
        Aware; what was learnt later is not looked at.
    zone : str
        The city's.
    places : Table, optional
        What stands where, see `features.covariates`.

    Raises
    ------
    HotspotError
        If there are too few incidents, too short a history, or days without hours for shifts.
    """
    training, told = training or HotspotTraining(), progress or (lambda _step, _share, _note: None)
    told("grid", 0.0, "")
    known = reported(table)
    known = known.filter(pc.less(known["known_at"], pa.scalar(as_of, known["known_at"].type)))
    shifts = Shifts(training.starts, zone)
    _check(known, shifts)
    logs = _logs(known, shifts, training, places)
    last = _last_day(shifts, as_of)
    config = replace(training.config, warm_up_days=_warm_up(logs[0], last, training))
    told("features", 0.1, f"{len(logs[0].grid):,} cells, {len(logs[0]):,} incidents")
    past = [periods(log, last, config, _kept(log, config)) for log in logs]
    held = min(training.held_out, len(past[0]) // 3)
    if training.trials and held:
        told("search", 0.3, f"{training.trials} trials")
        config = _searched(past, held, config, training.trials)
    earlier, later = [grid[: len(grid) - held] for grid in past], past[0][len(past[0]) - held :]
    told("judge", 0.6, f"{held} weeks held out")
    judged = HotspotModel.fit(earlier, config)
    figures = _figures(judged, later) if held else {}
    levelled = judged.calibrated(later) if held else judged
    told("fit", 0.8, "")
    grown = replace(HotspotModel.fit(past, config), level=levelled.level, shape=levelled.shape)
    days = DayProfile.fit(logs[0], last, Calendar(training.country))
    card = _card(logs[0], as_of, config, training, figures)
    told("fit", 1.0, "")
    return HotspotBundle(grown, days, logs[0].grid, shifts, card), figures


def train_hotspots(
    table: pa.Table,
    *,
    as_of: datetime,
    settings: Settings,
    places: pa.Table | None = None,
    training: HotspotTraining | None = None,
    progress: Progress | None = None,
) -> TrainedHotspots:
    """Fit, sign, publish under ``var/hotspot-models`` and keep the run in MLflow."""
    bundle, figures = fit_hotspots(
        table,
        as_of=as_of,
        zone=settings.zone,
        places=places,
        training=training,
        progress=progress,
    )
    path, version = publish(bundle, settings, "hotspot-models")
    tracking = Tracking(settings.var / "mlflow", settings.tracking_url, EXPERIMENT)
    record = Record(
        name=f"hotspot {version}",
        params={**bundle.card.params, **bundle.card.data},
        metrics=flat(figures),
        artifacts=path,
        tags={"bundle": version},
    )
    return TrainedHotspots(path, version, figures, tracking.record(record).run_id)


def _check(known: pa.Table, shifts: Shifts) -> None:
    if len(known) < FEWEST:
        raise HotspotError(
            f"expected at least {FEWEST} incidents known by then, found {len(known)}; "
            "bring more, or choose a later as_of"
        )
    days_only = pc.sum(pc.equal(known["precision"].cast(pa.string()), "day")).as_py() or 0
    if len(shifts) > 1 and days_only > len(known) / 2:
        raise HotspotError(
            f"expected times with their hour for {len(shifts)} shifts, found only the day for "
            f"{days_only:,} of {len(known):,} incidents; forecast whole days: --shifts 0"
        )


def _logs(
    known: pa.Table, shifts: Shifts, training: HotspotTraining, places: pa.Table | None
) -> list[Log]:
    lon, lat = known["lon"].to_numpy(), known["lat"].to_numpy()
    size = training.size_m
    base = Grid.over(lon, lat, size)
    moved = [base.moved(lon, lat, (x * size, y * size)) for x, y in training.config.moves]
    first = Log.of(known, base, shifts, places=places)
    return [first, *(Log.of(known, grid, shifts, first.categories, places) for grid in moved)]


def _kept(log: Log, config: HotspotConfig) -> dict[int, Panel] | None:
    """Where to keep panels, if all of them fit."""
    numbers = len(log.grid) * log.kinds * len(MEMORIES) * len(SPREADS) * config.periods
    return {} if 4 * numbers < KEPT_BYTES else None


def _last_day(shifts: Shifts, as_of: datetime) -> int:
    """The day, by the shifts' clock, in which a moment falls."""
    day, _ = shifts.of(pd.DatetimeIndex([as_of]))
    return int(day[0])


def _warm_up(log: Log, last: int, training: HotspotTraining) -> int:
    """As much history before the first week learnt from as there is, up to what is wanted."""
    history = last - log.first_day if len(log) else 0
    if history < SHORTEST_DAYS:
        raise HotspotError(
            f"expected incidents of at least {SHORTEST_DAYS} days before as_of, found "
            f"{max(history, 0)}; bring a longer history"
        )
    return min(training.config.warm_up_days, history // 2)


def _searched(
    past: Sequence[Sequence[Period]], held: int, config: HotspotConfig, trials: int
) -> HotspotConfig:
    """Recipe with most hits at the top, on the weeks before those held out."""
    judge = past[0][-2 * held : -held]
    learn = [grid[: len(grid) - 2 * held] for grid in past[:1]]
    total = sum(float(one.counts.sum()) for one in judge)

    def hits(found: Mapping[str, float]) -> float:
        model = HotspotModel.fit(learn, _with(config, found))
        ours = _tally(judge, [model.forecast(one.panel).expected for one in judge])
        return float(ours.hits[..., : len(TOP)].sum() / max(total, 1.0))

    params = config.recipe.params
    given = {**params, "rounds": config.recipe.rounds}
    start = {name: min(max(given[name], low), high) for name, (low, high) in SPACE.items()}
    best, _ = tune(hits, SPACE, start, trials=trials)
    return _with(config, best)


def _with(config: HotspotConfig, found: Mapping[str, float]) -> HotspotConfig:
    params = {name: value for name, value in found.items() if name != "rounds"}
    recipe = config.recipe.with_params(**params)
    return replace(config, recipe=replace(recipe, rounds=int(found["rounds"])))


def _figures(model: HotspotModel, later: Sequence[Period]) -> dict[str, Interval]:
    """Hits of the model on held-out weeks, and gains over two rivals in percent."""
    forecasts = [model.forecast(one.panel).expected for one in later]
    ours = _tally(later, forecasts)
    rivals = {rival.name: rival for rival in (LongHistoryCount(), ExponentialCount())}
    found = {f"hit_rate_{cover:g}": ours.interval("hit_rate", cover) for cover in TOP}
    found["pai_0.01"] = ours.interval("pai", TOP[0])
    for name, rival in rivals.items():
        scores = [
            np.stack(
                [
                    [rival.score(past_of(one.panel.log, one.panel.day, category))]
                    for category in range(len(model.categories))
                ]
            ).repeat(model.shifts, axis=1)
            for one in later
        ]
        found[f"gain_percent_over_{name}"] = gain_percent(ours, _tally(later, scores), TOP)
    rate = np.concatenate([one.ravel() for one in forecasts])
    count = np.concatenate([one.counts.ravel() for one in later]).astype(np.float64)
    for name, value in (
        ("poisson_deviance", poisson_deviance(rate, count)),
        ("brier_any", brier_any(rate, count)),
    ):
        found[name] = Interval(value, np.nan, np.nan)
    return found


def _tally(later: Sequence[Period], scores: Sequence[np.ndarray]) -> Tally:
    log = later[0].panel.log
    names = labels(log)
    tally = Tally.over(len(later), 1, names, (*TOP, 0.05, 0.1))
    for week, (one, score) in enumerate(zip(later, scores, strict=True)):
        flat_scores = score.reshape(len(names), -1)
        for name, row, counts in zip(
            names, flat_scores, one.counts.reshape(len(names), -1), strict=True
        ):
            tally.record(week, 0, name, row, counts)
    return tally


def _card(
    log: Log,
    as_of: datetime,
    config: HotspotConfig,
    training: HotspotTraining,
    figures: Mapping[str, Interval],
) -> Card:
    return Card(
        title="Where will reported incidents concentrate?",
        purpose="Ranks places for a shift's patrol; it says nothing about any person.",
        as_of=as_of.isoformat(),
        data={
            "fingerprint": _fingerprint(log),
            "incidents": len(log),
            "cells": len(log.grid),
            "categories": ", ".join(log.categories),
        },
        metrics=as_metrics(figures),
        params={
            **config.recipe.params,
            "rounds": config.recipe.rounds,
            "horizon_days": config.horizon_days,
            "top_share": config.top_share,
            "grids": 1 + len(config.moves),
            "size_m": training.size_m,
            "shifts": ", ".join(log.shifts.names),
            "zone": log.shifts.zone,
            "country": training.country,
            "held_out_weeks": training.held_out,
        },
        limits=LIMITS,
        red_lines=RED_LINES,
    )


def _fingerprint(log: Log) -> str:
    """SHA-256 of what was learnt from."""
    digest = hashlib.sha256()
    for part in (log.cell, log.kind, log.day, log.known_us):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
