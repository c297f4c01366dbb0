"""How good a score is on a span of days: every figure of DOMAIN.md §3 with its interval.

Works on any score, the model's or a rule's, so that what is compared is computed alike. Ranking
and calibration draw citizens, precision per day draws days, what concerns a fraud draws episodes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from training import metrics
from training.datasets import Part
from training.metrics import GroupErrors, Interval

__all__ = [
    "FIGURES",
    "Alerts",
    "Judged",
    "Steps",
    "alerts_of",
    "capacity_curve",
    "evaluate",
    "groups",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOUR_S = 3600.0
_UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))
TOP = 100  # the Handbook's card precision@100

FIGURES: Mapping[str, str] = {
    "average_precision": "average precision over events",
    "auc": "area under the ROC curve over events",
    "precision_at_capacity": "alerted citizens who were being defrauded that day / alerts",
    "recall_at_capacity": "defrauded citizens alerted in time / defrauded citizens",
    "precision_100": "share of frauds among the 100 most suspicious citizens a day",
    "preventable_share": "money not yet gone at the first alert / money lost",
    "lead_time_h": "hours from first alert to first payment, median over alerted frauds",
    "brier": "mean squared gap between probability and outcome",
    "ece": "expected calibration error over ten bins of equal count",
}
"""What each figure says."""


@dataclass(frozen=True)
class Judged:
    """Events with labels 0 and 1, and a score for each.

    Parameters
    ----------
    part : Part
        In order of arrival; rows with unknown labels left out.
    score : float64 array (n,)
        Grows with suspicion; a probability where calibration is asked for.
    capacity : float
        Citizens a day that can be alerted, of those in the part.
    """

    part: Part
    score: Floats
    capacity: float

    @property
    def per_day(self) -> int:
        """Whole citizens a day, at least one."""
        return max(1, round(self.capacity))

    @cached_property
    def alerted(self) -> Bools:
        """Events that raise an alert at capacity: the day's first to reach its line, a citizen."""
        part = self.part
        return metrics.alerts_at_capacity(self.score, part.citizen, part.day, self.per_day)


@dataclass(frozen=True)
class Alerts:
    """Alerts at capacity by citizen; arrays over the citizens of a part.

    Parameters
    ----------
    alerts, caught, defrauded : int array (citizens,)
        Alerts raised, whether one of them came on a day of fraud, whether any fraud happened.
    """

    alerts: Ints
    caught: Ints
    defrauded: Ints

    def precision(self, weight: Floats) -> float:
        """Caught citizens / alerts."""
        return _ratio(weight @ self.caught, weight @ self.alerts)

    def recall(self, weight: Floats) -> float:
        """Caught citizens / defrauded citizens."""
        return _ratio(weight @ self.caught, weight @ self.defrauded)


def alerts_of(judged: Judged) -> Alerts:
    """Alert the most suspicious citizens of each day; who is caught drops out.

    The counts by citizen behind `metrics.at_capacity`, which intervals need.
    """
    part, size = judged.part, int(judged.part.citizen.max(initial=-1)) + 1
    alerts, caught, defrauded = (np.zeros(size, np.int64) for _ in range(3))
    for day in np.unique(part.day):
        today = np.flatnonzero(part.day == day)
        who, best, fraud = _day(part, judged.score, today)
        defrauded[who[fraud]] = 1
        free = np.flatnonzero(caught[who] == 0)
        chosen = free[np.argsort(-best[free], kind="stable")[: judged.per_day]]
        alerts[who[chosen]] += 1
        caught[who[chosen[fraud[chosen]]]] = 1
    return Alerts(alerts, caught, defrauded)


def _day(part: Part, score: Floats, today: Ints) -> tuple[Ints, Floats, Bools]:
    """Citizens seen on a day, the highest score of each, and who was being defrauded."""
    who, code = np.unique(part.citizen[today], return_inverse=True)
    best, fraud = np.full(len(who), -np.inf), np.zeros(len(who), np.bool_)
    np.maximum.at(best, code, score[today])
    np.logical_or.at(fraud, code, part.y[today] == 1)
    return who, best, fraud


def evaluate(
    judged: Judged, *, calibrated: bool = True, rounds: int = 300, seed: int = 0
) -> dict[str, Interval]:
    """Every figure of `FIGURES`; the last two only where scores are probabilities.

    Parameters
    ----------
    judged : Judged
    calibrated : bool
        Whether the score claims to be a probability.
    rounds, seed : int
        Of the bootstrap: the same numbers give the same intervals.
    """
    draw = _Draw(rounds, seed)
    found = {**_ranked(judged, draw), **_at_capacity(judged, draw), **_in_time(judged, draw)}
    if calibrated:
        found |= _calibration(judged, draw)
    return {name: found[name] for name in FIGURES if name in found}


@dataclass(frozen=True)
class _Draw:
    rounds: int
    seed: int

    def interval(self, statistic: Callable[[Floats], float], cluster: NDArray[Any]) -> Interval:
        if not len(cluster):
            return _UNKNOWN
        return metrics.bootstrap(statistic, cluster, rounds=self.rounds, seed=self.seed)


@dataclass(frozen=True)
class Steps:
    """A ranking cut where its frauds stand, summed by citizen: a draw costs no pass over events.

    Step 2j holds the events between the frauds' j-th and (j-1)-th highest scores, 2j + 1 those
    that equal the j-th; nothing else decides average precision or AUC.
    """

    fraud: Any  # sparse (steps, citizens): weights of frauds
    clean: Any  # the same of the others

    @classmethod
    def of(cls, judged: Judged) -> "Steps":
        """Cut a ranking and sum it; rows are steps, columns citizen codes."""
        part, score = judged.part, judged.score
        cuts = np.unique(score[part.y == 1])
        place = np.searchsorted(cuts, score, "left")
        equal = (place < len(cuts)) & (cuts[np.minimum(place, len(cuts) - 1)] == score)
        step = 2 * (len(cuts) - place) - equal.astype(np.int64)
        shape = (2 * len(cuts) + 1, _citizens(part))
        sums = [_by_citizen(part, step, part.weight * (part.y == label), shape) for label in (1, 0)]
        return cls(*sums)

    def average_precision(self, weight: Floats) -> float:
        """As `metrics.Ranking.average_precision`, citizens weighted."""
        fraud, clean = np.cumsum(self.fraud @ weight), np.cumsum(self.clean @ weight)
        if not fraud[-1]:
            return float("nan")
        seen = fraud + clean
        precision = np.divide(fraud, seen, out=np.zeros_like(seen), where=seen > 0)
        return float(np.diff(fraud, prepend=0.0) @ precision / fraud[-1])

    def auc(self, weight: Floats) -> float:
        """As `metrics.Ranking.auc`, citizens weighted."""
        fraud, clean = np.cumsum(self.fraud @ weight), np.cumsum(self.clean @ weight)
        if not fraud[-1] or not clean[-1]:
            return float("nan")
        area = np.trapezoid(np.append(0.0, fraud), np.append(0.0, clean))
        return float(area / (fraud[-1] * clean[-1]))


def _citizens(part: Part) -> int:
    return int(part.citizen.max(initial=-1)) + 1


def _by_citizen(part: Part, row: Ints, value: Floats, shape: tuple[int, int]) -> Any:
    return csr_array((value, (row, part.citizen)), shape=shape)


def _ranked(judged: Judged, draw: _Draw) -> dict[str, Interval]:
    if not (judged.part.y == 1).any():
        return dict.fromkeys(("average_precision", "auc"), _UNKNOWN)
    steps, citizens = Steps.of(judged), np.arange(_citizens(judged.part))
    return {
        "average_precision": draw.interval(steps.average_precision, citizens),
        "auc": draw.interval(steps.auc, citizens),
    }


def _at_capacity(judged: Judged, draw: _Draw) -> dict[str, Interval]:
    part, alerts = judged.part, alerts_of(judged)
    citizens = np.arange(len(alerts.alerts))
    daily = metrics.card_precision_by_day(part.y, judged.score, part.citizen, part.day, TOP)
    return {
        "precision_at_capacity": draw.interval(alerts.precision, citizens),
        "recall_at_capacity": draw.interval(alerts.recall, citizens),
        "precision_100": draw.interval(lambda w: _ratio(w @ daily, w.sum()), np.arange(len(daily))),
    }


def _in_time(judged: Judged, draw: _Draw) -> dict[str, Interval]:
    """Lead time and loss still preventable, over the episodes with a payment in the part."""
    part = judged.part
    names, code = np.unique(part.episode[part.y == 1], return_inverse=True)
    episode = np.full(len(part), -1)
    episode[part.y == 1] = code
    first = metrics.first_alert(judged.alerted, episode, part.seconds, len(names))
    paid = np.flatnonzero((part.y == 1) & (part.amount_fen > 0))
    lost_at = np.full(len(names), np.inf)
    np.minimum.at(lost_at, episode[paid], part.seconds[paid])
    lead = metrics.lead_time(first, lost_at) / HOUR_S
    payments = (episode[paid], part.seconds[paid], part.amount_fen[paid])
    return {
        "preventable_share": draw.interval(
            lambda w: metrics.preventable_share(first, *payments, weight=w), np.arange(len(names))
        ),
        "lead_time_h": draw.interval(lambda w: _median(lead, w), np.arange(len(names))),
    }


def _median(values: Floats, weight: Floats) -> float:
    """Median of values drawn `weight` times each; NaN where there are none."""
    known = np.isfinite(values)
    drawn = np.repeat(values[known], weight[known].astype(np.int64))
    return float(np.median(drawn)) if drawn.size else float("nan")


def _calibration(judged: Judged, draw: _Draw) -> dict[str, Interval]:
    part, p = judged.part, judged.score
    edges = np.unique(np.quantile(p, np.linspace(0, 1, 11)[1:-1], method="lower"))
    member = np.searchsorted(edges, p, side="left")  # as metrics.reliability bins
    gap, size = p - part.y, _citizens(part)
    bins = _by_citizen(part, member, part.weight * gap, (len(edges) + 1, size))
    squares = np.bincount(part.citizen, part.weight * gap**2, size)
    events = np.bincount(part.citizen, part.weight, size)
    return {
        "brier": draw.interval(lambda w: _ratio(w @ squares, w @ events), np.arange(size)),
        "ece": draw.interval(lambda w: _ratio(np.abs(bins @ w).sum(), w @ events), np.arange(size)),
    }


def groups(judged: Judged, group: NDArray[Any]) -> list[GroupErrors]:
    """False-alarm and miss rates by group of citizens; one row a citizen.

    Parameters
    ----------
    judged : Judged
    group : array of str (citizens,)
        Group of each citizen code: for this report only, never an input of a model.
    """
    alerts = alerts_of(judged)
    seen = np.unique(judged.part.citizen)
    return metrics.errors_by_group(
        alerts.defrauded[seen], np.where(alerts.defrauded, alerts.caught, alerts.alerts)[seen] > 0,
        group[seen],
    )  # fmt: skip


def capacity_curve(judged: Judged, capacities: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Precision and recall at each number of alerts a day."""
    found = [alerts_of(Judged(judged.part, judged.score, float(c))) for c in capacities]
    ones = [np.ones(len(alerts.alerts)) for alerts in found]
    precision = [alerts.precision(w) for alerts, w in zip(found, ones, strict=True)]
    recall = [alerts.recall(w) for alerts, w in zip(found, ones, strict=True)]
    return np.asarray(precision), np.asarray(recall)


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")
