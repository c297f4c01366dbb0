"""A bundle signed by an earlier version still opens and answers to the same bits."""

import json
from pathlib import Path

import numpy as np

from models.bundle import load
from models.signing import PublicKey

HERE = Path(__file__).parent


def test_the_golden_bundle_still_answers() -> None:
    expected = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    found = load(HERE / "bundle", PublicKey.from_text(expected["public_key"]))
    X = np.array(expected["probes"], dtype=np.float64)
    scores = found.fraud.score(X)
    assert found.version == expected["version"]
    assert [float(score).hex() for score in scores] == expected["score"]
    assert found.stage.most_likely(X) == expected["stage"]
    levels = [found.policy.level(float(score)) for score in scores]
    assert [level and level.name for level in levels] == expected["levels"]
    assert found.card.title == "Golden"
    assert found.norms.names == found.names
