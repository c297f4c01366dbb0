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

ANYBODY, KNOWN = "anybody", "signed in"
GOLDEN = """
GET  /                                     anybody
GET  /console                              signed in
GET  /console/                             signed in
GET  /console/audit                        auditor
GET  /console/audit.csv                    auditor
GET  /console/cases/{case_id}              officer supervisor approver
GET  /console/cases/{case_id}/evidence/{event_id:path} officer supervisor approver
GET  /console/cases/{case_id}/live         officer supervisor approver
GET  /console/guide                        signed in
GET  /console/map                          system officer supervisor data_scientist
GET  /console/map/cells                    system officer supervisor data_scientist
GET  /console/map/city                     system officer supervisor data_scientist
GET  /console/map/plan                     system officer supervisor data_scientist
GET  /console/model                        system officer supervisor data_scientist approver auditor
GET  /console/overview                     supervisor data_scientist approver
GET  /console/password                     signed in
GET  /console/plans/{plan_id}              system officer supervisor data_scientist
GET  /console/rules                        supervisor data_scientist
GET  /console/shift                        officer supervisor approver
GET  /console/shift/live                   officer supervisor approver
GET  /console/sign-in                      anybody
GET  /console/static/{version}/{name:path} anybody
GET  /docs.json                            anybody
GET  /healthz                              anybody
GET  /livez                                anybody
GET  /metrics                              system data_scientist administrator
GET  /readyz                               anybody
GET  /schema.json                          anybody
GET  /static_content/{path:path}           anybody
GET  /v1/appeals                           officer supervisor approver
GET  /v1/cases                             officer supervisor approver
GET  /v1/cases/{case_id}                   officer supervisor approver
GET  /v1/cases/{case_id}/requests          officer supervisor approver
GET  /v1/decisions/{event_id:path}         system officer supervisor data_scientist approver auditor
GET  /v1/false-alarms                      supervisor data_scientist approver
GET  /v1/health                            anybody
GET  /v1/hotspots                          system officer supervisor data_scientist
GET  /v1/hotspots/{cell}/explanation       system officer supervisor data_scientist
GET  /v1/lists/{list}                      supervisor data_scientist
GET  /v1/model                             system officer supervisor data_scientist approver auditor
GET  /v1/openapi.json                      anybody
GET  /v1/patrol-plans/{plan_id}            system officer supervisor data_scientist
GET  /v1/ready                             anybody
GET  /v1/requests                          officer supervisor approver
GET  /v1/rules                             supervisor data_scientist
POST /console/appeals/{appeal_id}/decide   supervisor
POST /console/audit/verify                 auditor
POST /console/cases/{case_id}/attempt      officer supervisor
POST /console/cases/{case_id}/measures/answer officer supervisor
POST /console/cases/{case_id}/measures/appeal system officer supervisor
POST /console/cases/{case_id}/measures/decline approver
POST /console/cases/{case_id}/measures/draft officer supervisor
POST /console/cases/{case_id}/measures/sign approver
POST /console/cases/{case_id}/measures/undo approver
POST /console/cases/{case_id}/measures/withdraw officer supervisor
POST /console/cases/{case_id}/note         officer supervisor
POST /console/cases/{case_id}/outcome      officer supervisor
POST /console/cases/{case_id}/reassign     supervisor
POST /console/cases/{case_id}/release      officer supervisor
POST /console/cases/{case_id}/reveal       officer supervisor
POST /console/cases/{case_id}/reverse      officer supervisor
POST /console/cases/{case_id}/snooze       officer supervisor
POST /console/cases/{case_id}/take         officer supervisor
POST /console/language                     anybody
POST /console/map/plan                     system supervisor data_scientist
POST /console/password                     signed in
POST /console/plans                        system supervisor data_scientist
POST /console/plans/{plan_id}/doses        system officer supervisor
POST /console/requests/{request_id}/decline approver
POST /console/requests/{request_id}/resend officer supervisor
POST /console/requests/{request_id}/sign   approver
POST /console/rules                        supervisor data_scientist
POST /console/shift/next                   officer supervisor
POST /console/shift/reassign               supervisor
POST /console/shift/snooze                 officer supervisor
POST /console/sign-in                      anybody
POST /console/sign-out                     signed in
POST /v1/appeals                           system officer supervisor
POST /v1/appeals/{appeal_id}/decide        supervisor
POST /v1/attempts                          system
POST /v1/cases/bulk                        officer supervisor
POST /v1/cases/next                        officer supervisor
POST /v1/cases/{case_id}/assignment        supervisor
POST /v1/cases/{case_id}/attempts          officer supervisor
POST /v1/cases/{case_id}/lock              officer supervisor
POST /v1/cases/{case_id}/notes             officer supervisor
POST /v1/cases/{case_id}/outcomes          officer supervisor
POST /v1/cases/{case_id}/requests          officer supervisor
POST /v1/cases/{case_id}/reversals         officer supervisor
POST /v1/cases/{case_id}/snooze            officer supervisor
POST /v1/cases/{case_id}/unlock            officer supervisor
POST /v1/events                            system
POST /v1/fraud/score                       system
POST /v1/fraud/score_batch                 system
POST /v1/incidents                         system
POST /v1/lists/{list}                      supervisor data_scientist
POST /v1/lists/{list}/{entry_id}/live      supervisor data_scientist
POST /v1/lists/{list}/{entry_id}/remove    supervisor data_scientist
POST /v1/patrol-plans                      system supervisor data_scientist
POST /v1/patrol-plans/{plan_id}/doses      system officer supervisor
POST /v1/reports                           system
POST /v1/requests/{request_id}/answer      system
POST /v1/requests/{request_id}/decline     approver
POST /v1/requests/{request_id}/resend      officer supervisor
POST /v1/requests/{request_id}/sign        approver
POST /v1/requests/{request_id}/told        officer supervisor
POST /v1/requests/{request_id}/undo        approver
POST /v1/requests/{request_id}/withdraw    officer supervisor
POST /v1/rules                             supervisor data_scientist
POST /v1/rules/{name}/live                 supervisor data_scientist
POST /v1/rules/{name}/retire               supervisor data_scientist
POST /v1/rules/{name}/test                 supervisor data_scientist
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
    new = Starlette(routes=[Route("/v1/casebook/{case_id}", Response, methods=["DELETE"])])
    assert not set(walk(new.routes)) & set(RULES)
    with pytest.raises(Problem, match="not-found"):
        Rules(RULES).of("DELETE", "/v1/casebook/7")


def test_each_role_gets_what_the_golden_table_says(routes: set[tuple[str, str]]) -> None:
    lines = []
    for method, path in sorted(routes):
        let = " ".join(role.value for role in Role if passes(role, method, path))
        who = {Open.PUBLIC: ANYBODY, Open.SIGNED_IN: KNOWN}.get(RULES[method, path], let)
        lines.append(f"{method:4} {path:37} {who}")
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
