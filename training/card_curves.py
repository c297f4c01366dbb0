"""Curves for the model card: few numbers, so that a page can draw them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from training import metrics
from training.evaluation import Judged, capacity_curve
from training.metrics import reliability

__all__ = ["EDGES", "curves"]

EDGES = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of the bands in which scores are counted: fraud is one event in a thousand or fewer."""

_BINS = 20
_STEPS = 12
_DIGITS = 6


def curves(judged: Judged, per_day: float) -> dict[str, Any]:
    """Calibration, capacity and scores on the test days.

    Parameters
    ----------
    judged : Judged
        The model's calibrated scores.
    per_day : float
        Alerts a day that the whole city can work; the part may hold a share of its citizens.

    Returns
    -------
    dict
        ``calibration``: points with predicted, observed, low, high (Wilson's 95 %), events.
        ``capacity``: points with alerts a day, recall, precision, preventable share.
        ``scores``: edges of bands, share of the events in each.
    """
    return {
        "calibration": _calibration(judged),
        "capacity": _capacity(judged, per_day),
        "scores": _scores(judged),
    }


def _calibration(judged: Judged) -> list[dict[str, float | None]]:
    found = reliability(judged.part.y, judged.score, bins=_BINS)
    names = ("predicted", "observed", "low", "high", "events")
    columns = (found.predicted, found.observed, found.low, found.high, found.count)
    return _points(names, zip(*columns, strict=True))


def _capacity(judged: Judged, per_day: float) -> list[dict[str, float | None]]:
    steps = np.unique(np.geomspace(1, 10 * judged.per_day, _STEPS).round().astype(np.int64))
    precision, recall = capacity_curve(judged, steps)
    preventable = [_preventable(Judged(judged.part, judged.score, float(each))) for each in steps]
    whole = steps * per_day / max(judged.capacity, 1e-12)
    names = ("alerts", "recall", "precision", "preventable")
    return _points(names, zip(whole, recall, precision, preventable, strict=True))


def _preventable(judged: Judged) -> float:
    """Money not yet gone at the first alert, of all that was lost."""
    part, frauds = judged.part, judged.part.y == 1
    names, code = np.unique(part.episode[frauds], return_inverse=True)
    if not len(names):
        return float("nan")
    episode = np.full(len(part), -1)
    episode[frauds] = code
    first = metrics.first_alert(judged.alerted, episode, part.seconds, len(names))
    paid = np.flatnonzero(frauds & (part.amount_fen > 0))
    return metrics.preventable_share(
        first, episode[paid], part.seconds[paid], part.amount_fen[paid]
    )


def _scores(judged: Judged) -> dict[str, list[float]]:
    weight = np.asarray(judged.part.weight, np.float64)
    band = np.clip(np.digitize(judged.score, EDGES) - 1, 0, len(EDGES) - 2)
    counts = np.bincount(band, weight, len(EDGES) - 1)
    shares = counts / max(counts.sum(), 1e-12)
    return {"edges": list(EDGES), "shares": [round(float(one), _DIGITS) for one in shares]}


def _points(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, float | None]]:
    return [dict(zip(names, map(_number, row), strict=True)) for row in rows]


def _number(value: Any) -> float | None:
    return round(float(value), _DIGITS) if np.isfinite(value) else None
