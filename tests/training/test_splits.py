"""Splits: the Handbook's own procedure as oracle, and no row from a time it must not see."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.splits import as_of_split, instant, prequential_fold, prequential_folds

DAY0 = np.datetime64("2018-07-25", "us")


def stream(seed, n=600, days=24, citizens=30, rate=0.05):
    rng = np.random.default_rng(seed)
    at = DAY0 + np.sort(rng.integers(0, days * 86_400, n)) * np.timedelta64(1_000_000, "us")
    return at, rng.integers(0, citizens, n), (rng.random(n) < rate).astype(int)


def handbook_rows(table, start_day, train, delay, test):
    """Rows by the published procedure: pool of known cards grows by one day each test day."""
    learnt = table[(table.day >= start_day) & (table.day < start_day + train)]
    known = set(learnt[learnt.y == 1].citizen)
    rows = []
    for day in range(test):
        newly = table[(table.day == start_day + train + day - 1) & (table.y == 1)]
        known |= set(newly.citizen)
        today = table[table.day == start_day + train + delay + day]
        rows += list(today[~today.citizen.isin(known)].index)
    return list(learnt.index), rows


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_fold_equals_the_published_procedure(seed, offset):
    at, citizen, y = stream(seed)
    table = pd.DataFrame({"citizen": citizen, "y": y, "day": (at - DAY0) // np.timedelta64(1, "D")})
    fold = prequential_fold(at, citizen, y, DAY0 + np.timedelta64(offset, "D"))
    learnt, judged = handbook_rows(table, offset, 7, 7, 7)
    assert fold.train.tolist() == learnt
    assert fold.test.tolist() == sorted(judged)


def test_fold_keeps_the_delay_between_learning_and_judging():
    at, citizen, y = stream(1)
    for fold in prequential_folds(at, citizen, y, ["2018-07-25", "2018-07-27"], test_days=5):
        assert at[fold.test].min() - at[fold.train].max() >= np.timedelta64(7, "D")
        assert fold.test_from - fold.train_until == np.timedelta64(7, "D")
        assert fold.test_until - fold.test_from == np.timedelta64(5, "D")


def test_a_fraud_of_before_training_removes_nobody():
    at = DAY0 + np.array([-5, 1, 15], "timedelta64[D]")
    fold = prequential_fold(at, ["a", "a", "a"], [1, 0, 0], DAY0)
    assert fold.test.tolist() == [2]
    fold = prequential_fold(at, ["a", "a", "a"], [0, 1, 0], DAY0)
    assert fold.test.tolist() == []


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(0, 3),
)
def test_as_of_parts_are_apart_and_in_order(seed, delay, tune, calibrate, test):
    at, _, _ = stream(seed)
    as_of = DAY0 + np.timedelta64(24, "D")
    split = as_of_split(at, as_of, delay=delay, tune=tune, calibrate=calibrate, test=test)
    gap = np.timedelta64(delay, "D")
    parts = [split.train, split.tune, split.calibrate, split.test]
    assert np.unique(np.concatenate(parts)).size == sum(part.size for part in parts)
    edges = {name: (since, until) for name, since, until in split.edges}
    assert edges["tune"][0] - edges["train"][1] == gap
    assert edges["calibrate"][0] == edges["tune"][1]
    assert edges["test"][0] - edges["calibrate"][1] == (gap if test else np.timedelta64(0, "us"))
    assert as_of - edges["test"][1] == gap
    for part, (_, until) in zip(parts, edges.values(), strict=True):
        assert (at[part] < until).all()
    assert (at[split.tune] >= edges["tune"][0]).all()


def test_a_later_fact_never_changes_an_as_of_split():
    at, _, _ = stream(3)
    as_of = DAY0 + np.timedelta64(15, "D")
    whole = as_of_split(at, as_of, delay=2, tune=3, test=2)
    known = as_of_split(at[at < as_of], as_of, delay=2, tune=3, test=2)
    for part in ("train", "tune", "calibrate", "test"):
        assert getattr(whole, part).tolist() == getattr(known, part).tolist()


def test_nothing_to_train_on_says_so():
    with pytest.raises(ValueError, match=r"expected events known before 2018-07-2\d.*found none"):
        as_of_split([DAY0], DAY0 + np.timedelta64(3, "D"), delay=2, tune=3)


def test_moments_are_utc_whatever_their_zone():
    local = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    assert instant(local) == instant(datetime(2026, 1, 1, tzinfo=UTC)) == instant("2026-01-01")
    assert instant(np.datetime64("2026-01-01")) == instant("2026-01-01")
