"""Days of arrival: everyday life, honest scripts and the plot, merged in order of arrival."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from data.simulator.arrivals import arrive
from data.simulator.campaigns import BLOCK_DAYS, LEAD_IN_DAYS, lookalikes
from data.simulator.city import DAY, OFFSET, Population
from data.simulator.routine import everyday
from data.simulator.rows import Rows, arrival_order, numbers

__all__ = ["days_of_arrival"]

BLOCKS = 1 << 61  # event numbers of blocks lie above, those of everyday life below


@dataclass
class _Feed:
    """What happened up to a calendar day and is not yet known."""

    people: Population
    day: int  # the next calendar day to live through, counted since 1970
    block: int
    held: list[Rows] = field(default_factory=list)

    def until(self, moment: int) -> None:
        """Live through every day that begins before `moment` (microseconds)."""
        while self.day * DAY - OFFSET < moment:
            while self.block <= self.day // BLOCK_DAYS:
                self.held.append(_block(self.people, self.block))
                self.block += 1
            self.held.append(_everyday(self.people, self.day))
            self.day += 1

    def known(self, low: int, high: int) -> Rows:
        """Hand out what was known from `low` to before `high`; keep the rest."""
        pending = Rows.joined(self.held)
        due = pending["known"] < high
        self.held = [pending.where(np.flatnonzero(~due))]
        return pending.where(np.flatnonzero(due & (pending["known"] >= low)))


def days_of_arrival(people: Population, plot: Rows, begin: int, end: int) -> Iterator[Rows]:
    """Yield what is known from `begin` to before `end` (microseconds), 24 hours at a time.

    Only what one day holds and what is still on its way is in memory.
    """
    first = (begin + OFFSET) // DAY
    feed = _Feed(people, first - 1, (first - LEAD_IN_DAYS) // BLOCK_DAYS)
    for low in range(begin, end, DAY):
        high = min(low + DAY, end)
        feed.until(high)
        cut = np.arange(*np.searchsorted(plot["known"], [low, high]))
        rows = Rows.joined([feed.known(low, high), plot.where(cut)])
        yield rows.where(arrival_order(rows))


def _everyday(people: Population, day: int) -> Rows:
    city = people.city
    rows = arrive(everyday(people, day * DAY - OFFSET), city.seed, city.random(10, day))
    return rows.replaced(number=numbers((day << 40) + np.arange(len(rows)), city.seed))


def _block(people: Population, block: int) -> Rows:
    city = people.city
    rows = arrive(lookalikes(people, block), city.seed, city.random(12, block))
    return rows.replaced(number=numbers(BLOCKS + (block << 40) + np.arange(len(rows)), city.seed))
