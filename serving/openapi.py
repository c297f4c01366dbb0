"""The OpenAPI document: what BentoML's own misdescribes, put right: units, limits, every error."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from data.events import AppActivity, Call, FraudReport, Lead, Sms, Transfer
from data.incidents import Incident
from serving import contracts, hotspot_contracts, plan_contracts
from serving.access import RULES, Action, Open
from serving.cases import routes as case_routes
from serving.geojson import MEDIA_TYPE as GEOJSON
from serving.limits import Limits
from serving.operations import Operation
from serving.patrols import contracts as patrol_contracts
from serving.problems import CATALOGUE, MEDIA_TYPE
from serving.requests.contracts import OutgoingMessage
from serving.requests.routes import OPERATIONS
from serving.rules import contracts as rule_contracts

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
_ASKED: tuple[type[BaseModel], ...] = (
    *_EVENTS.values(),
    Incident,
    plan_contracts.PlanRequest,
    patrol_contracts.Dose,
    rule_contracts.RuleBody,
    rule_contracts.VersionBody,
    rule_contracts.KeyBody,
    rule_contracts.EntryBody,
    *{one.body: None for one in OPERATIONS if one.body},
    *{one.body: None for one in case_routes.OPERATIONS if one.body},
)
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
    hotspot_contracts.HotspotMap,
    hotspot_contracts.Explanation,
    hotspot_contracts.IncidentReceipt,
    plan_contracts.PatrolPlan,
    patrol_contracts.PlanDelivered,
    patrol_contracts.DoseTold,
    rule_contracts.RuleAnswer,
    rule_contracts.RuleList,
    rule_contracts.EntryAnswer,
    rule_contracts.ListAnswer,
    *{one.answer: None for one in OPERATIONS},
    OutgoingMessage,
    *{one.answer: None for one in case_routes.OPERATIONS},
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
_INCIDENT: Mapping[str, Any] = {
    "incident_id": "110-20260301-000017",
    "occurred_at": "2026-03-01T10:15:00+08:00",
    "category": "theft",
    "lon": 106.551,
    "lat": 29.563,
}
_PLAN: Mapping[str, Any] = {
    "date": "2026-03-02",
    "shift": "16-24",
    "stations": [{"name": "解放碑派出所", "lon": 106.577, "lat": 29.559, "units": 2}],
    "stop_minutes": 15,
    "quick_response_points": [{"name": "较场口", "lon": 106.571, "lat": 29.554}],
}
_DOSE: Mapping[str, Any] = {
    "key": "unit-2-20260302-0001",
    "cell": "250:-19:-17",
    "unit": 2,
    "arrived_at": "2026-03-02T17:05:00+08:00",
    "left_at": "2026-03-02T17:19:00+08:00",
    "done": ["on_foot", "lights"],
}
_POST_ERRORS = ("malformed-json", "request-timeout", "body-too-large", "unsupported-media-type")
_EVENT_ERRORS = (*_POST_ERRORS, "invalid-event")
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
        *_EVENT_ERRORS,
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
        *_EVENT_ERRORS,
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
        *_EVENT_ERRORS,
        "event-id-taken",
        **_body(many, example=dict(_EXAMPLE)),
    )
    reports = _operation(
        "reports",
        "Take in a fraud report: a label for training",
        _ok("Receipt", "recorded", 202),
        *_EVENT_ERRORS,
        "event-id-taken",
        **_body(_ref("FraudReport")),
    )
    return {"/v1/events": {"post": events}, "/v1/reports": {"post": reports}}


def _in_path(name: str, **more: Any) -> dict[str, Any]:
    """A part of the path as a parameter."""
    schema = {"type": "string", "minLength": 1, "maxLength": 64, **more}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    """A question's fields as query parameters."""
    schema = model.model_json_schema(ref_template=_REF)
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.get("description", ""),
            "schema": _plain(field),
        }
        for name, field in schema["properties"].items()
    ]


def _plain(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field's schema; in a query, absent is how nothing is said."""
    (chosen,) = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    found = {name: value for name, value in chosen.items() if name not in {"title", "description"}}
    return found if field.get("default") is None else {**found, "default": field["default"]}


def _places() -> dict[str, Any]:
    hotspots = _operation(
        "hotspots",
        "The cells at the top of a shift's list, from the stored map of that day",
        {
            "200": {
                "description": "GeoJSON; the ETag names these bytes",
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {GEOJSON: {"schema": _ref("HotspotMap")}},
            },
            "304": {"description": "the ETag in If-None-Match still holds"},
        },
        "no-map",
        "invalid-parameter",
        "map-too-large",
        parameters=_query(hotspot_contracts.MapQuestion),
    )
    about = {"description": "name of the cell, as on the map", "example": _DOSE["cell"]}
    cell = {**_in_path("cell", maxLength=32), **about}
    explanation = _operation(
        "explanation",
        "Why a cell is where it is on a shift's list",
        _ok("Explanation"),
        "not-found",
        "no-map",
        "invalid-parameter",
        parameters=[cell, *_query(hotspot_contracts.CellQuestion)],
    )
    plans = _operation(
        "patrol_plans",
        "Which cells a shift's units visit, in what order, for how long; kept if asked to",
        _ok("PatrolPlan"),
        *_POST_ERRORS,
        "no-map",
        "invalid-parameter",
        "no-plan",
        **_body(_ref("PlanRequest"), example=dict(_PLAN)),
    )
    return {
        "/v1/hotspots": {"get": hotspots},
        "/v1/hotspots/{cell}/explanation": {"get": explanation},
        "/v1/patrol-plans": {"post": plans},
        **_patrols(),
        "/v1/incidents": {"post": _incidents()},
    }


def _patrols() -> dict[str, Any]:
    plan_id = _in_path("plan_id")
    plan = _operation(
        "patrol_plan",
        "A plan that is carried out, beside what was done at its stops",
        _ok("PlanDelivered"),
        "not-found",
        parameters=[plan_id],
    )
    dose = _operation(
        "patrol_dose",
        "Record a stop that was made: place, times, what was done; a person has no place in it",
        _ok("DoseTold", "recorded", 201),
        *_POST_ERRORS,
        "invalid-parameter",
        "not-found",
        "conflict",
        parameters=[plan_id],
        **_body(_ref("Dose"), example=dict(_DOSE)),
    )
    path = "/v1/patrol-plans/{plan_id}"
    return {path: {"get": plan}, f"{path}/doses": {"post": dose}}


def _incidents() -> dict[str, Any]:
    one = _ref("Incident")
    most = hotspot_contracts.MAX_INCIDENTS
    many = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": most}]}
    return _operation(
        "incidents",
        f"Take in one incident or a list of up to {most}; a person has no place in one",
        _ok("IncidentReceipt", "recorded; refused records are in quarantine", 202),
        *_EVENT_ERRORS,
        "incident-id-taken",
        **_body(many, example=dict(_INCIDENT)),
    )


def _rules() -> dict[str, Any]:
    errors = (*_POST_ERRORS, "invalid-parameter")

    def deed(name: str, summary: str, answer: str, body: str, *where: Any) -> dict[str, Any]:
        status = 202 if name == "test_rule" else 200
        found = _operation(
            name,
            summary,
            _ok(answer, status=status),
            *errors,
            *(("not-found",) if where else ()),
            "conflict",
            **_body(_ref(body)),
        )
        return {"post": {**found, "parameters": list(where)} if where else found}

    a_rule, a_list = _in_path("name"), _in_path("list", enum=["allow", "deny"])
    rules = {"get": _operation("rules", "Every version of every rule", _ok("RuleList"))}
    entries = _operation(
        "list", "Who is on a list", _ok("ListAnswer"), "not-found", parameters=[a_list]
    )
    change = ("RuleAnswer", "VersionBody", a_rule)
    test = "Begin a test of a version against history; GET /v1/rules tells what it found"
    live = "Let a tested version apply; by another person than its author"
    new = deed("draft_rule", "Keep a rule as a new version, a draft", "RuleAnswer", "RuleBody")
    put = "Put somebody on a list; on the allow list he waits for a second person"
    add = deed("add_entry", put, "EntryAnswer", "EntryBody", a_list)
    of_entry = ("EntryAnswer", "KeyBody", a_list, _in_path("entry_id"))
    sign = "Let an entry of the allow list count; by another person than who added it"
    return {
        "/v1/rules": {**rules, **new},
        "/v1/rules/{name}/test": deed("test_rule", test, *change),
        "/v1/rules/{name}/live": deed("rule_live", live, *change),
        "/v1/rules/{name}/retire": deed("retire_rule", "Let a version apply no longer", *change),
        "/v1/lists/{list}": {"get": entries, **add},
        "/v1/lists/{list}/{entry_id}/live": deed("entry_live", sign, *of_entry),
        "/v1/lists/{list}/{entry_id}/remove": deed(
            "remove_entry", "Take somebody off a list, or refuse who waits", *of_entry
        ),
    }


def _reading() -> dict[str, Any]:
    record = _operation(
        "decision",
        "What was known then: event, vector, versions, thresholds, reasons; scored again, now",
        _ok("DecisionRecord"),
        "not-found",
        parameters=[_in_path("event_id")],
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


def _declared() -> dict[str, Any]:
    """Requests and cases, whose routes tell themselves what they are."""
    paths: dict[str, Any] = {}
    for operations, told in ((OPERATIONS, _of_request), (case_routes.OPERATIONS, _of_case)):
        for one in operations:
            paths.setdefault(one.path, {})[one.method.lower()] = told(one)
    return paths


def _of_request(one: Operation[Any]) -> dict[str, Any]:
    parts = re.findall(r"{(\w+)}", one.path)
    errors = ["conflict", "not-found"] if one.body else ["not-found"] if parts else []
    if one.body:
        errors += _POST_ERRORS
    if one.body or one.query:
        errors.append("invalid-parameter")
    asked = [*map(_in_path, parts), *(_query(one.query) if one.query else ())]
    more = {
        **({"parameters": asked} if asked else {}),
        **(_body(_ref(one.body.__name__)) if one.body else {}),
    }
    return _operation(one.name, one.summary, _ok(one.answer.__name__), *errors, **more)


def _of_case(one: Operation[Any]) -> dict[str, Any]:
    case_id = {**_in_path("case_id"), "description": "of a case that the asker sees"}
    parameters = [case_id] if "{case_id}" in one.path else []
    errors = ["invalid-parameter", *(["not-found"] if parameters else [])]
    answers = _ok(one.answer.__name__, status=one.status)
    if one.body is not None:
        errors += ["conflict", *_POST_ERRORS]
        more = {"parameters": parameters, **_body(_ref(one.body.__name__))}
        return _operation(one.name, one.summary, answers, *errors, **more)
    answers["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    answers["304"] = {"description": "the ETag in If-None-Match still holds"}
    parameters += _query(one.query) if one.query else []
    return _operation(one.name, one.summary, answers, *errors, parameters=parameters)


def _webhooks() -> dict[str, Any]:
    """What receivers are sent: named in FOREWARN_RECEIVERS, they verify it and answer 2xx."""
    headers = {
        "webhook-id": "the same at every try: do one id once",
        "webhook-timestamp": "of this try, seconds since 1970",
        "webhook-signature": "v1 or v1a of id, timestamp and body, as Standard Webhooks 1.0.0",
        "idempotency-key": "the webhook-id",
    }
    told = {
        "summary": "A request that a person signed, or its undo, which holds whatever comes after",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in headers.items()
        ],
        **_body(_ref("OutgoingMessage")),
        "responses": {"2XX": {"description": "taken; anything else is sent again, 410 is not"}},
    }
    return {"request": {"post": told}}


def _guarded(paths: Mapping[str, Any]) -> dict[str, Any]:
    """The paths with who may ask and what others are told, as the gate's table says it."""
    rules = {(method, re.sub(r":\w+}", "}", path)): rule for (method, path), rule in RULES.items()}
    return {
        path: {
            method: {**operation, **_access(operation, rules[method.upper(), path])}
            for method, operation in operations.items()
        }
        for path, operations in paths.items()
    }


def _access(operation: Mapping[str, Any], rule: Action | Open) -> dict[str, Any]:
    if rule is Open.PUBLIC:
        return {"security": []}
    need = f"Needs the right `{rule.value}`." if isinstance(rule, Action) else ""
    told = " ".join(part for part in (operation.get("description", ""), need) if part)
    refusals = ("not-signed-in", "forbidden", "wrong-csrf-token", "password-to-change")
    responses = {**operation["responses"], **_errors(*refusals)}
    return {
        "description": told,
        "security": [{"key": []}, {"session": []}],
        "responses": {status: responses[status] for status in sorted(responses)},
    }


def _schemas() -> dict[str, Any]:
    taken: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in _ASKED
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
    >>> {"/metrics", "/v1/events", "/v1/cases/{case_id}"} <= set(document()["paths"])
    True
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
        "paths": _guarded(
            {**_scoring(), **_intake(), **_places(), **_rules(), **_declared(), **_reading()}
        ),
        "webhooks": _webhooks(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "an API key of a system, made with forewarn keys add",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "forewarn",
                    "description": "of a person who signed in at /console; what changes anything "
                    "brings the page's X-CSRF-Token as well",
                },
            },
        },
    }
