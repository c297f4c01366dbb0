"""The gate: which request asks for which right, and who is let through.

A request without a rule is not let through: a new route needs a line in `RULES`, and a test fails
until it has one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from starlette.routing import compile_path

from serving.access.credentials import Credentials
from serving.access.csrf import demand_own_page
from serving.access.refusals import Refusal
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
    ("GET", "/v1/model"): Action.READ_MODEL,
    ("GET", "/v1/health"): Open.PUBLIC,
    ("GET", "/v1/ready"): Open.PUBLIC,
    ("GET", "/metrics"): Action.READ_METRICS,
    ("GET", "/v1/openapi.json"): Open.PUBLIC,
    ("GET", "/docs.json"): Open.PUBLIC,
    ("GET", "/console"): Open.PUBLIC,
    ("GET", "/console/"): Open.PUBLIC,
    ("GET", "/console/static/{version}/{name:path}"): Open.PUBLIC,
    ("POST", "/console/language"): Open.PUBLIC,
    ("GET", "/console/map"): Action.READ_MAP,
    ("GET", "/console/map/cells"): Action.READ_MAP,
    ("GET", "/console/map/city"): Action.READ_MAP,
    ("GET", "/console/map/plan"): Action.READ_MAP,  # back to the map
    ("POST", "/console/map/plan"): Action.PLAN_PATROL,
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
    credentials : Credentials
    rules : mapping, optional
        `RULES` by default.
    """

    def __init__(
        self,
        app: App,
        credentials: Credentials,
        rules: Mapping[tuple[str, str], Rule] = RULES,
    ) -> None:
        self.app = app
        self._credentials = credentials
        self._rules = Rules(rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # RFC 6455: policy
            return
        if scope["type"] == "http":
            try:
                scope, receive = await self._let_through(scope, receive)
            except Problem as problem:
                await answer(problem)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _let_through(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        rule = self._rules.of(scope["method"], scope["path"])
        if rule is Open.PUBLIC:
            return scope, receive
        headers = dict(scope["headers"])
        presented = await self._credentials.presented(headers)
        if presented is None:
            raise Refusal("not-signed-in", headers={"WWW-Authenticate": "Bearer"})
        if isinstance(rule, Action):
            demand(presented.actor, rule)
        if presented.token is not None and scope["method"] not in _SAFE:
            receive = await demand_own_page(presented.token, headers, receive)
        state = {**scope.get("state", {}), "actor": presented.actor, "token": presented.token}
        return {**scope, "state": state}, receive


def actor_of(scope: Scope) -> Actor:
    """Who acts in a request that came through the gate.

    Raises
    ------
    KeyError
        If it did not, or asked for something public.
    """
    actor: Actor = scope["state"]["actor"]
    return actor
