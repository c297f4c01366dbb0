"""Bad input of every kind on every endpoint: a clear 4xx, never a 500, and nothing is lost."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, func, select

from data.database import quarantine
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.quarantine import Quarantine
from serving.problems import MEDIA_TYPE
from serving.server import Running

Make = Callable[..., dict[str, Any]]
JSON = {"Content-Type": "application/json"}
PATHS = ("/v1/fraud/score", "/v1/fraud/score_batch", "/v1/events", "/v1/reports")
SECRET = "13812345678"

BODIES = {
    "empty": b"",
    "blank": b"  \n ",
    "not json": b"kind=call",
    "cut off": b'{"kind": "call", "event_id": ',
    "trailing": b'{"kind": "call"} {}',
    "not utf-8": b'{"kind": "call", "source": "\xc3\x28\xff"}',
    "utf-16": '{"kind": "call"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"kind": "call"}',
    "lone surrogate": b'{"kind": "call", "source": "\\ud800"}',
    "nan": b'{"kind": "call", "duration_s": NaN}',
    "infinity": b'{"kind": "call", "duration_s": Infinity}',
    "deep list": b"[" * 20_000,
    "deep object": b'{"a":' * 9_000,
    "huge number": b'{"kind": "call", "duration_s": ' + b"9" * 5_000 + b"}",
    "null": b"null",
    "number": b"1",
    "text": b'"call"',
    "empty list": b"[]",
    "empty object": b"{}",
    "list of junk": b"[1, null, [], {}]",
    "unknown key": b'{"surprise": 1}',
    "unknown kind": b'{"kind": "weather"}',
    "kind of wrong type": b'{"kind": 7}',
    "control character": b'{"kind": "call", "source": "\\u0000"}',
}

OTHER_KINDS = (
    "text/plain",
    "application/xml",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "application/vnd.bentoml+pickle",
    "",
)

FIELDS: dict[str, Any] = {
    "negative": {"duration_s": -1},
    "huge": {"duration_s": 10**30},
    "overflow": {"duration_s": 1e308},
    "fraction": {"duration_s": 1.5},
    "text for a number": {"duration_s": "sixty"},
    "wrong direction": {"direction": "sideways"},
    "missing": {"duration_s": None},
    "list for text": {"subscriber": ["13800138000"]},
    "object for text": {"counterpart": {"number": "13800138000"}},
    "no number": {"subscriber": "anonymous"},
    "long text": {"subscriber": "1" * 5_000},
    "no offset": {"occurred_at": "2026-01-01T00:00:00"},
    "no time": {"occurred_at": "yesterday"},
    "impossible time": {"occurred_at": "2026-02-30T00:00:00Z"},
    "before the epoch": {"occurred_at": "1812-01-01T00:00:00Z"},
    "far future": {"occurred_at": "2099-01-01T00:00:00Z"},
    "clock ahead": {"occurred_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
    "empty id": {"event_id": ""},
    "long id": {"event_id": "x" * 65},
    "id with blanks": {"event_id": "a b"},
    "unknown key": {"surprise": 1},
    "another version": {"version": 2},
    "boolean for a number": {"duration_s": True},
}


def assert_clear(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    assert response.status_code in (statuses or range(400, 500)), response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document = response.json()
    assert document["status"] == response.status_code
    assert document["fix"]
    assert SECRET not in response.text
    return dict(document)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_bad_body_is_a_clear_4xx(api: httpx.Client, path: str, body: bytes) -> None:
    response = api.post(path, content=body, headers=JSON)
    if path == "/v1/events" and body.startswith(b"[1"):
        assert response.json()["refused"] == 4
    else:
        assert_clear(response)


@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS)
def test_a_bad_field_is_named_and_the_record_is_kept(
    service: Running, api: httpx.Client, call: Make, change: dict[str, Any]
) -> None:
    event = {**call(counterpart=SECRET), **change}
    document = assert_clear(api.post("/v1/fraud/score", json=event), 422)
    (field,) = change
    assert field in {error["field"].split(".")[0] for error in document["errors"]}
    assert all(error["expected"] and error["fix"] for error in document["errors"])
    assert kept(service, document["quarantine_id"]) == 1
    assert_clear(api.post("/v1/events", json=event), 422)
    batch = api.post("/v1/fraud/score_batch", json={"events": [event]}).json()
    assert (batch["scored"], batch["refused"]) == (0, 1)
    assert SECRET not in json.dumps(batch)


def kept(service: Running, name: str) -> int:
    engine = create_engine(service.settings.database_url or "")
    try:
        with engine.connect() as connection:
            query = select(func.count()).where(quarantine.c.id == name)
            return connection.scalar(query) or 0
    finally:
        engine.dispose()


def test_a_refused_record_can_be_replayed_after_a_fix(
    service: Running, api: httpx.Client, call: Make
) -> None:
    event = call(duration_s=-7)
    name = assert_clear(api.post("/v1/fraud/score", json=event), 422)["quarantine_id"]
    engine = create_engine(service.settings.database_url or "")
    shelf = Quarantine(engine, Intake(Pseudonymiser.from_settings(service.settings)))
    passed: list[Any] = []
    shelf.replay(passed.extend, mend=lambda record: {**record, "duration_s": 7}, ids=[name])
    engine.dispose()
    assert [each.event_id for each in passed] == [event["event_id"]]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_media_types_are_415(api: httpx.Client, path: str, kind: str) -> None:
    assert_clear(api.post(path, content=b"{}", headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_405(api: httpx.Client, path: str, method: str) -> None:
    headers = JSON if method != "GET" else {}
    response = api.request(method, path, headers=headers)
    assert_clear(response, 405)
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1/model", "/v1/ready", "/v1/health", "/v1/decisions/x"])
def test_reading_paths_take_no_post(api: httpx.Client, path: str) -> None:
    assert_clear(api.post(path, json={}), 405)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/fraud", "/v2/fraud/score", "/v1/decisions/", "/..%2f..%2fetc/passwd"]
)
def test_other_paths_are_404_or_bentomls_page(api: httpx.Client, path: str) -> None:
    response = api.get(path)
    if path == "/":
        assert response.status_code == 200
    else:
        assert_clear(response, 404)


@pytest.mark.parametrize("path", ["/v1/fraud/score", "/v1/reports"])
def test_a_single_event_has_64_kb_and_a_batch_2_mb(api: httpx.Client, path: str) -> None:
    body = b'{"x": "' + b"y" * 65_536 + b'"}'
    assert_clear(api.post(path, content=body, headers=JSON), 413)
    larger = b'{"x": "' + b"y" * (2 * 1024 * 1024) + b'"}'
    assert_clear(api.post("/v1/fraud/score_batch", content=larger, headers=JSON), 413)


def test_more_events_than_allowed_are_refused(api: httpx.Client) -> None:
    document = assert_clear(api.post("/v1/fraud/score_batch", json={"events": [{}] * 1_001}), 422)
    assert document["errors"][0]["field"] == "events"


@pytest.mark.parametrize("query", ["explain=yes", "explain=", "other=1", "explain=1"])
def test_a_wrong_parameter_is_422(api: httpx.Client, call: Make, query: str) -> None:
    assert_clear(api.post(f"/v1/fraud/score?{query}", json=call()), 422)


@pytest.mark.parametrize("name", ["%00", "a%0ab", "x" * 3_000, "..", "%ff", "' OR 1=1 --"])
def test_odd_event_ids_are_not_found(api: httpx.Client, name: str) -> None:
    assert_clear(api.get(f"/v1/decisions/{name}"), 404, 422)


def test_late_events_are_accepted_and_marked(api: httpx.Client, call: Make) -> None:
    occurred = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    decision = api.post("/v1/fraud/score", json=call(occurred_at=occurred)).json()
    assert decision["late"]
    assert decision["score"] is not None
