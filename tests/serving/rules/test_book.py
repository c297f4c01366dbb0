"""Workers hear of what is live; a decision says which rule made it, and is made again from it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from data.database import event_row
from data.events import Transfer
from features import FRAUD_FEATURES
from serving.access.roles import Actor, Role
from serving.cases.tables import EVIDENCE
from serving.contracts import Decision
from serving.decisions import DECISIONS, Entry, Ledger, decision_row
from serving.judge import Judge, Seen
from serving.recomputed import recomputed as made_again
from serving.rules.book import Book
from serving.rules.contracts import EntryBody, KeyBody, VersionBody
from serving.rules.standing import Standing
from serving.rules.tables import BOOK, RULES, VERSIONS
from serving.shelf import Shelf

Make = Callable[..., dict[str, Any]]
Live = Callable[[dict[str, Any]], int]
PAYEE = "acc_" + "7" * 32


@pytest.fixture(scope="module")
def judge(bundle_at: tuple[Path, Path]) -> Judge:
    return Shelf(*bundle_at, FRAUD_FEATURES).champion(try_first=True)


@pytest.fixture
def transfer(bureau: Any) -> Callable[..., Transfer]:
    def make(name: str = "t1", **changes: Any) -> Transfer:
        whole = {
            "event_id": name,
            "occurred_at": bureau.now,
            "known_at": bureau.now,
            "subscriber": "tel_" + "1" * 32,
            "counterpart": PAYEE,
            "account": "acc_" + "2" * 32,
            "amount_fen": 9_000_000,
        }
        return Transfer(**{**whole, **changes})

    return make


def seen(event: Transfer, bureau: Any, duration: float = 0, place: int = 0) -> Seen:
    """As the state would see it; a long duration is what the test bundle warns of."""
    values = np.zeros(len(FRAUD_FEATURES))
    names = FRAUD_FEATURES.names
    values[names.index("event.amount.value")] = event.amount_fen / 100
    values[names.index("event.duration.value")] = duration
    values[names.index("event.foreign.value")] = float(duration > 0)
    return Seen(event.event_id, "transfer", False, values, place, bureau.now)


def standing(bureau: Any, events: list[Transfer]) -> Standing | None:
    """What a worker that keeps up has."""

    async def read() -> Standing | None:
        book = Book(bureau.settings.database_url, FRAUD_FEATURES, lambda: bureau.now)
        await book.open()
        try:
            return book.standing(events)
        finally:
            await book.close()

    return asyncio.run(read())


def put_on(bureau: Any, by: Actor, name: str, days: float = 30) -> Any:
    """As one adds it, and a colleague puts it live."""
    return signed(bureau, name, waiting(bureau, by, name, days).entry_id)


def signed(bureau: Any, name: str, entry_id: str) -> Any:
    """By somebody who added nothing."""
    form = KeyBody(key=bureau.key())
    zhao = Actor("zhao", Role.SUPERVISOR)
    return bureau.at(lambda desk: desk.entry_live(zhao, name, entry_id, form))


def waiting(bureau: Any, by: Actor, name: str, days: float = 30) -> Any:
    body = EntryBody(
        kind="account",
        value=PAYEE,
        owner="反诈中心",
        reason="a public utility",
        expires_at=bureau.now + timedelta(days=days),
        key=bureau.key(),
    )
    return bureau.at(lambda desk: desk.add(by, name, body))


def written(bureau: Any, *entries: Entry) -> None:
    async def write() -> None:
        ledger = Ledger(bureau.settings.database_url)
        await ledger.open()
        try:
            await ledger.write(list(entries))
        finally:
            await ledger.close()

    asyncio.run(write())


def decided(judge: Judge, bureau: Any, event: Transfer, duration: float = 0) -> tuple[Any, Entry]:
    """One event all the way to its entry."""
    one, stands = seen(event, bureau, duration), standing(bureau, [event])
    (decision,) = judge.decide([one], explain=False, standing=stands)
    rules = None if stands is None else stands.row(0)
    row = decision_row(event, one, decision, judge, rules)
    entries = stands.entries[0] if stands else ()
    return decision, Entry(event_row(event, seq=one.seq, late=False), row, entries)


def recomputed(judge: Judge, bureau: Any, event_id: str) -> Any:
    async def made() -> Any:
        book = Book(bureau.settings.database_url, FRAUD_FEATURES, lambda: bureau.now)
        ledger = Ledger(bureau.settings.database_url)
        try:
            row = await ledger.record_of(event_id)
            assert row is not None
            past = await book.past(row["rules"]["applied"]) if row["rules"] else None
            return made_again(row, judge, past)
        finally:
            await ledger.close()
            await book.close()

    return asyncio.run(made())


def test_without_live_rules_there_is_nothing_to_ask(
    bureau: Any, document: Make, li: Actor, transfer: Callable[..., Transfer]
) -> None:
    bureau.draft(document(), li)
    assert standing(bureau, [transfer()]) is None


def test_a_worker_hears_of_what_goes_live_and_what_is_retired(
    bureau: Any, document: Make, li: Actor, transfer: Callable[..., Transfer], live: Live
) -> None:
    async def heard() -> list[tuple[str, ...] | None]:
        book = Book(bureau.settings.database_url, FRAUD_FEATURES, lambda: bureau.now)
        keys: list[tuple[str, ...] | None] = []
        try:
            for step in (
                lambda: None,
                lambda: live(document()),
                lambda: bureau.at(
                    lambda desk: desk.retire(
                        li, "large_transfer", VersionBody(version=1, key=bureau.key())
                    )
                ),
            ):
                await asyncio.to_thread(step)
                await book.refresh()
                stands = book.standing([transfer()])
                keys.append(stands and stands.rules.keys)
        finally:
            await book.close()
        return keys

    assert asyncio.run(heard()) == [None, ("large_transfer@1",), None]


def test_a_rule_raises_what_the_model_leaves_and_the_case_says_so(
    bureau: Any,
    judge: Judge,
    document: Make,
    li: Actor,
    transfer: Callable[..., Transfer],
    live: Live,
) -> None:
    live(document())
    decision, entry = decided(judge, bureau, transfer("raised"))
    assert decision.alert
    assert decision.level.name == "red"
    assert decision.score < judge.bundle.policy.threshold
    assert [(one.name, one.version, one.made) for one in decision.rules] == [
        ("large_transfer", 1, True)
    ]
    assert decision.reasons  # the model's contributions, beside the rule
    assert decision.channel is not None
    assert decision.deadline_s is not None
    written(bureau, entry, entry)  # twice: counted once
    written(bureau, entry)
    (shown,) = bureau.at(lambda desk: desk.rules(li)).rules
    assert (shown.matches.ever, shown.matches.lately, shown.matches.made) == (1, 1, 1)
    again = recomputed(judge, bureau, "raised")
    assert again.equal
    assert (again.level, again.rules) == ("red", ("large_transfer@1",))
    (evidence,) = bureau.rows(select(EVIDENCE).where(EVIDENCE.c.event_id == "raised"))
    assert "规则：单笔转账五万元以上" in evidence["zh"]
    assert "rule: a transfer of CNY 50,000 or more" in evidence["en"]
    assert evidence["score"] >= 0.05  # the level's floor: it is not at the list's end


def test_a_decision_is_made_again_after_its_rule_is_retired_and_its_entry_removed(
    bureau: Any,
    judge: Judge,
    hold: Make,
    wang: Actor,
    transfer: Callable[..., Transfer],
    live: Live,
) -> None:
    live(hold(hold_most_urgent=True))
    listed = put_on(bureau, wang, "allow")
    decision, entry = decided(judge, bureau, transfer("held"), duration=1_800)
    assert not decision.alert
    assert decision.level is decision.deadline_s is decision.channel is None
    assert judge.bundle.policy.level(decision.score) is not None  # the model would have warned
    assert decision.rules[0].made
    assert decision.reasons
    written(bureau, entry)
    (row,) = bureau.rows(select(DECISIONS).where(DECISIONS.c.event_id == "held"))
    assert row["level"] is None
    assert row["rules"] == {
        "applied": ["known_payee@1"],
        "listed": [["allow", "counterpart"]],
    }
    form = VersionBody(version=1, key=bureau.key())
    bureau.at(lambda desk: desk.retire(wang, "known_payee", form))
    form_off = KeyBody(key=bureau.key())
    off = bureau.at(lambda desk: desk.remove(wang, "allow", listed.entry_id, form_off))
    assert off.matches.ever == 1
    assert recomputed(judge, bureau, "held").equal
    assert standing(bureau, [transfer()]) is None
    assert bureau.rows(select(EVIDENCE).where(EVIDENCE.c.event_id == "held")) == []


def test_the_most_urgent_level_is_not_held_back_unless_so_configured(
    bureau: Any,
    judge: Judge,
    hold: Make,
    wang: Actor,
    transfer: Callable[..., Transfer],
    live: Live,
) -> None:
    live(hold())
    put_on(bureau, wang, "allow")
    decision, _ = decided(judge, bureau, transfer(), duration=1_800)
    red = judge.bundle.policy.levels[0].name
    model = judge.bundle.policy.level(decision.score)
    assert model is not None
    if model.name == red:
        assert decision.level is not None
        assert decision.level.name == red
        assert not decision.rules[0].made
    else:
        assert decision.level is None


def test_who_waits_for_a_second_person_is_nobody_and_then_a_worker_hears_of_him(
    bureau: Any, hold: Make, wang: Actor, transfer: Callable[..., Transfer], live: Live
) -> None:
    live(hold())
    added = waiting(bureau, wang, "allow")

    async def heard() -> list[tuple[bool, tuple[str, ...]]]:
        book = Book(bureau.settings.database_url, FRAUD_FEATURES, lambda: bureau.now)
        found: list[tuple[bool, tuple[str, ...]]] = []
        steps: tuple[Callable[[], Any], ...] = (
            lambda: None,
            lambda: signed(bureau, "allow", added.entry_id),
        )
        try:
            for step in steps:
                await asyncio.to_thread(step)
                await book.refresh()
                stands = book.standing([transfer()])
                assert stands is not None
                there = stands.listed["allow", "counterpart"]
                found.append((bool(there[0]), stands.entries[0]))
        finally:
            await book.close()
        return found

    assert asyncio.run(heard()) == [(False, ()), (True, (added.entry_id,))]


def test_a_decision_from_before_the_signature_is_made_again_as_it_was(
    bureau: Any,
    judge: Judge,
    hold: Make,
    wang: Actor,
    transfer: Callable[..., Transfer],
    live: Live,
) -> None:
    live(hold(hold_most_urgent=True))
    added = waiting(bureau, wang, "allow")
    early, first = decided(judge, bureau, transfer("early"), duration=1_800)
    written(bureau, first)
    signed(bureau, "allow", added.entry_id)
    late, _ = decided(judge, bureau, transfer("late"), duration=1_800)
    assert early.alert
    assert not late.alert
    again = recomputed(judge, bureau, "early")
    assert (again.equal, again.level) == (True, early.level.name)
    (shown,) = bureau.at(lambda desk: desk.one_list(wang, "allow")).entries
    assert shown.matches.ever == 0  # the early one found nobody


def test_an_entry_that_is_over_is_nobody(
    bureau: Any, hold: Make, wang: Actor, transfer: Callable[..., Transfer], live: Live
) -> None:
    live(hold())
    put_on(bureau, wang, "allow", days=1)
    stands = standing(bureau, [transfer(), transfer("t2", counterpart="acc_" + "8" * 32)])
    assert stands is not None
    assert stands.listed["allow", "counterpart"].tolist() == [True, False]
    bureau.now += timedelta(days=1)
    later = standing(bureau, [transfer()])
    assert later is not None
    assert later.listed["allow", "counterpart"].tolist() == [False]
    bureau.now += timedelta(days=30)  # now the rule itself is over
    over = standing(bureau, [transfer()])
    assert over is not None
    assert over.rules.keys == ()


def test_a_live_rule_that_cannot_be_read_is_declared(
    bureau: Any, judge: Judge, document: Make, transfer: Callable[..., Transfer]
) -> None:
    gone = document(when={"known": "event.of_yesterday.value"})
    row = {
        "name": "large_transfer",
        "version": 1,
        "state": "live",
        "owner": "a",
        "content": gone,
        "author": "a",
        "created_at": bureau.now,
        "tested_at": bureau.now,
        "test": {},
        "live_at": bureau.now,
        "live_by": "b",
    }

    async def kept(desk: Any) -> None:
        async with desk.room.engine.begin() as connection:
            await connection.execute(insert(RULES).values(name="large_transfer", versions=1))
            await connection.execute(insert(VERSIONS).values(row))
            await connection.execute(update(BOOK).values(generation=BOOK.c.generation + 1))

    bureau.at(kept)
    event = transfer()
    stands = standing(bureau, [event])
    assert stands is not None
    assert stands.broken == ("large_transfer@1",)
    (decision,) = judge.decide([seen(event, bureau)], explain=False, standing=stands)
    assert decision.degraded == ("rules",)
    assert decision.score is not None


def test_a_decision_without_rules_is_what_it_was(
    bureau: Any, judge: Judge, transfer: Callable[..., Transfer]
) -> None:
    decision, entry = decided(judge, bureau, transfer("plain"))
    assert decision.rules == ()
    assert Decision.model_validate(decision.model_dump(mode="json")) == decision
    written(bureau, entry)
    (row,) = bureau.rows(select(DECISIONS).where(DECISIONS.c.event_id == "plain"))
    assert row["rules"] is None
