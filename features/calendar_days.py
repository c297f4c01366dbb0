"""What sort of day it is: ordinary, a holiday, the day before one.

Holidays come from the library `holidays`, by ISO 3166 country code and subdivision.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import holidays
import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY_KINDS", "Calendar"]

DAY_KINDS = ("ordinary", "eve", "holiday")


@dataclass(frozen=True)
class Calendar:
    """Days of one country.

    Parameters
    ----------
    country : str
        ISO 3166 code, such as CN or US; empty for no holidays.
    subdivision : str
        Of the country, such as IL; may be empty.

    Raises
    ------
    ValueError
        If the library knows no such country.

    Examples
    --------
    >>> china = Calendar("CN")
    >>> [china.kind(date(2026, 10, day)) for day in (1, 10, 21)]
    ['holiday', 'ordinary', 'ordinary']
    >>> china.kind(date(2026, 9, 30))
    'eve'
    """

    country: str = "CN"
    subdivision: str = ""

    def __post_init__(self) -> None:
        known = holidays.list_supported_countries()
        if self.country and self.country not in known:
            raise ValueError(
                f"expected an ISO 3166 country code such as CN, found {self.country!r}; "
                "leave it empty where holidays are not known"
            )
        if self.country and self.subdivision and self.subdivision not in known[self.country]:
            raise ValueError(
                f"expected a subdivision of {self.country}, found {self.subdivision!r}; "
                "leave it empty"
            )

    def kind(self, day: date) -> str:
        """One of `DAY_KINDS`."""
        if day in self._known:
            return "holiday"
        return "eve" if day + timedelta(days=1) in self._known else "ordinary"

    def kinds(self, first: int, days: int) -> NDArray[np.int64]:
        """Positions in `DAY_KINDS` of some days, given as days since 1970, shape (days,)."""
        start = date(1970, 1, 1) + timedelta(days=first)
        return np.array(
            [DAY_KINDS.index(self.kind(start + timedelta(days=step))) for step in range(days)],
            np.int64,
        )

    @cached_property
    def _known(self) -> holidays.HolidayBase:
        if not self.country:
            return holidays.HolidayBase()
        return holidays.country_holidays(self.country, subdiv=self.subdivision or None)
