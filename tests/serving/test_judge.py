"""Decisions from vectors: levels, reasons only where due, scores that repeat to the bit."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from features.fraud import FRAUD_FEATURES, TRANSFER_FEATURES
from models.bundle import BundleError
from models.policy import Policy
from serving.judge import Judge, Seen
from serving.shelf import Shelf
from serving.words import SCAM_TYPES, STAGES

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def judge(bundle_at: tuple[Path, Path]) -> Judge:
    return Shelf(*bundle_at, FRAUD_FEATURES).champion(try_first=True)


def seen(duration: float, foreign: float, name: str = "e1") -> Seen:
    values = np.zeros(len(FRAUD_FEATURES))
    values[::7] = np.nan
    values[FRAUD_FEATURES.names.index("event.duration.value")] = duration
    values[FRAUD_FEATURES.names.index("event.foreign.value")] = foreign
    return Seen(name, "call", False, values, 7, NOW)


def test_an_alert_says_all_that_is_needed_to_act(judge: Judge) -> None:
    (decision,) = judge.decide([seen(1_800, 1)], explain=False)
    assert decision.alert
    assert decision.level is not None
    assert decision.score is not None
    assert decision.score >= decision.level.threshold
    assert decision.level.zh
    assert decision.scam_type is not None
    assert sum(decision.scam_type.probabilities.values()) == pytest.approx(1)
    assert set(decision.scam_type.probabilities) == set(SCAM_TYPES)
    assert decision.stage is not None
    assert set(decision.stage.probabilities) == set(STAGES)
    assert decision.reasons
    assert {reason.feature for reason in decision.reasons} & {
        "event.duration.value",
        "event.foreign.value",
    }
    assert all(reason.zh and reason.en and reason.clears_zh for reason in decision.reasons)
    assert decision.channel is not None
    assert decision.deadline_s is not None
    assert decision.deadline_at is not None
    assert (decision.deadline_at - decision.decided_at).total_seconds() == decision.deadline_s


def test_an_ordinary_event_is_not_explained_unless_asked(judge: Judge) -> None:
    (quiet,) = judge.decide([seen(60, 0)], explain=False)
    assert not quiet.alert
    assert quiet.level is quiet.scam_type is quiet.stage is quiet.channel is None
    assert quiet.reasons == ()
    (asked,) = judge.decide([seen(60, 0)], explain=True)
    assert asked.scam_type is not None
    assert asked.reasons
    assert asked.channel is None
    assert (asked.score, asked.raw_score) == (quiet.score, quiet.raw_score)


def test_a_score_is_the_same_alone_and_among_others_to_the_bit(judge: Judge) -> None:
    crowd = [seen(float(29 * place), place % 2, f"e{place}") for place in range(120)]
    together = judge.decide(crowd, explain=False)
    for one, among in zip(crowd, together, strict=True):
        ((raw, score),) = judge.scores(one.values[np.newaxis])
        assert (raw, score) == (among.raw_score, among.score)


def test_nothing_is_decided_about_nothing(judge: Judge) -> None:
    assert judge.decide([], explain=True) == []


def test_a_bundle_of_other_features_is_refused(bundle_at: tuple[Path, Path]) -> None:
    with pytest.raises(BundleError, match="expected features"):
        Shelf(*bundle_at, TRANSFER_FEATURES).champion()


def test_the_shelf_finds_a_version_by_its_hash_and_knows_what_it_has_not(
    bundle_at: tuple[Path, Path], judge: Judge
) -> None:
    shelf = Shelf(*bundle_at, FRAUD_FEATURES)
    found = shelf.version(judge.bundle.version)
    assert found is not None
    assert found.bundle.version == judge.bundle.version
    assert shelf.version("0" * 16) is None


def test_every_level_has_its_threshold(judge: Judge) -> None:
    policy: Policy = judge.bundle.policy
    assert list(judge.thresholds.values()) == list(policy.thresholds)
    model = judge.model()
    assert [level.name for level in model.levels] == [level.name for level in policy.levels]
    assert model.card["title"] == "Test"
