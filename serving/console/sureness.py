"""How sure a cell's numbers are, as a picture: two lines with their intervals, in its own units.

The same numbers stand beside it in words; the picture only lets an eye compare them.
"""

from dataclasses import dataclass
from math import log

from serving.hotspot_contracts import Explanation

__all__ = ["WIDTH", "Line", "Sureness"]

WIDTH = 300.0
"""Of the drawing, in units of its view box."""


@dataclass(frozen=True)
class Line:
    """A value with its intervals, from the left.

    Parameters
    ----------
    value : float
        Where the value is.
    inner : (float, float)
        Begin and length of its interval.
    mark : float, optional
        Where the usual is.
    thin : (float, float), optional
        Begin and length of the interval for another reason.
    """

    value: float
    inner: tuple[float, float]
    mark: float | None = None
    thin: tuple[float, float] | None = None


@dataclass(frozen=True)
class Sureness:
    """The two lines of a cell: expected incidents from 0; rank from 1, each tenfold as long.

    Examples
    --------
    >>> round(_rank(1, 1000)), round(_rank(10, 1000)), round(_rank(1000, 1000))
    (0, 100, 300)
    """

    expected: Line
    rank: Line
    most: float
    cells: int

    @classmethod
    def of(cls, told: Explanation, cells: int) -> "Sureness":
        """The picture of an explanation.

        Parameters
        ----------
        told : Explanation
        cells : int
            How many the city has.
        """
        most = max(told.high, told.usual, told.expected, 1e-9)
        low, high, value, usual = (
            WIDTH * each / most for each in (told.low, told.high, told.expected, told.usual)
        )
        best, worst, rank = (
            _rank(each, cells) for each in (told.rank_low, told.rank_high, told.rank)
        )
        ends = [_rank(each, cells) for each in told.rank_if_reporting_differs]
        return cls(
            Line(value, (low, high - low), mark=usual),
            Line(rank, (best, worst - best), thin=(ends[0], ends[1] - ends[0])),
            most,
            cells,
        )


def _rank(rank: int, cells: int) -> float:
    return WIDTH * log(max(1, rank)) / log(max(2, cells))
