"""A dataset is what was known then: later events and later labels change nothing in it."""

from dataclasses import fields, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.history import History
from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet
from training.datasets import PARTS, Dataset, DatasetConfig, Part, build, uniform

CONFIG = DatasetConfig(
    delay=3, warmup=1, tune=4, calibrate=4, test=5, others=6_000, judged=6_000, threads=1
)
EARLIER = timedelta(days=2)
FEW = FeatureSet(tuple(FRAUD_FEATURES)[::9])


def built(history: History, as_of: datetime, config: DatasetConfig = CONFIG) -> Dataset:
    return build(history, as_of, features=FEW, config=config)


@pytest.fixture(scope="module")
def dataset(history: History, as_of: datetime) -> Dataset:
    return built(history, as_of - EARLIER)


def same(one: Part, other: Part) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=f.name == "X")
        for f in fields(Part)
    )


def known_before(days: list[pa.Table], moment: datetime) -> list[pa.Table]:
    return [day.filter(pc.less(day["known_at"], pa.scalar(moment))) for day in days]


def laid(folder: Path, days: list[pa.Table]) -> History:
    history = History(folder)
    for day in days:
        history.append(day)
    return history


def test_what_came_later_changes_nothing(
    dataset: Dataset, days: list[pa.Table], as_of: datetime, tmp_path: Path
) -> None:
    moment = as_of - EARLIER
    without = built(laid(tmp_path, known_before(days, moment)), moment)
    assert without.fingerprint == dataset.fingerprint
    for part in PARTS:
        assert same(getattr(without, part), getattr(dataset, part)), part


def test_a_report_known_before_does_change_labels(
    dataset: Dataset, days: list[pa.Table], as_of: datetime, tmp_path: Path
) -> None:
    moment = as_of - EARLIER
    silent = [day.filter(pc.not_equal(day["kind"], "report")) for day in known_before(days, moment)]
    with pytest.raises(ValueError, match="frauds"):
        _require_frauds(built(laid(tmp_path, silent), moment))
    assert (dataset.train.y == 1).any()


def _require_frauds(dataset: Dataset) -> None:
    if not any((getattr(dataset, part).y == 1).any() for part in PARTS):
        raise ValueError("no frauds")


def test_a_part_learns_nothing_from_reports_that_came_after_its_use(
    dataset: Dataset, days: list[pa.Table], as_of: datetime, tmp_path: Path
) -> None:
    """Reports between the tuning part's start and `as_of` label later parts, never training."""
    begins = {name: since for name, since, _ in dataset.edges}
    cut = (
        pa.scalar(begins["tune"].astype(datetime))
        .cast(pa.timestamp("us"))
        .cast(days[0].schema.field("known_at").type)
    )
    early = [
        day.filter(pc.or_(pc.not_equal(day["kind"], "report"), pc.less(day["known_at"], cut)))
        for day in days
    ]
    without = built(laid(tmp_path, early), as_of - EARLIER)
    assert same(without.train, dataset.train)
    assert (without.test.y == 1).sum() < (dataset.test.y == 1).sum()


def test_parts_follow_each_other_with_a_gap_as_long_as_the_delay(dataset: Dataset) -> None:
    gap = np.timedelta64(3, "D")
    assert dataset.tune.known_at.min() - dataset.train.known_at.max() >= gap
    assert dataset.calibrate.known_at.min() >= dataset.tune.known_at.max()
    assert dataset.test.known_at.min() - dataset.calibrate.known_at.max() >= gap


def test_training_keeps_every_fraud_and_weighs_the_rest(
    dataset: Dataset, history: History, as_of: datetime
) -> None:
    whole = built(history, as_of - EARLIER, config=replace(CONFIG, others=10**9, judged=10**9))
    assert (whole.train.y == 1).sum() == (dataset.train.y == 1).sum()
    assert dataset.share["train"] < 1.0 == whole.share["train"]
    assert dataset.train.weight.sum() == pytest.approx(len(whole.train), rel=0.05)
    assert set(dataset.train.weight[dataset.train.y == 1]) == {1.0}


def test_judged_parts_keep_whole_citizens(
    dataset: Dataset, history: History, as_of: datetime
) -> None:
    whole = built(history, as_of - EARLIER, config=replace(CONFIG, others=10**9, judged=10**9))
    kept = np.isin(whole.test.citizen, dataset.test.citizen)
    assert np.array_equal(whole.test.seq[kept], dataset.test.seq)


def test_reports_and_immature_rows_are_no_examples(dataset: Dataset, as_of: datetime) -> None:
    for part in PARTS:
        rows = getattr(dataset, part)
        assert "report" not in set(dataset.kinds[rows.kind])
        assert set(np.unique(rows.y)) <= {0, 1}
    mature = np.datetime64((as_of - EARLIER - timedelta(days=3)).replace(tzinfo=None), "us")
    assert dataset.test.known_at.max() < mature


def test_group_columns_are_no_features(dataset: Dataset) -> None:
    text = " ".join((*FRAUD_FEATURES.names, *dataset.names))
    assert not any(word in text for word in ("age_band", "sex", "district", "tenure"))


def test_a_history_too_short_is_refused(history: History, as_of: datetime) -> None:
    with pytest.raises(ValueError, match="shorten the parts or bring more history"):
        built(history, as_of, config=replace(CONFIG, test=40))


def test_the_draw_of_a_row_is_even_and_its_own() -> None:
    draw = uniform(np.arange(100_000), 1)
    assert abs(draw.mean() - 0.5) < 0.01
    assert np.array_equal(draw[10:20], uniform(np.arange(10, 20), 1))
    assert not np.array_equal(draw, uniform(np.arange(100_000), 2))
