"""A reason says how often it was right, once it led enough warnings."""

from dataclasses import replace

import numpy as np
import pytest

from models.reasons import Reason, explain, leading, topic
from models.track_record import FEWEST, TrackRecord


@pytest.fixture
def weights(features) -> np.ndarray:
    """Eight warnings led by the amount, of which three also name the reports."""
    found = np.zeros((8, len(features) + 1))
    found[:, 1] = 1.0
    found[:3, 3] = 2.0
    found[:, 0] = -1.0
    return found


def test_topics_that_lead_are_counted(weights, features) -> None:
    y = np.array([1, 1, 0, 1, 0, 0, 0, -1])
    amount, reports = topic(features.specs[1]), topic(features.specs[3])
    assert leading(weights[0], features) == (reports, amount)
    assert TrackRecord.fit(weights, y, features).counts == {reports: (2, 3), amount: (3, 7)}


def test_only_the_first_three_lead(features) -> None:
    row = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0])
    assert leading(row, features) == tuple(topic(features.specs[at]) for at in (5, 4, 3))


def told(row: np.ndarray, parts) -> tuple[Reason, ...]:
    return explain(np.ones(6), row, "transfer", parts.features, parts.norms)


def test_a_reason_says_how_often_it_was_right(weights, parts, features) -> None:
    record = TrackRecord.fit(weights, np.array([1, 1, 0, 1, 0, 0, 0, 0]), features)
    reports, amount = record.attach(told(weights[0], parts), features)
    assert amount.en.endswith(
        "of what raised the score; right in 3 of the 8 warnings it led lately."
    )
    assert amount.zh.endswith("；近期由它引出的8次预警中3次属实。")
    assert (amount.right, amount.warned) == (3, 8)
    assert reports.warned == 0, f"fewer than {FEWEST} warnings are luck"


def test_what_lowers_a_score_leads_no_warning(weights, parts, features) -> None:
    record = replace(TrackRecord(), counts={topic(features.specs[0]): (9, 9)})
    lowering = told(np.array([-1.0, 0, 0, 0, 0, 0, 0]), parts)
    assert record.attach(lowering, features) == lowering


def test_text_comes_back(weights, features) -> None:
    record = TrackRecord.fit(weights, np.ones(8), features)
    assert TrackRecord.from_text(record.to_text()) == record
    assert TrackRecord.from_text(TrackRecord().to_text()) == TrackRecord()
