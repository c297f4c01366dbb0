"""What an alert of ours or a lead of another platform says about a citizen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from models.policy import Level
from serving.cases.config import CaseConfig
from serving.words import SCAM_TYPES

__all__ = ["GRADE_WORDS", "OURS", "Admitted", "Effect", "concerns"]

OURS = "forewarn"
UNKNOWN_STAGE = "engaged"  # who is worth another platform's lead has been spoken to by then
FEN = 100
GRADE_WORDS: Mapping[str, str] = {"urgent": "紧急", "high": "高", "medium": "中", "low": "低"}


class Effect(StrEnum):
    """What evidence did to its case."""

    OPENED = "opened"
    RAISED = "raised"
    ADDED = "added"
    REOPENED = "reopened"
    KEPT = "kept"  # on a closed case, for the record


@dataclass(frozen=True)
class Admitted:
    """An alert or a lead.

    Parameters
    ----------
    event_id, subscriber, kind : str
    platform : str
        `OURS` for our scores, otherwise the system whose lead it is.
    level, urgency : str, int
        Level by name and by rank, 0 the most urgent.
    deadline : timedelta
        The citizen is to be reached within, from `known_at`.
    score : float
        Calibrated; a lead without a score counts as the score from which its level begins, and
        so does an event that a rule raised.
    stage, scam_type : str
    amount_cny : float
        Of the transfer it is about, otherwise 0.
    occurred_at, known_at : datetime
    zh, en : str
        What it said.
    district : str or None
        Of the citizen, where known.
    """

    event_id: str
    subscriber: str
    kind: str
    platform: str
    level: str
    urgency: int
    deadline: timedelta
    score: float
    stage: str
    scam_type: str
    amount_cny: float
    occurred_at: datetime
    known_at: datetime
    zh: str
    en: str
    district: str | None = None

    @classmethod
    def of(
        cls, event: Mapping[str, Any], decision: Mapping[str, Any] | None, config: CaseConfig
    ) -> "Admitted":
        """Read rows of the log and of the decisions that `concerns` lets through."""
        payload = event["payload"]
        answer = {} if decision is None else decision["answer"]
        alert = answer.get("level") is not None
        stage = answer["stage"]["name"] if answer.get("stage") else UNKNOWN_STAGE
        lead = _level_of_lead(payload, config)
        ours = answer["level"]["name"] if alert else None
        level, urgency = _higher(ours, lead, config)
        by_us = ours is not None and level == ours
        seconds = answer["deadline_s"] if by_us else lead.deadline_s[stage]  # type: ignore[union-attr]
        zh, en = _said(payload, answer)
        return cls(
            event_id=event["event_id"],
            subscriber=event["subscriber"],
            kind=event["kind"],
            platform=event["source"] if event["kind"] == "lead" else OURS,
            level=level,
            urgency=urgency,
            deadline=timedelta(seconds=seconds),
            score=max(
                answer.get("score") or 0.0, lead.floor if lead else 0.0, _vouched(answer, config)
            ),
            stage=stage,
            scam_type=_scam_type(payload, answer),
            amount_cny=payload.get("amount_fen", 0) / FEN,
            occurred_at=event["occurred_at"],
            known_at=event["known_at"] if decision is None else decision["decided_at"],
            zh=zh,
            en=en,
        )


def concerns(event: Mapping[str, Any], decision: Mapping[str, Any] | None) -> bool:
    """Whether rows of an event and its decision are an alert or a lead."""
    return event["kind"] == "lead" or (decision is not None and decision["level"] is not None)


def _level_of_lead(payload: Mapping[str, Any], config: CaseConfig) -> Level | None:
    return config.level_of_grade(payload["grade"]) if payload["kind"] == "lead" else None


def _higher(ours: str | None, lead: Level | None, config: CaseConfig) -> tuple[str, int]:
    """The more urgent of our level and a lead's; ours where they are equal."""
    names = [name for name in (ours, lead.name if lead else None) if name is not None]
    return min(((name, config.urgency(name)) for name in names), key=lambda pair: pair[1])


def _scam_type(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Whoever wrote the lead has read the case; our guess comes second."""
    told = payload.get("scam_type", "other")
    if told != "other" or not answer.get("scam_type"):
        return str(told)
    return str(answer["scam_type"]["name"])


def _vouched(answer: Mapping[str, Any], config: CaseConfig) -> float:
    """The least score of a level that a rule made; 0 where the model made it."""
    if not any(rule["made"] for rule in answer.get("rules", ())) or answer["level"] is None:
        return 0.0
    return config.levels[config.urgency(answer["level"]["name"])].floor


def _said(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[str, str]:
    # what a rule says comes before a reason of the model: it made the level
    rules = [rule for rule in answer.get("rules", ()) if rule["made"]]
    told_zh = [f"规则：{rule['zh']}" for rule in rules]
    told_en = [f"rule: {rule['en']}" for rule in rules]
    if payload["kind"] == "lead":
        grade, (zh, en) = payload["grade"], SCAM_TYPES[payload.get("scam_type", "other")]
        lead_zh = f"外部线索，等级{GRADE_WORDS[grade]}，{zh}"
        return "；".join([lead_zh, *told_zh]), "; ".join([f"lead of grade {grade}, {en}", *told_en])
    first = next(iter(answer["reasons"]), {"zh": "", "en": ""})
    zh = "；".join(part for part in (answer["advice_zh"], *told_zh, first["zh"]) if part)
    en = "; ".join(part for part in (answer["advice_en"], *told_en, first["en"]) if part)
    return zh, en
