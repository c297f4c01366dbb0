"""Orders in which a desk may work its cases: our list, the ones in use, and one that knows all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data.simulator.dissuasion import Dissuasion, Taken
from experiments.shift_desk import MINUTE, Case, Desk, Order, Step, moment
from models.dissuasion import WAYS, Rates
from models.work_list import Candidate, Next, best

__all__ = [
    "AMOUNT",
    "FIRST",
    "NOBODY",
    "ORACLE",
    "ORDERS",
    "OURS",
    "SCORE",
    "SCORE_CALLS",
    "SCORE_WAYS",
    "Ranked",
    "WorkList",
    "oracle",
]

OURS, ORACLE, NOBODY = "our work list", "oracle (greedy)", "nobody: text messages only"
SCORE, SCORE_CALLS = "score, by the level's channel", "score, calls only"
SCORE_WAYS = "score, by our ways"
AMOUNT, FIRST = "amount, calls only", "first in, first out, calls only"

Way = tuple[str, str]
CALL, TOLD, VISIT = ("call_96110", "plain"), ("call_96110", "scheme"), ("visit", "plain")
MINUTES: Mapping[Way, float] = {
    (way.channel, way.script): way.minutes for way in WAYS if way.minutes > 0
}
STALE = 30 * MINUTE  # to spare time: what a case is worth changes within hours


class WorkList:
    """Whose best step buys most a minute, by `models.work_list`.

    Rates are learnt from this desk's closed cases, the pace of the money from earlier reports.
    What a case is worth is asked again when something happened to it, and after `STALE`.
    """

    def __init__(self) -> None:
        self._rates: Rates | None = None
        self._read = 0
        self._known: dict[str, _Worth] = {}

    def __call__(self, desk: Desk, cases: list[Case], now: int, left: float) -> Step | None:
        """Choose the step with the highest value a minute that ends before the shift."""
        worths = ((case, self.step(desk, case, now)) for case in cases)
        fits = [(case, step) for case, step in worths if step and step.minutes <= left]
        if not fits:
            return None
        case, step = max(fits, key=lambda pair: pair[1].value_per_minute)
        return Step(case, (step.channel, step.script))

    def step(self, desk: Desk, case: Case, now: int) -> Next | None:
        """The best step for a case."""
        turn = (case.opened, case.evidence, len(case.tried))
        known = self._known.get(case.name)
        if known is None or known.turn != turn or now - known.at > STALE:
            known = _Worth(turn, now, best(_candidate(case), moment(now), self._learnt(desk)))
            self._known[case.name] = known
        return known.step

    def _learnt(self, desk: Desk) -> Rates:
        if self._rates is None:
            self._rates = replace(Rates(), hazard=desk.warned.hazard)
        new = desk.closed[self._read :]
        self._read = len(desk.closed)
        if new:
            self._rates = _learnt(self._rates, new)
        return self._rates


def _learnt(rates: Rates, closed: Sequence[Case]) -> Rates:
    """With closed cases: those that were no false alarms say how warnings are taken."""
    doubtful = [case for case in closed if case.ended is not Taken.CLEARED]
    unsettled = [
        sum(one.doubted for one in case.tried[:-1])
        for case in closed
        if case.ended is Taken.CLEARED
    ]
    rates = rates.learn(one for case in doubtful for one in case.tried)
    return rates.settle(len(unsettled), sum(unsettled))


@dataclass(frozen=True)
class _Worth:
    turn: tuple[int, int, int]
    at: int
    step: Next | None


@dataclass(frozen=True)
class Ranked:
    """Cases by a key, the highest first, each by a way that a rule says."""

    key: Callable[[Case], float]
    way: Callable[[Desk, Case, int], Way | None]

    def __call__(self, desk: Desk, cases: list[Case], now: int, left: float) -> Step | None:
        """Choose the highest for whom there is a way and time."""
        for case in _highest_first(cases, self.key):
            way = self.way(desk, case, now)
            if way is not None and MINUTES[way] <= left:
                return Step(case, way)
        return None


def _highest_first(cases: Sequence[Case], key: Callable[[Case], float]) -> Iterator[Case]:
    """Sort only where the first will not do; equals stay in their order."""
    if cases:
        yield max(cases, key=key)
        yield from sorted(cases, key=key, reverse=True)[1:]


def by_level(_desk: Desk, case: Case, _now: int) -> Way:
    """Red cases are called first and visited when that did not help; others are called."""
    return VISIT if case.level == 0 and case.tried else CALL


def by_call(_desk: Desk, _case: Case, _now: int) -> Way:
    """Everybody is called, and told the fraud's next step."""
    return TOLD


def _our_ways() -> Callable[[Desk, Case, int], Way | None]:
    ours = WorkList()

    def way(desk: Desk, case: Case, now: int) -> Way | None:
        step = ours.step(desk, case, now)
        return None if step is None else (step.channel, step.script)

    return way


def oracle(desk: Desk, cases: list[Case], now: int, left: float) -> Step | None:
    """The most preventable loss a minute: knows payments, trust and habits, not the luck."""
    course, found, most = desk.course, None, 0.0
    talk = min(course.manners.minutes[channel][1] for channel, _ in MINUTES)
    for stake, case in _by_stake(course, cases, now):
        if stake <= most * talk:
            break  # who is reached takes so long, so that nobody below is worth more
        who = case.subscriber
        for way in MINUTES:
            minutes = course.expected_minutes(who, way, now)
            chance = course.reached(who, way, now) * course.believed(who, way, now)
            value = course.at_stake(who, way, now) * chance / minutes
            if value > most and minutes <= left:
                found, most = Step(case, way), value
    return found


def _by_stake(course: Dissuasion, cases: Sequence[Case], now: int) -> list[tuple[float, Case]]:
    """Who has money to lose from now on, the most first."""
    stakes = [
        (course.at_stake(case.subscriber, CALL, now), case)
        for case in cases
        if course.swindles.payments(case.subscriber)
    ]
    return sorted((one for one in stakes if one[0] > 0), key=lambda one: -one[0])


def nobody(*_: Any) -> Step | None:
    """Leave it to the text messages."""
    return None


def _candidate(case: Case) -> Candidate:
    """A case as our list takes it."""
    return Candidate(
        case.name,
        case.score,
        case.stage,
        case.scam_type,
        case.expected_loss_cny,
        moment(case.stage_at),
        moment(case.deadline),
        case.tried,
    )


ORDERS: Mapping[str, Callable[[], Order]] = {
    OURS: WorkList,
    SCORE: lambda: Ranked(lambda case: case.score, by_level),
    SCORE_CALLS: lambda: Ranked(lambda case: case.score, by_call),
    SCORE_WAYS: lambda: Ranked(lambda case: case.score, _our_ways()),
    AMOUNT: lambda: Ranked(lambda case: case.amount_cny, by_call),
    FIRST: lambda: Ranked(lambda case: -case.opened, by_call),
    ORACLE: lambda: oracle,
    NOBODY: lambda: nobody,
}
"""Every order by its name; each call makes one that has learnt nothing yet."""
