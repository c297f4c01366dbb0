"""Training a city's hotspot model: small cities of every kind, and what cannot be trained on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.incidents import INCIDENT_SCHEMA
from data.simulator.incident_process import happen
from data.simulator.places import PlacesCity
from models.hotspot import HotspotConfig
from models.hotspot_bundle import HotspotBundle
from training.hotspots import HotspotError, HotspotTraining, fit_hotspots
from training.intervals import Interval
from training.surfaces import make_surface

CITY = PlacesCity(days=182, cells=400, incidents_per_day=70)
RECIPE = replace(HotspotConfig().recipe.with_params(num_threads=1, min_data_in_leaf=100), rounds=12)
CONFIG = HotspotConfig(periods=12, warm_up_days=70, moves=((0.5, 0.5),), recipe=RECIPE)
TRAINING = HotspotTraining(starts=(0, 12), held_out=3, config=CONFIG)
ZONE = "Asia/Shanghai"
LATER = timedelta(days=14)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return happen(CITY).table()


@pytest.fixture(scope="module")
def as_of() -> datetime:
    return CITY.end - LATER


@pytest.fixture(scope="module")
def fitted(table: pa.Table, as_of: datetime) -> tuple[HotspotBundle, dict[str, Interval]]:
    return fit_hotspots(table, as_of=as_of, zone=ZONE, training=TRAINING)


def with_column(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    field = INCIDENT_SCHEMA.field(name)
    at = table.schema.get_field_index(name)
    return table.set_column(at, field, pa.array(values).cast(field.type))


def texts(bundle: HotspotBundle) -> tuple[object, ...]:
    return bundle.model.to_texts(), bundle.days.to_text(), bundle.grid.as_dict(), bundle.card


# --- what is trained


def test_figures_are_of_the_weeks_held_out(fitted) -> None:
    bundle, figures = fitted
    assert set(figures) >= {"hit_rate_0.01", "hit_rate_0.02", "pai_0.01", "poisson_deviance"}
    assert sum(name.startswith("gain_percent_over_") for name in figures) == 2
    rate = figures["hit_rate_0.02"]
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rate.value > 0.02
    assert {metric.name for metric in bundle.card.metrics} == set(figures)
    assert bundle.model.trees is not None
    assert np.isfinite(bundle.model.level).all()


def test_what_was_learnt_later_changes_nothing(fitted, table, as_of) -> None:
    known = table.filter(pc.less(table["known_at"], pa.scalar(as_of, table["known_at"].type)))
    assert len(known) < len(table)
    again, figures = fit_hotspots(known, as_of=as_of, zone=ZONE, training=TRAINING)
    assert texts(again) == texts(fitted[0])
    assert repr(figures) == repr(fitted[1])


def test_what_patrols_discovered_changes_nothing_not_even_the_area(fitted, table, as_of) -> None:
    found = with_column(table.slice(0, 500), "origin", ["discovered"] * 500)
    found = with_column(found, "lon", [106.9 + 0.003 * at for at in range(500)])
    both = pa.concat_tables([table, found])
    again, _ = fit_hotspots(both, as_of=as_of, zone=ZONE, training=TRAINING)
    assert texts(again) == texts(fitted[0])
    plain = make_surface(fitted[0], table, (as_of + timedelta(days=1)).date(), as_of)
    mixed = make_surface(fitted[0], both, (as_of + timedelta(days=1)).date(), as_of)
    assert mixed.grid.names() == plain.grid.names()
    assert mixed.expected.tobytes() == plain.expected.tobytes()


def test_the_card_says_what_it_is_made_of(fitted, as_of) -> None:
    card = fitted[0].card
    assert card.as_of == as_of.isoformat()
    assert card.data["cells"] == len(fitted[0].grid)
    assert card.data["categories"] == ", ".join(fitted[0].model.categories)
    assert len(str(card.data["fingerprint"])) == 64
    assert any("discovered" in line for line in card.red_lines)


def test_progress_is_told(table, as_of) -> None:
    told: list[tuple[str, float, str]] = []
    small = replace(TRAINING, starts=(0,), config=replace(CONFIG, moves=(), periods=3))
    fit_hotspots(
        table, as_of=as_of, zone=ZONE, training=small, progress=lambda *said: told.append(said)
    )
    assert [step for step, _, _ in told] == ["grid", "features", "judge", "fit", "fit"]
    assert [share for _, share, _ in told] == sorted(share for _, share, _ in told)


def test_a_search_ends_in_a_recipe_within_its_space(table, as_of) -> None:
    small = replace(
        TRAINING, starts=(0,), trials=2, held_out=2, config=replace(CONFIG, moves=(), periods=8)
    )
    bundle, _ = fit_hotspots(table, as_of=as_of, zone=ZONE, training=small)
    assert 50 <= bundle.card.params["rounds"] <= 600
    assert 7 <= bundle.card.params["num_leaves"] <= 63


# --- what cannot be


def test_too_few_incidents(table, as_of) -> None:
    few = table.slice(0, 9)
    with pytest.raises(HotspotError, match="at least 10 incidents known by then, found 9; bring"):
        fit_hotspots(few, as_of=as_of, zone=ZONE)
    with pytest.raises(HotspotError, match="found 0; bring more, or choose a later as_of"):
        fit_hotspots(table, as_of=CITY.start, zone=ZONE)


def test_discovered_incidents_do_not_count_as_enough(table, as_of) -> None:
    found = with_column(table, "origin", ["discovered"] * len(table))
    with pytest.raises(HotspotError, match="at least 10 incidents"):
        fit_hotspots(found, as_of=as_of, zone=ZONE)


def test_a_short_history(table) -> None:
    with pytest.raises(HotspotError, match="at least 56 days before as_of, found 40; bring"):
        fit_hotspots(table, as_of=CITY.start + timedelta(days=40), zone=ZONE)


def test_days_without_hours_for_several_shifts(table, as_of) -> None:
    days = with_column(table, "precision", ["day"] * len(table))
    with pytest.raises(HotspotError, match=r"hour for 2 shifts, found only the day .*--shifts 0"):
        fit_hotspots(days, as_of=as_of, zone=ZONE, training=TRAINING)


# --- cities of every kind


def city(m: int, days: int, middle: tuple[float, float], spread: float, kinds: int) -> pa.Table:
    rng = np.random.default_rng(m)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    when = np.sort(rng.integers(0, days * 1440, m))
    when[0], when[-1] = 0, days * 1440 - 1
    moments = [start + timedelta(minutes=int(one)) for one in when]
    return pa.Table.from_pylist(
        [
            {
                "incident_id": str(at),
                "occurred_at": moment,
                "known_at": moment,
                "category": f"kind {rng.integers(kinds)}",
                "lon": middle[0] + spread * rng.normal(),
                "lat": middle[1] + spread * rng.normal(),
                "origin": "reported",
                "precision": "minute",
                "source": "test",
            }
            for at, moment in enumerate(moments)
        ],
        schema=INCIDENT_SCHEMA,
    )


def cities() -> Iterator[object]:
    yield pytest.param((city(900, 200, (151.21, -33.87), 0.01, 2), "Australia/Sydney", "AU"),
                       (0, 8, 16), id="southern hemisphere")  # fmt: skip
    yield pytest.param((city(20, 365, (-78.47, -0.18), 0.01, 2), "America/Guayaquil", ""),
                       (0,), id="twenty incidents in a year")  # fmt: skip
    yield pytest.param((city(300, 150, (18.96, 69.65), 0.01, 1), "Europe/Oslo", "NO"),
                       (6, 18), id="one category")  # fmt: skip
    daily = city(400, 150, (-87.6, 41.9), 0.01, 2)
    daily = with_column(daily, "precision", ["day"] * 400)
    yield pytest.param((daily, "America/Chicago", "US"), (0,), id="days without hours")
    yield pytest.param((city(400, 150, (106.5, 29.5), 0.0, 2), ZONE, "CN"),
                       (0,), id="all at one spot")  # fmt: skip
    yield pytest.param((city(200, 56, (-175.2, -21.1), 0.01, 1), "Pacific/Tongatapu", ""),
                       (0,), id="the shortest history")  # fmt: skip
    wide = city(300, 150, (180.0, -16.8), 0.01, 1)
    lon = (wide["lon"].to_numpy() + 180) % 360 - 180
    yield pytest.param((with_column(wide, "lon", lon.tolist()), "Pacific/Fiji", ""),
                       (0,), id="across the date line")  # fmt: skip


@pytest.mark.parametrize(("given", "starts"), list(cities()))
def test_cities_of_every_kind(given, starts) -> None:
    table, zone, country = given
    as_of = table["occurred_at"][-1].as_py() + timedelta(hours=1)
    training = replace(TRAINING, starts=starts, country=country)
    bundle, figures = fit_hotspots(table, as_of=as_of, zone=zone, training=training)
    assert all(isinstance(name, str) for name in figures)
    day = as_of.astimezone(bundle.shifts.begin(as_of.date()).tzinfo).date()
    surface = make_surface(bundle, table, day, as_of)
    assert surface.expected.shape == (len(bundle.model.categories), len(starts), len(surface.grid))
    assert np.isfinite(surface.expected).all()
    assert (surface.low <= surface.expected).all()
    assert (surface.expected <= surface.high).all()
    per_day = len(table) / max((as_of - table["occurred_at"][0].as_py()).days, 1)
    assert per_day / 3 < surface.expected.sum() < 3 * per_day
