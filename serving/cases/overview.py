"""What a supervisor sees of the cases: load, deadlines, what worked, what it saved, for whom.

Counts only, never a citizen. Who answers for one district sees that district; each figure says how
many it rests on, and a share comes with its interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, Subquery, and_, exists, func, or_, select

from models.dissuasion import WAYS
from models.shares import Share
from serving.access.roles import Action, demand
from serving.cases.case import State
from serving.cases.contracts import OutcomeKind
from serving.cases.forms import Turn
from serving.cases.tables import ATTEMPTS, CASES, OUTCOMES

__all__ = [
    "FEWEST",
    "PERIODS",
    "Hour",
    "Kept",
    "Load",
    "Money",
    "Overview",
    "Place",
    "Tried",
    "overview",
]

PERIODS = (7, 30, 90)
"""Days back that can be chosen."""

FEWEST = 10
"""Cases of a district below which its counts are not shown: they could point to a person."""

_TRUE = (OutcomeKind.DISSUADED, OutcomeKind.PAID)
_TOLD = (*_TRUE, OutcomeKind.FALSE_ALARM)
_COUNT = func.count()
_NOBODY = Share(0, 0)


@dataclass(frozen=True)
class Hour:
    """What came and what was finished in one hour of the city's clock today."""

    hour: int
    opened: int
    closed: int


@dataclass(frozen=True)
class Load:
    """Cases that are not closed.

    Parameters
    ----------
    count : int
        All of them.
    snoozed : int
        Of these, those that rest.
    by_level, by_tier, by_officer : mapping of str to int
        The most urgent level, the highest tier, the busiest officer first; an empty name: nobody.
    hours : tuple of Hour
        Today's, to the one that runs.
    """

    count: int
    snoozed: int
    by_level: Mapping[str, int]
    by_tier: Mapping[str, int]
    by_officer: Mapping[str, int]
    hours: tuple[Hour, ...]


@dataclass(frozen=True)
class Kept:
    """Whether citizens were spoken to in time, of one level."""

    level: str
    in_time: Share


@dataclass(frozen=True)
class Tried:
    """How one way of reaching citizens went.

    Parameters
    ----------
    channel, script : str
    zh, en : str
        What officers call it.
    reached : Share
        Of the attempts.
    believed : Share
        Of those who were reached.
    """

    channel: str
    script: str
    zh: str
    en: str
    reached: Share
    believed: Share


@dataclass(frozen=True)
class Money:
    """What was saved, by estimate, beside what was lost, as reported.

    Parameters
    ----------
    avoided_cny : mapping of method to CNY
    dissuaded, paid : int
        Cases.
    lost_cny : float
    """

    avoided_cny: Mapping[str, float]
    dissuaded: int
    paid: int
    lost_cny: float

    @property
    def total_cny(self) -> float:
        """Avoided by every method together."""
        return sum(self.avoided_cny.values())


@dataclass(frozen=True)
class Place:
    """One district's cases.

    Of reach and belief cases are counted, not attempts: three calls to one citizen say less than
    one call to each of three, and an interval holds for what is independent only.

    Parameters
    ----------
    name : str or None
        None: nobody knows the district.
    cases : int
        Opened in the period.
    false_alarms : Share
        Of those whose truth is known.
    reached : Share
        At last, of those who were tried.
    believed : Share
        At last, of those who were reached and asked, and were in danger.
    """

    name: str | None
    cases: int
    false_alarms: Share
    reached: Share = _NOBODY
    believed: Share = _NOBODY

    @property
    def hidden(self) -> bool:
        """Whether there are too few to show."""
        return self.cases < FEWEST

    def shown(self, what: str) -> Share | None:
        """A share of it; None where it rests on too few cases to show.

        Examples
        --------
        >>> place = Place("A", 40, Share(3, 12), Share(5, 9))
        >>> place.shown("false_alarms"), place.shown("reached")
        (Share(yes=3, of=12), None)
        """
        found: Share = getattr(self, what)
        return None if self.hidden or found.of < FEWEST else found


@dataclass(frozen=True)
class Overview:
    """Everything of one period.

    Parameters
    ----------
    days : int
    since, until : datetime
    load : Load
    kept : tuple of Kept
    tried : tuple of Tried
    outcomes : mapping of OutcomeKind to int
        Those that still count.
    money : Money
    false_alarms : mapping of level to Share
        Of the cases whose truth is known.
    places : tuple of Place
    """

    days: int
    since: datetime
    until: datetime
    load: Load
    kept: tuple[Kept, ...]
    tried: tuple[Tried, ...]
    outcomes: Mapping[str, int]
    money: Money
    false_alarms: Mapping[str, Share] = field(default_factory=dict)
    places: tuple[Place, ...] = ()


async def overview(turn: Turn, days: int = PERIODS[0]) -> Overview:
    """Count the cases of the actor's district over the last days.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    demand(turn.actor, Action.READ_OVERVIEW)
    since = turn.now - timedelta(days=days)
    ended = await _ended(turn, since)
    return Overview(
        days=days,
        since=since,
        until=turn.now,
        load=await _load(turn),
        kept=await _kept(turn, since),
        tried=await _tried(turn, since),
        outcomes=_by(ended, "outcome"),
        money=_money(ended),
        false_alarms=_false_alarms(ended),
        places=await _places(turn, since),
    )


def _seen(turn: Turn, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """The query, of the cases that the actor may see."""
    if turn.actor.district is None:
        return query
    return query.where(CASES.c.district == turn.actor.district)


async def _rows(turn: Turn, query: Select[*tuple[Any, ...]]) -> list[Row[Any]]:
    return list(await turn.connection.execute(_seen(turn, query)))


def _by(rows: list[Row[Any]], name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        key = getattr(row, name) or ""
        found[key] = found.get(key, 0) + row.n
    return found


async def _load(turn: Turn) -> Load:
    parts = (CASES.c.level, CASES.c.urgency, CASES.c.tier, CASES.c.assignee, CASES.c.state)
    query = select(*parts, _COUNT.label("n")).where(CASES.c.state != State.CLOSED)
    rows = await _rows(turn, query.group_by(*parts).order_by(CASES.c.urgency))
    tiers, officers = _by(rows, "tier"), _by(rows, "assignee")
    order = {tier.name: place for place, tier in enumerate(turn.config.tiers)}
    return Load(
        count=sum(row.n for row in rows),
        snoozed=_by(rows, "state").get(State.SNOOZED, 0),
        by_level=_by(rows, "level"),
        by_tier={name: tiers[name] for name in sorted(tiers, key=lambda one: order.get(one, 99))},
        by_officer=dict(sorted(officers.items(), key=lambda one: (not one[0], -one[1], one[0]))),
        hours=await _hours(turn),
    )


async def _hours(turn: Turn) -> tuple[Hour, ...]:
    local = turn.now.astimezone(ZoneInfo(turn.config.zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    opened = await _per_hour(turn, CASES.c.opened_at, midnight)
    closed = await _per_hour(turn, CASES.c.closed_at, midnight)
    return tuple(
        Hour(hour, opened.get(hour, 0), closed.get(hour, 0)) for hour in range(local.hour + 1)
    )


async def _per_hour(
    turn: Turn, moment: ColumnElement[datetime], since: datetime
) -> Mapping[int, int]:
    hour = func.extract("hour", func.timezone(turn.config.zone, moment)).label("hour")
    query = select(hour, _COUNT.label("n")).where(moment >= since, moment <= turn.now)
    return {int(row.hour): row.n for row in await _rows(turn, query.group_by(hour))}


async def _kept(turn: Turn, since: datetime) -> tuple[Kept, ...]:
    """Of the cases whose deadline came before they were closed, or who were reached before it."""
    met = and_(CASES.c.met_at.is_not(None), CASES.c.met_at <= CASES.c.deadline_at)
    over = CASES.c.deadline_at < func.coalesce(CASES.c.closed_at, turn.now)
    due = or_(CASES.c.met_at.is_not(None), over)
    query = (
        select(CASES.c.level, CASES.c.urgency, _COUNT.filter(met).label("met"), _COUNT.label("n"))
        .where(CASES.c.opened_at >= since, due)
        .group_by(CASES.c.level, CASES.c.urgency)
        .order_by(CASES.c.urgency)
    )
    return tuple(Kept(row.level, Share(row.met, row.n)) for row in await _rows(turn, query))


async def _tried(turn: Turn, since: datetime) -> tuple[Tried, ...]:
    way = (ATTEMPTS.c.channel, ATTEMPTS.c.script)
    real = _in_danger(ATTEMPTS.c.case_id)
    query = (
        select(
            *way,
            _COUNT.label("n"),
            _COUNT.filter(ATTEMPTS.c.reached).label("reached"),
            _COUNT.filter(ATTEMPTS.c.believed, real).label("believed"),
            _COUNT.filter(ATTEMPTS.c.reached, ATTEMPTS.c.believed.is_not(None), real).label(
                "heard"
            ),
        )
        .join(CASES, CASES.c.case_id == ATTEMPTS.c.case_id)
        .where(ATTEMPTS.c.at >= since, ATTEMPTS.c.at <= turn.now)
        .group_by(*way)
        .order_by(*way)
    )
    names = {(one.channel, one.script): (one.zh, one.en) for one in WAYS}
    return tuple(
        Tried(
            row.channel,
            row.script,
            *names.get((row.channel, row.script), (f"{row.channel}·{row.script}",) * 2),
            Share(row.reached, row.n),
            Share(row.believed, row.heard),
        )
        for row in await _rows(turn, query)
    )


def _in_danger(case_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Of a case: who was in no danger had nothing to believe."""
    found = OUTCOMES.alias()  # the query around it may join outcomes too
    return ~exists().where(
        found.c.case_id == case_id,
        found.c.outcome == OutcomeKind.FALSE_ALARM,
        found.c.reversed_at.is_(None),
    )


async def _ended(turn: Turn, since: datetime) -> list[Row[Any]]:
    """Outcomes of the period that were not taken back, counted by all that is asked of them."""
    parts = (CASES.c.level, CASES.c.urgency, OUTCOMES.c.outcome, OUTCOMES.c.avoided_method)
    query = (
        select(
            *parts,
            _COUNT.label("n"),
            func.coalesce(func.sum(OUTCOMES.c.avoided_cny), 0).label("avoided"),
            func.coalesce(func.sum(OUTCOMES.c.loss_cny), 0).label("lost"),
        )
        .join(CASES, CASES.c.case_id == OUTCOMES.c.case_id)
        .where(OUTCOMES.c.known_at >= since, OUTCOMES.c.reversed_at.is_(None))
        .group_by(*parts)
        .order_by(CASES.c.urgency)
    )
    return await _rows(turn, query)


def _money(ended: list[Row[Any]]) -> Money:
    avoided: dict[str, float] = {}
    for row in ended:
        if row.avoided_method:
            avoided[row.avoided_method] = avoided.get(row.avoided_method, 0.0) + float(row.avoided)
    counts = _by(ended, "outcome")
    return Money(
        avoided,
        counts.get(OutcomeKind.DISSUADED, 0),
        counts.get(OutcomeKind.PAID, 0),
        float(sum(row.lost for row in ended)),
    )


def _false_alarms(ended: list[Row[Any]]) -> Mapping[str, Share]:
    found: dict[str, Share] = {}
    for row in ended:
        if row.outcome in _TOLD:
            false = row.n if row.outcome == OutcomeKind.FALSE_ALARM else 0
            found[row.level] = found.get(row.level, Share(0, 0)).plus(Share(false, row.n))
    return found


async def _places(turn: Turn, since: datetime) -> tuple[Place, ...]:
    counts = OUTCOMES.c.reversed_at.is_(None)
    known = and_(counts, OUTCOMES.c.outcome.in_(_TOLD))
    false = and_(counts, OUTCOMES.c.outcome == OutcomeKind.FALSE_ALARM)
    tried, real = _tried_by_case(turn, since), _in_danger(CASES.c.case_id)
    case = func.count(CASES.c.case_id.distinct())
    query = (
        select(
            CASES.c.district,
            case.label("n"),
            case.filter(known).label("told"),
            case.filter(false).label("false"),
            case.filter(tried.c.case_id.is_not(None)).label("tried"),
            case.filter(tried.c.reached).label("reached"),
            case.filter(tried.c.heard, real).label("heard"),
            case.filter(tried.c.believed, real).label("believed"),
        )
        .outerjoin(OUTCOMES, OUTCOMES.c.case_id == CASES.c.case_id)
        .outerjoin(tried, tried.c.case_id == CASES.c.case_id)
        .where(CASES.c.opened_at >= since)
        .group_by(CASES.c.district)
    )
    found = [
        Place(
            row.district,
            row.n,
            Share(row.false, row.told),
            Share(row.reached, row.tried),
            Share(row.believed, row.heard),
        )
        for row in await _rows(turn, query)
    ]
    return tuple(sorted(found, key=lambda one: (one.name is None, -one.cases, one.name or "")))


def _tried_by_case(turn: Turn, since: datetime) -> Subquery:
    """What came of all attempts of a case together."""
    answered = and_(ATTEMPTS.c.reached, ATTEMPTS.c.believed.is_not(None))
    return (
        select(
            ATTEMPTS.c.case_id,
            func.bool_or(ATTEMPTS.c.reached).label("reached"),
            func.bool_or(answered).label("heard"),
            func.bool_or(and_(answered, ATTEMPTS.c.believed)).label("believed"),
        )
        .where(ATTEMPTS.c.at >= since, ATTEMPTS.c.at <= turn.now, ATTEMPTS.c.case_id.is_not(None))
        .group_by(ATTEMPTS.c.case_id)
        .subquery()
    )
