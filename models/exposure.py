"""The exposure report: whether patrols are where incidents are expected, district by district.

A map that sends patrols to a district beyond its share exposes those who live there to more stops,
and finds more there. The report says so before anybody has to ask; it decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BEYOND_MINUTES", "FAIR_RATIO", "DistrictExposure", "ExposureReport", "exposure"]

Floats = NDArray[np.float64]
# The four-fifths rule (US Uniform Guidelines on Employee Selection Procedures, 1978) turned round:
# 1 / 0.8. That it suits patrol minutes is assumed; a city should set its own.
FAIR_RATIO = 1.25
# Less than two stops beyond the share is rounding, whatever the ratio (assumed).
BEYOND_MINUTES = 30.0


@dataclass(frozen=True)
class DistrictExposure:
    """One district's patrols beside what is expected there.

    Attributes
    ----------
    cells
        How many of the map's cells lie in it.
    area_share
        Their share of those of all districts.
    minutes, expected
        Patrol minutes and expected incidents of the period.
    minutes_share, expected_share
        Of all districts'; 0 where there is none.
    ratio
        Share of minutes over share of incidents; None where no incident is expected.
    beyond_minutes
        Minutes above (below 0: under) the district's share.
    residents
        None where unknown.
    residents_share
        Of all districts'; None where those of any are unknown.
    minutes_per_1000, expected_per_1000
        By a thousand residents; None where they are unknown.
    flagged
        Whether it gets more than the threshold times its share.
    """

    name: str
    cells: int
    area_share: float
    minutes: float
    expected: float
    minutes_share: float
    expected_share: float
    ratio: float | None
    beyond_minutes: float
    residents: float | None
    residents_share: float | None
    minutes_per_1000: float | None
    expected_per_1000: float | None
    flagged: bool

    @property
    def said(self) -> tuple[str, str]:
        """The same as a sentence, in Chinese and in English."""
        shares = f"{self.minutes_share:.1%}", f"{self.expected_share:.1%}"
        times = (
            ("无预期警情", "none expected")
            if self.ratio is None
            else (f"{self.ratio:.2f} 倍", f"{self.ratio:.2f} times")
        )
        tail = (
            ("，超出应占份额，请复核", ": beyond its share, please review")
            if self.flagged
            else ("", "")
        )
        return (
            f"{self.name}：占巡逻时间 {shares[0]}，占预期警情 {shares[1]}（{times[0]}）{tail[0]}",
            (
                f"{self.name}: {shares[0]} of patrol time, {shares[1]} of expected incidents "
                f"({times[1]}){tail[1]}"
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        """The district for JSON, with its sentences."""
        zh, en = self.said
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "zh": zh,
            "en": en,
        }


@dataclass(frozen=True)
class ExposureReport:
    """All districts, the most exposed against their share first.

    Parameters
    ----------
    districts : tuple of DistrictExposure
        In the order given.
    threshold : float
        Ratio above which a district is flagged.
    minutes_elsewhere, expected_elsewhere : float
        Patrol minutes and expected incidents of cells that lie in no district.
    """

    districts: tuple[DistrictExposure, ...] = field(repr=False)
    threshold: float
    minutes_elsewhere: float = 0.0
    expected_elsewhere: float = 0.0

    @property
    def ranked(self) -> tuple[DistrictExposure, ...]:
        """By ratio, the largest first; patrols where nothing is expected come before all."""
        return tuple(sorted(self.districts, key=lambda one: -_order(one)))

    @property
    def largest(self) -> DistrictExposure:
        """The district with the largest ratio."""
        return self.ranked[0]

    @property
    def smallest(self) -> DistrictExposure:
        """The district with the smallest ratio."""
        return self.ranked[-1]

    @property
    def flagged(self) -> tuple[DistrictExposure, ...]:
        """Districts beyond the threshold, the largest ratio first."""
        return tuple(one for one in self.ranked if one.flagged)

    @property
    def distance(self) -> float:
        """Share of patrol time that would have to move for all ratios to be 1 (total variation)."""
        apart = sum(abs(one.minutes_share - one.expected_share) for one in self.districts)
        return min(1.0, apart / 2)

    @property
    def columns(self) -> tuple[str, ...]:
        """Heads of `rows`."""
        return (
            "district",
            "patrol minutes",
            "share",
            "expected",
            "share",
            "ratio",
            "per 1,000 residents",
            "",
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Cells of a table for people, in the order of `ranked`."""
        return [
            (
                one.name,
                f"{one.minutes:,.0f}",
                f"{one.minutes_share:.1%}",
                f"{one.expected:,.1f}",
                f"{one.expected_share:.1%}",
                "–" if one.ratio is None else f"{one.ratio:.2f}",
                "–" if one.minutes_per_1000 is None else f"{one.minutes_per_1000:.2f}",
                "review" if one.flagged else "",
            )
            for one in self.ranked
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON, the largest ratio first."""
        return {
            "threshold": self.threshold,
            "distance": self.distance,
            "minutes_elsewhere": self.minutes_elsewhere,
            "expected_elsewhere": self.expected_elsewhere,
            "districts": [one.as_dict() for one in self.ranked],
        }


def exposure(
    names: Sequence[str],
    district: ArrayLike,
    minutes: ArrayLike,
    expected: ArrayLike,
    *,
    residents: ArrayLike | None = None,
    threshold: float = FAIR_RATIO,
) -> ExposureReport:
    """Set patrols beside expected incidents.

    Parameters
    ----------
    names : sequence of str, length d
        The districts.
    district : array of int, shape (n,)
        District of each cell, a position in `names`; -1 where it has none.
    minutes, expected : array of shape (n,)
        Patrol minutes and expected incidents of each cell in the period.
    residents : array of shape (d,), optional
        Residents of each district; not a number where unknown.
    threshold : float
        A district is flagged above so many times its share, if that is more than
        `BEYOND_MINUTES` too much.

    Raises
    ------
    ValueError
        If shapes or signs are wrong, or a district has no name.

    Examples
    --------
    >>> report = exposure(["A", "B"], [0, 0, 1], [60, 60, 60], [3.0, 1.0, 4.0])
    >>> [(one.name, one.ratio, one.flagged) for one in report.ranked]
    [('A', 1.3333333333333333, False), ('B', 0.6666666666666666, False)]
    >>> report = exposure(["A", "B"], [0, 0, 1], [600, 600, 600], [3.0, 1.0, 4.0])
    >>> print(report.largest.said[1])
    A: 66.7% of patrol time, 50.0% of expected incidents (1.33 times): beyond its share, ...
    """
    at = np.asarray(district, np.int64)
    given, awaited = np.asarray(minutes, np.float64), np.asarray(expected, np.float64)
    people = np.full(len(names), np.nan) if residents is None else np.asarray(residents, np.float64)
    _check(names, at, (given, awaited), people)
    inside = at >= 0
    amounts = [
        np.bincount(at[inside], weight[inside], len(names))
        for weight in (np.ones(len(at)), given, awaited)
    ]
    table = np.stack([*amounts, people])  # people are not a number, nor is their sum, if unknown
    whole = table.sum(axis=1)
    return ExposureReport(
        tuple(
            _district(name, own, whole, threshold) for name, own in zip(names, table.T, strict=True)
        ),
        threshold,
        minutes_elsewhere=float(given[~inside].sum()),
        expected_elsewhere=float(awaited[~inside].sum()),
    )


def _district(name: str, own: Floats, whole: Floats, threshold: float) -> DistrictExposure:
    """One district from its cells, minutes, expected incidents and residents, and those of all."""
    cells, minutes, expected, residents = own.tolist()
    area_share, minutes_share, expected_share, residents_share = (
        part / total if total > 0 else 0.0
        for part, total in zip(own.tolist(), whole.tolist(), strict=True)
    )
    beyond = minutes - expected_share * float(whole[1])
    known, all_known = residents > 0, bool(whole[3] > 0)
    return DistrictExposure(
        name=name,
        cells=int(cells),
        area_share=area_share,
        minutes=minutes,
        expected=expected,
        minutes_share=minutes_share,
        expected_share=expected_share,
        ratio=minutes_share / expected_share if expected_share > 0 else None,
        beyond_minutes=beyond,
        residents=residents if known else None,
        residents_share=residents_share if all_known else None,
        minutes_per_1000=float(minutes / residents * 1_000) if known else None,
        expected_per_1000=float(expected / residents * 1_000) if known else None,
        flagged=bool(minutes_share > threshold * expected_share and beyond > BEYOND_MINUTES),
    )


def _order(one: DistrictExposure) -> float:
    if one.ratio is None:
        return np.inf if one.minutes > 0 else -1.0
    return one.ratio


def _check(
    names: Sequence[str], at: NDArray[np.int64], amounts: tuple[Floats, Floats], people: Floats
) -> None:
    if any(one.shape != at.shape for one in amounts) or at.ndim != 1 or len(people) != len(names):
        raise ValueError(
            "expected one district, minutes and expected incidents for each cell and residents "
            f"for each of {len(names)} districts, found shapes {at.shape}, {amounts[0].shape}, "
            f"{amounts[1].shape} and {people.shape}; pass arrays of equal length"
        )
    if not names or at.max(initial=-1) >= len(names) or at.min(initial=0) < -1:
        raise ValueError(
            f"expected districts from -1 to {len(names) - 1}, found {at.min(initial=0)} to "
            f"{at.max(initial=-1)}; name every district"
        )
    if not all(np.isfinite(one).all() and (one >= 0).all() for one in amounts):
        raise ValueError(
            "expected patrol minutes and expected incidents of at least 0, found others; "
            "mend the plan or the surface"
        )
