"""Signatures of messages as Standard Webhooks has them, so that a receiver checks them at home.

What is signed is ``{webhook-id}.{webhook-timestamp}.{body}``. The id stays the same over all tries
(a receiver does the same id once); the timestamp is that of the try.

References
----------
Standard Webhooks 1.0.0 (standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Secret", "SecretError", "signed_headers"]

SYMMETRIC, ASYMMETRIC = "whsec_", "whsk_"
LEAST, MOST = 24, 64  # bytes of a symmetric secret: the specification's 192 and 512 bits
SEED = 32  # bytes of an ed25519 private key; libraries that write 64 append the public one


class SecretError(ValueError):
    """A secret cannot be used; the message does not tell it."""


@dataclass(frozen=True)
class Secret:
    """What one signature is made with.

    Parameters
    ----------
    key : bytes
    asymmetric : bool
        ed25519 (``v1a``) rather than HMAC-SHA256 (``v1``).
    """

    key: bytes = field(repr=False)
    asymmetric: bool = False

    @classmethod
    def of(cls, text: str) -> "Secret":
        """Read ``whsec_`` or ``whsk_`` and base64.

        Raises
        ------
        SecretError
            If it is something else, or too short to be safe.
        """
        asymmetric = text.startswith(ASYMMETRIC)
        if not asymmetric and not text.startswith(SYMMETRIC):
            raise SecretError(
                "expected a secret that starts with whsec_ or whsk_, found another text; fix: make "
                "one of at least 24 random bytes and write it as whsec_ and its base64"
            )
        try:
            key = base64.b64decode(text.partition("_")[2], validate=True)
        except (binascii.Error, ValueError):
            key = b""
        fits = len(key) in {SEED, 2 * SEED} if asymmetric else LEAST <= len(key) <= MOST
        if not fits:
            raise SecretError(
                f"expected base64 of {LEAST} to {MOST} bytes after whsec_, or of {SEED} or "
                f"{2 * SEED} after whsk_, found {len(key)} bytes; fix: make a new secret"
            )
        return cls(key[:SEED] if asymmetric else key, asymmetric)

    def sign(self, content: bytes) -> str:
        """One entry of ``webhook-signature``."""
        if self.asymmetric:
            signature = Ed25519PrivateKey.from_private_bytes(self.key).sign(content)
        else:
            signature = hmac.new(self.key, content, hashlib.sha256).digest()
        version = "v1a" if self.asymmetric else "v1"
        return f"{version},{base64.b64encode(signature).decode()}"


def signed_headers(
    message_id: str, at_s: int, body: bytes, secrets: Iterable[Secret]
) -> Mapping[str, str]:
    """Headers of one try; while a secret is being changed there are two signatures.

    Parameters
    ----------
    message_id : str
        Without a full stop, which would blur what was signed.
    at_s : int
        Of this try, seconds since 1970.
    body : bytes
        As it is sent.
    secrets : iterable of Secret

    Examples
    --------
    The specification's published example:

    >>> secret = Secret.of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
    ...                          b'{"test": 2432232314}', [secret])
    >>> headers["webhook-signature"]
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    if "." in message_id:
        raise ValueError("expected a message id without a full stop, found one with; take a UUID")
    content = b".".join((message_id.encode(), str(at_s).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(secret.sign(content) for secret in secrets),
    }
