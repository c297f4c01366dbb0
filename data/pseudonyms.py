"""Keyed pseudonyms: phone, account, device and identity numbers never pass this door.

A pseudonym is ``<namespace>_`` and the first 128 bits, in hex, of
``HMAC(key, "<namespace>:<normalised text>")``. The namespace is part of the message, so that a
phone number and an account with the same digits share nothing.

References
----------
RFC 2104 (HMAC); GB/T 32905-2016 (SM3).
"""

import hashlib
import logging
import os
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from data.events import Identifier
from data.settings import KEY_BYTES, Settings

__all__ = ["Namespace", "Pseudonymiser", "identifier_fields", "is_pseudonym"]

Namespace = Literal["tel", "acc", "dev", "idn"]
Fact = TypeVar("Fact", bound=BaseModel)

DIGITS = frozenset("0123456789abcdef")
HEX = 32  # 128 bits: two of a billion numbers meet with a chance of 1e-21
BLOCK = 64  # both SHA-256 and SM3 work on 64-byte blocks

logger = logging.getLogger(__name__)


class Pseudonymiser:
    """Turns identifiers into pseudonyms under one key.

    Parameters
    ----------
    key
        Secret of at least 32 bytes. Whoever has it can test guesses: keep it as such.
    hash
        ``sha256`` or ``sm3``.

    Examples
    --------
    >>> names = Pseudonymiser(bytes(32))
    >>> names.one("tel", "+86 138-0013-8000") == names.one("tel", "13800138000")
    True
    >>> names.one("acc", "13800138000").startswith("acc_")
    True
    >>> names.one("tel", names.one("tel", "96110")) == names.one("tel", "96110")
    True
    """

    def __init__(self, key: bytes, hash: Literal["sha256", "sm3"] = "sha256") -> None:  # noqa: A002
        if len(key) < KEY_BYTES:
            raise ValueError(
                f"expected a key of at least {KEY_BYTES} bytes, found {len(key)}; "
                "generate one with secrets.token_bytes(32)"
            )
        self.hash = hash
        padded = (key if len(key) <= BLOCK else _new(hash, key).digest()).ljust(BLOCK, b"\0")
        self._inner = _new(hash, bytes(byte ^ 0x36 for byte in padded))
        self._outer = _new(hash, bytes(byte ^ 0x5C for byte in padded))

    @classmethod
    def from_settings(cls, settings: Settings) -> "Pseudonymiser":
        """Use the deployment's key, or make a development key under ``var/`` and say so loudly."""
        return cls(key_of(settings), settings.pseudonym_hash)

    def digest(self, message: bytes) -> bytes:
        """HMAC of any message under the pseudonym key (32 bytes)."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()  # type: ignore[no-any-return]

    def one(self, namespace: Namespace, text: str) -> str:
        """Pseudonym of one identifier; what already is one passes through."""
        if is_pseudonym(namespace, text):
            return text
        message = f"{namespace}:{normalised(namespace, text)}".encode()
        return f"{namespace}_{self.digest(message).hex()[:HEX]}"

    def conceal(self, event: Fact) -> Fact:
        """Copy of an event with every identifier (also within tuples) replaced."""
        changed: dict[str, Any] = {}
        for field, namespace in identifier_fields(type(event)).items():
            value = getattr(event, field)
            if isinstance(value, str):
                changed[field] = self.one(namespace, value)
            elif value:
                changed[field] = tuple(self.one(namespace, text) for text in value)
        return event.model_copy(update=changed)

    def column(self, namespace: Namespace, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Dictionary array of pseudonyms, nulls kept; each distinct text is hashed once."""
        encoded = _encoded(values)
        codes = encoded.indices
        used = np.unique(codes.drop_null().to_numpy(zero_copy_only=False))
        texts = encoded.dictionary.take(pa.array(used)).to_pylist()
        order: dict[str, int] = {}  # two spellings of one number share one pseudonym
        place = [order.setdefault(self.one(namespace, text), len(order)) for text in texts]
        renamed = np.zeros(len(encoded.dictionary) + 1, dtype=np.int32)
        renamed[used] = place
        fresh = renamed[codes.fill_null(len(encoded.dictionary)).to_numpy()]
        missing = codes.is_null().to_numpy(zero_copy_only=False)
        return pa.DictionaryArray.from_arrays(
            pa.array(fresh, mask=missing), pa.array(list(order), pa.string())
        )


def is_pseudonym(namespace: str, text: str) -> bool:
    """Whether a text already is a pseudonym of that namespace."""
    if len(text) != len(namespace) + 1 + HEX or not text.startswith(f"{namespace}_"):
        return False
    return DIGITS.issuperset(text[-HEX:])


def normalised(namespace: str, text: str) -> str:
    """One spelling for one thing: separators, full-width digits and country prefixes go.

    Examples
    --------
    >>> [normalised("tel", text) for text in ("0086 138 0013 8000", "+44 20 7946", "0044207946")]
    ['13800138000', '+44207946', '+44207946']
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.strip()
    if namespace == "tel":
        return _phone(text)
    if namespace == "dev":
        return text.lower()
    return text.upper() if namespace == "idn" else text


def _phone(text: str) -> str:
    digits = text.replace(" ", "").replace("-", "")
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if digits.startswith("+86"):
        return digits[3:]
    # operators' records also write 86 before an 11-digit mobile number, without the plus
    return digits[2:] if digits.startswith("861") and len(digits) == 13 else digits


@cache
def identifier_fields(contract: type[BaseModel]) -> Mapping[str, Namespace]:
    """Fields of a contract that hold identifiers, found by their `Identifier` mark.

    Examples
    --------
    >>> from data.events import Transfer
    >>> dict(identifier_fields(Transfer))
    {'subscriber': 'tel', 'counterpart': 'acc', 'account': 'acc', 'device': 'dev'}
    """
    return {
        name: mark.namespace
        for name, field in contract.model_fields.items()
        for mark in _marks((*field.metadata, field.annotation))
    }


def _marks(parts: tuple[Any, ...]) -> Iterator[Identifier]:
    for part in parts:
        if isinstance(part, Identifier):
            yield part
        else:
            yield from _marks((*getattr(part, "__metadata__", ()), *get_args(part)))


def key_of(settings: Settings) -> bytes:
    """The deployment's secret, or the development key kept under ``var/``."""
    if settings.pseudonym_key is not None:
        return settings.pseudonym_key
    path = settings.var / "development.key"
    key = _development_key(path)
    logger.warning(
        "FOREWARN_PSEUDONYM_KEY is not set: pseudonyms use the DEVELOPMENT key in %s. Anyone who "
        "reads that file can undo them. Set the variable before real data comes in.",
        path,
    )
    return key


def _development_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_hex(KEY_BYTES))
    try:
        os.link(draft, path)  # never overwrites: of two that start at once, one key wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return bytes.fromhex(path.read_text())


def _encoded(values: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    whole = values
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.unify_dictionaries().combine_chunks()
    return whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()


def _new(name: str, start: bytes) -> Any:
    try:
        return hashlib.new(name, start)
    except ValueError as error:
        raise ValueError(
            f"expected a Python whose OpenSSL offers {name}, found one without; "
            "set FOREWARN_PSEUDONYM_HASH=sha256 or use another build of Python"
        ) from error
