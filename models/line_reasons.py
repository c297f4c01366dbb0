"""Why a line is suspected: what it shows, against what is normal, and what would clear it.

Contributions of one topic (bills, messages, who it calls …) are one reason, since its columns say
nearly the same; its value is that of the strongest. Unlike `models.reasons`, which speaks of a
citizen's events, this speaks of a line over months.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from features.line_columns import LineColumn
from models.norms import Norms
from models.phrases import Both, said
from models.trees import Floats, ModelError

__all__ = ["LineReason", "explain_line", "line_norms"]

PEERS: Final = "line"
CLEARS: Final[Mapping[str, Both]] = {
    "partners": Both(
        "号码登记为企业、快递、客服等外呼用户，且用途相符",
        "registered to a business, courier or service that calls many people, and used so",
    ),
    "lengths": Both(
        "短促通话出于送货、叫车等工作需要",
        "short calls belong to work such as deliveries or rides",
    ),
    "rhythm": Both("集中拨打有排班或业务活动佐证", "bursts of calls follow shifts or a campaign"),
    "places": Both(
        "换机、换地有维修、出差等记录佐证",
        "changes of handset and place are explained by repairs or travel",
    ),
    "messages": Both(
        "短信来自登记的验证码或通知业务", "messages belong to a registered notice or code service"
    ),
    "traffic": Both(
        "该卡为副卡、老人机或物联网卡，本来少用流量",
        "a second card, a simple phone or a device card, which use little traffic",
    ),
    "bills": Both(
        "话费异常有套餐变更或充值记录佐证", "odd bills follow a change of plan or a top-up"
    ),
    "contacts": Both(
        "联系号码属于同一家庭、单位或团体", "its contacts are one family, employer or group"
    ),
    "records": Both(
        "缺失来自入网时间短或数据未接入", "gaps come from a new line or a missing feed"
    ),
}
"""What would make each topic harmless; an officer checks it before anything is done."""


@dataclass(frozen=True)
class LineReason:
    """One ranked reason.

    Parameters
    ----------
    feature, topic : str
        The strongest feature of the topic; the value is its.
    value : float or None
        In `unit`; None where nothing is on record.
    normal : float or None
        The median of lines that are no suspects, in `unit`.
    contribution : float
        Log-odds the whole topic added to the raw score.
    share : float
        Its part of everything that moved the score, negative where it lowered it.
    zh, en : str
    clears_zh, clears_en : str
    """

    feature: str
    topic: str
    value: float | None
    unit: str
    normal: float | None
    contribution: float
    share: float
    zh: str
    en: str
    clears_zh: str
    clears_en: str


def line_norms(X: Floats, names: Sequence[str]) -> Norms:
    """What is normal: quantiles over lines that are no suspects, shape (n, p)."""
    return Norms.fit(X, np.full(len(X), PEERS), names)


def explain_line(
    vector: Floats,
    contributions: Floats,
    columns: Sequence[LineColumn],
    norms: Norms,
    limit: int = 5,
) -> tuple[LineReason, ...]:
    """Rank the topics that raised the score, then those that lowered it.

    Parameters
    ----------
    vector : float64 array (p,)
        As scored.
    contributions : float64 array (p + 1,)
        `SuspectLineModel.contributions` of that vector.
    columns : sequence of LineColumn
        What each of the p numbers means.
    norms : Norms
        From `line_norms`.
    limit : int
        The most reasons to give.

    Raises
    ------
    ModelError
        If vector, contributions and columns differ in length.

    Examples
    --------
    >>> columns = (LineColumn("imeis", "places", "handsets", "终端数", "handsets"),)
    >>> norms = line_norms(np.ones((5, 1)), ("imeis",))
    >>> explain_line(np.array([7.0]), np.array([1.5, -1.0]), columns, norms)[0].en
    'Handsets: 7 (usually 1); 100% of what moved the score, upwards.'
    """
    if not len(vector) == len(contributions) - 1 == len(columns):
        raise ModelError(
            f"expected {len(columns)} values and as many contributions and one base, found "
            f"{len(vector)} and {len(contributions)}; explain a vector by its own columns"
        )
    topics = dict(_topics(contributions, columns))
    ranked = sorted(topics, key=lambda topic: -topics[topic][0])
    moved = math.fsum(abs(weight) for weight, _ in topics.values()) or 1.0
    found = []
    for topic in ranked[:limit]:
        weight, place = topics[topic]
        found.append(_reason(columns[place], float(vector[place]), norms, weight, weight / moved))
    return tuple(found)


def _topics(
    contributions: Floats, columns: Sequence[LineColumn]
) -> Iterator[tuple[str, tuple[float, int]]]:
    """Each topic's weight, and the place of the feature that weighs most in its direction."""
    for topic in dict.fromkeys(column.topic for column in columns):
        places = [place for place, column in enumerate(columns) if column.topic == topic]
        weight = math.fsum(contributions[places].tolist())
        sign = 1.0 if weight >= 0 else -1.0
        yield topic, (weight, max(places, key=lambda place: sign * contributions[place]))


def _reason(
    column: LineColumn, value: float, norms: Norms, weight: float, share: float
) -> LineReason:
    normal, clear = norms.usual(column.name, PEERS), CLEARS[column.topic]
    words = _sentence(column, value, normal, share)
    return LineReason(
        feature=column.name,
        topic=column.topic,
        value=_known(value),
        unit=column.unit,
        normal=_known(normal),
        contribution=weight,
        share=share,
        zh=words.zh,
        en=words.en,
        clears_zh=clear.zh,
        clears_en=clear.en,
    )


def _sentence(column: LineColumn, value: float, normal: float, share: float) -> Both:
    what, usual = _value(value, column.unit), _value(normal, column.unit)
    part = f"{abs(share):.0%}"
    zh_way, en_way = ("升高", "upwards") if share >= 0 else ("降低", "downwards")
    en = f"{column.en}: {what.en} (usually {usual.en}); {part} of what moved the score, {en_way}."
    zh = f"{column.zh}：{what.zh}（通常{usual.zh}）；占影响分值因素的{part}，使分值{zh_way}。"
    return Both(zh, en[0].upper() + en[1:])


def _value(value: float, unit: str) -> Both:
    return Both("无记录", "nothing on record") if math.isnan(value) else said(value, unit)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
