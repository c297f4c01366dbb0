"""Routes of the pages that look over others' work: overview, model, audit, plans carried out."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.console.audit_page import audit_check, audit_file, audit_page
from serving.console.awaiting import (
    decide_appeal,
    decline_request,
    resend_request,
    sign_request,
)
from serving.console.model_page import model_page
from serving.console.overview import overview_page
from serving.console.pages import Pages
from serving.console.patrols import dose_form, keep_form, kept_page
from serving.problems import Problem

__all__ = ["routes"]

Page = Callable[[Pages, Request], Awaitable[Response]]


def routes(pages: Pages) -> list[BaseRoute]:
    """Those of the console's mount; what cannot be shown is told on a page."""
    shown: dict[str, Page] = {
        "/overview": overview_page,
        "/model": model_page,
        "/audit": audit_page,
        "/audit.csv": _without(audit_file),
        "/plans/{plan_id}": kept_page,
    }
    sent: dict[str, Page] = {
        "/audit/verify": audit_check,
        "/requests/{request_id}/sign": _without(sign_request),
        "/requests/{request_id}/decline": _without(decline_request),
        "/requests/{request_id}/resend": _without(resend_request),
        "/appeals/{appeal_id}/decide": _without(decide_appeal),
        "/plans": _without(keep_form),
        "/plans/{plan_id}/doses": dose_form,
    }
    return [
        Route(path, partial(_shown, pages, page), methods=[method])
        for method, some in (("GET", shown), ("POST", sent))
        for path, page in some.items()
    ]


def _without(handler: Callable[[Request], Awaitable[Response]]) -> Page:
    """A handler that draws no page of its own."""

    async def page(_: Pages, request: Request) -> Response:
        return await handler(request)

    return page


async def _shown(pages: Pages, page: Page, request: Request) -> Response:
    try:
        return await page(pages, request)
    except Problem as problem:
        told = {"problem": problem}
        return pages.page(request, "refused.html", told, status=problem.kind.status)
