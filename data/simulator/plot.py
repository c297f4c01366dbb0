"""The plot: every fraud, report and lead of the period, and what is true about them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.simulator.arrivals import arrive
from data.simulator.campaigns import frauds
from data.simulator.city import Population
from data.simulator.reports import file_reports, raise_leads
from data.simulator.rows import KINDS, SCAMS, Rows, arrival_order, event_ids, numbers
from data.tables import TIME

__all__ = ["STAGES", "Plot", "plot"]

Ints = NDArray[np.int64]
STAGES = ("contact", "engaged", "paying")
LONG_CALL_S = 600
PLOT = 1 << 62  # event numbers of the plot lie above, those of days and blocks below


@dataclass(frozen=True, eq=False)
class Plot:
    """All scripted rows with their final numbers and arrival times, and what they mean.

    `episode`, `start`, `group`, `depth` and `scam` hold a position per episode of fraud, sorted by
    the first of them.
    """

    rows: Rows
    episode: Ints
    start: Ints
    group: Ints
    depth: Ints
    scam: Ints

    @property
    def victims(self) -> Ints:
        """Episodes in which somebody pays."""
        return np.asarray(self.episode[self.depth == 2])

    def begun(self, begin: int, end: int) -> Ints:
        """Victims' episodes that begin between two moments (microseconds)."""
        inside = (self.start >= begin) & (self.start < end)
        return np.asarray(self.episode[inside & (self.depth == 2)])

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


def plot(people: Population) -> Plot:
    """Plan and play every fraud of a city."""
    city = people.city
    played = list(frauds(people))
    reports = file_reports(people, played)
    others = Rows.joined([raise_leads(people, played), *(affair.rows for affair in played)])
    others = arrive(others, city.seed, city.random(11))
    others = others.where(np.flatnonzero(others["occurred"] >= city.start_us))
    rows = _numbered(Rows.joined([others, reports]), city.seed)
    rows = rows.where(arrival_order(rows))
    episode = np.concatenate([affair.cast.episode for affair in played])
    order = np.argsort(episode)
    return Plot(
        rows,
        episode[order],
        np.concatenate([affair.cast.start for affair in played])[order],
        np.concatenate([affair.cast.group for affair in played])[order],
        np.concatenate([affair.cast.depth for affair in played])[order],
        np.concatenate([np.full(len(affair.cast), affair.scam) for affair in played])[order],
    )


def _numbered(rows: Rows, seed: int) -> Rows:
    number = numbers(PLOT + np.arange(len(rows)), seed)
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
