"""Which cells a shift's units visit, and in what order: team orienteering.

Every cell has a prize (incidents expected there) and every leg a time; units start at their
stations, and what does not fit is left out. `greedy` inserts the best prize per second until
nothing fits; `best` hands such routes to OR-tools, and what comes back is never worth less.

References
----------
Chao, Golden, Wasil, "The team orienteering problem", European Journal of Operational Research 88,
1996, 464-474. Ropke, Pisinger, "An adaptive large neighborhood search heuristic for the pickup and
delivery problem with time windows", Transportation Science 40, 2006, 455-472.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

__all__ = ["Problem", "best", "greedy", "worth"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Routes = list[list[int]]

# Prizes are scaled to sum to this; a second's travel costs 1. A hundred units' travel in a shift
# is some 3e6, so that travel decides only between plans alike to a millionth of the prizes.
PRIZE_SUM = 10**12
POWERS = (0.5, 2.0)  # other greedy starts weigh the prize less, or more, against its time
# A local search takes a second for 150 cells and a dozen for 300; above, minutes.
RESTARTED, ROUTED = 200, 400
# Ropke and Pisinger 2006 tear out a good part and add noise; sizes found by trial on 150 cells.
STRETCH, NOISE, SEED = 6, (0.6, 1.4), 7
LNS_LIMIT_S = 3_600  # the default, 0.1 s, would let the clock decide


@dataclass(frozen=True, eq=False)
class Problem:
    """What the units may do.

    Parameters
    ----------
    prize : float64 array (k,)
        Above 0.
    travel_s : int64 array (s + k, s + k)
        Seconds between s stations, which come first, and k cells.
    stations : tuple of int
        Station of each unit.
    stay_s, limit_s : int
        Seconds of a stop; seconds a unit has, travel included.
    most_stops : int
        Of a unit.
    total_s : int, optional
        Seconds all units together have.
    returns : bool
        Whether the way back to the station counts.
    needs : tuple
        For each cell, None, or the cells one of which must be visited as well.
    """

    prize: Floats
    travel_s: Ints
    stations: tuple[int, ...]
    stay_s: int
    limit_s: int
    most_stops: int
    total_s: int | None = None
    returns: bool = True
    needs: tuple[tuple[int, ...] | None, ...] = ()

    @property
    def first(self) -> int:
        """Node of the first cell."""
        return len(self.travel_s) - len(self.prize)

    def legs(self, unit: int, route: list[int]) -> list[int]:
        """Seconds of each way: to the first stop, between stops, back to the station."""
        if not route:
            return []
        home = self.stations[unit]
        nodes = [home, *(self.first + cell for cell in route)]
        ways = [int(self.travel_s[a, b]) for a, b in pairwise(nodes)]
        back = int(self.travel_s[nodes[-1], home]) if self.returns else 0
        return [*ways, back]

    def seconds(self, unit: int, route: list[int]) -> int:
        """Seconds a unit needs for a route."""
        return sum(self.legs(unit, route)) + self.stay_s * len(route)


def worth(problem: Problem, routes: Routes) -> float:
    """Sum of the prizes of the cells visited."""
    return float(problem.prize[sorted(cell for route in routes for cell in route)].sum())


def best(problem: Problem, rounds: int = 100, seconds: float | None = None) -> Routes:
    """Routes worth most that were found; among equals the least time on the way.

    Local optima from greedy starts; then, from the best, rounds that tear a stretch of stops out
    and refill with noisy prizes; then a last local search.

    Parameters
    ----------
    problem : Problem
        More cells than `ROUTED` are inserted greedily and refilled, without OR-tools.
    rounds : int
        Tearing and refilling.
    seconds : float, optional
        Clock limit of each local search. What a clock cuts off differs from run to run: without it
        the same problem has the same routes.
    """
    inserted = greedy(problem)
    powers = POWERS if len(problem.prize) <= RESTARTED else ()
    starts = [inserted]
    starts += [greedy(replace(problem, prize=problem.prize**power)) for power in powers]
    found = [inserted, *(_searched(problem, start, seconds) for start in starts)]
    torn = _refilled(problem, min(found, key=lambda routes: _order(problem, routes)), rounds)
    found += [torn, _searched(problem, torn, seconds)]
    return min(found, key=lambda routes: _order(problem, routes))


def _refilled(problem: Problem, routes: Routes, rounds: int) -> Routes:
    """The best of routes with a stretch torn out and filled again, each from the best so far."""
    random = np.random.default_rng(SEED)
    kept = routes
    for _ in range(rounds):
        noisy = problem.prize * random.uniform(*NOISE, len(problem.prize))
        tried = _filled(replace(problem, prize=noisy), _torn(problem, kept, random))
        kept = min(kept, tried, key=lambda routes: _order(problem, routes))
    return kept


def _torn(problem: Problem, routes: Routes, random: np.random.Generator) -> Routes:
    """Routes without a stretch of one of them, and without what needed a stop in it."""
    torn = [list(route) for route in routes]
    busy = [unit for unit, route in enumerate(routes) if route]
    if not busy:
        return torn
    unit = busy[random.integers(len(busy))]
    first = int(random.integers(len(torn[unit])))
    del torn[unit][first : first + int(random.integers(1, STRETCH + 1))]
    visited = {cell for route in torn for cell in route}
    return [[cell for cell in route if _met(problem, cell, visited)] for route in torn]


def _met(problem: Problem, cell: int, visited: set[int]) -> bool:
    need = problem.needs[cell] if problem.needs else None
    return need is None or not visited.isdisjoint(need)


def _order(problem: Problem, routes: Routes) -> tuple[float, int]:
    spent = sum(problem.seconds(unit, route) for unit, route in enumerate(routes))
    return -round(worth(problem, routes) / float(problem.prize.sum()), 12), spent


def greedy(problem: Problem) -> Routes:
    """Insert, while any fits, the cell with the most prize per second it costs; ties by position.

    Examples
    --------
    >>> line = np.abs(np.subtract.outer([0, 60, 120, 900], [0, 60, 120, 900]))
    >>> greedy(Problem(np.array([1.0, 2.0, 9.0]), line, (0,), 600, 1500, 9))
    [[0, 1]]
    """
    return _filled(problem, [[] for _ in problem.stations])


def _filled(problem: Problem, routes: Routes) -> Routes:
    """Routes with greedy insertions; changes those given."""
    offers = [_offers(problem, unit, route) for unit, route in enumerate(routes)]
    while (choice := _best(problem, routes, offers)) is not None:
        unit, cell = choice
        routes[unit].insert(int(offers[unit][1][cell]), cell)
        offers[unit] = _offers(problem, unit, routes[unit])
    return routes


def _offers(problem: Problem, unit: int, route: list[int]) -> tuple[Ints, Ints]:
    """Seconds that each cell would add to a route, and where in it; shape (k,) each."""
    home, travel = problem.stations[unit], problem.travel_s
    stops = [problem.first + cell for cell in route]
    before, after = [home, *stops], [*stops, home]
    onward = travel[problem.first :, after].T.copy()
    direct = travel[before, after].copy()
    if not problem.returns:
        onward[-1], direct[-1] = 0, 0
    added = travel[before, problem.first :] + onward - direct[:, None]
    at = added.argmin(axis=0)
    return np.take_along_axis(added, at[None], axis=0)[0] + problem.stay_s, at


def _best(
    problem: Problem, routes: Routes, offers: list[tuple[Ints, Ints]]
) -> tuple[int, int] | None:
    used = [problem.seconds(unit, route) for unit, route in enumerate(routes)]
    left = np.inf if problem.total_s is None else problem.total_s - sum(used)
    allowed = _allowed(problem, routes)
    value = np.full((len(routes), len(problem.prize)), -np.inf)
    for unit, (added, _) in enumerate(offers):
        if len(routes[unit]) < problem.most_stops:
            fits = allowed & (added <= min(left, problem.limit_s - used[unit]))
            value[unit, fits] = (problem.prize / added)[fits]
    best = int(value.argmax())
    unit, cell = divmod(best, len(problem.prize))
    return (unit, cell) if value[unit, cell] > -np.inf else None


def _allowed(problem: Problem, routes: Routes) -> NDArray[np.bool_]:
    """Cells not visited yet whose need, if they have one, is met."""
    visited = {cell for route in routes for cell in route}
    allowed = np.ones(len(problem.prize), bool)
    allowed[list(visited)] = False
    for cell, need in enumerate(problem.needs):
        allowed[cell] &= need is None or not visited.isdisjoint(need)
    return allowed


def _searched(problem: Problem, start: Routes, seconds: float | None) -> Routes:
    """The local optimum OR-tools descends to, or the routes themselves where it finds nothing."""
    if len(problem.prize) > ROUTED:
        return start
    limits = pywrapcp.DefaultRoutingSearchParameters()
    # A descent ends by itself. Guided search ends by a clock or a number of solutions, and where
    # few solutions exist it never reaches that number.
    limits.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GREEDY_DESCENT
    limits.lns_time_limit.seconds = LNS_LIMIT_S
    if seconds is not None:
        limits.time_limit.FromMilliseconds(max(1, int(1000 * seconds)))
    return _Model(problem).solved(start, limits) or start


class _Model:
    """The problem in OR-tools' words. Stations without a unit are left out: nodes must be met."""

    def __init__(self, problem: Problem) -> None:
        homes = sorted(set(problem.stations))
        cells = range(problem.first, len(problem.travel_s))
        self.first = len(homes)
        ends = [homes.index(station) for station in problem.stations]
        nodes = [*homes, *cells]
        self.manager = pywrapcp.RoutingIndexManager(len(nodes), len(ends), ends, ends)
        self.model = pywrapcp.RoutingModel(self.manager)
        travel = problem.travel_s[np.ix_(nodes, nodes)].copy()
        if not problem.returns:
            travel[:, : self.first] = 0
        self._add_times(problem, travel)
        self._add_prizes(problem)

    def _add_times(self, problem: Problem, travel: Ints) -> None:
        model = self.model
        model.SetArcCostEvaluatorOfAllVehicles(model.RegisterTransitMatrix(travel.tolist()))
        taken = travel.copy()
        taken[self.first :] += problem.stay_s
        times = model.RegisterTransitMatrix(taken.tolist())
        model.AddDimension(times, 0, problem.limit_s, True, "time")
        model.AddConstantDimension(1, problem.most_stops + 1, True, "stops")
        if problem.total_s is not None:
            time = model.GetDimensionOrDie("time")
            ends = [time.CumulVar(model.End(unit)) for unit in range(len(problem.stations))]
            solver = model.solver()
            solver.Add(solver.Sum(ends) <= problem.total_s)

    def _add_prizes(self, problem: Problem) -> None:
        whole = np.rint(problem.prize / problem.prize.sum() * PRIZE_SUM).astype(np.int64)
        for cell, prize in enumerate(whole.tolist()):
            self.model.AddDisjunction([self._index(cell)], max(1, prize))
        solver = self.model.solver()
        for cell, need in enumerate(problem.needs):
            if need is not None:
                active = [self.model.ActiveVar(self._index(other)) for other in need]
                solver.Add(self.model.ActiveVar(self._index(cell)) <= solver.Sum(active))

    def _index(self, cell: int) -> int:
        return int(self.manager.NodeToIndex(self.first + cell))

    def solved(self, start: Routes, limits: Any) -> Routes | None:
        self.model.CloseModelWithParameters(limits)
        nodes = [[self.first + cell for cell in route] for route in start]
        first = self.model.ReadAssignmentFromRoutes(nodes, True)
        found = first and self.model.SolveFromAssignmentWithParameters(first, limits)
        if not found:
            return None
        return [self._route(found, unit) for unit in range(len(start))]

    def _route(self, found: Any, unit: int) -> list[int]:
        route, index = [], self.model.Start(unit)
        while not self.model.IsEnd(index := found.Value(self.model.NextVar(index))):
            route.append(self.manager.IndexToNode(index) - self.first)
        return route
