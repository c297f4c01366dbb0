"""What a patrol plan is made from: the stations, the time there is, and what is known of each cell.

References
----------
Koper, "Just enough police presence: reducing crime and disorderly behavior by optimizing patrol
time in crime hot spots", Justice Quarterly 12, 1995, 649-672.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.grid import Grid
from models.travel import DETOUR, PlanError, Travel

__all__ = ["Cells", "Constraints", "Station"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DOSE_MINUTES = (10.0, 16.0)  # Koper 1995, as DOMAIN.md section 4 gives it
AROUND = [(east, north) for east in (-1, 0, 1) for north in (-1, 0, 1) if (east, north) != (0, 0)]


@dataclass(frozen=True)
class Station:
    """Where units start, and how many there are in this shift."""

    name: str
    lon: float
    lat: float
    units: int = 1


@dataclass(frozen=True)
class Constraints:
    """What a shift's patrols may spend.

    Parameters
    ----------
    stations : tuple of Station
        Where units start, and how many.
    shift_minutes : float
        Minutes each unit has, travel included.
    officer_minutes : float, optional
        Officer-minutes all units have together; by default every unit's whole shift.
    officers_per_unit : int
        Two by default (assumed).
    stop_minutes : float
        10 to 16: shorter stops deter little, longer ones no more.
    max_stops_per_unit : int
    speed_kmh, detour : float
        See `Travel`; 25 km/h is assumed of a car in city traffic.
    visit_cap : int
        Visits a cell may have in a period, those already made and this one together.
    cap_period : {"day", "week"}
        The period that `Cells.visits` counts.
    return_to_station : bool
        Whether the way back must fit into the shift.

    Raises
    ------
    PlanError
        If nobody could carry out a plan under them.

    Examples
    --------
    >>> Constraints((Station("解放碑派出所", 106.57, 29.56, units=2),), stop_minutes=30)
    Traceback (most recent call last):
        ...
    models.travel.PlanError: expected stops of 10 to 16 minutes (Koper 1995), found 30; 15 is usual
    """

    stations: tuple[Station, ...]
    shift_minutes: float = 480.0
    officer_minutes: float | None = None
    officers_per_unit: int = 2
    stop_minutes: float = 15.0
    max_stops_per_unit: int = 20
    speed_kmh: float = 25.0
    detour: float = DETOUR
    visit_cap: int = 7
    cap_period: Literal["day", "week"] = "week"
    return_to_station: bool = True

    def __post_init__(self) -> None:
        self._check_stations()
        least, most = DOSE_MINUTES
        if not least <= self.stop_minutes <= most:
            raise PlanError(
                f"expected stops of {least:g} to {most:g} minutes (Koper 1995), found "
                f"{self.stop_minutes:g}; 15 is usual"
            )
        if not self.stop_minutes <= self.shift_minutes <= 24 * 60:
            raise PlanError(
                f"expected a shift of at least one stop's {self.stop_minutes:g} minutes and at "
                f"most a day, found {self.shift_minutes:g}; 480 is usual"
            )
        self._check_counts()
        Travel(self.speed_kmh, self.detour)

    def _check_stations(self) -> None:
        if not any(station.units > 0 for station in self.stations):
            raise PlanError(
                f"expected at least one station with a unit, found {len(self.stations)} stations "
                "without; give each its units"
            )
        for station in self.stations:
            if not (abs(station.lon) <= 180 and abs(station.lat) <= 90 and station.units >= 0):
                raise PlanError(
                    f"expected a station with degrees and units of 0 or more, found {station}"
                )

    def _check_counts(self) -> None:
        least = {
            "officers_per_unit": self.officers_per_unit,
            "max_stops_per_unit": self.max_stops_per_unit,
            "visit_cap": self.visit_cap,
        }
        for name, found in least.items():
            if found < 1:
                raise PlanError(f"expected {name} of 1 or more, found {found}; raise it")
        needed = self.stop_minutes * self.officers_per_unit
        if self.officer_minutes is not None and not needed <= self.officer_minutes < np.inf:
            raise PlanError(
                f"expected officer minutes for at least one stop, {needed:g}, found "
                f"{self.officer_minutes:g}; give more or plan no patrol"
            )

    @property
    def travel(self) -> Travel:
        """Speed and detour."""
        return Travel(self.speed_kmh, self.detour)


@dataclass(frozen=True, eq=False)
class Cells:
    """What is known of each cell for one shift.

    Parameters
    ----------
    grid : Grid
        n cells.
    expected : float64 array (n,)
        Incidents expected in the shift, 0 or more.
    stable : bool array (n,)
        `MapCertificate.stable`.
    visits : int64 array (n,), optional
        Patrol stops already made in the cap's period; none by default.
    names : sequence of str, optional
        What officers call the cells; the grid's names by default.
    """

    grid: Grid
    expected: Floats
    stable: Bools
    visits: Ints | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.grid)
        for name in ("expected", "stable", "visits", "names"):
            found = getattr(self, name)
            if found is not None and len(found) != count:
                raise PlanError(
                    f"expected {name} for each of the grid's {count} cells, found {len(found)}; "
                    "use the grid that was forecast on"
                )
        if not (np.isfinite(self.expected) & (self.expected >= 0)).all():
            raise PlanError("expected finite counts of 0 or more, found others; forecast again")

    @cached_property
    def xy(self) -> Floats:
        """Metres of the centres, shape (n, 2)."""
        return np.stack(self.grid.centres_m(), axis=1)

    @cached_property
    def past(self) -> Ints:
        """Visits already made, shape (n,)."""
        return np.zeros(len(self.grid), np.int64) if self.visits is None else self.visits

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names, shape (n,)."""
        return tuple(self.grid.names()) if self.names is None else self.names

    @cached_property
    def neighbours(self) -> Ints:
        """Positions of the eight cells around each, -1 where none is, shape (n, 8)."""
        return np.stack([self.grid.neighbour(*step) for step in AROUND], axis=1)
