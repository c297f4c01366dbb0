"""One of several answers, with probabilities: what scam type and stage have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models.trees import Floats, ModelError, Recipe, Rows, Trees

__all__ = ["ClassModel"]

COOLEST, HOTTEST = 0.25, 8.0  # temperatures searched; beyond, the slice is too small to say


@dataclass(frozen=True)
class ClassModel:
    """Trees with one output a class, and the temperature that makes them probabilities.

    Parameters
    ----------
    trees : Trees
    temperature : float
        Divides the raw scores; above 1 when the trees are too sure.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017 (temperature scaling).
    """

    labels: ClassVar[tuple[str, ...]] = ()

    trees: Trees
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.trees.outputs != len(self.labels):
            raise ModelError(
                f"expected trees with {len(self.labels)} outputs, one for each of "
                f"{', '.join(self.labels)}, found {self.trees.outputs}"
            )

    @classmethod
    def recipe(cls, **params: Any) -> Recipe:
        """Parameters for few rows: only reported frauds teach these models.

        Splits at random cuts of a random third of the columns: with a hundred victims and hundreds
        of columns the best cut is mostly luck.

        References
        ----------
        Geurts, Ernst, Wehenkel, Extremely randomized trees, Machine Learning 63 (2006).
        """
        small = {
            "num_leaves": 7,
            "min_data_in_leaf": 10,
            "learning_rate": 0.05,
            "feature_fraction": 0.3,
            "extra_trees": True,
            "max_bin": 63,
            "num_threads": 1,  # on so few rows a second thread costs more than it gives
        }
        shape = {"objective": "multiclass", "num_class": len(cls.labels)}
        base = replace(Recipe(), rounds=200, stop_after=30)
        return base.with_params(**{**shape, "metric": ["multi_logloss"], **small, **params})

    @classmethod
    def fit(
        cls,
        rows: Rows,
        names: Sequence[str],
        recipe: Recipe | None = None,
        valid: Rows | None = None,
    ) -> Self:
        """Grow the trees on codes 0..classes-1; with `valid`, also set the temperature on it."""
        cls._check_codes(rows)
        model = cls(Trees.grow(rows, names, recipe or cls.recipe(), valid))
        return model if valid is None else model.calibrate(valid)

    def calibrate(self, rows: Rows) -> Self:
        """The same trees with the temperature of the lowest log loss on `rows`."""
        self._check_codes(rows)
        raw, y = self.trees.raw(rows.X), np.asarray(rows.y, dtype=np.int64)
        found = minimize_scalar(
            lambda heat: _class_loss(raw / np.exp(heat), y, rows.weight),
            bounds=(np.log(COOLEST), np.log(HOTTEST)),
            method="bounded",
        )
        return replace(self, temperature=float(np.exp(found.x)))

    def probabilities(self, X: Floats) -> Floats:
        """Probability of each label, shape (n, classes); rows add up to 1."""
        z = self.trees.raw(X) / self.temperature
        odds = np.exp(z - z.max(axis=1, keepdims=True))
        shares: Floats = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def most_likely(self, X: Floats) -> list[str]:
        """The label with the highest probability for each row."""
        return [self.labels[code] for code in self.probabilities(X).argmax(axis=1)]

    def contributions(self, X: Floats) -> Floats:
        """Shape (n, classes, p + 1); each (row, class) adds up to its raw score."""
        return self.trees.contributions(X)

    @classmethod
    def code(cls, label: str) -> int:
        """Code of a label, as `data.labels` writes it."""
        return cls.labels.index(label)

    @classmethod
    def _check_codes(cls, rows: Rows) -> None:
        codes: NDArray[Any] = np.unique(rows.y)
        if codes[0] < 0 or codes[-1] >= len(cls.labels):
            raise ModelError(
                f"expected class codes from 0 to {len(cls.labels) - 1}, found {codes[0]} to "
                f"{codes[-1]}; leave out rows without a label"
            )


def _class_loss(z: Floats, y: NDArray[np.int64], weight: Floats | None) -> float:
    log_sum = np.logaddexp.reduce(z, axis=1)
    return float(np.average(log_sum - z[np.arange(len(y)), y], weights=weight))
