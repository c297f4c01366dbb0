"""Patrol plans that are carried out, and what was done at each stop: places and minutes only.

`serving.planner` makes plans and keeps none; this keeps those that somebody decided to carry out
and sets the dose that units delivered against them. No person is in either.
"""

from serving.patrols.contracts import Dose, DoseTold, PlanDelivered, PlanKept
from serving.patrols.delivered import delivered
from serving.patrols.doses import record
from serving.patrols.keeping import keep, kept_of_shift, read
from serving.patrols.tables import PATROL_DOSES, PATROL_PLANS

__all__ = [
    "PATROL_DOSES",
    "PATROL_PLANS",
    "Dose",
    "DoseTold",
    "PlanDelivered",
    "PlanKept",
    "delivered",
    "keep",
    "kept_of_shift",
    "read",
    "record",
]
