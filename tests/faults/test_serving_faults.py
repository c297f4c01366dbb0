"""Processes and stores are killed under load: nothing acknowledged is lost, nothing is guessed."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import valkey
from sqlalchemy import create_engine, select, text

from data.database import events, read_events
from data.settings import Settings
from features import FRAUD_FEATURES, bulk
from serving.decisions import DECISIONS, POSTPONED, vector_of
from serving.server import Place, Running, running
from serving.state import ANNOUNCED

Make = Callable[..., dict[str, Any]]
KEYS: dict[str, str] = {}


@pytest.fixture(scope="module")
def fragile(
    new_settings: Callable[[], Settings],
    free_port: Callable[[], int],
    key_of: Callable[[Running], str],
) -> Iterator[Running]:
    """A service of our own, to break."""
    with running(new_settings(), Place(port=free_port(), workers=2)) as found:
        KEYS[found.url] = key_of(found)
        yield found


def ask(service: Running, method: str, path: str, **more: Any) -> httpx.Response:
    """One request on a connection of its own, with our key."""
    headers = {"Authorization": f"Bearer {KEYS[service.url]}"}
    return httpx.request(method, f"{service.url}{path}", headers=headers, **more)


def send(service: Running, event: dict[str, Any]) -> dict[str, Any] | None:
    """Post one event until it is acknowledged; None if that never happens."""
    for _ in range(150):
        try:
            response = ask(service, "POST", "/v1/fraud/score", json=event, timeout=10)
        except httpx.HTTPError:
            time.sleep(0.2)
            continue
        if response.status_code == 200:
            return dict(response.json())
        assert response.status_code in {503, 504}, response.text
        time.sleep(0.2)
    return None


def eventually(holds: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def rows(service: Running, query: Any) -> list[Any]:
    engine = create_engine(service.settings.database_url or "")
    try:
        with engine.connect() as connection:
            return list(connection.execute(query).mappings())
    finally:
        engine.dispose()


def assert_served_equals_replayed(service: Running) -> None:
    """The certificate: every served vector, recomputed in bulk from the log, to the bit."""
    engine = create_engine(service.settings.database_url or "")
    with engine.connect() as connection:
        table = read_events(connection)
    engine.dispose()
    replayed = bulk(table, FRAUD_FEATURES, zone=service.settings.zone, threads=1)
    found = {int(seq): row for seq, row in zip(replayed.seq, replayed.X, strict=True)}
    for row in rows(service, select(DECISIONS.c.seq, DECISIONS.c.vector)):
        np.testing.assert_array_equal(vector_of(row["vector"]), found[row["seq"]])


def valkey_of(service: Running) -> valkey.Valkey:
    return valkey.Valkey.from_url(service.settings.valkey_url or "")


def store_process(service: Running, program: str) -> psutil.Process:
    var = str(service.settings.var.resolve())
    for process in psutil.process_iter(["name", "cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if process.info["name"] == program and var in line:
            return process
    raise AssertionError(f"no {program} of {var}")


def test_a_worker_killed_in_mid_stream_loses_nothing(fragile: Running, call: Make) -> None:
    sent = [call(subscriber=f"139000{n % 9:05d}", duration_s=n) for n in range(150)]
    first = fragile.workers()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(send, fragile, event) for event in sent[:60]]
        os.kill(first[0], signal.SIGKILL)
        answers += [pool.submit(send, fragile, event) for event in sent[60:]]
    acknowledged = [answer.result() for answer in answers]
    assert all(acknowledged)

    logged = rows(fragile, select(events.c.event_id, events.c.seq))
    assert {event["event_id"] for event in sent} <= {row["event_id"] for row in logged}
    recorded = rows(fragile, select(DECISIONS.c.event_id, DECISIONS.c.answer))
    by_id = {row["event_id"]: row["answer"] for row in recorded}
    for answer in acknowledged:
        assert answer is not None
        assert by_id[answer["event_id"]] == answer
    eventually(lambda: len(fragile.workers()) == 2)
    assert_served_equals_replayed(fragile)


def test_what_a_killed_worker_had_shown_to_the_state_is_recorded_all_the_same(
    fragile: Running, call: Make
) -> None:
    """As if a worker died between the state and the log: only its note is left."""
    event = call(subscriber="13900003333")
    ask(fragile, "POST", "/v1/events", json=event, timeout=30)
    (row,) = rows(fragile, select(events).where(events.c.event_id == event["event_id"]))
    lost = {**row["payload"], "event_id": "left-behind"}
    note = json.dumps({"at": 0, "scored": True, "event": lost})
    client = valkey_of(fragile)
    client.hset(ANNOUNCED, "left-behind", note)

    def is_recorded() -> bool:
        return bool(rows(fragile, select(events).where(events.c.event_id == "left-behind")))

    eventually(is_recorded)
    eventually(lambda: not client.hexists(ANNOUNCED, "left-behind"))
    client.close()
    assert_served_equals_replayed(fragile)


def test_without_valkey_no_score_is_guessed_and_nothing_is_lost(
    fragile: Running, fraud_call: Make
) -> None:
    os.kill(store_process(fragile, "valkey-server").pid, signal.SIGKILL)
    event = fraud_call(subscriber="13900004444")
    response = ask(fragile, "POST", "/v1/fraud/score", json=event, timeout=30)
    assert response.status_code == 200
    decision = response.json()
    if decision["degraded"]:  # unless the watch was faster than we
        assert decision["degraded"] == ["feature_state"]
        assert decision["score"] is None
        assert decision["level"] is None
    other = {**event, "duration_s": 1}
    assert ask(fragile, "POST", "/v1/fraud/score", json=other, timeout=30).status_code == 409

    def is_scored() -> bool:
        return ask(fragile, "GET", f"/v1/decisions/{event['event_id']}").status_code == 200

    eventually(is_scored)
    eventually(lambda: not rows(fragile, select(POSTPONED)))
    record = ask(fragile, "GET", f"/v1/decisions/{event['event_id']}").json()
    assert record["decision"]["alert"]
    assert record["event"]["duration_s"] == event["duration_s"]
    assert record["recomputed"]["equal"]
    later = send(fragile, fraud_call(subscriber="13900004444"))
    assert later is not None
    assert_served_equals_replayed(fragile)


def test_an_emptied_valkey_is_noticed_and_rebuilt(fragile: Running, fraud_call: Make) -> None:
    client = valkey_of(fragile)
    client.flushall()
    client.close()
    answer = send(fragile, fraud_call(subscriber="13900005555"))
    assert answer is not None
    eventually(lambda: not rows(fragile, select(POSTPONED)))
    eventually(lambda: ask(fragile, "GET", "/v1/ready").json()["ready"])
    assert send(fragile, fraud_call(subscriber="13900005555")) is not None
    assert_served_equals_replayed(fragile)


def test_without_postgresql_nothing_is_acknowledged(fragile: Running, fraud_call: Make) -> None:
    event = fraud_call(subscriber="13900006666")
    os.kill(store_process(fragile, "postgres").pid, signal.SIGQUIT)
    response = ask(fragile, "POST", "/v1/fraud/score", json=event, timeout=30)
    if response.status_code != 200:
        assert response.status_code == 503
        assert response.json()["degraded"] in (["decision_log"], ["accounts"])
        assert response.headers["retry-after"]
    assert ask(fragile, "GET", "/v1/health").status_code == 200
    assert send(fragile, event) is not None
    assert len(rows(fragile, select(events).where(events.c.event_id == event["event_id"]))) == 1
    assert_served_equals_replayed(fragile)


def test_no_raw_number_is_anywhere(fragile: Running, call: Make) -> None:
    """Grep every store, file, metric and log of a run for the numbers it was given."""
    raw = {"subscriber": "13755501234", "counterpart": "+85255501234"}
    send(fragile, call(**raw))
    ask(fragile, "POST", "/v1/events", json=call(**raw), timeout=30)
    ask(fragile, "POST", "/v1/fraud/score", json=call(**raw, duration_s="x"), timeout=30)
    ask(fragile, "POST", "/v1/fraud/score", content=b'{"subscriber": "13755501234"', timeout=30)
    numbers = [b"13755501234", b"55501234"]
    metrics = ask(fragile, "GET", "/metrics").content
    found = [*_files(fragile.settings.var), ("valkey", _dump(fragile)), ("metrics", metrics)]
    found.append(("tables", _tables(fragile)))
    for name, content in found:
        for number in numbers:
            assert number not in content, name


def _files(var: Path) -> Iterator[tuple[str, bytes]]:
    for path in var.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()


def _dump(service: Running) -> bytes:
    client = valkey_of(service)
    parts = list(client.scan_iter())
    for key in list(parts):
        plain = client.type(key) == b"string"
        parts += [client.get(key)] if plain else [*client.hgetall(key).values()]
    client.close()
    return b"".join(parts)


def _tables(service: Running) -> bytes:
    tables = ("events", "decisions", "quarantine", "postponed")
    queries = [text(f"SELECT t::text AS line FROM {name} t") for name in tables]  # noqa: S608
    found = [rows(service, query) for query in queries]
    assert found[0]
    return json.dumps([row["line"] for table in found for row in table]).encode()


def test_a_restart_rebuilds_the_state_to_the_same_bits(
    new_settings: Callable[[], Settings],
    free_port: Callable[[], int],
    key_of: Callable[[Running], str],
    call: Make,
) -> None:
    settings, citizen = new_settings(), "13900007777"
    with running(settings, Place(port=free_port(), workers=1)) as service:
        KEYS[service.url] = key_of(service)
        for n in range(20):
            assert send(service, call(subscriber=citizen, duration_s=100 * n)) is not None
    with running(settings, Place(port=free_port(), workers=1)) as service:
        KEYS[service.url] = key_of(service)
        for n in range(20):
            assert send(service, call(subscriber=citizen, duration_s=50 * n)) is not None
        assert_served_equals_replayed(service)
        assert len(rows(service, select(DECISIONS.c.seq))) == 40
    assert not [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(settings.var.resolve()) in " ".join(process.info["cmdline"] or ())
    ]
