"""The pages before all others: signing in and out, and choosing a password of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from serving.access import Credentials, LocalIdentity, SignIn, actor_of
from serving.access.passwords import weak
from serving.access.sessions import cookie, no_cookie, token_in
from serving.console.filled import fields_of
from serving.console.pages import FIRST, Pages, within
from serving.problems import Problem, answer

__all__ = ["SIGN_IN", "Refusals", "enter", "leave", "password", "sign_in"]

SIGN_IN = "/console/sign-in"
PASSWORD = "/console/password"  # noqa: S105 - an address
_SEE_OTHER = 303


async def sign_in(pages: Pages, request: Request) -> Response:
    """Answer ``GET`` and ``POST /console/sign-in``."""
    back = within(request.query_params.get("back", ""))
    told: dict[str, Any] = {"back": back, "name": "", "problem": None}
    if request.method == "GET":
        return pages.page(request, "sign_in.html", told)
    fields = await fields_of(request)
    back = within(fields.get("back", ""))
    try:
        return await enter(request, fields, back)
    except Problem as problem:
        told |= {"back": back, "name": fields.get("name", ""), "problem": problem}
        return pages.page(request, "sign_in.html", told, status=problem.kind.status)


async def enter(request: Request, proof: Mapping[str, str], back: str) -> Response:
    """Let somebody in, and go where he wanted to.

    Raises
    ------
    Problem
        If he is not let in.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        # a page from elsewhere must not sign an officer in under another's name
        raise Problem("wrong-csrf-token", "expected a form of ours, found another page's")
    way: SignIn = request.app.state.sign_in
    https = _https(request)
    old = token_in(request.headers.get("cookie", ""), https=https)
    token = await way.enter(proof, old)
    response = RedirectResponse(back, _SEE_OTHER)
    response.headers.append("set-cookie", cookie(token, https=https))
    return response


async def leave(request: Request) -> Response:
    """Answer ``POST /console/sign-out``."""
    token = request.scope["state"]["token"]
    if token is None:
        raise Problem("forbidden", "expected a session to end, found a key")
    way: SignIn = request.app.state.sign_in
    await way.leave(actor_of(request.scope), token)
    response = RedirectResponse(SIGN_IN, _SEE_OTHER)
    response.headers.append("set-cookie", no_cookie(https=_https(request)))
    return response


async def password(pages: Pages, request: Request) -> Response:
    """Answer ``GET`` and ``POST /console/password``."""
    if request.method == "GET":
        return pages.page(request, "password.html", {"problem": None})
    fields, actor = await fields_of(request), actor_of(request.scope)
    identity: LocalIdentity = request.app.state.identity
    try:
        new = _twice(fields)
        at = request.app.state.cases.clock()
        await identity.change(actor.name, fields.get("old", ""), new, at)
        return await enter(request, {"name": actor.name, "password": new}, FIRST)
    except Problem as problem:
        return pages.page(
            request, "password.html", {"problem": problem}, status=problem.kind.status
        )


@dataclass(frozen=True)
class Refusals:
    """What the gate answers those whom it does not let through: pages to browsers.

    Parameters
    ----------
    pages : Pages
    """

    pages: Pages

    def __call__(self, scope: Mapping[str, object], problem: Problem) -> Response:
        """The answer.

        Nobody signed in is sent to sign in, and back; a given-out password is to be changed first.
        """
        request = Request(dict(scope))
        headers = Headers(scope=dict(scope))
        path = str(scope["path"])
        browser = path.startswith("/console") and "text/html" in headers.get("accept", "")
        if not browser or headers.get("hx-request"):
            return answer(problem)
        if problem.name == "not-signed-in":
            query = urlencode({"back": f"{path}?{request.url.query}"}) if _asked(request) else ""
            return RedirectResponse(f"{SIGN_IN}?{query}" if query else SIGN_IN, _SEE_OTHER)
        if problem.name == "password-to-change":
            return RedirectResponse(PASSWORD, _SEE_OTHER)
        told = {"problem": problem}
        return self.pages.page(request, "refused.html", told, status=problem.kind.status)


def _twice(fields: Mapping[str, str]) -> str:
    new = fields.get("new", "")
    if new != fields.get("again", ""):
        raise weak(
            "expected the same twice, found two passwords",
            "两次输入的新密码不一致，请重新输入。",
            "The new password was not the same twice: type it again.",
        )
    return new


def _asked(request: Request) -> bool:
    """Whether there is a page to come back to."""
    return request.method == "GET" and request.url.path.rstrip("/") != "/console"


def _https(request: Request) -> bool:
    credentials: Credentials = request.app.state.credentials
    return credentials.https
