"""Whether a line is a fraudster's: boosted trees and smooth curves, half a voice each.

Trees find combinations, curves are steadier where few lines are known; their mean ranks better
than either. Both say what each feature added, so the mean does too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration
from models.curves import CurveRecipe, Curves
from models.trees import Floats, ModelError, Recipe, Rows, Trees

__all__ = ["LineRecipe", "SuspectLineModel", "best_threshold", "line_recipe"]


def line_recipe(**params: Any) -> Recipe:
    """How the trees of a line model are grown: few, shallow, from a third of the features each.

    Chosen by cross-validation inside training and validation parts (see `experiments.sichuan`).
    """
    few = {
        "objective": "binary",
        "num_leaves": 15,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.3,
        "lambda_l2": 5.0,
        "num_threads": 1,  # on some thousand rows a second thread only waits
    }
    return replace(Recipe(), rounds=180).with_params(**{**few, **params})


@dataclass(frozen=True)
class LineRecipe:
    """How a suspect-line model is made.

    Parameters
    ----------
    trees : Recipe
    curves : CurveRecipe
    members : int
        Ensembles of trees, each from its own seed.
    curve_features : tuple of str
        Features the curves see; empty for all.
    """

    trees: Recipe = field(default_factory=line_recipe)
    curves: CurveRecipe = field(default_factory=CurveRecipe)
    members: int = 2
    curve_features: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuspectLineModel:
    """Several ensembles of trees and one additive model over the same features.

    Parameters
    ----------
    members : tuple of Trees
        Same features in the same order.
    curves : Curves
        Over some or all of them.
    threshold : float
        Raw score from which a line is called suspect.
    calibration : Calibration
        From raw score to probability; identity until `calibrate`.

    Examples
    --------
    >>> X = np.arange(400.0).reshape(200, 2)
    >>> rows = Rows(X, (X[:, 0] > 200).astype(int))
    >>> model = SuspectLineModel.fit(rows, ("calls", "cities"), LineRecipe(members=1))
    >>> model.suspect(X[[0, 199]])
    array([False,  True])
    """

    members: tuple[Trees, ...]
    curves: Curves
    threshold: float = 0.0
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def fit(
        cls, rows: Rows, names: Sequence[str], recipe: LineRecipe | None = None
    ) -> "SuspectLineModel":
        """Learn from labelled lines; the same rows and recipe give the same model.

        Parameters
        ----------
        rows : Rows
            Of n labelled lines, both classes among them.
        names : sequence of str
            Of the p columns.

        Raises
        ------
        ModelError
            If only one class is there or names do not fit.
        """
        recipe = recipe or LineRecipe()
        seen = [names.index(name) for name in recipe.curve_features or names]
        part = Rows(rows.X[:, seen], rows.y, rows.weight)
        curves = Curves.fit(part, [names[place] for place in seen], recipe.curves)
        members = tuple(Trees.grow(rows, names, one) for one in _seeds(recipe))
        return cls(members, curves)

    @property
    def names(self) -> tuple[str, ...]:
        """Features in the order of the vector."""
        return self.members[0].names

    def raw(self, X: Floats) -> Floats:
        """Mean of the trees' and the curves' log-odds, shape (n,)."""
        trees = np.mean([member.raw(X) for member in self.members], axis=0)
        return np.asarray((trees + self.curves.raw(X[:, self._seen])) / 2)

    def score(self, X: Floats) -> Floats:
        """Probability, shape (n,)."""
        return self.calibration.apply(self.raw(X))

    def suspect(self, X: Floats) -> NDArray[np.bool_]:
        """Whether the raw score reaches the threshold, shape (n,)."""
        return np.asarray(self.raw(X) >= self.threshold)

    def contributions(self, X: Floats) -> Floats:
        """What each feature added to the raw score, and last the base, shape (n, p + 1)."""
        found = np.mean([member.contributions(X) for member in self.members], axis=0)
        found[:, [*self._seen, -1]] += self.curves.contributions(X[:, self._seen])
        return np.asarray(found / 2)

    def calibrate(self, raw: Floats, y: NDArray[Any]) -> "SuspectLineModel":
        """The same model with threshold and calibration from lines it did not learn from.

        Parameters
        ----------
        raw : float64 array (n,)
            Raw scores of held-out lines: of a validation part, or out of fold.
        y : array (n,)
            Their labels.
        """
        return replace(self, threshold=best_threshold(raw, y), calibration=Calibration.fit(raw, y))

    def parts(self) -> dict[str, str]:
        """The model as named texts, for a directory that is hashed and signed."""
        return {
            "calibration.json": self.calibration.to_text(),
            "curves.json": self.curves.to_text(),
            "threshold.json": json.dumps({"raw": self.threshold}) + "\n",
            "trees.json": json.dumps([member.text for member in self.members]) + "\n",
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, str]) -> "SuspectLineModel":
        """Read `parts` back. Only texts whose signed hash was verified may come here."""
        return cls(
            tuple(Trees(text) for text in json.loads(parts["trees.json"])),
            Curves.from_text(parts["curves.json"]),
            float(json.loads(parts["threshold.json"])["raw"]),
            Calibration.from_text(parts["calibration.json"]),
        )

    def to_text(self) -> str:
        """All parts as one JSON text."""
        return json.dumps(self.parts(), ensure_ascii=False) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "SuspectLineModel":
        """Read `to_text` back, under the same condition as `from_parts`."""
        return cls.from_parts(json.loads(text))

    @property
    def _seen(self) -> list[int]:
        place = {name: position for position, name in enumerate(self.names)}
        return [place[name] for name in self.curves.names]


def _seeds(recipe: LineRecipe) -> Iterator[Recipe]:
    first = int(recipe.trees.params["seed"])
    for member in range(recipe.members):
        yield recipe.trees.with_params(seed=first + member)


def best_threshold(raw: Floats, y: NDArray[Any]) -> float:
    """Raw score at which macro-F1 is highest on held-out lines.

    Of all cuts that are nearly as good the middle one is taken: the very best of a small sample is
    noise.

    Raises
    ------
    ModelError
        If only one class is there.

    Examples
    --------
    >>> best_threshold(np.array([-2.0, -1.0, 1.0, 3.0]), np.array([0, 0, 1, 1]))
    0.0
    """
    order = np.argsort(raw, kind="stable")
    ranked, truth = np.asarray(raw, dtype=np.float64)[order], np.asarray(y)[order] == 1
    suspects, others = truth.sum(), (~truth).sum()
    if not suspects or not others:
        raise ModelError("expected held-out lines of both classes, found one; label more lines")
    missed = np.concatenate([[0], np.cumsum(truth)])
    cleared = np.concatenate([[0], np.cumsum(~truth)])
    worth = _macro_f1(missed, cleared, suspects, others)
    cuts = np.concatenate([[ranked[0] - 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] + 1]])
    apart = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    good = cuts[apart & (worth >= worth[apart].max() - FLAT)]
    return float(good[np.argmin(np.abs(good - good.mean()))])


FLAT = 0.002  # macro-F1; one line in five hundred more or less


def _macro_f1(missed: Any, cleared: Any, suspects: int, others: int) -> Floats:
    hits, alarms = suspects - missed, others - cleared
    of_suspects = 2 * hits / (2 * hits + alarms + missed)
    of_others = 2 * cleared / np.maximum(2 * cleared + alarms + missed, 1)
    return np.asarray((of_suspects + of_others) / 2)
