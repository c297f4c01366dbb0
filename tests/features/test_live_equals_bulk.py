"""One definition, two executions, equal to the bit: every killer of that equality, tried."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import valkey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data.tables import to_events
from features import FRAUD_FEATURES, TRANSFER_FEATURES, FeatureSet, LiveStateSync, bulk
from features.replay import differences

ZONES = ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]
DAY = 86_400
TRY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Table = Callable[[Sequence[dict[str, Any]]], pa.Table]

same_text = st.sampled_from(["100", "200", "300"])
steps = st.sampled_from([0, 0, 1e-6, 1, 299.999999, 300, 3_600, 21_600, DAY, 7 * DAY, 31 * DAY])
lateness = st.sampled_from([0, 0, 0, -60, 1, 300, 3_600, DAY, 10 * DAY, 29 * DAY, 40 * DAY])


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Few keys that share their texts across namespaces; times at and around every edge."""
    known, rows = 0.0, []
    for number in range(draw(st.integers(1, 30))):
        known += draw(steps)
        rows.append(
            {
                "event_id": f"e{number}",
                "known": known,
                "occurred": known - draw(lateness),
                "subscriber": draw(same_text),
                **draw(st.one_of(calls, messages, apps, transfers, reports, leads)),
            }
        )
    return rows


calls = st.fixed_dictionaries(
    {
        "kind": st.just("call"),
        "counterpart": same_text,
        "direction": st.sampled_from(["incoming", "outgoing"]),
        "duration_s": st.sampled_from([0, 29, 30, 599, 600, 5_000]),
        "foreign": st.booleans(),
    },
    optional={"counterpart_age_days": st.sampled_from([0, 90, 91])},
)
messages = st.fixed_dictionaries(
    {
        "kind": st.just("sms"),
        "counterpart": same_text,
        "direction": st.sampled_from(["incoming", "outgoing"]),
        "has_link": st.booleans(),
    }
)
apps = st.fixed_dictionaries(
    {
        "kind": st.just("app"),
        "counterpart": same_text,
        "action": st.sampled_from(["install", "visit", "screen_share"]),
        "duration_s": st.just(0),
    },
    optional={"device": same_text},
)
transfers = st.fixed_dictionaries(
    {
        "kind": st.just("transfer"),
        "counterpart": same_text,
        "account": same_text,
        "amount_fen": st.sampled_from([1, 50, 99_950, 10**7, 10**11]),
    },
    optional={"device": same_text},
)
reports = st.fixed_dictionaries(
    {"kind": st.just("report")},
    optional={
        "phones": st.lists(same_text, max_size=3),
        "accounts": st.lists(same_text, max_size=2),
        "apps": st.lists(same_text, max_size=2),
    },
)
leads = st.fixed_dictionaries(
    {"kind": st.just("lead"), "grade": st.sampled_from(["urgent", "low"])},
    optional={"counterpart": same_text},
)


def in_bulk(table: pa.Table, zone: str, features: FeatureSet = FRAUD_FEATURES) -> NDArray[Any]:
    """Vectors of every row; NaN where a row is not scored."""
    vectors = bulk(table, features, zone=zone)
    found = np.full((table.num_rows, len(features)), np.nan)
    found[vectors.rows] = vectors.X
    return found


def expect_equal(live: NDArray[Any], offline: NDArray[Any]) -> None:
    apart = differences(np.ascontiguousarray(live), np.ascontiguousarray(offline))
    first = np.argwhere(apart)[:5].tolist()
    names = FRAUD_FEATURES.names
    assert not first, [(row, names[c], live[row, c], offline[row, c]) for row, c in first]


@TRY
@given(rows=events(), zone=st.sampled_from(ZONES))
def test_any_stream_in_one_pipeline(
    rows: list[dict[str, Any]], zone: str, table: Table, client: valkey.Valkey
) -> None:
    client.flushall()
    stream = table(rows)
    live = LiveStateSync(client, FRAUD_FEATURES, zone)
    expect_equal(live.observe_table(stream).values, in_bulk(stream, zone))


@TRY
@given(rows=events(), zone=st.sampled_from(ZONES))
def test_any_stream_parsed_event_by_event(
    rows: list[dict[str, Any]], zone: str, table: Table, client: valkey.Valkey
) -> None:
    client.flushall()
    stream = table(rows)
    live = LiveStateSync(client, FRAUD_FEATURES, zone)
    served = [live.observe(event).values for event in to_events(_valid(stream))]
    expect_equal(np.stack(served), in_bulk(stream, zone))


def _valid(stream: pa.Table) -> pa.Table:
    """Contracts want a report's loss after its first contact: made so in the builder."""
    return stream


@TRY
@given(rows=events(), cut=st.integers(0, 30))
def test_a_restart_in_the_middle(
    rows: list[dict[str, Any]], cut: int, table: Table, client: valkey.Valkey
) -> None:
    client.flushall()
    stream, zone = table(rows), ZONES[0]
    cut = min(cut, stream.num_rows)
    live = LiveStateSync(client, FRAUD_FEATURES, zone)
    assert live.rebuild(stream.slice(0, cut)) == cut - 1
    after = live.observe_table(stream.slice(cut)).values
    expect_equal(after, in_bulk(stream, zone)[cut:])


@TRY
@given(rows=events(), again=st.lists(st.integers(0, 29), max_size=10))
def test_repeats_are_the_same_fact(
    rows: list[dict[str, Any]], again: list[int], table: Table, client: valkey.Valkey
) -> None:
    client.flushall()
    for place in sorted(again):
        first = dict(rows[place % len(rows)])
        rows.append({**first, "known": rows[-1]["known"] + 1})
    live = LiveStateSync(client, FRAUD_FEATURES, ZONES[0])
    stream = table(rows)
    served = live.observe_table(stream)
    once = np.flatnonzero(~served.repeated)
    offline = bulk(stream, FRAUD_FEATURES, zone=ZONES[0])
    scored = [n for n in once if rows[n]["kind"] != "report"]
    expect_equal(served.values[scored], offline.X)
    for place in np.flatnonzero(served.repeated):
        original = next(n for n in once if rows[n]["event_id"] == rows[place]["event_id"])
        expect_equal(served.values[[place]], served.values[[original]])
        assert served.seq[place] == served.seq[original]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("features", [FRAUD_FEATURES, TRANSFER_FEATURES], ids=["all", "transfers"])
def test_a_longer_stream_with_hot_keys(
    seed: int, features: FeatureSet, stream: Callable[..., pa.Table], client: valkey.Valkey
) -> None:
    long = stream(600, seed=seed, keys=2 + 5 * seed)
    live = LiveStateSync(client, features, ZONES[0])
    served = live.observe_table(long).values
    assert not differences(served, in_bulk(long, ZONES[0], features)).any()


def test_a_longer_stream_rebuilt_in_the_middle(
    stream: Callable[..., pa.Table], client: valkey.Valkey
) -> None:
    long, live = stream(900, seed=9, keys=4), LiveStateSync(client, FRAUD_FEATURES, ZONES[0])
    live.rebuild(long.slice(0, 500))
    expect_equal(live.observe_table(long.slice(500)).values, in_bulk(long, ZONES[0])[500:])


def test_two_workers_at_one_key(
    stream: Callable[..., pa.Table], client: valkey.Valkey, valkey_url: str
) -> None:
    """Whatever order they come in, the log in that order replays to the same vectors."""
    hot = stream(200, seed=4, keys=1)
    served: dict[str, tuple[int, NDArray[Any]]] = {}

    def work(part: pa.Table) -> None:
        with valkey.from_url(valkey_url) as own:
            live = LiveStateSync(own, FRAUD_FEATURES, ZONES[0])
            for event in to_events(part):
                vector = live.observe(event)
                served[event.event_id] = (vector.seq, vector.values)

    halves = [hot.filter(pa.array(np.arange(200) % 2 == odd)) for odd in (0, 1)]
    threads = [threading.Thread(target=work, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    order = [served[name][0] for name in hot["event_id"].to_pylist()]
    assert sorted(order) == list(range(200))
    log = hot.set_column(0, "seq", pa.array(order)).sort_by("seq")
    values = np.stack([served[name][1] for name in log["event_id"].to_pylist()])
    expect_equal(values, in_bulk(log, ZONES[0]))
