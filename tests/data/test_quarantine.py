"""Refused records are sealed, counted once, and pass again once they are mended."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from data.events import Event
from data.intake import Intake
from data.problems import Problem, RejectedRecord
from data.pseudonyms import Pseudonymiser
from data.quarantine import Quarantine, QuarantineError, Refused, Sealer, corrected


def refuse(intake: Intake, record: bytes, source: str = "test") -> Refused:
    with pytest.raises(RejectedRecord) as raised:
        intake.one(record)
    return Refused(record, raised.value.problems, source)


@pytest.fixture
def quarantine(engine: Engine, intake: Intake) -> Quarantine:
    return Quarantine(engine, intake)


def test_a_record_is_sealed_and_its_reason_is_not(
    quarantine: Quarantine, intake: Intake, engine: Engine, record, raw_numbers
) -> None:
    quarantine.add([refuse(intake, json.dumps(record("transfer", amount_fen=-5)).encode())])
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT q::text, record FROM quarantine q")).all()
    stored = rows[0][0] + bytes(rows[0][1]).decode("latin-1")
    assert not [raw for raw in raw_numbers if raw in stored]
    held = quarantine.list()[0]
    assert held.problems[0].field == "amount_fen"
    assert held.problems[0].found == "-5"
    assert (held.times, held.source, held.replayed_at) == (1, "test", None)


def test_the_same_record_is_kept_once_and_counted(quarantine: Quarantine, intake: Intake) -> None:
    refused = refuse(intake, b"\xff\x00 no json")
    first, again = quarantine.add([refused, refused]), quarantine.add([refused])
    assert {*first, *again} == {first[0]}
    assert quarantine.count() == 1
    assert quarantine.list()[0].times == 2


def test_many_are_kept(quarantine: Quarantine) -> None:
    problem = Problem("record", "a", "b", "c")
    quarantine.add(Refused(b"%d" % n, [problem], "test") for n in range(1_200))
    assert quarantine.count() == 1_200
    assert len(quarantine.list(limit=10)) == 10
    passed = quarantine.replay(lambda _: None)
    assert (passed.passed, passed.refused) == (0, 1_200)


def test_a_mended_record_passes_and_is_marked(
    quarantine: Quarantine, intake: Intake, record, now
) -> None:
    wrong = record("call", duration_s=None, seconds=60)
    name = quarantine.add([refuse(intake, json.dumps(wrong).encode())])[0]
    accepted: list[Event] = []

    def take(events: Sequence[Event]) -> None:
        accepted.extend(events)

    assert quarantine.replay(take).refused == 1

    def mend(fields: dict[str, Any]) -> dict[str, Any]:
        return {"duration_s": fields.pop("seconds"), **fields}

    mended = quarantine.replay(take, mend=mend, ids=[name])
    assert (mended.passed, mended.refused) == (1, 0)
    assert [event.event_id for event in accepted] == ["call-0"]
    assert accepted[0].subscriber.startswith("tel_")
    assert quarantine.count() == 0
    assert quarantine.list(replayed=True)[0].replayed_at == now
    assert quarantine.replay(take).passed == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("subscriber=13800138000", "13800138000"),
        ("counterpart=10086", "10086"),
        ("account=6217000010012345678", "6217000010012345678"),
        ("event_id=17", "17"),
        ("direction=incoming", "incoming"),
        ("duration_s=60", 60),
        ("duration_s=an hour", "an hour"),
        ("roaming=true", True),
        ('phones=["10086"]', ["10086"]),
    ],
)
def test_a_correction_is_of_its_field_s_type(text: str, value: Any) -> None:
    assert list(corrected([text], [])({}).values()) == [value]


def test_a_corrected_number_passes(quarantine: Quarantine, intake: Intake, record) -> None:
    quarantine.add([refuse(intake, json.dumps(record("call", subscriber="nobody")).encode())])
    mend = corrected(["subscriber=13800138000"], [])
    assert quarantine.replay(lambda _: None, mend=mend).passed == 1


def test_a_record_from_the_future_passes_when_its_time_has_come(
    engine: Engine, names: Pseudonymiser, record, now
) -> None:
    early, later = Intake(names, lambda: now), Intake(names, lambda: now + timedelta(days=1))
    ahead = record("sms", occurred_at=(now + timedelta(hours=1)).isoformat(), known_at=None)
    Quarantine(engine, early).add([refuse(early, json.dumps(ahead).encode())])
    assert Quarantine(engine, early).replay(lambda _: None).refused == 1
    assert Quarantine(engine, later).replay(lambda _: None).passed == 1


def test_nothing_is_marked_when_the_taker_fails(
    quarantine: Quarantine, intake: Intake, record
) -> None:
    quarantine.add([refuse(intake, json.dumps(record("call", duration_s=-1)).encode())])

    def fail(_: Sequence[Event]) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        quarantine.replay(fail, mend=lambda fields: {**fields, "duration_s": 1})
    assert quarantine.count() == 1


def test_another_key_or_a_changed_row_does_not_open() -> None:
    sealer = Sealer(Pseudonymiser(bytes(32)))
    row = sealer.row({"a": 1}, [], source="test")
    other = Sealer(Pseudonymiser(b"k" * 32))
    with pytest.raises(QuarantineError, match="found another key or a changed row"):
        other.open(row["id"], row["record"])
    with pytest.raises(QuarantineError, match="expected record q-x sealed with our key"):
        sealer.open("q-x", row["record"])
    assert sealer.open(row["id"], row["record"]) == b'{"a":1}'
