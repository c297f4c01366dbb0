"""Quick-response points: what they reach within 1, 3 and 5 minutes, and where new ones do most.

The 1-3-5 minute practice asks that the nearest point's officers be on the spot that soon. A cell is
reached when its centre is, by `Travel`: straight line, detour, one speed.

References
----------
Church and ReVelle, "The maximal covering location problem", Papers of the Regional Science
Association 32, 1974, 101-118.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from features.grid import Grid
from models.covering import NODES, Covering
from models.travel import PlanError, Travel

__all__ = [
    "Choice",
    "Demand",
    "QuickPoint",
    "Reach",
    "choose_points",
    "greedy_points",
    "response_coverage",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDED_M = 1e-3  # degrees and back: a place at just that distance must not fall out
MINUTES = (1.0, 3.0, 5.0)
EXACT = 1e-9  # of all incidents: closer to the bound than this is the bound
ALL = "all"


@dataclass(frozen=True)
class QuickPoint:
    """A place where a quick-response unit stands, or might."""

    name: str
    lon: float
    lat: float


@dataclass(frozen=True, eq=False)
class Demand:
    """What is to be reached, and how fast units go.

    Parameters
    ----------
    grid : Grid
        n cells.
    expected : float64 array (n,)
        Expected incidents, 0 or more, not all 0.
    travel : Travel

    Raises
    ------
    PlanError
        If the counts do not fit the grid.
    """

    grid: Grid
    expected: Floats
    travel: Travel

    def __post_init__(self) -> None:
        if self.expected.shape != (len(self.grid),) or not len(self.grid):
            raise PlanError(
                f"expected a count for each of the grid's {len(self.grid)} cells, at least one, "
                f"found shape {self.expected.shape}; use the grid that was forecast on"
            )
        usable = (np.isfinite(self.expected) & (self.expected >= 0)).all()
        if not usable or not self.expected.sum() > 0:
            raise PlanError(
                "expected finite counts of 0 or more and not all 0, found others; forecast again"
            )

    def reached(self, points: Sequence[QuickPoint], minutes: float) -> list[Ints]:
        """Positions of the cells each point reaches, ascending.

        Raises
        ------
        PlanError
            If a point has no place on Earth.
        """
        for point in points:
            if not (abs(point.lon) <= 180 and abs(point.lat) <= 90):
                raise PlanError(f"expected a point with degrees, found {point}; lon comes first")
        if not points:
            return []
        x, y = self.grid.metres([p.lon for p in points], [p.lat for p in points])
        reach = self.travel.reach_m(minutes) + ROUNDED_M
        found = self._tree.query_ball_point(np.stack([x, y], axis=1), reach, return_sorted=True)
        return [np.asarray(cells, np.int64) for cells in found]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(np.stack(self.grid.centres_m(), axis=1))


@dataclass(frozen=True)
class Reach:
    """What one point, or all together, reach within some minutes.

    Parameters
    ----------
    name : str
        The point's; ``all`` for all together.
    minutes : float
    expected, expected_share : float
        Expected incidents in the cells reached, and their share of the city's.
    area_share : float
        Share of the city's cells.
    """

    name: str
    minutes: float
    expected: float
    expected_share: float
    area_share: float

    def sentences(self) -> dict[str, str]:
        """The reach in Chinese and English."""
        zh_name, en_name = ("全部快反点", "All points") if self.name == ALL else (self.name,) * 2
        return {
            "zh": f"{zh_name} {self.minutes:g} 分钟内可到达全市预计警情的 {self.expected_share:.1%}"
            f"、面积的 {self.area_share:.1%}",
            "en": f"{en_name} within {self.minutes:g} min: {self.expected_share:.1%} of the "
            f"expected incidents, {self.area_share:.1%} of the area",
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def response_coverage(
    points: Sequence[QuickPoint], demand: Demand, minutes: Sequence[float] = MINUTES
) -> list[Reach]:
    """What each point, and then all together, reach within each of the minutes.

    Returns
    -------
    list of Reach
        By minutes, then in the points' order; the last of each is named ``all``.

    Examples
    --------
    >>> grid = Grid.over([106.551, 106.570], [29.563, 29.563], size_m=250)
    >>> demand = Demand(grid, np.array([1.0, 3.0]), Travel(30))
    >>> points = [QuickPoint("解放碑", 106.570, 29.563)]
    >>> [(reach.minutes, reach.expected_share) for reach in response_coverage(points, demand)
    ...  if reach.name == "all"]
    [(1.0, 0.75), (3.0, 0.75), (5.0, 1.0)]
    """
    found = []
    for limit in minutes:
        _check_minutes(limit)
        each = demand.reached(points, limit)
        names = [*(point.name for point in points), ALL]
        found += [
            _reach(name, limit, cells, demand)
            for name, cells in zip(names, [*each, _together(each)], strict=True)
        ]
    return found


def _check_minutes(minutes: float) -> None:
    if not 0 < minutes < np.inf:
        raise PlanError(f"expected minutes above 0, found {minutes}; 1, 3 and 5 are usual")


def _reach(name: str, minutes: float, cells: Ints, demand: Demand) -> Reach:
    expected = float(demand.expected[cells].sum())
    share = expected / float(demand.expected.sum())
    return Reach(name, minutes, expected, min(share, 1.0), len(cells) / len(demand.grid))


@dataclass(frozen=True)
class Choice:
    """Where points should stand.

    Parameters
    ----------
    points : tuple of QuickPoint
        Those chosen, in the candidates' order; fewer than asked for where more would add nothing.
    expected, expected_share : float
        What they reach together with the points standing already.
    best_share : float
        What no choice could exceed, as far as was proved.
    optimal : bool
        Whether it was proved that none is better.
    """

    points: tuple[QuickPoint, ...]
    expected: float
    expected_share: float
    best_share: float
    optimal: bool


def choose_points(
    candidates: Sequence[QuickPoint],
    k: int,
    demand: Demand,
    *,
    minutes: float = 3.0,
    standing: Sequence[QuickPoint] = (),
    nodes: int = NODES,
) -> Choice:
    """Choose the k places that reach most expected incidents, never fewer than `greedy_points`.

    Parameters
    ----------
    candidates : sequence of QuickPoint
        Places where a point might stand.
    k : int
        New points, from 1 to the number of candidates.
    demand : Demand
    minutes : float
        Within which a cell counts as reached.
    standing : sequence of QuickPoint
        Points that stay: what they reach is not won again.
    nodes : int
        Branches the solver may try before it returns what it has; no clock, so that the same input
        has the same answer.

    Raises
    ------
    PlanError
        If `k` or `minutes` make no sense.

    Examples
    --------
    >>> grid = Grid.over([106.551, 106.570], [29.563, 29.563], size_m=250)
    >>> demand = Demand(grid, np.array([1.0, 3.0]), Travel(30))
    >>> places = [QuickPoint("西", 106.551, 29.563), QuickPoint("东", 106.570, 29.563)]
    >>> choice = choose_points(places, 1, demand, minutes=1)
    >>> [point.name for point in choice.points], choice.expected_share, choice.optimal
    (['东'], 0.75, True)
    """
    covering = _covering(candidates, k, demand, minutes, standing)
    chosen, bound = covering.solved(k, nodes)
    return _choice(candidates, covering, chosen, bound)


def greedy_points(
    candidates: Sequence[QuickPoint],
    k: int,
    demand: Demand,
    *,
    minutes: float = 3.0,
    standing: Sequence[QuickPoint] = (),
) -> Choice:
    """Choose, k times, the place that adds most; ties by position.

    Examples
    --------
    >>> grid = Grid.over([106.551, 106.570], [29.563, 29.563], size_m=250)
    >>> demand = Demand(grid, np.array([1.0, 3.0]), Travel(30))
    >>> greedy_points([QuickPoint("西", 106.551, 29.563)], 1, demand, minutes=1).expected
    1.0
    """
    covering = _covering(candidates, k, demand, minutes, standing)
    return _choice(candidates, covering, covering.greedy(k), covering.reachable)


def _covering(
    candidates: Sequence[QuickPoint],
    k: int,
    demand: Demand,
    minutes: float,
    standing: Sequence[QuickPoint],
) -> Covering:
    _check_minutes(minutes)
    if not 1 <= k <= len(candidates):
        raise PlanError(
            f"expected 1 to {len(candidates)} points, as many as there are candidates, "
            f"found {k}; bring more candidates or ask for fewer"
        )
    held = _together(demand.reached(standing, minutes))
    return Covering(demand.reached(candidates, minutes), demand.expected, held)


def _together(each: list[Ints]) -> Ints:
    return np.unique(np.concatenate([*each, np.empty(0, np.int64)]))


def _choice(
    candidates: Sequence[QuickPoint], covering: Covering, chosen: list[int], most: float
) -> Choice:
    worth = covering.worth(chosen)
    total = float(covering.expected.sum())
    points = tuple(candidates[at] for at in sorted(chosen))
    return Choice(
        points, worth, worth / total, max(worth, most) / total, worth >= most * (1 - EXACT)
    )
