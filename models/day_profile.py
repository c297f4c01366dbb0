"""How a week's incidents fall on its days: by weekday, on holidays, and by the place's own habit.

A week's expected count is shared out over its days by ratios that are shrunk towards one: few
incidents move them little.

References
----------
Efron, Morris, "Data analysis using Stein's estimator", JASA 70 (1975): shrinkage.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.calendar_days import DAY_KINDS, Calendar
from features.hotspot import Log
from features.shifts import Shifts

__all__ = ["DayProfile"]

Floats = NDArray[np.float64]
WEEK = 7
CITY = 100.0  # incidents that weigh as much as "every day alike"
PLACE = 40.0  # a place's incidents that weigh as much as the city's habit
LATELY_DAYS = 730  # habits older than two years are left out


@dataclass(frozen=True, eq=False)
class DayProfile:
    """Ratios of a day's incidents to a seventh of its week's.

    Parameters
    ----------
    weekday : float64 array, shape (categories, shifts, 7)
        Monday first.
    kind : float64 array, shape (categories, kinds of day)
        Ratio to an ordinary day of the same weekday, by `DAY_KINDS`.
    calendar : Calendar
    """

    weekday: Floats
    kind: Floats
    calendar: Calendar

    @classmethod
    def fit(cls, log: Log, before: int, calendar: Calendar) -> "DayProfile":
        """Learn from the days before one.

        Parameters
        ----------
        before : int
            Day since 1970.
        """
        first = max(log.first_day, before - LATELY_DAYS)
        days = max(before - first, 1)
        daily = _daily(log, first, days)
        weekday = _weekdays(first, days)
        kinds = calendar.kinds(first, days)
        ordinary = kinds == 0
        by_weekday = np.stack(
            [daily[..., ordinary & (weekday == day)].sum(axis=-1) for day in range(WEEK)], -1
        )
        seen = np.array([(ordinary & (weekday == day)).sum() for day in range(WEEK)])
        ratio = _shrunk(by_weekday, _alike(by_weekday, seen), CITY)
        ratio *= WEEK / ratio.sum(axis=-1, keepdims=True)
        return cls(ratio, _kinds(daily, ratio, weekday, kinds), calendar)

    def of(self, day: date) -> Floats:
        """Ratio of a day, shape (categories, shifts)."""
        kind = self.kind[:, DAY_KINDS.index(self.calendar.kind(day))]
        return np.asarray(self.weekday[:, :, day.weekday()] * kind[:, None])

    def of_places(self, log: Log, day: date, before: int) -> Floats:
        """Ratio of a day in each cell, by its own habit as well, (categories, shifts, cells)."""
        rows = log.before(before)
        rows = rows[log.day[rows] >= before - LATELY_DAYS]
        shape = (len(log.categories), len(log.grid))
        at = log.category[rows].astype(np.int64) * shape[1] + log.cell[rows]
        same = _weekday_of(log.day[rows]) == day.weekday()
        total, ours = (
            np.bincount(at[which], minlength=shape[0] * shape[1]).reshape(shape)
            for which in (np.ones(len(rows), bool), same)
        )
        city = (self.weekday.mean(axis=1)[:, day.weekday()] / WEEK)[:, None]
        habit = (ours + PLACE * city) / (total + PLACE) / city
        return np.asarray(self.of(day)[:, :, None] * habit[:, None, :])

    def to_text(self) -> str:
        """JSON."""
        return json.dumps(
            {
                "weekday": self.weekday.tolist(),
                "kind": self.kind.tolist(),
                "country": self.calendar.country,
                "subdivision": self.calendar.subdivision,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> "DayProfile":
        """Read `to_text` back."""
        given: Mapping[str, Any] = json.loads(text)
        return cls(
            np.asarray(given["weekday"], np.float64),
            np.asarray(given["kind"], np.float64),
            Calendar(given["country"], given["subdivision"]),
        )


def _daily(log: Log, first: int, days: int) -> Floats:
    """City-wide incidents, shape (categories, shifts, days)."""
    rows = slice(*np.searchsorted(log.day, [first, first + days]))
    at = log.kind[rows].astype(np.int64) * days + (log.day[rows] - first)
    found = np.bincount(at, minlength=log.kinds * days).astype(np.float64)
    return found.reshape(len(log.categories), len(log.shifts), days)


def _alike(counts: Floats, seen: NDArray[np.int64]) -> Floats:
    """What each would be if all days were alike."""
    return np.asarray(counts.sum(axis=-1, keepdims=True) * seen / max(int(seen.sum()), 1))


def _shrunk(counts: Floats, expected: Floats, prior: float) -> Floats:
    return np.asarray((counts + prior) / (expected + prior))


def _kinds(
    daily: Floats, ratio: Floats, weekday: NDArray[np.int64], kinds: NDArray[np.int64]
) -> Floats:
    """Ratio of each kind of day, all shifts together, to what its weekday promises."""
    level = daily[..., kinds == 0].mean(axis=-1, keepdims=True) if (kinds == 0).any() else 0.0
    promised = (level * ratio[:, :, weekday]).sum(axis=1)
    came = daily.sum(axis=1)
    found = np.ones((len(daily), len(DAY_KINDS)))
    for kind in range(1, len(DAY_KINDS)):
        chosen = kinds == kind
        found[:, kind] = _shrunk(
            came[:, chosen].sum(axis=-1), promised[:, chosen].sum(axis=-1), CITY
        )
    return found


def _weekdays(first: int, days: int) -> NDArray[np.int64]:
    return _weekday_of(np.arange(first, first + days))


def _weekday_of(day: NDArray[Any]) -> NDArray[np.int64]:
    """Monday is 0; the first of January 1970 was a Thursday."""
    return np.asarray((day + 3) % WEEK, np.int64)


assert Shifts.date_of(0).weekday() == 3  # noqa: S101 - what `_weekday_of` relies on
