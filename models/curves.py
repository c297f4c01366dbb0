"""A sum of smooth curves, one for each feature: simple enough to read, as good as trees on lines.

Each feature is brought to its quantile rank, so that heavy tails do not matter, and enters the
log-odds through a cubic spline of that rank; unknown values have a step of their own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import minimize

from models.calibration import sigmoid
from models.trees import Floats, ModelError, Rows

__all__ = ["CurveRecipe", "Curves"]

DEGREE = 3
LEAST_SPREAD = 1e-3  # a basis function that hardly varies keeps a small weight, not a huge one
SOLVER = {"maxiter": 2_000, "maxfun": 4_000, "ftol": 1e-12, "gtol": 1e-6}


@dataclass(frozen=True)
class CurveRecipe:
    """How smooth the curves are.

    Parameters
    ----------
    pieces : int
        Pieces of each spline between the lowest and the highest rank.
    penalty : float
        Ridge on the standardised coefficients, in units of log loss summed over rows.
    quantiles : int
        Steps by which a feature's distribution is known.
    """

    pieces: int = 3
    penalty: float = 100.0
    quantiles: int = 64

    @property
    def knots(self) -> Floats:
        """Knots of the splines, uniform over ranks 0 to 1 and three beyond either end."""
        inner = np.arange(-DEGREE, self.pieces + DEGREE + 1)
        return np.asarray(inner / self.pieces, dtype=np.float64)

    @property
    def width(self) -> int:
        """Coefficients a feature has: splines, and one for "unknown"."""
        return self.pieces + DEGREE + 1


@dataclass(frozen=True)
class Curves:
    """An additive model whose raw score is a base and one value for each feature.

    Parameters
    ----------
    names : tuple of str
        p features.
    recipe : CurveRecipe
    levels : tuple of (values, ranks)
        Each feature's quantiles in the training rows; empty where it was never known.
    coefficients : float64 array (p, width)
        Splines, then "unknown".
    centre : float64 array (p,)
        Mean of each feature's value over the training rows; what is said is said against it.
    base : float
        Raw score expected before any feature is known.

    Examples
    --------
    >>> X = np.arange(200.0)[:, None]
    >>> curves = Curves.fit(Rows(X, (X[:, 0] > 99).astype(int)), ("calls",))
    >>> (curves.raw(X) > 0).sum()
    np.int64(100)
    >>> bool(np.allclose(curves.contributions(X).sum(axis=1), curves.raw(X)))
    True

    References
    ----------
    Hastie, Tibshirani, Generalized additive models, 1990. Eilers, Marx, Flexible smoothing with
    B-splines and penalties, Statistical Science 11, 1996.
    """

    names: tuple[str, ...]
    recipe: CurveRecipe
    levels: tuple[tuple[Floats, Floats], ...]
    coefficients: Floats
    centre: Floats
    base: float

    @classmethod
    def fit(cls, rows: Rows, names: Sequence[str], recipe: CurveRecipe | None = None) -> "Curves":
        """Fit by penalised maximum likelihood; the same rows give the same curves.

        Raises
        ------
        ModelError
            If names and columns differ in number, or only one class is there.
        """
        _check(rows, names)
        recipe = recipe or CurveRecipe()
        levels = tuple(_levels(column, recipe.quantiles) for column in rows.X.T)
        bare = cls(
            tuple(names), recipe, levels, np.zeros((len(names), recipe.width)), *_flat(names)
        )
        basis = np.hstack([bare._basis(place, rows.X[:, place]) for place in range(len(names))])
        spread = np.maximum(basis.std(axis=0), LEAST_SPREAD)
        mean = basis.mean(axis=0)
        weights, base = _ridge_logistic((basis - mean) / spread, rows, recipe.penalty)
        shape = (len(names), recipe.width)
        coefficients = (weights / spread).reshape(shape)
        centre = (mean * weights / spread).reshape(shape).sum(axis=1)
        return cls(tuple(names), recipe, levels, coefficients, centre, base)

    def raw(self, X: Floats) -> Floats:
        """Log-odds, shape (n,)."""
        return np.asarray(self.contributions(X).sum(axis=1))

    def contributions(self, X: Floats) -> Floats:
        """What each feature adds against its mean, and last the base, shape (n, p + 1)."""
        if X.ndim != 2 or X.shape[1] != len(self.names):
            raise ModelError(
                f"expected X with {len(self.names)} columns, found shape {X.shape}; "
                "build the vectors from the features these curves were fitted on"
            )
        found = np.full((len(X), len(self.names) + 1), self.base)
        for place, column in enumerate(X.T):
            curve = self._basis(place, column) @ self.coefficients[place]
            found[:, place] = curve - self.centre[place]
        return found

    def to_text(self) -> str:
        """JSON; floats come back to the same bits."""
        content = {
            "names": self.names,
            "pieces": self.recipe.pieces,
            "penalty": self.recipe.penalty,
            "quantiles": self.recipe.quantiles,
            "levels": [[values.tolist(), ranks.tolist()] for values, ranks in self.levels],
            "coefficients": self.coefficients.tolist(),
            "centre": self.centre.tolist(),
            "base": self.base,
        }
        return json.dumps(content, ensure_ascii=False) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Curves":
        """Read `to_text` back."""
        content: dict[str, Any] = json.loads(text)
        recipe = CurveRecipe(content["pieces"], content["penalty"], content["quantiles"])
        levels = tuple((np.array(v, float), np.array(r, float)) for v, r in content["levels"])
        coefficients = np.array(content["coefficients"], dtype=np.float64)
        centre = np.array(content["centre"], dtype=np.float64)
        return cls(tuple(content["names"]), recipe, levels, coefficients, centre, content["base"])

    def _basis(self, place: int, column: Floats) -> Floats:
        """Splines of the column's rank and "unknown", shape (n, width)."""
        values, ranks = self.levels[place]
        found = np.zeros((len(column), self.recipe.width))
        unknown = np.isnan(column) if len(values) else np.ones(len(column), dtype=bool)
        found[unknown, -1] = 1.0
        if not unknown.all():
            rank = np.interp(column[~unknown], values, ranks)
            splines = BSpline.design_matrix(rank, self.recipe.knots, DEGREE)
            found[~unknown, :-1] = splines.toarray()
        return found


def _flat(names: Sequence[str]) -> tuple[Floats, float]:
    return np.zeros(len(names)), 0.0


def _levels(column: Floats, steps: int) -> tuple[Floats, Floats]:
    """Distinct quantiles of the known values, and the middle rank of each."""
    known = column[~np.isnan(column)]
    if not len(known):
        return np.empty(0), np.empty(0)
    rank = np.linspace(0.0, 1.0, steps + 1)
    values, place = np.unique(np.quantile(known, rank), return_inverse=True)
    middle = np.bincount(place, weights=rank) / np.bincount(place)
    return values, middle


def _ridge_logistic(Z: Floats, rows: Rows, penalty: float) -> tuple[Floats, float]:
    """Weights and intercept of the lowest penalised log loss; the intercept is not penalised."""
    y = np.asarray(rows.y, dtype=np.float64)
    w = np.ones(len(y)) if rows.weight is None else rows.weight

    def loss_and_slope(theta: Floats) -> tuple[float, Floats]:
        weights, base = theta[:-1], theta[-1]
        z = Z @ weights + base
        off = w * (sigmoid(z) - y)
        loss = w @ (np.logaddexp(0.0, z) - y * z) + 0.5 * penalty * weights @ weights
        return float(loss), np.append(Z.T @ off + penalty * weights, off.sum())

    start = np.zeros(Z.shape[1] + 1)
    start[-1] = np.log((w @ y) / (w @ (1 - y)))
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options=SOLVER)
    return found.x[:-1], float(found.x[-1])


def _check(rows: Rows, names: Sequence[str]) -> None:
    if len(names) != rows.X.shape[1]:
        raise ModelError(
            f"expected a name for each of {rows.X.shape[1]} columns, found {len(names)}"
        )
    classes = np.unique(rows.y).tolist()
    if classes != [0, 1]:
        raise ModelError(
            f"expected rows of both classes, 0 and 1, found {classes}; label lines of either kind"
        )
