"""The event table: contracts, order, one text for one thing, the same city from the same seed."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.events import EVENT_TYPES
from data.simulator import City, Simulation, simulate
from data.tables import EVENT_SCHEMA, from_events, to_events

SMALL = City(subscribers=800, days=4)


def joined(city: City) -> pa.Table:
    return pa.concat_tables([batch.unify_dictionaries() for batch in simulate(city).batches()])


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_kind_meets_its_contract(history: pa.Table, kind: str) -> None:
    rows = history.filter(pc.equal(history["kind"].cast(pa.string()), kind))
    sample = rows.take(np.linspace(0, rows.num_rows - 1, 300).astype(int))

    events = to_events(sample)

    back = from_events(events, late=sample["late"].to_pylist()).drop_columns("seq")
    assert back.to_pylist() == sample.drop_columns("seq").to_pylist()


def test_batches_have_the_schema_and_the_order_of_arrival(history: pa.Table) -> None:
    assert history.schema.equals(EVENT_SCHEMA)
    assert history["seq"].to_pylist() == list(range(history.num_rows))
    known = history["known_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(known) >= 0).all()
    equal = np.flatnonzero(np.diff(known) == 0)
    ids = history["event_id"].to_pylist()
    assert all(ids[place] < ids[place + 1] for place in equal)


def test_nothing_is_known_before_it_happens_or_outside_the_history(
    town: Simulation, history: pa.Table
) -> None:
    known = history["known_at"].cast(pa.int64()).to_numpy()
    assert (known >= history["occurred_at"].cast(pa.int64()).to_numpy()).all()
    assert known.min() >= town.city.start_us
    assert known.max() < town.city.end_us


def test_late_and_out_of_order_events_are_marked(history: pa.Table) -> None:
    known = history["known_at"].cast(pa.int64()).to_numpy()
    occurred = history["occurred_at"].cast(pa.int64()).to_numpy()
    late = history["late"].to_numpy()
    assert (late == (known - occurred > 300_000_000)).all()
    assert 0.01 < late.mean() < 0.05
    assert 0.05 < (np.diff(occurred) < 0).mean() < 0.6


def test_each_day_of_arrival_is_a_batch(town: Simulation, batches: list[pa.Table]) -> None:
    starts = [batch["known_at"][0].as_py() for batch in batches]
    assert len(starts) == town.city.days
    assert [(moment - town.city.start).days for moment in starts] == list(range(town.city.days))


def test_event_ids_are_unique(history: pa.Table) -> None:
    assert pc.count_distinct(history["event_id"]).as_py() == history.num_rows


def test_one_thing_has_one_text(town: Simulation, batches: list[pa.Table]) -> None:
    for name in ("subscriber", "counterpart", "account", "device"):
        words = batches[-1][name].chunk(0).dictionary
        assert pc.count_distinct(words).as_py() == len(words)
    assert pc.count_distinct(town.citizens["subscriber"]).as_py() == town.city.subscribers


def test_a_number_and_an_account_may_read_the_same(history: pa.Table) -> None:
    wallets = history.filter(pc.equal(history["channel"].cast(pa.string()), "wallet"))
    assert wallets["account"].cast(pa.string()).equals(wallets["subscriber"].cast(pa.string()))


def test_the_same_seed_gives_the_same_city() -> None:
    assert joined(SMALL).equals(joined(SMALL))
    assert simulate(SMALL).truth.equals(simulate(SMALL).truth)


def test_another_seed_gives_another_city() -> None:
    other = joined(City(subscribers=800, days=4, seed=8))
    assert set(other["event_id"].to_pylist()).isdisjoint(joined(SMALL)["event_id"].to_pylist())


def test_a_history_may_end_at_any_moment() -> None:
    moment = datetime(2026, 7, 9, 3, 21, 7, tzinfo=UTC)
    city = City.ending(moment, subscribers=400, days=2)
    assert city.end == moment
    last = list(simulate(city).batches())[-1]["known_at"][-1].as_py()
    assert (moment - last).total_seconds() < 3600


def test_a_city_without_fraud() -> None:
    town = simulate(City(subscribers=400, days=2, victims_per_100k_days=0, staged=0))
    assert town.truth.num_rows == 0
    assert all("report" not in batch["kind"].to_pylist() for batch in town.batches())


@pytest.mark.parametrize(
    ("name", "value"),
    [("subscribers", 3), ("days", 0), ("unreported", 1.5), ("victims_per_100k_days", -1)],
)
def test_a_city_outside_its_bounds_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name}: expected .*, found {value}; pass"):
        City(**{name: value})  # type: ignore[arg-type]


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="start: expected a time with a zone"):
        City(start=datetime(2026, 1, 1))  # noqa: DTZ001
