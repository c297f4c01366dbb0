"""The gate on a small application: who is let through, and what it costs to ask."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.access import (
    Account,
    Action,
    Credentials,
    Gate,
    Open,
    Role,
    SessionLimits,
    actor_of,
)
from serving.access.accounts import add_account, set_disabled
from serving.access.credentials import MOST
from serving.access.csrf import CSRF_FIELD, CSRF_HEADER, csrf_token
from serving.access.gate import Rule
from serving.access.keys import issue_key, revoke_key
from serving.access.sessions import cookie, open_session
from serving.limits import Border
from serving.problems import MEDIA_TYPE

SMALL: Mapping[tuple[str, str], Rule] = {
    ("GET", "/open"): Open.PUBLIC,
    ("GET", "/me"): Open.SIGNED_IN,
    ("GET", "/cases/{case_id}"): Action.READ_CASE,
    ("POST", "/cases/{case_id}"): Action.WORK_CASE,
    ("POST", "/score"): Action.SCORE,
}


async def who(request: Request) -> Response:
    actor = actor_of(request.scope)
    body = (await request.body()).decode()
    return JSONResponse({"name": actor.name, "role": actor.role, "ref": actor.ref, "body": body})


async def open_to_all(request: Request) -> Response:
    with pytest.raises(KeyError):
        actor_of({"state": {}})
    return JSONResponse({})


class Door:
    """Requests through a gate, and how often the database was asked."""

    def __init__(self, asynchronous: AsyncEngine, clock: Any) -> None:
        app = Starlette(
            routes=[
                Route("/open", open_to_all),
                Route("/me", who),
                Route("/cases/{case_id}", who, methods=["GET", "POST"]),
                Route("/score", who, methods=["POST"]),
                Route("/hidden", who),
            ]
        )
        self.credentials = Credentials(asynchronous, clock, https=False)
        self.gate = Gate(app, lambda: self.credentials, SMALL)
        transport = httpx.ASGITransport(Border(self.gate))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    async def status(self, method: str, path: str, **headers: str) -> int:
        told = await self.client.request(method, path, headers=headers)
        if told.status_code >= 400:
            assert told.headers["content-type"] == MEDIA_TYPE
        return told.status_code


@pytest.fixture
def door(ask: Any, clock: Any) -> Any:
    def run(work: Any) -> Any:
        async def whole(asynchronous: AsyncEngine) -> Any:
            return await work(Door(asynchronous, clock))

        return ask(whole)

    return run


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def key(engine: Engine, clock: Any) -> str:
    with engine.begin() as connection:
        return issue_key(connection, "96110", [Action.SCORE], clock(), by="zhao")[1]


@pytest.fixture
def token(engine: Engine, clock: Any) -> str:
    with engine.begin() as connection:
        add_account(connection, Account("li.wei", Role.OFFICER, "Yubei"), None, clock())
        return open_session(connection, "li.wei", clock())


def shown(token: str) -> dict[str, str]:
    return {"Cookie": cookie(token, https=False).split(";")[0]}


def test_a_key_opens_what_it_is_for(door: Any, key: str) -> None:
    async def work(door: Door) -> None:
        assert await door.status("POST", "/score", **bearer(key)) == 200
        assert await door.status("GET", "/me", **bearer(key)) == 200
        assert await door.status("GET", "/cases/7", **bearer(key)) == 403
        told = await door.client.get("/me", headers={"authorization": f"bearer  {key} "})
        assert told.json()["name"] == f"key:{told.json()['ref']}"

    door(work)


def test_a_session_opens_what_its_role_may(door: Any, token: str) -> None:
    async def work(door: Door) -> None:
        assert await door.status("GET", "/cases/7", **shown(token)) == 200
        assert await door.status("GET", "/me", **shown(token)) == 200
        assert await door.status("POST", "/score", **shown(token)) == 403

    door(work)


def test_a_page_that_asks_by_itself_keeps_no_session_alive(
    door: Any, token: str, clock: Any
) -> None:
    renewal = {**shown(token), "X-Renewal": "1"}

    async def work(door: Door) -> None:
        for _ in range(2):
            clock.wait(minutes=14)
            assert await door.status("GET", "/me", **renewal) == 200
        clock.wait(minutes=3)
        assert await door.status("GET", "/me", **renewal) == 401

    door(work)


def test_who_shows_nothing_good_gets_what_is_public_and_no_more(
    door: Any, token: str, key: str
) -> None:
    nothing_good: tuple[dict[str, str], ...] = (
        {},
        bearer("nonsense"),
        bearer(key[:-1] + ("a" if key[-1] != "a" else "b")),
        {"Authorization": "Basic bGk6d2Vp"},
        {"Authorization": ""},
        {"Cookie": "forewarn="},
        shown("nonsense"),
        {**shown(token), **bearer("nonsense")},  # a cookie does not help out a wrong key
    )

    async def work(door: Door) -> None:
        for headers in nothing_good:
            assert await door.status("GET", "/open", **headers) == 200
            told = await door.client.get("/cases/7", headers=headers)
            assert told.status_code == 401, headers
            assert told.json()["type"] == "urn:forewarn:problem:not-signed-in"
            assert told.headers["www-authenticate"] == "Bearer"

    door(work)


def test_what_has_no_rule_is_not_there(door: Any, token: str) -> None:
    async def work(door: Door) -> None:
        assert await door.status("GET", "/hidden", **shown(token)) == 404
        assert await door.status("PUT", "/cases/7", **shown(token)) == 405
        assert await door.status("GET", "/open/", **shown(token)) == 404

    door(work)


def test_a_deed_in_a_session_needs_the_token_of_its_page(door: Any, token: str) -> None:
    async def work(door: Door) -> None:
        path = "/cases/7"
        for wrong in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: csrf_token("another")}):
            assert await door.status("POST", path, **shown(token), **wrong) == 403
        right = {CSRF_HEADER: csrf_token(token)}
        assert await door.status("POST", path, **shown(token), **right) == 200

    door(work)


@pytest.mark.parametrize("field", ["right", "wrong", "empty", "none"])
def test_a_form_may_bring_the_token_in_a_field(door: Any, token: str, field: str) -> None:
    given = {"right": csrf_token(token), "wrong": csrf_token("another"), "empty": ""}
    form = {"note": "接通，未相信", **({CSRF_FIELD: given[field]} if field in given else {})}

    async def work(door: Door) -> None:
        told = await door.client.post("/cases/7", data=form, headers=shown(token))
        assert told.status_code == (200 if field == "right" else 403)
        if field == "right":
            assert told.json()["body"] == str(httpx.QueryParams(form))
        else:
            assert told.json()["type"] == "urn:forewarn:problem:wrong-csrf-token"

    door(work)


def test_a_form_is_read_as_the_border_hands_it_on_whole(door: Any, token: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield f"{CSRF_FIELD}={csrf_token(token)}".encode()
        yield b"&more=1"

    async def work(door: Door) -> None:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = {**shown(token), **kind}
        assert (await door.client.post("/cases/7", content=parts(), headers=headers)).is_success
        bare = httpx.AsyncClient(transport=httpx.ASGITransport(door.gate), base_url="http://test")
        assert (await bare.post("/cases/7", content=parts(), headers=headers)).status_code == 403

    door(work)


def test_a_handed_out_password_opens_only_the_way_to_change_it(
    engine: Engine, door: Any, clock: Any
) -> None:
    with engine.begin() as connection:
        account = Account("wang", Role.OFFICER, None, must_change=True)
        add_account(connection, account, None, clock())
        token = open_session(connection, "wang", clock())

    async def work(door: Door) -> None:
        assert await door.status("GET", "/me", **shown(token)) == 200
        assert await door.status("GET", "/cases/7", **shown(token)) == 403

    door(work)


def test_sessions_end_at_once_and_keys_within_seconds(
    engine: Engine, door: Any, token: str, key: str, clock: Any
) -> None:
    async def work(door: Door) -> None:
        assert await door.status("POST", "/score", **bearer(key)) == 200
        assert await door.status("GET", "/me", **shown(token)) == 200
        with engine.begin() as connection:
            revoke_key(connection, key.split("_")[1], clock())
            set_disabled(connection, "li.wei", clock())
        assert await door.status("GET", "/me", **shown(token)) == 401
        clock.wait(seconds=4)
        assert await door.status("POST", "/score", **bearer(key)) == 200
        clock.wait(seconds=1)
        assert await door.status("POST", "/score", **bearer(key)) == 401

    door(work)


def test_an_expiring_key_is_not_remembered_past_its_end(
    engine: Engine, door: Any, clock: Any
) -> None:
    with engine.begin() as connection:
        end = clock() + timedelta(seconds=2)
        made = issue_key(connection, "a", [Action.SCORE], clock(), by="zhao", expires_at=end)

    async def work(door: Door) -> None:
        assert await door.status("POST", "/score", **bearer(made[1])) == 200
        clock.wait(seconds=2)
        assert await door.status("POST", "/score", **bearer(made[1])) == 401

    door(work)


def test_a_remembered_key_asks_nobody_and_many_at_once_ask_once(
    engine: Engine, door: Any, key: str, clock: Any
) -> None:
    async def work(door: Door) -> None:
        asked = asyncio.gather(*(door.status("POST", "/score", **bearer(key)) for _ in range(20)))
        assert await asked == [200] * 20
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE api_keys"))  # who asks now waits for ever
            async with asyncio.timeout(10):
                for _ in range(20):
                    assert await door.status("POST", "/score", **bearer(key)) == 200

    door(work)


def test_a_flood_of_wrong_keys_is_remembered_up_to_a_bound(door: Any, key: str) -> None:
    async def work(door: Door) -> None:
        for number in range(30):
            await door.status("POST", "/score", **bearer(f"wrong-{number}"))
        assert len(door.credentials._keys) == 30
        assert MOST < 10_000

    door(work)


def test_without_the_database_nobody_is_let_in_and_it_is_said(clock: Any, key: str) -> None:
    async def work() -> None:
        away = create_async_engine("postgresql+psycopg://forewarn@localhost:1/forewarn")
        door = Door(away, clock)
        for headers in (bearer(key), shown("a" * 43)):
            told = await door.client.get("/me", headers=headers)
            assert told.status_code == 503
            assert told.headers["retry-after"] == "1"
        assert await door.status("GET", "/open") == 200
        await away.dispose()

    asyncio.run(work())


def test_a_websocket_is_closed_and_the_lifespan_passes() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def send(message: Any) -> None:
        seen.append(message)

    async def work() -> None:
        gate = Gate(app, lambda: None)  # type: ignore[arg-type]
        await gate({"type": "lifespan"}, None, send)  # type: ignore[arg-type]
        await gate({"type": "websocket"}, None, send)  # type: ignore[arg-type]

    asyncio.run(work())
    assert seen == ["lifespan", {"type": "websocket.close", "code": 1008}]


def test_the_state_of_one_request_does_not_reach_another(ask: Any, key: str, clock: Any) -> None:
    shared = {"pool": 1}

    async def work(asynchronous: AsyncEngine) -> None:
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["state"])

        credentials = Credentials(asynchronous, clock, https=False)
        gate = Gate(app, lambda: credentials, SMALL)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/score",
            "headers": [(b"authorization", f"Bearer {key}".encode())],
            "state": shared,
        }
        await gate(scope, None, None)  # type: ignore[arg-type]
        assert seen[0]["pool"] == 1
        assert seen[0]["actor"].role is Role.SYSTEM

    ask(work)
    assert shared == {"pool": 1}


def test_limits_have_sane_defaults() -> None:
    limits = SessionLimits()
    assert limits.noted < limits.idle < limits.whole
