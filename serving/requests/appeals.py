"""A citizen's objection: filed, reviewed by one who had no part in it, decided in words.

Upheld, the measures are lifted and the label corrected in the same transaction: Art. 32 wants wrong
measures lifted at once. Whoever drafted or signed a measure, recorded the outcome or filed the
objection does not decide: nobody alone lifts what somebody else signed.

References
----------
反电信网络诈骗法 (Anti-Telecom and Online Fraud Law, 2022), Art. 32: the restricted are told why and
what they can do, may appeal, and wrong measures are lifted at once. It names no number of days;
the deadline is ours (`serving.requests.receivers.Office`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping, insert, select, update

from serving.access.roles import Action, demand
from serving.cases import outcomes
from serving.cases.admission import write_cases
from serving.cases.case import Case
from serving.cases.contracts import Form, Outcome, OutcomeKind
from serving.cases.forms import Turn, conflict, locked_case, once
from serving.cases.ids import new_id
from serving.cases.tables import CASES, OUTCOMES
from serving.problems import Problem
from serving.requests.contracts import Appeal, AppealDecision, AppealFiling
from serving.requests.lifecycle import write
from serving.requests.messages import Lifting, lift
from serving.requests.receivers import Office
from serving.requests.request import Request, State
from serving.requests.tables import APPEALS, REQUESTS
from serving.scrub import scrubbed

__all__ = ["OpenAppeal", "decide", "file", "open_appeals"]

_FALSE_ALARM = Outcome(outcome=OutcomeKind.FALSE_ALARM)


@dataclass(frozen=True)
class OpenAppeal:
    """An appeal that waits for its decision.

    Parameters
    ----------
    appeal_id, case_id : str
    request_id : str or None
        The measure objected to; None: the case as a whole.
    words : str
        The citizen's, without numbers.
    filed_by, filed_at : str, datetime
    due_at : datetime
    version : int
    overdue : bool
    zh, en : str
        How much time is left, in words.
    """

    appeal_id: str
    case_id: str
    request_id: str | None
    words: str
    filed_by: str
    filed_at: datetime
    due_at: datetime
    version: int
    overdue: bool
    zh: str
    en: str


async def file(turn: Turn, office: Office, filing: AppealFiling) -> Appeal:
    """Open a review; a fact, so that it is never too late for it.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``; ``conflict`` while the same objection is under review.
    """
    demand(turn.actor, Action.FILE_APPEAL)

    async def whole() -> Appeal:
        case = await locked_case(turn, await _case_of(turn, filing))
        await _refuse_second(turn, case, filing)
        row: dict[str, Any] = {
            "appeal_id": new_id(turn.now),
            "case_id": case.case_id,
            "request_id": filing.request_id,
            "state": "open",
            "words": scrubbed(filing.words),
            "filed_by": turn.actor.name,
            "filed_at": turn.now,
            "due_at": turn.now + timedelta(days=office.appeal_days),
            "version": 1,
        }
        await turn.connection.execute(insert(APPEALS), [row])
        detail = {"deed": "file", "case": case.case_id, "request": filing.request_id}
        await turn.record(Action.FILE_APPEAL, row["appeal_id"], detail)
        due = f"{row['due_at'].astimezone(ZoneInfo(turn.config.zone)):%Y-%m-%d %H:%M}"
        return Appeal(
            **{name: row[name] for name in ("appeal_id", "state", "version", "due_at")},
            zh=f"申诉已受理，须在{due}前答复",
            en=f"the appeal is under review, to be decided by {due}",
        )

    return Appeal.model_validate(await once(turn, filing.key, filing.model_dump(), whole))


async def decide(turn: Turn, appeal_id: str, decision: AppealDecision) -> Appeal:
    """Uphold or reject an appeal.

    Upheld, the measure objected to is lifted; where the whole case was a false alarm, all of its
    measures are, its outcome is taken back and `false_alarm` recorded instead.

    Raises
    ------
    Problem
        ``forbidden``, also for one who had a part in it; ``not-found``; ``conflict`` for a stale
        form or an appeal that is decided.
    """
    demand(turn.actor, Action.DECIDE_APPEAL)

    async def whole() -> Appeal:
        case, appeal = await _held(turn, appeal_id)
        _check(appeal, decision)
        measures = await _measures(turn, case.case_id)
        whole = appeal["request_id"] is None or (decision.upheld and decision.false_alarm)
        about = [one for one in measures if whole or one.request_id == appeal["request_id"]]
        await _demand_no_part(turn, appeal, about)
        change: dict[str, Any] = {
            "state": "upheld" if decision.upheld else "rejected",
            "decided_by": turn.actor.name,
            "decided_at": turn.now,
            "reason": scrubbed(decision.reason),
            "version": appeal["version"] + 1,
        }
        detail: dict[str, Any] = {}
        if decision.upheld:
            detail = await _put_right(turn, case, appeal, decision, measures)
            change |= {"lifted": detail["lifted"], "outcome_id": detail["outcome_id"]}
        held = update(APPEALS).where(APPEALS.c.appeal_id == appeal_id)
        await turn.connection.execute(held.values(change))
        said = {"deed": change["state"], "case": case.case_id, **detail}
        await turn.record(Action.DECIDE_APPEAL, appeal_id, said)
        zh, en = _words(detail if decision.upheld else None)
        return Appeal(
            appeal_id=appeal_id,
            state=change["state"],
            version=change["version"],
            due_at=appeal["due_at"],
            zh=zh,
            en=en,
            detail=detail,
        )

    content = {"appeal": appeal_id, "decision": decision.model_dump()}
    return Appeal.model_validate(await once(turn, decision.key, content, whole))


async def open_appeals(turn: Turn, *, overdue: bool = False) -> tuple[OpenAppeal, ...]:
    """Appeals that wait, of cases the actor sees; the one due first first.

    Parameters
    ----------
    overdue : bool
        Only those whose deadline has passed.
    """
    demand(turn.actor, Action.READ_CASE)
    query = (
        select(APPEALS)
        .join(CASES, CASES.c.case_id == APPEALS.c.case_id)
        .where(APPEALS.c.state == "open")
        .order_by(APPEALS.c.due_at, APPEALS.c.appeal_id)
        .limit(500)
    )
    if overdue:
        query = query.where(APPEALS.c.due_at < turn.now)
    if turn.actor.district is not None:
        query = query.where(CASES.c.district == turn.actor.district)
    rows = (await turn.connection.execute(query)).mappings()
    return tuple(_waiting(row, turn.now) for row in rows)


def _waiting(row: RowMapping, now: datetime) -> OpenAppeal:
    names = OpenAppeal.__dataclass_fields__.keys() & row.keys()
    hours = int((row["due_at"] - now).total_seconds() // 3600)
    late = row["due_at"] < now
    zh = f"已超期{-hours}小时" if late else f"剩余{hours}小时"
    en = f"{-hours} h overdue" if late else f"{hours} h left"
    return OpenAppeal(**{name: row[name] for name in names}, overdue=late, zh=zh, en=en)


async def _case_of(turn: Turn, filing: AppealFiling) -> str:
    if filing.case_id is not None:
        return filing.case_id
    query = select(REQUESTS.c.case_id).where(REQUESTS.c.request_id == filing.request_id)
    found: str | None = await turn.connection.scalar(query)
    if found is None:
        raise Problem("not-found", "no request with this id among those you see")
    return found


async def _refuse_second(turn: Turn, case: Case, filing: AppealFiling) -> None:
    same = select(APPEALS.c.appeal_id).where(
        APPEALS.c.case_id == case.case_id,
        APPEALS.c.request_id.is_not_distinct_from(filing.request_id),
        APPEALS.c.state == "open",
    )
    if await turn.connection.scalar(same) is not None:
        raise conflict(
            "expected an objection that is not under review, found one that is; wait for it",
            "同一申诉正在审核中",
            "the same objection is under review already",
        )


async def _held(turn: Turn, appeal_id: str) -> tuple[Case, RowMapping]:
    """The case, then the appeal, both held: in the order everybody takes them."""
    absent = Problem("not-found", "no appeal with this id among those you see")
    one = select(APPEALS).where(APPEALS.c.appeal_id == appeal_id)
    found = (await turn.connection.execute(one)).mappings().one_or_none()
    if found is None:
        raise absent
    try:
        case = await locked_case(turn, found["case_id"])
    except Problem as error:
        raise absent from error
    return case, (await turn.connection.execute(one.with_for_update())).mappings().one()


def _check(appeal: RowMapping, decision: AppealDecision) -> None:
    if appeal["state"] != "open" or appeal["version"] != decision.version:
        raise conflict(
            f"expected version {appeal['version']} of an open appeal, found {decision.version}; "
            "read it again",
            "该申诉已有变化或已办结，请刷新",
            "this appeal changed or is decided: read it again",
            version=appeal["version"],
        )
    if decision.upheld and appeal["request_id"] is None and not decision.false_alarm:
        raise conflict(
            "expected false_alarm for an objection to the case as a whole, found only the measure; "
            "uphold it as a false alarm, or reject it",
            "针对整个案件的申诉，成立即为误报",
            "an objection to the whole case is upheld as a false alarm or not at all",
        )


async def _measures(turn: Turn, case_id: str) -> Sequence[Request]:
    """All requests of a case, held."""
    query = (
        select(REQUESTS)
        .where(REQUESTS.c.case_id == case_id)
        .order_by(REQUESTS.c.request_id)
        .with_for_update()
    )
    return [Request.of(row) for row in (await turn.connection.execute(query)).mappings()]


async def _demand_no_part(turn: Turn, appeal: RowMapping, about: Sequence[Request]) -> None:
    part = {
        appeal["filed_by"],
        *(name for one in about for name in (one.drafted_by, one.signed_by)),
    }
    recorded = select(OUTCOMES.c.recorded_by).where(OUTCOMES.c.case_id == appeal["case_id"])
    part |= set(await turn.connection.scalars(recorded))
    if turn.actor.name in part:
        raise Problem(
            "forbidden",
            "expected one who had no part in the measure, the outcome or the objection, found one "
            "who had",
            {
                "zh": "参与过该措施或结案的人员、登记此申诉的人员不能审核此申诉",
                "en": "who had a part in the measure or the outcome, or filed the objection, does "
                "not decide on it",
            },
        )


async def _put_right(
    turn: Turn,
    case: Case,
    appeal: RowMapping,
    decision: AppealDecision,
    measures: Sequence[Request],
) -> dict[str, Any]:
    """Lift what is to be lifted, then correct the label: row locks before the audit log's."""
    whole = decision.false_alarm
    why = Lifting(turn.actor.name, turn.now, decision.reason, turn.config.zone)
    lifted = undone = 0
    for one in measures:
        meant = whole or one.request_id == appeal["request_id"]
        if meant and (one.to_lift or one.state == State.DRAFTED):
            ended = await lift(turn.connection, one, why)
            await write(turn.connection, ended)
            lifted += 1
            undone += ended.state == State.UNDONE
    outcome_id = await _as_false_alarm(turn, case, appeal, decision) if whole else None
    return {"lifted": lifted, "undone": undone, "outcome_id": outcome_id}


async def _as_false_alarm(
    turn: Turn, case: Case, appeal: RowMapping, decision: AppealDecision
) -> str | None:
    """The case, recorded as a false alarm; the outcome's id."""
    standing = await _standing(turn, case.case_id)
    if standing is not None and standing.outcome == OutcomeKind.FALSE_ALARM:
        return str(standing.outcome_id)
    form = Form(case_id=case.case_id, version=case.version, key=f"appeal:{appeal['appeal_id']}")
    if not case.closed:
        # the review goes before whoever has the case open
        free = replace(case, locked_by=None, locked_until=None)
        await write_cases(turn.connection, [free], [case.case_id])
        await outcomes.record(turn, form, _FALSE_ALARM)
    elif standing is not None:
        await outcomes.reverse(turn, form, decision.reason, _FALSE_ALARM)
    else:  # taken back before, and the citizen's newer case is the open one
        return None
    found = await _standing(turn, case.case_id)
    return None if found is None else str(found.outcome_id)


async def _standing(turn: Turn, case_id: str) -> Any:
    query = (
        select(OUTCOMES.c.outcome_id, OUTCOMES.c.outcome)
        .where(OUTCOMES.c.case_id == case_id, OUTCOMES.c.reversed_at.is_(None))
        .order_by(OUTCOMES.c.known_at.desc(), OUTCOMES.c.outcome_id.desc())
        .limit(1)
    )
    return (await turn.connection.execute(query)).one_or_none()


def _words(detail: dict[str, Any] | None) -> tuple[str, str]:
    if detail is None:
        return "申诉不成立，理由可告知当事人", "rejected; the reason may be told to the citizen"
    zh, en = f"解除措施{detail['lifted']}项", f"measures lifted: {detail['lifted']}"
    if detail["outcome_id"]:
        zh, en = f"{zh}，案件更正为误报", f"{en}; the case is a false alarm"
    return f"申诉成立，{zh}", f"upheld; {en}"
