"""Where the console's pages are, and what all of them share."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from serving.access.roles import Action
from serving.console.case_routes import routes as case_routes
from serving.console.entrance import leave, password, sign_in
from serving.console.guard import Guard
from serving.console.guide import guide_page
from serving.console.hotspot_map import cells, city, map_page, plan_page
from serving.console.oversight import routes as oversight_routes
from serving.console.pages import Pages, who, within
from serving.console.rules_page import rules_page
from serving.console.tongues import CODES, COOKIE

__all__ = ["mounted"]

_FIRST = {
    Action.WORK_CASE: "/shift",
    Action.READ_OVERVIEW: "/overview",
    Action.READ_AUDIT: "/audit",
    Action.READ_MAP: "/map",
}
_YEAR_S = 365 * 24 * 3600
Page = Callable[[Pages, Request], Awaitable[Response]]
Handler = Callable[[Request], Awaitable[Response]]


def mounted(pages: Pages) -> list[BaseRoute]:
    """The console under ``/console``, to be among an application's routes.

    Its handlers find what answers (`maps`, `cases`, `sign_in`) in that application's state.
    """
    shown: dict[str, Page] = {"/map": map_page, "/guide": guide_page}
    drawn: dict[str, Handler] = {
        "/map/cells": cells,
        "/map/city": city,
        "/static/{version}/{name:path}": pages.assets.answer,
    }
    sent: dict[str, Handler] = {"/map/plan": partial(plan_page, pages), "/language": _language}
    both: dict[str, Page] = {"/sign-in": sign_in, "/password": password, "/rules": rules_page}
    routes = [
        Route("/", _first),
        Route("/map/plan", _map),  # who asks for a plan's page again without its form
        *(Route(path, partial(page, pages)) for path, page in shown.items()),
        *(Route(path, handler) for path, handler in drawn.items()),
        *(Route(path, handler, methods=["POST"]) for path, handler in sent.items()),
        *(
            Route(path, partial(page, pages), methods=["GET", "POST"])
            for path, page in both.items()
        ),
        *case_routes(pages),
        *oversight_routes(pages),
        Route("/sign-out", leave, methods=["POST"]),
    ]
    inside = Mount("/console", routes=routes, middleware=[Middleware(Guard)])
    return [Route("/console", _first), inside]


async def _first(request: Request) -> Response:
    """Go to the first page that is his to see."""
    actor = who(request)
    pages = (page for action, page in _FIRST.items() if actor is not None and actor.may(action))
    return RedirectResponse(f"/console{next(pages, '/password')}", 307)


async def _map(_: Request) -> Response:
    return RedirectResponse("/console/map", 307)


async def _language(request: Request) -> Response:
    """Keep the language that was chosen, and go back to where it was."""
    async with request.form(max_files=0, max_fields=4) as form:
        chosen, back = str(form.get("to", "")), str(form.get("back", ""))
    response = RedirectResponse(within(back), 303)
    if chosen in CODES:
        response.set_cookie(
            COOKIE,
            chosen,
            max_age=_YEAR_S,
            path="/console",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return response
