"""The service with a rule: it applies within seconds, is shown, told, and made again."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from serving.access.roles import Actor, Role
from serving.cases.tables import EVIDENCE
from serving.certificate import certify_decisions
from serving.rules.contracts import VersionBody
from serving.server import Running

WAIT_S = 15.0


@pytest.fixture
def in_service(service: Running, bureau: Any) -> Any:
    """The bureau, at the running service's database."""
    bureau.settings, bureau.database.url = service.settings, service.settings.database_url
    bureau.now = datetime.now(UTC)
    return bureau


def test_a_rule_applies_soon_and_its_decision_is_made_again(
    in_service: Any,
    service: Running,
    api: httpx.Client,
    call: Callable[..., Any],
    document: Callable[..., Any],
    live: Callable[[Any], int],
) -> None:
    when = {"feature": "event.duration.value", "op": "==", "than": 4_321, "unit": "s"}
    name = "just_this_long"
    version = live(document(name=name, when=when, level="yellow"))
    raised: dict[str, Any] = {}
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and not raised.get("rules"):
        raised = api.post("/v1/fraud/score", json=call(duration_s=4_321)).json()
    assert [one["name"] for one in raised["rules"]] == [name]
    if raised["rules"][0]["made"]:
        assert raised["level"]["name"] == "yellow"
    assert raised["reasons"]
    record = api.get(f"/v1/decisions/{raised['event_id']}").json()
    assert record["recomputed"]["equal"]
    assert record["recomputed"]["rules"] == [f"{name}@{version}"]
    chosen = select(EVIDENCE).where(EVIDENCE.c.event_id == raised["event_id"])
    assert len(in_service.rows(chosen)) == 1
    quiet = api.post("/v1/fraud/score", json=call(duration_s=60)).json()
    assert quiet["rules"] == []
    body = VersionBody(version=version, key=in_service.key())
    wang = Actor("wang.fang", Role.SUPERVISOR)
    in_service.at(lambda desk: desk.retire(wang, name, body))
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and raised["rules"]:
        raised = api.post("/v1/fraud/score", json=call(duration_s=4_321)).json()
    assert raised["rules"] == []
    found = certify_decisions(service.settings, since=datetime.now(UTC) - timedelta(minutes=5))
    assert found.certificate.holds


def test_a_system_does_not_manage_rules(api: httpx.Client) -> None:
    assert api.get("/v1/rules").status_code == 403
    assert api.post("/v1/lists/deny", json={}).status_code == 403
