"""What the model did lately, counted from recorded decisions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.bundle import Bundle, load
from models.signing import PublicKey
from serving.decisions import DECISIONS
from serving.lately import FEWEST, Day, Lately, lately

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)  # ten o'clock in the city
ZONE = "Asia/Shanghai"


@pytest.fixture(scope="module")
def bundle(bundle_at: tuple[Path, Path]) -> Bundle:
    folder, key = bundle_at
    return load(folder, PublicKey.from_file(key), try_first=False)


@pytest.fixture
def found(database: Any, bundle: Bundle) -> Callable[..., Lately]:
    """What is found after these decisions: hours before now, citizen, level, score."""

    def ask(*decided: tuple[float, str, str | None, float], of: Bundle = bundle) -> Lately:
        rows = [_row(number, one, bundle) for number, one in enumerate(decided)]

        async def asked(connection: AsyncConnection) -> Lately:
            if rows:
                await connection.execute(insert(DECISIONS), rows)
            return await lately(connection, of, NOW, ZONE)

        database.empty("decisions")
        return database.within(asked)  # type: ignore[no-any-return]

    return ask


def _row(number: int, one: tuple[float, str, str | None, float], bundle: Bundle) -> dict[str, Any]:
    hours, citizen, level, score = one
    at = NOW - timedelta(hours=hours)
    return {
        "event_id": f"e{number}", "seq": number, "subscriber": citizen, "kind": "call",
        "decided_at": at, "evaluated_at": at, "raw_score": 0.0, "score": score, "level": level,
        "model_version": bundle.version, "features_version": "f", "vector": b"",
        "thresholds": {}, "answer": {},
    }  # fmt: skip


def test_a_citizen_counts_once_a_day_at_his_most_urgent_level(found: Any) -> None:
    told = found(
        (12, "a", "blue", 0.02),
        (13, "a", "red", 0.4),
        (14, "b", None, 0.001),
        (40, "b", "yellow", 0.1),
        (1, "c", "red", 0.5),  # today is not over
        (24 * 16, "d", "red", 0.5),
    )
    assert told.days == (
        Day(date(2026, 3, 8), {"yellow": 1}),
        Day(date(2026, 3, 9), {"red": 1}),
    )
    assert told.mean_per_day == 1.0


def test_scores_lie_in_the_bands_of_the_card(found: Any, bundle: Bundle) -> None:
    told = found((12, "a", None, 0.0), (12, "b", None, 1e-4), (12, "c", "red", 1.0))
    assert told.scores == (1, 1, 0, 0, 0, 0, 0, 0, 1)
    older = replace(bundle, card=replace(bundle.card, curves={}))
    assert "keeps no scores" in found((12, "a", None, 0.0), of=older).sentences[1][1]


def test_nothing_decided_is_said_to_be_nothing(found: Any) -> None:
    told = found()
    assert told.mean_per_day is None
    assert [en for _, en in told.sentences] == [
        "No whole day of decisions lately: nothing to compare with training.",
        f"0 scores lately, fewer than {FEWEST}: their spread is not compared.",
    ]


@pytest.mark.parametrize(
    ("lately_seen", "words"),
    [((600, 400), "as when trained"), ((750, 250), "somewhat"), ((950, 50), "look at the sources")],
)
def test_drift_in_words(lately_seen: tuple[int, ...], words: str) -> None:
    days = (Day(date(2026, 3, 9), {"red": 100}),)
    told = Lately(days, 10.0, lately_seen, (0.55, 0.45))
    assert words in told.sentences[1][1]
    assert "far more" in told.sentences[0][1]
