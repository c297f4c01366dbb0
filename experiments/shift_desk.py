"""A desk of officers that works simulated cases step by step, in an order that somebody chooses.

Orders differ in nothing else: the same warnings, officers, hours, contact budget and luck.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from data.simulator.city import DAY, HOUR, SECOND
from data.simulator.dissuasion import Dissuasion, Taken
from experiments.shift_alerts import Warned
from models.dissuasion import Tried

__all__ = ["Case", "Desk", "Duty", "Ledger", "Order", "Step", "worked"]

MINUTE = 60 * SECOND
TEXT = ("sms_12381", "plain")
STAGES = ("contact", "engaged", "paying")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLEAR_FOR = 7 * DAY  # who showed that nothing is wrong is left in peace so long (assumed)
IDLE = 5 * MINUTE  # an officer with nothing to do looks again


@dataclass(frozen=True)
class Duty:
    """Who works when, and how often a citizen may be contacted.

    Parameters
    ----------
    officers : tuple of (from hour, to hour, officers)
        Of every day. Chongqing: 50 full-time officers for 120 cases a day (DOMAIN.md 1); so three
        shifts of eight hours for the seven victims a day of the simulated city.
    contacts_per_day, cool_down_min : int, float
        As the shipped case configuration says.
    expires_h : float
        A case ends so long after its last evidence (assumed).
    merged : bool
        One case a citizen; else one for every warning, as platforms make them that do not talk
        to each other.
    """

    officers: tuple[tuple[int, int, int], ...] = ((8, 16, 2), (16, 24, 1))
    contacts_per_day: int = 5
    cool_down_min: float = 10.0
    expires_h: float = 72.0
    merged: bool = True

    @property
    def hours(self) -> float:
        """Officer-hours a day."""
        return float(sum((until - since) * count for since, until, count in self.officers))


@dataclass(frozen=True)
class _Event:
    subscriber: int
    at: int
    score: float
    scam_type: str
    stage: str
    level: int
    amount_cny: float
    expected_loss_cny: float


@dataclass
class Case:
    """A citizen's case as the desk knows it; moments are UTC microseconds."""

    name: str
    subscriber: int
    opened: int
    evidence: int
    deadline: int
    score: float = 0.0
    stage: str = "contact"
    stage_at: int = 0
    scam_type: str = "other"
    level: int = 99
    expected_loss_cny: float = 0.0
    amount_cny: float = 0.0
    tried: tuple[Tried, ...] = ()
    free: int = 0
    met: int | None = None
    closed: int | None = None
    ended: Taken | None = None

    def learn(self, event: _Event, deadline: int) -> None:
        """Take evidence in: score and stage only rise."""
        if event.score >= self.score:
            self.score, self.scam_type = event.score, event.scam_type
            self.expected_loss_cny = event.expected_loss_cny
        if not self.stage_at or STAGES.index(event.stage) > STAGES.index(self.stage):
            self.stage, self.stage_at = event.stage, event.at
        self.level = min(self.level, event.level)
        self.deadline = min(self.deadline, deadline)
        self.amount_cny += event.amount_cny
        self.evidence = event.at


@dataclass(frozen=True)
class Step:
    """Who next, and how: a channel with a script."""

    case: Case
    way: tuple[str, str]


Order = Callable[["Desk", list[Case], int, float], Step | None]
"""Chooses among the cases that may be worked, at a moment, with the minutes left of the shift."""


class Desk:
    """Cases and attempts while a course of events goes on.

    Parameters
    ----------
    warned : Warned
    course : Dissuasion
    duty : Duty

    Attributes
    ----------
    cases : list of Case
        Every case there was.
    closed : list of Case
        Those that ended, in order.
    again : int
        Attempts on a citizen whom another case had reached within 24 hours.
    attempts : list of Taken
        How each of the officers' attempts went.
    minutes : float
        Officers' minutes spent.
    """

    def __init__(self, warned: Warned, course: Dissuasion, duty: Duty) -> None:
        self.warned, self.course, self.duty = warned, course, duty
        self.cases: list[Case] = []
        self.closed: list[Case] = []
        self.attempts: list[Taken] = []
        self.again, self.minutes = 0, 0.0
        self._events = [_Event(*row) for row in warned.rows]
        self._heard, self._open, self._last = 0, dict[str, Case](), dict[str, Case]()
        self._spoken: dict[int, list[tuple[int, str]]] = {}

    def hear(self, until: int) -> None:
        """Take in the warnings that arrived by a moment; each new case gets the text message."""
        while self._heard < len(self._events) and self._events[self._heard].at <= until:
            event = self._events[self._heard]
            self._heard += 1
            # who believes does not go on, so this event does not happen
            if not self.course.calm(event.subscriber, event.at):
                self._admit(event)

    def workable(self, now: int) -> list[Case]:
        """Open cases whose citizen may be contacted now."""
        stale = now - int(self.duty.expires_h * HOUR)
        for case in [one for one in self._open.values() if one.evidence < stale]:
            self._close(case, now, None)
        return [one for one in self._open.values() if one.free <= now]

    def work(self, step: Step, now: int) -> float:
        """Make an attempt; returns the officer's minutes."""
        case = step.case
        spoken = self._spoken.setdefault(case.subscriber, [])
        self.again += any(at > now - DAY and name != case.name for at, name in spoken)
        answer = self.course.warn(case.subscriber, step.way, now)
        believed = answer.taken is Taken.BELIEVED
        made = Tried(*step.way, answer.reached, believed, answer.minutes, moment(answer.at))
        case.tried = (*case.tried, made)
        case.free = self._ready(case, answer.at)
        self.attempts.append(answer.taken)
        self.minutes += answer.minutes
        if answer.reached:
            spoken.append((answer.at, case.name))
            case.met = case.met or answer.at
        if answer.taken in {Taken.BELIEVED, Taken.CLEARED}:
            self._close(case, answer.at, answer.taken)
        return answer.minutes

    def _ready(self, case: Case, now: int) -> int:
        """When the citizen may be contacted again."""
        budget, day = self.duty.contacts_per_day, timedelta(days=1)
        lately = [one.at for one in case.tried if one.at > moment(now) - day]
        ready = now + int(self.duty.cool_down_min * MINUTE)
        if len(lately) < budget:
            return ready
        return max(ready, int((lately[-budget] + day - EPOCH) / timedelta(microseconds=1)))

    def _close(self, case: Case, at: int, ended: Taken | None) -> None:
        case.closed, case.ended = at, ended
        self._open.pop(case.name, None)
        self.closed.append(case)

    def _admit(self, event: _Event) -> None:
        name = str(event.subscriber) if self.duty.merged else f"{event.subscriber}/{self._heard}"
        case = self._open.get(name) or self._opened(name, event)
        if case is not None:
            wait = self.warned.policy.levels[event.level].deadline_s[event.stage] * SECOND
            case.learn(event, event.at + wait)

    def _opened(self, name: str, event: _Event) -> Case | None:
        """A new case, unless the citizen showed within the week that nothing is wrong."""
        before = self._last.get(name)
        if before is not None and _cleared(before, event.at):
            return None
        case = Case(name, event.subscriber, event.at, event.at, event.at + 30 * DAY)
        case.free = before.free if before else 0
        self.cases.append(case)
        self._open[name] = self._last[name] = case
        self.course.warn(event.subscriber, TEXT, event.at)
        return case


@dataclass(frozen=True, eq=False)
class Ledger:
    """What a desk did.

    Parameters
    ----------
    avoided_cny : float64 array, shape (days,)
        Loss that did not happen, by the day on which the citizen's first case was opened.
    attempts, reached, doubted, believed : int
        By officers; doubted includes honest citizens who could not show that nothing is wrong.
    again : int
        Attempts on a citizen whom another case had reached within 24 hours.
    cases, kept : int
        Cases, and those in which an officer spoke to the citizen by the deadline.
    minutes : float
        Officers' minutes spent.
    """

    avoided_cny: NDArray[np.float64]
    attempts: int
    reached: int
    doubted: int
    believed: int
    again: int
    cases: int
    kept: int
    minutes: float


def worked(desk: Desk, order: Order) -> Ledger:
    """Let the desk work all days in an order."""
    chain = desk.warned.chain
    begin = int(chain.begins.timestamp()) * SECOND
    for day in range(chain.days):
        for since, until, count in desk.duty.officers:
            midnight = begin + day * DAY
            _shift(desk, order, midnight + since * HOUR, midnight + until * HOUR, count)
    desk.hear(begin + chain.days * DAY)
    return _ledger(desk, begin)


def _shift(desk: Desk, order: Order, since: int, until: int, officers: int) -> None:
    free = [since] * officers
    while free and (now := heapq.heappop(free)) < until:
        desk.hear(now)
        left = (until - now) / MINUTE
        step = order(desk, desk.workable(now), now, left)
        busy = IDLE if step is None else int(desk.work(step, now) * MINUTE)
        heapq.heappush(free, now + max(busy, MINUTE))


def _ledger(desk: Desk, begin: int) -> Ledger:
    avoided = np.zeros(desk.warned.chain.days)
    first: dict[int, int] = {}
    for case in desk.cases:
        first.setdefault(case.subscriber, (case.opened - begin) // DAY)
    for subscriber, day in first.items():
        avoided[min(day, len(avoided) - 1)] += desk.course.avoided(subscriber)
    went = desk.attempts
    return Ledger(
        avoided_cny=avoided,
        attempts=len(went),
        reached=len(went) - went.count(Taken.UNHEARD),
        doubted=went.count(Taken.DOUBTED),
        believed=went.count(Taken.BELIEVED),
        again=desk.again,
        cases=len(desk.cases),
        kept=sum(case.met is not None and case.met <= case.deadline for case in desk.cases),
        minutes=desk.minutes,
    )


def _cleared(case: Case, at: int) -> bool:
    return case.ended is Taken.CLEARED and at - (case.closed or 0) < CLEAR_FOR


def moment(at: int) -> datetime:
    """An aware time of UTC microseconds."""
    return EPOCH + timedelta(microseconds=at)
