"""Recording what was done at a stop, once."""

from datetime import datetime, timedelta

from sqlalchemy import insert

from data.clock import AHEAD
from serving.access.roles import Action, demand
from serving.cases.forms import Turn, conflict, once
from serving.cases.ids import new_id
from serving.patrols.contracts import Dose, DoseTold, PlanKept
from serving.patrols.keeping import plan_of, told
from serving.patrols.tables import PATROL_DOSES
from serving.scrub import scrubbed

__all__ = ["record"]

AROUND = timedelta(hours=12)
"""A stop further from the shift than this belongs to another plan."""


async def record(turn: Turn, plan_id: str, dose: Dose) -> DoseTold:
    """Write a stop down that was made; sent twice under one key, it is written once.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``; ``conflict`` for a time ahead of our clock or far from the
        shift, or a key that was used for something else.
    """
    demand(turn.actor, Action.RECORD_DOSE)
    plan = PlanKept.model_validate((await plan_of(turn, plan_id))["plan"])
    _check(turn.now, plan, dose)

    async def work() -> DoseTold:
        row = {
            **dose.model_dump(exclude={"key", "note"}),
            "done": [str(one) for one in dose.done],
            "dose_id": new_id(turn.now),
            "plan_id": plan_id,
            "note": scrubbed(dose.note.strip()) if dose.note and dose.note.strip() else None,
            "recorded_at": turn.now,
            "recorded_by": turn.actor.name,
        }
        await turn.connection.execute(insert(PATROL_DOSES), [row])
        answer = told(row, plan)
        detail = {
            "deed": "dose",
            "cell": dose.cell,
            "unit": dose.unit,
            "late": answer.late,
            "outside": answer.outside,
        }
        await turn.record(Action.RECORD_DOSE, plan_id, detail)
        return answer

    content = {"plan": plan_id, **dose.model_dump(mode="json")}
    return DoseTold.model_validate(await once(turn, dose.key, content, work))


def _check(now: datetime, plan: PlanKept, dose: Dose) -> None:
    if dose.left_at > now + AHEAD:
        raise conflict(
            "expected a stop that was made, found a time ahead of our clock; correct it",
            "离开时间晚于当前时间，请更正",
            "the stop ends in the future: correct its times",
        )
    begin, end = plan.shift.begins_at - AROUND, plan.shift.ends_at + AROUND
    if not begin <= dose.arrived_at <= end:
        raise conflict(
            "expected a stop within 12 h of the plan's shift, found another; take its own plan",
            "到达时间与本班次相差超过12小时，请核对时间或选择对应的计划",
            "the stop is more than 12 h from the plan's shift: correct its time or take its plan",
        )
