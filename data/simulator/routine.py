"""Everyday life: what people do to whom nothing happens.

Rates are events per subscriber and day on an ordinary working day; rates and shapes are assumed,
so that a day brings about 3.3 events per subscriber.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from data.simulator import online, spending, talk
from data.simulator.acts import Acts
from data.simulator.city import DAY, OFFSET, SECOND, Population
from data.simulator.rhythm import WEEKEND, moments
from data.simulator.rows import Rows

__all__ = ["everyday"]

PAYDAYS = (10, 15, 25)


@dataclass(frozen=True)
class _Habit:
    """How often, by whose urn, in which rhythm, what comes of it, and how much more on paydays."""

    rate: float
    urn: str
    profile: str
    make: Callable[[Acts], Rows]
    payday: float = 1.0


HABITS: tuple[_Habit, ...] = (
    _Habit(0.36, "talkers", "social", talk.ties_call),
    _Habit(0.17, "talkers", "social", talk.strangers_call),
    _Habit(0.19, "payers", "courier", talk.couriers_call),
    _Habit(0.14, "talkers", "office", talk.telemarketers_call),
    _Habit(0.10, "talkers", "office", talk.offices_call),
    _Habit(0.46, "payers", "online", talk.codes_arrive),
    _Habit(0.22, "talkers", "office", talk.adverts_arrive),
    _Habit(0.07, "talkers", "social", talk.friends_write),
    _Habit(0.38, "surfers", "online", online.sites_visited),
    _Habit(0.028, "surfers", "online", online.apps_installed),
    _Habit(0.006, "surfers", "office", online.screens_shared),
    _Habit(0.0012, "surfers", "office", online.computers_helped),
    _Habit(0.80, "payers", "shops", spending.shops_paid, 1.15),
    _Habit(0.075, "payers", "online", spending.ties_paid, 1.5),
    _Habit(0.030, "payers", "online", spending.strangers_paid),
    _Habit(0.050, "payers", "shops", spending.bills_paid, 2.0),
    _Habit(0.003, "payers", "office", spending.wages_paid, 20.0),
    _Habit(0.012, "payers", "office", talk.wages_announced, 20.0),
)


def _calendar(midnight: int) -> tuple[bool, bool]:
    """Whether a day is at the weekend, and whether it is a payday."""
    local = datetime.fromtimestamp((midnight + OFFSET) // SECOND, UTC)
    return local.weekday() >= 5, local.day in PAYDAYS


def _happen(people: Population, midnight: int, habit: _Habit, rng: np.random.Generator) -> Rows:
    weekend, payday = _calendar(midnight)
    rate = habit.rate * np.exp(0.04 * rng.standard_normal())
    rate *= WEEKEND[habit.profile] if weekend else 1.0
    rate *= habit.payday if payday else 1.0
    size = int(rng.poisson(rate * len(people)))
    urn = getattr(people, habit.urn)
    who = urn[rng.integers(0, len(urn), size)]
    when = moments(midnight, size, habit.profile, rng)
    return habit.make(Acts(people, midnight, rng, who, when))


def everyday(people: Population, midnight: int) -> Rows:
    """Everyday events of the calendar day that begins at `midnight` (microseconds, UTC)."""
    rng = people.city.random(9, (midnight + OFFSET) // DAY)
    return Rows.joined(_happen(people, midnight, habit, rng) for habit in HABITS)
