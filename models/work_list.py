"""The order of a shift: preventable loss times the chance to prevent it, per officer-minute.

The score is what was suspected before anybody spoke to the citizen; what he said since counts too
(`Rates.suspicion`). Each citizen may be helped in several ways; the list takes for each the way
that buys most per minute, and the citizens by what that buys. Dearer ways that would add a little
with minutes to spare are not taken: more warnings come before the shift ends, and who was not
reached is tried again. `forewarn experiment shift` measures this order beside others.

References
----------
Dantzig, "Discrete-variable extremum problems", Operations Research 5 (1957): value per weight.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.dissuasion import HOUR, Rates, Tried, Way
from models.trees import Floats, ModelError
from models.tries import Tries

__all__ = ["Candidate", "Next", "best", "ceiling", "ordered", "sway"]

RELAPSE = 0.1  # assumption: who believed the warning last pays all the same so often
MINUTE = timedelta(minutes=1)
PORTION = 128  # cases worked out in full at a time; a list ends long before a backlog does
NEAR = 1e-9  # two computations of one value differ by far less


@dataclass(frozen=True)
class Candidate:
    """An open case, as far as its place in the list goes.

    Parameters
    ----------
    case_id : str
    score : float
        Calibrated probability that the citizen is being defrauded, 0 to 1, whatever was tried.
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
    suspicion : float
        Probability that it is a fraud, after what was tried.
    preventable_cny : float
        Expected loss times the suspicion and the probability that the money has not left when the
        citizen is spoken to.
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
    suspicion: float
    preventable_cny: float
    value_per_minute: float
    zh: str
    en: str


@dataclass(frozen=True)
class _Option:
    way: Way
    chance: float
    suspicion: float
    preventable_cny: float

    @property
    def value_per_minute(self) -> float:
        return self.chance * self.preventable_cny / self.way.minutes


def ordered(
    candidates: Iterable[Candidate],
    now: datetime,
    minutes_left: float,
    rates: Rates,
    limit: int | None = None,
) -> tuple[Next, ...]:
    """Whom to help, how, and in which order, within the minutes that are left.

    Parameters
    ----------
    minutes_left : float
        Officers' minutes to the end of the shift, all officers together.
    limit : int, optional
        Only so many steps, the first.

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
    [('c2', 'call_96110'), ('c1', 'call_96110')]
    """
    found: list[Next] = []
    ways = _ways(rates, minutes_left)
    least = min((way.minutes for way in ways), default=math.inf)
    for option, one in _by_worth(list(candidates), ways, now, rates):
        if minutes_left < least or len(found) == limit:
            break
        if option.way.minutes <= minutes_left:
            minutes_left -= option.way.minutes
            found.append(_next(one, option))
    return tuple(found)


def best(candidate: Candidate, now: datetime, rates: Rates) -> Next | None:
    """The step that buys most per minute for one citizen; None where nothing can be prevented.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> best(Candidate("c1", 0.3, "engaged", "loan", 20_000.0, now), now, Rates()).script
    'scheme'
    """
    option = _best(candidate, _ways(rates, math.inf), now, rates)
    return None if option is None else _next(candidate, option)


def ceiling(stage: str, rates: Rates) -> float:
    """What a yuan that is still there is worth per minute at most, whatever was tried.

    With the pace of the money and `sway` it bounds a case's value from above by how often somebody
    listened and did not believe, so that a long backlog need not be read whole.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> step = best(Candidate("c1", 0.3, "engaged", "loan", 20_000.0, now), now, Rates())
    >>> step.value_per_minute <= 0.3 * 20_000.0 * ceiling("engaged", Rates())
    True
    """
    return max(
        rates.believed((way.channel, way.script), stage) / way.minutes
        for way in _ways(rates, math.inf)
    )


def sway(stage: str, rates: Rates) -> float:
    """Log odds that a talk which settled nothing adds to a suspicion at most.

    Examples
    --------
    >>> from datetime import UTC
    >>> from models.dissuasion import moved
    >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> doubted = (Tried("call_96110", "plain", True, False, 4.0, now),) * 2
    >>> most = moved(0.2, 2 * sway("engaged", Rates()))
    >>> Rates().suspicion(0.2, "engaged", doubted) <= most
    True
    """
    return max(0.0, *(rates.told(way, stage) for way in rates.belief))


def _ways(rates: Rates, most: float) -> list[Way]:
    """What takes an officer's minutes, but not more than so many."""
    return [way for way in rates.ways if 0 < way.minutes <= most]


def _best(one: Candidate, ways: Sequence[Way], now: datetime, rates: Rates) -> _Option | None:
    """The way that buys most per minute; the shorter of equals."""
    suspicion = rates.suspicion(one.score, one.stage, one.attempts)
    options = [_option(one, suspicion, way, now, rates) for way in ways]
    worth = [option for option in options if option.value_per_minute > 0]
    return max(worth, key=lambda got: (got.value_per_minute, -got.way.minutes), default=None)


def _by_worth(
    cases: Sequence[Candidate], ways: Sequence[Way], now: datetime, rates: Rates
) -> Iterator[tuple[_Option, Candidate]]:
    """Each case's best option, the best first, worked out only as far as somebody asks.

    All values at once, in columns, say which portion comes next; within a portion the options
    themselves do, so that whoever asks gets what working out every case would have given.
    """
    if not cases or not ways:
        return
    worth = _worth(cases, ways, now, rates)
    order = np.argsort(-worth, kind="stable")
    begin = 0
    while begin < len(order):
        end = min(begin + PORTION, len(order))
        while end < len(order) and worth[order[end]] >= worth[order[end - 1]] * (1 - NEAR):
            end += 1  # equals stay together
        found = [
            (_best(cases[place], ways, now, rates), cases[place]) for place in order[begin:end]
        ]
        yield from sorted(((option, one) for option, one in found if option), key=_place)
        begin = end


def _worth(cases: Sequence[Candidate], ways: Sequence[Way], now: datetime, rates: Rates) -> Floats:
    """What the best way buys per minute for each of many cases; as `_best`, but for rounding."""
    stage = np.array([one.stage for one in cases])
    waited = np.array([(now - one.opened_at) / HOUR for one in cases])
    loss = np.array([one.expected_loss_cny * _calm(one) for one in cases])
    tries = Tries.of([one.attempts for one in cases], now)
    score = np.array([one.score for one in cases])
    at_stake = loss * tries.suspicion(score, stage, rates)
    pace = np.zeros(len(cases))
    for name in set(stage.tolist()):
        pace[stage == name] = rates.hazard.per_hour(name)
    most = np.zeros(len(cases))
    for way in ways:
        delay = way.delay_minutes * MINUTE / HOUR
        stays = np.exp(-pace * np.maximum(0.0, waited + delay))
        chance = tries.chance(way, stage, rates)
        most = np.maximum(most, at_stake * stays * chance / way.minutes)
    return most


def _place(step: tuple[_Option, Candidate]) -> tuple[float, bool, float, str]:
    option, one = step
    due = one.deadline_at
    return (-option.value_per_minute, due is None, due.timestamp() if due else 0, one.case_id)


def _option(one: Candidate, suspicion: float, way: Way, now: datetime, rates: Rates) -> _Option:
    waited = (now - one.opened_at + way.delay_minutes * MINUTE) / HOUR
    stays = rates.hazard.stays(one.stage, waited)
    chance = rates.chance((way.channel, way.script), one.stage, one.attempts, now)
    return _Option(way, chance, suspicion, suspicion * one.expected_loss_cny * stays * _calm(one))


def _calm(one: Candidate) -> float:
    """How much of the loss is still to be feared after the last word of the citizen."""
    last = one.attempts[-1] if one.attempts else None
    return RELAPSE if last and last.believed and last.at >= one.opened_at else 1.0


def _next(one: Candidate, option: _Option) -> Next:
    way, cny = option.way, option.preventable_cny
    return Next(
        one.case_id,
        way.channel,
        way.script,
        way.minutes,
        option.chance,
        option.suspicion,
        cny,
        option.value_per_minute,
        f"{way.zh}，约{way.minutes:.0f}分钟：成功机会{option.chance:.0%}，尚可挽回约{cny:,.0f}元",
        f"{way.en}, about {way.minutes:.0f} min: chance {option.chance:.0%}, about CNY {cny:,.0f} "
        "still preventable",
    )
