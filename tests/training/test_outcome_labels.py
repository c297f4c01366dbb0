"""What officers learnt reaches the next training set, and no earlier one."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.history import History
from data.outcomes import OUTCOME_SCHEMA, write_outcomes
from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet
from training.datasets import Dataset, DatasetConfig, build

CONFIG = DatasetConfig(
    delay=3, warmup=1, tune=4, calibrate=4, test=5, others=1_000, judged=2_000, threads=1
)
FEW = FeatureSet(tuple(FRAUD_FEATURES)[::20])


def built(history: History, as_of: datetime) -> Dataset:
    return build(history, as_of, features=FEW, config=CONFIG)


def test_an_outcome_is_a_label_from_when_it_was_known(
    history: History, as_of: datetime, tmp_path: Path
) -> None:
    copy = History(tmp_path / "history")
    shutil.copytree(history.root, copy.root)
    dataset = built(copy, as_of)
    table = history.read(before=as_of, columns=["seq", "event_id", "subscriber", "occurred_at"])
    quiet = int(dataset.test.seq[np.flatnonzero(dataset.test.y == 0)[0]])
    event = table.slice(table["seq"].to_pylist().index(quiet), 1).to_pylist()[0]
    told = {
        "outcome_id": "o1",
        "case_id": "c1",
        "subscriber": event["subscriber"],
        "verdict": "fraud",
        "scam_type": "loan",
        "began_at": event["occurred_at"],
        "ends_at": event["occurred_at"],
        "events": [event["event_id"]],
    }
    fingerprints = set()
    for known_at, expected in ((as_of, 0), (as_of - timedelta(seconds=1), 1)):
        rows = [{**told, "known_at": known_at}]
        write_outcomes(copy.root, pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA))
        found = built(copy, as_of)
        assert found.test.y[found.test.seq == quiet].tolist() == [expected]
        fingerprints.add(found.fingerprint)
    assert dataset.fingerprint in fingerprints
    assert len(fingerprints) == 2
