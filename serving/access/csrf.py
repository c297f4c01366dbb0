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
from urllib.parse import parse_qs

from serving.access.refusals import Refusal
from serving.limits import Message, Receive

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "csrf_token", "demand_own_page"]

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
_FORM = b"application/x-www-form-urlencoded"
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
    if sent is None and headers.get(b"content-type", b"").split(b";")[0].strip() == _FORM:
        message = await receive()
        sent, receive = _field(message), _replay(message, receive)
    if not hmac.compare_digest(csrf_token(token).encode(), sent or b""):
        raise Refusal(
            "wrong-csrf-token",
            f"expected the session's token in {CSRF_HEADER} or the field {CSRF_FIELD}, found none "
            "or another's",
        )
    return receive


def _field(message: Message) -> bytes | None:
    """The token in a form. The border hands a body on whole: one in parts did not come by it."""
    if message.get("more_body", False):
        return None
    body: bytes = message.get("body", b"")
    return parse_qs(body.decode("latin-1")).get(CSRF_FIELD, [""])[0].encode()


def _replay(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
