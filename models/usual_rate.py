"""The usual rate of a place: a mixture of past rates with weights that cannot be negative.

Each weight says how much an incident of a certain age and distance adds to what is to come, which
is a self-exciting process whose kernel is a step function; non-negative least squares in the metric
of the Poisson likelihood fits it. Few incidents leave the weights where they were set.

References
----------
Mohler et al., "Self-exciting point process modeling of crime", JASA 106 (2011).
Lawson, Hanson, "Solving least squares problems", 1974, ch. 23 (non-negative least squares).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

__all__ = ["UsualRate"]

Floats = NDArray[np.float64]
LEAST = 1e-5  # incidents in a period: no place is quite safe
ROUNDS = 4  # re-weightings, after which weights change in the third digit
PRIOR_INCIDENTS = 200.0  # so many incidents weigh as much as the weights set beforehand


@dataclass(frozen=True, eq=False)
class UsualRate:
    """Weights of a mixture of rates, per category.

    Parameters
    ----------
    weights : float64 array, shape (categories, columns)

    Examples
    --------
    >>> past = np.array([[0.1, 1.0], [2.0, 1.0], [4.0, 1.0], [0.0, 1.0]] * 50)
    >>> y = np.array([0.0, 1.0, 2.0, 0.0] * 50)
    >>> rate = UsualRate.fit([[(past, y)]], prior=[0.9, 0.1], prior_incidents=1)
    >>> rate.weights.round(1).tolist()
    [[0.5, 0.0]]
    """

    weights: Floats

    @classmethod
    def fit(
        cls,
        given: Sequence[Iterable[tuple[Floats, Floats]]],
        *,
        prior: Sequence[float],
        prior_incidents: float = PRIOR_INCIDENTS,
    ) -> "UsualRate":
        """Fit the weights of each category.

        Parameters
        ----------
        given : sequence of pairs (columns of shape (n, k), counts of shape (n,))
            For each category, the past periods.
        prior : sequence of float, shape (k,)
            Weights where nothing is known.
        prior_incidents : float
            How many incidents weigh as much as the prior.
        """
        start = np.asarray(prior, np.float64)
        return cls(np.stack([_fit(list(pairs), start, prior_incidents) for pairs in given]))

    def of(self, category: int, columns: Floats) -> Floats:
        """Usual rate, shape (n,), above 0."""
        return np.asarray(np.maximum(columns @ self.weights[category], LEAST))


def _fit(pairs: list[tuple[Floats, Floats]], start: Floats, prior_incidents: float) -> Floats:
    weights = start
    # in these units a weight that is off by its own size costs `prior_incidents` in the likelihood
    stiff = prior_incidents / np.maximum(start, 0.02) ** 2 / len(start)
    for _ in range(ROUNDS):
        gram = np.diag(stiff)
        right = stiff * start
        for columns, counts in pairs:
            scaled = columns / np.maximum(columns @ weights, _floor(columns))[:, None]
            gram += scaled.T @ columns
            right += scaled.T @ counts
        upper = np.linalg.cholesky(gram)
        weights = nnls(upper.T, np.linalg.solve(upper, right))[0]
    return np.asarray(weights)


def _floor(columns: Floats) -> float:
    """Far below the mean a place's rate is not told from nothing."""
    return max(0.02 * float(columns[:, 0].mean()), LEAST)
