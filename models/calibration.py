"""From a raw score to a probability: always rising, chosen on held-out log loss, kept as text.

Every kind rises strictly, isotonic steps by a slight tilt, so that a calibrated score never merges
or swaps two citizens the raw score told apart: ranks and capacity mean the same before and after.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.trees import Floats, ModelError

__all__ = ["Calibration", "log_loss", "sigmoid"]

BLOCKS = 5  # consecutive blocks held out in turn: the slice is in time order
ISOTONIC_POSITIVES = 50  # fewer than this and a step function memorises single cases
TILT = 1e-3  # log-odds by which a step rises for each unit of raw score, so that order survives
GROUPS = (
    20_000  # neighbours' means that stand for a larger slice when a curve of 2-3 numbers is fit
)
FLATTEST = 1e-6  # slope kept where the data would have none, so that the curve still rises
NEWTON_STEPS, NEWTON_GAIN, RIDGE = 100, 1e-12, 1e-12
FARTHEST = 700.0  # exp() of this is still finite


@dataclass(frozen=True)
class Calibration:
    """A strictly rising map from raw score (log-odds) to probability.

    Parameters
    ----------
    kind : {"identity", "platt", "beta", "isotonic"}
    values : tuple of float
        platt: slope, intercept. beta: slope of ln s, slope of -ln(1 - s), intercept.
        isotonic: raw scores of the knots (each step's two ends), then their log-odds.
    held_out : mapping
        Mean log loss of each candidate on rows it had not seen, for the model card.

    Examples
    --------
    >>> Calibration("platt", (1.0, -2.0)).apply(np.array([2.0]))
    array([0.5])
    >>> Calibration.from_text(Calibration("platt", (0.1, 0.2)).to_text()).values
    (0.1, 0.2)

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, 1999. Kull, Silva Filho, Flach, Beta
    calibration, AISTATS 2017. Zadrozny, Elkan, Transforming classifier scores, KDD 2002.
    """

    kind: str = "identity"
    values: tuple[float, ...] = ()
    held_out: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not _sound(self.kind, self.values):
            raise ModelError(
                f"expected a rising calibration of kind {sorted(_CURVES)}, found "
                f"{self.kind!r} with {len(self.values)} values; fit it again on a later slice"
            )

    @classmethod
    def fit(
        cls, raw: Floats, y: NDArray[Any], weight: Floats | None = None, *, blocks: int = BLOCKS
    ) -> "Calibration":
        """Fit each kind and keep the one with the lowest log loss on held-out blocks of time.

        Parameters
        ----------
        raw : float64 array (n,)
            Raw scores of a slice the trees have not seen, in time order.
        y : array (n,)
            0 or 1.
        weight : float64 array (n,), optional

        Raises
        ------
        ModelError
            If there is not at least one row of either class.
        """
        w = np.ones(len(raw)) if weight is None else np.asarray(weight, dtype=np.float64)
        slice_ = _Slice(np.asarray(raw, dtype=np.float64), np.asarray(y, dtype=np.float64), w)
        _check_both_classes(slice_)
        losses = _held_out(slice_, _candidates(slice_), blocks)
        kind = min(losses, key=lambda name: losses[name])
        return cls(kind, _FITS[kind](slice_), MappingProxyType(losses))

    def log_odds(self, raw: Floats) -> Floats:
        """Calibrated log-odds of raw scores, any shape."""
        return _CURVES[self.kind](self.values, np.asarray(raw, dtype=np.float64))

    def apply(self, raw: Floats) -> Floats:
        """Calibrated probability of raw scores, any shape."""
        return sigmoid(self.log_odds(raw))

    def to_text(self) -> str:
        """JSON; floats come back to the same bits."""
        content = {
            "kind": self.kind,
            "values": list(self.values),
            "held_out_log_loss": dict(self.held_out),
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Calibration":
        """Read `to_text` back."""
        content = json.loads(text)
        values = tuple(float(value) for value in content["values"])
        return cls(content["kind"], values, MappingProxyType(content["held_out_log_loss"]))


def sigmoid(x: Floats) -> Floats:
    """Probability of log-odds, without overflow.

    Examples
    --------
    >>> sigmoid(np.array([-1e9, 0.0, 1e9]))
    array([9.85967654e-305, 5.00000000e-001, 1.00000000e+000])
    """
    return 1.0 / (1.0 + np.exp(-np.clip(x, -FARTHEST, FARTHEST)))


def log_loss(log_odds: Floats, y: Floats, weight: Floats) -> float:
    """Weighted mean of -ln of the probability given to what happened."""
    losses = np.logaddexp(0.0, log_odds) - y * log_odds
    return float(np.average(losses, weights=weight))


@dataclass(frozen=True)
class _Slice:
    raw: Floats
    y: Floats
    weight: Floats

    def part(self, chosen: NDArray[np.bool_]) -> "_Slice":
        return _Slice(self.raw[chosen], self.y[chosen], self.weight[chosen])

    @property
    def both(self) -> bool:
        return bool(self.y.min() == 0.0 and self.y.max() == 1.0)


def _check_both_classes(part: _Slice) -> None:
    if len(part.y) == 0 or not part.both:
        raise ModelError(
            "expected at least one fraud and one harmless row to calibrate on, found "
            f"{int(part.y.sum())} frauds in {len(part.y)} rows; take a longer calibration slice"
        )


def _candidates(part: _Slice) -> list[str]:
    enough = part.y.sum() >= ISOTONIC_POSITIVES
    return ["platt", "beta", "isotonic"] if enough else ["platt"]


def _held_out(part: _Slice, kinds: list[str], blocks: int) -> dict[str, float]:
    block = np.arange(len(part.y)) * blocks // len(part.y)
    log_odds = {kind: np.full(len(part.y), np.nan) for kind in kinds}
    for number in range(blocks):
        rest, out = part.part(block != number), block == number
        for kind in kinds if len(rest.y) and rest.both else ():
            log_odds[kind][out] = _CURVES[kind](_FITS[kind](rest), part.raw[out])
    seen = ~np.isnan(log_odds[kinds[0]])
    if not seen.any():
        return dict.fromkeys(kinds, float("inf")) | {kinds[0]: 0.0}
    return {k: log_loss(z[seen], part.y[seen], part.weight[seen]) for k, z in log_odds.items()}


def _identity(_: tuple[float, ...], raw: Floats) -> Floats:
    return raw


def _platt(values: tuple[float, ...], raw: Floats) -> Floats:
    return values[0] * raw + values[1]


def _beta(values: tuple[float, ...], raw: Floats) -> Floats:
    fraud, harmless = _log_parts(raw)
    # no matrix product: it may round one row and many rows differently
    curve: Floats = values[0] * fraud + values[1] * harmless + values[2]
    return curve


def _isotonic(values: tuple[float, ...], raw: Floats) -> Floats:
    knots, levels = np.split(np.asarray(values), 2)
    inside: Floats = np.interp(raw, knots, levels)
    beyond: Floats = np.minimum(raw - knots[0], 0.0) + np.maximum(raw - knots[-1], 0.0)
    return inside + beyond  # slope 1 outside: the raw score's own log-odds go on


def _log_parts(raw: Floats) -> tuple[Floats, Floats]:
    """Arrays of ln s and -ln(1 - s) for s = sigmoid(raw)."""
    return -np.logaddexp(0.0, -raw), np.logaddexp(0.0, raw)


def _fit_platt(part: _Slice) -> tuple[float, ...]:
    few = _grouped(part)
    return _logistic([few.raw], few)


def _fit_beta(part: _Slice) -> tuple[float, ...]:
    few = _grouped(part)
    return _logistic(list(_log_parts(few.raw)), few)


def _fit_isotonic(part: _Slice) -> tuple[float, ...]:
    order = np.argsort(part.raw, kind="stable")
    raw, y, weight = part.raw[order], part.y[order], part.weight[order]
    levels = isotonic_regression(_mean_of_ties(raw, y, weight), weights=weight).x
    starts = np.flatnonzero(np.diff(levels, prepend=-1.0) > 0)
    rates = _inside(levels[starts], np.add.reduceat(weight, starts))
    ends = np.append(starts[1:], len(raw)) - 1
    knots, place = np.unique(np.concatenate([raw[starts], raw[ends]]), return_index=True)
    heights = np.tile(np.log(rates / (1.0 - rates)), 2)[place] + TILT * knots
    return (*knots.tolist(), *heights.tolist())


def _mean_of_ties(raw: Floats, y: Floats, weight: Floats) -> Floats:
    """Rows of one raw score share their mean answer, so that order among them cannot matter."""
    _, group = np.unique(raw, return_inverse=True)
    mean: Floats = np.bincount(group, weight * y) / np.bincount(group, weight)
    return mean[group]


def _inside(rates: Floats, mass: Floats) -> Floats:
    """Keep the end blocks off 0 and 1 by half a case (Jeffreys' prior), rising all the same."""
    rates = rates.copy()
    if rates[0] == 0.0:
        rates[0] = min(0.5 / (mass[0] + 1.0), rates[1] / 2.0 if len(rates) > 1 else 1.0)
    if rates[-1] == 1.0:
        below = rates[-2] if len(rates) > 1 else 0.0
        rates[-1] = max(1.0 - 0.5 / (mass[-1] + 1.0), (1.0 + below) / 2.0)
    return rates


def _logistic(columns: list[Floats], part: _Slice) -> tuple[float, ...]:
    """Slopes of the columns, none below a hair above zero, and last the intercept.

    As Kull et al. do, a column whose slope would fall is left out and the rest fitted again.
    """
    goal, weight = _goals(part), part.weight / part.weight.sum()
    used = list(range(len(columns)))
    while True:
        found = _newton([columns[at] for at in used] + [np.ones_like(goal)], goal, weight)
        falling = [at for at, slope in zip(used, found, strict=False) if slope < FLATTEST]
        if not falling:
            slopes = dict(zip(used, found, strict=False))
            return (*(slopes.get(at, FLATTEST) for at in range(len(columns))), found[-1])
        used = [at for at in used if at not in falling]


def _newton(columns: list[Floats], goal: Floats, weight: Floats) -> list[float]:
    """Least log loss over linear log-odds: convex, so halved Newton steps always arrive."""
    scale = [max(float(np.abs(column).max()), 1e-12) for column in columns]
    rows = [column / size for column, size in zip(columns, scale, strict=True)]
    slopes = np.zeros(len(rows))
    best = _loss_at(slopes, rows, goal, weight)
    for _ in range(NEWTON_STEPS):
        rate = sigmoid(_line(slopes, rows))
        pull, curve = weight * (rate - goal), weight * rate * (1.0 - rate)
        gradient = np.array([float((row * pull).sum()) for row in rows])
        bend = np.array([[float((a * b * curve).sum()) for b in rows] for a in rows])
        step = np.linalg.solve(bend + RIDGE * np.eye(len(rows)), gradient)
        while (now := _loss_at(slopes - step, rows, goal, weight)) > best:
            step = step / 2.0
        slopes, gain, best = slopes - step, best - now, now
        if gain <= NEWTON_GAIN * best:
            break
    return [float(slope) / size for slope, size in zip(slopes, scale, strict=True)]


def _line(slopes: Floats, rows: list[Floats]) -> Floats:
    total = np.zeros_like(rows[0])
    for slope, row in zip(slopes, rows, strict=True):
        total += slope * row
    return total


def _loss_at(slopes: Floats, rows: list[Floats], goal: Floats, weight: Floats) -> float:
    z = _line(slopes, rows)
    return float((weight * (np.logaddexp(0.0, z) - goal * z)).sum())


def _goals(part: _Slice) -> Floats:
    """Platt's targets: half a case more on either side keeps a clean split from running away."""
    positives = float(part.weight @ part.y)
    negatives = float(part.weight.sum()) - positives
    high, low = (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0)
    goals: Floats = low + (high - low) * part.y
    return goals


def _grouped(part: _Slice) -> _Slice:
    """The slice itself, or a million rows as groups of neighbours with their means."""
    if len(part.raw) <= GROUPS:
        return part
    order = np.argsort(part.raw, kind="stable")
    starts = np.arange(GROUPS) * len(order) // GROUPS
    weight = np.add.reduceat(part.weight[order], starts)
    raw, y = (
        np.add.reduceat((column * part.weight)[order], starts) / weight
        for column in (part.raw, part.y)
    )
    return _Slice(raw, y, weight)


def _sound(kind: str, values: tuple[float, ...]) -> bool:
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        return False
    if kind == "isotonic":
        knots, levels = (values[: len(values) // 2], values[len(values) // 2 :])
        rising = [bool(np.all(np.diff(part) > 0)) for part in (knots, levels)]
        return bool(values) and len(knots) == len(levels) and all(rising)
    slopes = {"identity": 0, "platt": 1, "beta": 2}.get(kind)
    if slopes is None or len(values) != (slopes + 1 if slopes else 0):
        return False
    return all(slope > 0 for slope in values[:slopes])


_CURVES: Mapping[str, Callable[[tuple[float, ...], Floats], Floats]] = MappingProxyType(
    {"identity": _identity, "platt": _platt, "beta": _beta, "isotonic": _isotonic}
)
_FITS: Mapping[str, Callable[[_Slice], tuple[float, ...]]] = MappingProxyType(
    {"platt": _fit_platt, "beta": _fit_beta, "isotonic": _fit_isotonic}
)
