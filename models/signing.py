"""Who vouches for a bundle: an Ed25519 key pair, kept as PEM text.

Training signs with the private key; serving knows only the public one, so a host that serves
cannot forge a model.
"""

import base64
import binascii
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from models.trees import ModelError

__all__ = ["PublicKey", "Signer"]

CONTEXT = b"forewarn bundle manifest 1\n"  # a signature over anything else is never one of ours

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublicKey:
    """Checks signatures.

    Examples
    --------
    >>> signer = Signer.fresh()
    >>> PublicKey.from_text(signer.public_key.to_text()).confirms(b"text", signer.sign(b"text"))
    True
    >>> signer.public_key.confirms(b"test", signer.sign(b"text"))
    False
    """

    key: Ed25519PublicKey

    def confirms(self, content: bytes, signature: str) -> bool:
        """Whether `signature` (base64) was made for `content` by this key's other half."""
        try:
            plain = base64.b64decode(signature, validate=True)
            self.key.verify(plain, CONTEXT + content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return _text(plain) == signature  # the last digit has spare bits that nobody signed

    def to_text(self) -> str:
        """PEM."""
        encoding = serialization.Encoding.PEM
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_bytes(encoding, kind).decode()

    @classmethod
    def from_text(cls, text: str) -> "PublicKey":
        """Read PEM back."""
        try:
            key = serialization.load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _wrong_key("public", "no PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise _wrong_key("public", type(key).__name__)
        return cls(key)

    @classmethod
    def from_file(cls, path: Path) -> "PublicKey":
        """Read a public key's PEM file."""
        return cls.from_text(path.read_text(encoding="ascii"))


@dataclass(frozen=True)
class Signer:
    """Signs manifests; the same content and key always give the same signature."""

    key: Ed25519PrivateKey

    @classmethod
    def fresh(cls) -> "Signer":
        """A new key pair, in memory only."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def at(cls, path: Path) -> "Signer":
        """Read the private key at `path`; make a development one there, loudly, if absent.

        The public half lies beside it under the suffix ``.pub``.
        """
        if not path.exists():
            _create(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise _wrong_key("private", type(key).__name__)
        return cls(key)

    @property
    def public_key(self) -> PublicKey:
        """The half that serving may know."""
        return PublicKey(self.key.public_key())

    def sign(self, content: bytes) -> str:
        """Base64 of the Ed25519 signature (RFC 8032) over our context and `content`."""
        return _text(self.key.sign(CONTEXT + content))


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def _create(path: Path) -> None:
    logger.warning(
        "NO SIGNING KEY at %s: made a development key there; in production put your own, readable "
        "by the training account only",
        path,
    )
    signer = Signer.fresh()
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = signer.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    path.with_suffix(".pub").write_text(signer.public_key.to_text(), encoding="ascii")


def _wrong_key(half: str, found: str) -> ModelError:
    return ModelError(
        f"expected the PEM of an Ed25519 {half} key, found {found}; "
        "`openssl genpkey -algorithm ed25519` makes a pair"
    )
