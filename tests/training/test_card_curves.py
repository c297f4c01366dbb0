"""What the card draws is what the figures say."""

import json

import numpy as np
import pytest

from training.card_curves import EDGES, curves
from training.datasets import Part
from training.evaluation import Judged, alerts_of, evaluate

DAY_US = 86_400 * 1_000_000
COUNT, CITIZENS = 3_000, 200


def judged(capacity: float = 5.0) -> Judged:
    random = np.random.default_rng(4)
    known = np.sort(random.integers(0, 5 * DAY_US, COUNT)).astype("datetime64[us]")
    citizen = random.integers(0, CITIZENS, COUNT)
    fraud = (citizen < 10) & (random.random(COUNT) < 0.5)
    part = Part(
        X=np.zeros((COUNT, 1)),
        seq=np.arange(COUNT),
        citizen=citizen,
        kind=np.zeros(COUNT, np.int64),
        amount_fen=np.where(fraud & (random.random(COUNT) < 0.4), 50_000, 0),
        known_at=known,
        occurred_at=known,
        y=fraud.astype(np.int64),
        scam_type=np.where(fraud, 0, -1),
        stage=np.where(fraud, 1, -1),
        episode=np.where(fraud, citizen, -1),
        weight=np.ones(COUNT),
    )
    score = np.clip(0.02 + 0.4 * fraud + 0.2 * random.random(COUNT), 0, 1)
    return Judged(part, score, capacity)


def test_the_point_at_capacity_is_the_figure_at_capacity() -> None:
    found = judged()
    ones = np.ones(CITIZENS)
    for point in curves(found, per_day=10.0)["capacity"]:  # the part holds half of the city
        here = Judged(found.part, found.score, point["alerts"] / 2)
        alerts, figures = alerts_of(here), evaluate(here, rounds=2)
        assert point["recall"] == pytest.approx(alerts.recall(ones), abs=1e-6)
        assert point["precision"] == pytest.approx(alerts.precision(ones), abs=1e-6)
        assert point["preventable"] == pytest.approx(figures["preventable_share"].value, abs=1e-6)


def test_all_of_it_is_plain_json_and_adds_up() -> None:
    found = curves(judged(), per_day=5.0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert sum(found["scores"]["shares"]) == pytest.approx(1, abs=1e-4)
    assert len(found["scores"]["shares"]) == len(EDGES) - 1
    assert sum(point["events"] for point in found["calibration"]) == COUNT
    assert all(point["low"] <= point["observed"] <= point["high"] for point in found["calibration"])
