"""A test on history: what a rule would have matched, as plain loops over the same past find it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.labels import label_events
from data.outcomes import read_outcomes
from data.simulator import City, simulate
from features import FRAUD_FEATURES
from features.windows import bulk
from models.bundle import Bundle
from models.rules import parse_rule
from serving.rules.history import HistoryTest, NoHistory, Past, try_on_history
from serving.shelf import Shelf

CONFIG = HistoryTest(days=10, delay=5)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
END = "2100-01-01T00:00:00+08:00"
Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def past() -> Past:
    city = City(subscribers=300, days=21, victims_per_100k_days=2_000.0, staged=0)
    batches = [batch.unify_dictionaries() for batch in simulate(city).batches()]
    return Past(pa.concat_tables(batches), read_outcomes(Path("nowhere")), {})


@pytest.fixture(scope="module")
def bundle(bundle_at: tuple[Path, Path]) -> Bundle:
    return Shelf(*bundle_at, FRAUD_FEATURES).champion(try_first=True).bundle


def read(document: dict[str, Any]) -> Any:
    return parse_rule(document, FRAUD_FEATURES)


def test_a_rule_is_counted_as_a_plain_loop_counts_it(
    past: Past, bundle: Bundle, document: Make
) -> None:
    found = try_on_history(read(document()), bundle, past, LATER, CONFIG)
    end = max(past.events["known_at"].to_pylist()) + timedelta(microseconds=1)
    assert found.until == end - timedelta(days=5)
    assert found.share == 1
    y = label_events(past.events, end, maturity=timedelta(days=5)).y
    vectors = bulk(past.events, FRAUD_FEATURES, zone=CONFIG.zone)
    seen = dict(zip(vectors.seq.tolist(), vectors.X, strict=True))
    place = FRAUD_FEATURES.names.index("event.amount.value")
    events, matched, warned, known, hits = 0, 0, set(), set(), set()
    for row, label in zip(past.events.to_pylist(), y.tolist(), strict=True):
        if row["kind"] == "report" or not found.since <= row["known_at"] < found.until:
            continue
        events += 1
        if seen[row["seq"]][place] >= 50_000:
            matched += 1
            unit = (row["subscriber"], row["known_at"].date())
            warned.add(unit)
            known |= {unit} if label >= 0 else set()
            hits |= {unit} if label == 1 else set()
    assert matched > 0
    assert (found.events, found.matched) == (events, matched)
    assert (found.warnings, found.known, found.frauds) == (len(warned), len(known), len(hits))
    assert found.match_rate == matched / events
    assert found.hit_rate == pytest.approx(len(hits) / len(known))
    assert found.hit_low is not None
    assert found.hit_high is not None
    assert found.hit_low <= found.hit_rate <= found.hit_high
    assert found.raised_per_day >= found.added_per_day
    assert found.held_per_day == 0


def test_a_rule_that_holds_says_what_it_holds_back(past: Past, bundle: Bundle, hold: Make) -> None:
    always = {"kind": ["call", "sms", "app", "transfer", "lead"]}
    every = hold(when=always, expires_at=END, hold_most_urgent=True)
    found = try_on_history(read(every), bundle, past, LATER, CONFIG)
    assert found.match_rate == 1
    assert found.added_per_day == 0
    careful = try_on_history(read(hold(when=always, expires_at=END)), bundle, past, LATER, CONFIG)
    assert careful.held_per_day <= found.held_per_day
    assert found.held_per_day == pytest.approx((found.overlap or 0) * found.warnings / found.days)
    assert careful.held_frauds <= found.held_frauds


def test_whom_a_list_has_is_found_in_the_past(past: Past, bundle: Bundle, document: Make) -> None:
    rule = read(document(when={"list": "deny", "holds": "counterpart"}))
    assert try_on_history(rule, bundle, past, LATER, CONFIG).matched == 0
    rows = [row for row in past.events.to_pylist() if row["kind"] == "transfer"]
    payee = rows[len(rows) // 2]["counterpart"]
    listed = replace(past, members={"deny": {payee: (("entry", LATER),)}})
    found = try_on_history(rule, bundle, listed, LATER, CONFIG)
    within = [
        row
        for row in past.events.to_pylist()  # raw numbers here: a phone may look like an account
        if row["kind"] != "report" and found.since <= row["known_at"] < found.until
    ]
    assert found.matched == sum(row["counterpart"] == payee for row in within) > 0


def test_many_events_are_tested_on_whole_citizens(
    past: Past, bundle: Bundle, document: Make
) -> None:
    whole = try_on_history(read(document()), bundle, past, LATER, CONFIG)
    some = try_on_history(
        read(document()), bundle, past, LATER, replace(CONFIG, most=whole.events // 3)
    )
    assert some.events <= whole.events // 3
    assert some.share == pytest.approx(some.citizens / whole.citizens)
    assert 0.2 < some.share < 0.45
    again = try_on_history(
        read(document()), bundle, past, LATER, replace(CONFIG, most=whole.events // 3)
    )
    assert again == some


def test_nothing_that_was_learnt_later_is_looked_at(
    past: Past, bundle: Bundle, document: Make
) -> None:
    early = min(past.events["known_at"].to_pylist()) + timedelta(days=17)
    before = past.events.filter(pa.array(np.array(past.events["known_at"].to_pylist()) < early))
    expected = try_on_history(read(document()), bundle, replace(past, events=before), early, CONFIG)
    assert try_on_history(read(document()), bundle, past, early, CONFIG) == expected


def test_without_a_past_there_is_no_test(past: Past, bundle: Bundle, document: Make) -> None:
    with pytest.raises(NoHistory, match="bring a history in"):
        try_on_history(
            read(document()), bundle, replace(past, events=past.events.slice(0, 0)), LATER
        )
