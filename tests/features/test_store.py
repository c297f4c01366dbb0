"""The live state: reads change nothing, states are bounded, workers and restarts are survived."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import valkey
import valkey.asyncio

from data.tables import to_events
from features import FRAUD_FEATURES, FeatureSet, FeatureSpec, LiveState, LiveStateSync
from features.replay import differences

ZONE = "Asia/Shanghai"
ROOT = Path(__file__).resolve().parents[2]
COUNT = FeatureSet((FeatureSpec("subscriber", "count", "any", "24h"),))
Table = Callable[[Sequence[dict[str, Any]]], pa.Table]


def call(known: float, **more: Any) -> dict[str, Any]:
    base = {"kind": "call", "subscriber": "100", "counterpart": "200", "direction": "incoming"}
    return {**base, "duration_s": 60, "foreign": False, "known": known, **more}


def test_an_event_never_counts_itself(table: Table, client: valkey.Valkey) -> None:
    live = LiveStateSync(client, COUNT, ZONE)
    served = live.observe_table(table([call(0), call(1), call(2)]))
    assert served.values[:, 0].tolist() == [0, 1, 2]
    assert served.seq.tolist() == [0, 1, 2]


def test_a_repeat_changes_nothing(table: Table, client: valkey.Valkey) -> None:
    live = LiveStateSync(client, COUNT, ZONE)
    first, second = to_events(table([call(0), call(1)]))
    served = [live.observe(event) for event in (first, second, second, first)]
    assert [vector.values[0] for vector in served] == [0, 1, 1, 0]
    assert [vector.repeated for vector in served] == [False, False, True, True]
    assert live.position() == 1


def test_a_read_changes_nothing_that_can_be_seen(
    stream: Callable[..., pa.Table], client: valkey.Valkey
) -> None:
    live = LiveStateSync(client, FRAUD_FEATURES, ZONE)
    live.observe_table(stream(60, keys=1))
    before = {key: client.get(key) for key in client.scan_iter()}
    now = 1_700_000_000_000_000 + 46 * 86_400 * 1_000_000
    first = live.read("100", now)
    assert not differences(first, live.read("100", now)).any()
    assert {key: client.get(key) for key in client.scan_iter()} == before
    column = FRAUD_FEATURES.names.index("subscriber.any.count.30d")
    assert first[column] > live.read("100", now + 20 * 86_400 * 1_000_000)[column]


def test_expiry_is_decided_at_the_read(table: Table, client: valkey.Valkey) -> None:
    live = LiveStateSync(client, COUNT, ZONE)
    live.observe_table(table([call(0)]))
    start = 1_700_000_000_000_000
    tile = start // 3_600_000_000
    last_inside = (tile + 25) * 3_600_000_000 - 1
    assert live.read("100", last_inside)[0] == 1
    assert live.read("100", last_inside + 1)[0] == 0


def test_a_hot_key_stays_bounded(table: Table, client: valkey.Valkey) -> None:
    """Ten times the events in the same 40 days: the state does not grow with them."""
    sizes = []
    for events in (300, 3_000):
        client.flushall()
        live = LiveStateSync(client, FRAUD_FEATURES, ZONE)
        step = 40 * 86_400 / events
        rows = [call(n * step, counterpart=str(100 + n % 250)) for n in range(events)]
        live.observe_table(table(rows))
        sizes.append(client.strlen(live.codec.prefix + "s:100"))
    assert sizes[1] < 1.5 * sizes[0]
    assert sizes[1] < 16_384


def test_every_state_is_freed_some_day(table: Table, client: valkey.Valkey) -> None:
    live = LiveStateSync(client, FRAUD_FEATURES, ZONE)
    live.observe_table(table([call(0)]))
    lasting = [key for key in client.scan_iter() if client.ttl(key) < 0]
    assert lasting == [live.codec.prefix.encode() + b"clock"]
    assert client.ttl(live.codec.prefix + "s:100") > 38 * 86_400


def test_a_lost_library_is_loaded_again(table: Table, client: valkey.Valkey) -> None:
    live = LiveStateSync(client, COUNT, ZONE)
    first, second = to_events(table([call(0), call(1)]))
    live.observe(first)
    client.execute_command("FUNCTION", "FLUSH")
    assert live.observe(second).values[0] == 1


def test_two_feature_sets_do_not_meet(table: Table, client: valkey.Valkey) -> None:
    other = FeatureSet((FeatureSpec("subscriber", "count", "any", "1h"),))
    event = to_events(table([call(0)]))[0]
    assert LiveStateSync(client, COUNT, ZONE).observe(event).seq == 0
    assert not LiveStateSync(client, other, ZONE).observe(event).repeated


def test_an_unstamped_event_is_refused(table: Table, client: valkey.Valkey) -> None:
    event = to_events(table([call(0)]))[0].model_copy(update={"known_at": None})
    with pytest.raises(ValueError, match="known_at: expected a time, found none"):
        LiveStateSync(client, COUNT, ZONE).observe(event)


def test_the_asynchronous_twin_serves_the_same(
    stream: Callable[..., pa.Table], client: valkey.Valkey, valkey_url: str
) -> None:
    part = stream(40, keys=2)
    served = LiveStateSync(client, FRAUD_FEATURES, ZONE).observe_table(part).values
    client.flushall()

    async def work() -> np.ndarray[Any, Any]:
        async with valkey.asyncio.from_url(valkey_url) as own:
            live = LiveState(own, FRAUD_FEATURES, ZONE)
            events = to_events(part)
            one_by_one = [await live.observe(event) for event in events[:20]]
            rest = await live.observe_many(events[20:])
            assert await live.position() == 39
            own_features = await live.read("100", one_by_one[-1].now)
            assert own_features.shape == (len(FRAUD_FEATURES),)
            return np.stack([vector.values for vector in [*one_by_one, *rest]])

    assert not differences(asyncio.run(work()), served).any()


def test_the_live_path_does_not_need_numba() -> None:
    program = "import sys; from features import LiveState; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
