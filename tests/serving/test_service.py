"""The API over HTTP: two BentoML workers, one PostgreSQL, one Valkey, as in production."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import bentoml
import httpx
import numpy as np
import pytest
from sqlalchemy import create_engine, select, text, update

from data.database import events, quarantine, read_events
from data.pseudonyms import Pseudonymiser
from data.quarantine import Sealer
from features import FRAUD_FEATURES, bulk
from serving.access import AUDIT, Action
from serving.decisions import DECISIONS, vector_of
from serving.problems import MEDIA_TYPE
from serving.server import Running

Make = Callable[..., dict[str, Any]]
JSON = {"Content-Type": "application/json"}


def rows(service: Running, query: Any) -> list[Any]:
    engine = create_engine(service.settings.database_url or "")
    try:
        with engine.connect() as connection:
            return list(connection.execute(query).mappings())
    finally:
        engine.dispose()


def opened(service: Running, name: str) -> dict[str, Any]:
    (row,) = rows(service, select(quarantine.c.record).where(quarantine.c.id == name))
    record = Sealer(Pseudonymiser.from_settings(service.settings)).open(name, row["record"])
    return dict(json.loads(record))


def logged(service: Running, event_id: str) -> dict[str, Any]:
    (row,) = rows(service, select(events.c.payload).where(events.c.event_id == event_id))
    return dict(row["payload"])


def assert_problem(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document = response.json()
    assert {"type", "title", "status", "detail", "fix"} <= set(document)
    return dict(document)


def test_two_workers_serve(service: Running) -> None:
    assert len(service.workers()) == 2


@pytest.mark.parametrize("path", ["/v1/fraud/score", "/v1/events"])
def test_nobody_scores_without_a_key_or_with_one_for_something_else(
    service: Running, key_of: Callable[..., str], fraud_call: Make, path: str
) -> None:
    event, narrow = fraud_call(), key_of(service, Action.READ_MODEL)
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {narrow}"}, 403)):
        response = httpx.post(f"{service.url}{path}", json=event, headers=headers, timeout=30)
        assert_problem(response, status)
    recorded = select(events.c.event_id).where(events.c.event_id == event["event_id"])
    assert not rows(service, recorded)


def test_an_alert_is_explained_in_both_languages(api: httpx.Client, fraud_call: Make) -> None:
    response = api.post("/v1/fraud/score", json=fraud_call())
    assert response.status_code == 200
    decision = response.json()
    assert decision["alert"]
    assert 0 < decision["score"] <= 1
    assert decision["degraded"] == []
    assert decision["channel"]["zh"]
    assert decision["deadline_s"] > 0
    assert sum(decision["scam_type"]["probabilities"].values()) == pytest.approx(1)
    first = decision["reasons"][0]
    assert re.search(r"[\u4e00-\u9fff]", first["zh"])
    assert re.match(r"[A-Z]", first["en"])


def test_an_ordinary_call_is_explained_only_when_asked(api: httpx.Client, call: Make) -> None:
    quiet = api.post("/v1/fraud/score", json=call()).json()
    assert not quiet["alert"]
    assert quiet["reasons"] == []
    asked = api.post("/v1/fraud/score", json=call(), params={"explain": "true"}).json()
    assert asked["reasons"]
    assert asked["stage"]


def test_the_same_event_id_gives_the_recorded_decision(api: httpx.Client, fraud_call: Make) -> None:
    event = fraud_call()
    first = api.post("/v1/fraud/score", json=event).json()
    assert api.post("/v1/fraud/score", json=event).json() == first
    batch = api.post("/v1/fraud/score_batch", json={"events": [event, event]}).json()
    assert [item["decision"] for item in batch["results"]] == [first, first]


def test_a_repeat_may_spell_out_what_we_filled_in_and_write_a_number_otherwise(
    api: httpx.Client, call: Make
) -> None:
    event = call(subscriber="13800138000")
    first = api.post("/v1/fraud/score", json=event).json()
    spelt = {**event, "subscriber": "+86 138 0013 8000", "roaming": False, "source": "api"}
    again = api.post("/v1/fraud/score", json={**spelt, "counterpart_age_days": None})
    assert again.json() == first


@pytest.mark.parametrize("path", ["/v1/fraud/score", "/v1/events"])
def test_another_event_under_a_recorded_event_id_is_409_and_kept(
    service: Running, api: httpx.Client, fraud_call: Make, path: str
) -> None:
    event = fraud_call()
    first = api.post("/v1/fraud/score", json=event).json()
    changed = {**event, "duration_s": 1}
    document = assert_problem(api.post(path, json=changed), 409)
    assert document["type"] == "urn:forewarn:problem:event-id-taken"
    (error,) = document["errors"]
    assert error["field"] == "event_id"
    assert error["expected"] == "a new event_id for another event"
    assert error["found"] == "the id of a recorded event with other content"
    assert error["fix"] == "send it under an id of its own"
    assert opened(service, document["quarantine_id"]) == changed
    assert logged(service, event["event_id"])["duration_s"] == event["duration_s"]
    assert api.post("/v1/fraud/score", json=event).json() == first


def test_within_a_batch_the_first_under_an_event_id_wins(
    service: Running, api: httpx.Client, call: Make
) -> None:
    event = call(duration_s=100)
    changed = {**event, "duration_s": 999}
    answer = api.post("/v1/fraud/score_batch", json={"events": [event, changed, event]}).json()
    first, second, third = answer["results"]
    assert (answer["scored"], answer["refused"]) == (2, 1)
    assert first["decision"] == third["decision"]
    assert second["problem"]["status"] == 409
    assert opened(service, second["problem"]["quarantine_id"]) == changed
    assert logged(service, event["event_id"])["duration_s"] == 100
    assert api.post("/v1/fraud/score", json=event).json() == first["decision"]


def test_within_a_list_of_facts_the_first_under_an_event_id_wins(
    service: Running, api: httpx.Client, call: Make
) -> None:
    event = call(duration_s=100)
    receipt = api.post("/v1/events", json=[event, {**event, "duration_s": 999}, event]).json()
    assert (receipt["accepted"], receipt["refused"]) == (2, 1)
    assert receipt["problems"][0]["status"] == 409
    assert logged(service, event["event_id"])["duration_s"] == 100


def test_a_record_refused_again_after_its_replay_waits_again(
    service: Running, api: httpx.Client, call: Make
) -> None:
    event = call(duration_s=-3)
    name = assert_problem(api.post("/v1/fraud/score", json=event), 422)["quarantine_id"]
    engine = create_engine(service.settings.database_url or "")
    with engine.begin() as connection:
        row = update(quarantine).where(quarantine.c.id == name)
        connection.execute(row.values(replayed_at=datetime.now(UTC), reason=[]))
    engine.dispose()
    assert_problem(api.post("/v1/fraud/score", json=event), 422)
    (kept,) = rows(service, select(quarantine).where(quarantine.c.id == name))
    assert (kept["times"], kept["replayed_at"]) == (2, None)
    assert [problem["field"] for problem in kept["reason"]] == ["duration_s"]


def test_one_event_sent_to_both_workers_at_once_counts_once(
    service: Running, api: httpx.Client, fraud_call: Make
) -> None:
    event = fraud_call()

    def send(_: int) -> dict[str, Any]:
        return dict(api.post("/v1/fraud/score", json=event).json())

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(24)))
    assert all(answer == answers[0] for answer in answers)
    found = rows(service, select(events).where(events.c.event_id == event["event_id"]))
    assert len(found) == 1
    after = api.post("/v1/fraud/score", json=fraud_call()).json()
    assert after["seq"] > answers[0]["seq"]


def test_a_decision_tells_what_was_known_then(api: httpx.Client, fraud_call: Make) -> None:
    event = fraud_call()
    given = api.post("/v1/fraud/score", json=event).json()
    record = api.get(f"/v1/decisions/{event['event_id']}").json()
    assert record["decision"] == given
    assert record["event"]["subscriber"].startswith("tel_")
    assert record["event"]["duration_s"] == event["duration_s"]
    assert record["recomputed"]["possible"]
    assert record["recomputed"]["equal"]
    assert record["recomputed"]["score"] == given["score"]
    values = {value["name"]: value for value in record["vector"]}
    assert values["event.duration.value"]["value"] == event["duration_s"]
    assert values["event.duration.value"]["unit"] == "s"
    assert set(values) == set(FRAUD_FEATURES.names)
    assert set(record["thresholds"]) == {"red", "yellow", "blue"}


def test_reading_a_decision_is_on_record(
    service: Running, api: httpx.Client, fraud_call: Make
) -> None:
    event = fraud_call()
    api.post("/v1/fraud/score", json=event)
    query = select(AUDIT.c["actor", "action"]).where(AUDIT.c.subject == event["event_id"])
    assert rows(service, query) == []
    api.get(f"/v1/decisions/{event['event_id']}")
    (row,) = rows(service, query)
    assert row["actor"].startswith("key:")
    assert row["action"] == Action.READ_DECISION


def test_a_decision_nobody_made_is_404(api: httpx.Client) -> None:
    assert_problem(api.get("/v1/decisions/nobody"), 404)


def test_a_batch_answers_each_event_and_refuses_only_the_bad(
    api: httpx.Client, call: Make, fraud_call: Make
) -> None:
    bad = call(duration_s=-5)
    sent = [call(), bad, fraud_call(), {"kind": "report"}, 7]
    response = api.post("/v1/fraud/score_batch", json={"events": sent})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["scored"], answer["refused"]) == (2, 3)
    assert [item["index"] for item in answer["results"]] == [0, 1, 2, 3, 4]
    assert answer["results"][0]["decision"]["event_id"] == sent[0]["event_id"]
    assert answer["results"][1]["problem"]["errors"][0]["field"] == "duration_s"
    assert answer["results"][2]["decision"]["alert"]


def test_facts_taken_in_without_a_score_are_in_the_log_and_in_the_state(
    service: Running, api: httpx.Client, call: Make
) -> None:
    citizen = "13900001111"
    earlier = [call(subscriber=citizen, counterpart=f"+8529000{n:04d}") for n in range(3)]
    receipt = api.post("/v1/events", json=earlier)
    assert receipt.status_code == 202
    assert receipt.json()["accepted"] == 3
    again = api.post("/v1/events", json=earlier[0]).json()
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert_problem(api.get(f"/v1/decisions/{earlier[0]['event_id']}"), 404)

    scored = call(subscriber=citizen)
    api.post("/v1/fraud/score", json=scored)
    record = api.get(f"/v1/decisions/{scored['event_id']}").json()
    values = {value["name"]: value["value"] for value in record["vector"]}
    assert values["subscriber.call_in.count.24h"] == 3


def test_an_event_taken_in_can_be_scored_afterwards_as_of_then(
    api: httpx.Client, fraud_call: Make
) -> None:
    event = fraud_call(subscriber="13900002222")
    api.post("/v1/events", json=event)
    api.post("/v1/fraud/score", json=fraud_call(subscriber="13900002222"))
    decision = api.post("/v1/fraud/score", json=event).json()
    assert decision["alert"]
    record = api.get(f"/v1/decisions/{event['event_id']}").json()
    values = {value["name"]: value["value"] for value in record["vector"]}
    assert values["subscriber.call_in.count.24h"] == 0


def test_a_report_is_recorded_as_a_label(service: Running, api: httpx.Client, call: Make) -> None:
    now = datetime.now(UTC)
    report = {
        "event_id": "report-1",
        "occurred_at": (now - timedelta(hours=2)).isoformat(),
        "first_contact_at": (now - timedelta(days=1)).isoformat(),
        "reported_at": (now - timedelta(hours=1)).isoformat(),
        "subscriber": "13800138000",
        "scam_type": "authority",
        "loss_fen": 1_200_000,
        "phones": ["+85291234567"],
        "accounts": ["6217000012345678"],
    }
    assert api.post("/v1/reports", json=report).status_code == 202
    assert api.post("/v1/reports", json=report).json()["duplicates"] == 1
    assert_problem(api.post("/v1/reports", json={**report, "loss_fen": 1}), 409)
    (row,) = rows(service, select(events).where(events.c.event_id == "report-1"))
    assert row["kind"] == "report"
    assert row["late"]
    assert row["payload"]["phones"][0].startswith("tel_")
    assert_problem(api.post("/v1/fraud/score", json={**report, "kind": "report"}), 422)
    assert_problem(api.post("/v1/reports", json=call()), 422)


def test_served_vectors_equal_the_bulk_replay_to_the_bit(
    service: Running, api: httpx.Client
) -> None:
    engine = create_engine(service.settings.database_url or "")
    with engine.connect() as connection:
        table = read_events(connection)
        served = {
            row.seq: vector_of(row.vector)
            for row in connection.execute(select(DECISIONS.c.seq, DECISIONS.c.vector))
        }
    engine.dispose()
    replayed = bulk(table, FRAUD_FEATURES, zone=service.settings.zone, threads=1)
    found = {int(seq): row for seq, row in zip(replayed.seq, replayed.X, strict=True)}
    assert len(served) > 10
    for seq, vector in served.items():
        np.testing.assert_array_equal(vector, found[seq])


def test_bentomls_own_clients_work(
    service: Running, key: str, call: Make, fraud_call: Make
) -> None:
    with bentoml.SyncHTTPClient(service.url, token=key) as client:
        assert client.score(fraud_call())["alert"]
        batch = client.score_batch(events=[call(), fraud_call()], explain=True)
        assert batch["scored"] == 2
        with pytest.raises(bentoml.exceptions.BentoMLException, match="invalid-event"):
            client.score(call(duration_s=-1))
    client._temp_dir.cleanup()  # BentoML leaves that to the garbage collector, which warns

    async def score() -> dict[str, Any]:
        async with bentoml.AsyncHTTPClient(service.url, token=key) as client:
            answer = dict(await client.score(fraud_call()))
        client._temp_dir.cleanup()
        return answer

    assert asyncio.run(score())["alert"]


def test_the_model_shows_its_card_and_levels(api: httpx.Client) -> None:
    model = api.get("/v1/model").json()
    assert model["card"]["title"] == "Test"
    assert [level["name"] for level in model["levels"]] == ["red", "yellow", "blue"]
    assert model["features"] == len(FRAUD_FEATURES)


def test_health_readiness_and_bentomls_own(api: httpx.Client) -> None:
    assert api.get("/v1/health").json() == {"status": "alive"}
    ready = api.get("/v1/ready").json()
    assert ready["ready"]
    assert set(ready["parts"].values()) == {"ok"}
    assert api.get("/livez").status_code == api.get("/readyz").status_code == 200


def test_metrics_add_up_both_workers(api: httpx.Client, call: Make) -> None:
    headers = dict(api.headers)

    def counted() -> float:
        body = api.get("/metrics").text
        line = re.search(r'requests_total\{route="/v1/fraud/score",status="200"\} (\S+)', body)
        return float(line.group(1)) if line else 0.0

    before = counted()
    for _ in range(12):  # a new connection each time: either worker may answer
        httpx.post(f"{api.base_url}/v1/fraud/score", json=call(), headers=headers, timeout=30)
    assert counted() == before + 12


def test_bentomls_page_shows_the_corrected_description(api: httpx.Client) -> None:
    assert api.get("/docs.json").json() == api.get("/v1/openapi.json").json()


def test_a_chunked_oversize_is_413(api: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(80):
            yield b" " * 1_024

    assert_problem(api.post("/v1/fraud/score", content=parts(), headers=JSON), 413)


def test_reading_the_tables_needs_no_raw_number(service: Running) -> None:
    found = rows(service, text("SELECT subscriber FROM events"))
    assert all(row["subscriber"].startswith("tel_") for row in found)


def test_a_decision_is_json_without_surprises(api: httpx.Client, fraud_call: Make) -> None:
    body = api.post("/v1/fraud/score", json=fraud_call()).content
    assert b"NaN" not in body
    assert json.loads(body)
