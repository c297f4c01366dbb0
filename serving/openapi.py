"""The OpenAPI document: what BentoML's own misdescribes, put right: units, limits, every error."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from data.events import AppActivity, Call, FraudReport, Lead, Sms, Transfer
from serving import contracts
from serving.limits import Limits
from serving.problems import CATALOGUE, MEDIA_TYPE

__all__ = ["document"]

_REF = "#/components/schemas/{model}"
_EVENTS: Mapping[str, type[BaseModel]] = {
    "call": Call,
    "sms": Sms,
    "app": AppActivity,
    "transfer": Transfer,
    "lead": Lead,
    "report": FraudReport,
}
_ANSWERS: tuple[type[BaseModel], ...] = (
    contracts.Decision,
    contracts.BatchBody,
    contracts.BatchAnswer,
    contracts.Receipt,
    contracts.DecisionRecord,
    contracts.Model,
    contracts.Health,
    contracts.Readiness,
    contracts.ProblemDetails,
)
_EXAMPLE: Mapping[str, Any] = {
    "kind": "call",
    "event_id": "op-20260301-000017",
    "occurred_at": "2026-03-01T10:15:00+08:00",
    "subscriber": "13800138000",
    "counterpart": "+85291234567",
    "direction": "incoming",
    "duration_s": 1260,
    "foreign": True,
}
_POST_ERRORS = (
    "malformed-json",
    "request-timeout",
    "body-too-large",
    "unsupported-media-type",
    "invalid-event",
)
_ANY_ERRORS = ("internal", "busy", "unavailable", "timeout")


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _json(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"application/json": {"schema": dict(schema), **more}}


def _one_of(*kinds: str) -> dict[str, Any]:
    names = {kind: _EVENTS[kind].__name__ for kind in kinds}
    return {
        "oneOf": [_ref(name) for name in names.values()],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {kind: _REF.format(model=name) for kind, name in names.items()},
        },
    }


def _errors(*names: str) -> dict[str, Any]:
    grouped: dict[int, list[str]] = {}
    for name in (*names, *_ANY_ERRORS):
        grouped.setdefault(CATALOGUE[name].status, []).append(CATALOGUE[name].title)
    return {
        str(status): {
            "description": "; or: ".join(titles),
            "content": {MEDIA_TYPE: {"schema": _ref("ProblemDetails")}},
        }
        for status, titles in sorted(grouped.items())
    }


def _operation(
    name: str, summary: str, answers: Mapping[str, Any], *errors: str, **more: Any
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        **more,
        "responses": {**answers, **_errors(*errors)},
    }


def _ok(model: str, description: str = "done", status: int = 200) -> dict[str, Any]:
    return {str(status): {"description": description, "content": _json(_ref(model))}}


def _body(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": _json(schema, **more)}}


def _scoring() -> dict[str, Any]:
    explain = {
        "name": "explain",
        "in": "query",
        "required": False,
        "description": "explain this event although it is no alert (80 to 250 times the price)",
        "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
    }
    scored = ("call", "sms", "app", "transfer", "lead")
    single = _operation(
        "score",
        "Score one event; the same event_id gives the recorded decision again",
        _ok("Decision", "the decision, recorded before it is answered"),
        *_POST_ERRORS,
        "invalid-parameter",
        "conflict",
        "event-id-taken",
        parameters=[explain],
        **_body(_one_of(*scored), example=dict(_EXAMPLE)),
    )
    batch = _operation(
        "score_batch",
        f"Score up to {contracts.MAX_EVENTS} events in the order given",
        _ok("BatchAnswer", "one result for each event, refused ones included"),
        *_POST_ERRORS,
        **_body(_ref("BatchBody"), example={"events": [dict(_EXAMPLE)], "explain": False}),
    )
    return {"/v1/fraud/score": {"post": single}, "/v1/fraud/score_batch": {"post": batch}}


def _intake() -> dict[str, Any]:
    any_event = _one_of(*_EVENTS)
    many = {
        "oneOf": [
            any_event,
            {
                "type": "array",
                "items": any_event,
                "minItems": 1,
                "maxItems": contracts.MAX_EVENTS,
            },
        ]
    }
    events = _operation(
        "events",
        "Take in one event or a list of them, without a score",
        _ok("Receipt", "recorded; refused records are in quarantine", 202),
        *_POST_ERRORS,
        "event-id-taken",
        **_body(many, example=dict(_EXAMPLE)),
    )
    reports = _operation(
        "reports",
        "Take in a fraud report: a label for training",
        _ok("Receipt", "recorded", 202),
        *_POST_ERRORS,
        "event-id-taken",
        **_body(_ref("FraudReport")),
    )
    return {"/v1/events": {"post": events}, "/v1/reports": {"post": reports}}


def _reading() -> dict[str, Any]:
    event_id = {
        "name": "event_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    }
    record = _operation(
        "decision",
        "What was known then: event, vector, versions, thresholds, reasons; scored again, now",
        _ok("DecisionRecord"),
        "not-found",
        parameters=[event_id],
    )
    text = {"200": {"description": "text format 0.0.4", "content": {"text/plain": {}}}}
    unready = {
        "503": {"description": "a part is away", "content": _json(_ref("Readiness"))},
    }
    ready = {"operationId": "ready", "summary": "Whether every part can serve"}
    return {
        "/v1/decisions/{event_id}": {"get": record},
        "/v1/model": {"get": _operation("model", "The model's card", _ok("Model"))},
        "/v1/health": {"get": _operation("health", "Alive", _ok("Health"))},
        "/v1/ready": {"get": {**ready, "responses": {**_ok("Readiness"), **unready}}},
        "/metrics": {"get": _operation("metrics", "Prometheus metrics", text)},
    }


def _schemas() -> dict[str, Any]:
    taken: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in _EVENTS.values()
    ]
    given: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "serialization") for model in _ANSWERS
    ]
    _, definitions = models_json_schema([*taken, *given], ref_template=_REF)
    found: dict[str, Any] = definitions["$defs"]
    return found


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of every path the service answers.

    Examples
    --------
    >>> sorted(document()["paths"])[:3]
    ['/metrics', '/v1/decisions/{event_id}', '/v1/events']
    """
    limits = Limits()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Forewarn",
            "version": "1",
            "description": (
                "Warns a citizen before the money leaves. Amounts are integer fen (CNY/100), "
                "durations whole seconds, times RFC 3339 with an offset, kept in UTC. Phone, "
                "account, device and identity numbers become keyed pseudonyms before anything is "
                f"stored. A body has at most {limits.body_bytes} bytes, on paths that take many "
                f"events {limits.large_bytes}. Every error is an RFC 9457 problem."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**_scoring(), **_intake(), **_reading()},
        "components": {"schemas": _schemas()},
    }
