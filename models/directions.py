"""Which way a feature may move the score: said of the definition, so it holds for every window.

Somebody's word against a counterpart, or somebody's loss to it, can never be reassuring. A new
report raises its counts and rates and brings its last and first mention to now: with all of these
held to one direction, it never lowers the score of an event that follows it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from features.spec import FeatureSet, FeatureSpec

__all__ = ["direction", "directions"]

SUSPICION: Final = ("report", "listed", "lead", "lead_high", "followed", "followed_shared")
"""Streams that are a word against the counterpart, or a loss to it."""
FIELDS: Final = ("listed", "reports", "followed", "followed_shared")
"""Fields of the event or of the subscriber's recent counterparts that say the same."""
WAYS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("count", "distinct", "in_degree", "out_degree", "share", "rate"), 1),
    **dict.fromkeys(("since_last", "since_first"), -1),
}
"""More of it may only raise the score, and so may the less time that has passed."""


def direction(spec: FeatureSpec) -> int:
    """1 where a higher value may only raise the score, -1 where it may only lower it, else 0.

    Examples
    --------
    >>> direction(FeatureSpec("counterpart", "count", "report", "30d"))
    1
    >>> direction(FeatureSpec("counterpart", "since_last", "report"))
    -1
    >>> direction(FeatureSpec("subscriber", "count", "call_in", "30d"))
    0
    """
    if spec.key in {"event", "link"}:
        return int(spec.what == "value" and spec.stream in FIELDS)
    if (spec.key, spec.stream) == ("subscriber", "report"):
        return 0  # who has reported is warned already, or defrauded again: the data may say
    return WAYS.get(spec.what, 0) if spec.stream in SUSPICION else 0


def directions(features: FeatureSet | Iterable[FeatureSpec]) -> list[int]:
    """`direction` of each feature in order, as LightGBM's ``monotone_constraints`` takes it."""
    return [direction(spec) for spec in features]
