"""What is normal for peers: quantiles of each feature, by kind of event, over harmless events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.trees import Floats, ModelError

__all__ = ["QUANTILES", "Norms"]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
FEWEST = 100  # rows of a kind below which its quantiles would be single citizens' values


@dataclass(frozen=True)
class Norms:
    """Quantiles of the vectors a model learnt from.

    Parameters
    ----------
    names : tuple of str
        The p features.
    kinds : tuple of str
        Kinds of event, the last one ``any``.
    quantiles : tuple of float
        The q levels, rising.
    values : float64 array (kinds, q, p)
        NaN where a feature is never known for a kind.

    Examples
    --------
    >>> X = np.arange(1000.0).reshape(1000, 1)
    >>> norms = Norms.fit(X, np.array(["call"] * 1000), ("duration",))
    >>> norms.usual("duration", "call"), norms.above("duration", "call", 955.0)
    (499.0, 0.95)
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    quantiles: tuple[float, ...]
    values: Floats

    def __post_init__(self) -> None:
        shape = (len(self.kinds), len(self.quantiles), len(self.names))
        if self.values.shape != shape or not self.kinds or self.kinds[-1] != "any":
            raise ModelError(
                f"expected norms of shape {shape} whose last kind is 'any', found "
                f"{self.values.shape} and {self.kinds}; fit them again on the training rows"
            )

    @classmethod
    def fit(
        cls,
        X: Floats,
        kind: NDArray[Any],
        names: Sequence[str],
        quantiles: Sequence[float] = QUANTILES,
    ) -> "Norms":
        """Take quantiles over harmless rows, for each kind with at least 100 rows and for any.

        Values are ones that occurred (no interpolation), so a count stays a whole number.
        """
        seen, counts = np.unique(kind, return_counts=True)
        kinds = (*(str(k) for k, n in zip(seen, counts, strict=True) if n >= FEWEST), "any")
        parts = [X if name == "any" else X[kind == name] for name in kinds]
        values = np.stack([_quantiles(part, quantiles) for part in parts])
        return cls(tuple(names), kinds, tuple(quantiles), values)

    def of(self, name: str, kind: str) -> Floats:
        """Quantiles of one feature for a kind of event, shape (q,)."""
        row = self.kinds.index(kind) if kind in self.kinds else -1
        found: Floats = self.values[row, :, self.names.index(name)]
        return found

    def usual(self, name: str, kind: str) -> float:
        """The median among peers; NaN if never known."""
        return float(self.of(name, kind)[self.quantiles.index(0.5)])

    def above(self, name: str, kind: str, value: float) -> float:
        """The highest level whose quantile `value` exceeds; 0.0 if none."""
        exceeded = np.flatnonzero(value > self.of(name, kind))
        return self.quantiles[exceeded[-1]] if len(exceeded) else 0.0

    def below(self, name: str, kind: str, value: float) -> float:
        """The lowest level whose quantile is above `value`; 1.0 if none."""
        under = np.flatnonzero(value < self.of(name, kind))
        return self.quantiles[under[0]] if len(under) else 1.0

    def rows(self) -> Floats:
        """The quantiles as vectors (kinds * q, p): made-up citizens, for canaries and examples."""
        return self.values.reshape(-1, len(self.names))

    def to_text(self) -> str:
        """JSON, one line a feature; null where never known."""
        features = {
            name: [[_null(v) for v in row] for row in self.values[:, :, column].tolist()]
            for column, name in enumerate(self.names)
        }
        lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in features.items())
        head = f'"kinds": {json.dumps(self.kinds)},\n "quantiles": {json.dumps(self.quantiles)}'
        return f'{{{head},\n "features": {{\n{lines}\n}}}}\n'

    @classmethod
    def from_text(cls, text: str) -> "Norms":
        """Read `to_text` back."""
        content = json.loads(text)
        table = np.array(list(content["features"].values()), dtype=np.float64)
        names = tuple(content["features"])
        return cls(
            names,
            tuple(content["kinds"]),
            tuple(content["quantiles"]),
            np.ascontiguousarray(table.transpose(1, 2, 0)),
        )


def _quantiles(X: Floats, levels: Sequence[float]) -> Floats:
    """Lower empirical quantiles of each column's known values, shape (q, p)."""
    ranked = np.sort(X, axis=0)  # NaN last
    known = np.count_nonzero(~np.isnan(X), axis=0)
    place = np.floor(np.multiply.outer(np.asarray(levels), np.maximum(known - 1, 0)))
    found: Floats = np.take_along_axis(ranked, place.astype(np.int64), axis=0)
    return found


def _null(value: float) -> float | None:
    return None if np.isnan(value) else value
