"""An officer's shift as he sees it: his own cases, the list, who has the others, what rests.

`serving.cases.work_list` says what is worth doing next; this puts beside it what he needs to know
of cases that are not on it, so that none seems lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true

from models.work_list import Next
from serving.access.accounts import ACCOUNTS
from serving.access.roles import Role
from serving.cases.attempts import attempts_of, contacted
from serving.cases.case import Case, State
from serving.cases.contracts import Step
from serving.cases.forms import Turn
from serving.cases.steps import DAY, Budget, budget, next_step
from serving.cases.tables import CASES
from serving.cases.work_list import Listed, listed

__all__ = ["SHOWN", "Choice", "Line", "Shift", "officers", "shift"]

SHOWN = 50
"""Lines on a page; nobody reads further, and the list is made anew with each change."""

_NOT_CLOSED = CASES.c.state != State.CLOSED


@dataclass(frozen=True)
class Choice:
    """Which cases somebody wants to see: of a level, of a scam type; None: all."""

    level: str | None = None
    scam_type: str | None = None

    def takes(self, case: Case) -> bool:
        """Whether it is one of them."""
        return self.level in {None, case.level} and self.scam_type in {None, case.scam_type}


@dataclass(frozen=True)
class Line:
    """A case in a list.

    Parameters
    ----------
    case : Case
    step : Step or Next or None
        What to do next; None where nothing is left to do.
    contacted : tuple of str
        Who spoke to the citizen last, and how it went (zh, en); empty if nobody did.
    budget : Budget or None
        When the citizen may be contacted, where that is not now.
    """

    case: Case
    step: Step | Next | None
    contacted: tuple[str, str]
    budget: Budget | None = None


@dataclass(frozen=True)
class Shift:
    """What an officer sees.

    Parameters
    ----------
    own, listed : tuple of Line
        His cases; what else is worth doing, in order, the first of `fitting`.
    fitting : int
        How many fit into his minutes, his own left out.
    waiting : int
        How many cases are not closed, in his district.
    held, snoozed : tuple of Case
        With other officers now; resting, the first to wake first.
    """

    own: tuple[Line, ...]
    listed: tuple[Line, ...]
    fitting: int
    waiting: int
    held: tuple[Case, ...]
    snoozed: tuple[Case, ...]


async def shift(turn: Turn, minutes_left: float, choice: Choice | None = None) -> Shift:
    """What an officer sees with so many minutes left.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    wanted = choice or Choice()
    lines = await listed(turn, minutes_left)
    own = await _own(turn)
    mine = {line.case.case_id for line in own}
    others = [one for one in lines if one.case.case_id not in mine and wanted.takes(one.case)]
    return Shift(
        own=own,
        listed=tuple(_line(one) for one in others[:SHOWN]),
        fitting=len(others),
        waiting=await _count(turn),
        held=await _cases(turn, _held(turn), CASES.c.locked_until),
        snoozed=await _cases(turn, _resting(turn), CASES.c.snoozed_until),
    )


async def officers(turn: Turn) -> tuple[str, ...]:
    """Who may be given a case by this actor, by name."""
    query = (
        select(ACCOUNTS.c.name)
        .where(
            ACCOUNTS.c.role.in_([Role.OFFICER, Role.SUPERVISOR]),
            ACCOUNTS.c.disabled_at.is_(None),
        )
        .order_by(ACCOUNTS.c.name)
    )
    if turn.actor.district is not None:
        query = query.where(ACCOUNTS.c.district == turn.actor.district)
    return tuple(await turn.connection.scalars(query))


async def _own(turn: Turn) -> tuple[Line, ...]:
    """His cases, those he has open first, then the nearest deadline."""
    name = turn.actor.name
    has_open = and_(CASES.c.locked_by == name, CASES.c.locked_until > turn.now)
    awake = or_(CASES.c.snoozed_until.is_(None), CASES.c.snoozed_until <= turn.now)
    given = and_(CASES.c.assignee == name, awake, ~_held(turn))
    found = await _cases(turn, or_(has_open, given), CASES.c.deadline_at)
    since = min((case.opened_at for case in found), default=turn.now) - DAY
    made = await attempts_of(turn.connection, [case.subscriber for case in found], since)
    lines = [_own_line(turn, case, made.get(case.subscriber, [])) for case in found]
    return tuple(sorted(lines, key=lambda line: line.case.locked_by != name))


def _own_line(turn: Turn, case: Case, made: Sequence[Any]) -> Line:
    every = [one for _, one in made]
    own = [one.tried for name, one in made if name == case.case_id]
    left = budget([one.tried.at for one in every], turn.now, turn.config)
    return Line(
        case,
        next_step(case, own, turn.now, turn.rates),
        contacted(every, turn.config),
        None if left.free(turn.now) else left,
    )


def _line(one: Listed) -> Line:
    return Line(one.case, one.step, (one.contacted_zh, one.contacted_en))


async def _cases(
    turn: Turn, which: ColumnElement[bool], order: ColumnElement[datetime]
) -> tuple[Case, ...]:
    query = select(CASES).where(_NOT_CLOSED, _seen(turn), which)
    query = query.order_by(order, CASES.c.case_id).limit(SHOWN)
    return tuple(Case.of(row) for row in (await turn.connection.execute(query)).mappings())


async def _count(turn: Turn) -> int:
    query = select(func.count()).select_from(CASES).where(_NOT_CLOSED, _seen(turn))
    return int(await turn.connection.scalar(query) or 0)


def _seen(turn: Turn) -> ColumnElement[bool]:
    district = turn.actor.district
    return true() if district is None else CASES.c.district == district


def _held(turn: Turn) -> ColumnElement[bool]:
    """With somebody else now."""
    return and_(
        CASES.c.locked_by.is_not(None),
        CASES.c.locked_by != turn.actor.name,
        CASES.c.locked_until > turn.now,
    )


def _resting(turn: Turn) -> ColumnElement[bool]:
    return and_(CASES.c.state == State.SNOOZED, CASES.c.snoozed_until > turn.now)
