"""The stream: the same city goes on after its history's end, fast-forward.

A moment t after the end becomes ``epoch + (t - end) / speed`` on the wall clock, where `epoch` is
when the stream began; moments inside the history stay what they were. So nothing lies in the
future, order is kept, and delays shrink by the same factor. At the end a number of victims
(`City.staged`) have been contacted and hooked within the history and pay next, one after the
other: with the default speed the first pays three seconds after the stream's begin, a dozen more
every seven and a half, the rest every half minute.

Everyday events are thinned to a share (`ordinary`), so that a fast clock does not make everybody
look hectic.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from data.events import EVENT_TYPES
from data.simulator.city import SECOND, City
from data.simulator.identifiers import hashed
from data.simulator.rows import KINDS, Rows, as_table
from data.simulator.simulation import Simulation, simulate

__all__ = ["DEFAULT_SPEED", "Due", "live", "schedule"]

DEFAULT_SPEED = 20.0
DEFAULT_ORDINARY = 0.25
REPORT, LEAD = KINDS.index("report"), KINDS.index("lead")


@dataclass(frozen=True)
class Due:
    """An event and the seconds after the stream's begin at which to send it."""

    after_s: float
    row: dict[str, Any]
    end: datetime
    speed: float

    def stamped(self, epoch: datetime) -> dict[str, Any]:
        """Return the event as JSON-able fields, as of a stream begun at `epoch`."""
        return {name: self._plain(value, epoch) for name, value in self.row.items()}

    def _plain(self, value: Any, epoch: datetime) -> Any:
        if isinstance(value, datetime):
            moment = value
            if value > self.end:
                moment = epoch + (value - self.end) / self.speed
            return moment.isoformat()
        return value


def schedule(
    city: City | Simulation, speed: float = DEFAULT_SPEED, ordinary: float = DEFAULT_ORDINARY
) -> Iterator[Due]:
    """Yield what the stream brings, in order of arrival, each with the moment it is due.

    Parameters
    ----------
    city : City or Simulation
        The city; pass the simulation whose history you stored to spare its preparation.
    speed : float
        Simulated seconds per second.
    ordinary : float
        Share of everyday events kept.
    """
    if not speed > 0:
        raise ValueError(f"speed: expected more than 0, found {speed}; pass e.g. {DEFAULT_SPEED}")
    town = city if isinstance(city, Simulation) else simulate(city)
    for rows in town.ahead():
        kept = rows.where(np.flatnonzero(_kept(rows, ordinary)))
        yield from _due(kept, town.city, speed)


def _kept(rows: Rows, ordinary: float) -> Any:
    scripted = (rows["episode"] != -1) | np.isin(rows["kind"], (REPORT, LEAD))
    return scripted | (hashed(91, rows["number"]) % np.uint64(10_000) < ordinary * 10_000)


def _due(rows: Rows, city: City, speed: float) -> Iterator[Due]:
    for low in range(0, len(rows), 1000):
        part = rows.where(np.arange(low, min(low + 1000, len(rows))))
        moments = (part["known"] - city.end_us) / SECOND / speed
        for after_s, row in zip(moments.tolist(), as_table(part, 0).to_pylist(), strict=True):
            fields = EVENT_TYPES[row["kind"]].model_fields
            event = {k: v for k, v in row.items() if v is not None and k in fields}
            yield Due(after_s, event, city.end, speed)


def live(
    city: City | Simulation,
    speed: float = DEFAULT_SPEED,
    *,
    ordinary: float = DEFAULT_ORDINARY,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Yield events as JSON-able fields, each when it is due on the wall clock.

    The stream's epoch is the clock at the first event asked for. A consumer that lags gets the
    events it owes at once, with their own times.
    """
    epoch = clock()
    began = datetime.fromtimestamp(epoch, UTC)
    for due in schedule(city, speed, ordinary):
        wait = due.after_s - (clock() - epoch)
        if wait > 0:
            sleep(wait)
        yield due.stamped(began)
