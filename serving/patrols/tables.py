"""What PostgreSQL holds of kept plans and of the dose; the DDL stands in migration 0009."""

from typing import Any

from sqlalchemy import Column, Date, DateTime, ForeignKey, Index, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from data.database import metadata

__all__ = ["PATROL_DOSES", "PATROL_PLANS"]


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False)


PATROL_PLANS = Table(
    "patrol_plans",
    metadata,
    Column("plan_id", Text, primary_key=True),
    Column("day", Date, nullable=False),
    Column("shift", SmallInteger, nullable=False),
    Column("plan", JSONB, nullable=False),
    _time("kept_at"),
    Column("kept_by", Text, nullable=False),
    Index("ix_patrol_plans_shift", "day", "shift"),
)
"""One row a plan that is carried out; ``plan`` is a `serving.patrols.contracts.PlanKept`."""

PATROL_DOSES = Table(
    "patrol_doses",
    metadata,
    Column("dose_id", Text, primary_key=True),
    Column("plan_id", Text, ForeignKey("patrol_plans.plan_id"), nullable=False),
    Column("unit", SmallInteger),
    Column("cell", Text, nullable=False),
    _time("arrived_at"),
    _time("left_at"),
    Column("done", ARRAY(Text), nullable=False),
    Column("note", Text),
    _time("recorded_at"),
    Column("recorded_by", Text, nullable=False),
    Index("ix_patrol_doses_plan", "plan_id", "arrived_at"),
)
"""One row a stop that was made: which unit, where, from when to when, and what was done."""
