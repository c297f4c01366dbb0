"""Times as files of incidents write them: with or without an offset, a clock, or even an hour.

A time without an offset is read on the city's clock. One that the clock skips in spring is the
first moment after the gap, one that it shows twice in autumn is the first of the two. A day
without an hour stands at local noon, which is that day by the clock of any shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.columns import TableError

__all__ = ["DAY_US", "TIME_FORMS", "Times", "day_first_in", "read_times"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DAY_US = 86_400_000_000
SECOND_US = 1_000_000
NAIVE = np.iinfo(np.int64).min  # stands for an offset that was not written

CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp]\.?[Mm]\.?)?"
)
OFFSET = r" ?(?:(?P<zulu>[Zz]|UTC|GMT)|(?P<sign>[+-])(?P<east>\d{2}):?(?P<past>\d{2})?)?"
YEAR, ONE, TWO = r"(?P<year>\d{4})", r"(?P<one>\d{1,2})", r"(?P<two>\d{1,2})"
YEAR_FIRST = rf"^{YEAR}[-/.]{ONE}[-/.]{TWO}(?:[T ]+{CLOCK}{OFFSET})?$"
YEAR_LAST = rf"^{ONE}[-/.]{TWO}[-/.]{YEAR}(?:[T ]+{CLOCK}{OFFSET})?$"
TIME_FORMS = "2026-03-01T10:00:00+08:00, 2026-03-01 10:00, 03/01/2026 10:00:00 AM or 2026-03-01"


@dataclass(frozen=True)
class Times:
    """A column of times as it was written.

    Attributes
    ----------
    wall : array of int64, shape (n,)
        Microseconds since 1970 as the writer's clock showed them.
    offset : array of int64, shape (n,)
        That clock's microseconds ahead of UTC; the smallest integer where nobody said.
    readable : array of bool, shape (n,)
        Where there is a time at all.
    undated : array of bool, shape (n,)
        Where a day was written and no hour.

    Examples
    --------
    >>> times = read_times(pa.array(["2026-03-01 10:00", "2026-03-01", "2026-03-01T02:00Z", "?"]))
    >>> pd.to_datetime(times.moments("Asia/Shanghai")[:3], unit="us").strftime("%d %H:%M").tolist()
    ['01 02:00', '01 04:00', '01 02:00']
    >>> times.readable.tolist(), times.days.tolist()
    ([True, True, True, False], [False, True, False, False])
    """

    wall: Ints
    offset: Ints
    readable: Mask
    undated: Mask

    def __len__(self) -> int:
        return len(self.wall)

    @property
    def days(self) -> Mask:
        """Where only the day is known: no hour was written, or every hour is midnight."""
        midnight = self.wall % DAY_US == 0
        if midnight[self.readable].all():
            return self.readable
        return self.undated

    def moments(self, zone: str, days: Mask | None = None) -> Ints:
        """Microseconds since 1970 UTC, 0 where unreadable; a day alone is its noon in the zone.

        Parameters
        ----------
        zone : str
            IANA name of the city's zone.
        days : array of bool, shape (n,), optional
            Where only the day counts; by default `days`.
        """
        days = self.days if days is None else days
        wall = np.where(days, self.wall // DAY_US * DAY_US + DAY_US // 2, self.wall)
        return self._in_utc(wall, days, zone)

    def ends(self, zone: str, days: Mask | None = None) -> Ints:
        """Like `moments`, but a day alone is its last second."""
        days = self.days if days is None else days
        wall = np.where(days, (self.wall // DAY_US + 1) * DAY_US, self.wall)
        return self._in_utc(wall, days, zone) - np.where(days, SECOND_US, 0)

    def _in_utc(self, wall: Ints, days: Mask, zone: str) -> Ints:
        naive = self.readable & (days | (self.offset == NAIVE))
        found = np.where(self.readable & ~naive, wall - np.where(naive, 0, self.offset), 0)
        found[naive] = _in_utc(wall[naive], zone)
        return found

    @classmethod
    def joined(cls, parts: Sequence["Times"]) -> "Times":
        """One column of several."""
        names = ("wall", "offset", "readable", "undated")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _in_utc(wall: Ints, zone: str) -> Ints:
    """Microseconds since 1970 UTC of what a zone's clock showed."""
    clock = pd.DatetimeIndex(wall.astype("datetime64[us]"))
    local = clock.tz_localize(
        zone, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward"
    )
    return local.tz_convert("UTC").as_unit("us").asi8


def read_times(values: pa.Array, day_first: bool | None = None) -> Times:
    """Read a column of text, timestamps or dates.

    Parameters
    ----------
    values : array of shape (n,)
        Null and what is no time are marked as unreadable. Bare numbers are no times: they could
        be seconds or milliseconds.
    day_first : bool, optional
        Whether 03/04/2026 is in April; by default the column's own days tell (see `day_first_in`).

    Raises
    ------
    TableError
        If days and months cannot be told apart.
    """
    if pa.types.is_dictionary(values.type):
        return _taken(read_times(values.dictionary, day_first), values.indices)
    if pa.types.is_timestamp(values.type):
        return _of_timestamps(values)
    if pa.types.is_date(values.type):
        return _of_dates(values)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        coded = pc.utf8_trim_whitespace(values).dictionary_encode()
        first = day_first_in(coded.dictionary) if day_first is None else day_first
        return _taken(_of_texts(coded.dictionary, first), coded.indices)
    return _nothing(len(values))


def day_first_in(texts: pa.Array) -> bool | None:
    """Whether texts such as 03/04/2026 begin with the day: what exceeds 12 cannot be a month.

    Returns
    -------
    bool or None
        None where no text is of that form.

    Raises
    ------
    TableError
        If most are, none exceeds 12, and none says AM or PM as Americans do.

    Examples
    --------
    >>> day_first_in(pa.array(["03/04/2026", "14/04/2026"])), day_first_in(pa.array(["2026-03-04"]))
    (True, None)
    """
    parts = pc.drop_null(pc.extract_regex(texts, YEAR_LAST))
    if len(parts) == 0:
        return None
    one, two = (_numbers(parts, name) for name in ("one", "two"))
    as_day, as_month = int((one > 12).sum()), int((two > 12).sum())
    if as_day != as_month:
        return as_day > as_month
    if pc.any(pc.not_equal(pc.struct_field(parts, "half"), "")).as_py():
        return False
    if 2 * len(parts) < len(texts):
        return None
    raise TableError(
        "expected dates whose day is above 12 somewhere, found none that tells 03/04 from 04/03; "
        "say which comes first with day_first"
    )


def _of_texts(texts: pa.Array, day_first: bool | None) -> Times:
    times = _parsed(texts, YEAR_FIRST, day_first=False)
    rest = np.flatnonzero(~times.readable)
    if day_first is None or len(rest) == 0:
        return times
    others = _parsed(texts.take(pa.array(rest)), YEAR_LAST, day_first=day_first)
    for name in ("wall", "offset", "readable", "undated"):
        getattr(times, name)[rest] = getattr(others, name)
    return times


def _parsed(texts: pa.Array, form: str, *, day_first: bool) -> Times:
    parts = pc.extract_regex(texts, form)
    matched = parts.is_valid().to_numpy(zero_copy_only=False)
    times = _nothing(len(texts))
    parts = parts.filter(pa.array(matched))
    month, day = (_numbers(parts, name) for name in ("one", "two"))
    if day_first:
        month, day = day, month
    date_us, on_calendar = _dates(_numbers(parts, "year"), month, day)
    clock_us, on_clock = _clocks(parts)
    times.wall[matched] = date_us + clock_us
    times.offset[matched] = _offsets(parts)
    times.readable[matched] = on_calendar & on_clock
    times.undated[matched] = _said(parts, "hour") == ""
    return times


def _dates(year: Ints, month: Ints, day: Ints) -> tuple[Ints, Mask]:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[D]").astype(np.int64) - first
    good = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    return (first + day - 1) * DAY_US, good


def _clocks(parts: pa.StructArray) -> tuple[Ints, Mask]:
    hour, minute, second = (_numbers(parts, name) for name in ("hour", "minute", "second"))
    half = _said(parts, "half")
    twelve = half != ""
    good = (minute < 60) & (second < 60) & np.where(twelve, (hour >= 1) & (hour <= 12), hour < 24)
    afternoon = np.char.lower(half.astype(np.str_))
    hour = np.where(twelve, hour % 12 + 12 * np.char.startswith(afternoon, "p"), hour)
    fraction = pc.utf8_slice_codeunits(
        pc.utf8_rpad(pc.struct_field(parts, "fraction"), 6, "0"), 0, 6
    )
    clock = ((hour * 60 + minute) * 60 + second) * SECOND_US
    return clock + fraction.cast(pa.int64()).to_numpy(), good


def _offsets(parts: pa.StructArray) -> Ints:
    ahead = (_numbers(parts, "east") * 60 + _numbers(parts, "past")) * 60 * SECOND_US
    sign = _said(parts, "sign")
    written = (sign != "") | (_said(parts, "zulu") != "")
    return np.where(written, np.where(sign == "-", -ahead, ahead), NAIVE)


def _of_timestamps(values: pa.Array) -> Times:
    readable = values.is_valid().to_numpy(zero_copy_only=False)
    times = _nothing(len(values))
    utc = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
    moments = utc.fill_null(0).to_numpy()
    wall = moments
    if values.type.tz is not None:
        index = pd.DatetimeIndex(moments.astype("datetime64[us]")).tz_localize("UTC")
        local = index.tz_convert(values.type.tz).tz_localize(None)
        wall = local.as_unit("us").asi8
        times.offset[:] = wall - moments
    times.wall[:] = wall
    times.readable[:] = readable
    return times


def _of_dates(values: pa.Array) -> Times:
    times = _nothing(len(values))
    days = values.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy().astype(np.int64)
    times.wall[:] = days * DAY_US
    times.readable[:] = values.is_valid().to_numpy(zero_copy_only=False)
    times.undated[:] = times.readable
    return times


def _nothing(count: int) -> Times:
    return Times(
        wall=np.zeros(count, np.int64),
        offset=np.full(count, NAIVE),
        readable=np.zeros(count, dtype=bool),
        undated=np.zeros(count, dtype=bool),
    )


def _taken(times: Times, indices: pa.Array) -> Times:
    """The times of a dictionary, row by row; a null row is unreadable."""
    absent = indices.is_null().to_numpy(zero_copy_only=False)
    if len(times) == 0:
        return _nothing(len(indices))
    at = indices.fill_null(0).to_numpy()
    return Times(
        times.wall[at], times.offset[at], times.readable[at] & ~absent, times.undated[at] & ~absent
    )


def _said(parts: pa.StructArray, name: str) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = pc.struct_field(parts, name).to_numpy(zero_copy_only=False)
    return texts


def _numbers(parts: pa.StructArray, name: str) -> Ints:
    """Digits of a group; 0 where the text has none."""
    digits = pc.struct_field(parts, name)
    numbers: Ints = pc.if_else(pc.equal(digits, ""), "0", digits).cast(pa.int64()).to_numpy()
    return numbers
