"""A backlog read only as far as a shift reaches gives what reading all of it gives."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.dissuasion import Hazard, Rates
from models.work_list import ordered
from serving.access.roles import Actor, Role
from serving.cases import backlog
from serving.cases.backlog import _backlog, steps_of
from serving.cases.case import Case, State
from serving.cases.config import CaseConfig
from serving.cases.forms import Turn
from serving.cases.ids import new_id
from serving.cases.tables import ATTEMPTS, CASES

LI = Actor("li", Role.OFFICER)
LENGTH = 300


def waiting(luck: Random, number: int, now: Any) -> Case:
    at = now - timedelta(minutes=luck.uniform(0, 9_000))
    return Case(
        case_id=new_id(at),
        subscriber=f"tel_{number}",
        state=State.OPEN,
        opened_at=at,
        episode_ends_at=at + timedelta(days=7),
        level="yellow",
        urgency=1,
        score=luck.choice((0.0, 0.2, luck.random())),
        stage=luck.choice(("contact", "engaged", "paying")),
        stage_at=at,
        scam_type="loan",
        expected_loss_cny=luck.choice((0.0, 1e4, round(luck.lognormvariate(10, 1), 2))),
        deadline_at=at + timedelta(hours=1),
        district=None,
        start_tier="city",
        tier="city",
        changed_at=at,
    )


def made(luck: Random, case: Case, now: Any) -> dict[str, Any]:
    at = now - timedelta(minutes=luck.uniform(0, 600))
    reached = luck.random() < 0.6
    return {
        "attempt_id": new_id(at),
        "case_id": luck.choice((case.case_id, None)),
        "subscriber": case.subscriber,
        "platform": "96110",
        "channel": luck.choice(("call_96110", "visit")),
        "script": luck.choice(("plain", "scheme")),
        "reached": reached,
        "believed": luck.choice((False, True, None)) if reached else None,
        "refused": False,
        "minutes": 4.0,
        "at": at,
        "recorded_at": at,
        "recorded_by": "li",
    }


@pytest.mark.parametrize(
    "hazard", [Hazard(), Hazard(hours={"contact": 1e-3, "engaged": 1, "paying": 60})]
)
def test_the_first_are_the_first_of_all(
    database, config: CaseConfig, now, hazard: Hazard, monkeypatch: pytest.MonkeyPatch
) -> None:
    luck = Random(7)
    cases = [waiting(luck, number, now) for number in range(LENGTH)]
    tried = [made(luck, case, now) for case in cases for _ in range(luck.choice((0, 0, 1, 3)))]
    monkeypatch.setattr(backlog, "PORTION", 5)

    async def compared(connection: AsyncConnection) -> None:
        await connection.execute(insert(CASES), [case.row for case in cases])
        await connection.execute(insert(ATTEMPTS), tried)
        turn = Turn(connection, LI, now, config, Rates(hazard=hazard))
        whole, rest = await _backlog(turn, 10 * LENGTH)
        assert rest is None
        assert len(whole) < LENGTH  # some may not be contacted now
        for minutes, limit in ((2, None), (30, None), (480, 3), (480, None), (1e6, 7), (1e6, None)):
            expected = ordered(whole, now, minutes, turn.rates, limit)
            assert await steps_of(turn, minutes, limit) == expected

    database.within(compared)


def test_a_short_list_reads_a_short_part(database, config: CaseConfig, now) -> None:
    luck = Random(7)
    cases = [waiting(luck, number, now) for number in range(LENGTH)]

    async def read(connection: AsyncConnection) -> None:
        await connection.execute(insert(CASES), [case.row for case in cases])
        turn = Turn(connection, LI, now, config)
        found, rest = await _backlog(turn, 20)
        whole, _ = await _backlog(turn, 10 * LENGTH)
        read = {one.case_id for one in found}
        others = [one for one in whole if one.case_id not in read]
        assert rest is not None
        best = ordered(others, now, 1e6, turn.rates, 1)
        assert best[0].value_per_minute <= rest

    database.within(read)
