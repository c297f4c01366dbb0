"""Errors as RFC 9457 problem details: what was expected, what was found, how to mend it.

Nothing a client sent is repeated in a problem: an error must not become a leak.

References
----------
RFC 9457, Problem Details for HTTP APIs.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

__all__ = ["CATALOGUE", "HANDLERS", "MEDIA_TYPE", "Kind", "Problem", "answer", "of_status"]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One sort of problem: its status, its title, and the way out of it."""

    name: str
    status: int
    title: str
    fix: str

    @property
    def uri(self) -> str:
        """The `type` member.

        Examples
        --------
        >>> CATALOGUE["not-found"].uri
        'urn:forewarn:problem:not-found'
        """
        return f"urn:forewarn:problem:{self.name}"


_KINDS = (
    Kind("malformed-json", 400, "The body is not JSON", "send one JSON document in UTF-8"),
    Kind("bad-request", 400, "The request cannot be read", "see /v1/openapi.json"),
    # of access: none tells whether an account exists, nor which of several things was wrong
    Kind("not-signed-in", 401, "Nobody is signed in", "sign in, or send Authorization: Bearer KEY"),
    Kind("wrong-credentials", 401, "Not let in", "check name and password; an administrator helps"),
    Kind("forbidden", 403, "Not yours to do", "ask somebody whose role or district it is"),
    Kind(
        "password-to-change", 403, "The password was given out", "choose one of your own to go on"
    ),
    Kind("wrong-csrf-token", 403, "The page is not from this session", "load the page again"),
    Kind("not-found", 404, "There is nothing here", "see /v1/openapi.json for the paths"),
    Kind(
        "no-map",
        404,
        "There is no risk map of this day",
        "make it with forewarn hotspots --as-of, or ask for another date",
    ),
    Kind("method-not-allowed", 405, "This path does not take this method", "see the Allow header"),
    Kind("request-timeout", 408, "The body did not arrive in time", "send it again, at once"),
    Kind("conflict", 409, "The record stands against this request", "read the detail"),
    Kind(
        "event-id-taken", 409, "Another event has this event_id", "send it under an id of its own"
    ),
    Kind(
        "incident-id-taken",
        409,
        "Another incident has this incident_id",
        "send it under an id of its own",
    ),
    Kind("body-too-large", 413, "The body is too large", "send fewer events a request"),
    Kind(
        "unsupported-media-type", 415, "The body is not application/json", "send application/json"
    ),
    Kind("invalid-event", 422, "The record breaks its contract", "mend the fields named"),
    Kind("invalid-parameter", 422, "A parameter breaks its contract", "mend the parameter named"),
    Kind(
        "map-too-large", 422, "The map has too many cells for one answer", "ask for less coverage"
    ),
    Kind("weak-password", 422, "The password is too easy to guess", "take four random words"),
    Kind("no-plan", 422, "No unit could carry out such a plan", "mend what the detail names"),
    Kind("too-many-tries", 429, "Too many wrong tries", "try again after Retry-After seconds"),
    Kind("internal", 500, "An error of ours", "nothing you sent was acknowledged: send it again"),
    Kind("busy", 503, "Too many requests at once", "send it again after Retry-After seconds"),
    Kind("unavailable", 503, "A store is away", "send it again after Retry-After seconds"),
    Kind("timeout", 504, "No answer in time", "send it again: the same event_id counts once"),
)

CATALOGUE: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}

_BY_STATUS = {
    400: "bad-request",
    401: "not-signed-in",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    409: "conflict",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-event",
    429: "busy",
    503: "unavailable",
    504: "timeout",
}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818
    """A request that gets an error for an answer.

    Parameters
    ----------
    name : str
        A key of `CATALOGUE`.
    detail : str
        One sentence on this occurrence; never a value from the request.
    more : dict
        Extension members, e.g. ``errors`` (per field: expected, found, fix) or ``degraded``.
    retry_after_s : int, optional
        Seconds after which the same request makes sense.
    headers : dict
        Response headers beside the usual ones.

    Examples
    --------
    >>> Problem("not-found", "no decision with this event_id").document()["status"]
    404
    """

    name: str
    detail: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in CATALOGUE:
            known = ", ".join(sorted(CATALOGUE))
            raise KeyError(f"expected a problem of the catalogue ({known}), found {self.name!r}")
        super().__init__(self.name)

    @property
    def kind(self) -> Kind:
        return CATALOGUE[self.name]

    def document(self) -> dict[str, Any]:
        """The members of the problem, RFC 9457's first."""
        kind = self.kind
        members: dict[str, Any] = {
            "type": kind.uri,
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail or kind.title,
            "fix": kind.fix,
        }
        if self.retry_after_s is not None:
            members["retry_after_s"] = self.retry_after_s
        return {**members, **self.more}


def answer(problem: Problem) -> Response:
    """The HTTP answer for a problem."""
    headers = dict(problem.headers)
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    return Response(
        json.dumps(problem.document(), ensure_ascii=False, separators=(",", ":")),
        status_code=problem.kind.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


async def _answered(_: Request, problem: Exception) -> Response:
    return answer(cast("Problem", problem))


HANDLERS: Mapping[type[Exception], ExceptionHandler] = {Problem: _answered}
"""For the `exception_handlers` of an application of our routes: a `Problem` is its `answer`."""


def of_status(status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> Problem:
    """The problem that stands for an error answer the framework made by itself.

    Examples
    --------
    >>> of_status(405, [(b"allow", b"POST")]).headers
    {'Allow': 'POST'}
    >>> of_status(418).kind.status
    400
    """
    fallback = "internal" if status >= 500 else "bad-request"
    kept = {b"allow": "Allow", b"retry-after": "Retry-After"}
    return Problem(
        _BY_STATUS.get(status, fallback),
        headers={kept[name]: value.decode("latin-1") for name, value in headers if name in kept},
    )
