"""Feature state as one worker asks it."""

import asyncio
from typing import Any

import pytest
from valkey.asyncio.connection import AbstractConnection

from features import FRAUD_FEATURES
from serving.server import Running
from serving.state import State


def test_a_thousand_ids_are_asked_for_in_one_trip(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = 0
    send = AbstractConnection.send_packed_command

    async def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal trips
        trips += 1
        await send(self, *args, **kwargs)

    async def asked() -> list[str]:
        nonlocal trips
        state = State(service.settings.valkey_url or "", FRAUD_FEATURES, service.settings.zone)
        await state.word()  # connects
        trips = 0
        found = await state.forgotten([f"never-seen-{n}" for n in range(1_000)])
        assert trips == 1
        await state.close()
        return found

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    assert len(asyncio.run(asked())) == 1_000
