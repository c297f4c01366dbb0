"""What patrols come upon: unreported incidents, where and when somebody was there to see them.

This is the door by which a map can chase its own patrols: what is discovered depends on where
patrols were sent, not only on what happens.

References
----------
Ensign et al., "Runaway feedback loops in predictive policing", FAT* 2018.
Lum, Isaac, "To predict and serve?", Significance 13 (2016).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.incidents import Origin
from data.simulator.incident_process import MINUTE_US, Happenings

__all__ = ["VISIBLE", "discovered", "seen"]

Floats = NDArray[np.float64]
# Share of unreported incidents that somebody passing could notice, by category (assumed: a fight is
# seen and heard, most thefts are not).
VISIBLE = np.array([0.15, 0.50, 0.35])
# Minutes in a cell and shift after which 63 % of what could be noticed has been (assumed: two stops
# of 15 minutes, the longest that Koper 1995 found useful, notice about two in five).
NOTICE_MINUTES = 60.0
RECORDED_MINUTES = 10  # from the incident to the patrol's note (assumed)


def seen(minutes: Floats) -> Floats:
    """Chance that what can be noticed is, given the patrol minutes in its cell and shift.

    Examples
    --------
    >>> seen(np.array([0.0, 15.0, 30.0])).round(2).tolist()
    [0.0, 0.22, 0.39]
    """
    return -np.expm1(-np.asarray(minutes, np.float64) / NOTICE_MINUTES)


def discovered(
    happened: Happenings,
    minutes: Floats,
    starts: Sequence[int],
    rng: np.random.Generator,
    *,
    first: bool = False,
) -> pa.Table:
    """Incidents that patrols come upon, a table of `INCIDENT_SCHEMA`.

    Unreported ones, and with `first` also those that a citizen would have reported.

    Parameters
    ----------
    happened : Happenings
        The truth of the time in which patrols went so.
    minutes : float64 array, shape (shifts, cells)
        Patrol minutes in each cell in each day's shift.
    starts : sequence of int
        Hours at which shifts begin.
    rng : Generator
    first : bool
        Whether a patrol that is there is quicker than the citizen's call; it is for the caller to
        take what was found so out of the reports.

    Raises
    ------
    ValueError
        If `minutes` does not fit the shifts and cells.
    """
    shape = (len(starts), len(happened.places))
    if minutes.shape != shape or not (minutes >= 0).all():
        raise ValueError(
            f"expected patrol minutes of at least 0 in shape {shape}, found {minutes.shape}; "
            "pass one number for each shift and cell"
        )
    chance = VISIBLE[happened.category] * seen(minutes[happened.shift(starts), happened.cell])
    met = rng.random(len(happened)) < chance
    found = happened.take(met if first else met & ~happened.reported)
    return found.as_known(found.occurred_us + RECORDED_MINUTES * MINUTE_US, Origin.DISCOVERED)
