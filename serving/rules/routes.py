"""The API's paths of rules and lists."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from models.conditions import LISTS
from serving.access.gate import actor_of
from serving.asking import from_body
from serving.problems import Problem
from serving.rules.contracts import (
    EntryAnswer,
    EntryBody,
    KeyBody,
    RuleAnswer,
    RuleBody,
    VersionBody,
)
from serving.rules.desk import RuleDesk

__all__ = ["routes"]

Handler = Callable[[Request], Awaitable[Response]]
_OK, _ACCEPTED = 200, 202


def routes() -> list[BaseRoute]:
    """What the API answers about rules and lists."""
    named: dict[str, Handler] = {"test": _test, "live": _live, "retire": _retire}
    return [
        Route("/v1/rules", _rules, methods=["GET"]),
        Route("/v1/rules", _draft, methods=["POST"]),
        *(
            Route(f"/v1/rules/{{name}}/{deed}", handler, methods=["POST"])
            for deed, handler in named.items()
        ),
        Route("/v1/lists/{list}", _list, methods=["GET"]),
        Route("/v1/lists/{list}", _add, methods=["POST"]),
        Route("/v1/lists/{list}/{entry_id}/live", _entry_live, methods=["POST"]),
        Route("/v1/lists/{list}/{entry_id}/remove", _remove, methods=["POST"]),
    ]


async def _rules(request: Request) -> Response:
    return _reply(await _desk(request).rules(actor_of(request.scope)))


async def _draft(request: Request) -> Response:
    body = from_body(RuleBody, await request.body())
    return _reply(await _desk(request).draft(actor_of(request.scope), body))


async def _test(request: Request) -> Response:
    found = await _deed(request, _desk(request).test)
    return _reply(found, _ACCEPTED)


async def _live(request: Request) -> Response:
    return _reply(await _deed(request, _desk(request).go_live))


async def _retire(request: Request) -> Response:
    return _reply(await _deed(request, _desk(request).retire))


async def _deed(request: Request, done: Callable[..., Awaitable[RuleAnswer]]) -> RuleAnswer:
    body = from_body(VersionBody, await request.body())
    return await done(actor_of(request.scope), request.path_params["name"], body)


async def _list(request: Request) -> Response:
    return _reply(await _desk(request).one_list(actor_of(request.scope), _name(request)))


async def _add(request: Request) -> Response:
    body = from_body(EntryBody, await request.body())
    return _reply(await _desk(request).add(actor_of(request.scope), _name(request), body))


async def _entry_live(request: Request) -> Response:
    return _reply(await _of_entry(request, _desk(request).entry_live))


async def _remove(request: Request) -> Response:
    return _reply(await _of_entry(request, _desk(request).remove))


async def _of_entry(request: Request, done: Callable[..., Awaitable[EntryAnswer]]) -> EntryAnswer:
    body = from_body(KeyBody, await request.body())
    name, entry_id = _name(request), request.path_params["entry_id"]
    return await done(actor_of(request.scope), name, entry_id, body)


def _name(request: Request) -> str:
    name: str = request.path_params["list"]
    if name not in LISTS:
        raise Problem("not-found", f"expected one of the lists {', '.join(LISTS)}")
    return name


def _desk(request: Request) -> RuleDesk:
    desk: RuleDesk = request.app.state.rules
    return desk


def _reply(found: BaseModel, status: int = _OK) -> Response:
    return Response(found.model_dump_json(), status, media_type="application/json")
