"""Passwords: which may be chosen, how they are kept, how one is checked.

Length is what counts; no digit, capital or sign is asked for, and no password ages. What anybody
would guess first is refused.

References
----------
NIST SP 800-63B-4 (2025), section 3.1.1 (passwords). RFC 9106, Argon2.
"""

import re
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from serving.problems import Problem

__all__ = ["LONGEST", "SHORTEST", "Passwords", "check", "temporary", "weak"]

SHORTEST = 15  # code points, where a password is the only factor: SP 800-63B-4, 3.1.1.2
LONGEST = 256  # 64 at least must be taken; a bound keeps a sign-in cheap
_OWN = 8  # code points that must be left without the account's name and ours
_PIECES = re.compile(r"(.{1,8}?)\1+")

# what stands in leaked lists at this length is rows of keys and a few words over and over
_ROWS = (
    "0123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_WORDS = (
    *("password", "passwort", "passw0rd", "p@ssw0rd", "admin", "administrator", "welcome"),
    *("letmein", "iloveyou", "monkey", "dragon", "football", "baseball", "sunshine", "princess"),
    *("woaini", "wojiushiwo", "mima", "zhongguo", "china", "police", "jingcha", "gongan"),
    *("fanzha", "forewarn", "officer", "qwerty", "login", "secret", "changeme", "default", "test"),
)


class Passwords:
    """Hashes passwords and checks them.

    Parameters
    ----------
    hasher : PasswordHasher, optional
        By default RFC 9106's second recommended set: Argon2id, 3 passes over 64 MiB, 4 lanes.

    Examples
    --------
    >>> from argon2.profiles import CHEAPEST
    >>> passwords = Passwords(PasswordHasher.from_parameters(CHEAPEST))
    >>> kept = passwords.hash("four random words do")
    >>> passwords.match(kept, "four random words do"), passwords.match(None, "anything")
    (True, False)
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._decoy = self._hasher.hash(secrets.token_hex(32))

    def hash(self, password: str) -> str:
        """Text to keep: salt, parameters and hash."""
        return self._hasher.hash(_bytes(password))

    def match(self, kept: str | None, password: str) -> bool:
        """Whether it is the password; where none is kept, False after the same work."""
        try:
            agrees = self._hasher.verify(kept or self._decoy, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return agrees and kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether it was hashed under other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)


def check(password: str, name: str) -> None:
    """Let a new password pass, or say why not.

    Parameters
    ----------
    password : str
    name : str
        Of the account: nobody's password is made of his name.

    Raises
    ------
    Problem
        ``weak-password``.

    Examples
    --------
    >>> check("correct horse battery staple", "li.wei")
    >>> check("passwordpassword", "li.wei")
    Traceback (most recent call last):
    ...
    serving.problems.Problem: weak-password
    """
    text = _normalised(password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise weak(
            f"expected {SHORTEST} to {LONGEST} characters, found {len(text)}",
            f"新密码应为{SHORTEST}至{LONGEST}个字符，现为{len(text)}个。",
            f"The new password has {len(text)} characters: take {SHORTEST} to {LONGEST}.",
        )
    core = text.casefold().replace(name.casefold(), "").replace("forewarn", "")
    if len(core) < _OWN:
        raise weak(
            "expected more than the account's name, found little else",
            "新密码几乎只有用户名，请另选。",
            "The new password is little more than your name: take another.",
        )
    if _is_expected(core):
        raise weak(
            "expected what nobody guesses, found keys in a row or a few words repeated",
            "新密码容易被猜到（重复、连续按键或常用词），请用四个不相关的词。",
            "The new password is easily guessed (repeated, keys in a row, common words): "
            "take four unrelated words.",
        )


def temporary() -> str:
    """A password to be handed out and changed at the first sign-in: 100 random bits.

    Examples
    --------
    >>> len(temporary())
    23
    """
    letters = "abcdefghjkmnpqrstuvwxyz23456789"  # none that are read for another
    groups = ("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def _normalised(password: str) -> str:
    # one text however it was typed: SP 800-63B asks for a stabilised form before hashing
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    # half a surrogate pair is no text, but no error of ours either
    return _normalised(password).encode("utf-8", "surrogatepass")


def weak(detail: str, zh: str, en: str) -> Problem:
    """A password that cannot be taken, and why, in words for its owner."""
    return Problem("weak-password", detail, {"zh": zh, "en": en})


def _is_expected(text: str) -> bool:
    """Whether little is left once repetitions, rows of keys and common words are taken out."""
    plain = re.sub(r"[^\w@]", "", text)
    once = _PIECES.sub(r"\1", plain)
    for word in sorted(_WORDS, key=len, reverse=True):
        once = once.replace(word, "")
    return len(_without_rows(once)) < _OWN


def _without_rows(text: str) -> str:
    """A text without stretches of four and more that lie in a row of keys, either way."""
    rows = [way for row in _ROWS for way in (row * 2, row[::-1] * 2)]
    left, place = "", 0
    while place < len(text):
        longest = max(_shared(text[place:], row) for row in rows)
        left += "" if longest >= 4 else text[place]
        place += longest if longest >= 4 else 1
    return left


def _shared(text: str, row: str) -> int:
    """How many characters at the beginning of a text stand in the row in this order."""
    length = 0
    while length < len(text) and text[: length + 1] in row:
        length += 1
    return length
