"""Sessions live as long as they are meant to, on our side."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from serving.access import SESSIONS, Account, Role, SessionLimits
from serving.access.accounts import add_account, set_disabled
from serving.access.sessions import (
    cookie,
    end_session,
    end_sessions_of,
    forget_sessions,
    no_cookie,
    open_session,
    read_session,
    token_in,
)

LIMITS = SessionLimits(idle=timedelta(minutes=30), whole=timedelta(hours=2))


@pytest.fixture
def token(engine: Engine, clock: Any) -> str:
    with engine.begin() as connection:
        add_account(connection, Account("li.wei", Role.OFFICER, "Yubei"), None, clock())
        return open_session(connection, "li.wei", clock())


def lives(engine: Engine, token: str, clock: Any) -> bool:
    with engine.begin() as connection:
        return read_session(connection, token, clock(), LIMITS) is not None


def test_tokens_are_256_random_bits_and_not_in_the_table(
    engine: Engine, token: str, clock: Any
) -> None:
    assert len(token) == 43
    with engine.begin() as connection:
        assert open_session(connection, "li.wei", clock()) != token
        digests = connection.scalars(select(SESSIONS.c.digest)).all()
    assert token.encode() not in b"".join(digests)


def test_a_session_that_is_used_lives_on_until_its_time_is_over(
    engine: Engine, token: str, clock: Any
) -> None:
    for _ in range(5):
        clock.wait(minutes=20)
        assert lives(engine, token, clock)
    clock.wait(minutes=19, seconds=59)
    assert lives(engine, token, clock)
    clock.wait(seconds=1)
    assert not lives(engine, token, clock)


def test_an_idle_session_ends(engine: Engine, token: str, clock: Any) -> None:
    clock.wait(minutes=29, seconds=59)
    assert lives(engine, token, clock)
    clock.wait(minutes=30)
    assert not lives(engine, token, clock)


def test_being_seen_is_written_down_once_a_minute(engine: Engine, token: str, clock: Any) -> None:
    seen = []
    for _ in range(5):
        clock.wait(seconds=20)
        lives(engine, token, clock)
        with engine.begin() as connection:
            seen.append(connection.scalar(select(SESSIONS.c.seen_at)))
    assert len(set(seen)) == 2


def test_a_disabled_account_is_out_at_once(engine: Engine, token: str, clock: Any) -> None:
    with engine.begin() as connection:
        set_disabled(connection, "li.wei", clock())
    assert not lives(engine, token, clock)


def test_sessions_end_when_told(engine: Engine, token: str, clock: Any) -> None:
    with engine.begin() as connection:
        others = [open_session(connection, "li.wei", clock()) for _ in range(3)]
        end_session(connection, token)
    assert not lives(engine, token, clock)
    assert lives(engine, others[0], clock)
    with engine.begin() as connection:
        assert end_sessions_of(connection, "li.wei") == 3
    assert not lives(engine, others[0], clock)


def test_what_is_over_is_dropped(engine: Engine, token: str, clock: Any) -> None:
    clock.wait(minutes=29)
    with engine.begin() as connection:
        young = open_session(connection, "li.wei", clock())
        clock.wait(minutes=1)
        forget_sessions(connection, clock(), LIMITS)
        assert connection.scalar(select(func.count()).select_from(SESSIONS)) == 1
    assert lives(engine, young, clock)


@pytest.mark.parametrize("wrong", ["", "x", "\ud83d", "a" * 43])
def test_another_token_opens_nothing(engine: Engine, token: str, clock: Any, wrong: str) -> None:
    assert not lives(engine, wrong, clock)


@pytest.mark.parametrize("https", [True, False])
def test_the_cookie_is_for_the_browser_alone(https: bool) -> None:
    parts = cookie("abc", https=https).split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(parts)
    assert ("Secure" in parts) is https
    assert not any(part.startswith(("Domain", "Max-Age", "Expires")) for part in parts)
    assert token_in(f"a=b; {parts[0]}", https=https) == "abc"
    assert token_in(f"a=b; {parts[0]}", https=not https) is None
    assert no_cookie(https=https).endswith("; Max-Age=0")
