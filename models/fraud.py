"""Whether this citizen is being defrauded at this event: a boosted ensemble and its calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from models.calibration import Calibration
from models.trees import Floats, Recipe, Rows, Trees

__all__ = ["FraudModel", "fraud_recipe"]


def fraud_recipe(directions: Sequence[int] = (), **params: Any) -> Recipe:
    """The fraud model's recipe; `directions` says which features may only raise the score.

    Parameters
    ----------
    directions : sequence of int
        One of -1, 0, 1 per feature (see `models.directions.directions`); empty for none.
    **params
        LightGBM parameters that differ from `models.trees.BOOSTING`.

    Examples
    --------
    >>> fraud_recipe((0, 1), num_leaves=7).params["monotone_constraints"]
    [0, 1]
    """
    constraints = {"monotone_constraints": list(directions)} if any(directions) else {}
    return Recipe().with_params(
        objective="binary", metric=["average_precision"], **constraints, **params
    )


@dataclass(frozen=True)
class FraudModel:
    """Trees that give log-odds, and the calibration that makes them a probability.

    Parameters
    ----------
    trees : Trees
        One output: raw log-odds.
    calibration : Calibration
        Identity until `calibrate` has seen a later slice.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(400.0).reshape(200, 2)
    >>> rows = Rows(X, (X[:, 0] > 300).astype(int))
    >>> model = FraudModel.fit(rows, ("calls", "amount"), replace(fraud_recipe(), rounds=3))
    >>> model.contributions(X[:1]).shape
    (1, 3)
    """

    trees: Trees
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def fit(
        cls,
        rows: Rows,
        names: Sequence[str],
        recipe: Recipe | None = None,
        valid: Rows | None = None,
    ) -> "FraudModel":
        """Grow the trees; the same rows and recipe give the same model, bit for bit."""
        return cls(Trees.grow(rows, names, recipe or fraud_recipe(), valid))

    def calibrate(self, X: Floats, y: NDArray[Any], weight: Floats | None = None) -> "FraudModel":
        """The same trees, calibrated on a slice later than any they learnt from."""
        return replace(self, calibration=Calibration.fit(self.raw(X), y, weight))

    @property
    def names(self) -> tuple[str, ...]:
        """Features in the order of the vector."""
        return self.trees.names

    def raw(self, X: Floats) -> Floats:
        """Uncalibrated log-odds, shape (n,)."""
        return self.trees.raw(X)

    def score(self, X: Floats) -> Floats:
        """Calibrated probability, shape (n,)."""
        return self.calibration.apply(self.raw(X))

    def contributions(self, X: Floats) -> Floats:
        """What each feature added to the raw score, and last the base, shape (n, p + 1)."""
        return self.trees.contributions(X)

    def to_text(self) -> str:
        """LightGBM's text of the trees; the calibration has its own."""
        return self.trees.text

    @classmethod
    def from_text(cls, text: str, calibration: Calibration | None = None) -> "FraudModel":
        """Read `to_text` back. Only text whose signed hash was verified may come here."""
        return cls(Trees(text), calibration or Calibration())
