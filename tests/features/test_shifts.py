"""Shifts by the city's own clock: nights, the days on which clocks change, and their names."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.shifts import Shifts

ZONES = ("Asia/Shanghai", "America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
LAYOUTS = ((0,), (0, 8, 16), (6, 14, 22), (7,), (2, 3, 23))


def found(shifts: Shifts, *moments: datetime) -> list[tuple[date, int]]:
    day, shift = shifts.of(pd.DatetimeIndex(moments).tz_convert("UTC"))
    return [(Shifts.date_of(int(one)), int(at)) for one, at in zip(day, shift, strict=True)]


def by_hand(shifts: Shifts, moment: datetime) -> tuple[date, int]:
    """The last begin, by the wall clock, that is not after the moment."""
    local = moment.astimezone(ZoneInfo(shifts.zone)).replace(tzinfo=None)
    return max(
        (begin, (begin.date(), at))
        for back in (0, 1)
        for at, hour in enumerate(shifts.starts)
        if (begin := datetime.combine(local.date() - timedelta(back), datetime.min.time())
            + timedelta(hours=hour)) <= local
    )[1]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(ZONES),
    st.sampled_from(LAYOUTS),
)
def test_a_moment_falls_in_the_shift_that_began_last(moment, zone, starts) -> None:
    shifts = Shifts(starts, zone)
    assert found(shifts, moment) == [by_hand(shifts, moment)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("starts", LAYOUTS)
def test_a_shift_holds_its_begin_and_not_the_moment_before(zone, starts) -> None:
    shifts = Shifts(starts, zone)
    for day in (date(2026, 3, 8), date(2026, 10, 4), date(2026, 11, 1), date(2026, 7, 1)):
        for at in range(len(shifts)):
            begin = shifts.begin(day, at)
            wall = begin.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            if wall != begin.replace(tzinfo=None):
                continue  # an hour that the clock leaves out
            assert found(shifts, begin) == [(day, at)]
            before = begin.astimezone(UTC) - timedelta(microseconds=1)
            assert found(shifts, before) != [(day, at)]


def test_the_night_belongs_to_the_day_it_begins() -> None:
    shifts = Shifts((6, 14, 22), "Asia/Shanghai")
    zone = ZoneInfo("Asia/Shanghai")
    night = [datetime(2026, 3, 1, 23, tzinfo=zone), datetime(2026, 3, 2, 5, 59, tzinfo=zone)]
    assert found(shifts, *night) == [(date(2026, 3, 1), 2)] * 2
    assert found(shifts, datetime(2026, 3, 2, 6, tzinfo=zone)) == [(date(2026, 3, 2), 0)]


def test_days_on_which_clocks_change_have_all_their_hours() -> None:
    shifts = Shifts((0, 8, 16), "America/Chicago")
    for day, hours in ((date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 5, 1), 24)):
        start = shifts.begin(day).astimezone(UTC)
        moments = [start + timedelta(minutes=30 + 60 * hour) for hour in range(hours)]
        at = found(shifts, *moments)
        assert {one for one, _ in at} == {day}
        counts = [[shift for _, shift in at].count(number) for number in range(3)]
        assert counts == [hours - 16, 8, 8]
        assert found(shifts, start + timedelta(hours=hours))[0][0] == day + timedelta(1)


@pytest.mark.parametrize(
    ("starts", "names", "hours"),
    [
        ((0,), ("00-24",), (24,)),
        ((0, 8, 16), ("00-08", "08-16", "16-24"), (8, 8, 8)),
        ((6, 14, 22), ("06-14", "14-22", "22-06"), (8, 8, 8)),
        ((7, 19), ("07-19", "19-07"), (12, 12)),
        ((23,), ("23-23",), (24,)),
    ],
)
def test_names_and_hours(starts, names, hours) -> None:
    shifts = Shifts(starts)
    assert shifts.names == names
    assert tuple(shifts.hours(at) for at in range(len(shifts))) == hours


@given(st.sets(st.integers(0, 23), min_size=1))
def test_the_shifts_of_a_day_last_a_day(starts) -> None:
    shifts = Shifts(tuple(sorted(starts)))
    assert sum(shifts.hours(at) for at in range(len(shifts))) == 24


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_days_have_numbers(day) -> None:
    assert Shifts.date_of(Shifts.number_of(day)) == day


@pytest.mark.parametrize("starts", [(), (8, 0), (0, 0, 8), (0, 24), (-1, 8)])
def test_hours_out_of_order_are_refused(starts) -> None:
    with pytest.raises(ValueError, match=r"hours from 0 to 23 in ascending order.*\(0, 8, 16\)"):
        Shifts(starts)
