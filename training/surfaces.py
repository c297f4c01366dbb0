"""A day's map from incidents and a published model: expected counts, certificate, reasons.

The forecast is made on the map's own grid and again on sixteen that might as well have been
chosen; what holds on all of them is drawn, what does not is grey (`models.stability`), for each
category and for all together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.grid import Grid
from features.hotspot import Log, Panel, reported
from features.shifts import Shifts
from models.hotspot import Forecast, HotspotModel
from models.hotspot_bundle import HotspotBundle
from models.hotspot_reasons import explain_cells
from models.stability import alternatives, certify_maps
from models.surface import Surface, SurfaceError

__all__ = ["SurfaceOptions", "make_surface"]

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SurfaceOptions:
    """What a surface shall hold.

    Parameters
    ----------
    coverages : tuple of float
        Shares of the area at which the certificate counts.
    explained : float
        Share of the cells that get reasons, of each shift the likeliest.
    places : Table, optional
        What stands where, if the model learnt from it.
    """

    coverages: tuple[float, ...] = (0.01, 0.02, 0.05)
    explained: float = 0.02
    places: pa.Table | None = None


@dataclass(frozen=True, eq=False)
class _Known:
    """What a forecast may look at, the first day of its period, and the day of it that is asked."""

    incidents: pa.Table
    places: pa.Table | None
    as_of: datetime
    start: int
    day: date


def make_surface(
    bundle: HotspotBundle,
    table: pa.Table,
    day: date,
    as_of: datetime,
    *,
    options: SurfaceOptions | None = None,
    progress: Progress | None = None,
) -> Surface:
    """Forecast the shifts of a day.

    Parameters
    ----------
    bundle : HotspotBundle
    table : Table
        `INCIDENT_SCHEMA`; of it only what was known before `as_of` is looked at.
    day : date
        At most the model's horizon after `as_of`, by the city's clock.
    as_of : datetime
        Aware.

    Raises
    ------
    SurfaceError
        If the day lies too far ahead or behind, or no incident is known.
    """
    options, told = options or SurfaceOptions(), progress or (lambda _sentence, _share: None)
    known = reported(table)
    known = known.filter(pc.less(known["known_at"], pa.scalar(as_of, known["known_at"].type)))
    seen = _Known(known, options.places, as_of, _start(bundle, day, as_of), day)
    lon, lat = known["lon"].to_numpy(), known["lat"].to_numpy()
    if not len(lon):
        raise SurfaceError("expected incidents known by then, found none; bring some first")
    grid = Grid.over(lon, lat, bundle.grid.size_m, centre=bundle.grid.centre)
    told("forecast", 0.0)
    panel, forecast, ratio = _forecast(bundle, seen, grid)
    expected = forecast.expected * ratio
    others = (
        (other, _maps(_expected(bundle, seen, other)))
        for other in _told(alternatives(grid, lon, lat), told)
    )
    certificates = certify_maps(grid, _maps(expected), others, coverages=options.coverages)
    shape = (len(bundle.model.categories) + 1, len(bundle.shifts), len(grid))
    told("reasons", 0.9)
    return Surface(
        grid=grid,
        shifts=bundle.shifts,
        day=day,
        as_of=as_of,
        categories=bundle.model.categories,
        model=bundle.version,
        expected=expected,
        low=forecast.low * ratio,
        high=forecast.high * ratio,
        usual=forecast.usual * ratio,
        rank_low=np.array([one.rank_low for one in certificates], np.int32).reshape(shape),
        rank_high=np.array([one.rank_high for one in certificates], np.int32).reshape(shape),
        share_in_top={
            cover: np.array([one.share_in_top[cover] for one in certificates], np.float32).reshape(
                shape
            )
            for cover in options.coverages
        },
        reasons=_reasons(bundle.model, panel, forecast, expected, options.explained),
    )


def _start(bundle: HotspotBundle, day: date, as_of: datetime) -> int:
    """First day of the period forecast: the one in which `as_of` falls."""
    found, _ = bundle.shifts.of(pd.DatetimeIndex([as_of]))
    start = int(found[0])
    ahead = Shifts.number_of(day) - start
    if not 0 <= ahead < bundle.model.horizon_days:
        first, last = Shifts.date_of(start), Shifts.date_of(start + bundle.model.horizon_days - 1)
        raise SurfaceError(
            f"expected a day from {first} to {last}, which the model sees from that as_of, found "
            f"{day}; choose one of these, or another as_of"
        )
    return start


def _forecast(bundle: HotspotBundle, known: _Known, grid: Grid) -> tuple[Panel, Forecast, Floats]:
    """The whole period's forecast, and the share of it that falls on the day."""
    categories = bundle.model.categories
    log = Log.of(known.incidents, grid, bundle.shifts, categories, known.places)
    panel = Panel(log, known.start, bundle.model.horizon_days, known.as_of)
    ratio = bundle.days.of_places(log, known.day, known.start) / bundle.model.horizon_days
    return panel, bundle.model.forecast(panel), ratio


def _expected(bundle: HotspotBundle, known: _Known, grid: Grid) -> Floats:
    """Incidents expected on the day, shape (categories, shifts, cells)."""
    _, forecast, ratio = _forecast(bundle, known, grid)
    return forecast.expected * ratio


def _maps(expected: Floats) -> Floats:
    """Each category's map of each shift, then those of all together, one a row."""
    every = np.concatenate([expected, expected.sum(axis=0, keepdims=True)])
    return every.reshape(-1, expected.shape[-1])


def _told(grids: list[Grid], told: Progress) -> Iterator[Grid]:
    for number, grid in enumerate(grids, 1):
        yield grid
        told(f"certificate: grid {number} of {len(grids)}", 0.1 + 0.8 * number / len(grids))


def _reasons(
    model: HotspotModel, panel: Panel, forecast: Forecast, expected: Floats, share: float
) -> dict[tuple[int, int, int], tuple[tuple[str, str], ...]]:
    """Sentences for the likeliest cells of each shift, for the category each sees most of."""
    wanted = max(1, round(share * expected.shape[2]))
    found: dict[tuple[int, int, int], tuple[tuple[str, str], ...]] = {}
    for shift in range(expected.shape[1]):
        top = np.argsort(-expected[:, shift].sum(axis=0), kind="stable")[:wanted]
        for category in range(expected.shape[0]):
            own = np.argsort(-expected[category, shift], kind="stable")[:wanted]
            cells = np.union1d(top, own).tolist()
            said = explain_cells(model, panel, forecast, category, shift, cells)
            found.update(
                {(category, shift, cell): one for cell, one in zip(cells, said, strict=True)}
            )
    return found
