"""Delivery to a real HTTP receiver that fails, hangs and checks signatures."""

import asyncio
import base64
import hashlib
import hmac
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.problems import Problem
from serving.requests import Courier, Office, Outbox, Patience, Receiver, dead_letters
from serving.requests.lifecycle import resend, sign, undo
from serving.requests.tables import OUTBOX
from serving.requests.webhooks import Secret, signed_headers

KEY = b"a secret of the bank, 32 bytes.."


def v1(headers: Any, body: bytes) -> str:
    """The signature as a receiver computes it, from the specification alone."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(KEY, content, hashlib.sha256)).decode()


def test_a_message_arrives_signed_and_says_pseudonyms_only(desk: Any, bank: Any) -> None:
    signed = desk.signed(amount_cny=100.0)
    assert desk.deliver() == 1
    ((headers, body),) = bank.calls
    assert headers["webhook-signature"] == v1(headers, body)
    assert headers["webhook-timestamp"] == str(int(desk.now.timestamp()))
    (message,) = desk.messages()
    assert headers["webhook-id"] == headers["idempotency-key"] == message["message_id"]
    (told,) = bank.told()
    assert told["type"] == "request.stop_payment"
    assert told["data"]["subject"] == f"acc_{'2' * 32}"
    assert datetime.fromisoformat(told["data"]["expires_at"]) == signed.expires_at
    assert "第三十二条" in told["data"]["text"]["zh"]
    assert told["data"]["ground"]["en"] == "Anti-Telecom and Online Fraud Law, Art. 20"
    assert (told["data"]["owner"], told["data"]["signed_by"]) == ("li", "he")
    request = desk.current(signed)
    assert (request.state, request.sent_at, request.version) == ("sent", desk.now, 3)
    assert desk.deliver(minute=1) == 0


def test_an_asymmetric_secret_signs_as_v1a() -> None:
    private = Ed25519PrivateKey.generate()
    seed, public = private.private_bytes_raw(), private.public_key()
    secrets = [
        Secret.of(f"whsk_{base64.b64encode(key).decode()}")
        for key in (seed, seed + public.public_bytes_raw())
    ]
    both = signed_headers("m", 7, b"{}", [*secrets, Secret(KEY)])["webhook-signature"].split()
    assert both[0] == both[1]
    public.verify(base64.b64decode(both[0].removeprefix("v1a,")), b"m.7.{}")
    assert both[2].startswith("v1,")


def test_500_then_200_is_one_message_sent_twice(desk: Any, bank: Any) -> None:
    bank.script = [(500, {}, b"out of order, call 13800138000")]
    signed = desk.signed()
    desk.deliver()
    assert desk.current(signed).state == "signed"
    (message,) = desk.messages()
    assert (message["state"], message["status"], message["tries"]) == ("pending", 500, 1)
    assert message["excerpt"] == "out of order, call [number]"
    assert desk.deliver() == 0  # not before its time
    assert desk.deliver(minute=1) == 1
    assert desk.current(signed).state == "sent"
    (first, body), (second, again) = bank.calls
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert second["webhook-signature"] == v1(second, again)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("hang", "timeout"),
        ("drop", "RemoteProtocolError"),
        ((302, {"location": "http://127.0.0.1:9/"}, b""), "refused by status"),
        ((429, {"retry-after": "600"}, b""), "refused by status"),
    ],
)
def test_what_goes_wrong_is_tried_again(desk: Any, bank: Any, step: Any, problem: str) -> None:
    bank.script = [step]
    desk.signed()
    desk.deliver()
    (message,) = desk.messages()
    assert (message["state"], message["problem"]) == ("pending", problem)
    assert len(bank.calls) == 1  # a redirect is not followed
    waits = message["due_at"] - desk.now
    assert (
        waits == timedelta(minutes=10)
        if "retry-after" in str(step)
        else waits < timedelta(minutes=1)
    )
    desk.deliver(minute=11)
    assert desk.messages()[0]["state"] == "delivered"


def test_a_dead_letter_is_seen_and_sent_again(
    desk: Any, bank: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bank.script = [500] * 3
    signed = desk.signed()
    with caplog.at_level(logging.ERROR):
        for minute in (0, 10, 20):
            desk.deliver(minute=minute, tries=3)
    assert "given up after 3 tries" in caplog.text
    assert "acc_" not in caplog.text
    (letter,) = desk.act(dead_letters)
    assert (letter.topic, letter.tries, letter.status) == ("request", 3, 500)
    assert desk.deliver(minute=99) == 0
    desk.act(resend, desk.form(signed), minute=100)
    assert desk.act(dead_letters) == ()
    desk.deliver(minute=100)
    assert desk.current(signed).state == "sent"
    assert len({headers["webhook-id"] for headers, _ in bank.calls}) == 1


def test_gone_is_given_up_at_once(desk: Any, bank: Any) -> None:
    bank.script = [410]
    desk.signed()
    desk.deliver()
    assert desk.messages()[0]["state"] == "dead"


def test_a_receiver_that_is_not_configured_any_more(desk: Any) -> None:
    desk.signed()
    desk.office = Office()
    desk.deliver()
    assert desk.messages()[0]["problem"] == "receiver is not configured here"


def test_an_undo_follows_its_request(desk: Any, bank: Any, people: Any) -> None:
    bank.script = [500]
    signed = desk.signed()
    desk.deliver()
    desk.act(undo, desk.form(signed), "wrong account", by=people.approver, minute=1)
    assert desk.current(signed).state == "undone"
    desk.deliver(minute=2)
    request, lifting = bank.told()
    assert (request["type"], lifting["type"]) == ("request.stop_payment", "undo.stop_payment")
    assert request["data"]["request_id"] == lifting["data"]["request_id"]
    states = [one["state"] for one in desk.messages()]
    assert states == ["cancelled", "delivered"]  # what failed is not tried again
    with pytest.raises(Problem, match="conflict"):
        desk.act(undo, desk.form(desk.current(signed)), "again", by=people.approver)


def test_an_undo_waits_for_what_is_on_its_way(desk: Any, bank: Any, people: Any) -> None:
    signed = desk.signed()
    leased = {"lease": "somebody", "leased_until": desk.now + timedelta(minutes=1), "tries": 1}
    desk.database.within(lambda c: c.execute(update(OUTBOX).values(leased)))
    desk.act(undo, desk.form(signed), "wrong", by=people.approver)
    assert desk.deliver(minute=0.5) == 0
    assert desk.deliver(minute=1) == 1
    assert [one["type"] for one in bank.told()] == ["undo.stop_payment"]


def test_two_workers_send_one_message_once(desk: Any, bank: Any) -> None:
    for kind in ("stop_payment", "freeze", "dispatch"):
        desk.signed(kind)

    async def workers(engine: AsyncEngine) -> list[int]:
        boxes = [Outbox(engine, desk.office, Patience(at_once=2)) for _ in range(4)]
        try:
            return list(await asyncio.gather(*(box.deliver(desk.now) for box in boxes)))
        finally:
            for box in boxes:
                await box.close()

    assert sum(desk.database.run(workers)) == 3
    assert len({headers["webhook-id"] for headers, _ in bank.calls}) == len(bank.calls) == 3


def test_a_crash_after_sending_sends_the_same_again(desk: Any, bank: Any) -> None:
    signed = desk.signed()

    async def crashed(engine: AsyncEngine) -> None:
        outbox = Outbox(engine, desk.office)
        claimed = await outbox._claim(desk.now)
        await outbox._send(claimed[0], desk.now)
        await outbox.close()  # and nothing was written down

    desk.database.run(crashed)
    assert desk.deliver(minute=0.5) == 0  # it may still be in hand
    assert desk.deliver(minute=1) == 1
    assert desk.current(signed).state == "sent"
    (first, _), (second, _) = bank.calls
    assert first["idempotency-key"] == second["idempotency-key"]


def test_whoever_comes_late_changes_nothing(desk: Any) -> None:
    desk.signed()

    async def late(engine: AsyncEngine) -> None:
        slow, quick = (Outbox(engine, desk.office) for _ in range(2))
        (claimed,) = await slow._claim(desk.now)
        await quick.deliver(desk.now + timedelta(minutes=2))
        failed = await slow._send(
            type(claimed)(**{**vars(claimed), "receiver": "nobody"}), desk.now
        )
        await slow._settle(claimed, failed, desk.now)
        await slow.close()
        await quick.close()

    desk.database.run(late)
    assert desk.messages()[0]["state"] == "delivered"


def test_a_rolled_back_signature_sends_nothing(desk: Any) -> None:
    drafted = desk.draft()

    async def broken(turn: Any) -> None:
        await sign(turn, desk.form(drafted))
        await turn.connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(Exception, match="division by zero"):
        desk.act(broken, by=desk.people.approver)
    assert desk.messages() == []
    assert desk.current(drafted).state == "drafted"


def test_a_lease_is_longer_than_a_try() -> None:
    with pytest.raises(ValueError, match="two workers send one message at once"):
        Patience(timeout_s=40)


def test_the_courier_carries_by_itself(desk: Any, bank: Any) -> None:
    drafted = desk.draft("freeze")
    signed = desk.signed()

    async def carried(engine: AsyncEngine) -> None:
        at = desk.now + timedelta(hours=24)
        courier = Courier(engine, Outbox(engine, desk.office), lambda: at, every_s=0.01)
        await courier.open()
        courier.wake()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if bank.calls:
                break
        await courier.close()

    desk.database.run(carried)
    assert desk.current(drafted).state == "expired"
    assert len(bank.calls) == 1
    assert desk.current(signed).state in {"signed", "sent"}  # closed while it wrote, or after


def test_a_receiver_is_https_or_this_machine() -> None:
    for url in ("http://bank.cn/", "https://me:word@bank.cn/", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="https://"):
            Receiver("bank", url, frozenset(), (Secret(KEY),))
    with pytest.raises(ValueError, match="expected a secret"):
        Receiver("bank", "https://bank.cn/", frozenset(), ())


def test_a_courier_that_is_woken_as_it_is_closed_stops(desk: Any) -> None:
    async def opened_and_closed(engine: AsyncEngine) -> None:
        for _ in range(30):
            courier = Courier(engine, Outbox(engine, desk.office), lambda: desk.now, every_s=60)
            await courier.open()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            courier.wake()
            await asyncio.wait_for(courier.close(), 10)

    desk.database.run(opened_and_closed)
