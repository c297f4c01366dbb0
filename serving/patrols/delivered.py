"""A plan beside its dose: which stops were made, for how long, and what was done elsewhere."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain

from serving.patrols.contracts import DoseTold, PlanDelivered, PlanKept, StopDelivered, StopKept

__all__ = ["ENOUGH_MIN", "delivered", "minutes_of"]

ENOUGH_MIN = 10.0
"""Minutes from which a visible stop outlasts itself.

References
----------
Koper, Just enough police presence, Justice Quarterly 12(4), 1995.
"""

Span = tuple[datetime, datetime]


def delivered(
    plan_id: str, plan: PlanKept, kept_at: datetime, doses: Sequence[DoseTold]
) -> PlanDelivered:
    """Set a plan's doses against it.

    A dose counts for the stop of its own unit in its cell; where that unit has none there, for the
    cell's first stop; otherwise it is outside the plan. Units that stood there together count once.
    """
    places = [(beat.unit, stop) for beat in plan.beats for stop in beat.stops]
    made: dict[str, list[DoseTold]] = {stop.order: [] for _, stop in places}
    for dose in doses:
        if (order := _order(places, dose)) is not None:
            made[order].append(dose)
    stops = tuple(_stop(unit, stop, made[stop.order]) for unit, stop in places)
    done = sum(stop.done for stop in stops)
    outside = [(dose.arrived_at, dose.left_at) for dose in doses if dose.outside]
    planned, minutes = (
        sum(getattr(stop, name) for stop in stops)
        for name in ("planned_minutes", "delivered_minutes")
    )
    late = sum(dose.late for dose in doses)
    return PlanDelivered(
        plan_id=plan_id,
        kept_at=kept_at,
        plan=plan,
        stops=stops,
        doses=tuple(doses),
        planned_minutes=planned,
        delivered_minutes=minutes,
        outside_minutes=sum((end - begin) / timedelta(minutes=1) for begin, end in outside),
        stops_done=done,
        share_done=done / len(stops) if stops else None,
        zh=f"{len(stops)}个停留点中完成{done}个；计划{planned:.0f}分钟，实际{minutes:.0f}分钟"
        + (f"；{late}条为事后补录" if late else "")
        + "。",
        en=f"{done} of {len(stops)} stops made; {planned:.0f} minutes planned, {minutes:.0f} "
        f"delivered{f'; {late} entered late, from memory' if late else ''}.",
    )


def minutes_of(spans: Iterable[Span]) -> float:
    """Minutes in which somebody was there: overlaps count once.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = lambda minute: datetime(2026, 3, 1, 10, minute, tzinfo=UTC)
    >>> minutes_of([(at(0), at(10)), (at(5), at(12)), (at(30), at(31))])
    13.0
    """
    whole, until = timedelta(0), None
    for begin, end in sorted(spans):
        fresh = begin if until is None else max(begin, until)
        whole += max(end - fresh, timedelta(0))
        until = end if until is None else max(until, end)
    return whole / timedelta(minutes=1)


def _order(places: Sequence[tuple[int, StopKept]], dose: DoseTold) -> str | None:
    here = [(unit, stop) for unit, stop in places if stop.cell == dose.cell]
    own = (stop.order for unit, stop in here if unit == dose.unit)
    return next(chain(own, (stop.order for _, stop in here)), None)


def _stop(unit: int, stop: StopKept, doses: Sequence[DoseTold]) -> StopDelivered:
    minutes = minutes_of((dose.arrived_at, dose.left_at) for dose in doses)
    return StopDelivered(
        order=stop.order,
        unit=unit,
        cell=stop.cell,
        arrive_at=stop.arrive_at,
        planned_minutes=stop.stay_minutes,
        delivered_minutes=minutes,
        first_at=min((dose.arrived_at for dose in doses), default=None),
        done=minutes >= min(ENOUGH_MIN, stop.stay_minutes),
    )
