"""How a case ended, what that saved, and how to take it back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from models.dissuasion import Avoided, loss_avoided
from serving.cases.admission import write_cases
from serving.cases.case import Case, State
from serving.cases.contracts import Acted, Form, Outcome, OutcomeKind
from serving.cases.forms import Deed, Done, Turn, conflict, do_once
from serving.cases.ids import new_id
from serving.cases.tables import ATTEMPTS, EVIDENCE, OUTCOMES
from serving.scrub import scrubbed

__all__ = ["WORDS", "record", "reverse"]

WORDS: Mapping[OutcomeKind, tuple[str, str]] = {
    OutcomeKind.DISSUADED: ("劝阻成功", "dissuaded"),
    OutcomeKind.PAID: ("已被骗转账", "already paid"),
    OutcomeKind.FALSE_ALARM: ("误报", "false alarm"),
    OutcomeKind.UNREACHABLE: ("无法联系", "unreachable"),
    OutcomeKind.HANDED_OVER: ("已移交", "handed over"),
}


async def record(turn: Turn, form: Form, outcome: Outcome) -> Acted:
    """Close a case with its outcome.

    Raises
    ------
    Problem
        As `serving.cases.forms.do_once`.
    """

    async def work(case: Case) -> Done:
        closed, avoided = await _closed(turn, case, outcome)
        zh, en = WORDS[outcome.outcome]
        more = (f"。{avoided.zh}", f"; {avoided.en}") if avoided else ("", "")
        detail = {"avoided_cny": avoided.cny, "method": avoided.method} if avoided else {}
        return Done(closed, f"已结案：{zh}{more[0]}", f"closed: {en}{more[1]}", detail=detail)

    return await do_once(turn, form, Deed("outcome", outcome.model_dump(mode="json")), work)


async def reverse(turn: Turn, form: Form, reason: str, instead: Outcome | None = None) -> Acted:
    """Take the last outcome of a closed case back, with a reason.

    The outcome stays on record, with the moment from which it no longer counts: training as of an
    earlier day still sees it. With another outcome in its place the case stays closed; otherwise it
    is opened again, unless the citizen has an open case by now.

    Raises
    ------
    Problem
        As `serving.cases.forms.do_once`; ``conflict`` where there is no outcome to reverse.
    """
    content = {"reason": reason, "instead": instead and instead.model_dump(mode="json")}

    async def work(case: Case) -> Done:
        await _withdraw(turn, case, reason)
        if instead is not None:
            closed, _ = await _closed(turn, case, instead)
            zh, en = WORDS[instead.outcome]
            return Done(closed, f"结果已更正为：{zh}", f"outcome corrected: {en}")
        if await _opens(turn, again := _open_again(turn, case)):
            return Done(
                again, "结果已撤销，案件重新打开", "outcome taken back, the case is open again"
            )
        return Done(
            case,
            "结果已撤销；此人另有未结案件，请在该案中处理",
            "outcome taken back; the citizen has another open case: work that one",
        )

    return await do_once(turn, form, Deed("reversal", content, closed=True), work)


async def _closed(turn: Turn, case: Case, outcome: Outcome) -> tuple[Case, Avoided | None]:
    """The case, closed; its outcome written down."""
    ends_at = max(case.episode_ends_at, turn.now + turn.config.episode_gap)
    avoided = None
    if outcome.outcome == OutcomeKind.DISSUADED:
        loss = turn.config.loss_of(outcome.scam_type) if outcome.scam_type else 0.0
        rest = max(timedelta(0), ends_at - turn.now)
        expected = max(case.expected_loss_cny, loss)
        avoided = loss_avoided(expected, case.stage, rest, turn.rates.hazard)
    scam_type = str(outcome.scam_type or case.scam_type)
    row = {
        "outcome_id": new_id(turn.now),
        "case_id": case.case_id,
        "subscriber": case.subscriber,
        "outcome": outcome.outcome,
        "scam_type": scam_type,
        "loss_cny": outcome.loss_cny,
        "avoided_cny": avoided and avoided.cny,
        "avoided_method": avoided and avoided.method,
        "intervened": await _was_reached(turn, case),
        "episode_began_at": await _began_at(turn, case, outcome.first_contact_at),
        "episode_ends_at": ends_at,
        "known_at": turn.now,
        "recorded_by": turn.actor.name,
    }
    await turn.connection.execute(insert(OUTCOMES), [row])
    closed = replace(
        case,
        state=State.CLOSED,
        closed_at=turn.now,
        episode_ends_at=ends_at,
        scam_type=scam_type,
        locked_by=None,
        locked_until=None,
        snoozed_until=None,
        snooze_reason=None,
    )
    return closed, avoided


async def _was_reached(turn: Turn, case: Case) -> bool:
    reached = exists().where(ATTEMPTS.c.case_id == case.case_id, ATTEMPTS.c.reached)
    return bool(await turn.connection.scalar(select(reached)))


async def _began_at(turn: Turn, case: Case, told: datetime | None) -> datetime:
    """Since when the fraudster may have been at work; unless told, as long as an episode's gap."""
    first = select(func.min(EVIDENCE.c.occurred_at)).where(EVIDENCE.c.case_id == case.case_id)
    found: datetime | None = await turn.connection.scalar(first)
    began = found or case.opened_at
    return min(began, told) if told else began - turn.config.episode_gap


async def _withdraw(turn: Turn, case: Case, reason: str) -> None:
    last = (
        select(OUTCOMES.c.outcome_id)
        .where(OUTCOMES.c.case_id == case.case_id, OUTCOMES.c.reversed_at.is_(None))
        .order_by(OUTCOMES.c.known_at.desc(), OUTCOMES.c.outcome_id.desc())
        .limit(1)
    )
    found = await turn.connection.scalar(last)
    if found is None:
        raise conflict(
            "expected an outcome to reverse, found none; read the case again",
            "此案没有可撤销的结果",
            "this case has no outcome to take back",
        )
    change: dict[str, Any] = {
        "reversed_at": turn.now,
        "reversed_by": turn.actor.name,
        "reversal_reason": scrubbed(reason),
    }
    query = update(OUTCOMES).where(OUTCOMES.c.outcome_id == found).values(change)
    await turn.connection.execute(query)


def _open_again(turn: Turn, case: Case) -> Case:
    level = turn.config.levels[min(case.urgency, len(turn.config.levels) - 1)]
    return replace(
        case,
        state=State.OPEN,
        closed_at=None,
        met_at=None,
        deadline_at=turn.now + timedelta(seconds=level.deadline_s[case.stage]),
    )


async def _opens(turn: Turn, case: Case) -> bool:
    """Whether the index lets the case open: not while the citizen has another open one."""
    try:
        async with turn.connection.begin_nested():
            await write_cases(turn.connection, [case], [case.case_id])
    except IntegrityError:
        return False
    return True
