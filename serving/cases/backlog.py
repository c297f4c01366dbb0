"""The cases an officer may have now, and their order, read only as far as his shift reaches.

They are those of his district that are open, not with somebody else, and whose citizen may be
contacted. What a case can be worth at most is known without its attempts, but for how many of them
settled nothing, and PostgreSQL sorts by that: what lies beyond the first few hundred is read only
where it could still come before them.

References
----------
Fagin, Lotem, Naor, "Optimal aggregation algorithms for middleware", J. Computer and System Sciences
66 (2003): the threshold at which the rest need not be looked at.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, and_, cast, func, or_, select
from sqlalchemy import case as when

from models.dissuasion import SURE, Tried
from models.work_list import Candidate, Next, ceiling, ordered, sway
from serving.cases.attempts import tried_since
from serving.cases.case import State
from serving.cases.episodes import STAGES
from serving.cases.forms import Turn
from serving.cases.steps import DAY, budget
from serving.cases.tables import ATTEMPTS, CASES

__all__ = ["free_cases", "steps_of"]

_ASKED = (  # what a `Candidate` takes, in its order, and two more
    "case_id",
    "score",
    "stage",
    "scam_type",
    "expected_loss_cny",
    "stage_at",
    "deadline_at",
    "subscriber",
    "opened_at",
)
PORTION = 400  # cases read at first: a shift's list and those that wait behind it
_MOST_GONE = 600.0  # e-folds: less than a fen in all the world's money


async def steps_of(turn: Turn, minutes_left: float, limit: int | None = None) -> tuple[Next, ...]:
    """What the minutes left are best spent on, in order; at most so many steps."""
    least = min(way.minutes for way in turn.rates.ways if way.minutes)
    portion = PORTION
    while True:
        candidates, rest = await _backlog(turn, portion)
        # a long one takes a while: others are not kept meanwhile
        steps = await asyncio.to_thread(
            ordered, candidates, turn.now, minutes_left, turn.rates, limit=limit
        )
        spare = minutes_left - sum(step.minutes for step in steps)
        full = len(steps) == limit or spare < least
        if rest is None or (full and steps and steps[-1].value_per_minute > rest):
            return steps
        portion *= 8


def free_cases(turn: Turn) -> Select[Any]:
    """Cases this officer may take now."""
    mine = turn.actor.name
    awake = or_(
        CASES.c.state == State.OPEN,
        and_(CASES.c.state == State.SNOOZED, CASES.c.snoozed_until <= turn.now),
    )
    loose = or_(
        CASES.c.locked_until.is_(None),
        CASES.c.locked_until <= turn.now,
        CASES.c.locked_by == mine,
    )
    own = or_(CASES.c.assignee.is_(None), CASES.c.assignee == mine)
    query = select(CASES).where(awake, loose, own)
    if turn.actor.district is not None:
        query = query.where(CASES.c.district == turn.actor.district)
    return query


async def _backlog(turn: Turn, most: int) -> tuple[list[Candidate], float | None]:
    """Cases that this officer may take and whose citizen may be contacted, as the order asks.

    Only so many are read, those that could be worth most; with what no other one's value per minute
    exceeds (CNY; None: there is no other).
    """
    bound = _bound(turn).label("bound")
    query = free_cases(turn).with_only_columns(*(CASES.c[name] for name in _ASKED), bound)
    query = query.order_by(bound.desc(), CASES.c.case_id).limit(most)
    rows = (await turn.connection.execute(query)).all()
    # an episode's attempts may be older than a day; the budget looks back a day
    since = min((row.opened_at for row in rows), default=turn.now) - DAY
    made = await tried_since(turn.connection, [row.subscriber for row in rows], since)
    found = [
        _candidate(row, whole)
        for row in rows
        if _may_be_contacted(turn, whole := made.get(row.subscriber, ()))
    ]
    # by a hair more: PostgreSQL's exp and ours may differ in the last digit
    rest = rows[-1].bound * (1 + 1e-9) if len(rows) == most else None
    return found, rest


def _bound(turn: Turn) -> ColumnElement[float]:
    """What a case may be worth per minute at most, CNY, whatever was tried (`ceiling`)."""
    hazard = turn.rates.hazard
    pace = {stage: hazard.per_hour(stage) for stage in STAGES}
    worth = {stage: ceiling(stage, turn.rates) for stage in STAGES}
    waited = func.extract("epoch", turn.now - CASES.c.stage_at) / 3_600
    # PostgreSQL calls an exponential that is too small an error
    gone = func.least(_MOST_GONE, when(pace, value=CASES.c.stage) * func.greatest(0, waited))
    there = cast(CASES.c.expected_loss_cny, Double) * func.exp(-cast(gone, Double))
    return _suspicion(turn) * there * when(worth, value=CASES.c.stage)


def _suspicion(turn: Turn) -> ColumnElement[float]:
    """What is suspected at most: by the talks that settled nothing (`sway`)."""
    talks = (
        select(func.count())
        .where(ATTEMPTS.c.case_id == CASES.c.case_id, ATTEMPTS.c.reached, ~ATTEMPTS.c.believed)
        .scalar_subquery()
    )
    each = {stage: sway(stage, turn.rates) for stage in STAGES}
    told = func.least(SURE, talks * when(each, value=CASES.c.stage))
    score, less = CASES.c.score, func.exp(-cast(told, Double))
    return cast(score / (score + (1 - score) * less), Double)


def _candidate(row: Any, made: Sequence[tuple[str | None, Tried]]) -> Candidate:
    *asked, _, _, _ = row
    own = tuple(tried for name, tried in made if name == row.case_id)
    return Candidate(*asked, own)  # type: ignore[call-arg]  # as `_ASKED` has them


def _may_be_contacted(turn: Turn, made: Sequence[tuple[str | None, Tried]]) -> bool:
    if not made:
        return True
    return budget([tried.at for _, tried in made], turn.now, turn.config).free(turn.now)
