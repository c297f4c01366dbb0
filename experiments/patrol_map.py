"""From incidents to an explained patrol map: what `forewarn hotspots` does."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from data.incident_files import ColumnMap
from data.incident_ingest import incident_history, ingest_incidents, read_truth_incidents
from data.settings import Settings
from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from experiments.result import Result
from features.covariates import CovariateError, Covariates
from features.grid import Grid
from models.hotspot import HotspotConfig
from models.hotspot_bundle import HotspotBundle
from models.sealed import published
from models.signing import PublicKey
from models.surface import Surface
from models.trees import ModelError
from serving.hotspots import geojson
from serving.map_of_day import MapOfDay
from training.hotspot_map import check_picture, draw_map
from training.hotspots import HotspotError, HotspotTraining, train_hotspots
from training.surfaces import SurfaceOptions, make_surface

__all__ = [
    "Asked",
    "Mapped",
    "keep_places",
    "known_places",
    "lay_incidents",
    "made_map",
    "map_of_today",
    "published_hotspots",
]

Progress = Callable[[str, float], None]
SIMULATED = "simulator"
STALE_DAYS = 7  # a forecast's own length
PLACES = Path("incidents") / "places.table"
SHARES = ("area_share", "expected_share")


@dataclass(frozen=True)
class Asked:
    """What map is asked for.

    Parameters
    ----------
    as_of : datetime
        Aware; only what was known before is looked at.
    day : date, optional
        By default the day in which `as_of` falls.
    incidents : Path, optional
        A file to take in first.
    columns : ColumnMap, optional
        Which of its columns is which.
    places : Path, optional
        A table of what stands where, to be kept and learnt from: ``.csv`` or ``.parquet``.
    coverage : float
        Share of the area that the file shows.
    category : str, optional
        By default all together.
    out : Path
        GeoJSON file to write.
    picture : Path, optional
        PNG or SVG to draw of each shift; the shift is added to its name.
    lang : str
        Of the picture, ``zh`` or ``en``.
    training : HotspotTraining
        Used where no published model fits.
    strict : tuple of str
        Fields of `training` that a published model must share: those that somebody asked for.

    Raises
    ------
    ValueError
        If it could not be made.
    """

    as_of: datetime
    out: Path
    day: date | None = None
    incidents: Path | None = None
    columns: ColumnMap | None = None
    places: Path | None = None
    coverage: float = 0.01
    category: str | None = None
    picture: Path | None = None
    lang: str = "zh"
    training: HotspotTraining = field(default_factory=HotspotTraining)
    strict: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse at once what would be refused after minutes."""
        if self.as_of > datetime.now(UTC) + timedelta(minutes=5):
            raise ValueError(f"expected an as_of that has come, found {self.as_of}; correct it")
        if not 0 < self.coverage <= 1:
            raise ValueError(
                f"expected a coverage above 0 and at most 1, found {self.coverage:g}; 0.01 is 1 %"
            )
        if self.picture is not None:
            check_picture(self.picture, self.lang)


@dataclass(frozen=True, eq=False)
class Mapped:
    """What was made."""

    surface: Surface
    coverage: float
    latest: datetime
    folder: Path
    files: tuple[Path, ...]
    cells: int

    def result(self) -> Result:
        """For people: the five likeliest cells of each shift, with the first reason."""
        rows = [row for shift in range(len(self.surface.shifts)) for row in self._likeliest(shift)]
        return Result(
            f"reported incidents expected on {self.surface.day}, as of {self.surface.as_of:%F %R}",
            ("shift", "cell", "expected [interval]", "x usual", "rank on moved grids", "stable"),
            rows,
            {
                "day": self.surface.day.isoformat(),
                "model": self.surface.model,
                "cells": self.cells,
                "files": [str(file) for file in self.files],
                "surface": str(self.folder),
            },
            (*self._age(), *(f"written: {file}" for file in self.files)),
        )

    def _age(self) -> Iterator[str]:
        """Say so where what is known ends long before the map begins: nothing is filled in."""
        days = (self.surface.as_of - self.latest).days
        if days > STALE_DAYS:
            yield (
                f"expected incidents up to as_of, found the last one known {days} days earlier "
                f"({self.latest:%F}): the map is of what was known then; bring later ones"
            )

    def _likeliest(self, shift: int) -> Iterator[tuple[str, ...]]:
        layer, names = self.surface.layer(shift), self.surface.grid.names()
        stable = layer.stable(self.coverage)
        for cell in layer.order[:5].tolist():
            low, expected, high = (one[cell] for one in (layer.low, layer.expected, layer.high))
            yield (
                self.surface.shifts.names[shift],
                names[cell],
                f"{expected:.2f} [{low:.2f}, {high:.2f}]",
                f"{expected / layer.usual[cell]:.2f}",
                f"{layer.rank_low[cell]}-{layer.rank_high[cell]}",
                "yes" if stable[cell] else "no: grey",
            )


def made_map(asked: Asked, settings: Settings, progress: Progress) -> Mapped:
    """Take a file in, train where no model is there, forecast, store and write the map.

    Raises
    ------
    TableError, HotspotError, SurfaceError, BundleError
        If the file cannot be read, there are too few incidents, or the day is out of reach.
    """
    if asked.incidents is not None:
        taken = ingest_incidents(asked.incidents, settings, asked.columns, progress=progress)
        if not taken.accepted + taken.duplicates:
            raise HotspotError(
                f"expected incidents of this city in {asked.incidents.name}, found "
                f"{taken.refused:,} rows that are refused; see forewarn quarantine list --incidents"
            )
        progress(
            f"{taken.accepted:,} incidents accepted, {taken.duplicates:,} there already, "
            f"{taken.refused:,} in quarantine",
            0.1,
        )
    if asked.places is not None:
        keep_places(asked.places, settings)
    table = read_truth_incidents(settings, asked.as_of)
    bundle = _fitting(asked, settings)
    if bundle is None:
        progress("no published hotspot model fits: training one", 0.1)
        _train(table, asked, settings, progress)
        bundle = _fitting(asked, settings)
    if bundle is None:
        raise HotspotError("expected the model just trained to fit, found it does not; report this")
    day = asked.day or _day_of(bundle, asked.as_of)
    options = SurfaceOptions(
        coverages=tuple(sorted({*SurfaceOptions.coverages, asked.coverage})),
        explained=max(asked.coverage, SurfaceOptions.explained),
        places=known_places(settings),
    )
    surface = make_surface(bundle, table, day, asked.as_of, options=options, progress=progress)
    surface.layer(0, asked.category).top(asked.coverage)  # refused before anything is written
    folder = surface.save(settings.var / "hotspots" / day.isoformat())
    latest = pc.max(table["occurred_at"]).as_py()
    files, cells = _written(surface, asked, latest)
    return Mapped(surface, asked.coverage, latest, folder, tuple(files), cells)


def lay_incidents(settings: Settings, city: PlacesCity | None = None, *, seed: int = 7) -> int:
    """Fill the incident history with a simulated city's that ends today; how many were new.

    Parameters
    ----------
    city : PlacesCity, optional
        Its first day is not looked at. By default two years of 100 square kilometres.
    """
    history = incident_history(settings)
    sources = set(history.read(columns=["source"])["source"].to_pylist())
    if sources - {SIMULATED}:
        raise HotspotError(
            "expected a history without real incidents, found some; simulate under another "
            "FOREWARN_VAR, or invented ones would be learnt from"
        )
    city = city or PlacesCity(seed=seed)
    begins = datetime.now(UTC).date() - timedelta(days=city.days)
    return history.append(happen(replace(city, first_day=begins)).table())


def map_of_today(settings: Settings, told: Progress) -> Surface:
    """Forecast today's shifts of a small simulated city, for a demonstration."""
    told("simulated incidents", 0.0)
    lay_incidents(settings, PlacesCity(cells=500, days=400, incidents_per_day=60))
    config = replace(HotspotConfig(), periods=26, moves=())
    quick = replace(config, recipe=replace(config.recipe, rounds=40))
    out = settings.var / "hotspots" / "today.geojson"
    training = HotspotTraining(held_out=4, config=quick)
    asked = Asked(as_of=datetime.now(UTC), out=out, coverage=0.05, training=training)
    return made_map(asked, settings, told).surface


def keep_places(file: Path, settings: Settings) -> None:
    """Keep a table of what stands where; models trained from now on learn from it.

    Raises
    ------
    CovariateError
        If it cannot be read, or is not of places and numbers.
    """
    try:
        table = pacsv.read_csv(file) if file.suffix.lower() == ".csv" else pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise CovariateError(
            f"expected a table of places in {file}, found none that can be read "
            f"({type(error).__name__}); bring a CSV or Parquet file"
        ) from error
    Covariates.of(table, Grid.over([0.0], [0.0], 250.0))
    kept = settings.var / PLACES
    kept.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, kept)


def known_places(settings: Settings) -> pa.Table | None:
    """The table that `keep_places` kept."""
    kept = settings.var / PLACES
    return pq.read_table(kept) if kept.exists() else None


def published_hotspots(settings: Settings) -> Iterator[HotspotBundle]:
    """The published hotspot models, verified, the latest first; of other versions none.

    Raises
    ------
    BundleError
        If one was changed.
    """
    for bundle in published(settings.var / "hotspot-models"):
        key = PublicKey.from_file(settings.var / "keys" / "bundle.pub")
        try:
            opened = HotspotBundle.load(bundle, key)
        except ModelError:
            continue  # it learnt from columns that this version does not make
        yield opened


def _fitting(asked: Asked, settings: Settings) -> HotspotBundle | None:
    """The latest model that could have been had then and is as asked."""
    table = known_places(settings)
    names = Covariates.of(table, Grid.over([0.0], [0.0], 250.0)).names if table is not None else ()
    for bundle in published_hotspots(settings):
        then = datetime.fromisoformat(bundle.card.as_of) <= asked.as_of
        if then and bundle.model.covariates == names and _as_asked(bundle, asked):
            return bundle
    return None


def _as_asked(bundle: HotspotBundle, asked: Asked) -> bool:
    has = {
        "size_m": bundle.grid.size_m,
        "starts": bundle.shifts.starts,
        "country": bundle.days.calendar.country,
    }
    return all(has[name] == getattr(asked.training, name) for name in asked.strict)


def _train(table: pa.Table, asked: Asked, settings: Settings, progress: Progress) -> None:
    train_hotspots(
        table,
        as_of=asked.as_of,
        settings=settings,
        places=known_places(settings),
        training=asked.training,
        progress=lambda step, share, note: progress(f"{step} {note}", 0.1 + 0.5 * share),
    )


def _day_of(bundle: HotspotBundle, as_of: datetime) -> date:
    day, _ = bundle.shifts.of(pd.DatetimeIndex([as_of.astimezone(UTC)]))
    return bundle.shifts.date_of(int(day[0]))


def _written(surface: Surface, asked: Asked, latest: datetime) -> tuple[list[Path], int]:
    """One GeoJSON of all shifts, reasons included, and pictures if asked for."""
    features: list[dict[str, Any]] = []
    page: dict[str, Any] = {}
    shifts: list[dict[str, Any]] = []
    found = MapOfDay(surface, ())
    for shift in range(len(surface.shifts)):
        page = geojson(found, shift, asked.category, asked.coverage)
        shifts.append(page.pop("shift") | {share: page.pop(share) for share in SHARES})
        for feature in page["features"]:
            cell = surface.position(feature["properties"]["cell"])
            feature["properties"]["shift"] = surface.shifts.names[shift]
            feature["properties"]["why"] = _why(found, shift, cell, asked)
            features.append(feature)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    whole = {**page, "last_incident_at": latest, "shifts": shifts, "features": features}
    asked.out.write_text(json.dumps(whole, ensure_ascii=False, default=_said_time), "utf-8")
    files = [asked.out]
    if asked.picture is not None:
        for shift, name in enumerate(surface.shifts.names):
            path = asked.picture.with_stem(f"{asked.picture.stem}-{name}")
            draw_map(
                surface,
                shift,
                path,
                category=asked.category,
                coverage=asked.coverage,
                lang=asked.lang,
            )
            files.append(path)
    return files, len(features)


def _said_time(moment: datetime | date) -> str:
    """As RFC 3339 has it."""
    return moment.isoformat()


def _why(found: MapOfDay, shift: int, cell: int, asked: Asked) -> dict[str, list[str]]:
    """Sentences on a cell; without a category, on the one of which most is expected there."""
    surface, category = found.surface, asked.category
    expected = surface.expected[:, shift, cell]
    kind = int(expected.argmax()) if category is None else surface.categories.index(category)
    reporting = found.bands(shift, category).said(cell, asked.coverage)
    said = (*surface.reasons.get((kind, shift, cell), ()), reporting)
    return {"zh": [zh for zh, _ in said], "en": [en for _, en in said]}
