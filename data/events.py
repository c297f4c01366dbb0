"""Contracts of everything that can happen: frozen, typed, versioned, parsed once at the border.

Every fact carries two times, ``occurred_at`` (when it happened) and ``known_at`` (when we learnt
it). Amounts are integer fen (CNY/100), durations whole seconds. Fields that hold a phone, account,
device or identity number say so in their type, which is how the pseudonymiser finds them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

__all__ = [
    "CONTRACT_VERSION",
    "EVENT_TYPES",
    "AppActivity",
    "Call",
    "Event",
    "FraudReport",
    "Identifier",
    "Lead",
    "ScamType",
    "Sms",
    "Transfer",
    "json_schema",
]

CONTRACT_VERSION = 1
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MAX_AMOUNT_FEN = 10**11  # CNY 1 bn; 90,000 of these still add up exactly in a double
MAX_DURATION_S = 7 * 86_400


class ScamType(StrEnum):
    """The ten types of the Ministry of Public Security (2023), 88 % of cases, and the rest."""

    REBATE = "rebate"  # 刷单返利
    INVESTMENT = "investment"  # 虚假网络投资理财
    SHOPPING = "shopping"  # 虚假购物服务
    LOGISTICS = "logistics"  # 冒充电商物流客服
    LOAN = "loan"  # 虚假贷款
    CREDIT = "credit"  # 虚假征信
    ACQUAINTANCE = "acquaintance"  # 冒充领导熟人
    AUTHORITY = "authority"  # 冒充公检法及政府机关
    ROMANCE = "romance"  # 网络婚恋交友
    GAME = "game"  # 网络游戏产品虚假交易
    OTHER = "other"


@dataclass(frozen=True)
class Identifier:
    """Marks a field whose text must become a pseudonym; ``namespace`` keeps kinds apart."""

    namespace: Literal["tel", "acc", "dev", "idn"]


def _utc(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"a time from {EARLIEST:%Y} to {LATEST:%Y}")
    return moment.astimezone(UTC)


def _stated(value: Any) -> Any:
    """A bare number could be seconds or milliseconds: it is no time."""
    if isinstance(value, datetime) or (isinstance(value, str) and "-" in value[4:]):
        return value
    raise ValueError("a time with its offset, such as 2026-03-01T10:00:00+08:00")


Time = Annotated[AwareDatetime, AfterValidator(_utc), BeforeValidator(_stated)]
Flag = Annotated[bool, Strict()]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:@/-]+$")]
Phone = Annotated[
    str, StringConstraints(pattern=r"^(\+?[0-9][0-9 -]{2,30}|tel_[0-9a-f]{32})$"), Identifier("tel")
]
Account = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z][\w@.-]{0,63}$"), Identifier("acc")
]
Device = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][\w.:-]{0,63}$"), Identifier("dev")]
IdNumber = Annotated[
    str, StringConstraints(pattern=r"^([0-9A-Z]{6,24}|idn_[0-9a-f]{32})$"), Identifier("idn")
]
System = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=64, pattern=r"^([\w.:@/-]*[^\W\d][\w.:@/-]*|[0-9]{1,6})$"
    ),
]
"""A system's name has a letter, or is short: a longer number could be somebody's."""
AppId = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=128,
        pattern=r"^([\w.-]*([^\W\d]|[.])[\w.-]*|[0-9]{1,6})$",
        to_lower=True,
    ),
]
Amount = Annotated[
    int, Field(strict=True, gt=0, le=MAX_AMOUNT_FEN, description="integer fen (CNY/100)")
]
Duration = Annotated[int, Field(strict=True, ge=0, le=MAX_DURATION_S, description="whole seconds")]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: str
    version: Literal[1] = 1
    event_id: Name
    occurred_at: Time = Field(description="when it happened (any offset; kept in UTC)")
    known_at: Time | None = Field(
        None, description="when we learnt it; stamped at intake if absent"
    )
    source: System = Field("api", description="system that sent it")
    subscriber: Phone = Field(description="line of the protected person")

    scored: ClassVar[bool] = True


class Call(_Fact):
    """A call between the subscriber and a counterpart, as the operator bills it."""

    kind: Literal["call"] = "call"
    counterpart: Phone
    direction: Literal["incoming", "outgoing"] = Field(description="seen from the subscriber")
    duration_s: Duration = Field(description="whole seconds; 0 when nobody answered")
    roaming: Flag = Field(False, description="the counterpart was roaming")
    foreign: Flag = Field(False, description="the counterpart's number is foreign or virtual")
    counterpart_age_days: Annotated[int, Field(strict=True, ge=0, le=36_500)] | None = Field(
        None, description="days in service"
    )


class Sms(_Fact):
    """A short message; its text never reaches us, only what it carried."""

    kind: Literal["sms"] = "sms"
    counterpart: Phone
    direction: Literal["incoming", "outgoing"]
    foreign: Flag = False
    has_link: Flag = False
    has_code: Flag = Field(False, description="carried a verification code")


class AppActivity(_Fact):
    """An app installed, a site visited, remote control or screen sharing started."""

    kind: Literal["app"] = "app"
    counterpart: AppId = Field(description="package id or domain")
    action: Literal["install", "visit", "remote_control", "screen_share"]
    device: Device | None = None
    duration_s: Duration = 0
    listed: Flag = Field(False, description="on a list of known fraud sites or apps")


class Transfer(_Fact):
    """Money leaving the subscriber's account for a payee."""

    kind: Literal["transfer"] = "transfer"
    counterpart: Account = Field(description="payee's account")
    account: Account = Field(description="payer's account")
    amount_fen: Amount
    channel: Literal["mobile", "web", "counter", "atm", "card", "wallet"] = "mobile"
    device: Device | None = None
    limit_raised: Flag = Field(False, description="the payer's limit was raised within the hour")


class FraudReport(_Fact):
    """A label: the subscriber was defrauded. ``occurred_at`` is the last loss (or contact)."""

    kind: Literal["report"] = "report"
    scam_type: ScamType
    loss_fen: int = Field(strict=True, ge=0, le=MAX_AMOUNT_FEN, description="integer fen (CNY/100)")
    first_contact_at: Time
    reported_at: Time
    phones: tuple[Phone, ...] = Field((), max_length=64, description="fraudsters' numbers named")
    accounts: tuple[Account, ...] = Field((), max_length=64, description="payees named")
    apps: tuple[AppId, ...] = Field((), max_length=64, description="apps and sites named")
    citizen_id: IdNumber | None = None

    scored: ClassVar[bool] = False

    @model_validator(mode="after")
    def _ordered(self) -> "FraudReport":
        if not self.first_contact_at <= self.occurred_at <= self.reported_at:
            raise ValueError("first_contact_at <= occurred_at <= reported_at")
        return self


class Lead(_Fact):
    """A warning about the subscriber from another platform (ministry, operator, bank)."""

    kind: Literal["lead"] = "lead"
    counterpart: Phone | None = Field(None, description="suspect number, where the lead names one")
    scam_type: ScamType = ScamType.OTHER
    grade: Literal["urgent", "high", "medium", "low"]


EVENT_TYPES: Mapping[str, type[_Fact]] = {
    "call": Call,
    "sms": Sms,
    "app": AppActivity,
    "transfer": Transfer,
    "report": FraudReport,
    "lead": Lead,
}
Event = Annotated[
    Call | Sms | AppActivity | Transfer | FraudReport | Lead, Field(discriminator="kind")
]
"""Any fact; ``kind`` says which."""


def json_schema() -> dict[str, Any]:
    """Publish the contracts as one JSON Schema (2020-12).

    Examples
    --------
    >>> sorted(json_schema()["$defs"])[:3]
    ['AppActivity', 'Call', 'FraudReport']
    """
    schema = TypeAdapter(Event).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
