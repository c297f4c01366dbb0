"""The simulated city's ground, and the truth about it: how often what happens where and when.

Places, never people: nobody lives here. `data.simulator.layout` lays the ground,
`data.simulator.incident_process` lets incidents happen on it, and `data.simulator.patrols` lets
patrols come upon some that nobody reported.

References
----------
Andresen, Malleson, "Crime seasonality and its variations across space", Applied Geography 43
(2013): seasons and hours differ by category and land use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.ndimage import convolve1d
from scipy.stats import norm

from data.simulator.city import DISTRICTS

__all__ = ["CATEGORIES", "LAND_USES", "NEAR_REPEAT", "Places", "PlacesCity"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CENTRE = (106.55, 29.55)  # Yuzhong's peninsula, degrees
CELL_M = 250.0
OFFSET = timedelta(hours=8)  # Asia/Shanghai, no daylight saving since 1991
WEEK = 7

CATEGORIES = ("盗窃", "打架斗殴", "毁坏财物")
"""Theft, fighting, criminal damage: matters of place. Fraud is not, and is simulated apart."""

LAND_USES = ("centre", "residential", "nightlife", "station", "park", "industrial", "village")
# A yearly wave: height, and the day of the year on which it peaks (assumed: theft before Spring
# Festival; fights in summer's heat, after Andresen and Malleson).
SEASON = ((0.15, 20), (0.25, 200), (0.10, 180))
# Monday to Sunday (assumed: fights at the weekend).
WEEKDAY = np.array(
    [
        [1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 0.9],
        [0.85, 0.85, 0.85, 0.95, 1.2, 1.35, 0.95],
        [0.9, 0.9, 0.9, 0.95, 1.15, 1.2, 1.0],
    ]
)
# Weight of each hour, 0 to 23 (assumed shapes).
HOURS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 8, 7, 7, 8, 8, 9, 8, 6, 4, 3, 2, 1],  # by day
        [3, 2, 2, 1, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4, 4, 5, 6, 7, 8, 9, 9, 9, 7, 5],  # in the evening
        [9, 8, 6, 4, 2, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4, 6, 8, 9, 10, 11, 11],  # at night
    ],
    np.float64,
)
BY_DAY, EVENING, NIGHT = range(3)
# Which of them holds for a category on each land use.
RHYTHM = np.array(
    [
        [BY_DAY, EVENING, NIGHT, BY_DAY, BY_DAY, NIGHT, BY_DAY],
        [EVENING, EVENING, NIGHT, EVENING, EVENING, EVENING, EVENING],
        [NIGHT, EVENING, NIGHT, EVENING, EVENING, NIGHT, EVENING],
    ]
)

NEAR_REPEAT = (0.20, 0.10, 0.15)
"""Mean number of incidents that one sets off, by category (assumed)."""
# Johnson et al., "Space-time patterns of risk", J. Quant. Criminology 23 (2007): more than chance
# within 200 m and two weeks. Its decay is assumed: Gaussian on the map, exponential in time.
NEAR_REPEAT_M = 100.0  # standard deviation on each axis
NEAR_REPEAT_DAYS, NEAR_REPEAT_END_DAYS = 4.0, 14.0
GENERATIONS = 6  # of near repeats; a seventh would hold 1 in 80,000


@dataclass(frozen=True)
class PlacesCity:
    """What to simulate. The same values give the same incidents.

    Parameters
    ----------
    seed : int
        Seed of everything random.
    first_day : date
        Begin of the history, midnight in the city.
    days : int
        Length of the history.
    cells : int
        Cells of 250 m, near enough: the city is a disc.
    incidents_per_day : float
        Incidents that happen, reported or not, on a mean day. The default, with its cells, is
        some 2 a day and square kilometre (assumed).
    near_repeat : tuple of float
        Mean number of incidents one sets off, by category, at most a half.
    uneven_reporting : float
        How far reporting differs by place: 0 not at all, 1 as assumed.

    Examples
    --------
    >>> city = PlacesCity(days=365)
    >>> city.end.isoformat()
    '2024-12-30T16:00:00+00:00'
    """

    seed: int = 7
    first_day: date = date(2024, 1, 1)
    days: int = 730
    cells: int = 1_600
    incidents_per_day: float = 200.0
    near_repeat: tuple[float, ...] = NEAR_REPEAT
    uneven_reporting: float = 1.0

    def __post_init__(self) -> None:
        _check("days", self.days, 1, 3_650)
        _check("cells", self.cells, 400, 1_000_000)
        _check("incidents_per_day", self.incidents_per_day, 0, 1_000_000)
        _check("uneven_reporting", self.uneven_reporting, 0, 1)
        for mean in self.near_repeat:
            _check("near_repeat", mean, 0, 0.5)
        if len(self.near_repeat) != len(CATEGORIES):
            raise ValueError(
                f"near_repeat: expected {len(CATEGORIES)} numbers, found "
                f"{len(self.near_repeat)}; pass one for each of {', '.join(CATEGORIES)}"
            )

    @property
    def start(self) -> datetime:
        """Begin of the history."""
        midnight = datetime(*self.first_day.timetuple()[:3], tzinfo=UTC)
        return midnight - OFFSET

    @property
    def end(self) -> datetime:
        """End of the history."""
        return self.start + timedelta(days=self.days)

    def random(self, *stream: int) -> np.random.Generator:
        """Make the generator of one purpose, so that purposes never disturb each other."""
        return np.random.default_rng([self.seed, *stream])


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, found {value}; pass a value between")


@dataclass(frozen=True, eq=False)
class Places:
    """The city's ground, one position per cell, row by row from the south-west.

    Attributes
    ----------
    column, row : int64 arrays, shape (n,)
        Cells east and north of the centre.
    district, use : int64 arrays, shape (n,)
        Positions in `districts` and `LAND_USES`.
    background : float64 array, shape (categories, n)
        Incidents a mean day, before near repeats.
    reporting : float64 array, shape (categories, n)
        Share that citizens report.
    """

    city: PlacesCity
    column: Ints
    row: Ints
    district: Ints
    use: Ints
    background: Floats = field(repr=False)
    reporting: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.column)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude around which the ground is laid."""
        return CENTRE

    @property
    def districts(self) -> tuple[str, ...]:
        """Names, the central ones first."""
        return DISTRICT_NAMES

    @property
    def residents(self) -> Floats:
        """Residents of each district, seventh national census."""
        return np.array([DISTRICTS[name] for name in DISTRICT_NAMES]) * 10_000

    def degrees(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude of points in metres east and north of the centre."""
        lon, lat = self._projection.transform(x, y, direction="INVERSE")
        return np.asarray(lon), np.asarray(lat)

    def centres(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of the cells' centres, shape (n,) each."""
        x, y = (np.asarray(at, np.float64) * CELL_M + CELL_M / 2 for at in (self.column, self.row))
        return self.degrees(x, y)

    def locate(self, x: Floats, y: Floats) -> Ints:
        """Position of the cell each point lies in, -1 outside the city."""
        column = np.floor(x / CELL_M).astype(np.int64) + self._half
        row = np.floor(y / CELL_M).astype(np.int64) + self._half
        side = len(self._plane)
        inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
        at = self._plane[np.where(inside, row, 0), np.where(inside, column, 0)]
        return np.where(inside, at, -1)

    def expected(self, week: int, starts: Sequence[int] = (0, 8, 16)) -> Floats:
        """The truth: incidents expected in a week of the history, near repeats with them.

        Near repeats follow within days; that they lag the season is left out.

        Parameters
        ----------
        week : int
            From 0.
        starts : sequence of int
            Hours at which shifts begin, ascending.

        Returns
        -------
        array of shape (categories, shifts, n)
        """
        days = np.arange(week * WEEK, (week + 1) * WEEK)
        factor = self.calendar(days).sum(axis=1)[:, None, None]
        return np.asarray(self._in_mean_day(tuple(starts)) * factor)

    def calendar(self, days: Ints) -> Floats:
        """Factor of season and weekday, mean 1 over a year, shape (categories, days)."""
        first = self.city.first_day
        weekday = (first.weekday() + days) % WEEK
        of_year = first.timetuple().tm_yday - 1 + days
        height, peak = np.array(SEASON).T[:, :, None]
        season = 1 + height * np.cos(2 * np.pi * (of_year - peak) / 365.25)
        return np.asarray(season * (WEEKDAY / WEEKDAY.mean(axis=1, keepdims=True))[:, weekday])

    def _in_mean_day(self, starts: tuple[int, ...]) -> Floats:
        shift_of_hour = (np.searchsorted(starts, np.arange(24), side="right") - 1) % len(starts)
        by_rhythm = np.stack(
            [HOURS[:, shift_of_hour == at].sum(axis=1) for at in range(len(starts))]
        )
        share = by_rhythm / HOURS.sum(axis=1)  # shifts, rhythms
        rhythm = RHYTHM[:, self.use]  # categories, cells
        background = self.background[:, None] * np.moveaxis(share[:, rhythm], 0, 1)
        return np.stack(
            [
                self._with_repeats(own, mean)
                for own, mean in zip(background, self.city.near_repeat, strict=True)
            ]
        )

    def _with_repeats(self, background: Floats, mean: float) -> Floats:
        """What one generation sets off lies around it; shape (shifts, n) as given."""
        total, born = background.copy(), background
        for _ in range(GENERATIONS):
            plane = np.zeros((len(born), *self._plane.shape))
            plane[:, self._rows, self._columns] = born
            for axis in (1, 2):
                plane = convolve1d(plane, SPREAD, axis=axis, mode="constant")
            born = mean * plane[:, self._rows, self._columns]
            total += born
        return total

    @cached_property
    def _half(self) -> int:
        return int(-self.column.min())

    @property
    def _columns(self) -> Ints:
        return self.column + self._half

    @property
    def _rows(self) -> Ints:
        return self.row + self._half

    @cached_property
    def _plane(self) -> Ints:
        side = 2 * self._half
        plane = np.full((side, side), -1, np.int64)
        plane[self._rows, self._columns] = np.arange(len(self))
        return plane

    @cached_property
    def _projection(self) -> Transformer:
        own = f"+proj=laea +lat_0={CENTRE[1]} +lon_0={CENTRE[0]} +datum=WGS84 +units=m"
        return Transformer.from_crs("EPSG:4326", own, always_xy=True)


INNER = (
    "渝中区", "江北区", "南岸区", "沙坪坝区", "九龙坡区", "大渡口区", "渝北区", "巴南区", "北碚区",
)  # fmt: skip
"""The nine central urban districts (Chongqing's territorial plan 2021-2035), laid innermost."""
DISTRICT_NAMES = (*INNER, *(name for name in DISTRICTS if name not in INNER))


def _spread() -> Floats:
    """Chance that a near repeat of a point somewhere in a cell falls so many cells away."""
    edges = np.arange(-5, 6) * CELL_M
    scaled = edges / NEAR_REPEAT_M
    # the normal density's second antiderivative: its second difference is the chance asked for
    twice = edges * norm.cdf(scaled) + NEAR_REPEAT_M * norm.pdf(scaled)
    return np.asarray(np.diff(twice, 2) / CELL_M)


SPREAD = _spread()
