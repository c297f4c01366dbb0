"""Rivals on the Sichuan lines: a random forest, and two graph models without a deep library."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from training.line_dataset import LineDataset, Places

__all__ = ["FOREST", "Scores", "forest", "label_propagation", "simplified_graph_convolution"]

Floats = NDArray[np.float64]
FOREST = 500  # trees, as in the published run
OWN = 55  # the first columns: the table as published
KEEP = 0.9  # what a line passes on to its neighbours, Zhou et al. 2004 use 0.99
ROUNDS = 30


@dataclass(frozen=True)
class Scores:
    """Scores of all lines, and of training lines as if they had not been learnt from.

    Parameters
    ----------
    every : float64 array (n,)
        Probabilities.
    train : float64 array (m,), optional
        Out of bag or out of fold, in the order of the training lines.
    """

    every: Floats
    train: Floats | None = None


Rival = Callable[[LineDataset, Places], Scores]


def forest(data: LineDataset, train: Places, trees: int = FOREST) -> Scores:
    """Random forest on the table alone; gaps are passed to it as gaps."""
    X = data.fixed.X[:, :OWN]
    model = RandomForestClassifier(trees, n_jobs=2, random_state=0, oob_score=trees >= FOREST)
    model.fit(X[train], data.y[train])
    seen = model.oob_decision_function_[:, 1] if trees >= FOREST else None
    return Scores(model.predict_proba(X)[:, 1], seen)


def simplified_graph_convolution(data: LineDataset, train: Places) -> Scores:
    """Logistic regression on features averaged twice over the call graph.

    References
    ----------
    Wu et al., Simplifying graph convolutional networks, ICML 2019.
    """
    X = data.fixed.X[:, :OWN]
    filled = np.where(np.isnan(X), np.nanmedian(X[train], axis=0), X)
    scaled = (filled - filled[train].mean(axis=0)) / np.maximum(filled[train].std(axis=0), 1e-9)
    spread = _with_loops(data)
    smooth = np.hstack([scaled, spread @ scaled, spread @ (spread @ scaled)])
    model = LogisticRegression(C=0.1, max_iter=1_000).fit(smooth[train], data.y[train])
    return Scores(model.predict_proba(smooth)[:, 1])


def label_propagation(data: LineDataset, train: Places) -> Scores:
    """Training labels spread over the call graph; no feature is looked at.

    References
    ----------
    Zhou et al., Learning with local and global consistency, NIPS 2003.
    """
    known = np.zeros((len(data.y), 2))
    known[train, data.y[train]] = 1.0
    start = known / known.sum(axis=0)  # so that the common class does not win by number
    spread, found = _with_loops(data), start
    for _ in range(ROUNDS):
        found = KEEP * (spread @ found) + (1 - KEEP) * start
    total = found.sum(axis=1)
    return Scores(np.where(total > 0, found[:, 1] / np.where(total > 0, total, 1.0), 0.5))


def _with_loops(data: LineDataset) -> Any:
    """Symmetrically normalised calls, each line its own neighbour too."""
    looped = data.neighbours.matrix + sp.eye_array(len(data.y), format="csr")
    root = sp.diags_array(1 / np.sqrt(looped.sum(axis=1)))
    return sp.csr_array(root @ looped @ root)
