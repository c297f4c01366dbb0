"""A case as an officer reads it: what happened, who spoke to the citizen, what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select

from serving.access.roles import Action, demand
from serving.cases.attempts import attempts_of, contacted
from serving.cases.case import Case
from serving.cases.contracts import Step
from serving.cases.forms import Turn, locked_case
from serving.cases.steps import DAY, Budget, budget, next_step
from serving.cases.tables import ATTEMPTS, CASES, EVIDENCE, NOTES, OUTCOMES
from serving.problems import Problem

__all__ = ["Card", "note_decision", "read", "read_evidence"]

Rows = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Card:
    """All there is to know of a case.

    Parameters
    ----------
    case : Case
    evidence, attempts, outcomes, notes : tuple of mapping
        Rows of the tables, in order of time; reversed outcomes among them.
    contacted_zh, contacted_en : str
        Who spoke to the citizen last, in this case or another of the last day; empty if nobody did.
    budget : Budget
        When he may be contacted again.
    next : Step or None
    """

    case: Case
    evidence: Rows
    attempts: Rows
    outcomes: Rows
    notes: Rows
    contacted_zh: str
    contacted_en: str
    budget: Budget
    next: Step | None


async def read(turn: Turn, case_id: str) -> Card:
    """Read a case; that it was read, and by whom, goes into the audit log.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``, also for a case of a district that is not the actor's.
    """
    demand(turn.actor, Action.READ_CASE)
    case = await locked_case(turn, case_id)
    since = min(case.opened_at, turn.now - DAY)
    made = (await attempts_of(turn.connection, [case.subscriber], since)).get(case.subscriber, [])
    own = [one.tried for name, one in made if name == case.case_id]
    zh, en = contacted([one for _, one in made], turn.config)
    card = Card(
        case,
        evidence=await _rows(turn, EVIDENCE, case_id, "known_at"),
        attempts=await _rows(turn, ATTEMPTS, case_id, "at"),
        outcomes=await _rows(turn, OUTCOMES, case_id, "known_at"),
        notes=await _rows(turn, NOTES, case_id, "at"),
        contacted_zh=zh,
        contacted_en=en,
        budget=budget([one.tried.at for _, one in made], turn.now, turn.config),
        next=next_step(case, own, turn.now, turn.rates),
    )
    await turn.record(Action.READ_CASE, case_id)
    return card


async def read_evidence(turn: Turn, case_id: str, event_id: str) -> Mapping[str, Any]:
    """A piece of a case's evidence; that its record was opened goes into the audit log.

    Raises
    ------
    Problem
        As `read`; ``not-found`` for evidence of another case.
    """
    demand(turn.actor, Action.READ_CASE)
    await locked_case(turn, case_id)
    query = select(EVIDENCE).where(EVIDENCE.c.case_id == case_id, EVIDENCE.c.event_id == event_id)
    row = (await turn.connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise Problem("not-found", "no such evidence in this case")
    await turn.record(Action.READ_DECISION, case_id, {"event_id": event_id})
    return dict(row)


async def note_decision(turn: Turn, event_id: str) -> None:
    """Let the actor read a decision that there is; that he did goes into the audit log.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``, where he sees one district, for one of no case of it.
    """
    demand(turn.actor, Action.READ_DECISION)
    if turn.actor.district is not None:
        of_case = EVIDENCE.join(CASES, CASES.c.case_id == EVIDENCE.c.case_id)
        his = (EVIDENCE.c.event_id == event_id, CASES.c.district == turn.actor.district)
        query = select(CASES.c.case_id).select_from(of_case).where(*his).limit(1)
        if await turn.connection.scalar(query) is None:
            raise Problem("not-found", "no decision with this event_id")
    await turn.record(Action.READ_DECISION, event_id)


async def _rows(turn: Turn, table: Table, case_id: str, time: str) -> Rows:
    query = select(table).where(table.c.case_id == case_id).order_by(table.c[time])
    return tuple(dict(row) for row in (await turn.connection.execute(query)).mappings())
