"""A simulated city's history: event tables by day, and the ground truth apart from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.simulator.city import DAY, City, Population, populate
from data.simulator.days import days_of_arrival
from data.simulator.plot import Plot, plot
from data.simulator.rows import Rows, as_table

__all__ = ["Simulation", "simulate"]


@dataclass(frozen=True)
class Simulation:
    """One simulated city.

    Examples
    --------
    >>> small = simulate(City(subscribers=300, days=2, staged=0))
    >>> [table.num_rows > 300 for table in small.batches()]
    [True, True]
    >>> small.truth.column_names
    ['event_id', 'campaign', 'scam_type', 'stage', 'victim', 'episode', 'known_at']
    """

    city: City

    @cached_property
    def people(self) -> Population:
        """The subscribers."""
        return populate(self.city)

    @property
    def citizens(self) -> pa.Table:
        """Who the subscribers are (raw numbers; for fairness reports only)."""
        return self.people.citizens()

    @cached_property
    def plot(self) -> Plot:
        """Everything scripted, which is planned before the first day."""
        return plot(self.people)

    @property
    def truth(self) -> pa.Table:
        """Every event of the history in which fraudsters have their hand.

        Columns: event_id, campaign, scam_type, stage, victim (whether the subscriber pays in the
        end; who hangs up or wavers is approached, not a victim), episode, known_at.
        """
        known = self.plot.truth["known_at"]
        inside = pc.and_(pc.greater_equal(known, self.city.start), pc.less(known, self.city.end))
        return self.plot.truth.filter(inside)

    @property
    def truth_ahead(self) -> pa.Table:
        """The same for events that only the stream will bring."""
        return self.plot.truth.filter(pc.greater_equal(self.plot.truth["known_at"], self.city.end))

    def batches(self) -> Iterator[pa.Table]:
        """Yield the history, one table of raw identifiers per day of arrival.

        Days are 24 hours from the history's start. Rows are in order of arrival and numbered by
        `seq`; nothing tells fraud from the rest. Memory holds one day, however long the history.
        """
        seq = 0
        for rows in self._known(self.city.start_us, self.city.end_us):
            table = as_table(rows, seq)
            seq += table.num_rows
            yield table

    def ahead(self) -> Iterator[Rows]:
        """Yield rows known after the history's end, day by day, for the stream."""
        return self._known(self.city.end_us, self.city.end_us + self.city.ahead_days * DAY)

    def _known(self, begin: int, end: int) -> Iterator[Rows]:
        return days_of_arrival(self.people, self.plot.rows, begin, end)

    def write_truth(self, folder: Path) -> None:
        """Write `truth.parquet` and `citizens.parquet`, never beside the history."""
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.truth, folder / "truth.parquet")
        pq.write_table(self.citizens, folder / "citizens.parquet")


def simulate(city: City) -> Simulation:
    """Prepare a city; nothing is drawn until asked for."""
    return Simulation(city)
