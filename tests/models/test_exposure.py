"""The exposure report: shares that add up, ratios that say who gets too much."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.exposure import FAIR_RATIO, exposure

NAMES = ["甲", "乙", "丙"]
DISTRICT = [0, 0, 1, 2]
amounts = st.lists(st.floats(0, 1e4), min_size=4, max_size=4)


def test_a_district_beyond_its_share_is_flagged() -> None:
    report = exposure(NAMES, DISTRICT, [300, 300, 100, 100], [1.0, 1.0, 1.0, 1.0])
    assert report.largest.name == "甲"
    assert report.largest.ratio == pytest.approx(1.5)
    assert [one.name for one in report.flagged] == ["甲"]
    assert report.smallest.ratio == pytest.approx(0.5)
    assert report.distance == pytest.approx(0.25)
    assert report.largest.beyond_minutes == pytest.approx(200)


def test_less_than_two_stops_too_much_is_rounding() -> None:
    report = exposure(NAMES, DISTRICT, [15, 15, 0, 0], [1.0, 1.0, 1.0, 1.0])
    assert report.largest.ratio == pytest.approx(2.0)
    assert not report.flagged


def test_patrols_where_nothing_is_expected_come_first_and_are_flagged() -> None:
    report = exposure(NAMES, DISTRICT, [0, 0, 100, 300], [1.0, 1.0, 1.0, 0.0])
    assert (report.largest.name, report.largest.ratio, report.largest.flagged) == ("丙", None, True)
    assert report.smallest.name == "甲"
    assert "无预期警情" in report.largest.said[0]


def test_residents_are_used_where_known() -> None:
    report = exposure(NAMES, DISTRICT, [60] * 4, [1.0] * 4, residents=[2_000, np.nan, 1_000])
    per_1000 = {one.name: one.minutes_per_1000 for one in report.districts}
    assert per_1000 == {"甲": pytest.approx(60), "乙": None, "丙": pytest.approx(60)}
    assert {row[0]: row[6] for row in report.rows()}["乙"] == "–"
    assert {one.residents_share for one in report.districts} == {None}
    known = exposure(NAMES, DISTRICT, [60] * 4, [1.0] * 4, residents=[2_000, 1_000, 1_000])
    assert [one.residents_share for one in known.districts] == [0.5, 0.25, 0.25]
    assert [one.area_share for one in known.districts] == [0.5, 0.25, 0.25]


def test_a_plan_without_minutes_and_a_city_without_incidents_are_no_error() -> None:
    for minutes, expected in (([0] * 4, [1] * 4), ([60] * 4, [0] * 4), ([0] * 4, [0] * 4)):
        report = exposure(NAMES, DISTRICT, minutes, expected)
        json.dumps(report.as_dict(), allow_nan=False)
        assert len(report.rows()) == len(NAMES)
        assert len(report.columns) == len(report.rows()[0])


def test_cells_of_no_district_are_left_out() -> None:
    some = exposure(NAMES, [0, 1, 2, -1], [10, 20, 30, 999], [1, 2, 3, 999])
    assert [one.ratio for one in some.districts] == [pytest.approx(1.0)] * 3
    assert (some.minutes_elsewhere, some.expected_elsewhere) == (999, 999)


def test_sentences_are_in_both_languages() -> None:
    zh, en = exposure(NAMES, DISTRICT, [600, 600, 100, 100], [1.0] * 4).largest.said
    assert zh.startswith("甲：占巡逻时间 85.7%")
    assert "请复核" in zh
    assert "please review" in en


@settings(deadline=None)
@given(amounts, amounts)
def test_shares_add_up_and_scale_does_not_matter(
    minutes: list[float], expected: list[float]
) -> None:
    report = exposure(NAMES, DISTRICT, minutes, expected)
    for name, total in (("minutes_share", sum(minutes)), ("expected_share", sum(expected))):
        whole = sum(getattr(one, name) for one in report.districts)
        assert whole == pytest.approx(1.0 if total > 0 else 0.0)
    assert 0 <= report.distance <= 1 + 1e-9
    doubled = exposure(NAMES, DISTRICT, minutes, [2 * one for one in expected])
    assert [one.expected_share for one in doubled.districts] == pytest.approx(
        [one.expected_share for one in report.districts]
    )
    assert all(one.minutes_share > FAIR_RATIO * one.expected_share for one in report.flagged)


@settings(deadline=None)
@given(amounts.filter(lambda given: sum(given) > 1))
def test_patrols_in_proportion_are_never_flagged(expected: list[float]) -> None:
    report = exposure(NAMES, DISTRICT, [7 * one for one in expected], expected)
    assert not report.flagged
    assert report.distance == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("district", "minutes", "expected", "said"),
    [
        ([0, 1], [1.0], [1.0, 1.0], "expected one district, minutes and expected incidents"),
        ([0, 3], [1.0, 1.0], [1.0, 1.0], "expected districts from -1 to 2, found 0 to 3"),
        ([0, -2], [1.0, 1.0], [1.0, 1.0], "found -2 to 0"),
        ([0, 1], [-1.0, 1.0], [1.0, 1.0], "of at least 0, found others"),
        ([0, 1], [1.0, 1.0], [np.nan, 1.0], "of at least 0, found others"),
    ],
)
def test_wrong_tables_are_refused(
    district: list[int], minutes: list[float], expected: list[float], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        exposure(NAMES, district, minutes, expected)
