"""A day's shifts: which shift of which day a moment falls in, by the city's own clock."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Shifts"]

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Shifts:
    """Hours at which shifts begin, local time; the last runs into the next morning.

    Parameters
    ----------
    starts : tuple of int
        Hours from 0 to 23, ascending.
    zone : str
        IANA name of the city's time zone.

    Examples
    --------
    >>> shifts = Shifts((6, 14, 22), "Asia/Shanghai")
    >>> shifts.names
    ('06-14', '14-22', '22-06')
    >>> day, shift = shifts.of(pd.DatetimeIndex(["2026-03-01T18:30:00Z"]))  # 02:30 on March 2
    >>> Shifts.date_of(int(day[0])).isoformat(), int(shift[0])
    ('2026-03-01', 2)
    """

    starts: tuple[int, ...] = (0, 8, 16)
    zone: str = "Asia/Shanghai"

    def __post_init__(self) -> None:
        good = all(0 <= hour <= 23 for hour in self.starts) and len(self.starts) >= 1
        if not good or list(self.starts) != sorted(set(self.starts)):
            raise ValueError(
                f"expected hours from 0 to 23 in ascending order, found {self.starts}; "
                "write for example (0, 8, 16)"
            )

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def names(self) -> tuple[str, ...]:
        """``06-14`` and so on."""
        ends = (*self.starts[1:], self.starts[0])
        return tuple(
            f"{start:02d}-{end or 24:02d}" for start, end in zip(self.starts, ends, strict=True)
        )

    def of(self, moments: pd.DatetimeIndex) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Day (days since 1970, of the shift's begin) and position of the shift of each moment.

        Parameters
        ----------
        moments : DatetimeIndex, shape (n,)
            Aware.
        """
        local = moments.tz_convert(self.zone).tz_localize(None)
        moved = local - pd.Timedelta(hours=self.starts[0])
        day = moved.to_numpy("datetime64[D]").astype(np.int64)
        hour = local.hour.to_numpy()
        at = np.searchsorted(np.asarray(self.starts), hour, side="right") - 1
        return day, np.where(at < 0, len(self) - 1, at).astype(np.int64)

    def begin(self, day: date, shift: int = 0) -> datetime:
        """When a shift begins, aware."""
        hour = self.starts[shift]
        return datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(self.zone))

    def hours(self, shift: int) -> int:
        """Length of a shift in hours, daylight saving aside."""
        return (self.starts[(shift + 1) % len(self)] - self.starts[shift] - 1) % 24 + 1

    @staticmethod
    def number_of(day: date) -> int:
        """Days since 1970."""
        return (day - EPOCH).days

    @staticmethod
    def date_of(number: int) -> date:
        """The date of a number of days since 1970."""
        return EPOCH + timedelta(days=number)
