"""One citizen, one case: whatever comes, from whomever, however many at once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serving.cases.admission import admit
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.evidence import Admitted
from serving.cases.tables import CASES, EVIDENCE

Alert = Callable[..., Admitted]


def put(database: Any, found: list[Admitted], config: CaseConfig) -> list[str]:
    done = database.within(lambda connection: admit(connection, found, config))
    return [one.effect.value for one in done]


def test_evidence_of_one_citizen_is_one_case(database, alert: Alert, config) -> None:
    found = [
        alert(0, "blue", stage="contact", score=0.1),
        alert(1, "red", stage="paying", score=0.4, platform="12381", kind="lead"),
        alert(2, "blue", stage="contact", score=0.2),
        alert(3, "blue", subscriber="tel_2"),
    ]
    assert put(database, found, config) == ["opened", "raised", "added", "opened"]
    first, second = database.cases()
    assert (first.level, first.urgency, first.stage, first.score) == ("red", 0, "paying", 0.4)
    assert second.subscriber == "tel_2"
    rows = database.rows(select(EVIDENCE).order_by(EVIDENCE.c.known_at))
    assert [row["platform"] for row in rows] == ["forewarn", "12381", "forewarn", "forewarn"]


def test_evidence_that_comes_twice_does_nothing(database, alert: Alert, config) -> None:
    one = alert()
    assert put(database, [one, one], config) == ["opened"]
    assert put(database, [one], config) == []
    assert database.cases()[0].version == 1


def test_a_deadline_is_never_put_off(database, alert: Alert, config) -> None:
    put(database, [alert(0), alert(50), alert(55, deadline=timedelta(minutes=1))], config)
    (case,) = database.cases()
    assert case.deadline_at == case.opened_at + timedelta(minutes=56)
    assert case.version == 2  # the second alert changed nothing a form could overlook


def test_many_workers_at_once_open_one_case(database, alert: Alert, config) -> None:
    names = [f"tel_{number}" for number in range(5)]

    async def worker(engine: AsyncEngine, number: int) -> None:
        # each in another order, so that locks taken in order of arrival would meet in a circle
        own = [alert(number, subscriber=name) for name in names[number % 5 :] + names[: number % 5]]
        async with engine.begin() as connection:
            await admit(connection, own, config)

    async def all_at_once(engine: AsyncEngine) -> None:
        await asyncio.gather(*(worker(engine, number) for number in range(10)))

    database.run(all_at_once)
    assert sorted(case.subscriber for case in database.cases()) == names
    assert len(database.rows(select(EVIDENCE))) == 50


def test_the_database_itself_refuses_a_second_open_case(opened, database) -> None:
    again = replace(opened(), case_id="another")

    async def insert_again(connection: AsyncConnection) -> None:
        await connection.execute(insert(CASES), [again.row])

    with pytest.raises(IntegrityError, match="ux_cases_open_subscriber"):
        database.within(insert_again)


def test_a_row_is_a_case_and_back(opened) -> None:
    case: Case = opened()
    assert set(case.row) == set(CASES.c.keys())
