"""The bulk engine's own promises: order, threads, repeats, selection."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.tables import empty_events, to_events
from features import FRAUD_FEATURES, FeatureSet, FeatureSpec, bulk
from features.clock import local_hours, local_weekdays
from features.frame import Frame
from features.plan import compile_plan
from features.replay import certify, differences
from features.row import EventRow

ZONE = "Asia/Shanghai"
Stream = Callable[..., pa.Table]
Table = Callable[[Sequence[dict[str, Any]]], pa.Table]


def test_threads_cannot_matter(stream: Stream) -> None:
    events = stream(800, keys=9)
    one, three = (bulk(events, FRAUD_FEATURES, zone=ZONE, threads=n).X for n in (1, 3))
    assert not differences(one, three).any()


def test_order_of_rows_does_not_matter_arrival_does(stream: Stream) -> None:
    events = stream(200)
    order = list(range(200))
    random.Random(1).shuffle(order)
    mixed = bulk(events.take(order), FRAUD_FEATURES, zone=ZONE)
    assert not differences(mixed.X, bulk(events, FRAUD_FEATURES, zone=ZONE).X).any()
    assert (np.diff(mixed.seq) > 0).all()


def test_the_future_cannot_be_seen(stream: Stream) -> None:
    events = stream(300)
    whole, part = (bulk(t, FRAUD_FEATURES, zone=ZONE) for t in (events, events.slice(0, 150)))
    assert not differences(whole.X[: len(part.X)], part.X).any()


def test_selected_rows_are_the_same_rows(stream: Stream) -> None:
    events = stream(300)
    select = np.arange(300) % 3 == 0
    whole = bulk(events, FRAUD_FEATURES, zone=ZONE)
    some = bulk(events, FRAUD_FEATURES, zone=ZONE, select=select)
    chosen = select[whole.rows]
    assert not differences(some.X, whole.X[chosen]).any()
    assert some.event_id.to_pylist() == whole.event_id.filter(pa.array(chosen)).to_pylist()


def test_a_selection_must_fit() -> None:
    with pytest.raises(ValueError, match="select: expected 0 flags"):
        bulk(empty_events(), FRAUD_FEATURES, zone=ZONE, select=np.ones(3, dtype=bool))


def test_no_events_no_vectors() -> None:
    assert bulk(empty_events(), FRAUD_FEATURES, zone=ZONE).X.shape == (0, len(FRAUD_FEATURES))


def test_progress_reaches_the_end(stream: Stream) -> None:
    told: list[float] = []
    bulk(stream(20), FRAUD_FEATURES, zone=ZONE, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_number_and_an_account_with_the_same_text_are_two(table: Table) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "call", "counterpart": "555", "direction": "incoming", "duration_s": 60},
        {"kind": "transfer", "counterpart": "555", "account": "1", "amount_fen": 100},
    ]
    events = table([{**row, "subscriber": "7", "known": n} for n, row in enumerate(rows)])
    features = FeatureSet((FeatureSpec("counterpart", "count", "any", "24h"),))
    assert bulk(events, features, zone=ZONE).X[:, 0].tolist() == [0, 0]


def test_a_transfer_to_oneself_is_read_before_it_counts(table: Table) -> None:
    transfer = {"kind": "transfer", "counterpart": "1", "account": "1", "amount_fen": 100}
    events = table([{**transfer, "subscriber": "7", "known": n} for n in (0, 1)])
    features = FeatureSet(
        tuple(FeatureSpec(key, "count", "transfer", "24h") for key in ("account", "payee_account"))
    )
    assert bulk(events, features, zone=ZONE).X.tolist() == [[0, 0], [1, 1]]


def test_the_order_of_install_call_and_transfer(table: Table) -> None:
    steps: list[dict[str, Any]] = [
        {"kind": "app", "counterpart": "x.y", "action": "remote_control", "duration_s": 0},
        {"kind": "call", "counterpart": "555", "direction": "incoming", "duration_s": 900},
        {"kind": "transfer", "counterpart": "9", "account": "1", "amount_fen": 100},
    ]
    features = FeatureSet((FeatureSpec("subscriber", "order", "talk"),))

    def step(order: Sequence[int], gap: float = 60) -> list[float]:
        rows = [{**steps[k], "subscriber": "7", "known": n * gap} for n, k in enumerate(order)]
        return list(bulk(table(rows), features, zone=ZONE).X[:, 0])

    assert step([0, 1, 2]) == [0, 1, 3]
    assert step([1, 0, 2]) == [0, 0, 1]
    assert step([0, 2, 1]) == [0, 1, 1]
    assert step([0, 1, 2], gap=13 * 3_600) == [0, 1, 0]


def test_others_who_paid_a_shared_payee(table: Table) -> None:
    """One caller, three citizens, one payee: the third sees two before, and never itself."""
    rows: list[dict[str, Any]] = []
    for number, subscriber in enumerate(["7", "8", "9"]):
        at = number * 600.0
        ring = {"kind": "call", "counterpart": "555", "direction": "incoming", "duration_s": 300}
        pay = {"kind": "transfer", "counterpart": "66", "account": "1", "amount_fen": 100}
        rows += [{**ring, "subscriber": subscriber, "known": at}]
        rows += [{**pay, "subscriber": subscriber, "known": at + 300}]
    names = ("contacts", "others", "followed", "followed_shared")
    features = FeatureSet(tuple(FeatureSpec("link", "value", name) for name in names))
    X = bulk(table(rows), features, zone=ZONE).X
    assert np.isnan(X[::2]).all()
    assert X[1::2].tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 2, 2, 1]]


def test_a_key_idle_for_thirty_days_starts_anew(table: Table) -> None:
    ring = {"kind": "call", "counterpart": "5", "direction": "incoming", "duration_s": 60}
    day = 86_400
    rows = [{**ring, "subscriber": "7", "known": known} for known in (0, 30 * day, 61.2 * day)]
    features = FeatureSet(
        (FeatureSpec("pair", "since_first", "any"), FeatureSpec("event", "value", "is_new"))
    )
    X = bulk(table(rows), features, zone=ZONE).X
    assert X[:, 1].tolist() == [1, 0, 1]
    assert np.isnan(X[[0, 2], 0]).all()
    assert X[1, 0] == 30 * day


def test_a_row_and_a_column_answer_alike(stream: Stream) -> None:
    events = stream(300, seed=5)
    for zone in ("Asia/Shanghai", "America/New_York"):
        frame, plan = Frame(events, zone), compile_plan(FRAUD_FEATURES)
        masks = frame.masks(plan)
        own = frame.attributes(np.arange(len(frame)), plan.fields)
        for number, event in enumerate(to_events(events)):
            row = EventRow(event, zone)
            assert row.streams(plan) == bytes(b for b in range(60) if int(masks[number]) >> b & 1)
            empty = {"surprise": -1, "is_new": -1, "new_device": -1}
            if event.scored:
                alone = row.attributes(int(frame.now[number]), empty, plan.fields)
                assert alone[0].tolist() == own[number].tolist()


def test_hours_follow_daylight_saving() -> None:
    hour = 3_600_000_000
    change = 1_699_164_000_000_000  # 2023-11-05T06:00Z, when New York falls back
    moments = np.array([change - hour, change, change + hour])
    assert local_hours(moments, "America/New_York").tolist() == [1, 1, 2]
    assert local_weekdays(moments, "America/New_York").tolist() == [6, 6, 6]


def test_a_certificate_holds_or_says_where_it_does_not(stream: Stream) -> None:
    events = stream(120)
    served = bulk(events, FRAUD_FEATURES, zone=ZONE)
    good = certify(events, (served.seq, served.X), FRAUD_FEATURES, zone=ZONE)
    assert good.holds
    assert good.values == served.X.size
    wrong = served.X.copy()
    wrong[3, 0] = 7.0 if wrong[3, 0] != 7.0 else 8.0
    bad = certify(events, (served.seq, wrong), FRAUD_FEATURES, zone=ZONE)
    assert (bad.holds, bad.mismatches) == (False, 1)
    assert bad.examples[0].feature == FRAUD_FEATURES.names[0]
    assert bad.examples[0].seq == served.seq[3]
    lost = certify(events.slice(0, 60), (served.seq, served.X), FRAUD_FEATURES, zone=ZONE)
    assert not lost.holds
    assert lost.missing[0] == 60 or lost.missing[0] > 59


def test_a_certificate_wants_the_set_it_was_served_from(stream: Stream) -> None:
    with pytest.raises(ValueError, match="served: expected vectors of shape"):
        certify(stream(5), (np.arange(2), np.zeros((2, 3))), FRAUD_FEATURES, zone=ZONE)
