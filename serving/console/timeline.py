"""What happened in a case, in order: evidence, attempts, outcomes and their reversals, notes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.dissuasion import Tried
from serving.cases.attempts import TRIED, how
from serving.cases.contracts import OutcomeKind
from serving.cases.evidence import OURS
from serving.cases.outcomes import WORDS
from serving.cases.reading import Card
from serving.console.words import Words

__all__ = ["Entry", "timeline"]

_EFFECTS: Mapping[str, tuple[str, str]] = {
    "opened": ("立案", "opened the case"),
    "raised": ("升级", "raised the case"),
    "added": ("补充", "added"),
    "reopened": ("重新打开案件", "opened the case again"),
    "kept": ("结案后留存", "kept on the closed case"),
}


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Parameters
    ----------
    at : datetime
    kind : str
        ``evidence``, ``attempt``, ``outcome``, ``reversal``, ``note``.
    zh, en : str
    by : str
        Who did it, or which platform brought it.
    more : tuple of str
        What else (zh, en).
    event_id : str or None
        The record to open.
    """

    at: datetime
    kind: str
    zh: str
    en: str
    by: str = ""
    more: tuple[str, str] = ("", "")
    event_id: str | None = None


def timeline(card: Card, words: Words) -> tuple[Entry, ...]:
    """All of a case, the newest first."""
    found = [
        *(_evidence(row) for row in card.evidence),
        *(_attempt(row, words) for row in card.attempts),
        *(one for row in card.outcomes for one in _outcome(row)),
        *(Entry(row["at"], "note", row["text"], row["text"], row["by"]) for row in card.notes),
    ]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def _evidence(row: Mapping[str, Any]) -> Entry:
    zh, en = _EFFECTS[row["effect"]]
    by = "" if row["platform"] == OURS else row["platform"]
    return Entry(row["known_at"], "evidence", row["zh"], row["en"], by, (zh, en), row["event_id"])


def _attempt(row: Mapping[str, Any], words: Words) -> Entry:
    zh, en = how(Tried(*(row[name] for name in TRIED)), refused=row["refused"])
    way_zh, way_en = words.way(row["channel"], row["script"])
    minutes = (f"用时{row['minutes']:g}分钟", f"took {row['minutes']:g} min")
    return Entry(
        row["at"], "attempt", f"{way_zh}：{zh}", f"{way_en}: {en}", row["recorded_by"], minutes
    )


def _outcome(row: Mapping[str, Any]) -> Iterator[Entry]:
    zh, en = WORDS[OutcomeKind(row["outcome"])]
    yield Entry(
        row["known_at"],
        "outcome",
        f"结案：{zh}",
        f"closed: {en}",
        row["recorded_by"],
        _money(row),
    )
    if row["reversed_at"] is not None:
        reason = row["reversal_reason"]
        yield Entry(
            row["reversed_at"],
            "reversal",
            f"撤销结果“{zh}”：{reason}",
            f"took back “{en}”: {reason}",
            row["reversed_by"],
        )


def _money(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["loss_cny"] is not None:
        return f"损失{row['loss_cny']:,.0f}元", f"CNY {row['loss_cny']:,.0f} lost"
    if row["avoided_cny"] is not None:
        cny = row["avoided_cny"]
        return f"估计避免损失{cny:,.0f}元", f"about CNY {cny:,.0f} avoided (an estimate)"
    return "", ""
