"""The order of a shift: preventable loss times the chance to prevent it, per officer-minute.

Each citizen may be helped in several ways. The list spends the shift's minutes where each buys
most: first the best way per minute for each citizen, then, with minutes to spare, dearer ways that
add enough. That is the greedy solution of a multiple-choice knapsack.

References
----------
Sinha, Zoltners, The multiple-choice knapsack problem, Operations Research 27 (1979).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.dissuasion import HOUR, Rates, Tried, Way
from models.trees import ModelError

__all__ = ["Candidate", "Next", "best", "ordered"]

RELAPSE = 0.1  # assumption: who believed the warning last pays all the same so often
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Candidate:
    """An open case, as far as its place in the list goes.

    Parameters
    ----------
    case_id : str
    score : float
        Calibrated probability that the citizen is being defrauded, 0 to 1.
    stage, scam_type : str
    expected_loss_cny : float
        If it is a fraud and nobody prevents it.
    opened_at : datetime
        Since when the money may be leaving: when the present stage was first seen. What a citizen
        believed before counts no more.
    deadline_at : datetime or None
        Breaks ties: earlier first.
    attempts : tuple of Tried
        Made in this episode, in order.
    """

    case_id: str
    score: float
    stage: str
    scam_type: str
    expected_loss_cny: float
    opened_at: datetime
    deadline_at: datetime | None = None
    attempts: tuple[Tried, ...] = ()

    def __post_init__(self) -> None:
        if not (0.0 <= self.score <= 1.0 and self.expected_loss_cny >= 0.0):
            raise ModelError(
                f"expected a score from 0 to 1 and a loss of CNY 0 or more, found {self.score} "
                f"and {self.expected_loss_cny} in case {self.case_id}"
            )


@dataclass(frozen=True)
class Next:
    """The next step for one citizen, and why it stands where it stands.

    Parameters
    ----------
    case_id, channel, script : str
    minutes : float
        An officer's, expected.
    chance : float
        That it succeeds now.
    preventable_cny : float
        Expected loss times the probability that it has not left when the citizen is spoken to.
    value_per_minute : float
        ``preventable_cny * chance / minutes``, CNY.
    zh, en : str
        The step in a sentence.
    """

    case_id: str
    channel: str
    script: str
    minutes: float
    chance: float
    preventable_cny: float
    value_per_minute: float
    zh: str
    en: str


@dataclass(frozen=True)
class _Option:
    way: Way
    chance: float
    preventable_cny: float

    @property
    def value(self) -> float:
        return self.chance * self.preventable_cny


@dataclass(frozen=True)
class _Ladder:
    """A citizen's ways worth taking, with what the minutes of each, above the one below, buy."""

    candidate: Candidate
    rungs: tuple[_Option, ...]
    gains: tuple[float, ...]  # falling

    @property
    def place(self) -> tuple[float, bool, float, str]:
        due = self.candidate.deadline_at
        return (-self.gains[0], due is None, due.timestamp() if due else 0, self.candidate.case_id)


def ordered(
    candidates: Iterable[Candidate], now: datetime, minutes_left: float, rates: Rates
) -> tuple[Next, ...]:
    """Whom to help, how, and in which order, within the minutes that are left.

    Rank is what the first minutes spent on a citizen buy, so it never falls when more is at stake.

    Parameters
    ----------
    minutes_left : float
        Officers' minutes to the end of the shift, all officers together.

    Returns
    -------
    tuple of Next
        At most one step a citizen; their minutes never exceed `minutes_left`. A citizen whose step
        does not fit is left out, and one further down that fits is not.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> one = Candidate("c1", 0.3, "engaged", "loan", 20_000.0, now)
    >>> two = Candidate("c2", 0.6, "engaged", "investment", 90_000.0, now)
    >>> [(step.case_id, step.channel) for step in ordered([one, two], now, 8, Rates())]
    [('c2', 'call_96110'), ('c1', 'call_96110')]
    >>> [(step.case_id, step.channel) for step in ordered([one, two], now, 60, Rates())]
    [('c2', 'visit'), ('c1', 'call_96110')]
    """
    ladders = sorted(
        (found for one in candidates if (found := _ladder(one, now, rates, minutes_left))),
        key=lambda ladder: ladder.place,
    )
    steps = sorted(
        (-gain, place, rung)
        for place, ladder in enumerate(ladders)
        for rung, gain in enumerate(ladder.gains)
    )
    taken: dict[int, int] = {}
    for _, place, rung in steps:
        spent = ladders[place].rungs[rung - 1].way.minutes if rung else 0.0
        more = ladders[place].rungs[rung].way.minutes - spent
        if more <= minutes_left and taken.get(place, -1) == rung - 1:
            taken[place] = rung
            minutes_left -= more
    return tuple(
        _next(ladder.candidate, ladder.rungs[taken[place]])
        for place, ladder in enumerate(ladders)
        if place in taken
    )


def best(candidate: Candidate, now: datetime, rates: Rates) -> Next | None:
    """The step that buys most per minute for one citizen; None where nothing can be prevented.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> best(Candidate("c1", 0.3, "engaged", "loan", 20_000.0, now), now, Rates()).script
    'scheme'
    """
    ladder = _ladder(candidate, now, rates, math.inf)
    return None if ladder is None else _next(candidate, ladder.rungs[0])


def _ladder(one: Candidate, now: datetime, rates: Rates, most: float) -> _Ladder | None:
    """Ways of up to so many minutes on the upper hull of value; None where none is worth one."""
    by_minutes: dict[float, _Option] = {}
    for way in rates.ways:
        if 0 < way.minutes <= most:
            option = _option(one, way, now, rates)
            known = by_minutes.get(way.minutes)
            if known is None or option.value > known.value:
                by_minutes[way.minutes] = option
    rungs = _hull(by_minutes)
    gains = tuple(_gain(rungs[max(0, n - 1) : n], rung) for n, rung in enumerate(rungs))
    return _Ladder(one, rungs, gains) if rungs else None


def _option(one: Candidate, way: Way, now: datetime, rates: Rates) -> _Option:
    waited = (now - one.opened_at + way.delay_minutes * MINUTE) / HOUR
    stays = rates.hazard.stays(one.stage, waited)
    last = one.attempts[-1] if one.attempts else None
    calm = RELAPSE if last and last.believed and last.at >= one.opened_at else 1.0
    chance = rates.chance((way.channel, way.script), one.stage, one.attempts, now)
    return _Option(way, chance, one.score * one.expected_loss_cny * stays * calm)


def _hull(by_minutes: Mapping[float, _Option]) -> tuple[_Option, ...]:
    hull: list[_Option] = []
    for _, option in sorted(by_minutes.items(), key=lambda pair: pair[0]):
        if option.value <= (hull[-1].value if hull else 0.0):
            continue
        while hull and _gain(hull[-2:-1], hull[-1]) <= _gain(hull[-1:], option):
            hull.pop()
        hull.append(option)
    return tuple(hull)


def _gain(below: Sequence[_Option], option: _Option) -> float:
    value, minutes = (below[0].value, below[0].way.minutes) if below else (0.0, 0.0)
    return (option.value - value) / (option.way.minutes - minutes)


def _next(one: Candidate, option: _Option) -> Next:
    way, cny = option.way, option.preventable_cny
    return Next(
        one.case_id,
        way.channel,
        way.script,
        way.minutes,
        option.chance,
        cny,
        option.value / way.minutes,
        f"{way.zh}，约{way.minutes:.0f}分钟：成功机会{option.chance:.0%}，尚可挽回约{cny:,.0f}元",
        f"{way.en}, about {way.minutes:.0f} min: chance {option.chance:.0%}, about CNY {cny:,.0f} "
        "still preventable",
    )
