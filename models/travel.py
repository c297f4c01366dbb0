"""How long a unit is on its way: straight lines made longer, at one speed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DETOUR", "PlanError", "Travel"]

# Roads over straight lines: about 1.2 inside a town (Newell 1980), 1.34 to the centres of 300
# European cities (doi 10.1177/23998083231168870). 1.3 lies between; a city's own roads are better.
DETOUR = 1.3
FASTEST_KMH = 200.0


class PlanError(ValueError):
    """A plan was asked for that nobody could carry out; the message says how to mend it."""


@dataclass(frozen=True)
class Travel:
    """Speed and detour.

    Parameters
    ----------
    speed_kmh : float
        Kilometres per hour along the road, all stops and lights included.
    detour : float
        Road over straight line, 1 or more.

    Examples
    --------
    >>> Travel(36).seconds(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [300.0, 400.0]])).tolist()
    [[0, 65]]
    >>> round(Travel(36).reach_m(5))
    2308
    """

    speed_kmh: float
    detour: float = DETOUR

    def __post_init__(self) -> None:
        if not 0 < self.speed_kmh <= FASTEST_KMH:
            raise PlanError(
                f"expected a speed above 0 and up to {FASTEST_KMH:g} km/h, found "
                f"{self.speed_kmh}; 25 is usual for a car in a city, 4 on foot"
            )
        if not 1 <= self.detour < np.inf:
            raise PlanError(
                f"expected a detour of 1 or more, found {self.detour}; {DETOUR} is usual"
            )

    def seconds(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.int64]:
        """Whole seconds, rounded up, from each of (n, 2) to each of (m, 2) metres; shape (n, m)."""
        east = np.subtract.outer(start[:, 0], end[:, 0])
        north = np.subtract.outer(start[:, 1], end[:, 1])
        road = np.hypot(east, north) * self.detour
        return np.ceil(road * 3.6 / self.speed_kmh).astype(np.int64)

    def reach_m(self, minutes: float) -> float:
        """How far in a straight line a unit gets, metres."""
        return self.speed_kmh / 3.6 * minutes * 60 / self.detour
