"""Who receives requests: banks, operators, the command platform; data of the deployment.

``FOREWARN_RECEIVERS`` names a JSON file:

    {"receivers": [{"name": "icbc", "zh": "工商银行", "en": "ICBC", "url": "https://…",
                    "kinds": ["stop_payment", "freeze"], "secret_file": "icbc.secret",
                    "answered_by": ["key:abcdefgh"]}],
     "valid_h": {"freeze": 168}, "appeal_days": 3}

A secret is kept in a file (beside this one, or an absolute path) or in an environment variable,
never in the database; two lines are two secrets, both signed with while one replaces the other.

A receiver is told pseudonyms only. It resolves one because it knows its own customers: it keys
each of its numbers with the pseudonym key, which the centre shares with it under seal, as
`data.pseudonyms` says (``HMAC(key, "acc:<number>")``, first 128 bits), and looks the pseudonym up.
Whoever has that key can test guesses, so it goes to receivers bound by law to keep it, and
nowhere else. What a receiver cannot find is nobody it knows, and it answers "refused".
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.settings import Settings
from serving.requests.measures import MEASURES, Kind
from serving.requests.webhooks import Secret, SecretError

__all__ = ["Office", "OfficeError", "Receiver"]

APPEAL_DAYS = 3.0  # ours: Art. 32 says without delay (及时) and gives no number
SIGN_WITHIN_H = 24.0  # ours: what nobody signed in a day is asked anew
_FREEZE_MOST_H = 183 * 24.0  # six months: 最高法、最高检、公安部, September 2013, Art. 26
_STOP_MOST_H = 48.0  # 银发〔2016〕86号


class OfficeError(ValueError):
    """The file of receivers cannot be used."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    zh: str = ""
    en: str = ""
    url: str
    kinds: frozenset[Kind] = Field(min_length=1)
    secret_file: str | None = None
    secret_env: str | None = None
    answered_by: frozenset[str] = frozenset()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    receivers: tuple[_Line, ...] = ()
    valid_h: dict[Kind, float] = Field(default_factory=dict)
    sign_within_h: float = Field(SIGN_WITHIN_H, gt=0)
    appeal_days: float = Field(APPEAL_DAYS, gt=0)


@dataclass(frozen=True)
class Receiver:
    """Who is asked.

    Parameters
    ----------
    name : str
        Its code.
    url : str
        Where messages are posted: https, or http on this machine itself.
    kinds : frozenset of Kind
        What it may be asked for.
    secrets : tuple of Secret
        Messages to it are signed with each.
    zh, en : str
        What people call it; its code by default.
    answered_by : frozenset of str
        Names of the actors (``key:`` and the id of an API key) that answer for it.
    """

    name: str
    url: str
    kinds: frozenset[Kind]
    secrets: tuple[Secret, ...] = field(repr=False)
    zh: str = ""
    en: str = ""
    answered_by: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not _is_safe(self.url):
            raise OfficeError(
                f"receiver {self.name}: expected a url that starts with https:// and names a host "
                "and no password, found another; fix: correct it (http is for this machine only)"
            )
        if not self.secrets:
            raise OfficeError(f"receiver {self.name}: expected a secret, found none; fix: add one")


@dataclass(frozen=True)
class Office:
    """Whom this deployment may ask, and how long what it asks for holds.

    Parameters
    ----------
    receivers : mapping of name to Receiver
    valid_h : mapping of Kind to float
        Hours from the signature; kinds without one have `Measure.valid_h`.
    sign_within_h : float
        Hours after which a draft nobody signed is over.
    appeal_days : float
        Days within which an appeal is to be decided.

    Examples
    --------
    >>> Office().hours(Kind.STOP_PAYMENT)
    48.0
    """

    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    valid_h: Mapping[Kind, float] = field(default_factory=dict)
    sign_within_h: float = SIGN_WITHIN_H
    appeal_days: float = APPEAL_DAYS

    def __post_init__(self) -> None:
        most = {Kind.STOP_PAYMENT: _STOP_MOST_H, Kind.FREEZE: _FREEZE_MOST_H}
        for kind, hours in self.valid_h.items():
            if not 0 < hours <= most.get(kind, float("inf")):
                raise OfficeError(
                    f"valid_h of {kind}: expected hours above 0 and at most "
                    f"{most.get(kind, 'any')}, found {hours}; fix: correct it"
                )

    def hours(self, kind: Kind) -> float:
        """Hours that a request of this kind holds from its signature."""
        return self.valid_h.get(kind, MEASURES[kind].valid_h)

    def receivers_of(self, kind: Kind) -> tuple[Receiver, ...]:
        """Who may be asked for it, by name."""
        found = (one for one in self.receivers.values() if kind in one.kinds)
        return tuple(sorted(found, key=lambda one: one.name))

    @classmethod
    def from_settings(cls, settings: Settings, environ: Mapping[str, str] = os.environ) -> "Office":
        """As ``FOREWARN_RECEIVERS`` has it; without it nobody can be asked.

        Raises
        ------
        OfficeError
            If the file or a secret cannot be used; no secret is told.
        """
        return cls() if settings.receivers is None else cls.load(settings.receivers, environ)

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] = os.environ) -> "Office":
        """Read such a file (see `from_settings`)."""
        try:
            told = _File.model_validate_json(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise OfficeError(
                f"expected a JSON file of receivers at FOREWARN_RECEIVERS, found "
                f"{type(error).__name__}; fix: correct the path, or unset it"
            ) from error
        except ValidationError as error:
            raise OfficeError(_told(path, error)) from None
        names = [line.name for line in told.receivers]
        if len(names) != len(set(names)):
            raise OfficeError("expected each receiver once, found one twice; fix: rename it")
        found = (_receiver(line, path.parent, environ) for line in told.receivers)
        return cls(
            {one.name: one for one in found},
            told.valid_h,
            told.sign_within_h,
            told.appeal_days,
        )


def _receiver(line: _Line, folder: Path, environ: Mapping[str, str]) -> Receiver:
    try:
        secrets = tuple(map(Secret.of, _secrets(line, folder, environ).split()))
    except (OSError, UnicodeDecodeError, SecretError) as error:
        why = str(error) if isinstance(error, SecretError) else type(error).__name__
        raise OfficeError(f"secret of receiver {line.name}: {why}") from None
    return Receiver(
        line.name,
        line.url,
        line.kinds,
        secrets,
        line.zh or line.name,
        line.en or line.name,
        line.answered_by,
    )


def _secrets(line: _Line, folder: Path, environ: Mapping[str, str]) -> str:
    if (line.secret_file is None) == (line.secret_env is None):
        raise SecretError("expected either secret_file or secret_env, found both or none; fix: one")
    if line.secret_file is not None:
        return (folder / line.secret_file).read_text("utf-8")
    return environ.get(line.secret_env or "", "")


def _is_safe(url: str) -> bool:
    """Whether nobody on the way can read along.

    Examples
    --------
    >>> [_is_safe(url) for url in ("https://bank.cn/in", "http://127.0.0.1:9/", "http://bank.cn/",
    ...                            "https://me:word@bank.cn/", "ftp://bank.cn/", "https:///in")]
    [True, True, False, False, False, False]
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username or parts.password:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _told(path: Path, error: ValidationError) -> str:
    found: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"])) or "the file"
    return f"{path.name}: {where}: expected {found['msg']}; fix: correct it"
