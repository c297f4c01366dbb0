"""When we learn of things: seconds for most, hours for some, in bursts after an outage."""

import numpy as np
from numpy.typing import NDArray

from data.simulator.identifiers import unit
from data.simulator.rows import SOURCES, Rows

__all__ = ["arrive"]

SECOND = 1_000_000
HOUR = 3600 * SECOND
# median seconds until a source's record is here (assumed), by SOURCES
MEDIAN_S = np.array([6.0, 25.0, 2.0, 2.0, 5.0, 5.0, 5.0])
SLOW = 0.02  # share that comes by a slow path, minutes to hours
OUTAGE = 0.004  # share of hours in which a source is silent and catches up afterwards


def arrive(rows: Rows, seed: int, rng: np.random.Generator) -> Rows:
    """Stamp `known`, the same way for every event of a source, fraudulent or not.

    A call's ``occurred_at`` is when it ended: the record is written then.
    """
    source = rows["source"].astype(np.int64)
    size = len(rows)
    delay = MEDIAN_S[source] * np.exp(0.8 * rng.standard_normal(size))
    slow = rng.random(size) < SLOW
    delay[slow] = 1800.0 * np.exp(1.3 * rng.standard_normal(int(slow.sum())))
    known = rows["occurred"] + (delay * SECOND).astype(np.int64)
    return rows.replaced(known=_after_outage(known, source, seed))


def _after_outage(
    known: NDArray[np.int64], source: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    feeds = source < SOURCES.index("police")
    hour = known // HOUR
    silent = feeds & (unit(seed, 21, source, hour) < OUTAGE)
    burst = (hour + 1) * HOUR + known % HOUR // 60  # an hour's records arrive within a minute
    return np.asarray(np.where(silent, burst, known), dtype=np.int64)
