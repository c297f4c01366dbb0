"""Reading the audit log: filtered, by pages, as a file; and reading it is recorded."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.access import AUDIT, Act, Actor, Role
from serving.access.audit import append
from serving.access.trail import PAGE, Sought, TrailPage, as_csv, look, taken_out
from serving.problems import Problem

AUDITOR = Actor("zhao", Role.AUDITOR)


@pytest.fixture
def filled(engine: Engine, clock: Any) -> Engine:
    """Two officers' days: more records than a page."""
    with engine.begin() as connection:
        for day in range(2):
            acts = [
                Act(f"officer{number % 2}", "officer", "read_case", f"case-{number}")
                for number in range(PAGE)
            ]
            append(connection, acts, clock() + timedelta(days=day))
    return engine


@pytest.fixture
def seen(ask: Callable[..., Any], clock: Any) -> Callable[..., Any]:
    """Look as an auditor, or take out."""

    def run(work: Any, sought: Sought = Sought(), actor: Actor = AUDITOR) -> Any:  # noqa: B008
        async def one(engine: AsyncEngine) -> Any:
            async with engine.begin() as connection:
                return await work(connection, actor, sought, clock() + timedelta(days=3))

        return ask(one)

    return run


def test_pages_follow_each_other_without_gap_or_overlap(filled: Engine, seen: Any) -> None:
    sought, numbers = Sought(action="read_case"), []
    while True:
        page: TrailPage = seen(look, sought)
        numbers += [trace.seq for trace in page.traces]
        if page.before is None:
            break
        sought = replace(sought, before=page.before)
    assert numbers == list(range(2 * PAGE, 0, -1))


def test_filters_find_what_they_say(filled: Engine, seen: Any, clock: Any) -> None:
    assert {one.actor for one in seen(look, Sought(actor="officer1")).traces} == {"officer1"}
    assert [one.subject for one in seen(look, Sought(subject="case-7")).traces] == ["case-7"] * 2
    late = seen(look, Sought(action="read_case", since=clock() + timedelta(hours=1)))
    assert (len(late.traces), late.before) == (PAGE, None)
    early = seen(look, Sought(action="read_case", until=clock() + timedelta(hours=1)))
    assert {one.at for one in early.traces} == {clock()}


def test_looking_is_recorded_without_what_was_typed_in_vain(filled: Engine, seen: Any) -> None:
    seen(look, Sought(subject="13800138000"))
    seen(look, Sought(subject="case-7"))
    seen(taken_out, Sought(actor="officer1"))
    with filled.connect() as connection:
        rows = connection.execute(
            select(AUDIT.c.detail).where(AUDIT.c.action == "read_audit").order_by(AUDIT.c.seq)
        )
        vain, found, file = rows.scalars()
    assert vain == {"deed": "look", "found": 0, "subject": "not in the log"}
    assert found == {"deed": "look", "found": 2, "subject": "case-7"}
    assert file == {"deed": "export", "found": PAGE, "actor": "officer1"}


def test_only_an_auditor_looks(filled: Engine, seen: Any) -> None:
    for role in Role:
        if role != Role.AUDITOR:
            for work in (look, taken_out):
                with pytest.raises(Problem, match="forbidden"):
                    seen(work, actor=Actor("somebody", role))


def test_a_file_computes_nothing(engine: Engine, seen: Any, clock: Any) -> None:
    evil = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")
    with engine.begin() as connection:
        append(
            connection, [Act("li", "officer", "note", "c", purpose=text) for text in evil], clock()
        )
    rows = list(csv.DictReader(io.StringIO(as_csv(seen(taken_out)), newline="")))
    assert [row["purpose"] for row in reversed(rows)] == [f"'{text}" for text in evil]
    assert all(row["at"].endswith("+00:00") for row in rows)


@pytest.mark.parametrize("work", [look, taken_out])
def test_who_sees_one_district_does_not_see_what_all_did(
    filled: Engine, seen: Any, work: Any
) -> None:
    with pytest.raises(Problem, match="forbidden"):
        seen(work, actor=Actor("zhou", Role.AUDITOR, "Yubei"))
