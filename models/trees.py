"""A grown ensemble of trees, kept as LightGBM's own text and scored from that text only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

__all__ = ["BOOSTING", "Floats", "ModelError", "Recipe", "Rows", "Trees"]

Floats = NDArray[np.float64]

SMALL = 512  # rows; below this LightGBM's threads cost more than they give (40-100 x for one row)
FORBIDDEN = frozenset(' \t\n",:[]{}')  # LightGBM refuses JSON's and its own separators in names

BOOSTING: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "feature_pre_filter": False,
    "num_threads": 2,
    "seed": 20221201,  # the Anti-Telecom-and-Online-Fraud Law came into force on 2022-12-01
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
"""Starting point of every recipe; the last five make the same rows grow the same trees."""


class ModelError(ValueError):
    """A model was asked for something it cannot do; the message says how to mend it."""


@dataclass(frozen=True)
class Rows:
    """What a model learns from: vectors, answers and, where rows were sampled, their weights.

    Parameters
    ----------
    X : float64 array (n, p)
        Feature vectors; NaN means unknown.
    y : array (n,)
        0 or 1 for the fraud model, a class code for the others.
    weight : float64 array (n,), optional
        How many rows of the city each row stands for.

    Examples
    --------
    >>> Rows(np.zeros((2, 3)), np.array([0, 1])).X.shape
    (2, 3)
    """

    X: Floats
    y: NDArray[Any]
    weight: Floats | None = None

    def __post_init__(self) -> None:
        if self.X.ndim != 2 or self.X.shape[0] == 0:
            raise ModelError(f"expected X with rows and columns, found shape {self.X.shape}")
        for name, column in (("y", self.y), ("weight", self.weight)):
            if column is not None and column.shape != (len(self.X),):
                raise ModelError(
                    f"expected {name} of shape ({len(self.X)},), found {column.shape}; "
                    "give one value for each row of X"
                )


@dataclass(frozen=True)
class Recipe:
    """How trees are grown: LightGBM's parameters, the most rounds, and when to stop early.

    Examples
    --------
    >>> Recipe().with_params(num_leaves=15).params["num_leaves"]
    15
    """

    params: Mapping[str, Any] = field(default_factory=lambda: dict(BOOSTING))
    rounds: int = 400
    stop_after: int = 50
    callbacks: tuple[Callable[..., Any], ...] = ()

    def with_params(self, **changes: Any) -> "Recipe":
        """The same recipe with some parameters changed."""
        merged = {**self.params, **changes}
        return Recipe(merged, self.rounds, self.stop_after, self.callbacks)


class Trees:
    """An ensemble of trees that is its text: what is kept is what is scored.

    Parameters
    ----------
    text : str
        LightGBM's model text. A damaged text kills the process instead of raising, so text from
        a file comes here only through `models.bundle.load`, which checks its signed hash first.

    References
    ----------
    Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._booster = lgb.Booster(model_str=text)
        self.names: tuple[str, ...] = tuple(self._booster.feature_name())
        self.outputs: int = self._booster.num_model_per_iteration()
        self.count: int = self._booster.num_trees()

    @classmethod
    def grow(
        cls, rows: Rows, names: Sequence[str], recipe: Recipe, valid: Rows | None = None
    ) -> "Trees":
        """Grow trees on `rows`; with `valid`, stop when it no longer improves.

        Parameters
        ----------
        rows, valid : Rows
            Learnt from, and watched for early stopping.
        names : sequence of str
            Names of the p columns.
        recipe : Recipe
            Parameters (an ``objective`` among them), rounds and patience.

        Raises
        ------
        ModelError
            If the names do not fit the columns or hold a character LightGBM refuses.
        """
        _check_names(names, rows.X.shape[1])
        train = _dataset(rows, names, recipe)
        watched = [] if valid is None else [_dataset(valid, names, recipe, train)]
        return cls.grow_on(train, recipe, watched)

    @classmethod
    def grow_on(cls, train: lgb.Dataset, recipe: Recipe, watched: Sequence[lgb.Dataset]) -> "Trees":
        """Grow on prepared datasets, which a search shares between its trials."""
        callbacks = list(recipe.callbacks)
        if watched:
            callbacks.append(lgb.early_stopping(recipe.stop_after, verbose=False))
        booster = lgb.train(
            dict(recipe.params),
            train,
            num_boost_round=recipe.rounds,
            valid_sets=list(watched),
            callbacks=callbacks,
        )
        best = booster.best_iteration if booster.best_iteration > 0 else None
        return cls(booster.model_to_string(num_iteration=best))

    def raw(self, X: Floats) -> Floats:
        """Sum of leaf values: (n,) or (n, classes)."""
        return self._predict(X, raw_score=True)

    def contributions(self, X: Floats) -> Floats:
        """Shapley value of each feature, and last the value expected before any is known.

        Each row adds up to `raw`. 80-250 times the price of a score: for warnings only.

        Returns
        -------
        float64 array (n, p + 1), or (n, classes, p + 1) with several outputs

        References
        ----------
        Lundberg et al., From local explanations to global understanding with explainable AI for
        trees, Nature Machine Intelligence 2, 2020 (path-dependent TreeSHAP).
        """
        values = self._predict(X, pred_contrib=True)
        width = len(self.names) + 1
        if self.outputs == 1:
            return values
        return values.reshape(len(X), self.outputs, width)

    def importance(self) -> Floats:
        """Total gain of each feature over all splits, shape (p,)."""
        gain: Floats = self._booster.feature_importance(importance_type="gain")
        return gain

    def _predict(self, X: Floats, **what: bool) -> Floats:
        if X.ndim != 2 or X.shape[1] != len(self.names):
            raise ModelError(
                f"expected X with {len(self.names)} columns, found shape {X.shape}; "
                "build the vector from the feature set this model was trained with"
            )
        threads = 1 if len(X) < SMALL else 2
        found = self._booster.predict(
            np.ascontiguousarray(X, dtype=np.float64), num_threads=threads, **what
        )
        return np.asarray(found, dtype=np.float64)


def _dataset(
    rows: Rows, names: Sequence[str], recipe: Recipe, reference: lgb.Dataset | None = None
) -> lgb.Dataset:
    return lgb.Dataset(
        rows.X,
        rows.y,
        weight=rows.weight,
        feature_name=list(names),
        reference=reference,
        params=dict(recipe.params),
    )


def _check_names(names: Sequence[str], width: int) -> None:
    if len(names) != width or len(set(names)) != width:
        raise ModelError(
            f"expected {width} different names, one for each column, found {len(set(names))}"
        )
    for name in names:
        if FORBIDDEN & set(name):
            raise ModelError(
                f'expected a feature name without blanks or any of ",:[]{{}}, found {name!r}'
            )
