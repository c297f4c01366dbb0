"""News of one case for the page that shows it: its mark, whenever that changes."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serving.access.gate import actor_of
from serving.access.roles import Action
from serving.cases.live import Live
from serving.cases.room import CaseRoom
from serving.console.case_news import mark_of
from serving.console.presence import still_there
from serving.problems import Problem

__all__ = ["case_live"]

_STILL = b": still here\n\n"
_OVER = b"event: over"
_GONE = b"event: gone\ndata: \n\n"


async def case_live(request: Request) -> Response:
    """Answer ``GET /console/cases/{case_id}/live``: the case's mark, each time it is another one.

    ``seen`` is the mark of the page that asks; ``Last-Event-ID`` that of the last word it heard.
    What changed between the page and the stream is thus told at once. Every sign of life looks
    again, so that what was not announced (an answer to a request) is told a little later.

    Raises
    ------
    Problem
        ``busy``; ``not-found`` for a case of a district that is not the actor's.
    """
    desk: Live = request.app.state.live
    who = actor_of(request.scope).name
    await _code(request)
    desk.room(who)

    async def still() -> bool:
        return await still_there(request, Action.READ_CASE)

    async def told() -> AsyncIterator[bytes]:
        last = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        async for word in desk.stream(still, None, who):
            if word.startswith((b"retry", _OVER)):
                yield word
                if word.startswith(_OVER):
                    return
            try:
                code = await _code(request)
            except Problem as problem:
                if problem.name == "not-found":
                    yield _GONE
                    return
                code = last  # the database is away: nobody is told of what nobody knows
            yield _STILL if code == last else _said(code)
            last = code

    # a proxy that gathers the words of a stream keeps them from the page
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told(), media_type="text/event-stream", headers=headers)


def _said(code: str) -> bytes:
    return f"event: case\nid: {code}\ndata: {code}\n\n".encode()


async def _code(request: Request) -> str:
    room: CaseRoom = request.app.state.cases
    async with room.turn(actor_of(request.scope)) as turn:
        return (await mark_of(turn, request.path_params["case_id"])).code
