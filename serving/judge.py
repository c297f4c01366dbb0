"""From a vector to a decision: score, level and, for a warning, type, stage, reasons, deadline.

Pure computation over a model bundle. One row is scored exactly as it will be scored again when
somebody asks what was known then, so both scores are equal to the bit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.spec import FeatureSet
from models.bundle import Bundle
from models.conditions import Facts
from models.policy import Advice, Level
from models.reasons import explain as reasons_of
from models.rules import Rule, RuleSet, Ruling
from serving import contracts
from serving.rules.standing import Standing
from serving.words import SCAM_TYPES, STAGES

__all__ = ["RULES", "Judge", "Seen"]

Floats = NDArray[np.float64]
RULES = "rules"
"""Named in ``degraded`` when a live rule cannot be read."""


@dataclass(frozen=True)
class Seen:
    """An event as feature state saw it: its vector, and when.

    Parameters
    ----------
    event_id, kind : str
    late : bool
        Known more than five minutes after it happened.
    values : float64 array (p,)
        The vector; NaN means unknown.
    seq : int
        Order of arrival.
    now : datetime
        The clock the vector was read at.
    repeated : bool
        The state had seen this event_id before; the vector is the one of then.
    """

    event_id: str
    kind: str
    late: bool
    values: Floats
    seq: int
    now: datetime
    repeated: bool = False


class Judge:
    """Decides under one bundle.

    Raises
    ------
    BundleError
        If the bundle was trained on other features than these.
    """

    def __init__(self, bundle: Bundle, features: FeatureSet) -> None:
        bundle.require(features)
        self.bundle = bundle
        self.features = features
        self.thresholds: Mapping[str, float] = {
            level.name: threshold
            for level, threshold in zip(bundle.policy.levels, bundle.policy.thresholds, strict=True)
        }

    def scores(self, X: Floats) -> list[tuple[float, float]]:
        """Raw score and calibrated score of each row.

        Calibrated row by row: a product over many rows may round differently from one alone.
        """
        raw = self.bundle.fraud.raw(X)
        apply = self.bundle.calibration.apply
        return [(float(one), float(apply(np.array([one]))[0])) for one in raw]

    def rulings(
        self, rules: RuleSet, facts: Facts, scores: Sequence[tuple[float, float]]
    ) -> list[Ruling]:
        """What rules make of the levels that the model gave."""
        ranks = [self._rank(score) for _, score in scores]
        return rules.rulings(facts, ranks, tuple(self.thresholds))

    def decide(
        self, seen: Sequence[Seen], *, explain: bool, standing: Standing | None = None
    ) -> list[contracts.Decision]:
        """Decisions for events in order; only alerts are explained unless asked.

        Parameters
        ----------
        seen : sequence of Seen
        explain : bool
            Explain them all.
        standing : Standing, optional
            The live rules, and what lists say about these events; None: there are none.
        """
        if not seen:
            return []
        X = np.stack([each.values for each in seen])
        scores = self.scores(X)
        decided_at = datetime.now(UTC)
        rulings = self._ruled(seen, X, scores, standing)
        found = [
            self._decision(each, scored, ruling, decided_at, explain=explain)
            for each, scored, ruling in zip(seen, scores, rulings, strict=True)
        ]
        if standing is not None and standing.broken:
            return [one.model_copy(update={"degraded": (RULES,)}) for one in found]
        return found

    def _ruled(
        self,
        seen: Sequence[Seen],
        X: Floats,
        scores: Sequence[tuple[float, float]],
        standing: Standing | None,
    ) -> list[Ruling]:
        if standing is None:
            return [Ruling(self._rank(score)) for _, score in scores]
        raw, score = np.array(scores).T
        facts = Facts(X, [each.kind for each in seen], raw, score, standing.listed)
        return self.rulings(standing.rules, facts, scores)

    def _rank(self, score: float) -> int:
        cuts = enumerate(self.bundle.policy.thresholds)
        return next((rank for rank, cut in cuts if score >= cut), len(self.thresholds))

    def level_at(self, rank: int) -> Level | None:
        """The level of a rank, None below them all."""
        levels = self.bundle.policy.levels
        return levels[rank] if rank < len(levels) else None

    def _decision(
        self,
        seen: Seen,
        scored: tuple[float, float],
        ruling: Ruling,
        decided_at: datetime,
        *,
        explain: bool,
    ) -> contracts.Decision:
        raw, score = scored
        level = self.level_at(ruling.rank)
        more: dict[str, Any] = {}
        if level is not None or explain or self.bundle.policy.level(score) is not None:
            more = self._explained(seen, level, decided_at)
        return contracts.Decision(
            event_id=seen.event_id,
            score=score,
            raw_score=raw,
            alert=level is not None,
            level=level and self.level(level.name),
            rules=tuple(_matched(rule, made=made) for rule, made in ruling.matched),
            model_version=self.bundle.version,
            features_version=self.bundle.features_digest,
            seq=seen.seq,
            late=seen.late,
            evaluated_at=seen.now,
            decided_at=decided_at,
            **more,
        )

    def _explained(self, seen: Seen, level: Level | None, decided_at: datetime) -> dict[str, Any]:
        X = seen.values[np.newaxis]
        kind = _named(self.bundle.scam_type.probabilities(X)[0], self.bundle.scam_type.labels)
        stage = _named(self.bundle.stage.probabilities(X)[0], self.bundle.stage.labels)
        step = max(stage, key=lambda name: stage[name])
        return {
            "scam_type": contracts.TypeGuess(**_guess(kind, SCAM_TYPES)),
            "stage": contracts.Stage(**_guess(stage, STAGES)),
            "reasons": self._reasons(seen),
            **_advised(None if level is None else level.advice(step), decided_at),
        }

    def _reasons(self, seen: Seen) -> tuple[contracts.Reason, ...]:
        added = self.bundle.fraud.contributions(seen.values[np.newaxis])[0]
        found = reasons_of(seen.values, added, seen.kind, self.features, self.bundle.norms)
        known = self.bundle.track_record.attach(found, self.features)
        return tuple(contracts.Reason(**asdict(reason)) for reason in known)

    @property
    def names(self) -> tuple[str, ...]:
        """Features in the order of the vector."""
        return self.features.names

    @property
    def units(self) -> tuple[str, ...]:
        """Their units."""
        return tuple(spec.unit for spec in self.features)

    def model(self) -> contracts.Model:
        """What is in service, with its card."""
        return contracts.Model(
            version=self.bundle.version,
            features_version=self.bundle.features_digest,
            features=len(self.names),
            levels=tuple(self.level(level.name) for level in self.bundle.policy.levels),
            card=json.loads(self.bundle.card.to_text()),
        )

    def level(self, name: str) -> contracts.Level:
        """A level of the policy, by name."""
        found = next(each for each in self.bundle.policy.levels if each.name == name)
        return contracts.Level(
            name=name,
            zh=found.zh,
            en=found.en,
            colour=found.colour,
            threshold=self.thresholds[name],
        )


def _matched(rule: Rule, *, made: bool) -> contracts.RuleMatch:
    return contracts.RuleMatch(
        name=rule.name,
        version=rule.version,
        effect=rule.effect.value,
        made=made,
        zh=rule.zh,
        en=rule.en,
    )


def _named(shares: Floats, labels: Sequence[str]) -> dict[str, float]:
    return {label: float(share) for label, share in zip(labels, shares, strict=True)}


def _guess(shares: Mapping[str, float], words: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    name = max(shares, key=lambda each: shares[each])
    zh, en = words[name]
    return {"name": name, "zh": zh, "en": en, "probabilities": shares}


def _advised(advice: Advice | None, decided_at: datetime) -> dict[str, Any]:
    if advice is None:
        return {}
    channel = advice.channel
    return {
        "channel": contracts.Channel(name=channel.code, zh=channel.zh, en=channel.en),
        "deadline_s": advice.deadline_s,
        "deadline_at": decided_at + timedelta(seconds=advice.deadline_s),
        "advice_zh": advice.zh,
        "advice_en": advice.en,
    }
