"""Served vectors are replayed from the truth, and a changed one is found."""

from collections.abc import Callable
from typing import Any

import httpx
from sqlalchemy import create_engine, select, update

from experiments.certified import certified
from features import FRAUD_FEATURES
from serving.certificate import certify_decisions
from serving.decisions import DECISIONS, vector_of
from serving.server import Running

Make = Callable[..., dict[str, Any]]


def test_every_served_vector_is_replayed_to_the_bit(
    service: Running, api: httpx.Client, call: Make, fraud_call: Make
) -> None:
    for make in (call, fraud_call, call):
        api.post("/v1/fraud/score", json=make()).raise_for_status()
    found = certify_decisions(service.settings)
    assert found.certificate.holds
    assert found.decisions == found.certificate.vectors >= 3
    assert found.certificate.values == found.decisions * len(FRAUD_FEATURES)


def test_a_vector_that_was_changed_afterwards_is_found(
    service: Running, api: httpx.Client, fraud_call: Make
) -> None:
    event = fraud_call()
    api.post("/v1/fraud/score", json=event).raise_for_status()
    own = DECISIONS.c.event_id == event["event_id"]
    engine = create_engine(service.settings.database_url or "")
    try:
        with engine.begin() as connection:
            served = connection.scalar(select(DECISIONS.c.vector).where(own))
            changed = vector_of(served)
            place = FRAUD_FEATURES.names.index("event.duration.value")
            changed[place] += 1.0
            connection.execute(update(DECISIONS).where(own).values(vector=changed.tobytes()))
        found = certify_decisions(service.settings)
        with engine.begin() as connection:
            connection.execute(update(DECISIONS).where(own).values(vector=served))
    finally:
        engine.dispose()
    assert not found.certificate.holds
    assert [each.feature for each in found.certificate.examples] == ["event.duration.value"]
    shown = certified(found)
    assert shown.figures["mismatches"] == 1
    assert "event.duration.value" in shown.notes[0]
