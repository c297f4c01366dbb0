"""A small simulated city's history, brought in through the door as everything is; tallies."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.history import History
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.simulator import City, Simulation, simulate
from training.hotspot_tally import Tally

KEY = b"a key for tests only, 32 bytes at least"


def small_city() -> Simulation:
    return simulate(City(subscribers=500, days=36, victims_per_100k_days=1_500.0, staged=0))


def admitted(simulation: Simulation) -> list[pa.Table]:
    """Days of events with pseudonyms for numbers, all accepted."""
    intake = Intake(Pseudonymiser(KEY))
    tables = []
    for raw in simulation.batches():
        accepted, rejected = intake.table(raw)
        assert not rejected.rows
        tables.append(accepted)
    return tables


@pytest.fixture(scope="session")
def city() -> Simulation:
    return small_city()


@pytest.fixture(scope="session")
def days(city: Simulation) -> list[pa.Table]:
    return admitted(city)


@pytest.fixture(scope="session")
def history(days: list[pa.Table], tmp_path_factory: pytest.TempPathFactory) -> History:
    history = History(tmp_path_factory.mktemp("history"))
    for table in days:
        history.append(table)
    return history


@pytest.fixture(scope="session")
def citizens(city: Simulation) -> pa.Table:
    """Who the subscribers are, under their pseudonyms."""
    table = city.citizens
    names = Pseudonymiser(KEY).column("tel", table["subscriber"])
    return table.set_column(0, "subscriber", names)


@pytest.fixture(scope="session")
def as_of(city: Simulation) -> datetime:
    return city.city.end


@pytest.fixture(scope="session")
def trained_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


def tally(weeks: int = 20, offsets: int = 3, skill: float = 1.0) -> Tally:
    """Of a model that knows the intensities up to noise: the more skill, the less of it."""
    noise = np.random.default_rng(1_000)
    found = Tally.over(weeks, offsets, ("THEFT", "ASSAULT"), (0.01, 0.02, 0.05))
    rng = np.random.default_rng(5)
    rates = rng.gamma(0.4, 1.0, (offsets, len(found.categories), 200))
    for week in range(weeks):
        for offset in range(offsets):
            for place, category in enumerate(found.categories):
                rate = rates[offset, place]
                score = np.log(rate) + noise.normal(0, 1 / skill, rate.size)
                found.record(week, offset, category, score, rng.poisson(rate))
    return found


@pytest.fixture(scope="session")
def tallied() -> Callable[..., Tally]:
    """Makes a `tally` by weeks, offsets and skill, always of the same incidents."""
    return tally
