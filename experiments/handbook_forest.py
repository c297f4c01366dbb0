"""The Handbook's own fifteen features and its random forest: the rival run beside our model.

Written from the book's definitions, for this comparison only; the product's features come from
`features`. Windows look back from a transaction and, as in the book, count it too.

References
----------
Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud
Detection: Practical Handbook", 2022, sections 3.2 (features) and 5.3 (model selection).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

__all__ = ["BOOK_FEATURES", "Payments", "book_features", "book_forest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
WINDOW_DAYS = (1, 7, 30)
DELAY_DAYS = 7
NIGHT_UNTIL_HOUR = 6
SATURDAY = 5
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, Monday being 0

BOOK_FEATURES = (
    "TX_AMOUNT",
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    *(f"CUSTOMER_ID_{what}_{d}DAY_WINDOW" for d in WINDOW_DAYS for what in ("NB_TX", "AVG_AMOUNT")),
    *(f"TERMINAL_ID_{what}_{d}DAY_WINDOW" for d in WINDOW_DAYS for what in ("NB_TX", "RISK")),
)


@dataclass(frozen=True)
class Payments:
    """Payments in order of time.

    Parameters
    ----------
    at_s : int array of shape (n,)
        Seconds since 1970, not falling.
    customer, terminal : int array of shape (n,)
        Small codes.
    amount : float array of shape (n,)
    fraud : int array of shape (n,)
        1 or 0.
    """

    at_s: Ints
    customer: Ints
    terminal: Ints
    amount: Floats
    fraud: Ints


@dataclass(frozen=True)
class _Groups:
    """Payments sorted by key, then time, so that a window is a difference of running sums."""

    at_s: Ints
    key: Ints

    def __post_init__(self) -> None:
        span = int(self.at_s.max() - self.at_s.min()) + 60 * DAY_S
        place = self.key * span + (self.at_s - self.at_s.min()) + 50 * DAY_S
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_order", np.argsort(place, kind="stable"))

    def window(self, values: Any, days: int) -> Floats:
        """Sum of `values` over the key's payments of the last `days`, this one included."""
        order, place = self._order, self._place  # type: ignore[attr-defined]
        total = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64)[order])])
        start = np.searchsorted(place[order], place - days * DAY_S, side="right")
        through = np.empty(order.size, np.int64)
        through[order] = np.arange(1, order.size + 1)
        found: Floats = total[through] - total[start]
        return found


def book_features(payments: Payments) -> Floats:
    """The fifteen features of the book, columns as in `BOOK_FEATURES`.

    A terminal's risk is the share of frauds among its payments in a window that ends
    `DELAY_DAYS` ago, since later labels are not known.

    Returns
    -------
    array of shape (n, 15)
    """
    days, second = np.divmod(payments.at_s, DAY_S)
    weekend = (days + EPOCH_WEEKDAY) % 7 >= SATURDAY
    night = second // 3_600 <= NIGHT_UNTIL_HOUR
    columns = [payments.amount, weekend, night]
    columns += _customer_columns(payments) + _terminal_columns(payments)
    return np.column_stack([np.asarray(column, np.float64) for column in columns])


def _customer_columns(payments: Payments) -> list[Floats]:
    groups = _Groups(payments.at_s, payments.customer)
    found: list[Floats] = []
    for days in WINDOW_DAYS:
        count = groups.window(np.ones(payments.at_s.size), days)
        found += [count, groups.window(payments.amount, days) / count]
    return found


def _terminal_columns(payments: Payments) -> list[Floats]:
    groups = _Groups(payments.at_s, payments.terminal)
    one = np.ones(payments.at_s.size)
    found: list[Floats] = []
    for days in WINDOW_DAYS:
        count, frauds = (
            groups.window(values, days + DELAY_DAYS) - groups.window(values, DELAY_DAYS)
            for values in (one, payments.fraud)
        )
        risk = np.divide(frauds, count, out=np.zeros_like(count), where=count > 0)
        found += [count, risk]
    return found


def book_forest(X: Floats, y: Ints, *, trees: int = 100, threads: int = 2) -> Any:
    """The book's random forest at the depth that its grid gives its published row with."""
    forest = RandomForestClassifier(trees, max_depth=20, random_state=0, n_jobs=threads)
    return forest.fit(X, y)
