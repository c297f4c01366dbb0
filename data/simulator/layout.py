"""How the simulated city is laid out: districts, land use, and how much of everything each has.

References
----------
Vogel, "A better way to construct the sunflower head", Mathematical Biosciences 44 (1979).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from data.simulator.city import DISTRICTS
from data.simulator.places import (
    CATEGORIES,
    CELL_M,
    DISTRICT_NAMES,
    INNER,
    LAND_USES,
    Places,
    PlacesCity,
)

__all__ = ["lay_out"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEAR_M, SCENE_M = 400.0, 600.0  # a centre's reach; how far station and bars lie from it (assumed)
SHARES = np.array([0.55, 0.25, 0.20])  # of what happens, by category (assumed)
# Incidents per cell against a residential one, by category (assumed: shops and stations draw theft,
# bars draw fights).
INTENSITY = np.array(
    [
        [6.0, 1.0, 5.0, 8.0, 0.7, 0.6, 0.5],
        [2.5, 1.0, 10.0, 4.0, 0.8, 0.6, 0.8],
        [1.5, 1.0, 3.0, 1.5, 0.8, 1.0, 0.7],
    ]
)
# Log standard deviation of a cell's own factor, shared and by category (chosen so that the
# likeliest 5 % of cells hold 35 % of theft and 20 % of damage: in Chicago, at 250 m, a count finds
# 39 % and 18 % there, PAI 7.84 and 3.57).
UNEVEN, UNEVEN_OWN = 0.6, np.array([0.7, 0.3, 0.3])

# Share that citizens report. Property 0.32 and violence 0.42: Bureau of Justice Statistics,
# Criminal Victimization 2022; no Chinese survey by category is known to us. Factors by land use and
# the districts' spread are assumed.
REPORTED = np.array([0.32, 0.42, 0.32])
REPORTED_BY_USE = np.array([1.15, 1.0, 0.75, 1.2, 0.85, 0.9, 0.75])
REPORTED_SPREAD = (0.7, 1.3)
REPORTED_LIMITS = (0.05, 0.95)


def lay_out(city: PlacesCity) -> Places:
    """Lay the ground: districts of like area on a sunflower's head, land use in patches.

    Examples
    --------
    >>> places = lay_out(PlacesCity(cells=1_000))
    >>> len(places.districts), np.bincount(places.district).min() > 10
    (38, np.True_)
    """
    rng = city.random(20)
    half = int(np.ceil(np.sqrt(city.cells / np.pi)))
    row, column = (part.ravel() - half for part in np.indices((2 * half, 2 * half)))
    inside = (row + 0.5) ** 2 + (column + 0.5) ** 2 <= city.cells / np.pi
    row, column = row[inside], column[inside]
    points = np.stack([column + 0.5, row + 0.5], axis=1) * CELL_M
    seeds = _sunflower(len(DISTRICT_NAMES)) * CELL_M * np.sqrt(city.cells / np.pi)
    district = np.asarray(cKDTree(seeds).query(points)[1], np.int64)
    use = _land_use(points, seeds, district, rng)
    density = np.array([DISTRICTS[name] for name in DISTRICT_NAMES])
    # crowded districts have more of everything, by the root of their residents (assumed)
    own = UNEVEN_OWN[:, None] * rng.normal(size=(len(CATEGORIES), len(use)))
    own += UNEVEN * rng.normal(size=len(use))
    weight = INTENSITY[:, use] * np.sqrt(density / density.mean())[district] * np.exp(own)
    per_day = city.incidents_per_day * SHARES * (1 - np.array(city.near_repeat))
    return Places(
        city=city,
        column=column,
        row=row,
        district=district,
        use=use,
        background=per_day[:, None] * weight / weight.sum(axis=1, keepdims=True),
        reporting=_reporting(city, district, use, rng),
    )


def _sunflower(count: int) -> Floats:
    """Seeds of equal areas in the unit disc, the first in the middle."""
    at = np.arange(count)
    radius, angle = np.sqrt((at + 0.5) / count), at * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _land_use(points: Floats, seeds: Floats, district: Ints, rng: np.random.Generator) -> Ints:
    """Patches of green, industry and villages; in each district a centre, a station, some bars."""
    green, rural = (_patches(points, rng) for _ in range(2))
    outer = district >= len(INNER)
    use = np.full(len(points), LAND_USES.index("residential"), np.int64)
    use[outer & (rural > 0.4)] = LAND_USES.index("village")
    use[green > 1.2] = LAND_USES.index("industrial")
    use[green < -1.3] = LAND_USES.index("park")
    use[np.hypot(*(points - seeds[district]).T) < NEAR_M] = LAND_USES.index("centre")
    cells = cKDTree(points)
    for name, count in (("nightlife", 2), ("station", 1)):
        angle = rng.random(len(seeds)) * 2 * np.pi
        scene = seeds + SCENE_M * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        use[np.ravel(cells.query(scene, k=count)[1])] = LAND_USES.index(name)
    return use


def _patches(points: Floats, rng: np.random.Generator) -> Floats:
    """Standard normal noise, alike within some 500 m."""
    at = np.floor(points / CELL_M).astype(np.int64)
    at -= at.min(axis=0)
    smooth = gaussian_filter(rng.normal(size=tuple(at.max(axis=0) + 1)), 2.0)
    found = smooth[at[:, 0], at[:, 1]]
    return np.asarray((found - found.mean()) / found.std())


def _reporting(city: PlacesCity, district: Ints, use: Ints, rng: np.random.Generator) -> Floats:
    by_district = rng.uniform(*REPORTED_SPREAD, len(DISTRICT_NAMES))
    factor = (by_district[district] * REPORTED_BY_USE[use]) ** city.uneven_reporting
    return np.asarray(np.clip(REPORTED[:, None] * factor, *REPORTED_LIMITS))
