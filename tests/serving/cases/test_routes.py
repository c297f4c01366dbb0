"""Cases over HTTP on a real PostgreSQL: what is answered, and rude use told in words."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette

from data.pseudonyms import Pseudonymiser
from serving.access import ACCOUNTS, AUDIT
from serving.access.roles import Action, Actor, Role
from serving.cases import api_contracts, attempts
from serving.cases.admission import admit
from serving.cases.config import CaseConfig
from serving.cases.contracts import Attempt, Form, Outcome
from serving.cases.labels import outcome_labels
from serving.cases.room import CaseRoom
from serving.cases.routes import OPERATIONS, routes
from serving.cases.tables import ATTEMPTS, FORMS
from serving.limits import App, Receive, Scope, Send
from serving.openapi import document
from serving.problems import HANDLERS

MINUTE = timedelta(minutes=1)
NAMES = Pseudonymiser(bytes(32))
NUMBER = "13800138000"
ACTORS = {
    one.name: one
    for one in (
        Actor("li", Role.OFFICER),
        Actor("wang", Role.OFFICER),
        Actor("zhao", Role.OFFICER, "江北区"),
        Actor("chief", Role.SUPERVISOR),
        Actor("key:12381", Role.SYSTEM, scopes=frozenset({Action.TAKE_IN})),
    )
}
UNBELIEVED = {"channel": "call_96110", "script": "plain", "reached": True, "believed": False}
ATTEMPT = {**UNBELIEVED, "minutes": 4}


@dataclass
class Clock:
    """Now, until it is moved."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


class SignedIn:
    """Stands before the routes as the gate does: says who asks, by a header."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-actor", b"li").decode()
        await self.app({**scope, "state": {"actor": ACTORS[name]}}, receive, send)


class House:
    """The routes on a database."""

    def __init__(self, database: Any, config: CaseConfig, now: datetime) -> None:
        self.database, self.config, self.clock = database, config, Clock(now)

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def within(engine: AsyncEngine) -> Any:
            app = Starlette(routes=routes(), exception_handlers=HANDLERS)
            app.state.cases = CaseRoom(engine, self.config, self.clock)
            app.state.names = NAMES
            transport = httpx.ASGITransport(SignedIn(app))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await work(client)

        return self.database.run(within)

    def ask(self, method: str, path: str, body: Any = None, by: str = "li") -> httpx.Response:
        async def one(client: httpx.AsyncClient) -> httpx.Response:
            return await client.request(method, path, json=body, headers={"X-Actor": by})

        return self.run(one)

    def together(self, *asked: tuple[str, str, Any]) -> list[httpx.Response]:
        """POSTs at once: (who, path, body)."""

        async def at_once(client: httpx.AsyncClient) -> list[httpx.Response]:
            posts = (
                client.post(path, json=body, headers={"X-Actor": by}) for by, path, body in asked
            )
            return list(await asyncio.gather(*posts))

        return self.run(at_once)


@pytest.fixture
def house(database: Any, config: CaseConfig, now: datetime) -> House:
    database.within(lambda connection: connection.execute(ACCOUNTS.delete()))
    account = {"must_change": False, "created_at": now, "changed_at": now}
    rows = [
        {**account, "name": one.name, "role": one.role, "district": one.district}
        for one in ACTORS.values()
        if one.role is not Role.SYSTEM
    ]
    database.within(lambda connection: connection.execute(insert(ACCOUNTS), rows))
    return House(database, config, now)


keys = iter(range(10_000_000, 99_999_999))


def sent(case: Any, **more: Any) -> dict[str, Any]:
    version = case["version"] if isinstance(case, dict) else case.version
    return {"version": version, "key": f"key-{next(keys)}", **more}


# --- the walk of a shift


def test_a_shift_over_http(house: House, opened) -> None:
    case = opened()
    (line,) = house.ask("GET", "/v1/cases?minutes_left=60").json()["items"]
    assert (line["case_id"], line["next"]["channel"]) == (case.case_id, "call_96110")
    taken = house.ask("POST", "/v1/cases/next", {"key": "take-one-1"}).json()["case"]
    assert (taken["case_id"], taken["locked_by"]) == (case.case_id, "li")
    path = f"/v1/cases/{case.case_id}"
    tried = house.ask("POST", f"{path}/attempts", sent(taken, attempt=ATTEMPT)).json()
    assert tried["en"] == "recorded: did not believe"
    noted = house.ask("POST", f"{path}/notes", sent(tried, text="回拨 13800138000")).json()
    closed = house.ask(
        "POST", f"{path}/outcomes", sent(noted, outcome={"outcome": "dissuaded"})
    ).json()
    assert closed["state"] == "closed"
    card = house.ask("GET", path).json()
    assert [one["believed"] for one in card["attempts"]] == [False]
    assert [one["outcome"] for one in card["outcomes"]] == ["dissuaded"]
    assert card["notes"][0]["text"] == "回拨 [number]"
    again = house.ask("POST", f"{path}/reversals", sent(closed, reason="called back")).json()
    assert again["state"] == "open"
    assert house.ask("POST", "/v1/cases/next", {"key": "take-one-1"}).json()["case"] == taken


def test_what_lies_still(house: House, opened) -> None:
    case = opened()
    path = f"/v1/cases/{case.case_id}"
    until = (house.clock.at + timedelta(hours=2)).isoformat()
    resting = house.ask("POST", f"{path}/snooze", sent(case, reason="asleep", until=until)).json()
    assert resting["state"] == "snoozed"
    assert house.ask("GET", "/v1/cases").json()["items"] == []
    told = sent(resting, to="wang", district="渝中区")
    moved = house.ask("POST", f"{path}/assignment", told, by="chief").json()
    assert (moved["assignee"], moved["tier"]) == ("wang", "district")
    freed = house.ask("POST", f"{path}/lock", sent(moved), by="wang").json()
    assert house.ask("POST", f"{path}/unlock", sent(freed), by="wang").json()["locked_by"] is None


def test_an_answer_that_still_holds_is_not_sent_again(house: House, opened) -> None:
    path = f"/v1/cases/{opened().case_id}"
    first = house.ask("GET", path)

    async def again(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert house.run(again).status_code == 304
    assert "etag" in house.ask("GET", "/v1/cases").headers


def test_many_at_once_and_one_that_cannot(house: House, opened) -> None:
    cases = [opened(f"tel_{number}") for number in range(3)]
    shown = [{"case_id": one.case_id, "version": one.version} for one in cases]
    shown[1]["version"] = 7
    body = {"key": "bulk-one-1", "cases": shown, "to": "wang"}
    items = house.ask("POST", "/v1/cases/bulk", body, by="chief").json()["items"]
    assert [one["done"] is not None for one in items] == [True, False, True]
    assert items[1]["problem"]["en"].startswith("the case changed at")
    assert house.ask("POST", "/v1/cases/bulk", body, by="li").status_code == 403
    rest = {"key": "bulk-two-2", "cases": shown[1:2], "reason": "x", "until": body["key"]}
    assert house.ask("POST", "/v1/cases/bulk", rest).status_code == 422


# --- other platforms


def contact(**changes: Any) -> dict[str, Any]:
    whole = {
        "key": f"key-{next(keys)}",
        "subscriber": NUMBER,
        "platform": "12381",
        "channel": "sms_12381",
        "reached": True,
        "believed": False,
        "at": "2026-03-10T10:05:00+08:00",
    }
    return {**whole, **changes}


def test_another_platforms_contact_is_on_the_card(house: House, opened, database) -> None:
    house.clock.at += 10 * MINUTE
    case = opened(NAMES.one("tel", NUMBER))
    told = house.ask("POST", "/v1/attempts", contact(), by="key:12381")
    assert told.status_code == 202
    assert told.json()["contacts_left"] == house.config.contacts_per_day - 1
    assert "case" not in str(told.json())
    card = house.ask("GET", f"/v1/cases/{case.case_id}").json()
    assert card["contacted_zh"] == "12381已于10:05联系，对方不相信"
    assert card["version"] == case.version + 1  # who is about to call reads it again
    assert NUMBER not in str(database.rows(select(ATTEMPTS)) + database.rows(select(FORMS)))
    assert NUMBER not in str(database.rows(select(AUDIT)))


def test_a_contact_with_a_stranger_counts_in_his_budget(house: House, opened, database) -> None:
    house.clock.at += 10 * MINUTE
    for minute in range(5):
        at = f"2026-03-10T10:0{minute}:00+08:00"
        answer = house.ask("POST", "/v1/attempts", contact(at=at), by="key:12381")
    assert answer.json()["contacts_left"] == 0
    assert {row["case_id"] for row in database.rows(select(ATTEMPTS))} == {None}
    case = opened(NAMES.one("tel", NUMBER), minute=10)
    assert house.ask("GET", "/v1/cases").json()["items"] == []
    card = house.ask("GET", f"/v1/cases/{case.case_id}").json()
    assert "5 attempts in all" in card["contacted_en"]


def test_a_text_of_which_nobody_knows_more_changes_no_deadline(
    house: House, opened, database
) -> None:
    house.clock.at += 10 * MINUTE
    case = opened(NAMES.one("tel", NUMBER))
    house.ask("POST", "/v1/attempts", contact(believed=None), by="key:12381")
    (after,) = database.cases()
    assert (after.deadline_at, after.met_at) == (case.deadline_at, None)
    card = house.ask("GET", f"/v1/cases/{case.case_id}").json()
    assert card["contacted_en"].endswith("reached, belief not known")


def test_a_contact_reported_twice_is_one(house: House, database) -> None:
    house.clock.at += 10 * MINUTE
    same = contact()
    first, second = house.together(*[("key:12381", "/v1/attempts", same)] * 2)
    assert first.json() == second.json()
    assert len(database.rows(select(ATTEMPTS))) == 1
    other = house.ask("POST", "/v1/attempts", {**same, "reached": False, "believed": None})
    assert other.status_code == 403  # an officer's attempts stand on their case
    late = contact(at="2026-03-10T11:05:00+08:00")
    refused = house.ask("POST", "/v1/attempts", late, by="key:12381").json()
    assert "future" in refused["en"]


def test_an_alert_and_a_contact_at_once_meet(house: House, alert, database, config) -> None:
    """Whichever comes first, the officer sees the contact and the case is one."""
    house.clock.at += 10 * MINUTE
    found = alert(subscriber=NAMES.one("tel", NUMBER))

    async def both(engine: AsyncEngine) -> None:
        async def alerted() -> None:
            async with engine.begin() as connection:
                await admit(connection, [found], config)

        app = Starlette(routes=routes(), exception_handlers=HANDLERS)
        app.state.cases, app.state.names = CaseRoom(engine, config, house.clock), NAMES
        transport = httpx.ASGITransport(SignedIn(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            post = client.post("/v1/attempts", json=contact(), headers={"X-Actor": "key:12381"})
            await asyncio.gather(alerted(), post)

    database.run(both)
    (case,) = database.cases()
    card = house.ask("GET", f"/v1/cases/{case.case_id}").json()
    assert "12381" in card["contacted_en"]


# --- rude use


def test_two_officers_take_next_at_once(house: House, opened) -> None:
    cases = {opened(f"tel_{number}").case_id for number in range(2)}
    asked = [(by, "/v1/cases/next", {"key": f"next-{by}-1"}) for by in ("li", "wang")]
    taken = [one.json()["case"] for one in house.together(*asked)]
    assert {one["case_id"] for one in taken} == cases
    assert {one["locked_by"] for one in taken} == {"li", "wang"}
    nothing = house.ask("POST", "/v1/cases/next", {"key": "next-chief"}, by="chief")
    assert nothing.json() == {"case": None}


def test_a_double_click_does_one_thing(house: House, opened, database) -> None:
    case = opened()
    click = ("li", f"/v1/cases/{case.case_id}/attempts", sent(case, attempt=ATTEMPT))
    answers = house.together(click, click, click)
    assert {one.status_code for one in answers} == {200}
    assert len({one.text for one in answers}) == 1
    assert len(database.rows(select(ATTEMPTS))) == 1
    deeds = database.rows(select(AUDIT).where(AUDIT.c.subject == case.case_id))
    assert [row["detail"]["deed"] for row in deeds] == ["attempt"]


def test_a_stale_version_is_told_so(house: House, opened) -> None:
    case = opened()
    path = f"/v1/cases/{case.case_id}"
    house.ask("POST", f"{path}/lock", sent(case))
    stale = house.ask("POST", f"{path}/outcomes", sent(case, outcome={"outcome": "false_alarm"}))
    assert stale.status_code == 409
    told = stale.json()
    assert (told["version"], told["en"][:24]) == (2, "the case changed at 10:0")
    assert "案件在10:00已有变化" in told["zh"]


def test_another_officers_case_is_told_so(house: House, opened) -> None:
    case = opened()
    path = f"/v1/cases/{case.case_id}"
    held = house.ask("POST", f"{path}/lock", sent(case)).json()
    refused = house.ask("POST", f"{path}/lock", sent(held), by="wang").json()
    assert refused["en"] == "li is working on this case, until 10:15"


def test_a_case_reopened_while_outcomes_are_exported(house: House, opened, database) -> None:
    """An export sees each outcome as it stood at one moment: before or after, never half."""
    case = opened()
    path = f"/v1/cases/{case.case_id}"
    closed = house.ask(
        "POST", f"{path}/outcomes", sent(case, outcome={"outcome": "false_alarm"})
    ).json()
    house.clock.at += MINUTE
    body = sent(closed, reason="citizen called back")

    async def both(engine: AsyncEngine) -> Any:
        app = Starlette(routes=routes(), exception_handlers=HANDLERS)
        app.state.cases, app.state.names = (
            CaseRoom(engine, house.config, house.clock),
            NAMES,
        )
        transport = httpx.ASGITransport(SignedIn(app))

        async def exported() -> list[Any]:
            async with engine.begin() as connection:
                return (await outcome_labels(connection)).to_pylist()

        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            post = client.post(f"{path}/reversals", json=body)
            return await asyncio.gather(exported(), post, exported())

    first, answer, second = database.run(both)
    assert answer.json()["state"] == "open"
    for told in (first, second):
        (row,) = told
        assert row["verdict"] == "none"
        assert row["withdrawn_at"] in {None, house.clock.at}
    (row,) = database.within(outcome_labels).to_pylist()
    assert row["withdrawn_at"] == house.clock.at


def test_a_worker_that_dies_leaves_nothing_half_done(house: House, opened, database) -> None:
    """Its connection goes in the middle: the attempt, the key and the audit record go with it."""
    case = opened()
    body = sent(case, attempt=ATTEMPT)

    async def dies(engine: AsyncEngine) -> None:
        room = CaseRoom(engine, house.config, house.clock)
        async with room.turn(ACTORS["li"]) as turn:
            form = Form(case_id=case.case_id, version=body["version"], key=body["key"])
            await attempts.record(turn, form, Attempt.model_validate(ATTEMPT))
            await turn.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Exception, match="unavailable"):
        database.run(dies)
    assert database.rows(select(ATTEMPTS)) == database.rows(select(FORMS)) == []
    done = house.ask("POST", f"/v1/cases/{case.case_id}/attempts", body)
    assert (done.status_code, done.json()["version"]) == (200, case.version + 1)
    assert len(database.rows(select(ATTEMPTS))) == 1


def test_a_lost_database_is_told_so(house: House) -> None:
    async def within() -> httpx.Response:
        url = "postgresql+psycopg://nobody@127.0.0.1:1/forewarn"
        engine = create_async_engine(url, connect_args={"connect_timeout": 1})
        app = Starlette(routes=routes(), exception_handlers=HANDLERS)
        app.state.cases = CaseRoom(engine, house.config, house.clock)
        transport = httpx.ASGITransport(SignedIn(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/v1/cases")

    answer = asyncio.run(within())
    assert (answer.status_code, answer.json()["degraded"]) == (503, ["cases"])


@pytest.mark.parametrize("name", ["nobody", "key:12381"])
def test_a_case_goes_to_somebody_who_is_here(house: House, opened, name: str) -> None:
    case = opened()
    path = f"/v1/cases/{case.case_id}/assignment"
    refused = house.ask("POST", path, sent(case, to=name), by="chief")
    assert (refused.status_code, "choose another" in refused.json()["en"]) == (409, True)


@pytest.mark.parametrize("case_id", ["next", "7", "%00", "x" * 300, "../audit", "0" * 36])
def test_a_case_that_is_not_there(house: House, case_id: str) -> None:
    answer = house.ask("GET", f"/v1/cases/{case_id}")
    assert answer.status_code in {404, 405}


def test_another_districts_case_is_not_there(house: House, opened) -> None:
    path = f"/v1/cases/{opened(district='渝中区').case_id}"
    assert house.ask("GET", path, by="zhao").status_code == 404
    assert house.ask("GET", "/v1/cases", by="zhao").json()["items"] == []


@pytest.mark.parametrize(
    "text_",
    ["\u0000", "a\u0000b", " ", "x" * 2_001],
)
def test_words_that_no_database_keeps_are_refused(house: House, opened, text_: str) -> None:
    case = opened()
    path = f"/v1/cases/{case.case_id}/notes"
    assert house.ask("POST", path, sent(case, text=text_)).status_code == 422


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00", 7])
def test_times_out_of_this_world_are_refused(house: House, opened, at: Any) -> None:
    case = opened()
    path = f"/v1/cases/{case.case_id}/attempts"
    attempt = {**ATTEMPT, "at": at}
    assert house.ask("POST", path, sent(case, attempt=attempt)).status_code == 422


# --- as described

KEPT = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
HOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)
MINE = {f"{one.method} {one.path}" for one in OPERATIONS}
DESCRIBED = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(document()).get_all_operations()
    if found.ok().label in MINE
}


@pytest.mark.parametrize("label", sorted(DESCRIBED))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_is_sent_is_answered_as_described(house: House, label: str, mode: Any) -> None:
    refuses = mode is GenerationMode.NEGATIVE and label.startswith("POST")
    checks = (*KEPT, negative_data_rejection) if refuses else KEPT
    by = "key:12381" if label == "POST /v1/attempts" else "chief"

    @HOW
    @given(case=DESCRIBED[label].as_strategy(generation_mode=mode))
    def answered(case: Any) -> None:
        told = case.as_transport_kwargs(base_url="http://here")
        for name in ("cookies", "headers"):
            told.pop(name, None)
        if isinstance(told.get("data"), bytes):
            told["content"] = told.pop("data")
        kept = {name: value for name, value in told.items() if value is not None}

        async def one(client: httpx.AsyncClient) -> httpx.Response:
            return await client.request(**kept, headers={"X-Actor": by})

        case.validate_response(house.run(one), checks=checks)

    answered()


def test_described_and_answered_are_the_same() -> None:
    assert set(DESCRIBED) == MINE


# --- contracts

SHAPES = (
    api_contracts.AttemptForm,
    api_contracts.OutcomeForm,
    api_contracts.BulkForm,
    api_contracts.ReportedAttempt,
)


@given(
    st.builds(
        dict,
        reached=st.booleans(),
        believed=st.none() | st.booleans(),
        refused=st.booleans(),
        minutes=st.floats(),
    )
)
def test_an_attempt_makes_sense_or_is_refused(told: dict[str, Any]) -> None:
    try:
        found = Attempt(channel="visit", script="plain", **told)
    except ValueError:
        return
    assert not (found.believed and not found.reached)
    assert not (found.refused and found.reached)
    assert 0 <= found.minutes <= 1440


@given(st.sampled_from(["paid", "dissuaded", "false_alarm"]), st.none() | st.floats())
def test_an_outcome_makes_sense_or_is_refused(outcome: str, loss: float | None) -> None:
    try:
        found = Outcome(outcome=outcome, loss_cny=loss)
    except ValueError:
        return
    assert (found.loss_cny is not None) == (found.outcome == "paid")
    assert json.loads(found.model_dump_json())["loss_cny"] == found.loss_cny


@given(st.text(max_size=40), st.booleans())
def test_a_bulk_form_is_one_act(key: str, with_to: bool) -> None:
    told = {"key": key, "cases": [{"case_id": "0" * 36, "version": 1}]}
    more = {"to": "li"} if with_to else {"reason": "later", "until": datetime.now(UTC)}
    try:
        form = api_contracts.BulkForm.model_validate({**told, **more})
    except ValueError:
        return
    assert len({one.key for one in form.forms}) == len(form.forms) == 1
    both = {**told, "to": "li", "reason": "later", "until": datetime.now(UTC)}
    for wrong in (told, both, {**told, "reason": "later"}):
        with pytest.raises(ValueError, match="either"):
            api_contracts.BulkForm.model_validate(wrong)
