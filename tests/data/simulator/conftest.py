import pyarrow as pa
import pytest

from data.simulator import City, Simulation, simulate


@pytest.fixture(scope="session")
def town() -> Simulation:
    """A small city of three weeks."""
    return simulate(City(subscribers=6_000, days=21))


@pytest.fixture(scope="session")
def batches(town: Simulation) -> list[pa.Table]:
    return list(town.batches())


@pytest.fixture(scope="session")
def history(batches: list[pa.Table]) -> pa.Table:
    tables = [table.unify_dictionaries() for table in batches]
    return pa.concat_tables(tables).unify_dictionaries()


@pytest.fixture(scope="session")
def metropolis() -> Simulation:
    """A big city, for its scripts only: hundreds of victims to take shares of."""
    return simulate(City(subscribers=80_000, days=60, seed=11))
