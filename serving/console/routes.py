"""Where the console's pages are, and what all of them share."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from serving.console.assets import Assets
from serving.console.guard import Guard
from serving.console.hotspot_map import cells, city, map_page, plan_page
from serving.console.pages import Pages
from serving.console.tongues import CODES, COOKIE
from serving.problems import Problem, answer

__all__ = ["FIRST", "mounted"]

FIRST = "/console/map"
_YEAR_S = 365 * 24 * 3600
Page = Callable[[Pages, Request], Awaitable[Response]]
Handler = Callable[[Request], Awaitable[Response]]


def mounted() -> list[BaseRoute]:
    """The console under ``/console``, to be among an application's routes.

    Its handlers find what answers (`maps`, `hotspots`, `planner`) in that application's state.
    """
    assets = Assets.of()
    pages = Pages.of(assets)
    shown: dict[str, Page] = {"/map": map_page}
    drawn: dict[str, Handler] = {
        "/map/cells": cells,
        "/map/city": city,
        "/static/{version}/{name:path}": assets.answer,
    }
    sent: dict[str, Handler] = {"/map/plan": partial(plan_page, pages), "/language": _language}
    routes = [
        Route("/", _first),
        Route("/map/plan", _first),  # who asks for a plan's page again without its form
        *(Route(path, partial(page, pages)) for path, page in shown.items()),
        *(Route(path, _told(handler)) for path, handler in drawn.items()),
        *(Route(path, handler, methods=["POST"]) for path, handler in sent.items()),
    ]
    inside = Mount("/console", routes=routes, middleware=[Middleware(Guard)])
    return [Route("/console", _first), inside]


async def _first(_: Request) -> Response:
    return RedirectResponse(FIRST, 307)


async def _language(request: Request) -> Response:
    """Keep the language that was chosen, and go back to where it was."""
    async with request.form(max_files=0, max_fields=4) as form:
        chosen, back = str(form.get("to", "")), str(form.get("back", ""))
    response = RedirectResponse(_within(back), 303)
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


def _within(back: str) -> str:
    r"""An address of the console, whatever was sent.

    Examples
    --------
    >>> _within("/console/map?shift=1"), _within("//elsewhere"), _within("/console/\\elsewhere")
    ('/console/map?shift=1', '/console/map', '/console/map')
    """
    inside = back.startswith("/console/") and back.isascii() and back.isprintable()
    return back if inside and "\\" not in back and "//" not in back else FIRST


def _told(handler: Handler) -> Handler:
    async def told(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return answer(problem)

    return told
