"""What may be asked of whom, on which ground of law, about what, and for how long.

Every measure is a request that a person signs; none is taken by a score.

References
----------
反电信网络诈骗法 (Anti-Telecom and Online Fraud Law, 2022), Art. 20: query, stop-payment, freeze,
unfreeze and return of funds; Art. 34: warning and dissuasion, measures for potential victims.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from serving.cases.case import Case
from serving.words import SCAM_TYPES, STAGES

__all__ = ["MEASURES", "Kind", "Measure", "draft_words", "undo_words"]


class Kind(StrEnum):
    """What is asked for."""

    STOP_PAYMENT = "stop_payment"
    FREEZE = "freeze"
    NUMBER_SHUT_DOWN = "number_shut_down"
    RETURN_OF_FUNDS = "return_of_funds"
    DISPATCH = "dispatch"


@dataclass(frozen=True)
class Measure:
    """A kind of request.

    Parameters
    ----------
    zh, en : str
        What it is called.
    asks_zh, asks_en : str
        What the receiver is asked to do with ``{subject}``.
    article : int
        Of the Anti-Telecom and Online Fraud Law.
    about : frozenset of str
        Namespaces of pseudonyms it may be about.
    valid_h : float
        Hours until it is over, unless configured otherwise.
    restricts : bool
        Whether somebody can do less because of it (Art. 32 then lets him appeal).
    """

    zh: str
    en: str
    asks_zh: str
    asks_en: str
    article: int
    about: frozenset[str]
    valid_h: float
    restricts: bool = True

    @property
    def ground(self) -> tuple[str, str]:
        """The ground of law (zh, en).

        Examples
        --------
        >>> MEASURES[Kind.FREEZE].ground[1]
        'Anti-Telecom and Online Fraud Law, Art. 20'
        """
        number = {20: "二十", 34: "三十四"}[self.article]
        return (
            f"《中华人民共和国反电信网络诈骗法》第{number}条",
            f"Anti-Telecom and Online Fraud Law, Art. {self.article}",
        )


_ACCOUNT, _NUMBER = frozenset({"acc"}), frozenset({"tel"})

MEASURES: Mapping[Kind, Measure] = {
    Kind.STOP_PAYMENT: Measure(
        "紧急止付",
        "stop-payment",
        "请对账户{subject}紧急止付",
        "stop payments from account {subject}",
        20,
        _ACCOUNT,
        48.0,  # 银发〔2016〕86号: a stop-payment lasts 48 hours
    ),
    Kind.FREEZE: Measure(
        "快速冻结",
        "freeze",
        "请冻结账户{subject}",
        "freeze account {subject}",
        20,
        _ACCOUNT,
        # ours; the most allowed is six months (最高法、最高检、公安部, September 2013, Art. 26)
        30 * 24.0,
    ),
    Kind.NUMBER_SHUT_DOWN: Measure(
        "号码关停",
        "number shut-down",
        "请关停号码{subject}",
        "shut down number {subject}",
        34,
        _NUMBER,
        30 * 24.0,  # ours
    ),
    Kind.RETURN_OF_FUNDS: Measure(
        "资金返还",
        "return of funds",
        "请将账户{subject}内的涉诈资金返还被害人",
        "return the defrauded money in account {subject} to the victim",
        20,
        _ACCOUNT,
        90 * 24.0,  # ours
        restricts=False,
    ),
    Kind.DISPATCH: Measure(
        "派警处置",
        "dispatch",
        "请派警上门见面劝阻，对象{subject}",
        "send officers to the citizen {subject}, to warn in person",
        34,
        _NUMBER,
        24.0,  # in person within 24 hours (Xiamen; DOMAIN.md 1)
        restricts=False,
    ),
}


def draft_words(
    kind: Kind, case: Case, subject: str, amount_cny: float | None, valid_h: float
) -> tuple[str, str]:
    """The text of a request (zh, en), from what the case knows.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> case = Case("c", "tel_0", "open", at, at, "red", 0, 0.5, "paying", at, "loan", 1e4, at,
    ...             None, "city", "city", at)
    >>> print(draft_words(Kind.STOP_PAYMENT, case, "acc_0", 5000.0, 48.0)[1])
    Please stop payments from account acc_0, CNY 5,000.00, for 48 h at most from the signature.
    Reason: suspected fake loan; the citizen's stage: paying. Ground: Anti-Telecom and Online Fraud
    Law, Art. 20. Tell the restricted person why, and how to appeal (Art. 32).
    """
    measure = MEASURES[kind]
    scam_zh, scam_en = SCAM_TYPES.get(case.scam_type, (case.scam_type, case.scam_type))
    stage_zh, stage_en = STAGES.get(case.stage, (case.stage, case.stage))
    money_zh = f"，涉及金额{amount_cny:,.2f}元" if amount_cny else ""
    money_en = f", CNY {amount_cny:,.2f}" if amount_cny else ""
    ground_zh, ground_en = measure.ground
    zh = (
        f"{measure.asks_zh.format(subject=subject)}{money_zh}，自签发起最长{valid_h:g}小时。"
        f"理由：疑似{scam_zh}，当事人所处阶段：{stage_zh}。依据：{ground_zh}。"
    )
    en = (
        f"Please {measure.asks_en.format(subject=subject)}{money_en}, for {valid_h:g} h at most "
        f"from the signature. Reason: suspected {scam_en}; the citizen's stage: {stage_en}. "
        f"Ground: {ground_en}."
    )
    if measure.restricts:
        zh += "请告知被处置人原因及申诉渠道（第三十二条）。"
        en += " Tell the restricted person why, and how to appeal (Art. 32)."
    return zh, en


def undo_words(kind: Kind, signed_at: datetime, zone: str) -> tuple[str, str]:
    """The text of an undo (zh, en)."""
    measure = MEASURES[kind]
    when = f"{signed_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
    return (
        f"我方{when}签发的{measure.zh}请求已撤销，请立即解除相应措施。",
        f"Our request of {when} ({measure.en}) is undone: lift the measure at once.",
    )
