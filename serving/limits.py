"""The border of the service: sizes, times and crowds are bounded, and errors are problems.

Pure ASGI, in front of BentoML's own handlers and of the mounted application alike. The body is
read here, whole, against a limit that a chunked request cannot slip past, and handed on.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from serving import metrics
from serving.problems import MEDIA_TYPE, Problem, answer, of_status

__all__ = ["Border", "Limits"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger("forewarn.serving")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ALWAYS = frozenset({"/v1/health", "/v1/ready", "/livez", "/readyz", "/healthz", "/metrics"})
_STREAM = "text/event-stream"
_PAGES = "/console/"  # whose errors are pages: a person reads them
_FIXED_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


@dataclass(frozen=True)
class Limits:
    """How much, how long, how many at once.

    Parameters
    ----------
    body_bytes : int
        Largest body of a single event; 64 kB holds any event a hundred times over.
    large_bytes : int
        Largest body on the paths of `large`.
    read_s, answer_s : float
        Seconds until the body must have arrived, and until the answer must have begun.
    slow_s : float
        The same on the paths of `slow`.
    at_once : int
        Requests in hand in one worker; the next one is told to come back.
    large : frozenset of str
        Paths that take many records at once.
    slow : frozenset of str
        Paths whose answer is searched for, in a process of its own.
    """

    body_bytes: int = 64 * 1024
    large_bytes: int = 2 * 1024 * 1024
    read_s: float = 5.0
    answer_s: float = 10.0
    slow_s: float = 18.0
    at_once: int = 256
    large: frozenset[str] = frozenset(
        {"/v1/fraud/score_batch", "/v1/events", "/v1/incidents", "/v1/patrol-plans"}
    )
    slow: frozenset[str] = frozenset({"/v1/patrol-plans", "/console/map/plan"})

    def body_limit(self, path: str) -> int:
        """Bytes a body may have on this path."""
        return self.large_bytes if path in self.large else self.body_bytes

    def answer_limit(self, path: str) -> float:
        """Seconds until an answer must have begun on this path."""
        return self.slow_s if path in self.slow else self.answer_s


@dataclass
class _Answer:
    """Watches what goes out: bare error answers are held back and replaced."""

    send: Send
    kept: tuple[str, ...] = (MEDIA_TYPE,)
    started: bool = False
    status: int = 0
    replaced: Problem | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    streams: Callable[[], None] | None = None
    """Called when the answer turns out to be a stream: it has no end to wait for."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self.replaced is None:
            await self.send(message)

    async def _start(self, message: Message) -> None:
        self.status = message["status"]
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        kind = dict(headers).get(b"content-type", b"").decode("latin-1")
        if self.status >= 400 and not kind.startswith(self.kept):
            self.replaced = of_status(self.status, headers)
            return
        self.started = True
        if self.streams is not None and kind.startswith(_STREAM):
            self.streams()
        own = {name for name, _ in headers}
        fixed = [(name, value) for name, value in _FIXED_HEADERS if name not in own]
        await self.send({**message, "headers": [*headers, *fixed]})


class Border:
    """ASGI middleware that keeps `Limits` and answers errors as problem details."""

    def __init__(self, app: App, limits: Limits | None = None) -> None:
        self.app = app
        self.limits = limits or Limits()
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        page = scope["path"].startswith(_PAGES)
        out = _Answer(send, (MEDIA_TYPE, "text/html") if page else (MEDIA_TYPE,))
        self._in_hand += 1
        try:
            await self._guarded(scope, receive, out)
        finally:
            self._in_hand -= 1
            metrics.request(scope["path"], out.status, time.perf_counter() - began)

    async def _guarded(self, scope: Scope, receive: Receive, out: _Answer) -> None:
        limit = self.limits.answer_limit(scope["path"])
        try:
            self._room(scope)
            replay = await self._body(scope, receive)
            async with asyncio.timeout(limit) as until:
                out.streams = lambda: until.reschedule(None)
                await self.app(scope, replay, out)
            problem = out.replaced
        except Problem as found:
            problem = found
        except TimeoutError:
            problem = Problem("timeout", f"no answer within {limit:g} s")
        except Exception:  # noqa: BLE001 - the last border: a clear answer whatever happens
            _LOG.exception("unexpected error on %s", metrics.route(scope["path"]))
            problem = Problem("internal")
        if problem is not None and not out.started:
            await self._tell(problem, scope, out)

    async def _tell(self, problem: Problem, scope: Scope, out: _Answer) -> None:
        out.replaced = None
        response = answer(problem)
        await response(scope, _nothing, out)

    def _room(self, scope: Scope) -> None:
        if self._in_hand > self.limits.at_once and scope["path"] not in _ALWAYS:
            raise Problem("busy", f"{self.limits.at_once} requests in hand", retry_after_s=1)

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        if scope["method"] not in _WITH_BODY:
            return receive
        limit = self.limits.body_limit(scope["path"])
        headers = dict(scope["headers"])
        _check_declared(headers, limit)
        try:
            async with asyncio.timeout(self.limits.read_s):
                body = await _read(receive, limit)
        except TimeoutError:
            raise Problem(
                "request-timeout",
                f"the body had {self.limits.read_s:g} s to arrive",
                headers={"Connection": "close"},
            ) from None
        if scope["path"].startswith("/v1/"):
            _check_kind(headers)
        return _replay(body, receive)


def _too_large(limit: int) -> Problem:
    return Problem(
        "body-too-large",
        f"expected at most {limit} bytes",
        {"limit_bytes": limit},
        headers={"Connection": "close"},
    )


def _check_declared(headers: Mapping[bytes, bytes], limit: int) -> None:
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit():
        raise Problem("bad-request", "expected digits in Content-Length")
    if int(declared) > limit:
        raise _too_large(limit)


def _check_kind(headers: Mapping[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Problem("unsupported-media-type", "expected Content-Type: application/json")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem("unsupported-media-type", "expected no Content-Encoding")


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("bad-request", "the connection closed before the body ended")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
