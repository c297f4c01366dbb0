"""Plans that are carried out, and their dose: kept once, recorded once, set against each other."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import NullPool, func, select
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette

from serving.access import AUDIT, Actor, Role
from serving.cases.config import CaseConfig
from serving.cases.room import CaseRoom
from serving.hotspot_contracts import ShiftTimes
from serving.patrols import PATROL_DOSES, PATROL_PLANS, Dose, keep, kept_of_shift, read, record
from serving.patrols.contracts import BeatKept, PlanKept, StopKept
from serving.patrols.routes import keep_answered, routes
from serving.plan_contracts import PatrolPlan
from serving.problems import HANDLERS, Problem

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
CHIEF, LI = Actor("chief", Role.SUPERVISOR), Actor("li", Role.OFFICER)
CELLS = ("250:-19:-17", "250:-18:-17", "250:0:3")


def at(minute: float) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def plan() -> PlanKept:
    def stop(order: str, cell: str, minute: float) -> StopKept:
        return StopKept(order=order, cell=cell, arrive_at=at(minute), stay_minutes=15, expected=0.1)

    beats = (
        BeatKept(unit=1, station="一", stops=(stop("1.1", CELLS[0], 5), stop("1.2", CELLS[1], 30))),
        BeatKept(unit=2, station="二", stops=(stop("2.1", CELLS[2], 5),)),
    )
    shift = ShiftTimes(position=2, name="16-24", begins_at=BEGIN, ends_at=at(480))
    return PlanKept(
        date=date(2026, 3, 2), shift=shift, category=None, as_of=at(-600), model="m", beats=beats
    )


def dose(cell: str, begin: float, end: float, unit: int | None = 1, **more: Any) -> Dose:
    key = more.pop("key", f"key-{cell}-{begin}-{unit}".replace(":", "."))
    return Dose(
        key=key,
        cell=cell,
        unit=unit,
        arrived_at=at(begin),
        left_at=at(end),
        done=("on_foot",),
        **more,
    )


Do = Callable[..., Any]


@pytest.fixture
def room(database: Any) -> CaseRoom:
    database.empty("patrol_doses, patrol_plans, case_forms")
    # no pool: its connections would outlive the loops they are of
    engine = create_async_engine(database.url, poolclass=NullPool)
    return CaseRoom(engine, CaseConfig.preset(), lambda: at(60))


@pytest.fixture
def do(room: CaseRoom) -> Do:
    """Do something in a turn of somebody, so many minutes into the shift."""

    def run(
        work: Callable[..., Awaitable[Any]], *args: Any, by: Actor = LI, minute: float = 60
    ) -> Any:
        async def one() -> Any:
            room.clock = lambda: at(minute)
            async with room.turn(by) as turn:
                return await work(turn, *args)

        return asyncio.run(one())

    return run


def rows(do: Do, table: Any) -> int:
    async def counted(turn: Any) -> int:
        return int(await turn.connection.scalar(select(func.count()).select_from(table)))

    return int(do(counted))


def test_the_same_plan_is_kept_once(do: Do) -> None:
    first, again = (do(keep, plan(), by=CHIEF) for _ in range(2))
    assert first == again
    assert rows(do, PATROL_PLANS) == 1
    (kept,) = do(kept_of_shift, date(2026, 3, 2), 2)
    assert kept["plan_id"] == first
    assert do(kept_of_shift, date(2026, 3, 2), 1) == ()
    assert do(read, first).plan == plan()


def test_a_plan_asked_to_be_kept_is_named_in_its_answer(room: CaseRoom, do: Do) -> None:
    stop = {
        "cell": CELLS[0], "arrive_at": at(5), "arrive_minute": 5, "travel_minutes": 5,
        "stay_minutes": 15, "expected": 0.1, "stable": True,
    }  # fmt: skip
    beat = {
        "unit": 1, "station": {"name": "一", "lon": 106.5, "lat": 29.5}, "stops": [stop],
        "travel_minutes": 5, "end_minute": 25, "returns": True,
    }  # fmt: skip
    made = PatrolPlan.model_validate(
        {
            "date": date(2026, 3, 2),
            "shift": plan().shift,
            "category": None,
            "coverage": 0.02,
            "as_of": at(-600),
            "model": "m",
            "covered": 0.1,
            "covered_share": 0.1,
            "area_share": 0.01,
            "beats": [beat],
            "left_out": [],
            "sentences_zh": ["一"],
            "sentences_en": ["one"],
            "geojson": {},
            "quick_response": None,
            "exposure": None,
        }
    )
    answered = asyncio.run(keep_answered(room, CHIEF, made.model_dump_json().encode()))
    name = json.loads(answered)["plan_id"]
    assert [one.order for one in do(read, name).stops] == ["1.1"]


def test_who_may_not_plan_keeps_nothing(do: Do) -> None:
    with pytest.raises(Problem, match="forbidden"):
        do(keep, plan())
    assert rows(do, PATROL_PLANS) == 0


def test_the_dose_stands_against_the_plan(do: Do) -> None:
    name = do(keep, plan(), by=CHIEF)
    do(record, name, dose(CELLS[0], 5, 13))
    do(record, name, dose(CELLS[0], 9, 20, unit=None))  # stood there with them from 9 to 13
    do(record, name, dose(CELLS[2], 10, 16, unit=1))  # another unit's stop, too short
    do(record, name, dose("250:7:7", 40, 55))
    found = do(read, name)
    first, second, third = found.stops
    assert (first.delivered_minutes, first.done, first.first_at) == (15.0, True, at(5))
    assert (second.delivered_minutes, second.done, second.first_at) == (0.0, False, None)
    assert (third.delivered_minutes, third.done) == (6.0, False)
    assert (found.planned_minutes, found.delivered_minutes, found.outside_minutes) == (45, 21, 15)
    assert (found.stops_done, found.share_done) == (1, pytest.approx(1 / 3))
    assert [one.outside for one in found.doses] == [False, False, False, True]
    assert found.en == "1 of 3 stops made; 45 minutes planned, 21 delivered."


def test_a_late_entry_is_marked(do: Do) -> None:
    name = do(keep, plan(), by=CHIEF)
    assert not do(record, name, dose(CELLS[0], 5, 20), minute=139).late
    assert do(record, name, dose(CELLS[1], 5, 20), minute=141).late
    assert "1 entered late" in do(read, name).en


def test_a_double_click_records_once_and_another_form_under_its_key_is_refused(do: Do) -> None:
    name = do(keep, plan(), by=CHIEF)
    first, again = (do(record, name, dose(CELLS[0], 5, 20)) for _ in range(2))
    assert first == again
    assert rows(do, PATROL_DOSES) == 1
    key = dose(CELLS[0], 5, 20).key
    with pytest.raises(Problem, match="conflict"):
        do(record, name, dose(CELLS[1], 5, 20, key=key))


def test_what_cannot_have_been_is_refused_in_words(do: Do) -> None:
    name = do(keep, plan(), by=CHIEF)
    for impossible, words in (
        (dose(CELLS[0], 60, 80), "future"),
        (dose(CELLS[0], -800, -780), "12 h"),
    ):
        with pytest.raises(Problem) as refused:
            do(record, name, impossible)
        assert words in refused.value.more["en"]
    with pytest.raises(ValueError, match="left_at after arrived_at"):
        dose(CELLS[0], 20, 5)
    with pytest.raises(Problem, match="not-found"):
        do(record, "plan-nowhere", dose(CELLS[0], 5, 20))


def test_no_number_gets_into_a_note_nor_a_note_into_the_audit_log(do: Do) -> None:
    name = do(keep, plan(), by=CHIEF)
    told = do(record, name, dose(CELLS[0], 5, 20, note="路灯不亮，电13800138000"))
    assert told.note == "路灯不亮，电[number]"

    async def details(turn: Any) -> list[Any]:
        query = select(AUDIT.c.detail).where(AUDIT.c.action == "record_dose")
        return list(await turn.connection.scalars(query.order_by(AUDIT.c.seq)))

    said = do(details)[-1]
    assert said == {"deed": "dose", "cell": CELLS[0], "unit": 1, "late": False, "outside": False}


def test_over_http(room: CaseRoom, do: Do) -> None:
    name = do(keep, plan(), by=CHIEF)
    room.clock = lambda: at(60)
    app = Starlette(routes=routes(), exception_handlers=HANDLERS)
    app.state.cases = room

    async def as_li(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"actor": LI, "token": None}}, receive, send)

    async def asked(method: str, path: str, body: Any = None) -> httpx.Response:
        transport = httpx.ASGITransport(as_li)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=json.dumps(body))

    sent = json.loads(dose(CELLS[0], 5, 20).model_dump_json())
    doses = f"/v1/patrol-plans/{name}/doses"
    answer = asyncio.run(asked("POST", doses, sent))
    assert (answer.status_code, answer.json()["minutes"]) == (201, 15.0)
    assert asyncio.run(asked("GET", f"/v1/patrol-plans/{name}")).json()["stops_done"] == 1
    assert asyncio.run(asked("GET", "/v1/patrol-plans/other")).status_code == 404
    person = asyncio.run(asked("POST", doses, {**sent, "name": "somebody"}))
    assert person.status_code == 422
