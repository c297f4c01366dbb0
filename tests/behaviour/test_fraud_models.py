"""What a fraud model must always do, whatever it learnt: direction, invariance, red lines."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from data.events import EVENT_TYPES, Call, FraudReport
from data.tables import from_events
from features.fraud import FRAUD_FEATURES, TRANSFER_FEATURES
from features.windows import bulk
from models.directions import direction, directions
from models.fraud import FraudModel, fraud_recipe
from models.trees import Rows

ROOT = Path(__file__).parents[2]
RISING = [at for at, spec in enumerate(FRAUD_FEATURES) if direction(spec) == 1]
FALLING = [at for at, spec in enumerate(FRAUD_FEATURES) if direction(spec) == -1]
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SUSPECT = f"tel_{7:032x}"
FORBIDDEN = re.compile(
    r"age_band|\bsex\b|gender|district|ethnic|religio|politic|petition|birth|年龄|性别|区县|民族|宗教"
)


@pytest.fixture(scope="module")
def model() -> FraudModel:
    """Trained on a city where reports are misleading: they go with harmless events."""
    rng = np.random.default_rng(9)
    X = rng.poisson(1.0, size=(6_000, len(FRAUD_FEATURES))).astype(float)
    X[rng.random(X.shape) < 0.05] = np.nan
    known = np.nan_to_num(X)
    odds = known[:, :6].sum(axis=1) - 1.0
    odds += 0.5 * known[:, FALLING].sum(axis=1) - 0.5 * known[:, RISING].sum(axis=1) + 6.0
    y = (odds + rng.logistic(size=len(X)) > 0).astype(int)
    recipe = replace(fraud_recipe(directions(FRAUD_FEATURES), num_threads=1), rounds=30)
    return FraudModel.fit(Rows(X, y), FRAUD_FEATURES.names, recipe).calibrate(X, y)


def test_a_counterparts_reports_are_declared_to_raise() -> None:
    names = [FRAUD_FEATURES.names[at] for at in RISING]
    assert {f"counterpart.report.count.{window}" for window in ("24h", "7d", "30d")} <= set(names)
    assert "event.listed.value" in names
    assert not any(name.startswith("subscriber.report") for name in names)
    assert FRAUD_FEATURES.names.index("counterpart.report.since_last") in FALLING


@pytest.mark.parametrize("at", RISING + FALLING, ids=lambda at: FRAUD_FEATURES.names[at])
def test_each_feature_keeps_its_direction(model, at) -> None:
    X = np.random.default_rng(at).poisson(1.0, size=(200, len(FRAUD_FEATURES))).astype(float)
    last = np.full(len(X), -np.inf)
    for value in (0.0, 1.0, 2.0, 5.0, 50.0):
        X[:, at] = value
        now = model.score(X) * (1 if at in RISING else -1)
        assert np.all(now >= last)
        last = now


def test_more_of_all_suspicion_at_once_never_lowers_the_score(model) -> None:
    X = np.random.default_rng(1).poisson(1.0, size=(500, len(FRAUD_FEATURES))).astype(float)
    more = X.copy()
    more[:, RISING] += 1.0
    more[:, FALLING] = 0.0
    assert np.all(model.score(more) >= model.score(X))


def call(event_id: str, subscriber: int, minutes: int) -> Call:
    return Call(
        event_id=event_id,
        occurred_at=NOON + timedelta(minutes=minutes),
        known_at=NOON + timedelta(minutes=minutes),
        subscriber=f"tel_{subscriber:032x}",
        counterpart=SUSPECT,
        direction="incoming",
        duration_s=600,
    )


def reported(number: int, minutes: int) -> FraudReport:
    moment = NOON + timedelta(minutes=minutes)
    return FraudReport(
        event_id=f"report-{number}",
        occurred_at=moment,
        known_at=moment,
        first_contact_at=moment,
        reported_at=moment,
        subscriber=f"tel_{100 + number:032x}",
        scam_type="authority",
        loss_fen=100,
        phones=(SUSPECT,),
    )


@pytest.mark.parametrize("ago", [1, 90, 60 * 24 * 3])
def test_a_report_never_lowers_the_score_of_the_next_event(model, ago) -> None:
    """The whole way: events, features, score. The event follows at once or days later."""
    before = [call(f"call-{number}", number, number) for number in range(1, 6)]
    last = call("last", 50, 10 + ago)
    scores = []
    for reports in range(4):
        known = [reported(number, 6 + number) for number in range(reports)]
        vectors = bulk(from_events([*before, *known, last]), FRAUD_FEATURES, zone="Asia/Shanghai")
        scores.append(float(model.score(vectors.X[-1:])[0]))
    assert scores[1:] == sorted(scores[1:])
    if ago == 1:
        assert scores == sorted(scores)


def test_the_order_of_rows_changes_nothing(model) -> None:
    X = np.random.default_rng(2).poisson(1.0, size=(300, len(FRAUD_FEATURES))).astype(float)
    turned = np.random.default_rng(3).permutation(len(X))
    assert np.array_equal(model.score(X)[turned], model.score(X[turned]))


@pytest.mark.parametrize("features", [FRAUD_FEATURES, TRANSFER_FEATURES], ids=["fraud", "transfer"])
def test_no_feature_comes_from_who_a_citizen_is(features) -> None:
    for spec in features:
        told = " ".join((spec.name, spec.source, spec.zh, spec.en))
        assert not FORBIDDEN.search(told), told


def test_no_event_carries_who_a_citizen_is() -> None:
    for contract in EVENT_TYPES.values():
        for name in contract.model_fields:
            assert not FORBIDDEN.search(name)


def test_models_import_without_the_workshop() -> None:
    """A lean serving host has no Numba, no MLflow, no search, no SHAP and no web framework."""
    workshop = ("numba", "mlflow", "optuna", "shap", "sklearn", "pandas", "pyarrow", "matplotlib")
    barred = (*workshop, "bentoml", "starlette", "httpx", "sqlalchemy", "dask", "polars")
    code = (
        f"import json, sys; sys.modules.update(dict.fromkeys({barred!r})); import models; "
        "import models.reasons, models.baselines, models.remedies; print(json.dumps('ok'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == "ok"
