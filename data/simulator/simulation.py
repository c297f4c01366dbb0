"""A simulated city's history: event tables by day, and the ground truth apart from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.simulator.arrivals import arrive
from data.simulator.campaigns import affairs
from data.simulator.city import DAY, OFFSET, City, Population, populate
from data.simulator.identifiers import mix
from data.simulator.reports import file_reports, raise_leads
from data.simulator.routine import everyday
from data.simulator.rows import KINDS, SCAMS, Rows, arrival_order, as_table, event_ids
from data.tables import TIME

__all__ = ["STAGES", "Simulation", "simulate"]

Ints = NDArray[np.int64]
STAGES = ("contact", "engaged", "paying")
SCRIPTED = 1 << 62  # event numbers of scripts, reports and leads lie above, everyday ones below
LONG_CALL_S = 600


@dataclass(frozen=True, eq=False)
class Plot:
    """All scripted rows with their final numbers and arrival times, and what they mean.

    `episode`, `group`, `depth` and `scam` hold a position per episode of fraud, sorted.
    """

    rows: Rows
    episode: Ints
    group: Ints
    depth: Ints
    scam: Ints

    @property
    def victims(self) -> Ints:
        """Episodes in which somebody pays."""
        return np.asarray(self.episode[self.depth == 2])

    def scam_of(self, episodes: Ints) -> Ints:
        """Code of the official type of episodes of fraud."""
        return self.scam[np.searchsorted(self.episode, episodes)]

    @cached_property
    def truth(self) -> pa.Table:
        """Every event in which fraudsters have their hand."""
        touched = self.rows.where(np.flatnonzero(self.rows["touch"] == 1))
        at = np.searchsorted(self.episode, touched["episode"])
        return pa.table(
            {
                "event_id": event_ids(touched["number"]),
                "campaign": pa.array(self.group[at]),
                "scam_type": pa.array(np.array(SCAMS)[self.scam[at]], pa.string()),
                "stage": pa.array(np.array(STAGES)[_stages(touched)], pa.string()),
                "victim": pa.array(self.depth[at] == 2),
                "episode": pa.array(touched["episode"]),
                "known_at": pa.array(touched["known"]).cast(TIME),
            }
        )


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
        return _plot(self.people)

    @property
    def truth(self) -> pa.Table:
        """Every event of the history in which fraudsters have their hand."""
        known = self.plot.truth["known_at"].cast(pa.int64()).to_numpy()
        inside = (known >= self.city.start_us) & (known < self.city.end_us)
        return self.plot.truth.filter(pa.array(inside))

    @property
    def truth_ahead(self) -> pa.Table:
        """The same for events that only the stream will bring."""
        known = self.plot.truth["known_at"].cast(pa.int64()).to_numpy()
        return self.plot.truth.filter(pa.array(known >= self.city.end_us))

    def batches(self) -> Iterator[pa.Table]:
        """Yield the history, one table of raw identifiers per day of arrival.

        Days are 24 hours from the history's start. Rows are in order of arrival and numbered by
        `seq`; nothing tells fraud from the rest. Memory holds one day, however long the history.
        """
        seq = 0
        for rows in self._days(self.city.start_us, self.city.end_us):
            table = as_table(rows, seq)
            seq += table.num_rows
            yield table

    def ahead(self) -> Iterator[Rows]:
        """Yield rows known after the history's end, day by day, for the stream."""
        return self._days(self.city.end_us, self.city.end_us + self.city.ahead_days * DAY)

    def _days(self, begin: int, end: int) -> Iterator[Rows]:
        """Walk calendar days, hold back what arrives later, cut at 24-hour marks from `begin`."""
        plot = self.plot.rows
        held: list[Rows] = []
        midnight = (begin + OFFSET) // DAY * DAY - OFFSET - DAY
        for low in range(begin, end, DAY):
            high = min(low + DAY, end)
            while midnight < high:
                held.append(_everyday(self.people, midnight))
                midnight += DAY
            cut = slice(*np.searchsorted(plot["known"], [low, high]))
            pending = Rows.joined(held)
            due = pending["known"] < high
            mine = due & (pending["known"] >= low)
            rows = Rows.joined([pending.where(np.flatnonzero(mine)), _sliced(plot, cut)])
            held = [pending.where(np.flatnonzero(~due))]
            yield rows.where(arrival_order(rows))

    def write_truth(self, folder: Path) -> None:
        """Write `truth.parquet` and `citizens.parquet`, never beside the history."""
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.truth, folder / "truth.parquet")
        pq.write_table(self.citizens, folder / "citizens.parquet")


def simulate(city: City) -> Simulation:
    """Prepare a city; nothing is drawn until asked for."""
    return Simulation(city)


def _sliced(rows: Rows, cut: slice) -> Rows:
    return Rows({name: column[cut] for name, column in rows.columns.items()}, rows.named)


def _everyday(people: Population, midnight: int) -> Rows:
    rows = everyday(people, midnight)
    day = (midnight + OFFSET) // DAY
    rows = arrive(rows, people.city.seed, people.city.random(10, int(day)))
    number = (day << 40) + np.arange(len(rows))
    return rows.replaced(number=_numbers(number, people.city.seed))


def _numbers(counter: Ints, seed: int) -> Ints:
    """Scramble distinct counters into distinct 64-bit numbers that show no order."""
    key = mix(np.uint64(seed))
    return mix(counter.astype(np.uint64) ^ key).view(np.int64)


def _plot(people: Population) -> Plot:
    city = people.city
    played = list(affairs(people))
    reports = file_reports(people, played)
    others = Rows.joined([raise_leads(people, played), *(affair.rows for affair in played)])
    others = arrive(others, city.seed, city.random(11))
    others = others.where(np.flatnonzero(others["occurred"] >= city.start_us))
    reports = reports.where(np.flatnonzero(reports["first_contact"] >= city.start_us))
    rows = _numbered(Rows.joined([others, reports]), city.seed)
    rows = rows.where(arrival_order(rows))
    frauds = [affair for affair in played if affair.fraud]
    episode = np.concatenate([affair.cast.episode for affair in frauds])
    order = np.argsort(episode)
    return Plot(
        rows,
        episode[order],
        np.concatenate([affair.cast.group for affair in frauds])[order],
        np.concatenate([affair.cast.depth for affair in frauds])[order],
        np.concatenate([np.full(len(affair.cast), affair.scam) for affair in frauds])[order],
    )


def _numbered(rows: Rows, seed: int) -> Rows:
    number = _numbers(SCRIPTED + np.arange(len(rows)), seed)
    reports = np.flatnonzero(rows["kind"] == KINDS.index("report"))
    named = {int(number[at]): rows.named[int(rows["number"][at])] for at in reports}
    return Rows({**rows.columns, "number": number}, named)


def _stages(rows: Rows) -> Ints:
    """Stage at each event: paying from the first payment on, engaged after a long call, a call
    back, an app or two earlier touches, else contact (the rule by which labels are made)."""  # noqa: D205, D209
    order = np.lexsort((rows["occurred"], rows["episode"]))
    mine = rows.where(order)
    first = np.flatnonzero(np.diff(mine["episode"], prepend=-1))
    size = np.diff(np.append(first, len(mine)))
    turn = np.arange(len(mine)) - np.repeat(first, size)
    strong = (mine["duration"] >= LONG_CALL_S) & (mine["kind"] == KINDS.index("call"))
    strong |= (mine["direction"] == 1) | (mine["action"] == 0)
    engaged = (turn >= 2) | _ever(strong, first, size)
    paying = _ever(mine["amount"] > 0, first, size)
    found = np.empty(len(mine), dtype=np.int64)
    found[order] = np.where(paying, 2, np.where(engaged, 1, 0))
    return found


def _ever(flags: NDArray[np.bool_], first: Ints, size: Ints) -> NDArray[np.bool_]:
    """Whether a flag was up at or before each row of its episode."""
    total = np.cumsum(flags)
    before = total[first] - flags[first] if len(first) else total
    return np.asarray(total - np.repeat(before, size) > 0, dtype=bool)
