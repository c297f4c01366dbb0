"""The whole way over HTTP: drafted, signed, carried, answered, objected to, lifted, counted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Route

from serving.access.gate import RULES
from serving.access.roles import Actor
from serving.cases.room import CaseRoom
from serving.problems import HANDLERS
from serving.requests import Courier, Outbox
from serving.requests.routes import OPERATIONS, routes

Talk = Callable[["Line"], Awaitable[Any]]


class Line:
    """Speaks to the application as whoever the gate let through."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def ask(self, by: Actor, method: str, path: str, body: Any = None) -> httpx.Response:
        async def as_actor(scope: Any, receive: Any, send: Any) -> None:
            await self._app({**scope, "state": {"actor": by}}, receive, send)

        transport = httpx.ASGITransport(as_actor)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path, json=body)


def talk(desk: Any, work: Talk) -> Any:
    async def whole(engine: AsyncEngine) -> Any:
        app = Starlette(routes=routes(), exception_handlers=HANDLERS)
        app.state.cases = CaseRoom(engine, desk.config, lambda: desk.now)
        app.state.office = desk.office
        # it looks only when it is woken
        courier = Courier(engine, Outbox(engine, desk.office), lambda: desk.now, every_s=60)
        app.state.courier = courier
        await courier.open()
        try:
            return await work(Line(app))
        finally:
            await courier.close()

    return desk.database.run(whole)


async def until(done: Callable[[], bool | Awaitable[bool]]) -> None:
    for _ in range(500):
        found = done()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


def test_the_whole_way(desk: Any, bank: Any, people: Any) -> None:
    case = desk.case()
    count = iter(range(100))

    def body(version: int | None = None, **more: Any) -> dict[str, Any]:
        stamp = {"key": f"form-key-{next(count)}"}
        return {**stamp, **({"version": version} if version else {}), **more}

    async def way(line: Line) -> None:
        wanted = {"kind": "stop_payment", "receiver": "bank", "subject": f"acc_{'2' * 32}"}
        of_case = f"/v1/cases/{case.case_id}/requests"
        drafted = await line.ask(people.officer, "POST", of_case, body(case.version, **wanted))
        assert drafted.status_code == 200, drafted.text
        one = f"/v1/requests/{drafted.json()['request_id']}"
        refused = await line.ask(people.officer, "POST", f"{one}/sign", body(1))
        assert refused.status_code == 403
        signed = await line.ask(people.approver, "POST", f"{one}/sign", body(1))
        assert signed.json()["en"] == "signed; it is being sent"

        async def noted() -> bool:
            told = (await line.ask(people.officer, "GET", of_case)).json()
            return told["requests"][0]["sent_at"] is not None

        # a bank may answer before the courier has written down that it was sent
        await until(noted)
        said = body(answer="accepted", words="已止付", stopped_cny=50_000)
        answered = await line.ask(people.bank, "POST", f"{one}/answer", said)
        assert answered.json()["state"] == "answered", answered.text
        listed = (await line.ask(people.officer, "GET", "/v1/requests?state=answered")).json()
        assert [each["stopped_cny"] for each in listed["requests"]] == [50_000]
        assert listed["dead_letters"] == []
        own = (await line.ask(people.officer, "GET", of_case)).json()
        assert own["requests"] == listed["requests"]
        filing = body(request_id=listed["requests"][0]["request_id"], words="不是诈骗")
        filed = (await line.ask(people.bank, "POST", "/v1/appeals", filing)).json()
        waiting = (await line.ask(people.chief, "GET", "/v1/appeals?overdue=false")).json()
        assert [each["words"] for each in waiting["appeals"]] == ["不是诈骗"]
        decision = body(1, upheld=True, reason="核实无误")
        where = f"/v1/appeals/{filed['appeal_id']}/decide"
        decided = (await line.ask(people.chief, "POST", where, decision)).json()
        assert decided["detail"]["undone"] == 1, decided
        await until(lambda: len(bank.calls) == 2)
        costs = (await line.ask(people.chief, "GET", "/v1/false-alarms?since=2026-03-01")).json()
        assert [each["learnt_by"] for each in costs["lines"]] == ["appeal"]

    talk(desk, way)
    assert [one["type"] for one in bank.told()] == ["request.stop_payment", "undo.stop_payment"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/cases/nothing/requests", None, 404),
        ("GET", "/v1/cases/%00/requests", None, 404),
        ("GET", "/v1/requests?state=lost", None, 422),
        ("POST", "/v1/requests/x/withdraw", {"version": 1, "key": "12345678"}, 422),
        ("POST", "/v1/requests/%00/resend", {"version": 1, "key": "12345678"}, 404),
        ("POST", f"/v1/requests/{'x' * 65}/resend", {"version": 1, "key": "12345678"}, 404),
        (
            "POST",
            "/v1/requests/x/withdraw",
            {"version": 1, "key": "12345678", "reason": "a\0b"},
            422,
        ),
        ("POST", "/v1/appeals", {"key": "12345678", "words": "x"}, 422),
        ("POST", "/v1/appeals", {"key": "12345678", "words": "x", "case_id": "none"}, 404),
        ("GET", "/v1/false-alarms?since=0001-01-01", None, 422),
    ],
)
def test_what_cannot_be_is_told(
    desk: Any, people: Any, method: str, path: str, body: Any, status: int
) -> None:
    async def asked(line: Line) -> None:
        found = await line.ask(people.chief, method, path, body)
        assert found.status_code == status, found.text

    talk(desk, asked)


def test_every_operation_is_a_route_with_a_rule() -> None:
    told = {(one.method, one.path) for one in OPERATIONS}
    found = {
        (method, route.path)
        for route in routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert told == found
    assert told <= set(RULES)
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
