"""Lines to learn from: what no label enters, and what known labels add, own fold hidden."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.line_columns import LABEL
from features.lines import (
    LineTableError,
    LineVectors,
    Neighbours,
    contact_features,
    graph_features,
    label_features,
    own_features,
    ratio_features,
)

__all__ = ["LineDataset", "Places"]

Places = NDArray[np.int64]
UNJUDGED = -1
HIDDEN_FOLDS, HIDDEN_SEED = 10, 20221201  # whose labels a training line does not see


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
