"""A week's days: a planted weekend and a planted holiday come back, a week keeps its total."""

from datetime import date, timedelta

import numpy as np
import pytest

from features.calendar_days import Calendar
from features.grid import Grid
from features.hotspot import Log
from features.shifts import Shifts
from models.day_profile import DayProfile

FIRST = date(2024, 1, 1)
DAYS = 728
SHIFTS = Shifts((0, 12), "Asia/Shanghai")
CELLS = 9
CALENDAR = Calendar("CN")


def log(weekend: float = 1.0, holiday: float = 1.0, mean: float = 4.0, seed: int = 0) -> Log:
    """Nine cells; the first category alone rises at weekends and on holidays, whole incidents."""
    rng = np.random.default_rng(seed)
    day, kind, cell = [], [], []
    for step in range(DAYS):
        when = FIRST + timedelta(step)
        rate = np.full((2, 2, CELLS), mean / CELLS)
        rate[0] *= weekend if when.weekday() >= 5 else 1.0
        rate[0] *= holiday if CALENDAR.kind(when) == "holiday" else 1.0
        count = rng.poisson(rate).reshape(4, CELLS)
        kind.append(np.repeat(np.repeat(np.arange(4), CELLS), count.ravel()))
        cell.append(np.repeat(np.tile(np.arange(CELLS), 4), count.ravel()))
        day.append(np.full(count.sum(), Shifts.number_of(when)))
    kinds, cells, days = (np.concatenate(one) for one in (kind, cell, day))
    return made(days, kinds // 2, kinds % 2, cells)


def made(day: np.ndarray, category: np.ndarray, shift: np.ndarray, cell: np.ndarray) -> Log:
    across = np.arange(CELLS)
    grid = Grid.over(106.5 + 0.004 * across, np.full(CELLS, 29.5), 250)
    x, y = grid.centres_m()
    return Log(
        grid=grid,
        shifts=SHIFTS,
        categories=("theft", "fight"),
        cell=cell.astype(np.int32),
        category=category.astype(np.int16),
        shift=shift.astype(np.int16),
        day=day.astype(np.int32),
        known_us=day.astype(np.int64) * 86_400_000_000,
        x_m=x[cell],
        y_m=y[cell],
        spot=cell.astype(np.int32),
    )


END = Shifts.number_of(FIRST) + DAYS


def test_a_planted_weekend_comes_back() -> None:
    profile = DayProfile.fit(log(weekend=2.0), END, CALENDAR)
    week = profile.weekday
    assert week[0, :, 5:].mean() / week[0, :, :5].mean() == pytest.approx(2.0, rel=0.15)
    assert week[0, :, 5:].min() > 1.3
    np.testing.assert_allclose(week[1], 1.0, atol=0.12)


def test_a_planted_holiday_comes_back() -> None:
    profile = DayProfile.fit(log(holiday=3.0), END, CALENDAR)
    plain = DayProfile.fit(log(), END, CALENDAR)
    assert profile.kind[0, 2] == pytest.approx(3.0, rel=0.3)
    assert profile.kind[1, 2] == pytest.approx(1.0, abs=0.15)
    assert plain.kind[:, 1:] == pytest.approx(1.0, abs=0.15)
    assert (profile.kind[:, 0] == 1).all()
    spring = date(2026, 2, 17)
    ordinary = date(2026, 3, 17)  # of the same weekday
    ratio = profile.of(spring)[0] / profile.of(ordinary)[0]
    np.testing.assert_allclose(ratio, profile.kind[0, 2])


@pytest.mark.parametrize("weekend", [0.2, 1.0, 5.0])
def test_ratios_of_an_ordinary_week_average_to_one(weekend) -> None:
    profile = DayProfile.fit(log(weekend, mean=0.4), END, CALENDAR)
    week = [date(2026, 3, 9) + timedelta(step) for step in range(7)]
    np.testing.assert_allclose(np.mean([profile.of(day) for day in week], axis=0), 1.0)
    assert min(profile.of(day).min() for day in week) > 0


def test_a_place_with_a_habit_of_its_own_gets_it_and_the_city_keeps_its_total() -> None:
    given = log()
    odd = (given.cell == 0) & (given.category == 0)
    monday = given.day + 4 - (given.day + 7) % 7  # the first cell's all fall on Mondays
    moved = made(np.sort(given.day), given.category, given.shift, given.cell)
    late = np.where(odd, np.minimum(monday, END - 1), given.day)
    order = np.argsort(late, kind="stable")
    moved = made(late[order], given.category[order], given.shift[order], given.cell[order])
    profile = DayProfile.fit(moved, END, Calendar(""))
    week = [date(2025, 12, 29) + timedelta(step) for step in range(7)]
    ratios = np.stack([profile.of_places(moved, day, END) for day in week])
    assert ratios.shape == (7, 2, 2, CELLS)
    assert ratios[0, 0, :, 0].min() > 4
    assert ratios[1:, 0, :, 0].max() < 0.5
    np.testing.assert_allclose(ratios[:, 1].mean(axis=0), 1.0, rtol=0.03)


def test_nothing_known_leaves_every_day_alike() -> None:
    none = np.empty(0, np.int64)
    empty = made(none, none, none, none)
    profile = DayProfile.fit(empty, END, CALENDAR)
    assert (profile.of(date(2026, 2, 17)) == 1).all()
    assert (profile.of_places(empty, date(2026, 2, 17), END) == 1).all()


def test_the_future_is_not_looked_at() -> None:
    given = log(weekend=2.0)
    before = END - 100
    past = given.day < before
    kept = made(given.day[past], given.category[past], given.shift[past], given.cell[past])
    one, two = (DayProfile.fit(which, before, CALENDAR) for which in (given, kept))
    assert one.to_text() == two.to_text()


def test_a_profile_is_the_same_after_json() -> None:
    profile = DayProfile.fit(log(2.0, 3.0), END, Calendar("US", "IL"))
    again = DayProfile.from_text(profile.to_text())
    assert again.to_text() == profile.to_text()
    day = date(2026, 7, 4)
    assert again.of(day).tobytes() == profile.of(day).tobytes()
