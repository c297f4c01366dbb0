"""How often each reason was right lately: of the warnings it led, how many were fraud."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from features.spec import FeatureSet
from models.reasons import Reason, leading, topic
from models.trees import Floats

__all__ = ["TrackRecord"]

FEWEST = 5  # warnings below which a share would be luck


@dataclass(frozen=True)
class TrackRecord:
    """Counts by topic over the warnings of a slice of days whose labels are in.

    Parameters
    ----------
    counts : mapping of topic to (right, warned)
        Warnings that a topic led, and how many of them were fraud as far as is known.

    Examples
    --------
    >>> TrackRecord.from_text(TrackRecord({"event.amount.size": (3, 10)}).to_text()).counts
    {'event.amount.size': (3, 10)}
    """

    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def fit(cls, contributions: Floats, y: NDArray[Any], features: FeatureSet) -> "TrackRecord":
        """Count over warned events of a slice later than any the trees learnt from.

        Parameters
        ----------
        contributions : float64 array (n, p + 1)
            Of events whose score reached a warning level.
        y : array (n,)
            1 fraud, 0 not; anything else is left out.
        features : FeatureSet
        """
        counts: dict[str, tuple[int, int]] = {}
        for row, answer in zip(contributions, y.tolist(), strict=True):
            for name in leading(row, features) if answer in {0, 1} else ():
                right, warned = counts.get(name, (0, 0))
                counts[name] = (right + int(answer), warned + 1)
        return cls(dict(sorted(counts.items())))

    def attach(self, reasons: Sequence[Reason], features: FeatureSet) -> tuple[Reason, ...]:
        """The same reasons, each with how often it was right, where that is known."""
        return tuple(self._with_record(reason, features) for reason in reasons)

    def to_text(self) -> str:
        """JSON, one line a topic."""
        lines = (f" {json.dumps(name)}: {list(count)}" for name, count in self.counts.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_text(cls, text: str) -> "TrackRecord":
        """Read `to_text` back."""
        return cls({name: (right, warned) for name, (right, warned) in json.loads(text).items()})

    def _with_record(self, reason: Reason, features: FeatureSet) -> Reason:
        right, warned = self.counts.get(topic(features.spec(reason.feature)), (0, 0))
        if warned < FEWEST or reason.share < 0:
            return reason
        zh = f"{reason.zh.removesuffix('。')}；近期由它引出的{warned}次预警中{right}次属实。"
        lately = f"right in {right} of the {warned} warnings it led lately"
        en = f"{reason.en.removesuffix('.')}; {lately}."
        return replace(reason, zh=zh, en=en, right=right, warned=warned)
