"""Which events are there already: 16 bytes a remembered ``event_id``, not the text."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Seen"]

Marks = NDArray[np.int64]  # two hashes an id, side by side, sorted by the first
RUNS = 12


class Seen:
    """Remembers ids by two 64-bit keyed hashes (SipHash, Python's own, keyed anew each process).

    That an unseen id among a hundred million is taken for a seen one has a chance of 3e-31.

    Examples
    --------
    >>> seen = Seen()
    >>> seen.add(pa.array(["a", "b", "a"])).tolist()
    [True, True, False]
    >>> seen.add(pa.array(["b", "c"])).tolist()
    [False, True]
    """

    def __init__(self) -> None:
        self._runs: list[Marks] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """Remember ids; whether each was new, the first of a repeated one counting as new."""
        marks = _marks(ids)
        order = np.lexsort((marks[:, 1], marks[:, 0]))  # stable: the first comes first
        ordered = marks[order]  # neighbours are sought side by side, which the cache rewards
        fresh = _firsts(ordered)
        for run in self._runs:
            fresh &= ~_within(run, ordered)
        self._keep(ordered[fresh])
        new = np.empty(len(marks), dtype=bool)
        new[order] = fresh
        return new

    def _keep(self, ordered: Marks) -> None:
        if len(ordered):
            self._runs.append(ordered)
        if len(self._runs) > RUNS:
            self._runs = [_sorted(np.concatenate(self._runs))]


def _marks(ids: Any) -> Marks:
    texts = ids.to_pylist()
    one = np.fromiter(map(hash, texts), np.int64, len(texts))
    other = np.fromiter((hash(f"{text}#") for text in texts), np.int64, len(texts))
    return np.column_stack([one, other])


def _sorted(marks: Marks) -> Marks:
    return marks[np.argsort(marks[:, 0], kind="stable")]


def _firsts(ordered: Marks) -> NDArray[np.bool_]:
    """Whether a mark is the first of its like."""
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return first


def _within(run: Marks, marks: Marks) -> NDArray[np.bool_]:
    place = np.minimum(np.searchsorted(run[:, 0], marks[:, 0]), len(run) - 1)
    found: NDArray[np.bool_] = (run[place] == marks).all(axis=1)
    return found
