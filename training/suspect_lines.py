"""From a table of lines and their calls to a model of suspect lines, judged out of fold.

A label is known or not; a line's vector never holds its own. Threshold and calibration come from
lines the judging model did not learn from.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from features.line_columns import LABEL
from features.lines import (
    OWN,
    LineTableError,
    LineVectors,
    Neighbours,
    contact_features,
    graph_features,
    label_features,
    own_features,
    ratio_features,
)
from models.suspect_line import LineRecipe, SuspectLineModel
from models.trees import Floats, Rows

__all__ = ["LineDataset", "LineTraining", "fit_lines", "out_of_fold", "own_curves"]

Places = NDArray[np.int64]
UNJUDGED = -1
HIDDEN_FOLDS, HIDDEN_SEED = 10, 20221201  # whose labels a training line does not see


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


@dataclass(frozen=True)
class LineDataset:
    """Lines with what is known of them, whether their label is known or not.

    Parameters
    ----------
    fixed : LineVectors
        Features that no label enters, n rows.
    neighbours : Neighbours
    y : int64 array (n,)
        1 for a suspect's line, 0 for another, -1 where nobody has judged it.
    """

    fixed: LineVectors
    neighbours: Neighbours
    y: NDArray[np.int64]

    @classmethod
    def of(cls, lines: pd.DataFrame, graph: Any, *, contacts: bool = False) -> "LineDataset":
        """Read a Sichuan-like table and its call graph.

        Parameters
        ----------
        lines : DataFrame
            The columns of `features.line_columns` and ``label``.
        graph : sparse array (n, n)
            Who called whom, rows as in `lines`.
        contacts : bool
            Add what contacts are like; off, since on the Sichuan lines it made no model better.

        Raises
        ------
        LineTableError
            If columns are missing, labels are not 0 and 1, or table and graph do not fit.
        """
        own, neighbours = own_features(lines), Neighbours(graph)
        _check_same_lines(lines, neighbours)
        fixed = own + ratio_features(own) + graph_features(neighbours)
        fixed = fixed + contact_features(own, neighbours) if contacts else fixed
        return cls(fixed, neighbours, _labels(lines))

    def vectors(self, known: Places, *, labels: bool = True) -> LineVectors:
        """Vectors of all lines when only the labels of the lines `known` are known."""
        if not labels:
            return self.fixed
        mask = np.zeros(len(self.y), dtype=bool)
        mask[known] = True
        fold = np.random.default_rng(HIDDEN_SEED).permutation(len(self.y)) % HIDDEN_FOLDS
        return self.fixed + label_features(self.neighbours, self.y, mask, fold)


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


def _check_same_lines(lines: pd.DataFrame, neighbours: Neighbours) -> None:
    if neighbours.calls.shape[0] != len(lines):
        raise LineTableError(
            f"call graph: expected {len(lines)} lines as in the table, found "
            f"{neighbours.calls.shape[0]}; give both for the same lines in the same order"
        )


def _labels(lines: pd.DataFrame) -> NDArray[np.int64]:
    if LABEL not in lines.columns:
        raise LineTableError(
            f"table of lines: expected a column {LABEL} of 0, 1 or empty, found none; add it"
        )
    found = lines[LABEL]
    wrong = found[found.notna() & ~found.isin([0, 1])]
    if len(wrong):
        raise LineTableError(
            f"table of lines: expected 0, 1 or empty in {LABEL}, found "
            f"{sorted({str(value) for value in wrong})[:5]}; empty it where nobody has judged"
        )
    return found.fillna(UNJUDGED).to_numpy(dtype=np.int64)
