"""From a table of lines and their calls to a model of suspect lines, judged out of fold.

A label is known or not; a line's vector never holds its own. Threshold and calibration come from
lines the judging model did not learn from.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from data.settings import Settings
from data.sources import sichuan
from features.lines import OWN, LineTableError, LineVectors
from models.card import Card
from models.line_bundle import LineBundle
from models.line_reasons import line_norms
from models.suspect_line import LineRecipe, SuspectLineModel, best_threshold
from models.trees import Floats, Rows
from training.intervals import Interval, bootstrap
from training.line_dataset import LineDataset, Places
from training.line_metrics import g_mean, macro_f1
from training.metrics import Ranking
from training.publish import publish
from training.report import as_metrics, flat
from training.tracking import Record, Tracking

__all__ = [
    "LineTraining",
    "TrainedLines",
    "fit_lines",
    "out_of_fold",
    "own_curves",
    "train_suspect_lines",
]

EXPERIMENT = "forewarn-lines"
DRAWS = 300
LIMITS = (
    "Labels are the operator's; a fraudster's line nobody reported counts as harmless.",
    "Scores are probabilities only at the share of suspects among judged lines, no natural rate.",
    "Columns sum up months, so a line new to the network is judged on little.",
)


def own_curves(**changes: Any) -> LineRecipe:
    """Return a recipe whose curves see a line's own columns, with some of its values changed."""
    return LineRecipe(curve_features=tuple(column.name for column in OWN), **changes)


@dataclass(frozen=True)
class LineTraining:
    """How a model of suspect lines comes to be.

    Parameters
    ----------
    recipe : LineRecipe
        Its curves see a line's own columns only: the contacts' made them worse.
    labels : bool
        Whether known labels of neighbours are features.
    folds : int
        Parts in which the training lines are scored by models that have not seen them.
    seed : int
        Of the folds.
    """

    recipe: LineRecipe = field(default_factory=own_curves)
    labels: bool = True
    folds: int = 4
    seed: int = 20221201


def fit_lines(
    data: LineDataset,
    train: Places,
    held_out: Places | None = None,
    training: LineTraining | None = None,
) -> SuspectLineModel:
    """Fit on the lines `train`, set threshold and calibration on lines not learnt from.

    Parameters
    ----------
    data : LineDataset
    train : int array
        Rows whose labels may be learnt from.
    held_out : int array, optional
        A validation part; its labels join the out-of-fold ones of `train` in choosing the
        threshold, and are used for nothing else.
    training : LineTraining, optional

    Raises
    ------
    ModelError
        If `train` holds only one class.
    """
    training = training or LineTraining()
    found = data.vectors(train, labels=training.labels)
    model = SuspectLineModel.fit(_rows(found, data, train), found.names, training.recipe)
    judged, raw = train, out_of_fold(data, train, training)
    if held_out is not None:
        judged = np.concatenate([train, held_out])
        raw = np.concatenate([raw, model.raw(found.X[held_out])])
    return model.calibrate(raw, data.y[judged])


def out_of_fold(data: LineDataset, train: Places, training: LineTraining) -> Floats:
    """Raw scores of the lines `train`, each from a model that saw neither it nor its label.

    The labels of the fold to be scored are hidden from the neighbours' features too.
    """
    raw = np.full(len(train), np.nan)
    for rest, fold in _folds(data.y[train], training):
        found = data.vectors(train[rest], labels=training.labels)
        rows = _rows(found, data, train[rest])
        model = SuspectLineModel.fit(rows, found.names, training.recipe)
        raw[fold] = model.raw(found.X[train[fold]])
    return raw


def _folds(y: NDArray[np.int64], training: LineTraining) -> Iterator[tuple[Places, Places]]:
    fewest = int(np.bincount(y, minlength=2).min())
    if fewest < training.folds:
        raise LineTableError(
            f"labels: expected at least {training.folds} lines of either class to learn from, "
            f"found {fewest} of one; label more lines"
        )
    folds = StratifiedKFold(training.folds, shuffle=True, random_state=training.seed)
    yield from folds.split(np.zeros(len(y)), y)


def _rows(found: LineVectors, data: LineDataset, places: Places) -> Rows:
    return Rows(found.X[places], data.y[places])


Progress = Callable[[str, float, str], None]
"""Called with the step, the share of it done (0 to 1) and a note."""


@dataclass(frozen=True)
class TrainedLines:
    """What `train_suspect_lines` leaves behind.

    Parameters
    ----------
    bundle : Path
        Signed directory; `models.line_bundle.LineBundle.load` opens it.
    version : str
    figures : mapping of str to Interval
        ``auc``, ``macro_f1``, ``g_mean``, out of fold, with bootstrap intervals over lines.
    run_id : str
        MLflow's.
    """

    bundle: Path
    version: str
    figures: dict[str, Interval]
    run_id: str


def train_suspect_lines(
    folder: Path,
    *,
    settings: Settings,
    training: LineTraining | None = None,
    progress: Progress | None = None,
) -> TrainedLines:
    """Train on every judged line of a Sichuan-like folder, sign the model and keep the run.

    Parameters
    ----------
    folder : Path
        Holds ``subscribers.parquet`` and ``calls_graph.npz`` (see `data.sources.sichuan`); lines
        with an empty label are seen in the graph and not learnt from.
    settings : Settings
        Where to write (`var`: ``lines/``, ``keys/``, ``mlflow/``), and the tracking server.
    training : LineTraining, optional
    progress : callable, optional

    Raises
    ------
    SourceError, LineTableError, ModelError
        If files, columns or labels are not what is needed; the message says what would be.
    """
    training, told = training or LineTraining(), progress or (lambda _step, _share, _note: None)
    told("features", 0.0, "")
    data = LineDataset.of(*sichuan(folder))
    judged = np.flatnonzero(data.y >= 0)
    told("judge", 0.0, f"{len(judged)} lines, out of fold")
    raw, y = out_of_fold(data, judged, training), data.y[judged]
    figures = _figures(raw, y, training)
    told("fit", 0.0, "")
    bundle = _bundle(data, judged, raw, training, figures)
    told("track", 0.0, "")
    path, version = publish(bundle, settings, "lines")
    run_id = _keep(bundle, path, figures, settings)
    told("track", 1.0, version)
    return TrainedLines(path, version, figures, run_id)


def _figures(raw: Floats, y: NDArray[np.int64], training: LineTraining) -> dict[str, Interval]:
    """AUC, and what calls are worth whose threshold was chosen on other folds."""
    called = np.zeros(len(y), dtype=bool)
    for rest, fold in _folds(y, training):
        called[fold] = raw[fold] >= best_threshold(raw[rest], y[rest])
    ranking, each = Ranking(y, raw), np.arange(len(y))
    statistics: dict[str, Callable[[Floats], float]] = {
        "auc": ranking.auc,
        "macro_f1": lambda w: macro_f1(y, called, w),
        "g_mean": lambda w: g_mean(y, called, w),
    }
    return {name: bootstrap(found, each, rounds=DRAWS) for name, found in statistics.items()}


def _bundle(
    data: LineDataset,
    judged: Places,
    raw: Floats,
    training: LineTraining,
    figures: dict[str, Interval],
) -> LineBundle:
    found = data.vectors(judged, labels=training.labels)
    model = SuspectLineModel.fit(_rows(found, data, judged), found.names, training.recipe)
    harmless = found.X[judged[data.y[judged] == 0]]
    return LineBundle(
        model=model.calibrate(raw, data.y[judged]),
        columns=found.columns,
        norms=line_norms(harmless, found.names),
        card=_card(data, judged, training, figures),
    )


def _card(
    data: LineDataset, judged: Places, training: LineTraining, figures: dict[str, Interval]
) -> Card:
    recipe = training.recipe
    return Card(
        title="Is this line a fraudster's?",
        purpose="Ranks lines for an officer to look at; closing one is a request a person signs.",
        as_of="the table's last month",
        data={
            "fingerprint": _fingerprint(data),
            "lines": len(data.y),
            "judged": len(judged),
            "suspects": int((data.y == 1).sum()),
            "calls": data.neighbours.matrix.nnz // 2,
        },
        metrics=as_metrics(figures),
        params={
            **recipe.trees.params,
            "rounds": recipe.trees.rounds,
            "members": recipe.members,
            "curve_pieces": recipe.curves.pieces,
            "curve_penalty": recipe.curves.penalty,
            "neighbours_labels": training.labels,
            "folds": training.folds,
        },
        limits=LIMITS,
    )


def _fingerprint(data: LineDataset) -> str:
    """SHA-256 of vectors, labels and calls, whatever files they came from."""
    parts = (data.fixed.X, data.y, data.neighbours.matrix.indptr, data.neighbours.matrix.indices)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _keep(bundle: LineBundle, path: Path, figures: dict[str, Interval], settings: Settings) -> str:
    tracking = Tracking(settings.var / "mlflow", settings.tracking_url, EXPERIMENT)
    record = Record(
        name=f"lines {path.name}",
        params={**bundle.card.params, **bundle.card.data},
        metrics=flat(figures),
        artifacts=path,
        tags={"bundle": path.name},
    )
    return tracking.record(record).run_id
