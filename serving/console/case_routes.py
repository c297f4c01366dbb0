"""Where the pages of cases are."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.console.case import (
    DEEDS,
    case_page,
    deed_page,
    evidence_page,
    measure_page,
    reveal_page,
)
from serving.console.case_live import case_live
from serving.console.measures import MEASURE_DEEDS
from serving.console.pages import Pages
from serving.console.work import live, next_case, reassign_page, snooze_page, work_page

__all__ = ["routes"]

_CASE = "/cases/{case_id}"
Page = Callable[[Pages, Request], Awaitable[Response]]


def routes(pages: Pages) -> list[BaseRoute]:
    """The work list, the cases and the stream of news, under the console."""
    shown: dict[str, Page] = {
        "/shift": work_page,
        _CASE: case_page,
        f"{_CASE}/evidence/{{event_id:path}}": evidence_page,
    }
    sent: dict[str, Page] = {
        "/shift/next": next_case,
        "/shift/snooze": snooze_page,
        "/shift/reassign": reassign_page,
        f"{_CASE}/reveal": reveal_page,
        **{f"{_CASE}/{name}": partial(deed_page, name=name) for name in DEEDS},
        **{f"{_CASE}/measures/{name}": partial(measure_page, name=name) for name in MEASURE_DEEDS},
    }
    return [
        Route("/shift/live", live),
        Route(f"{_CASE}/live", case_live),
        *(Route(path, partial(page, pages)) for path, page in shown.items()),
        *(Route(path, partial(page, pages), methods=["POST"]) for path, page in sent.items()),
    ]
