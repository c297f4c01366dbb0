"""Alerts and leads become cases in the transaction that records them; other events do not."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text

from data.database import event_row
from data.events import Call, Lead, Transfer
from models.policy import standard_levels
from serving.cases.tables import EVIDENCE
from serving.decisions import Entry, Ledger

AT = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
FACT = {"occurred_at": AT, "known_at": AT, "subscriber": "tel_" + "1" * 32}


def answered(event_id: str, level: str | None) -> dict[str, Any]:
    """A decision as the judge records it."""
    found = next((one for one in standard_levels() if one.name == level), None)
    more: dict[str, Any] = {"level": None, "scam_type": None, "stage": None}
    if found is not None:
        more = {
            "level": {"name": level, "zh": found.zh, "en": found.en},
            "scam_type": {"name": "loan"},
            "stage": {"name": "paying"},
            "deadline_s": found.deadline_s["paying"],
            "reasons": [{"zh": "首次向该账户转账", "en": "first transfer to this account"}],
            "advice_zh": "红色预警：10分钟内上门",
            "advice_en": "red warning: visit within 10 min",
        }
    answer = {"event_id": event_id, "score": 0.4 if found else 0.001, **more}
    return {
        "event_id": event_id,
        "seq": 0,
        "subscriber": FACT["subscriber"],
        "kind": "transfer",
        "decided_at": AT,
        "evaluated_at": AT,
        "raw_score": 0.0,
        "score": answer["score"],
        "level": level,
        "model_version": "m",
        "features_version": "f",
        "vector": np.zeros(1).tobytes(),
        "thresholds": {},
        "answer": answer,
    }


def entry(seq: int, fact: Any, level: str | None = None, *, scored: bool = True) -> Entry:
    decision = answered(fact.event_id, level) | {"seq": seq} if scored else None
    return Entry(event_row(fact, seq=seq, late=False), decision)


def call(name: str) -> Call:
    return Call(event_id=name, counterpart="95588", direction="incoming", duration_s=60, **FACT)


def transfer(name: str) -> Transfer:
    return Transfer(event_id=name, counterpart="a1", account="a2", amount_fen=9_000_000, **FACT)


def lead(name: str, grade: str) -> Lead:
    return Lead(event_id=name, grade=grade, scam_type="authority", source="12381", **FACT)


@pytest.fixture
def write(database: Any) -> Callable[..., list[frozenset[str]]]:
    database.within(lambda connection: connection.execute(text("TRUNCATE events, decisions")))

    def written(*groups: list[Entry]) -> list[frozenset[str]]:
        """Each group by a worker of its own, all at once; what each must read again."""

        async def worker(group: list[Entry]) -> frozenset[str]:
            ledger = Ledger(database.url)
            await ledger.open()
            try:
                return await ledger.write(group)
            finally:
                await ledger.close()

        async def all_at_once() -> list[frozenset[str]]:
            return await asyncio.gather(*map(worker, groups))

        return asyncio.run(all_at_once())

    return written


def test_of_workers_who_decide_one_event_at_once_one_has_its_own_word_recorded(write) -> None:
    for seq in range(20):  # they meet at the index of ids or at that of numbers, as it happens
        told = write(*([entry(seq, transfer(f"alert-{seq}"), "red")] for _ in range(4)))
        assert sorted(map(len, told)) == [0, 1, 1, 1]
    (twice,) = write([entry(20, call("twice")), entry(20, call("twice"))])
    assert twice == {"twice"}


def test_an_alert_and_a_lead_are_one_case(write, database) -> None:
    write(
        [
            entry(0, call("quiet")),
            entry(1, transfer("alert"), "red"),
            entry(2, lead("lead", "low")),
            entry(3, lead("unscored", "low"), scored=False),
        ]
    )
    (case,) = database.cases()
    assert (case.level, case.stage, case.score) == ("red", "paying", 0.4)
    assert case.expected_loss_cny == 90_000.0
    assert (case.deadline_at - case.opened_at).total_seconds() == 600
    rows = database.rows(select(EVIDENCE).order_by(EVIDENCE.c.event_id))
    assert [(row["event_id"], row["platform"], row["level"]) for row in rows] == [
        ("alert", "forewarn", "red"),
        ("lead", "12381", "blue"),
        ("unscored", "12381", "blue"),
    ]
    assert rows[0]["zh"] == "红色预警：10分钟内上门；首次向该账户转账"
    assert rows[1]["en"] == "lead of grade low, fake police or government"


def test_a_quiet_event_touches_no_case(write, database) -> None:
    write([entry(0, call("quiet"))])
    assert database.cases() == []


def test_two_workers_with_the_same_event_admit_it_once(write, database) -> None:
    write([entry(0, transfer("alert"), "red")], [entry(0, transfer("alert"), "red")])
    assert len(database.cases()) == 1
    assert len(database.rows(select(EVIDENCE))) == 1


def test_two_workers_with_one_citizen_open_one_case(write, database) -> None:
    write(*([entry(n, transfer(f"alert-{n}"), "red")] for n in range(6)))
    assert len(database.cases()) == 1
    assert len(database.rows(select(EVIDENCE))) == 6
