"""The city's clock: local hour and weekday of UTC microseconds, alike for one moment and many."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DAY_US",
    "EPOCH_WEEKDAY",
    "HOUR_US",
    "QUARTER_US",
    "local_hours",
    "local_weekdays",
    "offset_us",
]

QUARTER_US = 15 * 60 * 1_000_000
"""Zones change their offset on quarters of an hour (all do since 1972: IANA tz database)."""
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


@lru_cache(maxsize=1 << 16)
def offset_us(zone: str, quarter: int) -> int:
    """Offset from UTC, in microseconds, during a quarter of an hour counted from the epoch."""
    moment = datetime.fromtimestamp(quarter * QUARTER_US // 1_000_000, UTC)
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds() * 1_000_000) if offset is not None else 0


def _local(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    quarters, place = np.unique(moments // QUARTER_US, return_inverse=True)
    offsets = np.array([offset_us(zone, int(quarter)) for quarter in quarters], dtype=np.int64)
    return moments + offsets[place] if len(offsets) else moments


def local_hours(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Hour of the day, 0-23, of UTC microseconds.

    Examples
    --------
    >>> local_hours(np.array([0]), "Asia/Shanghai")
    array([8])
    """
    return _local(moments, zone) % DAY_US // HOUR_US


def local_weekdays(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Day of the week, 0 Monday to 6 Sunday.

    Examples
    --------
    >>> local_weekdays(np.array([0]), "Asia/Shanghai")
    array([3])
    """
    return (_local(moments, zone) // DAY_US + EPOCH_WEEKDAY) % 7
