"""Figures by which a fraud model is judged (DOMAIN.md §3), on numpy arrays.

Ranking (AUC, average precision) · what a centre with a fixed number of alerts a day gets
(card precision, precision and recall at capacity, lead time, loss still preventable) ·
calibration (reliability, ECE, Brier) · errors by group. Intervals come from
`training.intervals`; every figure that may be bootstrapped takes row weights.

Arrays are one entry an event: ``y`` is 1 (fraud) or 0, ``score`` grows with suspicion, ``citizen``
and ``day`` are any values that can be compared. Leave rows whose label is unknown out beforehand.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.intervals import Interval, bootstrap, wilson

__all__ = [
    "AtCapacity",
    "GroupErrors",
    "Interval",
    "Ranking",
    "Reliability",
    "alerts_at_capacity",
    "at_capacity",
    "auc",
    "average_precision",
    "bootstrap",
    "brier",
    "card_precision",
    "card_precision_by_day",
    "errors_by_group",
    "expected_calibration_error",
    "first_alert",
    "lead_time",
    "preventable_share",
    "reliability",
    "wilson",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ranking:
    """Events sorted once by score, so that many weightings of them are cheap to judge.

    Parameters
    ----------
    y : array of shape (n,)
        1 fraud, 0 not.
    score : array of shape (n,)
        Higher is more suspicious; equal scores are one step of the curve.

    Raises
    ------
    ValueError
        For lengths that differ, labels other than 0 and 1, or a score that is not a number.

    Examples
    --------
    >>> ranking = Ranking([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> ranking.auc()
    0.75
    >>> round(ranking.average_precision(), 3)
    0.833
    """

    y: ArrayLike
    score: ArrayLike

    def __post_init__(self) -> None:
        y, score = np.asarray(self.y), np.asarray(self.score, np.float64)
        if y.ndim != 1 or y.shape != score.shape:
            raise ValueError(
                f"expected y and score of one equal length, found {y.shape} and {score.shape}"
            )
        if not np.isin(y, (0, 1)).all():
            raise ValueError("expected labels 0 and 1, found others; leave unknown labels (-1) out")
        if np.isnan(score).any():
            raise ValueError(f"expected scores, found {int(np.isnan(score).sum())} NaN among them")

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(-np.asarray(self.score, np.float64), kind="stable")

    @cached_property
    def _sorted_y(self) -> Floats:
        return np.asarray(self.y, np.float64)[self._order]

    @cached_property
    def _last_of_tie(self) -> Ints:
        falling = np.asarray(self.score, np.float64)[self._order]
        return np.flatnonzero(np.append(falling[1:] != falling[:-1], [True] * bool(falling.size)))

    def _counts(self, weight: ArrayLike | None) -> tuple[Floats, Floats]:
        w = np.ones(self._order.size) if weight is None else np.asarray(weight, np.float64)
        w = w[self._order]
        fraud = np.cumsum(w * self._sorted_y)[self._last_of_tie]
        clean = np.cumsum(w * (1 - self._sorted_y))[self._last_of_tie]
        return fraud, clean

    def auc(self, weight: ArrayLike | None = None) -> float:
        """Area under the ROC curve; NaN unless both classes carry weight."""
        fraud, clean = self._counts(weight)
        if not fraud.size or not fraud[-1] or not clean[-1]:
            return math.nan
        area = np.trapezoid(np.append(0.0, fraud), np.append(0.0, clean))
        return float(area / (fraud[-1] * clean[-1]))

    def average_precision(self, weight: ArrayLike | None = None) -> float:
        """Precision averaged over the steps of recall, not interpolated; NaN without fraud."""
        fraud, clean = self._counts(weight)
        if not fraud.size or not fraud[-1]:
            return math.nan
        seen = fraud + clean
        precision = np.divide(fraud, seen, out=np.zeros_like(fraud), where=seen > 0)
        return float(np.diff(fraud, prepend=0.0) @ precision / fraud[-1])


def auc(y: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Area under the ROC curve: how often a fraud outranks a non-fraud, ties counting half.

    Examples
    --------
    >>> auc([0, 1, 1], [0.2, 0.2, 0.9])
    0.75
    """
    return Ranking(y, score).auc(weight)


def average_precision(y: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Average precision, with equal scores taken as one step.

    Examples
    --------
    >>> average_precision([1, 0, 1], [0.9, 0.5, 0.4]).__round__(4)
    0.8333
    """
    return Ranking(y, score).average_precision(weight)


# ---------------------------------------------------------------- alerts a day


@dataclass(frozen=True)
class _CitizenDays:
    """Best event of each citizen on each day, by day, most suspicious first."""

    citizen: Ints  # code, shape (m,)
    day: Ints  # code, ascending, shape (m,)
    event: Ints  # row of the day's highest score, shape (m,)
    fraud: Bools  # any fraud on that day, shape (m,)

    def days(self) -> list[slice]:
        edges = np.flatnonzero(np.diff(self.day)) + 1
        bounds = [0, *edges.tolist(), self.day.size]
        return [slice(a, b) for a, b in pairwise(bounds) if b > a]


def _codes(values: ArrayLike) -> Ints:
    return np.asarray(np.unique(np.asarray(values), return_inverse=True)[1], np.int64)


def _citizen_days(y: ArrayLike, score: ArrayLike, citizen: ArrayLike, day: ArrayLike) -> Any:
    who, when = _codes(citizen), _codes(day)
    height = np.asarray(score, np.float64)
    order = np.lexsort((np.arange(who.size), -height, who, when))
    pair = when[order] * (who.max(initial=0) + 1) + who[order]
    starts = np.flatnonzero(np.append([True] * bool(pair.size), pair[1:] != pair[:-1]))
    fraud = np.add.reduceat(np.asarray(y)[order] == 1, starts) > 0 if pair.size else np.zeros(0)
    best = order[starts]
    again = np.lexsort((who[best], -height[best], when[best]))
    return _CitizenDays(who[best][again], when[best][again], best[again], fraud[again] > 0)


def card_precision_by_day(
    y: ArrayLike, score: ArrayLike, citizen: ArrayLike, day: ArrayLike, k: int = 100
) -> Floats:
    """Share of the `k` most suspicious citizens of each day who were defrauded on that day.

    A citizen counts once a day, by the day's highest score; one who was caught drops out on later
    days. Days with fewer than `k` citizens are still divided by `k`, as in the source.

    Parameters
    ----------
    y, score, citizen, day : array of shape (n,)
    k : int
        Citizens that can be checked in a day.

    Returns
    -------
    array of shape (days,)
        In order of day.

    References
    ----------
    Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud
    Detection: Practical Handbook", 2022, section 4.4 (card precision top-k).

    Examples
    --------
    >>> y, score = [1, 0, 1, 1], [0.9, 0.1, 0.8, 0.7]
    >>> card_precision_by_day(y, score, ["a", "b", "a", "c"], [1, 1, 2, 2], k=1)
    array([1., 1.])
    """
    table = _citizen_days(y, score, citizen, day)
    caught: set[int] = set()
    shares = []
    for part in table.days():
        open_cases = ~np.isin(table.citizen[part], list(caught))
        checked = np.flatnonzero(open_cases)[:k]
        hits = table.citizen[part][checked][table.fraud[part][checked]]
        caught.update(hits.tolist())
        shares.append(hits.size / k)
    return np.asarray(shares, np.float64)


def card_precision(
    y: ArrayLike, score: ArrayLike, citizen: ArrayLike, day: ArrayLike, k: int = 100
) -> float:
    """Mean over days of `card_precision_by_day`; NaN without a day."""
    shares = card_precision_by_day(y, score, citizen, day, k)
    return float(shares.mean()) if shares.size else math.nan


def alerts_at_capacity(
    score: ArrayLike, citizen: ArrayLike, day: ArrayLike, capacity: int
) -> Bools:
    """Mark the events that raise an alert when `capacity` citizens can be alerted each day.

    The day's line is the `capacity`-th highest of the citizens' best scores on that day (drawn
    with the day's scores known, the same for every model compared); a citizen is alerted once a
    day, at the first of the day's events, in row order, that reaches the line.

    Parameters
    ----------
    score, citizen, day : array of shape (n,)
        In order of time.
    capacity : int
        Alerts a day.

    Returns
    -------
    bool array of shape (n,)

    Examples
    --------
    >>> alerts_at_capacity([0.6, 0.9, 0.7, 0.1], ["a", "a", "b", "c"], [1, 1, 1, 1], 2)
    array([False,  True,  True, False])
    """
    height = np.asarray(score, np.float64)
    table = _citizen_days(np.zeros(height.size), height, citizen, day)
    line = np.full(_codes(citizen).max(initial=-1) + 1, np.inf)
    alerted = np.zeros(height.size, np.bool_)
    when, who = _codes(day), _codes(citizen)
    rows_by_day = np.split(np.argsort(when, kind="stable"), np.cumsum(np.bincount(when))[:-1])
    for part, rows in zip(table.days(), rows_by_day, strict=True):
        chosen = table.event[part][:capacity]
        line[:] = np.inf
        if chosen.size:
            line[who[chosen]] = height[chosen].min()
        reaching = rows[height[rows] >= line[who[rows]]]
        _, first = np.unique(who[reaching], return_index=True)
        alerted[reaching[first]] = True
    return alerted


@dataclass(frozen=True)
class AtCapacity:
    """What a day's capacity of alerts buys, over the whole period, each citizen counted once.

    Parameters
    ----------
    precision : float
        Citizens alerted on a day on which they were being defrauded / alerts.
    recall : float
        Defrauded citizens so alerted at least once / defrauded citizens.
    alerts, caught, defrauded : int
        The counts behind the shares.
    """

    precision: float
    recall: float
    alerts: int
    caught: int
    defrauded: int


def at_capacity(
    y: ArrayLike, score: ArrayLike, citizen: ArrayLike, day: ArrayLike, capacity: int
) -> AtCapacity:
    """Precision and recall when the `capacity` most suspicious citizens a day are alerted.

    A citizen takes one alert a day at most, drops out once caught, and counts once in recall
    however often defrauded in the period.

    Examples
    --------
    >>> at_capacity([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.8], ["a", "b", "c", "d"], [1, 1, 2, 2], 1)
    AtCapacity(precision=0.5, recall=0.5, alerts=2, caught=1, defrauded=2)
    """
    table = _citizen_days(y, score, citizen, day)
    caught: set[int] = set()
    alerts = 0
    for part in table.days():
        checked = np.flatnonzero(~np.isin(table.citizen[part], list(caught)))[:capacity]
        alerts += checked.size
        caught.update(table.citizen[part][checked][table.fraud[part][checked]].tolist())
    defrauded = np.unique(table.citizen[table.fraud]).size
    return AtCapacity(
        precision=len(caught) / alerts if alerts else math.nan,
        recall=len(caught) / defrauded if defrauded else math.nan,
        alerts=alerts,
        caught=len(caught),
        defrauded=defrauded,
    )


# ---------------------------------------------------------------- in time to help


def first_alert(alerted: ArrayLike, episode: ArrayLike, at: ArrayLike, episodes: int) -> Floats:
    """When each fraud episode was first alerted.

    Parameters
    ----------
    alerted : bool array of shape (n,)
        Events that raised an alert (`alerts_at_capacity`, or a policy's level).
    episode : int array of shape (n,)
        Number of the episode an event belongs to; negative for none.
    at : array of shape (n,)
        Seconds, of any epoch.
    episodes : int
        How many episodes there are.

    Returns
    -------
    float array of shape (episodes,)
        Infinite where no alert came.

    Examples
    --------
    >>> first_alert([True, True, False, True], [0, 0, 1, -1], [30, 20, 10, 5], 2)
    array([20., inf])
    """
    found = np.full(episodes, np.inf)
    owner = np.asarray(episode)
    counts = np.asarray(alerted, np.bool_) & (owner >= 0)
    np.minimum.at(found, owner[counts], np.asarray(at, np.float64)[counts])
    return found


def lead_time(alert_at: ArrayLike, loss_at: ArrayLike) -> Floats:
    """Seconds from an episode's first alert to its first loss; NaN where never alerted or no loss.

    Negative where the alert came after the money began to leave.

    Parameters
    ----------
    alert_at : array of shape (episodes,)
        From `first_alert`; infinite for never.
    loss_at : array of shape (episodes,)
        Seconds of the first loss, of the same epoch; infinite or NaN for no loss.

    Examples
    --------
    >>> lead_time([20.0, np.inf], [80.0, 50.0])
    array([60., nan])
    """
    alert, loss = np.asarray(alert_at, np.float64), np.asarray(loss_at, np.float64)
    usable = np.isfinite(alert) & np.isfinite(loss)
    lead = np.full(alert.shape, np.nan)
    lead[usable] = loss[usable] - alert[usable]
    return lead


def preventable_share(
    alert_at: ArrayLike,
    episode: ArrayLike,
    paid_at: ArrayLike,
    loss: ArrayLike,
    *,
    reaction_s: float = 0.0,
    weight: ArrayLike | None = None,
) -> float:
    """Share of all money lost that had not yet left when somebody could have acted on the alert.

    Parameters
    ----------
    alert_at : array of shape (episodes,)
        From `first_alert`, seconds; infinite for never.
    episode, paid_at, loss : array of shape (payments,)
        Payments of the episodes: whose, when (seconds), how much (any unit of money).
    reaction_s : float
        Seconds between the alert and a possible act. With 0 the payment that raises the alert
        itself counts as preventable: it was scored before the money left.
    weight : array of shape (episodes,), optional
        Weights of episodes, for the bootstrap.

    Returns
    -------
    float
        Between 0 and 1; NaN where nothing was lost.

    Examples
    --------
    >>> preventable_share([20.0], [0, 0, 0], [10, 20, 30], [1, 2, 7])
    0.9
    >>> preventable_share([20.0], [0, 0, 0], [10, 20, 30], [1, 2, 7], reaction_s=5)
    0.7
    """
    owner = np.asarray(episode, np.int64)
    alert = np.asarray(alert_at, np.float64)
    money = np.asarray(loss, np.float64)
    if weight is not None:
        money = money * np.asarray(weight, np.float64)[owner]
    total = money.sum()
    in_time = np.asarray(paid_at, np.float64) >= alert[owner] + reaction_s
    return float(money[in_time].sum() / total) if total else math.nan


# ---------------------------------------------------------------- calibration


@dataclass(frozen=True)
class Reliability:
    """The reliability curve, one entry a bin that holds events.

    Parameters
    ----------
    predicted, observed : array of shape (bins,)
        Mean score and share of fraud.
    low, high : array of shape (bins,)
        Wilson's 95 % interval of `observed`.
    count : array of shape (bins,)
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    count: Ints

    @property
    def error(self) -> float:
        """Expected calibration error: gaps averaged by count; NaN without events."""
        if not self.count.sum():
            return math.nan
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.count))


def reliability(y: ArrayLike, score: ArrayLike, *, bins: int = 10) -> Reliability:
    """Compare scores with what happened, in bins of equal count.

    At base rates near 1 in 1,000 bins of equal width would put everything in the first; equal
    scores always share a bin.

    Examples
    --------
    >>> curve = reliability([0, 0, 0, 1], [0.1, 0.1, 0.8, 0.8], bins=2)
    >>> curve.predicted, curve.observed
    (array([0.1, 0.8]), array([0. , 0.5]))
    """
    truth, p = np.asarray(y, np.float64), np.asarray(score, np.float64)
    if not p.size:
        empty = np.zeros(0)
        return Reliability(empty, empty, empty, empty, np.zeros(0, np.int64))
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    member = np.searchsorted(edges, p, side="left")
    count = np.bincount(member)
    kept = count > 0
    n = count[kept]
    frauds = np.bincount(member, truth)[kept]
    low, high = wilson(frauds, n)
    return Reliability(np.bincount(member, p)[kept] / n, frauds / n, low, high, n)


def expected_calibration_error(y: ArrayLike, score: ArrayLike, *, bins: int = 10) -> float:
    """Mean gap between score and observed share over bins of equal count (ECE).

    References
    ----------
    Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015; bins of equal count after Nguyen, O'Connor, EMNLP 2015.

    Examples
    --------
    >>> expected_calibration_error([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5])
    0.0
    """
    return reliability(y, score, bins=bins).error


def brier(y: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean squared gap between score and outcome (Brier 1950); NaN without events.

    Examples
    --------
    >>> brier([1, 0], [0.5, 0.5])
    0.25
    """
    gaps = (np.asarray(score, np.float64) - np.asarray(y, np.float64)) ** 2
    w = np.ones(gaps.size) if weight is None else np.asarray(weight, np.float64)
    return float(gaps @ w / w.sum()) if w.sum() else math.nan


# ---------------------------------------------------------------- by group


@dataclass(frozen=True)
class GroupErrors:
    """Errors of one group, with Wilson's 95 % intervals.

    Parameters
    ----------
    group : str
    frauds, others : int
        Rows behind the two rates.
    false_alarm : Interval
        Alerted / not defrauded.
    miss : Interval
        Not alerted / defrauded.
    """

    group: str
    frauds: int
    others: int
    false_alarm: Interval
    miss: Interval


def _share(hits: int, trials: int) -> Interval:
    low, high = wilson(hits, trials)
    return Interval(hits / trials if trials else math.nan, float(low), float(high))


def errors_by_group(y: ArrayLike, alerted: ArrayLike, group: ArrayLike) -> list[GroupErrors]:
    """False-alarm and miss rate of each group.

    Rows should be independent for the intervals to hold: pass one row a citizen (defrauded?
    alerted?), not one an event.

    Parameters
    ----------
    y, alerted, group : array of shape (n,)
        Groups serve this report only; they are never model inputs.

    Returns
    -------
    list of GroupErrors
        In order of the group's name.

    Examples
    --------
    >>> [old] = errors_by_group([1, 1, 0, 0], [1, 0, 0, 0], ["old"] * 4)
    >>> old.miss.value, old.false_alarm.value
    (0.5, 0.0)
    """
    fraud, alarm = np.asarray(y) == 1, np.asarray(alerted, np.bool_)
    names, member = np.unique(np.asarray(group).astype(str), return_inverse=True)
    found = []
    for code, name in enumerate(names):
        own = member == code
        frauds, others = int((own & fraud).sum()), int((own & ~fraud).sum())
        false_alarm = _share(int((own & ~fraud & alarm).sum()), others)
        miss = _share(int((own & fraud & ~alarm).sum()), frauds)
        found.append(GroupErrors(str(name), frauds, others, false_alarm, miss))
    return found
