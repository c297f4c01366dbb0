"""A bundle trained in a second on made-up vectors, events it warns of or does not, a database."""

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from data.database import connect, upgrade
from data.settings import Settings
from data.stores import open_database
from features.fraud import FRAUD_FEATURES
from models.bundle import Parts
from models.card import Card, Metric
from models.fraud import FraudModel, fraud_recipe
from models.norms import Norms
from models.policy import Policy
from models.scam_type import ScamTypeModel
from models.signing import Signer
from models.stage import StageModel
from models.trees import Rows
from serving.access import MAY, Action, Actor, Desk, Role
from serving.server import Place, Running, running

ROWS = 1_200
Make = Callable[..., dict[str, Any]]


def _vectors() -> tuple[np.ndarray, np.ndarray]:
    """Vectors where a long call from abroad is fraud, and all else is noise."""
    rng = np.random.default_rng(20221201)
    X = rng.poisson(1.0, (ROWS, len(FRAUD_FEATURES))).astype(np.float64)
    X[rng.random(X.shape) < 0.1] = np.nan
    duration, foreign = (
        FRAUD_FEATURES.names.index(f"event.{name}.value") for name in ("duration", "foreign")
    )
    X[:, duration] = rng.integers(0, 3_600, ROWS)
    X[:, foreign] = rng.random(ROWS) < 0.3
    return X, ((X[:, duration] > 900) & (X[:, foreign] == 1)).astype(np.int64)


def _parts() -> Parts:
    X, y = _vectors()
    names = FRAUD_FEATURES.names
    kind = np.array(["call", "transfer"] * (ROWS // 2))
    small = {"num_threads": 1, "num_leaves": 7, "min_data_in_leaf": 20, "max_bin": 15}
    recipe = replace(fraud_recipe(learning_rate=0.3, **small), rounds=10)
    fraud = FraudModel.fit(Rows(X, y), names, recipe).calibrate(X, y)
    codes = np.arange(ROWS) % 11
    few = replace(ScamTypeModel.recipe(**small), rounds=1)
    types = ScamTypeModel.fit(Rows(X, codes), names, few)
    few = replace(StageModel.recipe(**small), rounds=1)
    stage = StageModel.fit(Rows(X, codes % 3), names, few)
    policy = Policy.fit(fraud.score(X), np.arange(ROWS) // 300, np.arange(ROWS))
    card = Card("Test", "Warn in a test.", "2026-01-01T00:00:00+00:00", **_figures())
    norms = Norms.fit(X[y == 0], kind[y == 0], names)
    return Parts(fraud, types, stage, policy, norms, FRAUD_FEATURES, card)


def _figures() -> dict[str, Any]:
    """What a card tells beside its words, as training leaves it."""
    given = (0.001, 0.004, 0.02, 0.08, 0.3)
    calibration = [
        {"predicted": p, "observed": 1.1 * p, "low": 0.7 * p, "high": 1.6 * p, "events": 2_000.0}
        for p in given
    ]
    capacity = [
        {"alerts": n, "recall": n / (n + 30), "precision": 9 / (n + 9), "preventable": n / (n + 60)}
        for n in (1, 5, 20, 100, 200)
    ]
    edges = [0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0]
    scores = {"edges": edges, "shares": [0.6, 0.2, 0.1, 0.05, 0.02, 0.01, 0.01, 0.005, 0.005]}
    return {
        "metrics": (Metric("recall_at_capacity", 0.61, 0.5, 0.7), Metric("auc", 0.93, 0.9, 0.95)),
        "baselines": (Metric("rule.recall_at_capacity", 0.2, 0.1, 0.3), Metric("rule.auc", 0.6)),
        "curves": {"calibration": calibration, "capacity": capacity, "scores": scores},
    }


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training leaves it: a signed bundle and the key that confirms it."""
    var = tmp_path_factory.mktemp("published")
    signer = Signer.at(var / "keys" / "bundle.pem")
    _parts().write(var / "bundles" / "one", signer)
    return var


@pytest.fixture(scope="session")
def bundle_at(published: Path) -> tuple[Path, Path]:
    """The bundle and its public key."""
    return published / "bundles" / "one", published / "keys" / "bundle.pub"


@pytest.fixture(scope="session")
def new_settings(
    published: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Settings]:
    """Settings of a fresh deployment with that bundle; stores embedded."""

    def make() -> Settings:
        var = tmp_path_factory.mktemp("var")
        shutil.copytree(published, var, dirs_exist_ok=True)
        return Settings(var=var, pseudonym_key=b"a key for tests only, 32 bytes at least")

    return make


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """URL of a new database, brought up to date, in the one PostgreSQL of this run.

    It is copied: to start a server takes seconds.
    """
    with open_database(Settings(var=tmp_path_factory.mktemp("var"))) as url:
        upgrade(url)
        first = make_url(url)
        numbers = iter(range(1_000_000))
        engine = create_engine(first.set(database="postgres"), isolation_level="AUTOCOMMIT")

        def make() -> str:
            new = first.set(database=f"test_{next(numbers)}")
            with engine.connect() as connection:
                connection.execute(
                    text(f"CREATE DATABASE {new.database} TEMPLATE {first.database}")
                )
            return new.render_as_string(hide_password=False)

        yield make
        engine.dispose()


@pytest.fixture(scope="module")
def server(new_database: Callable[[], str]) -> str:
    """URL of a database of the module's own."""
    return new_database()


@pytest.fixture
def call() -> Make:
    """A call event; keywords change or add fields."""
    count = iter(range(1_000_000))

    def make(**changes: Any) -> dict[str, Any]:
        number = next(count)
        event = {
            "kind": "call",
            "event_id": f"test-{number}-{np.random.default_rng().integers(1 << 60):x}",
            "occurred_at": (datetime.now(UTC) - timedelta(seconds=30)).isoformat(),
            "subscriber": "13800138000",
            "counterpart": "+85291234567",
            "direction": "incoming",
            "duration_s": 60,
            "foreign": False,
        }
        return {**event, **changes}

    return make


@pytest.fixture
def fraud_call(call: Make) -> Make:
    """A call the test bundle warns of: long, from abroad."""
    return lambda **changes: call(**{"duration_s": 1_800, "foreign": True, **changes})


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port of 127.0.0.1 that nobody listens on now."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def service(
    new_settings: Callable[[], Settings], free_port: Callable[[], int]
) -> Iterator[Running]:
    """The service with two workers, shared by all tests that leave it whole."""
    with running(new_settings(), Place(port=free_port(), workers=2)) as found:
        yield found


@pytest.fixture(scope="session")
def key_of() -> Callable[..., str]:
    """Gives out an API key of a service, by default with all that a system may have."""

    def give(service: Running, *scopes: Action) -> str:
        engine = connect(service.settings.database_url or "")
        desk = Desk(engine, Actor("tests", Role.ADMINISTRATOR), lambda: datetime.now(UTC))
        try:
            return desk.new_key("tests", scopes or MAY[Role.SYSTEM])[1]
        finally:
            engine.dispose()

    return give


@pytest.fixture(scope="session")
def key(service: Running, key_of: Callable[..., str]) -> str:
    """A key with all that a system may have."""
    return key_of(service)


@pytest.fixture(scope="session")
def api(service: Running, key: str) -> Iterator[httpx.Client]:
    """A client of it, with its key."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=service.url, timeout=30, headers=headers) as client:
        yield client
