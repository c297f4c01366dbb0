"""Make the golden bundle anew: ``python tests/golden/make_bundle.py``, only for a new format.

A bundle in service outlives the code that wrote it. `test_bundle.py` holds that the one kept here
still opens and scores to the same bits; change it only together with `models.bundle.FORMAT`.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from features.spec import FeatureSet, FeatureSpec  # noqa: E402
from models import (  # noqa: E402
    Card,
    FraudModel,
    Metric,
    Norms,
    Parts,
    Policy,
    Rows,
    ScamTypeModel,
    Signer,
    StageModel,
    TrackRecord,
    fraud_recipe,
    standard_levels,
)
from models.directions import directions  # noqa: E402

FEATURES = FeatureSet(
    (
        FeatureSpec("event", "value", "amount"),
        FeatureSpec("counterpart", "count", "report", "30d"),
        FeatureSpec("subscriber", "count", "call_in_new", "24h"),
    )
)


def rows(seed: int) -> Rows:
    """A thousand made-up events with gaps."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, 2.0, size=(1_000, 3)).round(2)
    X[rng.random(X.shape) < 0.1] = np.nan
    odds = np.nan_to_num(X).sum(axis=1) - 12.0
    return Rows(X, (odds + rng.logistic(size=len(X)) > 0).astype(np.int64))


def parts() -> Parts:
    """A small bundle's parts."""
    learnt, later = rows(1), rows(2)
    few = {"num_leaves": 4, "num_threads": 1, "learning_rate": 0.5}
    recipe = replace(fraud_recipe(directions(FEATURES), **few), rounds=8)
    fraud = FraudModel.fit(learnt, FEATURES.names, recipe).calibrate(later.X, later.y)
    stages = Rows(learnt.X, np.arange(1_000) % 3)
    types = Rows(learnt.X, np.arange(1_000) % 11)
    day, citizen = np.arange(1_000) // 100, np.arange(1_000)
    return Parts(
        fraud=fraud,
        scam_type=ScamTypeModel.fit(
            types, FEATURES.names, replace(ScamTypeModel.recipe(**few), rounds=1)
        ),
        stage=StageModel.fit(stages, FEATURES.names, replace(StageModel.recipe(**few), rounds=1)),
        policy=Policy.fit(fraud.score(later.X), day, citizen, standard_levels(20.0)),
        norms=Norms.fit(learnt.X, np.array(["call", "transfer"] * 500), FEATURES.names),
        features=FEATURES,
        card=Card("Golden", "Outlive the code.", "2026-01-01", metrics=(Metric("auc", 0.9),)),
        track_record=TrackRecord.fit(fraud.contributions(later.X[:40]), later.y[:40], FEATURES),
    )


def main() -> None:
    """Write bundle, public key and what it must answer."""
    signer, made = Signer.fresh(), parts()
    shutil.rmtree(HERE / "bundle", ignore_errors=True)
    version = made.write(HERE / "bundle", signer)
    probes = [
        [14.0, 9.0, 9.0],
        [9.0, 5.0, 6.0],
        [1.5, 0.0, 0.0],
        [None, None, 9.5],
        [6.0, 3.0, 7.0],
    ]
    X = np.array(probes, dtype=np.float64)
    answers = {
        "version": version,
        "public_key": signer.public_key.to_text(),
        "probes": probes,
        "score": [float(score).hex() for score in made.fraud.score(X)],
        "stage": made.stage.most_likely(X),
        "levels": [level and level.name for level in map(made.policy.level, made.fraud.score(X))],
    }
    (HERE / "bundle.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
