"""Which features may only raise the score: said of the definition, so it holds for every window."""

from collections.abc import Iterable
from typing import Final

from features.spec import FeatureSet, FeatureSpec

__all__ = ["direction", "directions"]

SUSPICION: Final = ("report", "listed", "lead", "lead_high", "followed", "followed_shared")
"""Streams that are somebody's word, or somebody's loss: more of it can never be reassuring."""
FIELDS: Final = ("listed", "reports", "followed", "followed_shared")
"""Fields of the event or of the subscriber's recent counterparts that say the same."""
COUNTS: Final = ("count", "distinct", "in_degree", "out_degree")


def direction(spec: FeatureSpec) -> int:
    """1 where a higher value may only raise the score, 0 where the trees may choose.

    Examples
    --------
    >>> direction(FeatureSpec("counterpart", "count", "report", "30d"))
    1
    >>> direction(FeatureSpec("subscriber", "count", "call_in", "30d"))
    0
    """
    if spec.key in {"event", "link"}:
        return int(spec.what == "value" and spec.stream in FIELDS)
    if (spec.key, spec.stream) == ("subscriber", "report"):
        return 0  # who has reported is warned already, or defrauded again: the data may say
    return int(spec.what in COUNTS and spec.stream in SUSPICION)


def directions(features: FeatureSet | Iterable[FeatureSpec]) -> list[int]:
    """`direction` of each feature in order, as LightGBM's ``monotone_constraints`` takes it."""
    return [direction(spec) for spec in features]
