"""A number is opened for one who may, with a purpose, on record; and goes in time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from data.pseudonyms import Pseudonymiser
from serving.access.audit import AUDIT
from serving.access.roles import Action, Actor, Role
from serving.cases import numbers as sealed
from serving.cases.forms import Turn
from serving.cases.numbers import AN_HOUR, NUMBERS, RETENTION, Numbers, forget, keep, reveal
from serving.problems import Problem

NAMES = Pseudonymiser(b"a key for tests only, 32 bytes at least")
PHONE = "+86 138 0013 8000"
WHO = NAMES.one("tel", PHONE)
LI, AUDITOR = Actor("li", Role.OFFICER), Actor("zhou", Role.AUDITOR)
YUBEI = Actor("wang", Role.OFFICER, "Yubei")


def kept(at: Any, number: str = PHONE) -> dict[str, Any]:
    return {"subscriber": WHO, "sealed": Numbers(NAMES).close(WHO, number), "kept_at": at}


@pytest.fixture
def case_id(database: Any, opened: Callable[..., Any], now: Any) -> str:
    case = opened(subscriber=WHO)
    database.within(lambda connection: keep(connection, [kept(now)]))
    return str(case.case_id)


@pytest.fixture
def ask(database: Any, config: Any, now: Any) -> Callable[..., Any]:
    def run(case_id: str, purpose: str = "打电话劝阻", by: Actor = LI, **more: Any) -> Any:
        at = now + timedelta(**more)

        async def work(connection: AsyncConnection) -> Any:
            return await reveal(Turn(connection, by, at, config), Numbers(NAMES), case_id, purpose)

        return database.within(work)

    return run


def test_a_reveal_is_on_record_with_its_purpose_and_without_the_number(
    ask: Any, database: Any, case_id: str
) -> None:
    before = len(database.rows(select(AUDIT)))
    assert ask(case_id, "打电话 13800138000 劝阻").number == "13800138000"
    row = database.rows(select(AUDIT).order_by(AUDIT.c.seq))[before]
    assert (row["action"], row["subject"]) == (Action.REVEAL_PSEUDONYM, WHO)
    assert row["purpose"] == "打电话 [number] 劝阻"
    assert row["detail"] == {"case_id": case_id}
    assert "13800138000" not in str(database.rows(select(NUMBERS)))


@pytest.mark.parametrize("purpose", ["", "   ", "?"])
def test_without_a_purpose_nothing_is_opened(ask: Any, case_id: str, purpose: str) -> None:
    with pytest.raises(Problem, match="conflict") as refused:
        ask(case_id, purpose)
    assert "用途" in refused.value.more["zh"]


def test_only_who_may_and_sees_the_case(ask: Any, case_id: str) -> None:
    with pytest.raises(Problem, match="forbidden"):
        ask(case_id, by=AUDITOR)
    with pytest.raises(Problem, match="not-found"):
        ask(case_id, by=YUBEI)


def test_so_many_an_hour(ask: Any, case_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert AN_HOUR > 2
    monkeypatch.setattr(sealed, "AN_HOUR", 2)
    for _ in range(2):
        ask(case_id, days=2)
    with pytest.raises(Problem, match="conflict") as refused:
        ask(case_id, days=2, minutes=59)
    assert "an hour" in refused.value.more["en"]
    ask(case_id, days=2, minutes=61)


def test_a_number_that_did_not_reach_us_is_said_to_be_missing(ask: Any, opened: Any) -> None:
    case = opened(subscriber=NAMES.one("tel", "13900139000"))
    with pytest.raises(Problem, match="conflict") as refused:
        ask(case.case_id, hours=5)
    assert "pseudonym" in refused.value.more["en"]


def test_sealed_under_another_key_it_does_not_open() -> None:
    row = Numbers(Pseudonymiser(bytes(32))).close(WHO, PHONE)
    with pytest.raises(ValueError, match="FOREWARN_PSEUDONYM_KEY"):
        Numbers(NAMES).open(WHO, row or b"")
    with pytest.raises(ValueError, match="FOREWARN_PSEUDONYM_KEY"):
        Numbers(NAMES).open(NAMES.one("tel", "1"), kept(None)["sealed"])


def test_numbers_go_in_time_but_not_while_a_case_is_open(database: Any, case_id: str, now) -> None:
    late = now + RETENTION + timedelta(seconds=1)
    assert database.within(lambda connection: forget(connection, late)) == 0
    database.within(lambda one: one.exec_driver_sql("TRUNCATE cases CASCADE"))
    assert database.within(lambda connection: forget(connection, late - timedelta(seconds=2))) == 0
    assert database.within(lambda connection: forget(connection, late)) == 1
