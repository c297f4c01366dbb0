"""Why this score: ranked sentences an officer can check, from contributions the model really used.

Contributions of one key and stream, over several windows or counted in several ways, are one
reason: its weight is their sum, its value that of the strongest.

References
----------
CFPB Circular 2022-03: reasons are specific and those really used. Jesus et al., How can I choose
an explainer?, FAccT 2021: a bare score serves analysts worse than the data alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from features.periods import WINDOWS
from features.spec import FeatureSet, FeatureSpec
from models.norms import Norms
from models.phrases import Both, fact, kind_words, said
from models.remedies import remedy
from models.trees import Floats, ModelError

__all__ = ["Reason", "explain", "leading", "topic"]

MONTH = "30d"
HIGH = 0.95  # the peers' quantile officers are shown
LEADING = 3  # reasons an officer reads first
FAMILIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("sum", "mean", "max", "std", "habit_sum"), "size"),
    **dict.fromkeys(("to_mean", "to_max", "zscore"), "size"),
    **dict.fromkeys(("since_last", "since_first"), "time"),
}
"""How an operation is told: by size, by time; all others by number."""


@dataclass(frozen=True)
class Reason:
    """One ranked reason.

    Parameters
    ----------
    feature : str
        The strongest feature of the group; the value is its.
    features : tuple of str
        All of the group.
    value : float or None
        In `unit`; None where nothing is known.
    contribution : float
        Log-odds the group added to the raw score.
    share : float
        Its part of everything that raised the score, from 0 to 1 (negative where it lowered it).
    normal_citizen : float or None
        The same of this citizen's own 30 days, in `unit`.
    normal_peers : float or None
        95 % of harmless events of the kind are at or below this, in `unit`.
    zh, en : str
        What happened, against what, how much it weighed.
    clears_zh, clears_en : str
        What would make it harmless.
    check_zh, check_en : str
        Where to check that in half a minute.
    right, warned : int
        Of the warnings it led lately, how many were fraud (`models.track_record`); 0 if not known.
    """

    feature: str
    features: tuple[str, ...]
    value: float | None
    unit: str
    contribution: float
    share: float
    normal_citizen: float | None
    normal_peers: float | None
    zh: str
    en: str
    clears_zh: str
    clears_en: str
    check_zh: str
    check_en: str
    right: int = 0
    warned: int = 0


def explain(
    vector: Floats,
    contributions: Floats,
    kind: str,
    features: FeatureSet,
    norms: Norms,
    limit: int = 5,
) -> tuple[Reason, ...]:
    """Rank what raised the score; if nothing did, what lowered it.

    Parameters
    ----------
    vector : float64 array (p,)
        Values as scored.
    contributions : float64 array (p + 1,)
        `FraudModel.contributions` of that vector.
    kind : str
        Kind of the event, which says who its peers are.
    features : FeatureSet
        What each of the p numbers means.
    norms : Norms
        What is normal for peers, from the bundle.
    limit : int
        The most reasons to give.

    Raises
    ------
    ModelError
        If vector, contributions and features differ in length.
    """
    _check_lengths(len(vector), len(contributions) - 1, len(features))
    story = _Story(dict(zip(features.names, vector.tolist(), strict=True)), kind, features, norms)
    groups = _ranked(features, contributions)
    total = math.fsum(abs(group.weight) for group in groups)
    return tuple(story.tell(group, group.weight / total) for group in groups[:limit])


def topic(spec: FeatureSpec) -> str:
    """What a reason is about: features of one topic are told as one reason.

    Examples
    --------
    >>> topic(FeatureSpec("counterpart", "count", "report", "30d"))
    'counterpart.report.number'
    """
    return f"{spec.key}.{spec.stream}.{FAMILIES.get(spec.what, 'number')}"


def leading(contributions: Floats, features: FeatureSet, most: int = LEADING) -> tuple[str, ...]:
    """Topics that raised a score the most, without telling them."""
    raising = [group for group in _ranked(features, contributions) if group.weight > 0]
    return tuple(topic(group.lead) for group in raising[:most])


@dataclass(frozen=True)
class _Group:
    specs: tuple[FeatureSpec, ...]
    weights: tuple[float, ...]

    @property
    def weight(self) -> float:
        return math.fsum(self.weights)

    @property
    def lead(self) -> FeatureSpec:
        """The feature that pulled hardest the way the whole group pulls."""
        sign = math.copysign(1.0, self.weight)
        strongest = max(range(len(self.weights)), key=lambda place: sign * self.weights[place])
        return self.specs[strongest]


def _ranked(features: FeatureSet, contributions: Floats) -> list[_Group]:
    """Groups that raised the score, strongest first; if none did, those that lowered it."""
    found: dict[str, list[tuple[FeatureSpec, float]]] = {}
    for spec, weight in zip(features, contributions[:-1].tolist(), strict=True):
        found.setdefault(topic(spec), []).append((spec, weight))
    groups = [
        _Group(tuple(spec for spec, _ in members), tuple(weight for _, weight in members))
        for members in found.values()
    ]
    raising = sorted((g for g in groups if g.weight > 0), key=lambda g: -g.weight)
    return raising or sorted((g for g in groups if g.weight < 0), key=lambda g: g.weight)


@dataclass(frozen=True)
class _Story:
    values: Mapping[str, float]
    kind: str
    features: FeatureSet
    norms: Norms

    def tell(self, group: _Group, share: float) -> Reason:
        lead, cure = group.lead, remedy(group.lead)
        value, own = self.values[lead.name], self._own(lead)
        clauses = (fact(lead, value), *self._against(lead, value, own), _weight(share))
        return Reason(
            feature=lead.name,
            features=tuple(spec.name for spec in group.specs),
            value=_known(value),
            unit=lead.unit,
            contribution=group.weight,
            share=share,
            normal_citizen=own,
            normal_peers=_known(self._peers(lead)),
            zh="；".join(clause.zh for clause in clauses) + "。",
            en=_sentence("; ".join(clause.en for clause in clauses)),
            clears_zh=cure.clears_zh,
            clears_en=cure.clears_en,
            check_zh=cure.check_zh,
            check_en=cure.check_en,
        )

    def _against(self, spec: FeatureSpec, value: float, own: float | None) -> list[Both]:
        said_of_own = [] if own is None else [_own_clause(spec, own)]
        return said_of_own + self._peer_clause(spec, value)

    def _own(self, spec: FeatureSpec) -> float | None:
        """What is normal for this citizen: the same over 30 days, brought to the same span."""
        for name, scale in _habits(spec):
            value = self.values.get(name, math.nan)
            if not math.isnan(value):
                return value * scale
        return self._own_from_ratio(spec)

    def _own_from_ratio(self, spec: FeatureSpec) -> float | None:
        """The habit a ratio was taken to, where only the ratio is a feature."""
        ratio = replace(spec, what={"count": "habit", "sum": "habit_sum"}.get(spec.what, "habit"))
        times = self.values.get(ratio.name, math.nan)
        own = self.values[spec.name] / times if times > 0 else math.nan
        return own if spec.what in {"count", "sum"} and math.isfinite(own) else None

    def _peers(self, spec: FeatureSpec) -> float:
        if spec.unit in {"code", "hour", "day"} or HIGH not in self.norms.quantiles:
            return math.nan  # no order that means more or less
        place = self.norms.quantiles.index(HIGH)
        return float(self.norms.of(spec.name, self.kind)[place])

    def _peer_clause(self, spec: FeatureSpec, value: float) -> list[Both]:
        high, usual = self._peers(spec), self.norms.usual(spec.name, self.kind)
        if math.isnan(value) or math.isnan(high):
            return []
        kinds, middle = kind_words(self.kind), said(usual, spec.unit)
        above = self.norms.above(spec.name, self.kind, value)
        below = self.norms.below(spec.name, self.kind, value)
        if above >= 0.75:
            rank = _rank(spec, _percent(above), kinds, "above")
        elif below <= 0.25:
            rank = _rank(spec, _percent(1.0 - below), kinds, "below")
        else:
            rank = Both(f"在无害{kinds.zh}中常见", f"common among harmless {kinds.en}")
        return [Both(f"{rank.zh}（通常{middle.zh}）", f"{rank.en} (usually {middle.en})")]


def _rank(spec: FeatureSpec, part: str, kinds: Both, side: str) -> Both:
    """Where a value stands among harmless events: for a time ago, earlier or more recent."""
    if spec.what in {"since_first", "since_last"}:
        zh, en = {"above": ("更早", "longer ago than"), "below": ("更近", "more recent than")}[side]
        return Both(f"比{part}的无害{kinds.zh}{zh}", f"{en} at {part} of harmless {kinds.en}")
    zh = {"above": "高于", "below": "低于"}[side]
    return Both(f"{zh}{part}的无害{kinds.zh}", f"{side} {part} of harmless {kinds.en}")


def _habits(spec: FeatureSpec) -> list[tuple[str, float]]:
    """Features that hold the citizen's own habit, and what brings each to our span."""
    if spec.key == "event":
        return [(own.name, 1.0) for own in OWN_OF_EVENT.get(spec.stream, ())]
    if spec.window not in WINDOWS or spec.window == MONTH or spec.what not in COMPARED:
        return []
    span = WINDOWS[spec.window].length_s / WINDOWS[MONTH].length_s
    month = replace(spec, window=MONTH)
    return [(month.name, span if spec.what in {"count", "sum"} else 1.0)]


OWN_OF_EVENT: Final[Mapping[str, tuple[FeatureSpec, ...]]] = {
    "amount": (FeatureSpec("subscriber", "mean", "transfer", MONTH, "amount"),),
    "duration": (FeatureSpec("subscriber", "mean", "call_in", MONTH, "duration"),),
}
"""What an event's own value is normally for this citizen."""
COMPARED: Final = ("count", "sum", "mean", "max", "std", "share")
"""Operations whose 30-day value says what is normal: added up ones by the length of the span."""


def _own_clause(spec: FeatureSpec, own: float) -> Both:
    words = said(own, spec.unit)
    whose = WHOSE.get(spec.key, Both("其平时", "its own 30 days"))
    return Both(f"{whose.zh}约{words.zh}", f"{whose.en}: about {words.en}")


WHOSE: Final[Mapping[str, Both]] = {
    "event": Both("本人近30天平均", "this citizen's 30 days"),
    "subscriber": Both("本人近30天同期平均", "this citizen's 30 days, same span"),
    "account": Both("该账户近30天同期平均", "this account's 30 days, same span"),
}


def _weight(share: float) -> Both:
    part = _percent(abs(share))
    if share < 0:
        return Both(f"占降低分值因素的{part}", f"{part} of what lowered the score")
    return Both(f"占升高分值因素的{part}", f"{part} of what raised the score")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _percent(part: float) -> str:
    return f"{100 * part:.3g}%" if part > 0.99 else f"{part:.0%}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _check_lengths(vector: int, contributions: int, features: int) -> None:
    if not vector == contributions == features:
        raise ModelError(
            f"expected {features} values and as many contributions and one base, found {vector} "
            f"and {contributions}; explain a vector with the features it was read by"
        )
