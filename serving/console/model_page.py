"""The page of the model: what it is, how good, what it must not be used for; live beside it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from models.card import Card, Metric
from models.reasons import topic
from models.shares import Share
from serving.access.gate import actor_of
from serving.cases.room import CaseRoom
from serving.console.pages import Pages
from serving.judge import Judge
from serving.lately import Lately, lately
from serving.problems import Problem

__all__ = ["FIGURES", "Figure", "Reason", "figures", "model_page", "reasons"]

PAGE = "model.html"
_FEWEST = 5  # as in `models.track_record`: fewer warnings say nothing of a reason

FIGURES: Mapping[str, tuple[str, str]] = {
    "recall_at_capacity": (
        "被骗市民中及时预警到的比例",
        "defrauded citizens warned in time, of all",
    ),
    "precision_at_capacity": (
        "被预警市民中当天确在被骗的比例",
        "warned citizens who were being defrauded that day, of all warned",
    ),
    "preventable_share": (
        "首次预警时尚未转出的损失比例",
        "money not yet gone at the first warning, of all lost",
    ),
    "lead_time_h": (
        "首次预警到首次转账的时间（中位数）",
        "time from the first warning to the first payment, median",
    ),
    "precision_100": (
        "每天最可疑100人中确为诈骗的比例",
        "frauds among the 100 most suspicious citizens a day",
    ),
    "average_precision": ("平均精确率（按事件）", "average precision over events"),
    "auc": ("ROC曲线下面积（按事件）", "area under the ROC curve over events"),
    "brier": ("概率的均方误差", "mean squared gap between probability and outcome"),
    "ece": ("概率与实际比例的平均差", "mean gap between probability and share observed"),
}
"""What each figure of the card says; shares first."""

_UNITS = {
    **dict.fromkeys(
        ("recall_at_capacity", "precision_at_capacity", "preventable_share", "precision_100"),
        "share",
    ),
    "lead_time_h": "hours",
}

SENTENCES: Mapping[str, str] = {
    "Ranks and explains events so that the anti-fraud centre reaches a potential victim before "
    "the money leaves. A person decides.": (
        "对事件排序并说明理由，使反诈中心在资金转出之前联系到潜在受害人。由人作出决定。"
    ),
    "Learnt from reported frauds only: who never reports is counted as not defrauded.": (
        "只从已报案的诈骗中学习：从未报案的受害人被当作未被骗。"
    ),
    "Measured on the history given; a script that appears later is new to it.": (
        "指标来自给定的历史数据；之后出现的新话术对它是陌生的。"
    ),
    "Probabilities hold at the rate of fraud of the calibration days.": (
        "概率以校准期的诈骗发生率为前提。"
    ),
    "Harmless events were sampled for training; calibration used days that keep all of them.": (
        "训练时对正常事件作了抽样；校准期保留了全部事件。"
    ),
    "A score protects a potential victim; by itself it never freezes, blocks or accuses anyone.": (
        "评分用于保护潜在受害人；它本身不冻结、不拦截、不指控任何人。"
    ),
    "No feature comes from age, sex, district, ethnicity, views or petitions.": (
        "任何特征都不来自年龄、性别、地区、民族、观点或信访。"
    ),
    "Age band, sex and district serve the fairness report only.": (
        "年龄段、性别和地区只用于公平性报告。"
    ),
    "What a feature store or source did not deliver is declared in the answer, never filled in.": (
        "数据源或特征存储未提供的内容在答复中声明，绝不填补。"
    ),
}
"""Chinese of what cards say; a card's other sentences are shown as they are."""


@dataclass(frozen=True)
class Figure:
    """One figure: the model's, and the rules' on the same rows, the best first."""

    name: str
    words: tuple[str, str]
    model: Metric
    rules: tuple[Metric, ...]

    @property
    def unit(self) -> str:
        """``share``, ``hours``, or ``""``: a number without one."""
        return _UNITS.get(self.name, "")

    @property
    def best(self) -> Metric | None:
        """The best rule's; of errors the smallest is best, and rules have none."""
        return self.rules[0] if self.rules else None


@dataclass(frozen=True)
class Reason:
    """How often warnings that a reason led were right."""

    code: str
    words: tuple[str, str]
    right: int
    warned: int

    @property
    def share(self) -> Share:
        """Right, of the warnings it led."""
        return Share(self.right, self.warned)


def figures(card: Card) -> tuple[Figure, ...]:
    """The card's figures beside the rules'.

    Examples
    --------
    >>> card = Card("", "", "", metrics=(Metric("auc", 0.9),), baselines=(Metric("r.auc", 0.6),))
    >>> [(one.name, one.best.value) for one in figures(card)]
    [('auc', 0.6)]
    """
    known = {metric.name: metric for metric in card.metrics}
    return tuple(
        Figure(name, words, known[name], tuple(_rivals(card, name)))
        for name, words in FIGURES.items()
        if name in known
    )


def _rivals(card: Card, name: str) -> list[Metric]:
    found = [one for one in card.baselines if one.name.rpartition(".")[2] == name]
    return sorted(found, key=lambda one: -one.value)


def reasons(judge: Judge) -> tuple[Reason, ...]:
    """The track record of reasons, the most frequent first; rare ones are left out."""
    words: dict[str, tuple[str, str]] = {}
    for spec in judge.features:
        zh = _said(spec.zh).replace("（CNY）", "（元）").replace("（s）", "（秒）")
        words.setdefault(topic(spec), (zh, _said(spec.en)))
    counts = judge.bundle.track_record.counts
    found = [
        Reason(code, words.get(code, (code, code)), right, warned)
        for code, (right, warned) in counts.items()
        if warned >= _FEWEST
    ]
    return tuple(sorted(found, key=lambda one: (-one.warned, one.code)))


def _said(sentence: str) -> str:
    return sentence.replace("{value}", "…")


async def model_page(pages: Pages, request: Request) -> Response:
    """Answer ``GET /console/model``."""
    judge: Judge = request.app.state.scorer.judge
    room: CaseRoom = request.app.state.cases
    bundle = judge.bundle
    live: Lately | None = None
    with suppress(Problem):  # too many decisions to count in time: the card holds all the same
        async with room.turn(actor_of(request.scope)) as turn:
            live = await lately(turn.connection, bundle, turn.now, room.config.zone)
    card = bundle.card
    told: dict[str, Any] = {
        "bundle": bundle,
        "card": card,
        "title": ("此人是否正在被骗？", card.title)
        if "defrauded" in card.title
        else (card.title,) * 2,
        "said": _sentences,
        "figures": figures(card),
        "as_of": _moment(card.as_of, room.config.zone),
        "levels": tuple(_levels(judge)),
        "reasons": reasons(judge),
        "features": len(bundle.names),
        "live": live,
    }
    return pages.page(request, PAGE, told)


def _sentences(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((SENTENCES.get(line, line), line) for line in lines)


def _moment(text: str, zone: str) -> datetime | None:
    """When the card was written up to, by the city's clock; None where it is no moment."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(ZoneInfo(zone)) if found.tzinfo else None


def _levels(judge: Judge) -> Iterator[dict[str, Any]]:
    policy = judge.bundle.policy
    own = policy.per_day or (None,) * len(policy.levels)
    for level, threshold, per_day in zip(policy.levels, policy.thresholds, own, strict=True):
        yield {"level": level, "threshold": threshold, "per_day": per_day}
