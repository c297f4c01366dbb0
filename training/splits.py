"""Splits that keep the order of time and the delay of labels; never a random one.

Times are known times (UTC). The gap between what is learnt from and what is judged is as long as
labels take to arrive, so that a split learns only from labels that were there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["AsOfSplit", "Fold", "as_of_split", "instant", "prequential_fold", "prequential_folds"]

Ints = NDArray[np.int64]
Instants = NDArray[np.datetime64]
Moment = datetime | np.datetime64 | str


def instant(moment: Moment) -> np.datetime64:
    """One moment as numpy's UTC microseconds; a time without a zone is taken as UTC.

    Examples
    --------
    >>> from datetime import timezone
    >>> instant(datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8))))
    np.datetime64('2026-01-01T00:00:00.000000')
    """
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.array([moment], "datetime64[us]")[0]  # type: ignore[no-any-return]


def _span(days: float | timedelta) -> np.timedelta64:
    span = days if isinstance(days, timedelta) else timedelta(days=days)
    return np.timedelta64(span, "us")


def _instants(at: ArrayLike) -> Instants:
    return np.asarray(at).astype("datetime64[us]")


@dataclass(frozen=True)
class Fold:
    """Rows to learn from and rows to be judged on, with the moments between which they lie.

    Parameters
    ----------
    train, test : int array
        Row numbers, ascending.
    train_from, train_until, test_from, test_until : datetime64[us]
        Half-open: a row belongs from `_from` on and before `_until`.
    """

    train: Ints
    test: Ints
    train_from: np.datetime64
    train_until: np.datetime64
    test_from: np.datetime64
    test_until: np.datetime64


@dataclass(frozen=True)
class _Days:
    """Lengths of a fold, in days."""

    train: int
    delay: int
    test: int


def prequential_fold(  # noqa: PLR0913 - the six arrays and lengths are the protocol
    at: ArrayLike,
    citizen: ArrayLike,
    y: ArrayLike,
    start: Moment,
    *,
    train_days: int = 7,
    delay_days: int = 7,
    test_days: int = 7,
) -> Fold:
    """Train on some days, wait until their labels are known, test on the days after.

    Citizens whose fraud, counted from the start of training, was known when a test day began (it
    happened more than the delay before) are removed from that day: they have been helped already.

    Parameters
    ----------
    at : array of shape (n,)
        datetime64, UTC.
    citizen, y : array of shape (n,)
        Who, and 1 for fraud.
    start : datetime, datetime64 or ISO text
        First moment of training.
    train_days, delay_days, test_days : int

    References
    ----------
    Le Borgne et al., "Practical Handbook", 2022, sections 3.3 and 5.3 (`get_train_test_set`,
    prequential validation).

    Examples
    --------
    >>> at = np.datetime64("2026-01-01") + np.arange(6)
    >>> days = dict(train_days=2, delay_days=1, test_days=3)
    >>> fold = prequential_fold(at, list("abcdab"), [0, 1, 0, 0, 0, 0], at[0], **days)
    >>> fold.train, fold.test
    (array([0, 1]), array([3, 4]))
    """
    when, who = _instants(at), np.asarray(citizen)
    fraud = np.asarray(y) == 1
    days = _Days(train_days, delay_days, test_days)
    train_from = instant(start)
    test_from = train_from + _span(days.train + days.delay)
    kept = [
        _unknown_rows(when, who, fraud & (when >= train_from), test_from + _span(day), days)
        for day in range(days.test)
    ]
    train_until = train_from + _span(days.train)
    return Fold(
        train=np.flatnonzero((when >= train_from) & (when < train_until)),
        test=np.sort(np.concatenate(kept)),
        train_from=train_from,
        train_until=train_until,
        test_from=test_from,
        test_until=test_from + _span(days.test),
    )


def _unknown_rows(when: Instants, who: Any, fraud: Any, morning: np.datetime64, days: _Days) -> Any:
    known = np.unique(who[fraud & (when < morning - _span(days.delay))])
    today = np.flatnonzero((when >= morning) & (when < morning + _span(1)))
    return today[~np.isin(who[today], known)]


def prequential_folds(
    at: ArrayLike, citizen: ArrayLike, y: ArrayLike, starts: Sequence[Moment], **days: int
) -> list[Fold]:
    """One `prequential_fold` for each start; keywords as there."""
    return [prequential_fold(at, citizen, y, start, **days) for start in starts]


@dataclass(frozen=True)
class AsOfSplit:
    """What could be learnt at `as_of`, cut in time; every part is row numbers, ascending.

    Parameters
    ----------
    train : int array
        To fit trees on.
    tune : int array
        To choose settings on and to stop early on.
    calibrate : int array
        To fit the calibration and the thresholds on.
    test : int array
        To report figures on.
    edges : tuple of (name, from, until)
        The half-open spans, datetime64[us]; `train` has no start.
    """

    train: Ints
    tune: Ints
    calibrate: Ints
    test: Ints
    edges: tuple[tuple[str, np.datetime64 | None, np.datetime64], ...]


def as_of_split(
    known_at: ArrayLike,
    as_of: Moment,
    *,
    delay: float | timedelta,
    tune: float | timedelta,
    calibrate: float | timedelta = 0,
    test: float | timedelta = 0,
) -> AsOfSplit:
    """Cut what was known at `as_of` into train, tune, calibrate and test, in order of time.

    The last `delay` before `as_of` is left out, since its labels are not mature; another gap of
    `delay` stands before `tune` and, if there is one, before `test`: at the moment a part begins,
    no later label than those of the gap's start would have been there to learn from.

    Parameters
    ----------
    known_at : array of shape (n,)
        datetime64, UTC.
    as_of : datetime, datetime64 or ISO text
    delay, tune, calibrate, test : float (days) or timedelta
        Length of the label delay and of the parts.

    Raises
    ------
    ValueError
        Where nothing is left to train on.

    Examples
    --------
    >>> at = np.datetime64("2026-01-01") + np.arange(20)
    >>> split = as_of_split(at, "2026-01-21", delay=2, tune=3, calibrate=1, test=2)
    >>> split.train[-1], split.tune, split.calibrate, split.test
    (np.int64(7), array([10, 11, 12]), array([13]), array([16, 17]))
    """
    when, gap = _instants(known_at), _span(delay)
    test_until = instant(as_of) - gap
    test_from = test_until - _span(test)
    calibrate_until = test_from - gap if test_from < test_until else test_from
    calibrate_from = calibrate_until - _span(calibrate)
    tune_from = calibrate_from - _span(tune)
    train_until = tune_from - gap
    edges = (
        ("train", None, train_until),
        ("tune", tune_from, calibrate_from),
        ("calibrate", calibrate_from, calibrate_until),
        ("test", test_from, test_until),
    )
    parts = {
        name: np.flatnonzero((when < until) & (True if since is None else when >= since))
        for name, since, until in edges
    }
    if not parts["train"].size:
        raise ValueError(
            f"expected events known before {train_until} to train on, found none (as of {as_of}, "
            f"delay {delay}, tune {tune}, calibrate {calibrate}, test {test}); "
            "shorten the parts or bring more history"
        )
    return AsOfSplit(**parts, edges=edges)
