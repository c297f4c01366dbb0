"""What was recorded stays as it was, or `verify` says what was done to it."""

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from data.pseudonyms import Pseudonymiser
from serving.access import (
    AUDIT,
    Act,
    SealError,
    Seals,
    record,
    record_all,
    seal_audit,
    verify_audit,
)
from serving.access.audit import (
    GENESIS,
    FaultKind,
    Head,
    Verdict,
    _content,
    _digest,
    append,
    head,
    verify,
)

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def act(number: int, **changes: Any) -> Act:
    given = {"actor": "li.wei", "role": "officer", "action": "read_case", "subject": f"c-{number}"}
    return Act(**{**given, **changes})


def write(engine: Engine, count: int = 6) -> None:
    for number in range(1, count + 1):
        with engine.begin() as connection:
            append(connection, [act(number)], AT + timedelta(seconds=number))


def look(engine: Engine, seals: Sequence[Head] = ()) -> Verdict:
    with engine.connect() as connection:
        return verify(connection, seals)


def tamper(engine: Engine, *statements: str) -> None:
    """What somebody does who may do anything to the database."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        for statement in statements:
            connection.execute(text(statement))
        connection.execute(text("ALTER TABLE audit ENABLE TRIGGER USER"))


def fault(engine: Engine, seals: Sequence[Head] = ()) -> tuple[FaultKind, int]:
    found = look(engine, seals).fault
    assert found is not None
    assert str(found.seq) in found.en
    assert str(found.seq) in found.zh
    return found.kind, found.seq


def test_an_empty_log_is_sound(engine: Engine) -> None:
    assert look(engine) == Verdict(Head(0, GENESIS))


def test_records_are_numbered_and_chained(engine: Engine) -> None:
    write(engine)
    with engine.connect() as connection:
        rows = connection.execute(select(AUDIT).order_by(AUDIT.c.seq)).all()
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row.before for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    found = look(engine)
    assert found.sound
    assert found.head == Head(6, rows[-1].hash)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'x'", "DELETE FROM audit WHERE seq = 1", "TRUNCATE audit"],
)
def test_the_database_refuses_to_change_it(engine: Engine, statement: str) -> None:
    write(engine, 2)
    with pytest.raises(DBAPIError, match="appended to only"), engine.begin() as connection:
        connection.execute(text(statement))
    assert look(engine).head.seq == 2


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "actor = 'wang'",
        "role = 'supervisor'",
        "action = 'reveal_pseudonym'",
        "subject = 'c-9'",
        "purpose = 'because'",
        """detail = '{"a": 1}'""",
        "detail = 'null'",
        "hash = repeat('a', 64)",
        "before = repeat('a', 64)",
    ],
)
def test_a_changed_record_is_named(engine: Engine, change: str) -> None:
    write(engine)
    tamper(engine, f"UPDATE audit SET {change} WHERE seq = 3")  # noqa: S608
    assert fault(engine) == (FaultKind.CHANGED, 3)
    assert look(engine).head.seq == 2


@pytest.mark.parametrize("seq", [1, 3])
def test_a_removed_record_is_named(engine: Engine, seq: int) -> None:
    write(engine)
    tamper(engine, f"DELETE FROM audit WHERE seq = {seq}")  # noqa: S608
    assert fault(engine) == (FaultKind.REMOVED, seq)


def test_a_removed_record_is_missed_also_when_the_rest_moves_up(engine: Engine) -> None:
    write(engine)
    up = "UPDATE audit SET seq = seq - 1 WHERE seq = {}"
    tamper(engine, "DELETE FROM audit WHERE seq = 3", *(up.format(seq) for seq in (4, 5, 6)))
    assert fault(engine) == (FaultKind.REPLACED, 2)


def test_swapped_records_are_named(engine: Engine) -> None:
    write(engine)
    tamper(
        engine,
        "UPDATE audit SET seq = 99 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = 99",
    )
    assert fault(engine) == (FaultKind.REORDERED, 3)


def test_a_record_renumbered_in_place_is_named(engine: Engine) -> None:
    write(engine, 3)
    tamper(engine, "UPDATE audit SET seq = 7 WHERE seq = 3")
    assert fault(engine) == (FaultKind.REORDERED, 7)


def test_a_record_forged_with_a_right_hash_breaks_the_next(engine: Engine) -> None:
    write(engine)
    with engine.connect() as connection:
        before = connection.scalar(select(AUDIT.c.hash).where(AUDIT.c.seq == 2)) or ""
    forged = _digest(before, _content(act(0, actor="nobody"), AT))
    tamper(
        engine,
        f"UPDATE audit SET actor = 'nobody', subject = 'c-0', at = '{AT.isoformat()}', "  # noqa: S608
        f"hash = '{forged}' WHERE seq = 3",
    )
    assert fault(engine) == (FaultKind.REPLACED, 3)


def test_a_cut_tail_shows_only_against_a_seal(engine: Engine, tmp_path: Path) -> None:
    write(engine)
    seals = Seals(tmp_path / "audit" / "seals.jsonl", Pseudonymiser(bytes(32)))
    assert seal_audit(engine, seals, AT).sound
    write(engine, 2)  # after the seal: records 7 and 8
    assert verify_audit(engine, seals) == Verdict(head=look(engine).head, sealed=6)

    tamper(engine, "DELETE FROM audit WHERE seq > 6")
    assert verify_audit(engine, seals).sound, "what came after the seal can go unseen"
    tamper(engine, "DELETE FROM audit WHERE seq > 4")
    assert look(engine).sound, "without the seal it looks whole"
    assert fault(engine, seals.heads()) == (FaultKind.CUT, 5)
    write(engine, 3)
    assert fault(engine, seals.heads()) == (FaultKind.CUT, 6), "grown again, but not the same"
    assert seal_audit(engine, seals, AT).fault is not None
    assert len(seals.heads()) == 1, "a broken log is not sealed"


def test_a_log_that_stands_still_is_sealed_once(engine: Engine, tmp_path: Path) -> None:
    write(engine, 1)
    seals = Seals(tmp_path / "seals.jsonl", Pseudonymiser(bytes(32)))
    for _ in range(3):
        seal_audit(engine, seals, AT)
    assert [seal.seq for seal in seals.heads()] == [1]


@pytest.mark.parametrize("damage", ["seq", "key", "json"])
def test_a_forged_seal_is_no_seal(tmp_path: Path, damage: str) -> None:
    seals = Seals(tmp_path / "seals.jsonl", Pseudonymiser(bytes(32)))
    seals.add(Head(6, "a" * 64), AT)
    if damage == "seq":
        seals.path.write_text(seals.path.read_text().replace('"seq": 6', '"seq": 4'))
    elif damage == "json":
        seals.path.write_text("[]\n")
    else:
        seals = Seals(seals.path, Pseudonymiser(bytes(31) + b"x"))
    with pytest.raises(SealError, match="line 1"):
        seals.heads()


def test_four_connections_at_once_keep_one_chain(engine: Engine) -> None:
    def many(worker: int) -> None:
        for number in range(15):
            with engine.begin() as connection:
                append(connection, [act(100 * worker + number), act(worker)], AT)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(many, range(4)))
    found = look(engine)
    assert found.sound
    assert found.head.seq == 4 * 15 * 2


def test_an_act_lives_and_dies_with_its_transaction(engine: Engine) -> None:
    write(engine, 1)
    with engine.connect() as connection, connection.begin() as transaction:
        append(connection, [act(2)], AT)
        transaction.rollback()
    write(engine, 1)
    assert look(engine).head.seq == 2


def test_the_service_records_within_its_own_transaction(engine: Engine, ask: Any) -> None:
    async def work(asynchronous: AsyncEngine) -> None:
        async with asynchronous.begin() as connection:
            await record(connection, act(1, purpose="call back"), AT)
            await record_all(connection, [act(2), act(3)], AT)
            await record_all(connection, [], AT)

    ask(work)
    assert look(engine).head.seq == 3


def test_the_service_appends_from_many_tasks(engine: Engine, ask: Any) -> None:
    async def work(asynchronous: AsyncEngine) -> None:
        async def one(number: int) -> None:
            async with asynchronous.begin() as connection:
                await record(connection, act(number), AT)

        await asyncio.gather(*(one(number) for number in range(8)))

    ask(work)
    assert look(engine).head.seq == 8
    assert look(engine).sound


def test_what_cannot_be_recorded_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        with pytest.raises(ValueError, match="aware time"):
            append(connection, [act(1)], datetime(2026, 3, 10))  # noqa: DTZ001
        for strange in (math.nan, AT, "half a pair: \ud83d"):
            with pytest.raises(ValueError, match="plain JSON"):
                append(connection, [act(1, detail={"value": strange})], AT)
        assert head(connection).seq == 0


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DETAIL = st.dictionaries(
    PLAIN,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(detail=DETAIL, subject=PLAIN, hours=st.integers(-12, 14), span=st.integers(0, 10**15))
def test_whatever_is_recorded_reads_back_to_its_hash(
    engine: Engine, detail: dict[str, Any], subject: str, hours: int, span: int
) -> None:
    at = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=hours))) + timedelta(
        microseconds=span
    )
    with engine.begin() as connection:
        append(connection, [act(1, detail=detail, subject=subject)], at)
    assert look(engine).sound


def test_a_long_log_is_walked_in_portions(engine: Engine) -> None:
    with engine.begin() as connection:
        append(connection, [act(number) for number in range(2_500)], AT)
        assert connection.scalar(select(func.count()).select_from(AUDIT)) == 2_500
    assert look(engine).head.seq == 2_500
