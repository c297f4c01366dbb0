"""The gate: which request asks for which right, and who is let through.

A request without a rule is not let through: a new route needs a line in `RULES`, and a test fails
until it has one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from starlette.responses import Response
from starlette.routing import compile_path

from serving.access.credentials import Credentials
from serving.access.csrf import demand_own_page
from serving.access.roles import Action, Actor, demand
from serving.limits import App, Receive, Scope, Send
from serving.problems import Problem, answer

__all__ = ["RULES", "Gate", "Open", "Rule", "Rules", "actor_of"]

_SAFE = frozenset({"GET", "HEAD"})


class Open(StrEnum):
    """What needs no right of the table."""

    PUBLIC = "public"
    SIGNED_IN = "signed_in"
    """Anybody who is known, also with a password to be changed: to leave, to change it."""


Rule = Action | Open
Refused = Callable[[Scope, Problem], Response]

RULES: Mapping[tuple[str, str], Rule] = {
    ("POST", "/v1/fraud/score"): Action.SCORE,
    ("POST", "/v1/fraud/score_batch"): Action.SCORE,
    ("POST", "/v1/events"): Action.TAKE_IN,
    ("POST", "/v1/reports"): Action.TAKE_IN,
    ("POST", "/v1/incidents"): Action.TAKE_IN,
    ("GET", "/v1/decisions/{event_id:path}"): Action.READ_DECISION,
    ("GET", "/v1/hotspots"): Action.READ_MAP,
    ("GET", "/v1/hotspots/{cell}/explanation"): Action.READ_MAP,
    ("POST", "/v1/patrol-plans"): Action.PLAN_PATROL,
    ("GET", "/v1/patrol-plans/{plan_id}"): Action.READ_MAP,
    ("POST", "/v1/patrol-plans/{plan_id}/doses"): Action.RECORD_DOSE,
    ("GET", "/v1/cases"): Action.READ_CASE,
    ("POST", "/v1/cases/next"): Action.WORK_CASE,
    ("POST", "/v1/cases/bulk"): Action.WORK_CASE,  # to assign, what it does asks for more
    ("GET", "/v1/cases/{case_id}"): Action.READ_CASE,
    ("POST", "/v1/cases/{case_id}/lock"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/unlock"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/attempts"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/outcomes"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/reversals"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/snooze"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/notes"): Action.WORK_CASE,
    ("POST", "/v1/cases/{case_id}/assignment"): Action.ASSIGN_CASE,
    ("POST", "/v1/attempts"): Action.TAKE_IN,
    ("GET", "/v1/model"): Action.READ_MODEL,
    ("GET", "/v1/rules"): Action.MANAGE_RULES,
    ("POST", "/v1/rules"): Action.MANAGE_RULES,
    ("POST", "/v1/rules/{name}/test"): Action.MANAGE_RULES,
    ("POST", "/v1/rules/{name}/live"): Action.MANAGE_RULES,
    ("POST", "/v1/rules/{name}/retire"): Action.MANAGE_RULES,
    ("GET", "/v1/lists/{list}"): Action.MANAGE_RULES,
    ("POST", "/v1/lists/{list}"): Action.MANAGE_RULES,
    ("POST", "/v1/lists/{list}/{entry_id}/live"): Action.MANAGE_RULES,
    ("POST", "/v1/lists/{list}/{entry_id}/remove"): Action.MANAGE_RULES,
    ("GET", "/v1/cases/{case_id}/requests"): Action.READ_CASE,
    ("POST", "/v1/cases/{case_id}/requests"): Action.REQUEST_MEASURE,
    ("GET", "/v1/requests"): Action.READ_CASE,
    ("POST", "/v1/requests/{request_id}/sign"): Action.SIGN_MEASURE,
    ("POST", "/v1/requests/{request_id}/decline"): Action.SIGN_MEASURE,
    ("POST", "/v1/requests/{request_id}/withdraw"): Action.REQUEST_MEASURE,
    ("POST", "/v1/requests/{request_id}/undo"): Action.SIGN_MEASURE,
    ("POST", "/v1/requests/{request_id}/answer"): Action.ANSWER_MEASURE,
    ("POST", "/v1/requests/{request_id}/told"): Action.REQUEST_MEASURE,
    ("POST", "/v1/requests/{request_id}/resend"): Action.REQUEST_MEASURE,
    ("GET", "/v1/appeals"): Action.READ_CASE,
    ("POST", "/v1/appeals"): Action.FILE_APPEAL,
    ("POST", "/v1/appeals/{appeal_id}/decide"): Action.DECIDE_APPEAL,
    ("GET", "/v1/false-alarms"): Action.READ_OVERVIEW,
    ("GET", "/v1/health"): Open.PUBLIC,
    ("GET", "/v1/ready"): Open.PUBLIC,
    ("GET", "/metrics"): Action.READ_METRICS,
    ("GET", "/v1/openapi.json"): Open.PUBLIC,
    ("GET", "/docs.json"): Open.PUBLIC,
    ("GET", "/console"): Open.SIGNED_IN,
    ("GET", "/console/"): Open.SIGNED_IN,
    ("GET", "/console/sign-in"): Open.PUBLIC,
    ("POST", "/console/sign-in"): Open.PUBLIC,
    ("POST", "/console/sign-out"): Open.SIGNED_IN,
    ("GET", "/console/password"): Open.SIGNED_IN,
    ("POST", "/console/password"): Open.SIGNED_IN,
    ("GET", "/console/static/{version}/{name:path}"): Open.PUBLIC,
    ("POST", "/console/language"): Open.PUBLIC,
    ("GET", "/console/guide"): Open.SIGNED_IN,
    ("GET", "/console/map"): Action.READ_MAP,
    ("GET", "/console/map/cells"): Action.READ_MAP,
    ("GET", "/console/map/city"): Action.READ_MAP,
    ("GET", "/console/map/plan"): Action.READ_MAP,  # back to the map
    ("POST", "/console/map/plan"): Action.PLAN_PATROL,
    ("GET", "/console/rules"): Action.MANAGE_RULES,
    ("POST", "/console/rules"): Action.MANAGE_RULES,
    ("POST", "/console/plans"): Action.PLAN_PATROL,
    ("GET", "/console/plans/{plan_id}"): Action.READ_MAP,
    ("POST", "/console/plans/{plan_id}/doses"): Action.RECORD_DOSE,
    ("GET", "/console/overview"): Action.READ_OVERVIEW,
    ("POST", "/console/requests/{request_id}/sign"): Action.SIGN_MEASURE,
    ("POST", "/console/requests/{request_id}/decline"): Action.SIGN_MEASURE,
    ("POST", "/console/requests/{request_id}/resend"): Action.REQUEST_MEASURE,
    ("POST", "/console/appeals/{appeal_id}/decide"): Action.DECIDE_APPEAL,
    ("GET", "/console/model"): Action.READ_MODEL,
    ("GET", "/console/audit"): Action.READ_AUDIT,
    ("GET", "/console/audit.csv"): Action.READ_AUDIT,
    ("POST", "/console/audit/verify"): Action.READ_AUDIT,
    ("GET", "/console/shift"): Action.READ_CASE,
    ("GET", "/console/shift/live"): Action.READ_CASE,
    ("POST", "/console/shift/next"): Action.WORK_CASE,
    ("POST", "/console/shift/snooze"): Action.WORK_CASE,
    ("POST", "/console/shift/reassign"): Action.ASSIGN_CASE,
    ("GET", "/console/cases/{case_id}"): Action.READ_CASE,
    ("GET", "/console/cases/{case_id}/live"): Action.READ_CASE,
    ("GET", "/console/cases/{case_id}/evidence/{event_id:path}"): Action.READ_CASE,
    ("POST", "/console/cases/{case_id}/attempt"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/outcome"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/reverse"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/note"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/snooze"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/take"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/release"): Action.WORK_CASE,
    ("POST", "/console/cases/{case_id}/reassign"): Action.ASSIGN_CASE,
    ("POST", "/console/cases/{case_id}/reveal"): Action.REVEAL_PSEUDONYM,
    ("POST", "/console/cases/{case_id}/measures/draft"): Action.REQUEST_MEASURE,
    ("POST", "/console/cases/{case_id}/measures/sign"): Action.SIGN_MEASURE,
    ("POST", "/console/cases/{case_id}/measures/decline"): Action.SIGN_MEASURE,
    ("POST", "/console/cases/{case_id}/measures/withdraw"): Action.REQUEST_MEASURE,
    ("POST", "/console/cases/{case_id}/measures/undo"): Action.SIGN_MEASURE,
    ("POST", "/console/cases/{case_id}/measures/answer"): Action.REQUEST_MEASURE,
    ("POST", "/console/cases/{case_id}/measures/appeal"): Action.FILE_APPEAL,
    # BentoML's own
    ("GET", "/livez"): Open.PUBLIC,
    ("GET", "/readyz"): Open.PUBLIC,
    ("GET", "/healthz"): Open.PUBLIC,
    ("GET", "/schema.json"): Open.PUBLIC,
    ("GET", "/static_content/{path:path}"): Open.PUBLIC,
    ("GET", "/"): Open.PUBLIC,
}
"""What each request asks for; paths as Starlette writes them."""


@dataclass(frozen=True)
class Rules:
    """Finds the rule of a request.

    Examples
    --------
    >>> rules = Rules(RULES)
    >>> rules.of("GET", "/v1/decisions/a/b")
    <Action.READ_DECISION: 'read_decision'>
    >>> rules.of("HEAD", "/v1/health")
    <Open.PUBLIC: 'public'>
    """

    table: Mapping[tuple[str, str], Rule]

    def of(self, method: str, path: str) -> Rule:
        """The rule.

        Raises
        ------
        Problem
            ``not-found`` or ``method-not-allowed``: what has no rule is not there.
        """
        asked = "GET" if method == "HEAD" else method
        rule = self.table.get((asked, path))  # most paths have no parameter
        if rule is not None:
            return rule
        found = dict(self._matching(path))
        if asked in found:
            return found[asked]
        if found:
            raise Problem("method-not-allowed", headers={"Allow": ", ".join(sorted(found))})
        raise Problem("not-found")

    def _matching(self, path: str) -> Iterator[tuple[str, Rule]]:
        """Methods a path takes, with their rules; as in Starlette, the first pattern wins."""
        seen = set()
        for method, pattern, rule in self._patterns:
            if method not in seen and pattern.match(path):
                seen.add(method)
                yield method, rule

    @cached_property
    def _patterns(self) -> tuple[tuple[str, re.Pattern[str], Rule], ...]:
        return tuple(
            (method, compile_path(path)[0], rule) for (method, path), rule in self.table.items()
        )


class Gate:
    """ASGI middleware that lets through who may, and says in ``scope["state"]`` who it is.

    Parameters
    ----------
    app : App
    credentials : callable
        Gives the `Credentials`; asked with each request, for they come when the stores do.
    rules : mapping, optional
        `RULES` by default.
    refused : callable, optional
        What a request that is not let through gets; by default the problem as it is.
    """

    def __init__(
        self,
        app: App,
        credentials: Callable[[], Credentials],
        rules: Mapping[tuple[str, str], Rule] = RULES,
        refused: Refused | None = None,
    ) -> None:
        self.app = app
        self._credentials = credentials
        self._rules = Rules(rules)
        self._refused = refused or _plainly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # RFC 6455: policy
            return
        if scope["type"] == "http":
            known = scope
            try:
                rule = self._rules.of(scope["method"], scope["path"])
                if rule is not Open.PUBLIC:
                    # who may not is known all the same: the page that says so is his
                    known = await self._known(scope)
                    receive = await _let_through(known, rule, receive)
            except Problem as problem:
                await self._refused(known, problem)(known, receive, send)
                return
            scope = known
        await self.app(scope, receive, send)

    async def _known(self, scope: Scope) -> Scope:
        presented = await self._credentials().presented(dict(scope["headers"]))
        if presented is None:
            raise Problem("not-signed-in", headers={"WWW-Authenticate": "Bearer"})
        state = {**scope.get("state", {}), "actor": presented.actor, "token": presented.token}
        return {**scope, "state": state}


async def _let_through(scope: Scope, rule: Rule, receive: Receive) -> Receive:
    """Let a request pass whose sender may, and whose form is of our own page."""
    actor, token = scope["state"]["actor"], scope["state"]["token"]
    if isinstance(rule, Action):
        demand(actor, rule)
    if token is not None and scope["method"] not in _SAFE:
        return await demand_own_page(token, dict(scope["headers"]), receive)
    return receive


def _plainly(_: Scope, problem: Problem) -> Response:
    return answer(problem)


def actor_of(scope: Scope) -> Actor:
    """Who acts in a request that came through the gate.

    Raises
    ------
    KeyError
        If it did not, or asked for something public.
    """
    actor: Actor = scope["state"]["actor"]
    return actor
