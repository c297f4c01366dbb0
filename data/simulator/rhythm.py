"""When things happen: by hour of the day and by day of the week (assumed shapes)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["PROFILES", "WEEKEND", "moments", "waking"]

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
OFFSET = 8 * HOUR
STEPS = 4096

# weight of each hour, 0 to 23, in the city's zone
PROFILES: dict[str, tuple[float, ...]] = {
    "social": (2, 1, 0.5, 0.3, 0.3, 0.6, 2, 4, 6, 7, 7, 7, 7, 5, 5, 5, 6, 7, 9, 10, 10, 9, 6, 4),
    "office": (0, 0, 0, 0, 0, 0, 0.2, 1, 5, 12, 13, 11, 5, 4, 9, 11, 11, 8, 3, 2, 1.5, 0.8, 0.2, 0),
    "courier": (0, 0, 0, 0, 0, 0.2, 1, 3, 7, 11, 12, 11, 8, 6, 8, 9, 9, 9, 8, 6, 3, 1, 0.3, 0.1),
    "online": (4, 2, 1, 0.6, 0.5, 0.6, 2, 4, 5, 5, 5, 5, 7, 6, 5, 5, 5, 6, 7, 8, 10, 11, 10, 7),
    "shops": (1, 0.5, 0.2, 0.2, 0.2, 0.5, 3, 7, 7, 5, 5, 8, 10, 6, 4, 4, 5, 7, 10, 9, 7, 5, 3, 1.5),
}
# weekend against a working day
WEEKEND: dict[str, float] = {
    "social": 1.15, "office": 0.25, "courier": 0.9, "online": 1.15, "shops": 1.25,
}  # fmt: skip


def _quantiles(weights: tuple[float, ...]) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(weights)])
    levels = np.linspace(0, 1, STEPS + 1)
    return np.asarray(np.interp(levels, total / total[-1], np.arange(25.0)))


QUANTILES = {name: _quantiles(weights) for name, weights in PROFILES.items()}


def moments(
    midnight: int | NDArray[np.int64], size: int, profile: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw moments of the day that begins at `midnight` (microseconds, UTC)."""
    place = rng.random(size) * STEPS
    low = place.astype(np.int64)
    table = QUANTILES[profile]
    hours = table[low] + (table[low + 1] - table[low]) * (place - low)
    return np.asarray(midnight + (hours * HOUR).astype(np.int64), dtype=np.int64)


def waking(times: NDArray[np.int64], rises: NDArray[np.float64]) -> NDArray[np.int64]:
    """Move what would fall between 23:30 and `rises` (hours) to shortly after rising.

    Later stays later only on average: sleepers answer their morning's messages in any order.
    """
    local = (times + OFFSET) % DAY
    asleep = (local < rises * HOUR) | (local > 23.5 * HOUR)
    night = np.where(local > 12 * HOUR, DAY, 0)
    morning = times - local + night + (rises * HOUR).astype(np.int64)
    late = (local + DAY // 48) % DAY  # minutes since 23:30
    return np.asarray(np.where(asleep, morning + late // 8, times), dtype=np.int64)
