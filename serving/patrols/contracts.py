"""A kept plan, the dose of a stop, and both set against each other."""

from collections.abc import Mapping
from datetime import date as Date  # noqa: N812 - a field is called date
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from serving.cases.contracts import Key
from serving.hotspot_contracts import Answer, Asked, Share, ShiftTimes
from serving.plan_contracts import MAX_UNITS, CellName, PatrolPlan

__all__ = [
    "DEEDS",
    "BeatKept",
    "Deed",
    "Dose",
    "DoseTold",
    "PlanDelivered",
    "PlanKept",
    "StopDelivered",
    "StopKept",
]

LONGEST = timedelta(hours=12)


class Deed(StrEnum):
    """What a unit did at a stop; nothing that concerns a person."""

    ON_FOOT = "on_foot"
    IN_CAR = "in_car"
    STOOD = "stood"
    LIGHTS = "lights"
    LEAFLETS = "leaflets"
    PREMISES = "premises"
    CALLED_AWAY = "called_away"


DEEDS: Mapping[Deed, tuple[str, str]] = {
    Deed.ON_FOOT: ("徒步巡逻", "patrol on foot"),
    Deed.IN_CAR: ("车巡", "patrol by car"),
    Deed.STOOD: ("定点守候", "stood visibly"),
    Deed.LIGHTS: ("亮灯警示", "lights on"),
    Deed.LEAFLETS: ("发放防范宣传品", "leaflets"),
    Deed.PREMISES: ("检查场所防范设施", "looked at locks and lamps"),
    Deed.CALLED_AWAY: ("接警离开", "called away"),
}
"""What each is called."""


class StopKept(Answer):
    """One stop of a kept plan."""

    order: str = Field(description="unit and place in its beat, e.g. 2.1")
    cell: str = Field(description="name of the cell")
    arrive_at: datetime
    stay_minutes: float = Field(description="minutes here")
    expected: float = Field(description="incidents expected in the cell in the whole shift")


class BeatKept(Answer):
    """What one unit does."""

    unit: int = Field(description="number of the unit, from 1")
    station: str = Field(description="a place's name")
    stops: tuple[StopKept, ...]


class PlanKept(Answer):
    """A plan that is carried out. Places only."""

    date: Date
    shift: ShiftTimes
    category: str | None = Field(description="null: all together")
    as_of: datetime = Field(description="only what was known before went in (UTC)")
    model: str = Field(description="version of the model")
    beats: tuple[BeatKept, ...]

    @classmethod
    def of(cls, made: PatrolPlan) -> "PlanKept":
        """What is kept of a plan that was made."""
        beats = tuple(
            BeatKept(
                unit=beat.unit,
                station=beat.station.name,
                stops=tuple(
                    StopKept(
                        order=f"{beat.unit}.{place}",
                        cell=stop.cell,
                        arrive_at=stop.arrive_at,
                        stay_minutes=stop.stay_minutes,
                        expected=stop.expected,
                    )
                    for place, stop in enumerate(beat.stops, 1)
                ),
            )
            for beat in made.beats
        )
        return cls(
            date=made.date,
            shift=made.shift,
            category=made.category,
            as_of=made.as_of,
            model=made.model,
            beats=beats,
        )


class Dose(Asked):
    """What was done at one stop: places and minutes, never a person."""

    key: Key = Field(description="chosen by the client; the same key does nothing twice")
    cell: CellName = Field(description="name of the cell; one that is on no plan is taken as well")
    unit: int | None = Field(None, ge=1, le=MAX_UNITS, description="number of the unit")
    arrived_at: AwareDatetime
    left_at: AwareDatetime
    done: tuple[Deed, ...] = Field(min_length=1, max_length=len(Deed), description="what was done")
    note: str | None = Field(
        None,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="on the place; numbers are cut out",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not timedelta(0) < self.left_at - self.arrived_at <= LONGEST:
            raise ValueError("left_at after arrived_at, within 12 h")
        return self


class DoseTold(Answer):
    """A stop that was made, as it is recorded."""

    dose_id: str
    plan_id: str
    unit: int | None = Field(description="number of the unit; null: not said")
    cell: str
    arrived_at: datetime
    left_at: datetime
    minutes: float = Field(description="minutes from arriving to leaving")
    done: tuple[Deed, ...]
    note: str | None
    recorded_at: datetime
    late: bool = Field(description="entered so long after leaving that it is from memory")
    outside: bool = Field(description="in a cell that is not on the plan")


class StopDelivered(Answer):
    """A stop of the plan beside what was done there."""

    order: str
    unit: int = Field(description="number of the unit that was to stop here")
    cell: str
    arrive_at: datetime
    planned_minutes: float = Field(description="minutes to stay")
    delivered_minutes: float = Field(description="minutes somebody was there, overlaps once")
    first_at: datetime | None = Field(description="first arrival; null: nobody came")
    done: bool = Field(description="long enough to last: see Koper (1995)")


class PlanDelivered(Answer):
    """A kept plan beside the dose."""

    plan_id: str
    kept_at: datetime
    plan: PlanKept
    stops: tuple[StopDelivered, ...]
    doses: tuple[DoseTold, ...] = Field(description="in order of arrival")
    planned_minutes: float = Field(description="minutes of all stops")
    delivered_minutes: float = Field(description="minutes at stops of the plan")
    outside_minutes: float = Field(description="minutes in cells that are not on the plan")
    stops_done: int = Field(description="how many stops were long enough")
    share_done: Share | None = Field(description="their share of the stops; null: it has none")
    zh: str
    en: str
