"""Streams: which events a feature counts, each named once with its phrase and lawful source.

A stream is a conjunction of predicates over the event itself and, for some, one *circumstance*
that only the state knows at that moment (the pair is new, the device is new to the subscriber, the
amount is unusual for the subscriber).
"""

from dataclasses import dataclass
from typing import Final

from features.predicates import AtLeast, AtMost, Flag, Is, Night, NotBelow, Predicate

__all__ = ["CIRCUMSTANCES", "KINDS", "LINKED", "STREAMS", "Stream"]

KINDS: Final = ("call", "sms", "app", "transfer", "report", "lead")
CIRCUMSTANCES: Final = ("", "new", "new_device", "unusual", "shared")
"""What only the state knows: nothing asked; the pair unseen for 30 d; the device new to the
subscriber; the amount at least three times the subscriber's own mean; the payee was paid before by
another subscriber whom the same recent counterpart had reached."""

LONG_CALL_S = 600
TALK_S = 30
YOUNG_NUMBER_DAYS = 90
FACTS = ("call", "sms", "app", "transfer", "lead")

OPERATOR = (
    "telecom operator's call and message records, Anti-Telecom and Online Fraud Law Art. 34"
    " (warning and dissuasion)"
)
PLATFORM = (
    "fraud-app and fraud-site hits of the operator's anti-fraud system, Anti-Telecom and Online"
    " Fraud Law Art. 34 (warning and dissuasion)"
)
BANK = (
    "payer's bank or payment institution, monitoring of abnormal accounts and transactions,"
    " Anti-Telecom and Online Fraud Law Art. 18"
)
POLICE = (
    "reports taken by the police, Anti-Telecom and Online Fraud Law Art. 20 (query, stop-payment,"
    " freeze)"
)
LEADS = (
    "leads of the ministry, operators and banks to the warning system, Anti-Telecom and Online"
    " Fraud Law Art. 34"
)
JOINED = "joined telecom and payment records, Anti-Telecom and Online Fraud Law Art. 18 and 34"


@dataclass(frozen=True)
class Stream:
    """A named set of events.

    Parameters
    ----------
    name : str
        Part of the names of the features over it.
    kinds : tuple of str
        Kinds of event that can belong to it.
    where : tuple of Predicate
        All must hold.
    zh, en : str
        Noun phrase for officers.
    source : str
        What lawfully provides it.
    circumstance : str
        One of `CIRCUMSTANCES`.
    """

    name: str
    kinds: tuple[str, ...]
    where: tuple[Predicate, ...]
    zh: str
    en: str
    source: str
    circumstance: str = ""

    def __post_init__(self) -> None:
        if self.circumstance not in CIRCUMSTANCES:
            raise ValueError(
                f"circumstance: expected one of {CIRCUMSTANCES}, found {self.circumstance!r};"
                " choose one or teach the engines a new one"
            )


INCOMING, OUTGOING = Is("direction", ("incoming",)), Is("direction", ("outgoing",))
LONG = AtLeast("duration_s", LONG_CALL_S)
RISKY_ACTION = Is("action", ("install", "remote_control", "screen_share"))

LINKED: Final = ("followed", "followed_shared")
"""Streams that no event carries by itself: a transfer gives them to the counterparts that had
reached its subscriber within 24 h (see `features.links`)."""

_ALL = (
    Stream("any", FACTS, (), "各类活动", "activities of any kind", JOINED),
    Stream("night", FACTS, (Night(),), "夜间活动", "activities at night", JOINED),
    Stream("stranger", FACTS, (), "与陌生对象的往来", "first contacts", JOINED, "new"),
    Stream("inward", ("call", "sms"), (INCOMING,), "主动联系", "calls and messages in", OPERATOR),
    Stream(
        "outward", ("call", "sms"), (OUTGOING,), "回拨或回复", "calls and messages out", OPERATOR
    ),
    Stream("call_in", ("call",), (INCOMING,), "来电", "incoming calls", OPERATOR),
    Stream("call_out", ("call",), (OUTGOING,), "去电", "outgoing calls", OPERATOR),
    Stream(
        "talk",
        ("call",),
        (AtLeast("duration_s", TALK_S),),
        "接通的通话",
        "answered calls",
        OPERATOR,
    ),
    Stream(
        "call_unanswered",
        ("call",),
        (AtMost("duration_s", 0),),
        "未接通电话",
        "unanswered calls",
        OPERATOR,
    ),
    Stream("call_long", ("call",), (LONG,), "10分钟以上通话", "calls of 10+ minutes", OPERATOR),
    Stream(
        "call_in_new",
        ("call",),
        (INCOMING,),
        "陌生来电",
        "incoming calls from new numbers",
        OPERATOR,
        "new",
    ),
    Stream(
        "call_long_new",
        ("call",),
        (LONG,),
        "10分钟以上陌生通话",
        "calls of 10+ minutes with new numbers",
        OPERATOR,
        "new",
    ),
    Stream(
        "call_foreign",
        ("call",),
        (Flag("foreign"),),
        "境外或虚拟号码通话",
        "calls with foreign or virtual numbers",
        OPERATOR,
    ),
    Stream(
        "call_young",
        ("call",),
        (AtMost("counterpart_age_days", YOUNG_NUMBER_DAYS),),
        "与入网不足90天号码的通话",
        "calls with numbers under 90 days in service",
        OPERATOR,
    ),
    Stream("call_night", ("call",), (Night(),), "夜间通话", "calls at night", OPERATOR),
    Stream(
        "sms_link",
        ("sms",),
        (INCOMING, Flag("has_link")),
        "含链接短信",
        "messages with a link",
        OPERATOR,
    ),
    Stream(
        "sms_code",
        ("sms",),
        (INCOMING, Flag("has_code")),
        "验证码短信",
        "messages with a verification code",
        OPERATOR,
    ),
    Stream(
        "install", ("app",), (Is("action", ("install",)),), "安装应用", "app installs", PLATFORM
    ),
    Stream(
        "control",
        ("app",),
        (Is("action", ("remote_control", "screen_share")),),
        "远程控制或屏幕共享",
        "remote control or screen sharing sessions",
        PLATFORM,
    ),
    Stream(
        "risky_app",
        ("app",),
        (RISKY_ACTION,),
        "安装应用、远程控制或屏幕共享",
        "installs, remote control or screen sharing",
        PLATFORM,
    ),
    Stream(
        "listed",
        ("app",),
        (Flag("listed"),),
        "访问涉诈网站或应用",
        "hits on listed fraud sites or apps",
        PLATFORM,
    ),
    Stream("transfer", ("transfer",), (), "转账", "transfers", BANK),
    Stream(
        "transfer_new", ("transfer",), (), "向新收款人转账", "transfers to new payees", BANK, "new"
    ),
    Stream("transfer_night", ("transfer",), (Night(),), "夜间转账", "transfers at night", BANK),
    Stream(
        "transfer_raised",
        ("transfer",),
        (Flag("limit_raised"),),
        "提高限额后的转账",
        "transfers just after a raised limit",
        BANK,
    ),
    Stream(
        "transfer_unusual",
        ("transfer",),
        (),
        "金额异常转账",
        "transfers of 3+ times the payer's own mean",
        BANK,
        "unusual",
    ),
    Stream(
        "transfer_new_device",
        ("transfer",),
        (),
        "新设备转账",
        "transfers from a device new to the payer",
        BANK,
        "new_device",
    ),
    Stream(
        "transfer_shared",
        ("transfer",),
        (),
        "与同一来电者联系过的他人也付过款的转账",
        "transfers to a payee shared with others whom the same counterpart reached",
        JOINED,
        "shared",
    ),
    Stream("lead", ("lead",), (), "平台预警线索", "leads from other platforms", LEADS),
    Stream(
        "lead_high",
        ("lead",),
        (Is("grade", ("urgent", "high")),),
        "紧急或高级别线索",
        "urgent or high-grade leads",
        LEADS,
    ),
    Stream("report", ("report",), (), "被举报", "fraud reports", POLICE),
    Stream(
        "reach",
        ("call", "sms"),
        (NotBelow("duration_s", TALK_S),),
        "接通电话或短信",
        "answered calls and messages",
        OPERATOR,
    ),
    Stream(
        "followed",
        (),
        (),
        "接触后24小时内向新收款人付款的人",
        "people who paid a new payee within 24 h of its contact",
        JOINED,
    ),
    Stream(
        "followed_shared",
        (),
        (),
        "接触后24小时内向共同收款人付款的人",
        "people who paid a shared payee within 24 h of its contact",
        JOINED,
    ),
)

STREAMS: Final = {stream.name: stream for stream in _ALL}
"""Every stream by name."""
