"""Whether a deed in a session was asked for by a page of that session.

Browsers send a cookie along whatever page asks. So each page of a session carries a token that
only it can know, and a deed brings it back: in a header if a script asks, in a field if a form.

References
----------
OWASP, Cross-Site Request Forgery Prevention Cheat Sheet (signed double-submit, bound to a session).
"""

import hashlib
import hmac
from collections.abc import Mapping

from starlette.formparsers import MultiPartException
from starlette.requests import Request

from serving.limits import Message, Receive
from serving.problems import Problem

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "csrf_token", "demand_own_page"]

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
_FORMS = frozenset({b"application/x-www-form-urlencoded", b"multipart/form-data"})
_MOST_FIELDS = 1_000  # of a form: a bulk action names each of its cases
_PURPOSE = b"forewarn csrf 1"


def csrf_token(token: str) -> str:
    """What a page must bring back with each deed: bound to the session, of no use in another.

    Examples
    --------
    >>> csrf_token("one") == csrf_token("one"), csrf_token("one") == csrf_token("other")
    (True, False)
    """
    return hmac.new(token.encode(), _PURPOSE, hashlib.sha256).hexdigest()


async def demand_own_page(token: str, headers: Mapping[bytes, bytes], receive: Receive) -> Receive:
    """Let a deed of a session pass, or refuse; the body, handed on.

    Raises
    ------
    Problem
        ``wrong-csrf-token``.
    """
    sent = headers.get(CSRF_HEADER.lower().encode())
    if sent is None and headers.get(b"content-type", b"").split(b";")[0].strip() in _FORMS:
        message = await receive()
        sent, receive = await _field(headers, message), _replay(message, receive)
    if not hmac.compare_digest(csrf_token(token).encode(), sent or b""):
        raise Problem(
            "wrong-csrf-token",
            f"expected the session's token in {CSRF_HEADER} or the field {CSRF_FIELD}, found none "
            "or another's",
        )
    return receive


async def _field(headers: Mapping[bytes, bytes], message: Message) -> bytes | None:
    """The token in a form. The border hands a body on whole: one in parts did not come by it."""
    if message.get("more_body", False):
        return None

    async def whole() -> Message:
        return message

    request = Request({"type": "http", "headers": list(headers.items())}, whole)
    try:
        async with request.form(max_files=4, max_fields=_MOST_FIELDS) as form:
            found = form.get(CSRF_FIELD)
    except MultiPartException:
        return None
    return found.encode() if isinstance(found, str) else None


def _replay(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
