"""Maximal covering: which k of many places reach most, each thing counted once.

References
----------
Church and ReVelle, "The maximal covering location problem", Papers of the Regional Science
Association 32, 1974, 101-118.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, hstack

__all__ = ["NODES", "Covering"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NODES = 50  # of branch and bound: a minute at worst seen, for 300 places and 10,000 positions


@dataclass(frozen=True, eq=False)
class Covering:
    """What each place reaches.

    Parameters
    ----------
    reached : list of int64 array
        Positions that each of c places reaches.
    expected : float64 array (n,)
        Worth of each position, 0 or more.
    held : int64 array
        Positions that are reached anyway.

    Examples
    --------
    >>> reached = [np.array([0, 1]), np.array([1, 2]), np.array([3])]
    >>> covering = Covering(reached, np.array([1.0, 3.0, 1.0, 2.0]), np.empty(0, np.int64))
    >>> covering.greedy(2), covering.solved(2)
    ([0, 2], ([0, 2], 6.0))
    """

    reached: list[Ints]
    expected: Floats
    held: Ints

    def worth(self, chosen: list[int]) -> float:
        """What is reached together, held positions included."""
        cells = np.concatenate([self.held, *(self.reached[at] for at in chosen)])
        return float(self.expected[np.unique(cells)].sum())

    @property
    def reachable(self) -> float:
        """What all places reach together."""
        return self.worth(list(range(len(self.reached))))

    def greedy(self, k: int) -> list[int]:
        """Up to k places, each adding most to those before; ties by position."""
        groups, weights = self._grouped
        left, chosen = weights.copy(), list[int]()
        for _ in range(k):
            gain = np.asarray(groups @ left)
            at = int(gain.argmax())
            if not gain[at] > 0:
                break
            chosen.append(at)
            left[groups.indices[groups.indptr[at] : groups.indptr[at + 1]]] = 0.0
        return chosen

    def solved(self, k: int, nodes: int = NODES) -> tuple[list[int], float]:
        """Up to k places worth most that were found, and what no choice can exceed.

        The whole programme, positions in groups and only places whole: its relaxation is so tight
        (Church and ReVelle) that few branches are needed, and their number is the only limit: a
        clock would make answers differ.
        """
        start, all_ = self.greedy(k), self.reachable
        groups, weights = self._grouped
        if not len(weights):
            return start, self.worth(start)
        places, total = groups.shape[0], float(weights.sum())
        found = milp(
            np.concatenate([np.zeros(places), -weights / total]),
            constraints=self._limits(k),
            bounds=Bounds(0, 1),
            integrality=np.repeat([1, 0], groups.shape),
            options={"node_limit": nodes, "mip_rel_gap": 0.0},
        )
        if found.x is None:
            return start, all_
        best = max(start, np.flatnonzero(found.x[:places] > 0.5).tolist(), key=self.worth)
        if found.status == 0:
            return best, self.worth(best)
        bound = self.worth([]) - float(found.mip_dual_bound) * total
        return best, max(self.worth(best), min(bound, all_))

    def _limits(self, k: int) -> list[LinearConstraint]:
        """A group is reached only from a place that is chosen, and k places are."""
        groups, weights = self._grouped
        near = hstack([-groups.T.tocsr(), eye_array(len(weights), format="csr")], format="csr")
        chosen = np.repeat([1.0, 0.0], groups.shape)[None]
        return [LinearConstraint(near, ub=0), LinearConstraint(chosen, ub=k)]

    @cached_property
    def _grouped(self) -> tuple[csr_array, Floats]:
        """Groups of positions that the same places reach, shape (c, g), and their worth, (g,)."""
        open_ = self.expected.astype(np.float64)
        open_[self.held] = 0.0
        counts = [len(cells) for cells in self.reached]
        places = np.repeat(np.arange(len(counts)), counts)
        cells = np.concatenate([*self.reached, np.empty(0, np.int64)])
        useful = open_[cells] > 0
        places, cells = places[useful], cells[useful]
        found, column = np.unique(cells, return_inverse=True)
        bits = np.zeros((len(found), (len(counts) + 7) // 8), np.uint8)
        np.bitwise_or.at(bits, (column, places // 8), (1 << (places % 8)).astype(np.uint8))
        _, first, group = np.unique(bits, axis=0, return_index=True, return_inverse=True)
        group = group.reshape(-1)
        weights = np.zeros(len(first))
        np.add.at(weights, group, open_[found])
        kept = np.isin(column, first)  # one position stands for its group
        ones = np.ones(int(kept.sum()))
        shape = (len(counts), len(first))
        return csr_array((ones, (places[kept], group[column[kept]])), shape=shape), weights
