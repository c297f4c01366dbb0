"""What an administrator does works, is his alone to do, and is recorded."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from data.pseudonyms import Pseudonymiser
from serving.access import (
    AUDIT,
    AccountError,
    Action,
    Actor,
    ApiKeyError,
    Desk,
    LocalIdentity,
    Passwords,
    Role,
    Seals,
    SessionLimits,
    SignIn,
    seal_audit,
    verify_audit,
)
from serving.access.sessions import read_session
from serving.problems import Problem

ADMINISTRATOR = Actor("zhao", Role.ADMINISTRATOR)


@pytest.fixture
def desk(engine: Engine, clock: Any, passwords: Passwords) -> Desk:
    return Desk(engine, ADMINISTRATOR, clock, passwords)


@pytest.fixture
def enter(ask: Any, clock: Any, passwords: Passwords) -> Any:
    """The token of a session, or the name of the problem."""

    def one(name: str, password: str) -> str:
        async def work(asynchronous: Any) -> str:
            door = SignIn(asynchronous, LocalIdentity(asynchronous, passwords), clock)
            return await door.enter({"name": name, "password": password})

        try:
            return str(ask(work))
        except Problem as problem:
            return problem.name

    return one


def actor_with(engine: Engine, token: str, clock: Any) -> Actor | None:
    with engine.begin() as connection:
        return read_session(connection, token, clock(), SessionLimits())


def acts(engine: Engine) -> list[tuple[str, str, str]]:
    with engine.begin() as connection:
        rows = connection.execute(select(AUDIT).order_by(AUDIT.c.seq))
        return [(row.actor, row.action, row.subject) for row in rows]


def test_an_account_from_its_making_to_its_end(
    desk: Desk, engine: Engine, enter: Any, clock: Any
) -> None:
    first = desk.add_account("Li.Wei", Role.OFFICER, "Yubei")
    actor = actor_with(engine, enter("li.wei", first), clock)
    assert actor is not None
    assert (actor.name, actor.district, actor.must_change) == ("li.wei", "Yubei", True)

    second = desk.set_password("li.wei")
    assert enter("li.wei", first) == "wrong-credentials"
    token = enter("li.wei", second)
    assert actor_with(engine, token, clock)

    desk.disable("li.wei")
    assert actor_with(engine, token, clock) is None
    assert enter("li.wei", second) == "wrong-credentials"
    assert desk.accounts()[0].disabled_at == clock()
    desk.enable("li.wei")
    assert actor_with(engine, token, clock) is None, "what ended stays ended"
    assert actor_with(engine, enter("li.wei", second), clock)
    assert [act for act in acts(engine) if act[1] != "sign_in"] == [
        ("zhao", "add_account", "li.wei"),
        ("zhao", "set_password", "li.wei"),
        ("zhao", "disable_account", "li.wei"),
        ("zhao", "enable_account", "li.wei"),
    ]


@pytest.mark.parametrize("help_by", ["unlock", "set_password"])
def test_who_locked_himself_out_is_helped(desk: Desk, enter: Any, help_by: str) -> None:
    password = desk.add_account("li.wei", Role.OFFICER)
    for _ in range(5):
        enter("li.wei", "wrong")
    assert enter("li.wei", password) == "too-many-tries"
    password = getattr(desk, help_by)("li.wei") or password
    assert len(enter("li.wei", password)) == 43


def test_a_key_from_its_making_to_its_end(desk: Desk, engine: Engine, clock: Any) -> None:
    end = clock() + timedelta(days=90)
    key, text = desk.new_key("96110", [Action.SCORE, Action.TAKE_IN], end)
    assert text.startswith(f"fwk_{key.key_id}_")
    (listed,) = desk.keys()
    assert (listed.name, listed.created_by, listed.expires_at) == ("96110", "zhao", end)
    desk.revoke_key(key.key_id)
    assert desk.keys()[0].revoked_at == clock()
    subject = f"key:{key.key_id}"
    assert acts(engine) == [("zhao", "issue_key", subject), ("zhao", "revoke_key", subject)]
    with engine.begin() as connection:
        assert text[-43:] not in str(connection.execute(select(AUDIT)).all())


@pytest.mark.parametrize(
    "deed",
    [
        lambda desk: desk.set_password("nobody"),
        lambda desk: desk.disable("nobody"),
        lambda desk: desk.enable("nobody"),
        lambda desk: desk.add_account("system", Role.SYSTEM),
        lambda desk: desk.unlock("no such name"),
        lambda desk: desk.new_key("96110", []),
        lambda desk: desk.revoke_key("aaaaaaaa"),
    ],
)
def test_what_cannot_be_done_is_said_and_not_recorded(
    desk: Desk, engine: Engine, deed: Any
) -> None:
    with pytest.raises((AccountError, ApiKeyError), match="expected"):
        deed(desk)
    assert acts(engine) == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_nobody_else_sits_at_this_desk(
    engine: Engine, clock: Any, passwords: Passwords, role: Role
) -> None:
    desk = Desk(engine, Actor("li.wei", role), clock, passwords)
    for deed in (
        desk.accounts,
        desk.keys,
        lambda: desk.add_account("wang", Role.ADMINISTRATOR),
        lambda: desk.new_key("a", [Action.SCORE]),
    ):
        with pytest.raises(Problem, match="forbidden"):
            deed()
    assert acts(engine) == []


def test_the_log_of_it_all_is_sound_and_sealed(
    desk: Desk, engine: Engine, tmp_path: Path, clock: Any
) -> None:
    seals = Seals(tmp_path / "seals.jsonl", Pseudonymiser(bytes(32)))
    assert verify_audit(engine, seals).head.seq == 0
    desk.add_account("li.wei", Role.OFFICER)
    desk.disable("li.wei")
    assert seal_audit(engine, seals, clock()).sound
    assert verify_audit(engine, seals).sealed == 2
