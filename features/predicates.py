"""Questions asked of one event, written once and answered for a row or for whole columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["AtLeast", "AtMost", "Columns", "Flag", "Is", "Night", "NotBelow", "Predicate", "Row"]

Bits = NDArray[np.bool_]
NIGHT_HOURS = (23, 0, 1, 2, 3, 4, 5)


class Row(Protocol):
    """One event as predicates see it."""

    def value(self, column: str) -> Any:
        """Value of a column, None where the event has none."""

    @property
    def hour(self) -> int:
        """Hour of the day on the city's clock, 0-23."""


class Columns(Protocol):
    """Many events as predicates see them; each method answers with ``n`` values."""

    def member(self, column: str, values: Sequence[str]) -> Bits:
        """Whether the text of a column is one of `values`; null is none of them."""

    def flag(self, column: str) -> Bits:
        """Whether a column is true; null is not."""

    def number(self, column: str) -> NDArray[np.int64]:
        """Integers of a column, -1 for null."""

    @property
    def hour(self) -> NDArray[np.int64]:
        """Hour of the day on the city's clock, 0-23."""


class Predicate(Protocol):
    """One question with two ways to ask it."""

    def row(self, row: Row) -> bool:
        """Answer for one event."""

    def columns(self, columns: Columns) -> Bits:
        """Answer for each of ``n`` events."""


@dataclass(frozen=True)
class Is:
    """The column's text is one of the values."""

    column: str
    values: tuple[str, ...]

    def row(self, row: Row) -> bool:
        return row.value(self.column) in self.values

    def columns(self, columns: Columns) -> Bits:
        return columns.member(self.column, self.values)


@dataclass(frozen=True)
class Flag:
    """The column is true."""

    column: str

    def row(self, row: Row) -> bool:
        return row.value(self.column) is True

    def columns(self, columns: Columns) -> Bits:
        return columns.flag(self.column)


@dataclass(frozen=True)
class AtLeast:
    """The column is known and not below `low` (which is not negative)."""

    column: str
    low: int

    def row(self, row: Row) -> bool:
        value = row.value(self.column)
        return value is not None and value >= self.low

    def columns(self, columns: Columns) -> Bits:
        return columns.number(self.column) >= self.low


@dataclass(frozen=True)
class AtMost:
    """The column is known and not above `high`."""

    column: str
    high: int

    def row(self, row: Row) -> bool:
        value = row.value(self.column)
        return value is not None and value <= self.high

    def columns(self, columns: Columns) -> Bits:
        numbers = columns.number(self.column)
        return (numbers >= 0) & (numbers <= self.high)


@dataclass(frozen=True)
class NotBelow:
    """The column is not below `low`, or does not apply."""

    column: str
    low: int

    def row(self, row: Row) -> bool:
        value = row.value(self.column)
        return value is None or value >= self.low

    def columns(self, columns: Columns) -> Bits:
        numbers = columns.number(self.column)
        return (numbers < 0) | (numbers >= self.low)


@dataclass(frozen=True)
class Night:
    """It happened from 23:00 to 05:59 on the city's clock."""

    def row(self, row: Row) -> bool:
        return row.hour in NIGHT_HOURS

    def columns(self, columns: Columns) -> Bits:
        return np.isin(columns.hour, NIGHT_HOURS)
