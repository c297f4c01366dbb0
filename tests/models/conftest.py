"""Small models over made-up vectors, grown once for the whole session."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from features.spec import FeatureSet, FeatureSpec
from models.bundle import Parts
from models.card import Card, Metric
from models.directions import directions
from models.fraud import FraudModel, fraud_recipe
from models.norms import Norms
from models.policy import Policy, standard_levels
from models.scam_type import ScamTypeModel
from models.signing import Signer
from models.stage import StageModel
from models.track_record import TrackRecord
from models.trees import Floats, Rows

FEATURES = FeatureSet(
    (
        FeatureSpec("subscriber", "count", "call_in_new", "24h"),
        FeatureSpec("event", "value", "amount"),
        FeatureSpec("subscriber", "distinct", "transfer", "7d"),
        FeatureSpec("counterpart", "count", "report", "30d"),
        FeatureSpec("subscriber", "share", "night", "24h", of="any"),
        FeatureSpec("event", "value", "age_days"),
    )
)
NAMES = FEATURES.names
ALONE = {"num_threads": 1}
"""Threads of so small a fit only wait for each other."""
REPORTS = 3
"""Place of the only feature that may only raise the score."""
KINDS = np.array(["call", "transfer"])


@dataclass(frozen=True)
class City:
    """Vectors with gaps, and answers that depend on some of them."""

    X: Floats
    y: np.ndarray
    kind: np.ndarray
    day: np.ndarray
    citizen: np.ndarray

    @property
    def rows(self) -> Rows:
        return Rows(self.X, self.y)


def made_up(seed: int, n: int) -> City:
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, 2.0, size=(n, len(NAMES)))
    X[:, 3] = rng.poisson(0.3, size=n)
    X[rng.random(X.shape) < 0.1] = np.nan
    known = np.nan_to_num(X)
    odds = 0.5 * known[:, 0] + 0.3 * known[:, 1] * (known[:, 2] > 4) + 1.5 * known[:, 3] - 7.0
    y = (odds + rng.logistic(size=n) > 0).astype(np.int64)
    day = np.arange(n) * 10 // n
    return City(X, y, KINDS[rng.integers(0, 2, n)], day, rng.integers(0, n // 20, n))


@pytest.fixture(scope="session")
def city() -> City:
    return made_up(1, 4_000)


@pytest.fixture(scope="session")
def later() -> City:
    return made_up(2, 3_000)


@pytest.fixture(scope="session")
def fraud(city: City, later: City) -> FraudModel:
    recipe = replace(fraud_recipe(directions(FEATURES), num_leaves=15, **ALONE), rounds=40)
    return FraudModel.fit(city.rows, NAMES, recipe).calibrate(later.X, later.y)


@pytest.fixture(scope="session")
def parts(city: City, later: City, fraud: FraudModel) -> Parts:
    quiet = {"rounds": 8}
    types = Rows(city.X, np.arange(len(city.X)) % 11)
    stages = Rows(city.X, (np.nan_to_num(city.X[:, 1]) // 3).clip(0, 2).astype(np.int64))
    return Parts(
        fraud=fraud,
        scam_type=ScamTypeModel.fit(types, NAMES, replace(ScamTypeModel.recipe(**ALONE), **quiet)),
        stage=StageModel.fit(stages, NAMES, replace(StageModel.recipe(**ALONE), **quiet), stages),
        policy=Policy.fit(fraud.score(later.X), later.day, later.citizen, standard_levels(20)),
        norms=Norms.fit(city.X[city.y == 0], city.kind[city.y == 0], NAMES),
        features=FEATURES,
        card=Card("Fraud", "Warn.", "2026-01-01", metrics=(Metric("auc", 0.9, 0.8, 0.95),)),
        track_record=TrackRecord.fit(fraud.contributions(later.X[:200]), later.y[:200], FEATURES),
    )


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.fresh()


@pytest.fixture(scope="session")
def features() -> FeatureSet:
    return FEATURES
