"""What a model is, from what, how good and not for what: data for machines, markdown for people."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["RED_LINES", "Card", "Metric"]

RED_LINES = (
    "A score protects a potential victim; by itself it never freezes, blocks or accuses anyone.",
    "No feature comes from age, sex, district, ethnicity, views or petitions.",
    "Age band, sex and district serve the fairness report only.",
    "What a feature store or source did not deliver is declared in the answer, never filled in.",
)


@dataclass(frozen=True)
class Metric:
    """One figure with its 95 % interval.

    Examples
    --------
    >>> str(Metric("average_precision", 0.6123, 0.58, 0.64))
    'average_precision 0.612 (0.580 to 0.640)'
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    on: str = "test"

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.name} {self.value:.3f}"
        return f"{self.name} {self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Card:
    """A model card.

    Parameters
    ----------
    title, purpose : str
    as_of : str
        Moment before which everything it learnt was known, ISO 8601.
    data : mapping
        Where the rows came from: fingerprint, days, rows, frauds of each part.
    metrics, baselines : tuple of Metric
        The model's figures and the rules' on the same rows.
    params : mapping
        How it was grown.
    limits, red_lines : tuple of str
    curves : mapping
        Points on the test days, as `training.card_curves.curves` leaves them; empty in cards
        written before there were any.

    Examples
    --------
    >>> card = Card("Fraud", "Warn a citizen.", "2026-01-01T00:00:00+00:00")
    >>> Card.from_text(card.to_text()) == card
    True

    References
    ----------
    Mitchell et al., Model cards for model reporting, FAT* 2019.
    """

    title: str
    purpose: str
    as_of: str
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    baselines: tuple[Metric, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    red_lines: tuple[str, ...] = RED_LINES
    curves: Mapping[str, Any] = field(default_factory=dict)

    def to_text(self) -> str:
        """JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Card":
        """Read `to_text` back."""
        content = json.loads(text)
        for name in ("metrics", "baselines"):
            content[name] = tuple(Metric(**metric) for metric in content[name])
        for name in ("limits", "red_lines"):
            content[name] = tuple(content[name])
        return cls(**content)

    def to_markdown(self) -> str:
        """A page for people."""
        blocks = (
            [f"# {self.title}", self.purpose, f"Learnt from what was known before {self.as_of}."],
            _table("Data", self.data),
            _list("Figures", self.metrics),
            _list("Rules on the same rows", self.baselines),
            _table("Parameters", self.params),
            _list("Limits", self.limits),
            _list("Red lines", self.red_lines),
        )
        return "\n\n".join("\n\n".join(block) for block in blocks if block) + "\n"


def _list(title: str, lines: tuple[Any, ...]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {line}" for line in lines)] if lines else []


def _table(title: str, rows: Mapping[str, Any]) -> list[str]:
    if not rows:
        return []
    lines = ["| what | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())]
    return [f"## {title}", "\n".join(lines)]
