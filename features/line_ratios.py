"""Rates, shares and trends of a line, each derived from two of its columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.line_columns import LINE_COLUMNS, LineColumn

__all__ = ["LINE_RATIOS", "LineRatio"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LineRatio:
    """Two columns and how they are put together; name and sentence follow.

    Parameters
    ----------
    left, right : str
        Names in `LINE_COLUMNS`.
    how : str
        "per" (quotient), "minus" (difference) or "spread" (root of a variance by its mean).

    Examples
    --------
    >>> LineRatio("opposite_count", "opposite_unique").of(np.array([6.0, 1.0]), np.array([2.0, 0]))
    array([ 3., nan])
    """

    left: str
    right: str
    how: str = "per"

    def of(self, left: Floats, right: Floats) -> Floats:
        """The value for each line; NaN where it has none."""
        return _HOW[self.how](left, right)

    @property
    def column(self) -> LineColumn:
        """Name, unit and sentence."""
        left, right = LINE_COLUMNS[self.left], LINE_COLUMNS[self.right]
        zh, en = _SAID[self.how]
        unit = left.unit if self.how == "minus" else "1"
        return LineColumn(
            f"{self.left}.{self.how}.{self.right}",
            left.topic,
            unit,
            zh.format(left.zh, right.zh),
            en.format(left.en, right.en),
        )


def _per(left: Floats, right: Floats) -> Floats:
    found: Floats = np.where(right > 0, left / np.where(right > 0, right, 1.0), np.nan)
    return found


def _minus(left: Floats, right: Floats) -> Floats:
    return left - right


def _spread(left: Floats, right: Floats) -> Floats:
    return _per(np.sqrt(np.maximum(left, 0.0)), right)


_HOW: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "per": _per,
    "minus": _minus,
    "spread": _spread,
}
_SAID: Mapping[str, tuple[str, str]] = {
    "per": ("{0}与{1}之比", "{0}, divided by {1}"),
    "minus": ("{0}减{1}", "{0}, less {1}"),
    "spread": ("{0}（相对{1}）", "{0}, relative to {1}"),
}

LINE_RATIOS = (
    *(
        LineRatio(left, "month_ids")
        for left in ("opposite_count", "opposite_unique", "arpu_sum", "imeis", "busi_count")
    ),
    *(
        LineRatio(left, "opposite_count")
        for left in (
            "sms_count",
            "arpu_sum",
            "phone2opposite_max",
            "voc_hour_mode_count",
            "voc_day_mode_count",
        )
    ),
    LineRatio("hour_mode_count", "sms_count"),
    LineRatio("day_mode_count", "sms_count"),
    LineRatio("opposite_count", "voc_day_nunique"),
    LineRatio("sms_count", "day_nunique"),
    LineRatio("phone2opposite_mean", "phone2opposite_median"),
    LineRatio("phone2oppo_sum_max", "phone2oppo_sum_mean"),
    LineRatio("call_dur_mean", "call_dur_median"),
    LineRatio("call_dur_max", "call_dur_mean"),
    LineRatio("city_name_nunique", "imeis"),
    LineRatio("flow_sum", "busi_count"),
    LineRatio("arpu_sum", "flow_sum"),
    LineRatio("arpu_max", "arpu_mean"),
    LineRatio("arpu_min", "arpu_mean"),
    LineRatio("arpu_var", "arpu_mean", "spread"),
    LineRatio("flow_var", "flow_mean", "spread"),
    LineRatio("arpu_mean", "arpu_median", "minus"),
    LineRatio("opposite_count", "voccalltype1", "minus"),
    LineRatio("sms_count", "calltype_2", "minus"),
    LineRatio("day_nunique", "voc_day_nunique", "minus"),
    LineRatio("hour_nunique", "voc_hour_nunique", "minus"),
)
"""What a fraudster's line shows in its rhythm: short life, few repeats, bursts, uneven bills."""
