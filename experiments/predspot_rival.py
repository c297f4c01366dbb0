"""The package predspot 1.0 as a rival, in a process of its own that can be stopped.

predspot maps incidents onto a grid week by week, takes each place's series apart by STL, and
trains a random forest on lags of the parts. It accepts any grid, so it is given ours and nothing
needs to be resampled. What it does is left as published; where it would not finish,
`PredspotSettings` bounds how many places it sees and how many rows a tree is grown on.

References
----------
Araujo et al., "Towards a crime hotspot detection framework for patrol planning", HPCC 2018.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import RFE
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer

from features.grid import Grid

__all__ = [
    "PUBLISHED",
    "PredspotError",
    "PredspotForecasts",
    "PredspotSettings",
    "predspot_forecasts",
    "predspot_scores",
]

Floats = NDArray[np.float64]
ROOT = Path(__file__).parent.parent
MONDAY: Final = pd.Timestamp("2024-01-01")  # its weeks end on Sundays: forecasts are moved here
WEEK: Final = timedelta(weeks=1)
ASKED, CELLS, INCIDENTS, ANSWER = "asked.json", "cells.npz", "incidents.parquet", "answer.npz"


class PredspotError(RuntimeError):
    """predspot gave no forecast; the message says why."""


@dataclass(frozen=True)
class PredspotSettings:
    """How predspot is run.

    Parameters
    ----------
    mapping : str
        ``kde``, its default, or ``count``, incidents of each cell.
    weeks : int
        Weeks of history at most.
    lags : int
        Weeks looked back, and the period of its seasons; 2 by its default. Of what we tried,
        counts with 12 ranked Chicago's thefts best.
    places : int, optional
        The cells with the most incidents so far, which predspot forecasts; the others come after
        them, by count. None for all.
    rows : int, optional
        Rows (places x weeks) drawn for each tree. None for as many as there are, its default.
    trees, selecting_trees : int
        Trees of the forecast, and of each round of its feature selection: its defaults.
    jobs : int
        Processors.
    budget_s : float
        Seconds after which the process is stopped.
    python : str
        Interpreter that has predspot: this one, if the extra ``rivals`` is installed.
    """

    mapping: Literal["kde", "count"] = "count"
    weeks: int = 78
    lags: int = 12
    places: int | None = 1_000
    rows: int | None = 20_000
    trees: int = 50
    selecting_trees: int = 20
    jobs: int = 1
    budget_s: float = 900.0
    python: str = sys.executable


PUBLISHED: Final = PredspotSettings(mapping="kde", lags=2, places=None, rows=None, budget_s=7_200.0)
"""As published, on all cells; too slow for a backtest."""


@dataclass(frozen=True, eq=False)
class PredspotForecasts:
    """What predspot answered.

    Parameters
    ----------
    scores : float64 array of shape (moments, n)
        Higher is more dangerous; comparable within a moment only.
    seconds : float
        From question to answer, its process's start included.
    version : str
        Of the package.
    """

    scores: Floats
    seconds: float
    version: str


def predspot_scores(
    incidents: pd.DataFrame,
    as_of: datetime,
    grid: Grid,
    category: str,
    settings: PredspotSettings = PredspotSettings(),
) -> Floats:
    """Forecast the week that begins at `as_of`: one score a cell, shape (n,).

    See `predspot_forecasts`.
    """
    return np.asarray(predspot_forecasts(incidents, [as_of], grid, category, settings).scores[0])


def predspot_forecasts(
    incidents: pd.DataFrame,
    moments: Sequence[datetime],
    grid: Grid,
    category: str,
    settings: PredspotSettings = PredspotSettings(),
) -> PredspotForecasts:
    """Train at the first moment, and forecast the week that begins at each.

    Parameters
    ----------
    incidents : DataFrame
        Columns lon, lat, time, category. Only what lies before a moment is used for it.
    moments : sequence of datetime
        Whole weeks apart, ascending, in the clock of ``time``.
    grid : Grid
        Our cells.
    category : str
        The one category forecast.
    settings : PredspotSettings

    Raises
    ------
    PredspotError
        If the package is missing, the history too short, or the time used up.
    """
    begun = perf_counter()
    own = _moved(incidents.loc[incidents["category"] == category], moments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _ask(folder, own, moments, grid, settings)
        _run(folder, settings)
        with np.load(folder / ANSWER) as answer:
            found, places, version = answer["scores"], answer["places"], str(answer["version"])
    scores = np.stack(
        [
            _filled(found[i], places, grid, own.loc[own["t"] < MONDAY + (moment - moments[0])])
            for i, moment in enumerate(moments)
        ]
    )
    return PredspotForecasts(scores, perf_counter() - begun, version)


def _moved(own: pd.DataFrame, moments: Sequence[datetime]) -> pd.DataFrame:
    """Move times so that the first forecast begins on a Monday."""
    steps = [(moment - moments[0]) / WEEK for moment in moments]
    if any(step != int(step) for step in steps) or steps != sorted(steps):
        raise PredspotError(
            f"expected forecasts whole weeks apart, found {[str(moment) for moment in moments]}"
        )
    moved = MONDAY + (own["time"] - pd.Timestamp(moments[0]))
    return pd.DataFrame({"tag": "one", "t": moved, "lon": own["lon"], "lat": own["lat"]})


def _ask(
    folder: Path,
    own: pd.DataFrame,
    moments: Sequence[datetime],
    grid: Grid,
    settings: PredspotSettings,
) -> None:
    """Lay the question down for the other process."""
    known = own.loc[own["t"] < MONDAY]
    whole_weeks = int((MONDAY - known["t"].min()) / WEEK) if len(known) else 0
    weeks = min(settings.weeks, whole_weeks)
    if weeks < 2 * settings.lags + 2:
        raise PredspotError(
            f"expected {2 * settings.lags + 2} weeks of history at least, found {weeks}; "
            "predspot cannot take so short a series apart"
        )
    used = own.loc[own["t"] >= MONDAY - weeks * WEEK]
    chosen = _chosen(grid, known, settings.places)
    lon, lat = grid.centres()
    np.savez(
        folder / CELLS,
        places=chosen,
        lon=lon[chosen],
        lat=lat[chosen],
        corners=grid.corners()[chosen],
    )
    used.to_parquet(folder / INCIDENTS)
    asked = {
        **asdict(settings),
        "weeks": weeks,
        "steps": [int((moment - moments[0]) / WEEK) for moment in moments],
    }
    (folder / ASKED).write_text(json.dumps(asked))


def _run(folder: Path, settings: PredspotSettings) -> None:
    command = [settings.python, "-m", "experiments.predspot_rival", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module under the interpreter asked for
            command,
            cwd=ROOT,
            timeout=settings.budget_s,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise PredspotError(
            f"expected a forecast within {settings.budget_s:g} s, found none; "
            "allow more time, or fewer places and rows"
        ) from late
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        if "No module named 'predspot'" in said:
            said = "the package is not installed; install the extra: rivals"
        raise PredspotError(f"expected a forecast of predspot, found an error: {said}")


def _chosen(grid: Grid, known: pd.DataFrame, places: int | None) -> NDArray[np.int64]:
    """Positions of the cells that predspot is to see, ascending."""
    if places is None or places >= len(grid):
        return np.arange(len(grid))
    return np.sort(np.argsort(-_counts(grid, known), kind="stable")[:places])


def _filled(found: Floats, places: NDArray[np.int64], grid: Grid, known: pd.DataFrame) -> Floats:
    """Scores of all cells: those predspot did not see come after those it did, by count."""
    scores = found.min() - 1 / (1 + _counts(grid, known))
    scores[places] = found
    return np.asarray(scores, np.float64)


def _counts(grid: Grid, known: pd.DataFrame) -> Floats:
    cell = grid.place(known["lon"].to_numpy(), known["lat"].to_numpy())
    return np.bincount(cell[cell >= 0], minlength=len(grid)).astype(np.float64)


# ---------------------------------------------------------------- in the other process


def _answer(folder: Path) -> None:
    """Read the question, let predspot work, write the answer."""
    asked = json.loads((folder / ASKED).read_text())
    predspot = import_module("predspot")
    with np.load(folder / CELLS) as cells:
        places, grid = cells["places"], _as_grid(cells, asked["mapping"])
    events = pd.read_parquet(folder / INCIDENTS)
    area = import_module("geopandas").GeoDataFrame(geometry=[grid.union_all().envelope], crs=4326)
    rows = len(grid) * (asked["weeks"] - asked["lags"])
    pipeline = predspot.PredictionPipeline(
        mapping=_mapping(predspot, grid, asked, step=0),
        fextraction=_features(predspot, asked),
        estimator=_estimator(predspot, asked, rows),
        random_state=0,
    )
    pipeline.fit(predspot.Dataset(events.loc[events["t"] < MONDAY], area))
    scores = []
    for step in asked["steps"]:
        X = pipeline.features
        if step:
            # a bandwidth found at the first moment is kept, as predspot keeps it week to week
            factor = getattr(pipeline.mapping, "factor", None)
            until = predspot.Dataset(events.loc[events["t"] < MONDAY + step * WEEK], area)
            mapping = _mapping(predspot, grid, asked, step, factor)
            X = pipeline.fextraction.transform(mapping.transform(until.crimes))
        coming = X.loc[[X.index.get_level_values("t").max()]]
        scores.append(pipeline.estimator.predict(coming)["crime_density"].to_numpy())
    np.savez(folder / ANSWER, scores=np.array(scores), places=places, version=predspot.__version__)


def _as_grid(cells: Any, mapping: str) -> Any:
    """Our cells as predspot wants them: centres for a density, squares for counts."""
    shapely = import_module("shapely")
    shapes = (
        shapely.points(cells["lon"], cells["lat"])
        if mapping == "kde"
        else shapely.polygons(cells["corners"])
    )
    columns = {"lon": cells["lon"], "lat": cells["lat"]}
    grid = import_module("geopandas").GeoDataFrame(columns, geometry=shapes, crs=4326)
    grid.index.name = "places"
    return grid


def _mapping(
    predspot: Any, grid: Any, asked: dict[str, Any], step: int, factor: float | None = None
) -> Any:
    sunday = timedelta(days=1)
    first = MONDAY - asked["weeks"] * WEEK
    times = {"start_time": first + WEEK - sunday, "end_time": MONDAY + step * WEEK - sunday}
    if asked["mapping"] == "count":
        return predspot.QuadratCount("W", grid, **times)
    return predspot.KDE("W", grid, bandwidth=factor or "silverman", **times)


def _features(predspot: Any, asked: dict[str, Any]) -> Any:
    made = predspot.feature_engineering
    kinds = (("seasonal", made.Seasonality), ("trend", made.Trend), ("diff", made.Diff))
    return predspot.PandasFeatureUnion(
        [(name, kind(lags=asked["lags"], tfreq="W")) for name, kind in kinds]
    )


def _estimator(predspot: Any, asked: dict[str, Any], rows: int) -> Any:
    """The estimator of predspot's own `build_default_pipeline`, rows a tree aside."""

    def forest(trees: int) -> Any:
        drawn = None if asked["rows"] is None or asked["rows"] >= rows else asked["rows"]
        return RandomForestRegressor(trees, max_samples=drawn, n_jobs=asked["jobs"], random_state=0)

    scaler = QuantileTransformer(n_quantiles=10, output_distribution="uniform")
    modelling = predspot.ml_modelling
    return Pipeline(
        [
            ("f_scaling", predspot.feature_engineering.FeatureScaling(scaler)),
            (
                "f_selection",
                modelling.FeatureSelection(RFE(forest(asked["selecting_trees"]))),
            ),
            ("model", modelling.Model(forest(asked["trees"]))),
        ]
    )


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
