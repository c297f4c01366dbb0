"""Keeping a plan that is carried out, and finding it again."""

import hashlib
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.dialects.postgresql import insert

from serving.access.roles import Action, demand
from serving.cases.forms import Turn
from serving.patrols.contracts import DoseTold, PlanDelivered, PlanKept
from serving.patrols.delivered import delivered
from serving.patrols.tables import PATROL_DOSES, PATROL_PLANS
from serving.problems import Problem

__all__ = ["keep", "kept_of_shift", "plan_of", "read", "told"]

_NAME = re.compile(r"plan-[0-9a-f]{24}")
LATE_H = 2.0
"""Hours after leaving from which an entry is from memory: our choice, a quarter of a shift."""


async def keep(turn: Turn, plan: PlanKept) -> str:
    """Keep a plan and return its name: the same plan has the same one, so a second time is none.

    Raises
    ------
    Problem
        ``forbidden``.
    """
    demand(turn.actor, Action.PLAN_PATROL)
    text = plan.model_dump_json()
    plan_id = f"plan-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    row = {
        "plan_id": plan_id,
        "day": plan.date,
        "shift": plan.shift.position,
        "plan": plan.model_dump(mode="json"),
        "kept_at": turn.now,
        "kept_by": turn.actor.name,
    }
    new = insert(PATROL_PLANS).values(row).on_conflict_do_nothing()
    if await turn.connection.scalar(new.returning(PATROL_PLANS.c.plan_id)) is not None:
        stops = sum(len(beat.stops) for beat in plan.beats)
        detail = {"deed": "keep", "date": plan.date.isoformat(), "stops": stops}
        await turn.record(Action.PLAN_PATROL, plan_id, detail)
    return plan_id


async def kept_of_shift(turn: Turn, day: date, shift: int) -> tuple[Mapping[str, Any], ...]:
    """Plans that are carried out in a shift: ``plan_id``, ``kept_at``; the newest first."""
    query = (
        select(PATROL_PLANS.c.plan_id, PATROL_PLANS.c.kept_at)
        .where(PATROL_PLANS.c.day == day, PATROL_PLANS.c.shift == shift)
        .order_by(PATROL_PLANS.c.kept_at.desc())
    )
    return tuple(dict(row) for row in (await turn.connection.execute(query)).mappings())


async def read(turn: Turn, plan_id: str) -> PlanDelivered:
    """A kept plan beside its dose.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``.
    """
    demand(turn.actor, Action.READ_MAP)
    row = await plan_of(turn, plan_id)
    plan = PlanKept.model_validate(row["plan"])
    query = (
        select(PATROL_DOSES)
        .where(PATROL_DOSES.c.plan_id == plan_id)
        .order_by(PATROL_DOSES.c.arrived_at, PATROL_DOSES.c.dose_id)
    )
    rows = (await turn.connection.execute(query)).mappings()
    return delivered(plan_id, plan, row["kept_at"], [told(dict(one), plan) for one in rows])


async def plan_of(turn: Turn, plan_id: str) -> RowMapping:
    """Row of a plan.

    Raises
    ------
    Problem
        ``not-found``.
    """
    query = select(PATROL_PLANS).where(PATROL_PLANS.c.plan_id == plan_id)
    ours = _NAME.fullmatch(plan_id)  # PostgreSQL refuses some texts outright
    row = (await turn.connection.execute(query)).mappings().one_or_none() if ours else None
    if row is None:
        raise Problem("not-found", "no plan with this id is kept")
    return row


def told(row: Mapping[str, Any], plan: PlanKept) -> DoseTold:
    """A row of `PATROL_DOSES` as it is told."""
    cells = {stop.cell for beat in plan.beats for stop in beat.stops}
    here = row["left_at"] - row["arrived_at"]
    since = row["recorded_at"] - row["left_at"]
    return DoseTold(
        dose_id=row["dose_id"],
        plan_id=row["plan_id"],
        unit=row["unit"],
        cell=row["cell"],
        arrived_at=row["arrived_at"],
        left_at=row["left_at"],
        minutes=here.total_seconds() / 60,
        done=tuple(row["done"]),
        note=row["note"],
        recorded_at=row["recorded_at"],
        late=since.total_seconds() > LATE_H * 3600,
        outside=row["cell"] not in cells,
    )
