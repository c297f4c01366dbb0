"""Incidents over HTTP: recorded once, refused with their reason, and no person among them."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, select

from data.database import incidents, quarantine
from data.incident_ingest import incident_history
from data.places import Extent
from data.pseudonyms import Pseudonymiser
from data.quarantine import Sealer
from serving.incidents import SOURCE
from serving.problems import MEDIA_TYPE
from serving.server import Running

Make = Callable[..., dict[str, Any]]
PERSON = {"name": "张三丰", "phone": "13955507777", "id": "51010719555077771X"}


def rows(service: Running, query: Any) -> list[Any]:
    engine = create_engine(service.settings.database_url or "")
    try:
        with engine.connect() as connection:
            return list(connection.execute(query).mappings())
    finally:
        engine.dispose()


def recorded(service: Running, name: str) -> list[Any]:
    return rows(service, select(incidents).where(incidents.c.incident_id == name))


def opened(service: Running, name: str) -> dict[str, Any]:
    (row,) = rows(service, select(quarantine).where(quarantine.c.id == name))
    assert row["source"] == SOURCE
    record = Sealer(Pseudonymiser.from_settings(service.settings)).open(name, row["record"])
    return dict(json.loads(record))


def assert_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document = dict(response.json())
    assert document["type"] == f"urn:forewarn:problem:{name}"
    return document


@pytest.fixture
def incident() -> Make:
    """An incident; keywords change or add fields."""
    number = count(time.time_ns())

    def make(**changes: Any) -> dict[str, Any]:
        found = {
            "incident_id": f"110-{next(number)}",
            "occurred_at": (datetime.now(UTC) - timedelta(hours=2)).isoformat(),
            "category": "盗窃（入室）",
            "lon": 106.55,
            "lat": 29.56,
        }
        return {**found, **changes}

    return make


@pytest.fixture
def limits(service: Running) -> Iterator[None]:
    """The city's limits, set while the service runs."""
    history = incident_history(service.settings)
    history.keep_extent(Extent(105.3, 28.1, 110.2, 32.3))
    yield
    (history.root / "extent.json").unlink()


def test_an_incident_is_recorded_once(service: Running, api: httpx.Client, incident: Make) -> None:
    one = incident()
    first = api.post("/v1/incidents", json=one)
    assert first.status_code == 202, first.text
    told = {"accepted": 1, "duplicates": 0, "origin_assumed": 1, "refused": []}
    assert first.json() == told
    again = api.post("/v1/incidents", json={**one, "origin": "reported"})
    assert again.json() == {**told, "duplicates": 1, "origin_assumed": 0}
    (row,) = recorded(service, one["incident_id"])
    assert (row["lon"], row["lat"], row["category"]) == (106.55, 29.56, "盗窃（入室）")
    assert (row["origin"], row["precision"]) == ("reported", "minute")
    assert abs(row["known_at"] - datetime.now(UTC)) < timedelta(minutes=5)


def test_of_many_the_good_are_recorded_and_the_bad_kept(
    service: Running, api: httpx.Client, incident: Make
) -> None:
    good, late = incident(), incident(origin="discovered")
    bad = incident(lon=500)
    sent = [good, bad, 7, late, good, {**good, "lat": 30.0}]
    response = api.post("/v1/incidents", json=sent)
    assert response.status_code == 202, response.text
    receipt = response.json()
    assert (receipt["accepted"], receipt["duplicates"]) == (3, 1)
    assert [one["index"] for one in receipt["refused"]] == [1, 2, 5]
    assert [one["type"].rpartition(":")[2] for one in receipt["refused"]] == [
        "invalid-event", "invalid-event", "incident-id-taken"
    ]  # fmt: skip
    assert all(one["errors"][0]["fix"] for one in receipt["refused"])
    assert opened(service, receipt["refused"][0]["quarantine_id"]) == bad
    (row,) = recorded(service, good["incident_id"])
    assert row["lat"] == 29.56
    (row,) = recorded(service, late["incident_id"])
    assert row["origin"] == "discovered"


def test_of_many_it_is_told_how_many_left_their_origin_open(
    service: Running, api: httpx.Client, incident: Make
) -> None:
    open_, null, bad = incident(), incident(origin=None), incident(lon=500)
    said = [incident(origin="reported"), incident(origin="discovered")]
    receipt = api.post("/v1/incidents", json=[open_, null, bad, *said]).json()
    assert (receipt["accepted"], receipt["origin_assumed"]) == (4, 2)
    for one in (open_, null):
        (row,) = recorded(service, one["incident_id"])
        assert row["origin"] == "reported"


def test_a_single_one_that_is_refused_is_422(
    service: Running, api: httpx.Client, incident: Make
) -> None:
    bad = incident(category="")
    for body in (bad, [bad]):
        document = assert_problem(api.post("/v1/incidents", json=body), 422, "invalid-event")
        assert [error["field"] for error in document["errors"]] == ["category"]
    assert opened(service, document["quarantine_id"]) == bad
    assert not recorded(service, bad["incident_id"])


def test_another_incident_under_a_recorded_id_is_409_and_kept(
    service: Running, api: httpx.Client, incident: Make
) -> None:
    one = incident()
    api.post("/v1/incidents", json=one)
    other = {**one, "category": "theft"}
    document = assert_problem(api.post("/v1/incidents", json=other), 409, "incident-id-taken")
    assert opened(service, document["quarantine_id"]) == other
    (row,) = recorded(service, one["incident_id"])
    assert row["category"] == "盗窃（入室）"


@pytest.mark.parametrize(("field", "value"), PERSON.items(), ids=PERSON)
def test_a_person_has_no_place_in_an_incident(
    service: Running, api: httpx.Client, incident: Make, field: str, value: str
) -> None:
    one = incident(**{field: value})
    alone = api.post("/v1/incidents", json=one)
    document = assert_problem(alone, 422, "invalid-event")
    assert document["errors"][0]["field"] == field
    assert not recorded(service, one["incident_id"])
    many = api.post("/v1/incidents", json=[incident(), one, {value: value}])
    assert many.json()["accepted"] == 1
    (row,) = rows(service, select(quarantine).where(quarantine.c.id == document["quarantine_id"]))
    log = service.said()
    for told in (alone.text, many.text, json.dumps(row["reason"], ensure_ascii=False), log):
        assert value not in told
    assert value.encode() not in row["record"]


@pytest.mark.parametrize(
    ("lon", "lat", "fault"),
    [(29.56, 106.55, "swapped"), (0.0, 0.0, "null-island"), (2.35, 48.85, "outside-city")],
)
def test_a_place_beyond_the_citys_limits_is_refused_without_a_restart(
    api: httpx.Client, incident: Make, limits: None, lon: float, lat: float, fault: str
) -> None:
    assert api.post("/v1/incidents", json=incident()).status_code == 202
    response = api.post("/v1/incidents", json=incident(lon=lon, lat=lat))
    document = assert_problem(response, 422, "invalid-event")
    assert fault in document["errors"][0]["found"]
    assert "106.55" not in response.text


def test_more_than_a_thousand_at_once_are_refused(api: httpx.Client, incident: Make) -> None:
    assert_problem(api.post("/v1/incidents", json=[{}] * 1_001), 422, "invalid-event")
    thousand = [incident() for _ in range(1_000)]
    assert api.post("/v1/incidents", json=thousand).json()["accepted"] == 1_000


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 20_000, b'{"a": NaN}'])
def test_a_body_that_is_no_json_is_400(api: httpx.Client, body: bytes) -> None:
    response = api.post("/v1/incidents", content=body, headers={"Content-Type": "application/json"})
    assert_problem(response, 400, "malformed-json")


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b"{}"])
def test_a_body_of_another_shape_is_422(api: httpx.Client, body: bytes) -> None:
    response = api.post("/v1/incidents", content=body, headers={"Content-Type": "application/json"})
    assert_problem(response, 422, "invalid-event")
