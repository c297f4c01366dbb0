"""One event as the live engine sees it: the row twin of `features.frame`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.attributes import CODES, EMPTY, capped_amount, whole_yuan
from features.clock import DAY_US, EPOCH_WEEKDAY, HOUR_US, QUARTER_US, offset_us
from features.plan import Plan
from features.predicates import NIGHT_HOURS
from features.streams import KINDS, STREAMS

__all__ = ["NAMESPACE_OF_KIND", "EventRow", "microseconds"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NAMESPACE_OF_KIND: Final = {"call": "t:", "sms": "t:", "lead": "t:", "app": "p:", "transfer": "a:"}
"""What an event's counterpart is: a number, an app or an account."""
FLAGS = ("roaming", "foreign", "has_link", "has_code", "listed", "limit_raised")


def microseconds(moment: datetime) -> int:
    """UTC microseconds since 1970, exactly.

    Examples
    --------
    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - EPOCH) // TICK


class EventRow:
    """A parsed event with the integers of `features.plan` read from it.

    Parameters
    ----------
    event : data.events.Event
        With `known_at` stamped.
    zone : str
        The city's time zone.
    """

    def __init__(self, event: Any, zone: str) -> None:
        if event.known_at is None:
            raise ValueError("known_at: expected a time, found none; events pass the intake first")
        self.event = event
        self.zone = zone
        self.kind = KINDS.index(event.kind)
        self.known = microseconds(event.known_at)
        self.occurred = microseconds(event.occurred_at)

    def value(self, column: str) -> Any:
        return getattr(self.event, column, None)

    @cached_property
    def local(self) -> int:
        """Microseconds since 1970 on the city's clock."""
        return self.occurred + offset_us(self.zone, self.occurred // QUARTER_US)

    @property
    def hour(self) -> int:
        return self.local % DAY_US // HOUR_US

    def streams(self, plan: Plan) -> bytes:
        """Positions in ``plan.streams`` of those it belongs to, circumstances aside."""
        return bytes(
            number
            for number, name in enumerate(plan.streams)
            if self.event.kind in STREAMS[name].kinds
            and all(predicate.row(self) for predicate in STREAMS[name].where)
        )

    @property
    def values(self) -> tuple[int, int, int]:
        """Amount in fen, in whole yuan, and duration, 0 where there is none."""
        amount = self.value("amount_fen") or 0
        return capped_amount(amount), whole_yuan(amount), self.value("duration_s") or 0

    @property
    def counterpart(self) -> str:
        """Counterpart with its namespace, empty where there is none."""
        found = self.value("counterpart")
        return NAMESPACE_OF_KIND[self.event.kind] + found if found else ""

    @property
    def named(self) -> list[str]:
        """Counterparts a report names, each once."""
        parts = (("t:", "phones"), ("p:", "apps"), ("a:", "accounts"))
        names = [space + text for space, field in parts for text in self.value(field) or ()]
        return list(dict.fromkeys(names))

    def attributes(
        self, now: int, circumstances: dict[str, int], fields: Sequence[str]
    ) -> NDArray[np.int64]:
        """The event block, shape (1, len(fields))."""
        at = min(self.occurred, now)
        amount, yuan, _ = self.values
        transfer = self.event.kind == "transfer"
        weekday = (self.local // DAY_US + EPOCH_WEEKDAY) % 7
        found = {
            "now": now,
            "at": at,
            "kind": self.kind,
            "amount": amount if transfer else EMPTY,
            "yuan": yuan if transfer else EMPTY,
            "duration": self._number("duration_s"),
            "hour": self.hour,
            "weekday": weekday,
            "weekend": int(weekday >= 5),
            "night": int(self.hour in NIGHT_HOURS),
            "incoming": self._code("direction"),
            "age_days": self._number("counterpart_age_days"),
            "delay": now - at,
            **{name: self._number(name) for name in FLAGS},
            **{name: self._code(name) for name in ("action", "channel", "grade")},
            **circumstances,
        }
        return np.array([[found[name] for name in fields]], dtype=np.int64)

    def _number(self, column: str) -> int:
        value = self.value(column)
        return EMPTY if value is None else int(value)

    def _code(self, column: str) -> int:
        value = self.value(column)
        return CODES[column].index(value) if value in CODES[column] else EMPTY
