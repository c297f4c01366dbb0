"""Contacts that other platforms made: 12381's text, a bank's call, an app's page.

Whoever speaks to a citizen next must know who did last and how it went. A contact is a fact, so it
meets the citizen's open case whoever has it, and where there is none it still counts in his budget.
The platform is told when he may be contacted again, not whether there is a case.
"""

from dataclasses import replace

from sqlalchemy import insert, select

from models.dissuasion import Tried
from serving.access.roles import Action, demand
from serving.cases.admission import hold_citizens, write_cases
from serving.cases.api_contracts import ContactReceipt, ReportedAttempt
from serving.cases.attempts import (
    Contact,
    after_attempt,
    attempt_row,
    attempts_of,
    demand_made,
)
from serving.cases.case import Case, State
from serving.cases.forms import Turn, once
from serving.cases.steps import DAY, budget
from serving.cases.tables import ATTEMPTS, CASES

__all__ = ["report"]


async def report(turn: Turn, told: ReportedAttempt) -> ContactReceipt:
    """Record a contact of another platform, once.

    Parameters
    ----------
    told : ReportedAttempt
        Its subscriber concealed.

    Raises
    ------
    Problem
        ``forbidden``; ``conflict`` for an attempt in the future, or a key that was used for
        another one.
    """
    demand(turn.actor, Action.TAKE_IN)
    demand_made(turn, told.at)

    async def work() -> ContactReceipt:
        # an alert about him that arrives now finds the attempt, or its case is found here
        await hold_citizens(turn.connection, [told.subscriber])
        case = await _open_case(turn, told.subscriber)
        tried = Tried(told.channel, told.script, told.reached, told.believed, 0.0, told.at)
        contact = Contact(told.platform, tried)
        case_id = None if case is None else case.case_id
        row = attempt_row(turn, told.subscriber, case_id, contact)
        await turn.connection.execute(insert(ATTEMPTS), [row])
        if case is not None:
            await _met(turn, case, tried)
        receipt = await _receipt(turn, told.subscriber, row["attempt_id"])
        subject = case_id or told.subscriber
        detail = {"deed": "reported_attempt", "platform": told.platform, "channel": told.channel}
        await turn.record(Action.TAKE_IN, subject, detail)
        return receipt

    content = {"deed": "reported_attempt", "content": told.model_dump(mode="json")}
    return ContactReceipt.model_validate(await once(turn, told.key, content, work))


async def _open_case(turn: Turn, subscriber: str) -> Case | None:
    query = (
        select(CASES)
        .where(CASES.c.subscriber == subscriber, CASES.c.state != State.CLOSED)
        .with_for_update()
    )
    row = (await turn.connection.execute(query)).mappings().one_or_none()
    return None if row is None else Case.of(row)


async def _met(turn: Turn, case: Case, tried: Tried) -> None:
    """The case after it: whoever is about to call must read it again."""
    after = after_attempt(case, tried, turn.config)
    changed = replace(after, version=case.version + 1, changed_at=turn.now)
    await write_cases(turn.connection, [changed], [case.case_id])


async def _receipt(turn: Turn, subscriber: str, attempt_id: str) -> ContactReceipt:
    made = await attempts_of(turn.connection, [subscriber], turn.now - DAY)
    times = [one.tried.at for _, one in made.get(subscriber, [])]
    left = budget(times, turn.now, turn.config)
    return ContactReceipt(
        attempt_id=attempt_id, contacts_left=left.left, contact_again_at=left.free_at
    )
