"""What a deployment may set: read once from the environment, frozen, every name documented."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["SETTINGS", "Setting", "Settings", "SettingsError"]

KEY_BYTES = 32  # HMAC keys as long as the digest: RFC 2104, section 3


class SettingsError(ValueError):
    """A setting cannot be used; the message names it, says what was expected and the fix."""


@dataclass(frozen=True)
class Setting:
    """One environment variable: its name, its default as shown to people, what it does."""

    name: str
    default: str
    sentence: str


SETTINGS = (
    Setting("FOREWARN_VAR", "./var", "folder for everything the product writes"),
    Setting(
        "FOREWARN_DATABASE_URL",
        "an embedded PostgreSQL under FOREWARN_VAR",
        "PostgreSQL for decisions, cases, events and quarantine (`postgresql://…`)",
    ),
    Setting(
        "FOREWARN_VALKEY_URL",
        "an embedded Valkey under FOREWARN_VAR",
        "Valkey for live feature state (`valkey://…`, `unix://…`)",
    ),
    Setting(
        "FOREWARN_PSEUDONYM_KEY",
        "a development key generated under FOREWARN_VAR, with a loud warning",
        "secret that keys all pseudonyms and seals quarantined records and the numbers of citizens "
        "who were warned: 64 or more hex digits",
    ),
    Setting("FOREWARN_PSEUDONYM_HASH", "sha256", "hash of the pseudonyms: `sha256` or `sm3`"),
    Setting("FOREWARN_ZONE", "Asia/Shanghai", "the city's time zone, for nights and screens"),
    Setting(
        "FOREWARN_PUBLIC_URL",
        "http on loopback",
        "address at which browsers reach the service (`https://…`): with https the session's "
        "cookie is sent over nothing else",
    ),
    Setting(
        "FOREWARN_NOTICE",
        "nothing",
        "words at the top of every page of the console, such as a training room's",
    ),
    Setting("FOREWARN_BUNDLE", "the published one under FOREWARN_VAR", "model bundle to serve"),
    Setting(
        "FOREWARN_MLFLOW_URL",
        "a SQLite file under FOREWARN_VAR",
        "MLflow tracking server for training runs",
    ),
    Setting(
        "FOREWARN_DISTRICTS",
        "none: plans have no exposure report",
        "GeoJSON file of the city's districts (properties `name` and, if known, `residents`): "
        "patrol plans then tell each district's share of patrol time and of expected incidents",
    ),
    Setting(
        "FOREWARN_RECEIVERS",
        "none: nobody can be asked for a measure",
        "JSON file of the banks, operators and platforms that requests go to: names, addresses, "
        "kinds of request, where their secrets lie",
    ),
)


@dataclass(frozen=True)
class Settings:
    """A deployment's settings, checked.

    Examples
    --------
    >>> Settings.from_environment({"FOREWARN_ZONE": "Asia/Chongqing"}).zone
    'Asia/Chongqing'
    >>> Settings.from_environment({"FOREWARN_PSEUDONYM_HASH": "md5"})
    Traceback (most recent call last):
    ...
    data.settings.SettingsError: FOREWARN_PSEUDONYM_HASH: expected sha256 or sm3, found 'md5'; ...
    """

    var: Path = Path("var")
    database_url: str | None = None
    valkey_url: str | None = None
    pseudonym_key: bytes | None = field(default=None, repr=False)
    pseudonym_hash: Literal["sha256", "sm3"] = "sha256"
    zone: str = "Asia/Shanghai"
    bundle: Path | None = None
    tracking_url: str | None = None
    districts: Path | None = None
    public_url: str | None = None
    notice: str = ""
    receivers: Path | None = None

    @property
    def https(self) -> bool:
        """Whether browsers reach us by https."""
        return (self.public_url or "").startswith("https://")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings once; unset or empty means default.

        Raises
        ------
        SettingsError
            If a value cannot be used.
        """
        given = {name: value.strip() for name, value in environ.items() if value.strip()}
        return cls(
            var=Path(given.get("FOREWARN_VAR", "var")),
            database_url=_url(given, "FOREWARN_DATABASE_URL", ("postgresql", "postgres")),
            valkey_url=_url(given, "FOREWARN_VALKEY_URL", ("valkey", "valkeys", "redis", "unix")),
            pseudonym_key=_key(given.get("FOREWARN_PSEUDONYM_KEY")),
            pseudonym_hash=_hash(given.get("FOREWARN_PSEUDONYM_HASH", "sha256")),
            zone=_zone(given.get("FOREWARN_ZONE", "Asia/Shanghai")),
            bundle=_path(given, "FOREWARN_BUNDLE"),
            tracking_url=given.get("FOREWARN_MLFLOW_URL"),
            districts=_path(given, "FOREWARN_DISTRICTS"),
            notice=given.get("FOREWARN_NOTICE", ""),
            public_url=_url(given, "FOREWARN_PUBLIC_URL", ("https", "http")),
            receivers=_path(given, "FOREWARN_RECEIVERS"),
        )


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return Path(given[name]) if name in given else None


def _url(given: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str | None:
    url = given.get(name)
    if url is None:
        return None
    scheme = url.partition("://")[0]
    if "://" not in url or scheme.partition("+")[0] not in schemes:
        raise SettingsError(
            f"{name}: expected a URL that starts with {schemes[0]}://, found one that starts with "
            f"{scheme[:12]!r}; correct it, or unset it to start the embedded store"
        )
    return url


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise SettingsError(
            f"FOREWARN_PSEUDONYM_KEY: expected {2 * KEY_BYTES} or more hexadecimal digits, found "
            f"{len(text)} characters that are not; make one with "
            '`python -c "import secrets; print(secrets.token_hex(32))"`'
        )
    return key


def _hash(text: str) -> Literal["sha256", "sm3"]:
    if text == "sha256":
        return "sha256"
    if text == "sm3":
        return "sm3"
    raise SettingsError(
        f"FOREWARN_PSEUDONYM_HASH: expected sha256 or sm3, found {text!r}; correct it or unset it"
    )


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"FOREWARN_ZONE: expected an IANA time zone, found {text!r}; "
            "write for example Asia/Shanghai"
        ) from error
