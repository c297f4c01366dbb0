"""Every route of the service has a rule, and each role gets what the golden table says."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from serving.access import RULES, Action, Actor, Open, Role
from serving.access.gate import Rules
from serving.problems import Problem
from serving.service import Forewarn

ANYBODY = "anybody"
GOLDEN = """
GET  /                                     anybody
GET  /console                              anybody
GET  /console/                             anybody
GET  /console/map                          system officer supervisor data_scientist
GET  /console/map/cells                    system officer supervisor data_scientist
GET  /console/map/city                     system officer supervisor data_scientist
GET  /console/map/plan                     system officer supervisor data_scientist
GET  /console/static/{version}/{name:path} anybody
GET  /docs.json                            anybody
GET  /healthz                              anybody
GET  /livez                                anybody
GET  /metrics                              system data_scientist administrator
GET  /readyz                               anybody
GET  /schema.json                          anybody
GET  /static_content/{path:path}           anybody
GET  /v1/decisions/{event_id:path}         system officer supervisor data_scientist approver auditor
GET  /v1/health                            anybody
GET  /v1/hotspots                          system officer supervisor data_scientist
GET  /v1/hotspots/{cell}/explanation       system officer supervisor data_scientist
GET  /v1/model                             system officer supervisor data_scientist approver auditor
GET  /v1/openapi.json                      anybody
GET  /v1/ready                             anybody
POST /console/language                     anybody
POST /console/map/plan                     system supervisor data_scientist
POST /v1/events                            system
POST /v1/fraud/score                       system
POST /v1/fraud/score_batch                 system
POST /v1/incidents                         system
POST /v1/patrol-plans                      system supervisor data_scientist
POST /v1/reports                           system
"""
"""Who is let through where; a change here is a decision about people."""


def walk(routes: Sequence[BaseRoute], under: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path that is answered, as the routers have them."""
    for route in routes:
        if isinstance(route, Route):
            for method in (route.methods or set()) - {"HEAD"}:
                yield method, f"{under}{route.path}"
        elif isinstance(route, Mount) and route.routes:
            yield from walk(route.routes, f"{under}{route.path}")
        else:
            assert isinstance(route, Mount), f"a kind of route nobody thought of: {route}"
            yield "GET", f"{under}{route.path}/{{path:path}}"


@pytest.fixture(scope="module")
def routes() -> set[tuple[str, str]]:
    """Those of the service as it runs, BentoML's own included."""
    service: Any = Forewarn
    app = service.to_asgi(is_main=True)
    while not hasattr(app, "routes"):
        app = app.app
    return set(walk(app.routes))


def passes(role: Role, method: str, path: str) -> bool:
    rule = Rules(RULES).of(method, path)
    return isinstance(rule, Open) or Actor("somebody", role).may(rule)


def test_every_route_has_a_rule_and_every_rule_a_route(routes: set[tuple[str, str]]) -> None:
    assert routes == set(RULES)


def test_a_new_route_without_a_rule_is_found(routes: set[tuple[str, str]]) -> None:
    new = Starlette(routes=[Route("/v1/cases/{case_id}", Response, methods=["DELETE"])])
    assert not set(walk(new.routes)) & set(RULES)
    with pytest.raises(Problem, match="not-found"):
        Rules(RULES).of("DELETE", "/v1/cases/7")


def test_each_role_gets_what_the_golden_table_says(routes: set[tuple[str, str]]) -> None:
    lines = []
    for method, path in sorted(routes):
        let = [role.value for role in Role if passes(role, method, path)]
        public = RULES[method, path] is Open.PUBLIC
        lines.append(f"{method:4} {path:37} {ANYBODY if public else ' '.join(let)}")
    assert lines == GOLDEN.strip().splitlines()


def test_a_path_finds_the_rule_of_its_pattern() -> None:
    rules = Rules(RULES)
    assert rules.of("GET", "/v1/decisions/a/b:c") is Action.READ_DECISION
    assert rules.of("GET", "/v1/hotspots/250:-19:-17/explanation") is Action.READ_MAP
    assert rules.of("HEAD", "/v1/ready") is Open.PUBLIC
    for method, path in (
        ("GET", "/v1/hotspots/"),
        ("GET", "/v1/hotspots/a/b/explanation"),
        ("GET", "//v1/health"),
        ("GET", "/v1/health/../metrics"),
        ("POST", "/V1/fraud/score"),
    ):
        with pytest.raises(Problem, match="not-found"):
            rules.of(method, path)
    with pytest.raises(Problem, match="method-not-allowed") as refused:
        rules.of("DELETE", "/v1/decisions/7")
    assert refused.value.headers == {"Allow": "GET"}
