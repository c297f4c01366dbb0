"""The map certificate: how sure a cell's place on the list is when the grid itself is moved.

Where a grid's lines fall is chance. A cell that is at the top only because a line happens to pass
beside it says more about the grid than about the place: it is greyed out, and never on a plan
alone.

References
----------
Openshaw, "The Modifiable Areal Unit Problem", Geo Books, 1984.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.grid import LARGEST_M, SMALLEST_M, Grid
from models.trees import ModelError

__all__ = ["STABLE", "MapCertificate", "alternatives", "certify_map", "certify_maps"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# In at least four grids of five: our choice, no field standard is known.
STABLE = 0.8
# Quarter and half cells east and north, each direction as often as its opposite.
MOVES = (
    (0.5, 0.0), (0.0, 0.5), (0.5, 0.5),
    (0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25),
    (0.25, 0.0), (0.75, 0.0), (0.0, 0.25), (0.0, 0.75),
)  # fmt: skip
TURNS_DEG = (15.0, 30.0, 45.0)
SIZES = (0.8, 1.25)
LATTICE = 4  # sample points on a cell's side
CHUNK = 1 << 16  # cells looked up at once: 8 MB of samples
INTERVAL = (0.05, 0.95)


def alternatives(grid: Grid, lon: NDArray[Any], lat: NDArray[Any]) -> list[Grid]:
    """Lay the grids that might as well have been chosen: 11 moves, 3 turns, 2 sizes.

    Parameters
    ----------
    grid : Grid
        The map's own.
    lon, lat : array of shape (m,)
        Degrees; places of the incidents, which say which cells a grid has.

    Returns
    -------
    list of Grid
        Around the same centre. A size that no grid may have is left out.

    Examples
    --------
    >>> grid = Grid.over([106.55, 106.57], [29.56, 29.56], size_m=250)
    >>> others = alternatives(grid, np.array([106.55, 106.57]), np.array([29.56, 29.56]))
    >>> len(others), others[0].offset_m, others[-1].size_m
    (16, (125.0, 0.0), 312.5)
    """
    own = _turn(grid.rotation_deg) * grid.size_m
    moved = [own @ move + grid.offset_m for move in MOVES]
    sizes = [grid.size_m * factor for factor in SIZES]
    return [
        *(grid.moved(lon, lat, (float(x), float(y)), grid.rotation_deg) for x, y in moved),
        *(grid.moved(lon, lat, grid.offset_m, grid.rotation_deg + turn) for turn in TURNS_DEG),
        *(
            Grid.over(
                lon,
                lat,
                size,
                centre=grid.centre,
                offset_m=grid.offset_m,
                rotation_deg=grid.rotation_deg,
            )
            for size in sizes
            if SMALLEST_M <= size <= LARGEST_M
        ),
    ]


@dataclass(frozen=True, eq=False)
class MapCertificate:
    """Ranks of each cell over all grids, 1 the highest, and how often it is at the top.

    Parameters
    ----------
    grid : Grid
        The map's own, n cells.
    rank : int64 array (n,)
        On the map's own grid.
    rank_low, rank_median, rank_high : int64 array (n,)
        Over all grids, the map's own included: 5th, 50th and 95th percentile, the outer two rounded
        outward and the median downward to a rank that occurred.
    share_in_top : mapping of float to float64 array (n,)
        For each coverage, the share of the grids in which the cell is at the top: above zero, and
        among the first `coverage` of the cells (rounded, one at least).
    top : mapping of float to bool array (n,)
        For each coverage, the cells at the top of the map's own grid.
    grids : int
        How many grids.
    threshold : float
        Share from which a cell is stable.
    """

    grid: Grid = field(repr=False)
    rank: Ints = field(repr=False)
    rank_low: Ints = field(repr=False)
    rank_median: Ints = field(repr=False)
    rank_high: Ints = field(repr=False)
    share_in_top: Mapping[float, Floats] = field(repr=False)
    top: Mapping[float, Bools] = field(repr=False)
    grids: int
    threshold: float = STABLE

    def stable(self, coverage: float) -> Bools:
        """Cells at the top in enough of the grids, shape (n,)."""
        return self._share(coverage) >= self.threshold

    def grey(self, coverage: float) -> Bools:
        """Cells at the top of the map's own grid which are not stable: to be greyed out."""
        return ~self.stable(coverage) & self.top[coverage]

    def sentences(self, coverage: float) -> dict[str, str]:
        """How much of the map's top may be relied on, in Chinese and English."""
        grey = int(np.count_nonzero(self.grey(coverage)))
        total = int(np.count_nonzero(self.top[coverage]))
        drawn = total - grey
        return {
            "zh": f"面积前{100 * coverage:g}%共{total}个网格：{drawn}个名次稳定，{grey}个随网格移动"
            f"而变，已置灰（比较{self.grids}种网格）",
            "en": f"Top {100 * coverage:g}% of the area, {total} cells: {drawn} hold their place, "
            f"{grey} do not when the grid is moved and are grey ({self.grids} grids compared)",
        }

    def as_rows(self) -> list[dict[str, Any]]:
        """One row a cell, by rank, for JSON and tables."""
        order = np.argsort(self.rank)
        names = self.grid.names()
        ranks = (self.rank, self.rank_low, self.rank_median, self.rank_high)
        found = np.stack(ranks, axis=1)[order].tolist()
        shares = {key: value[order].tolist() for key, value in self.share_in_top.items()}
        return [
            {
                "cell": names[cell],
                **dict(zip(("rank", "rank_low", "rank_median", "rank_high"), row, strict=True)),
                "share_in_top": {f"{key:g}": value[at] for key, value in shares.items()},
                "stable": {
                    f"{key:g}": value[at] >= self.threshold for key, value in shares.items()
                },
            }
            for at, (cell, row) in enumerate(zip(order.tolist(), found, strict=True))
        ]

    def _share(self, coverage: float) -> Floats:
        if coverage not in self.share_in_top:
            raise ModelError(
                f"expected a coverage among {sorted(self.share_in_top)}, found {coverage}; "
                "certify the map with it"
            )
        return self.share_in_top[coverage]


def certify_map(
    base: Grid,
    values: Floats,
    others: Sequence[tuple[Grid, Floats]],
    *,
    coverages: Sequence[float] = (0.01, 0.02, 0.05),
    threshold: float = STABLE,
) -> MapCertificate:
    """Rank the cells of a map by what other grids say about the same ground.

    Each other grid's values become densities; a cell's value is the mean density at 4 x 4 points
    inside it, nothing where the other grid has no cell. Equal values are ranked by position, the
    south-western first, on every grid alike.

    Parameters
    ----------
    base : Grid
    values : float64 array (n,)
        Expected incidents per cell, 0 or more.
    others : sequence of (Grid, float64 array (m,))
        The same forecast made on `alternatives`.
    coverages : sequence of float
        Shares of the cells, each above 0 and up to 1.
    threshold : float
        Share of the grids from which a cell is stable.

    Raises
    ------
    ModelError
        If values do not fit their grid, or a grid lies around another centre.

    Examples
    --------
    >>> lon, lat = np.array([106.55, 106.57]), np.array([29.56, 29.56])
    >>> grid = Grid.over(lon, lat, size_m=250)
    >>> sure = certify_map(grid, np.array([2.0, 1.0]), [(grid, np.array([2.0, 1.0]))])
    >>> sure.rank.tolist(), sure.rank_high.tolist(), sure.share_in_top[0.01].tolist()
    ([1, 2], [1, 2], [1.0, 0.0])
    """
    alone = ((grid, found[None]) for grid, found in others)
    (certificate,) = certify_maps(
        base, values[None], alone, coverages=coverages, threshold=threshold
    )
    return certificate


def certify_maps(
    base: Grid,
    values: Floats,
    others: Iterable[tuple[Grid, Floats]],
    *,
    coverages: Sequence[float] = (0.01, 0.02, 0.05),
    threshold: float = STABLE,
) -> list[MapCertificate]:
    """Certify several maps of one grid at once: where its points lie is looked up for all of them.

    Parameters
    ----------
    base : Grid
    values : float64 array (k, n)
        Of each map, as for `certify_map`.
    others : iterable of (Grid, float64 array (k, m))
        Taken one after the other: of each only the ranks are kept, 4 bytes a map and cell.
    coverages, threshold
        As for `certify_map`.

    Returns
    -------
    list of MapCertificate
        One a map.

    Raises
    ------
    ModelError
        As `certify_map` does.

    Examples
    --------
    >>> lon, lat = np.array([106.55, 106.57]), np.array([29.56, 29.56])
    >>> grid, two = Grid.over(lon, lat, size_m=250), np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> [sure.rank.tolist() for sure in certify_maps(grid, two, [(grid, two)])]
    [[1, 2], [2, 1]]
    """
    _check_shares(coverages, threshold)
    counts = {cover: max(1, round(cover * len(base))) for cover in coverages}
    ranks: list[NDArray[np.int32]] = []
    tops: dict[float, list[Bools]] = {cover: [] for cover in coverages}
    for found in _seen(base, values, others):
        ranks.append(np.stack([_ranks(one) for one in found]))
        for cover, count in counts.items():
            tops[cover].append((ranks[-1] <= count) & (found > 0))
    return [
        _certificate(
            base,
            np.stack([one[at] for one in ranks]),
            {cover: np.stack([one[at] for one in found]) for cover, found in tops.items()},
            threshold,
        )
        for at in range(len(values))
    ]


def _certificate(
    base: Grid, ranks: NDArray[np.int32], tops: Mapping[float, Bools], threshold: float
) -> MapCertificate:
    """What ranks and tops on each of the grids, shape (grids, n), come to."""
    low, median, high = _interval(ranks)
    return MapCertificate(
        grid=base,
        rank=ranks[0].astype(np.int64),
        rank_low=low,
        rank_median=median,
        rank_high=high,
        share_in_top={cover: found.mean(axis=0) for cover, found in tops.items()},
        top={cover: found[0] for cover, found in tops.items()},
        grids=len(ranks),
        threshold=threshold,
    )


def _check(base: Grid, grid: Grid, values: Floats, maps: int) -> None:
    if grid.centre != base.centre:
        raise ModelError(
            f"expected grids around {base.centre}, found one around {grid.centre}; "
            "lay them with alternatives()"
        )
    if values.shape != (maps, len(grid)) or not (np.isfinite(values) & (values >= 0)).all():
        raise ModelError(
            f"expected {len(grid)} finite values of 0 or more, one a cell, for each map "
            f"({maps}), found shape {values.shape}; forecast on the grid that is certified"
        )
    if not len(grid):
        raise ModelError("expected a grid with cells, found none; lay it with Grid.over")


def _check_shares(coverages: Sequence[float], threshold: float) -> None:
    if not coverages or not all(0 < cover <= 1 for cover in (*coverages, threshold)):
        raise ModelError(
            f"expected coverages and a threshold above 0 and up to 1, found {tuple(coverages)} "
            f"and {threshold}; 0.01 is one per cent"
        )


def _seen(base: Grid, values: Floats, others: Iterable[tuple[Grid, Floats]]) -> Iterator[Floats]:
    """Density in each cell of the base as each grid sees it, the base's own first, (k, n)."""
    _check(base, base, values, len(values))
    yield values / base.size_m**2
    for grid, found in others:
        _check(base, grid, found, len(values))
        yield _on_base(base, grid, found / grid.size_m**2)


def _on_base(base: Grid, grid: Grid, density: Floats) -> Floats:
    """Mean of a grid's densities over points inside each of the base's cells, shape (k, n)."""
    x, y = base.centres_m()
    steps = [(east, north) for north in _steps(base) for east in _steps(base)]
    inside = np.array(steps) @ _turn(base.rotation_deg).T
    lookup = _Lookup(grid)
    ending_in_nothing = np.pad(density, ((0, 0), (0, 1)))  # where place -1 finds it
    seen = np.empty((len(density), len(base)))
    for start in range(0, len(base), CHUNK):
        part = slice(start, start + CHUNK)
        places = np.stack([lookup.at(x[part] + dx, y[part] + dy) for dx, dy in inside])
        for one, found in zip(ending_in_nothing, seen, strict=True):
            found[part] = _mean(one[places])
    return seen


def _mean(samples: Floats) -> Floats:
    """Mean of equally many samples of each cell, shape (16, n), whatever their order."""
    # Sorted, so that equal samples in another order have the same mean to the bit, and as
    # distances from the least, so that sixteen equal samples have exactly themselves as mean.
    samples.sort(axis=0)
    return np.asarray(samples[0] + (samples - samples[0]).mean(axis=0))


def _steps(grid: Grid) -> Floats:
    return ((np.arange(LATTICE) + 0.5) / LATTICE - 0.5) * grid.size_m


def _turn(degrees: float) -> Floats:
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


class _Lookup:
    """A grid's cells by metres instead of degrees: no projection for each of the samples."""

    def __init__(self, grid: Grid) -> None:
        self.to_own = _turn(-grid.rotation_deg) / grid.size_m
        self.offset = grid.offset_m
        self.corner = int(grid.columns.min()), int(grid.rows.min())
        self.width = int(grid.columns.max()) - self.corner[0] + 1
        self.keys = self._key(grid.columns, grid.rows)  # ascending, as the grid's cells are

    def at(self, x: Floats, y: Floats) -> Ints:
        """Position of the cell at points in metres, -1 where the grid has none."""
        east, north = x - self.offset[0], y - self.offset[1]
        (a, b), (c, d) = self.to_own
        columns = np.floor(a * east + b * north).astype(np.int64)
        rows = np.floor(c * east + d * north).astype(np.int64)
        keys = self._key(columns, rows)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        beside = (columns < self.corner[0]) | (columns >= self.corner[0] + self.width)
        return np.where((self.keys[place] == keys) & ~beside, place, -1)

    def _key(self, columns: Ints, rows: Ints) -> Ints:
        return (rows - self.corner[1]) * self.width + columns - self.corner[0]


def _ranks(values: Floats) -> NDArray[np.int32]:
    order = np.argsort(-values, kind="stable")
    ranks = np.empty(len(values), np.int32)
    ranks[order] = np.arange(1, len(values) + 1, dtype=np.int32)
    return ranks


def _interval(ranks: NDArray[np.int32]) -> tuple[Ints, Ints, Ints]:
    found = np.sort(ranks, axis=0)
    last = len(ranks) - 1
    low, high = int(np.floor(INTERVAL[0] * last)), int(np.ceil(INTERVAL[1] * last))
    return (
        found[low].astype(np.int64),
        found[last // 2].astype(np.int64),
        found[high].astype(np.int64),
    )
