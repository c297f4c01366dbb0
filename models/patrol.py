"""The patrol plan: which places, in what order, for how long, within the officer-hours there are.

Places, never persons. A cell whose rank changes when the grid is moved is visited only along with a
stable neighbour, and a cell that has been visited often enough is left out, whatever is expected
there: a plan must not keep sending patrols where patrols have been.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.patrol_inputs import Cells, Constraints, Station
from models.patrol_plan import Beat, LeftOut, Plan, Reason, Stop
from models.patrol_routes import Problem, Routes, best, greedy
from models.travel import PlanError

__all__ = ["Cells", "Constraints", "Plan", "PlanError", "Station", "greedy_plan", "plan_patrol"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CANDIDATES = 150


def plan_patrol(
    cells: Cells,
    constraints: Constraints,
    *,
    candidates: int | None = None,
    rounds: int = 100,
    seconds: float | None = None,
) -> Plan:
    """Plan the stops that cover most expected incidents, never fewer than `greedy_plan`.

    Parameters
    ----------
    cells : Cells
    constraints : Constraints
    candidates : int, optional
        Cells considered, by expected incidents per minute of stop and way from the next station; by
        default 150, or one and a half times the stops that there is time for. Above 400 no local
        search follows the greedy insertions and refills.
    rounds : int
        Times a stretch of stops is torn out and filled again; more is slower and never worse.
    seconds : float, optional
        Clock limit of each of four local searches at most. Without it, the same input always has
        the same plan.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.5510, 106.5512, 106.5700], [29.5630, 29.5631, 29.5630], size_m=250)
    >>> cells = Cells(grid, np.array([0.2, 0.5]), np.array([True, True]))
    >>> plan = plan_patrol(cells, Constraints((Station("解放碑派出所", 106.57, 29.56),)))
    >>> [(stop.name, round(stop.arrive_minute)) for stop in plan.beats[0].stops]
    [('250:-19:-17', 5), ('250:-12:-17', 26)]
    >>> from datetime import datetime; from zoneinfo import ZoneInfo
    >>> begin = datetime(2026, 3, 1, 22, tzinfo=ZoneInfo("Asia/Shanghai"))
    >>> print(plan.beats[0].sentences(begin)["zh"][1])
    22:05 到达 250:-19:-17，停留 15 分钟（本班预计 0.2 起）
    """
    task = _Task(cells, constraints, candidates)
    found = best(task.problem, rounds, seconds) if len(task.chosen) else task.idle
    return task.plan(found)


def greedy_plan(cells: Cells, constraints: Constraints, *, candidates: int | None = None) -> Plan:
    """Plan by inserting, one at a time, the stop with most expected incidents per minute.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.5510, 106.5512, 106.5700], [29.5630, 29.5631, 29.5630], size_m=250)
    >>> cells = Cells(grid, np.array([0.2, 0.5]), np.array([True, False]))
    >>> plan = greedy_plan(cells, Constraints((Station("解放碑派出所", 106.57, 29.56),)))
    >>> plan.cells, plan.left_out[0].reason.value, round(plan.covered_share, 2)
    ([0], 'unstable', 0.29)
    """
    task = _Task(cells, constraints, candidates)
    return task.plan(greedy(task.problem) if len(task.chosen) else task.idle)


class _Task:
    """Cells and constraints, as a problem of routes, and the way back to a plan."""

    def __init__(self, cells: Cells, constraints: Constraints, candidates: int | None) -> None:
        if not len(cells.grid):
            raise PlanError("expected a grid with cells, found none; lay it with Grid.over")
        self.cells, self.constraints = cells, constraints
        self.stay_s = round(constraints.stop_minutes * 60)
        self.limit_s = int(constraints.shift_minutes * 60)
        self.stations = [station for station in constraints.stations if station.units]
        places = [(station.lon, station.lat) for station in self.stations]
        self.homes = np.stack(cells.grid.metres(*zip(*places, strict=True)), axis=1)
        self.units = np.repeat(np.arange(len(places)), [one.units for one in self.stations])
        self.idle: Routes = [[] for _ in self.units]
        self._choose(self._bound(candidates))
        self.problem = self._problem()

    def _bound(self, candidates: int | None) -> int:
        if candidates is not None:
            return candidates
        each = min(self.constraints.max_stops_per_unit, self.limit_s // self.stay_s)
        return max(CANDIDATES, 3 * each * len(self.units) // 2)

    def _choose(self, bound: int) -> None:
        """Cells most worth a stop, and those of them that may have one."""
        way = self._way()
        per_second = self.cells.expected / (self.stay_s + way)
        order = np.argsort(-per_second, kind="stable")
        order = order[self.cells.expected[order] > 0]
        trips = 2 if self.constraints.return_to_station else 1
        self.near = self.stay_s + trips * way <= self._most_s()
        self.fresh = self.cells.past < self.constraints.visit_cap
        anchors = self.near & self.fresh & self.cells.stable & (self.cells.expected > 0)
        beside = self._any_neighbour(anchors)
        may = self.near & self.fresh & (self.cells.stable | beside)
        self.wanted = order[:bound]
        chosen = order[may[order]][:bound]
        kept = np.zeros(len(self.cells.grid), bool)
        kept[chosen] = True
        alone = ~self.cells.stable & ~self._any_neighbour(kept & self.cells.stable)
        self.chosen = chosen[~alone[chosen]]

    def _most_s(self) -> int:
        """Seconds the longest beat may take."""
        return min(self.limit_s, self._total_s() or self.limit_s)

    def _total_s(self) -> int | None:
        given = self.constraints.officer_minutes
        return None if given is None else int(given * 60 / self.constraints.officers_per_unit)

    def _way(self) -> Ints:
        """Seconds from the next station to each cell, shape (n,)."""
        travel = self.constraints.travel
        ways = (travel.seconds(home[None], self.cells.xy)[0] for home in self.homes)
        return np.asarray(np.minimum.reduce(list(ways)))

    def _any_neighbour(self, marked: Bools) -> Bools:
        around = self.cells.neighbours
        return np.asarray(((around >= 0) & marked[around]).any(axis=1))

    def _problem(self) -> Problem:
        places = np.concatenate([self.homes, self.cells.xy[self.chosen]])
        at = {cell: position for position, cell in enumerate(self.chosen.tolist())}
        needs = tuple(None if self.cells.stable[cell] else self._need(cell, at) for cell in at)
        return Problem(
            self.cells.expected[self.chosen],
            self.constraints.travel.seconds(places, places),
            tuple(self.units.tolist()),
            self.stay_s,
            self.limit_s,
            self.constraints.max_stops_per_unit,
            self._total_s(),
            self.constraints.return_to_station,
            needs,
        )

    def _need(self, cell: int, at: dict[int, int]) -> tuple[int, ...]:
        around = self.cells.neighbours[cell].tolist()
        return tuple(at[one] for one in around if one in at and self.cells.stable[one])

    def plan(self, routes: Routes) -> Plan:
        beats = tuple(self._beat(unit, route) for unit, route in enumerate(routes))
        planned = np.zeros(len(self.cells.grid), bool)
        planned[[stop.cell for beat in beats for stop in beat.stops]] = True
        covered, total = float(self.cells.expected[planned].sum()), self.cells.expected.sum()
        return Plan(
            beats,
            tuple(self._left_out(planned)),
            covered,
            covered / float(total) if total > 0 else 0.0,
            float(planned.mean()),
            asdict(self.constraints),
        )

    def _beat(self, unit: int, route: list[int]) -> Beat:
        legs, stops, now = self.problem.legs(unit, route), [], 0
        for leg, place in zip(legs, route, strict=False):
            cell = int(self.chosen[place])
            now += leg
            stops.append(self._stop(cell, leg, now))
            now += self.stay_s
        end = self.problem.seconds(unit, route)
        home = self.stations[int(self.units[unit])]
        returns = self.constraints.return_to_station
        return Beat(unit + 1, home, tuple(stops), end / 60, sum(legs) / 60, returns)

    def _stop(self, cell: int, leg: int, now: int) -> Stop:
        return Stop(
            cell,
            self.cells.labels[cell],
            leg / 60,
            now / 60,
            self.stay_s / 60,
            float(self.cells.expected[cell]),
            bool(self.cells.stable[cell]),
        )

    def _left_out(self, planned: Bools) -> list[LeftOut]:
        anchored = self._any_neighbour(planned & self.cells.stable)
        left = []
        for cell in self.wanted[~planned[self.wanted]].tolist():
            name, reason = self.cells.labels[cell], self._reason(cell, anchored)
            zh, en = self._words(cell, reason)
            expected = float(self.cells.expected[cell])
            left.append(LeftOut(cell, name, expected, reason, f"{name}：{zh}", f"{name}: {en}"))
        return left

    def _reason(self, cell: int, anchored: Bools) -> Reason:
        if not self.fresh[cell]:
            return Reason.CAP
        if not self.near[cell]:
            return Reason.REACH
        if not self.cells.stable[cell] and not anchored[cell]:
            return Reason.UNSTABLE
        return Reason.CAPACITY

    def _words(self, cell: int, reason: Reason) -> tuple[str, str]:
        past, cap = int(self.cells.past[cell]), self.constraints.visit_cap
        period: Any = self.constraints.cap_period
        zh_period = {"day": "今日", "week": "本周"}[period]
        return {
            Reason.CAP: (
                f"{zh_period}已巡 {past} 次，达到上限 {cap} 次，本班不再安排",
                f"visited {past} times this {period}, the cap is {cap}: no more stops",
            ),
            Reason.REACH: (
                "距各派出所太远，往返和停留超出可用时间",
                "too far from every station for the way and a stop",
            ),
            Reason.UNSTABLE: (
                "网格移动后名次不稳，且没有稳定的相邻网格在计划中，不单独安排",
                "its rank changes when the grid is moved and no stable neighbour is on the plan",
            ),
            Reason.CAPACITY: (
                "警力时间或停留次数已用完",
                "the units' time or stops are used up",
            ),
        }[reason]
