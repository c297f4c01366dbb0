"""The border: every bound is kept and every error is a problem, whoever made it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from serving.limits import Border, Limits
from serving.problems import MEDIA_TYPE, Problem, answer

SMALL = Limits(body_bytes=100, large_bytes=300, read_s=0.2, answer_s=0.3, at_once=2)
JSON = {"Content-Type": "application/json"}


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")


async def slow(_: Request) -> Response:
    await asyncio.sleep(5)
    return PlainTextResponse("late")


async def broken(_: Request) -> Response:
    raise RuntimeError("call from 13800138000 broke it")


async def bare(_: Request) -> Response:
    return JSONResponse({"error": "input_value='13800138000'"}, status_code=400)


def bordered(limits: Limits = SMALL) -> Border:
    posts = {"/v1/reports": echo, "/v1/events": echo, "/slow": slow, "/broken": broken}
    routes = [Route(path, handler, methods=["POST"]) for path, handler in posts.items()]
    routes += [Route("/bare", bare), Route("/v1/health", echo)]
    return Border(Starlette(routes=routes), limits)


def ask(work: Callable[[httpx.AsyncClient], Any], limits: Limits = SMALL) -> Any:
    async def run() -> Any:
        transport = httpx.ASGITransport(bordered(limits), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await work(client)

    return asyncio.run(run())


async def chunks(*parts: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(pause)
        yield part


def assert_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    document = response.json()
    assert document["status"] == status
    assert document["type"] == f"urn:forewarn:problem:{name}"
    assert document["title"]
    assert document["detail"]
    assert document["fix"]
    return dict(document)


def test_a_body_within_bounds_arrives_whole() -> None:
    body = b'"' + b"x" * 98 + b'"'
    response = ask(lambda c: c.post("/v1/reports", content=body, headers=JSON))
    assert response.status_code == 200
    assert response.content == body
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_chunked_body_arrives_whole() -> None:
    response = ask(
        lambda c: c.post("/v1/reports", content=chunks(b'"a', b"b", b'c"'), headers=JSON)
    )
    assert response.content == b'"abc"'


@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversized_body_is_413_also_when_chunked(chunked: bool) -> None:
    whole = b"x" * 101
    body: Any = chunks(whole[:60], whole[60:]) if chunked else whole
    response = ask(lambda c: c.post("/v1/reports", content=body, headers=JSON))
    assert assert_problem(response, 413, "body-too-large")["limit_bytes"] == 100


def test_paths_for_many_events_take_more() -> None:
    ok = ask(lambda c: c.post("/v1/events", content=b"1" * 300, headers=JSON))
    assert ok.status_code == 200
    over = ask(lambda c: c.post("/v1/events", content=b"1" * 301, headers=JSON))
    assert_problem(over, 413, "body-too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/vnd.bentoml+pickle"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
def test_other_kinds_of_body_are_415(headers: dict[str, str]) -> None:
    response = ask(lambda c: c.post("/v1/reports", content=b"{}", headers=headers))
    assert_problem(response, 415, "unsupported-media-type")


def test_a_content_length_that_is_no_number_is_400() -> None:
    headers = {**JSON, "Content-Length": "-5"}
    response = ask(lambda c: c.post("/v1/reports", content=b"{}", headers=headers))
    assert_problem(response, 400, "bad-request")


def test_a_body_that_never_ends_is_408() -> None:
    body = chunks(b"1", b"2", b"3", pause=0.15)
    response = ask(lambda c: c.post("/v1/reports", content=body, headers=JSON))
    assert_problem(response, 408, "request-timeout")


def test_an_answer_that_never_comes_is_504() -> None:
    assert_problem(ask(lambda c: c.post("/slow", content=b"1")), 504, "timeout")


def test_an_unknown_path_is_404_and_a_wrong_method_405() -> None:
    assert_problem(ask(lambda c: c.get("/nothing/here")), 404, "not-found")
    response = ask(lambda c: c.get("/v1/reports"))
    assert_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def test_an_error_the_framework_made_is_replaced_and_its_text_never_passed_on() -> None:
    response = ask(lambda c: c.get("/bare"))
    assert_problem(response, 400, "bad-request")
    assert "13800138000" not in response.text


def test_an_error_of_ours_is_500_without_details(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(lambda c: c.post("/broken", content=b"1"))
    assert_problem(response, 500, "internal")
    assert "13800138000" not in response.text


def test_a_crowd_is_told_to_come_back_and_health_still_answers() -> None:
    async def crowd(client: httpx.AsyncClient) -> tuple[list[httpx.Response], httpx.Response]:
        waiting = [asyncio.create_task(client.post("/slow", content=b"1")) for _ in range(4)]
        await asyncio.sleep(0.05)
        health = await client.get("/v1/health")
        return await asyncio.gather(*waiting), health

    answers, health = ask(crowd)
    busy = [each for each in answers if each.status_code == 503]
    assert len(busy) == 2
    assert_problem(busy[0], 503, "busy")
    assert busy[0].headers["retry-after"] == "1"
    assert health.status_code == 200


def test_a_websocket_is_closed() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    asyncio.run(bordered()({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1003}]


def test_problem_documents_are_json_with_chinese_left_readable() -> None:
    body = answer(Problem("conflict", "已有记录")).body
    assert "已有记录" in bytes(body).decode()
    assert json.loads(bytes(body))["status"] == 409
