"""What fraudsters make each citizen do if nobody warns him: how far it is, what he pays when."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.simulator.city import DAY
from data.simulator.rows import KINDS
from data.simulator.simulation import Simulation

__all__ = ["Swindles", "swindles"]

FEN = 100
LASTS = 7 * DAY  # after so long without a word from the fraudsters it is over (assumed)


@dataclass(frozen=True)
class Swindles:
    """The plot as its victims live it, by subscriber (position in the population).

    Parameters
    ----------
    touched : mapping of subscriber to list of (moment, stage)
        Every event in which fraudsters have their hand, in order (UTC microseconds).
    paid : mapping of subscriber to list of (moment, yuan)
        Payments to them, in order.
    """

    touched: Mapping[int, list[tuple[int, str]]]
    paid: Mapping[int, list[tuple[int, float]]]

    def stage(self, subscriber: int, at: int) -> str | None:
        """How far it is with a citizen; None where no fraudster has a hand just now."""
        events = self.touched.get(subscriber, [])
        place = bisect_right(events, at, key=lambda event: event[0])
        if place == 0 or events[place - 1][0] < at - LASTS:
            return None
        return events[place - 1][1]

    def payments(self, subscriber: int) -> list[tuple[int, float]]:
        """Moments and yuan, in order; none for most."""
        return self.paid.get(subscriber, [])


def swindles(town: Simulation) -> Swindles:
    """Read the plot of a city.

    Examples
    --------
    >>> from data.simulator import City, simulate
    >>> found = swindles(simulate(City(subscribers=2_000, days=5, staged=0)))
    >>> 0 < len(found.paid) < len(found.touched)
    True
    """
    rows, stage = town.plot.rows, town.plot.truth["stage"].to_pylist()
    mine = rows.where(np.flatnonzero(rows["touch"] == 1))
    order = np.argsort(mine["occurred"], kind="stable")
    pays = mine["kind"] == KINDS.index("transfer")
    touched: dict[int, list[tuple[int, str]]] = {}
    paid: dict[int, list[tuple[int, float]]] = {}
    for at in order.tolist():
        touched.setdefault(_one(mine["subscriber"], at), []).append(
            (_one(mine["occurred"], at), stage[at])
        )
    for at in order[pays[order]].tolist():
        paid.setdefault(_one(mine["subscriber"], at), []).append(
            (_one(mine["occurred"], at), _one(mine["amount"], at) / FEN)
        )
    return Swindles(touched, paid)


def _one(column: NDArray[np.int64], at: int) -> int:
    return int(column[at])
