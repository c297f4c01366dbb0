"""Bands of ranks: how much of a place on the map is an assumption about reporting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.reporting import extreme_ranks, rank_bands

counts = st.lists(st.floats(0, 100), min_size=1, max_size=30).map(np.array)
shares = st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)).map(sorted)


def test_equal_reporting_moves_nothing() -> None:
    bands = rank_bands([5.0, 3.0, 1.0], 0.4, 0.4)
    assert bands.rank.tolist() == bands.best.tolist() == bands.worst.tolist() == [1, 2, 3]
    assert not bands.crosses(0.34).any()
    assert bands.sure(0.34).tolist() == [True, False, False]


def test_cells_near_the_line_cross_it_and_others_do_not() -> None:
    expected = np.concatenate([np.full(5, 100.0), np.linspace(6, 5, 10), np.full(85, 0.1)])
    bands = rank_bands(expected)
    assert np.flatnonzero(bands.crosses(0.1)).tolist() == list(range(5, 15))
    assert np.flatnonzero(bands.sure(0.1)).tolist() == list(range(5))


def test_a_district_that_may_report_less_may_lie_higher() -> None:
    expected = np.array([4.0, 4.0, 3.0, 3.0])
    low, high = np.array([0.5, 0.5, 0.2, 0.2]), np.array([0.5, 0.5, 0.5, 0.5])
    bands = rank_bands(expected, low, high, group=[0, 0, 1, 1], draws=400)
    assert bands.best.tolist()[2:] == [1, 2]
    assert bands.worst.tolist()[:2] == [3, 4]
    assert bands.crosses(0.5).all()


def test_cells_of_one_district_keep_their_order() -> None:
    expected = np.linspace(10, 1, 20)
    bands = rank_bands(expected, group=np.zeros(20))
    assert np.array_equal(bands.best, bands.worst)


def test_what_is_said() -> None:
    bands = rank_bands([9.0, 8.0, 1.0, 0.1], 0.3, 0.5)
    zh, en = bands.said(0, 0.25)
    assert zh.startswith("按接报排第 1 位，计入漏报后在第 1 至 2 位之间：")
    assert zh.endswith("是否在前 25.0% 取决于报案率假设，不能单凭此安排")
    assert en.endswith("not to be planned on alone")
    assert "都不在前 25.0%" in bands.said(3, 0.25)[0]
    assert "都在前 100.0%" in bands.said(3, 1.0)[0]


@settings(deadline=None)
@given(counts, shares, st.floats(0.01, 1))
def test_bands_hold_the_rank_and_lie_within_the_extremes(
    expected: np.ndarray, share: list[float], coverage: float
) -> None:
    bands = rank_bands(expected, *share, draws=20)
    best, worst = extreme_ranks(expected, *share)
    assert sorted(bands.rank.tolist()) == list(range(1, len(expected) + 1))
    assert (bands.best <= bands.rank).all()
    assert (bands.rank <= bands.worst).all()
    assert (best <= bands.best).all()
    assert (bands.worst <= worst).all()
    assert not (bands.sure(coverage) & bands.crosses(coverage)).any()


@settings(deadline=None)
@given(counts, shares)
def test_extremes_are_what_counting_says(expected: np.ndarray, share: list[float]) -> None:
    low, high = share
    best, worst = extreme_ranks(expected, low, high)
    for cell, count in enumerate(expected):
        others = np.delete(expected, cell)
        assert best[cell] == 1 + (others / high > count / low).sum()
        assert worst[cell] == 1 + (others / low >= count / high).sum()


@settings(deadline=None)
@given(counts, shares)
def test_a_wider_range_widens_the_extremes(expected: np.ndarray, share: list[float]) -> None:
    low, high = share
    best, worst = extreme_ranks(expected, low, high)
    wider_best, wider_worst = extreme_ranks(expected, low / 2, min(1.0, high * 2))
    assert (wider_best <= best).all()
    assert (wider_worst >= worst).all()


def test_the_same_seed_gives_the_same_bands() -> None:
    expected = np.random.default_rng(2).gamma(0.5, size=300)
    first, again = (rank_bands(expected, seed=9) for _ in range(2))
    assert np.array_equal(first.best, again.best)
    assert np.array_equal(first.worst, again.worst)


@pytest.mark.parametrize(
    ("expected", "low", "high", "more", "said"),
    [
        ([-1.0], 0.2, 0.4, {}, "expected one count of at least 0"),
        ([np.nan], 0.2, 0.4, {}, "expected one count of at least 0"),
        ([1.0], 0.0, 0.4, {}, "expected shares reported with 0 < low <= high <= 1"),
        ([1.0], 0.5, 0.4, {}, "expected shares reported with 0 < low <= high <= 1"),
        ([1.0], 0.5, 1.4, {}, "expected shares reported with 0 < low <= high <= 1"),
        ([1.0], 0.2, 0.4, {"draws": 0}, "expected at least one draw"),
        ([1.0, 2.0], 0.2, 0.4, {"group": [1]}, "expected a group for each of 2 cells, found 1"),
    ],
)
def test_impossible_questions_are_refused(
    expected: list[float], low: float, high: float, more: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        rank_bands(expected, low, high, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("coverage", [0.0, 1.1, np.nan])
def test_a_coverage_out_of_range_is_refused(coverage: float) -> None:
    bands = rank_bands([2.0, 1.0])
    for asked in (bands.crosses, bands.sure, lambda share: bands.said(0, share)):
        with pytest.raises(ValueError, match="expected a coverage above 0 and at most 1"):
            asked(coverage)
