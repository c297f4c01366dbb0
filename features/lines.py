"""What is known of a line: its own columns, their ratios, and the lines it talks to.

The call graph says who called whom. A line's vector may use any line's columns and calls, labelled
or not, as graph networks do; a label is used only where it is known, and never the line's own.
Unlike `features.fraud`, which reads a citizen's state at a moment, this module reads one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from features.line_columns import LINE_COLUMNS, LineColumn
from features.line_ratios import LINE_RATIOS

__all__ = [
    "OWN",
    "LineTableError",
    "LineVectors",
    "Neighbours",
    "contact_features",
    "graph_features",
    "label_features",
    "own_features",
    "ratio_features",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEIGHBOUR_COLUMNS = (
    "opposite_unique",
    "voc_calltype1",
    "phone2opposite_mean",
    "call_dur_mean",
    "voc_day_nunique",
    "sms_rate",
    "day_nunique",
    "month_ids",
    "imeis",
    "arpu_mean",
)
"""Columns looked at in neighbours: habits of calling, texting, paying, and the line's age."""


UNKNOWN = LineColumn(
    "unknown.count", "records", "columns", "缺失的指标数", "columns with no record"
)
OWN = (*LINE_COLUMNS.values(), UNKNOWN, *(ratio.column for ratio in LINE_RATIOS))
"""Everything known of a line without looking at another."""


class LineTableError(ValueError):
    """A table of lines or a call graph cannot be used; the message says what would be."""


@dataclass(frozen=True)
class LineVectors:
    """Feature vectors of lines and what each column means.

    Parameters
    ----------
    columns : tuple of LineColumn
        Name, unit and sentence of each of the p columns.
    X : float64 array (n, p)
        NaN where unknown.
    """

    columns: tuple[LineColumn, ...]
    X: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def __add__(self, other: "LineVectors") -> "LineVectors":
        return LineVectors(self.columns + other.columns, np.hstack([self.X, other.X]))


def own_features(lines: pd.DataFrame) -> LineVectors:
    """The 55 columns as they are, and how many of them are unknown.

    Parameters
    ----------
    lines : DataFrame
        One row a line; other columns (number, label) are not read.

    Raises
    ------
    LineTableError
        If a column is missing or does not hold numbers; the message lists the difference.

    Examples
    --------
    >>> own_features(pd.DataFrame({"imeis": [1]}))
    Traceback (most recent call last):
    ...
    features.lines.LineTableError: table of lines: expected 55 columns, found 1 of them; missing ...
    """
    _check_columns(lines)
    X = np.column_stack([_numbers(lines, name) for name in LINE_COLUMNS])
    X[~np.isfinite(X)] = np.nan
    own = LineVectors(tuple(LINE_COLUMNS.values()), X)
    unknown = np.isnan(X).sum(axis=1, dtype=np.float64)
    return own + LineVectors((UNKNOWN,), unknown[:, None])


def ratio_features(own: LineVectors) -> LineVectors:
    """Rates, shares and trends that follow from a line's own columns (`LINE_RATIOS`)."""
    place = {name: position for position, name in enumerate(own.names)}
    found = [
        ratio.of(own.X[:, place[ratio.left]], own.X[:, place[ratio.right]]) for ratio in LINE_RATIOS
    ]
    return LineVectors(tuple(ratio.column for ratio in LINE_RATIOS), np.column_stack(found))


@dataclass(frozen=True)
class Neighbours:
    """Who called whom, symmetric, once, without loops.

    Parameters
    ----------
    calls : sparse array (n, n)
        Any non-zero entry is a pair that called; one triangle is enough.

    Examples
    --------
    >>> pair = Neighbours(sp.csr_array(np.array([[0, 5, 0], [0, 0, 0], [0, 0, 0]])))
    >>> pair.degree
    array([1., 1., 0.])
    """

    calls: Any

    def __post_init__(self) -> None:
        shape = self.calls.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise LineTableError(
                f"call graph: expected one row and one column a line, found shape {shape}"
            )

    @cached_property
    def matrix(self) -> sp.csr_array:
        """1.0 where two lines called each other."""
        some = sp.csr_array(self.calls).astype(bool)  # int8 counts would overflow in products
        both = sp.csr_array((some + some.T).astype(np.float64))
        both.setdiag(0)
        both.eliminate_zeros()
        both.sort_indices()
        return both

    @cached_property
    def degree(self) -> Floats:
        """Lines each line called or was called by, shape (n,)."""
        return np.asarray(np.diff(self.matrix.indptr), dtype=np.float64)

    @cached_property
    def paths(self) -> sp.csr_array:
        """How many contacts two different lines have in common."""
        found = sp.csr_array(self.matrix @ self.matrix)
        found.setdiag(0)
        found.eliminate_zeros()
        return found

    def mean(self, values: Floats) -> Floats:
        """Mean over neighbours whose value is known; NaN where there is none.

        Parameters
        ----------
        values : float64 array (n,) or (n, k)
        """
        known = ~np.isnan(values)
        total = self.matrix @ np.where(known, values, 0.0)
        return _divide(np.asarray(total), self.matrix @ known.astype(np.float64))

    def quantile(self, values: Floats, share: float) -> Floats:
        """Lower quantile of the neighbours' known values, shape (n,); NaN where there is none."""
        row = np.repeat(np.arange(len(values)), np.diff(self.matrix.indptr))
        seen = values[self.matrix.indices]
        row, seen = row[~np.isnan(seen)], seen[~np.isnan(seen)]
        seen = seen[np.lexsort((seen, row))]
        count = np.bincount(row, minlength=len(values))
        last = np.cumsum(count)
        chosen = last - count + np.floor(share * np.maximum(count - 1, 0)).astype(np.int64)
        padded = np.append(seen, np.nan)
        return np.where(count > 0, padded[np.minimum(chosen, len(seen))], np.nan)


def graph_features(neighbours: Neighbours) -> LineVectors:
    """Where each line lies in the call graph, and where its contacts do."""
    degree, matrix = neighbours.degree, neighbours.matrix
    triangles = np.asarray(neighbours.paths.multiply(matrix).sum(axis=1)).ravel() / 2
    reach = np.diff(neighbours.paths.indptr).astype(np.float64)
    found = {
        "graph.degree": degree,
        "graph.clustering": _divide(triangles, degree * (degree - 1) / 2),
        "graph.two_hop_reach": reach,
        "graph.neighbours_degree.mean": neighbours.mean(degree),
        "graph.neighbours_degree.median": neighbours.quantile(degree, 0.5),
        "graph.neighbours_degree.max": neighbours.quantile(degree, 1.0),
    }
    return LineVectors(STRUCTURE, np.column_stack([found[column.name] for column in STRUCTURE]))


STRUCTURE = (
    LineColumn(
        "graph.degree",
        "contacts",
        "lines",
        "通话网络中的联系号码数",
        "lines in the table it talked to",
    ),
    LineColumn(
        "graph.clustering",
        "contacts",
        "share",
        "联系号码彼此通话的比例",
        "share of those that talk to each other",
    ),
    LineColumn(
        "graph.two_hop_reach",
        "contacts",
        "lines",
        "有共同联系人的号码数",
        "other lines that share a contact with it",
    ),
    LineColumn(
        "graph.neighbours_degree.mean",
        "contacts",
        "lines",
        "联系号码的平均联系数",
        "its contacts' own contacts, mean",
    ),
    LineColumn(
        "graph.neighbours_degree.median",
        "contacts",
        "lines",
        "联系号码的联系数中位数",
        "its contacts' own contacts, median",
    ),
    LineColumn(
        "graph.neighbours_degree.max",
        "contacts",
        "lines",
        "联系号码的最大联系数",
        "its contacts' own contacts, most",
    ),
)


def contact_features(own: LineVectors, neighbours: Neighbours) -> LineVectors:
    """What the lines around a line are like: habits of its contacts, and of theirs.

    Parameters
    ----------
    own : LineVectors
        From `own_features`, n rows.
    neighbours : Neighbours
        Of the same n lines in the same order.
    """
    place = [own.names.index(name) for name in NEIGHBOUR_COLUMNS]
    values, columns = own.X[:, place], [LINE_COLUMNS[name] for name in NEIGHBOUR_COLUMNS]
    unknown = np.where(np.isnan(own.X).any(axis=1), 1.0, 0.0)
    once = neighbours.mean(values)
    parts = [
        _about(columns, "mean", "联系号码的平均值：", "its contacts' mean: ", once),
        _about(
            columns,
            "median",
            "联系号码的中位数：",
            "its contacts' median: ",
            np.column_stack([neighbours.quantile(value, 0.5) for value in values.T]),
        ),
        _about(
            columns,
            "two_hop_mean",
            "联系号码的联系号码平均值：",
            "its contacts' contacts, mean: ",
            neighbours.mean(once),
        ),
        LineVectors((NEIGHBOURS_UNKNOWN,), neighbours.mean(unknown)[:, None]),
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


NEIGHBOURS_UNKNOWN = LineColumn(
    "neighbours.unknown.share",
    "contacts",
    "share",
    "联系号码中资料不全的比例",
    "share of its contacts with gaps in their records",
)


def _about(
    columns: Sequence[LineColumn], what: str, zh: str, en: str, values: Floats
) -> LineVectors:
    said = tuple(
        replace(c, topic="contacts", name=f"neighbours.{c.name}.{what}", zh=zh + c.zh, en=en + c.en)
        for c in columns
    )
    return LineVectors(said, values)


def label_features(
    neighbours: Neighbours, y: NDArray[Any], known: Bools, fold: NDArray[Any]
) -> LineVectors:
    """What the known labels around a line say, its own fold's labels hidden from it.

    A label enters no vector of its own fold, the line's own least of all. Leaving out only its own
    would not do: among lines with the same contacts, the suspects' shares would then be lower by
    exactly one label, which trees find.

    Parameters
    ----------
    neighbours : Neighbours
        Of n lines.
    y : array (n,)
        1 for a suspect's line; values where `known` is false are not read.
    known : bool array (n,)
        Labels that may be used: the training part's.
    fold : int array (n,)
        Part each line belongs to; drawn without looking at labels. A line whose label is not known
        sees every known one, as a line to come does.

    Examples
    --------
    >>> chain = Neighbours(sp.csr_array(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])))
    >>> known = np.array([True, True, False])
    >>> label_features(chain, np.array([1, 0, 9]), known, np.array([0, 1, 2])).X[:, 0].round(2)
    array([0.33, 0.67, 0.33])
    """
    found = _shares(neighbours, y, known)
    for part in np.unique(fold[known]):
        hidden = known & (fold == part)
        found[hidden] = _shares(neighbours, y, known & ~hidden)[hidden]
    return LineVectors(KNOWN, found)


KNOWN = (
    LineColumn(
        "known.suspect_share",
        "contacts",
        "share",
        "已标记联系号码中涉诈的比例",
        "share of its judged contacts that were suspects",
    ),
    LineColumn(
        "known.two_hop_suspect_share",
        "contacts",
        "share",
        "共同联系人相连的已标记号码中涉诈的比例",
        "share of judged lines with a contact in common that were suspects",
    ),
)


def _shares(neighbours: Neighbours, y: NDArray[Any], seen: Bools) -> Floats:
    judged = np.where(seen, 1.0, 0.0)
    suspect = np.where(seen & (y == 1), 1.0, 0.0)
    around = (neighbours.matrix, neighbours.paths)
    return np.column_stack([_shrunk(near @ suspect, near @ judged) for near in around])


def _shrunk(suspects: Floats, judged: Floats) -> Floats:
    """Laplace's rule: a half where nothing is known, and no label needed to say so."""
    share: Floats = (suspects + 1.0) / (judged + 2.0)
    return share


def _divide(top: Floats, bottom: Floats) -> Floats:
    found: Floats = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
    return found


def _numbers(lines: pd.DataFrame, name: str) -> Floats:
    try:
        return lines[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise LineTableError(
            f"table of lines: expected numbers in {name}, found {lines[name].dtype}; "
            "convert the column, with gaps left empty"
        ) from error


def _check_columns(lines: pd.DataFrame) -> None:
    missing = [name for name in LINE_COLUMNS if name not in lines.columns]
    if missing:
        extra = sorted(set(map(str, lines.columns)) - set(LINE_COLUMNS) - {"phone_no_m", "label"})
        raise LineTableError(
            f"table of lines: expected {len(LINE_COLUMNS)} columns, found "
            f"{len(LINE_COLUMNS) - len(missing)} of them; missing - {' - '.join(missing)}; "
            f"not known + {' + '.join(extra) or 'none'}; rename or add them (empty where unknown)"
        )
    if lines.empty:
        raise LineTableError("table of lines: expected at least one line, found none")
