"""Signing in: the right are let in, the wrong learn nothing, and guessing is slow."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.profiles import PRE_21_2
from sqlalchemy import Engine, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.access import (
    ACCOUNTS,
    AUDIT,
    SESSIONS,
    TRIES,
    Account,
    AccountError,
    Identity,
    LocalIdentity,
    Passwords,
    Role,
    SessionLimits,
    SignIn,
)
from serving.access.accounts import (
    add_account,
    find_account,
    name_of,
    set_disabled,
    set_password_hash,
)
from serving.access.sessions import read_session
from serving.problems import Problem

PASSWORD = "correct horse battery staple"
LIMITS = SessionLimits()


class Counting(PasswordHasher):
    """How many hashes were checked."""

    checked = 0

    def verify(self, hash: Any, password: Any) -> Any:  # noqa: A002
        self.checked += 1
        return super().verify(hash, password)


@pytest.fixture
def li_wei(engine: Engine, passwords: Passwords, clock: Any) -> str:
    with engine.begin() as connection:
        account = Account("li.wei", Role.OFFICER, "Yubei")
        add_account(connection, account, passwords.hash(PASSWORD), clock())
    return "li.wei"


@pytest.fixture
def tries(ask: Any, passwords: Passwords, clock: Any) -> Any:
    """The problem's name of a try, or None if it was let in."""

    def one(name: str, password: str) -> str | None:
        async def work(asynchronous: AsyncEngine) -> None:
            local = LocalIdentity(asynchronous, passwords)
            await local.identify({"name": name, "password": password}, clock())

        try:
            ask(work)
        except Problem as problem:
            return problem.name
        return None

    return one


def test_name_and_password_open_a_session(
    engine: Engine, ask: Any, li_wei: str, passwords: Passwords, clock: Any
) -> None:
    async def work(asynchronous: AsyncEngine) -> str:
        identity: Identity = LocalIdentity(asynchronous, passwords)
        door = SignIn(asynchronous, identity, clock)
        return await door.enter({"name": " Li.Wei ", "password": PASSWORD})

    token = ask(work)
    with engine.begin() as connection:
        actor = read_session(connection, token, clock(), LIMITS)
        acts = connection.execute(select(AUDIT.c.actor, AUDIT.c.role, AUDIT.c.action)).all()
    assert actor is not None
    assert (actor.name, actor.role, actor.district) == (li_wei, Role.OFFICER, "Yubei")
    assert token not in repr(actor)
    assert acts == [("li.wei", "officer", "sign_in")]


def test_a_sign_in_ends_the_session_it_came_with_and_signing_out_the_new_one(
    engine: Engine, ask: Any, li_wei: str, passwords: Passwords, clock: Any
) -> None:
    proof = {"name": li_wei, "password": PASSWORD}

    async def work(asynchronous: AsyncEngine) -> tuple[str, str]:
        door = SignIn(asynchronous, LocalIdentity(asynchronous, passwords), clock)
        first = await door.enter(proof)
        return first, await door.enter(proof, replacing=first)

    first, second = ask(work)
    assert first != second
    with engine.begin() as connection:
        assert read_session(connection, first, clock(), LIMITS) is None
        actor = read_session(connection, second, clock(), LIMITS)
    assert actor is not None

    async def out(asynchronous: AsyncEngine) -> None:
        await SignIn(asynchronous, LocalIdentity(asynchronous), clock).leave(actor, second)

    ask(out)
    with engine.begin() as connection:
        assert read_session(connection, second, clock(), LIMITS) is None
        assert connection.scalar(select(AUDIT.c.action).order_by(AUDIT.c.seq.desc())) == "sign_out"


def test_another_provider_of_identities_needs_no_password(
    engine: Engine, ask: Any, clock: Any
) -> None:
    class Elsewhere:
        async def identify(self, proof: Mapping[str, str], at: datetime) -> Account:  # noqa: ARG002
            return Account(proof["subject"], Role.AUDITOR, None)

    with engine.begin() as connection:
        add_account(connection, Account("zhao", Role.AUDITOR, None), None, clock())

    async def work(asynchronous: AsyncEngine) -> str:
        return await SignIn(asynchronous, Elsewhere(), clock).enter({"subject": "zhao"})

    token = ask(work)
    with engine.begin() as connection:
        actor = read_session(connection, token, clock(), LIMITS)
    assert actor is not None
    assert actor.role is Role.AUDITOR


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("li.wei", "wrong wrong wrong wrong"),
        ("li.wei", ""),
        ("nobody", PASSWORD),
        ("", ""),
        ("\ud83d\0", "\ud83d\0"),
        ("zhao", PASSWORD),
        ("gone", PASSWORD),
    ],
)
def test_who_is_not_let_in_hears_the_same_words_after_the_same_work(
    engine: Engine, ask: Any, li_wei: str, clock: Any, name: str, password: str
) -> None:
    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(counting)
    with engine.begin() as connection:
        add_account(connection, Account("zhao", Role.AUDITOR, None), None, clock())
        kept = passwords.hash(PASSWORD)
        add_account(connection, Account("gone", Role.OFFICER, None), kept, clock())
        set_disabled(connection, "gone", clock())

    async def work(asynchronous: AsyncEngine) -> Problem:
        proof = {"name": name, "password": password}
        with pytest.raises(Problem) as refused:
            await LocalIdentity(asynchronous, passwords).identify(proof, clock())
        return refused.value

    refused = ask(work)
    assert refused.document() == {
        "type": "urn:forewarn:problem:wrong-credentials",
        "title": "Not let in",
        "status": 401,
        "detail": "expected a name and its password, found no match",
        "fix": "check name and password; an administrator helps",
    }
    assert counting.checked == 1
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(TRIES)) == 1


@pytest.mark.parametrize("name", ["li.wei", "nobody"])
def test_tries_wait_longer_and_longer_whether_the_name_exists_or_not(
    tries: Any, li_wei: str, clock: Any, name: str
) -> None:
    assert [tries(name, f"wrong {n}") for n in range(5)] == ["wrong-credentials"] * 5
    for wait in (30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600):
        assert tries(name, PASSWORD) == "too-many-tries"
        clock.wait(seconds=wait - 1)
        assert tries(name, PASSWORD) == "too-many-tries"
        clock.wait(seconds=1)
        assert tries(name, "wrong again") == "wrong-credentials"
    assert tries("another", PASSWORD) == "wrong-credentials"


def test_the_wait_is_told(ask: Any, tries: Any, clock: Any, passwords: Passwords) -> None:
    for _ in range(5):
        tries("nobody", "wrong")

    async def work(asynchronous: AsyncEngine) -> None:
        await LocalIdentity(asynchronous, passwords).identify({"name": "nobody"}, clock())

    with pytest.raises(Problem, match="too-many-tries") as refused:
        ask(work)
    assert refused.value.kind.status == 429
    assert refused.value.retry_after_s == 30


def test_the_right_password_clears_the_count(
    engine: Engine, tries: Any, li_wei: str, clock: Any
) -> None:
    for _ in range(3):
        for _ in range(4):
            assert tries(li_wei, "wrong") == "wrong-credentials"
        assert tries(li_wei, PASSWORD) is None
    for _ in range(5):
        tries(li_wei, "wrong")
    clock.wait(seconds=30)
    assert tries(li_wei, PASSWORD) is None, "a lock ends by itself"


def test_tries_that_are_long_over_are_forgotten(engine: Engine, tries: Any, clock: Any) -> None:
    for number in range(7):
        tries(f"guess-{number}", "wrong")
    clock.wait(days=1, seconds=1)
    tries("guess-0", "wrong")
    with engine.begin() as connection:
        assert connection.scalars(select(TRIES.c.failures)).all() == [1]


def test_many_tries_at_once_are_counted_each(
    ask: Any, li_wei: str, passwords: Passwords, clock: Any
) -> None:
    async def work(asynchronous: AsyncEngine) -> list[str]:
        local = LocalIdentity(asynchronous, passwords)

        async def one(number: int) -> str:
            try:
                await local.identify({"name": li_wei, "password": f"guess {number}"}, clock())
            except Problem as problem:
                return problem.name
            return "let in"

        return list(await asyncio.gather(*(one(number) for number in range(12))))

    told = ask(work)
    assert sorted(told) == ["too-many-tries"] * 7 + ["wrong-credentials"] * 5


def test_what_was_typed_is_kept_nowhere(engine: Engine, tries: Any, clock: Any) -> None:
    tries(PASSWORD, "li.wei")  # the fields mixed up
    with engine.begin() as connection:
        row = connection.execute(select(TRIES)).one()
    assert PASSWORD.encode() not in row.name_digest


def test_a_password_of_ones_own_ends_all_sessions_and_the_duty_to_change(
    engine: Engine, ask: Any, li_wei: str, passwords: Passwords, clock: Any
) -> None:
    with engine.begin() as connection:
        kept = passwords.hash(PASSWORD)
        set_password_hash(connection, li_wei, kept, clock(), must_change=True)
    new = "tulip gravel orbit nine"

    async def work(asynchronous: AsyncEngine) -> str:
        local = LocalIdentity(asynchronous, passwords)
        door = SignIn(asynchronous, local, clock)
        await door.enter({"name": li_wei, "password": PASSWORD})
        for old, bad, name in (
            (PASSWORD, "short", "weak-password"),
            (PASSWORD, PASSWORD, "weak-password"),
            ("not the old one at all", new, "wrong-credentials"),
        ):
            with pytest.raises(Problem, match=name):
                await local.change(li_wei, old, bad, clock())
        await local.change(li_wei, PASSWORD, new, clock())
        return await door.enter({"name": li_wei, "password": new})

    token = ask(work)
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(SESSIONS)) == 1
        actor = read_session(connection, token, clock(), LIMITS)
        acts = connection.scalars(select(AUDIT.c.action).order_by(AUDIT.c.seq)).all()
    assert actor is not None
    assert not actor.must_change
    assert acts == ["sign_in", "change_password", "sign_in"]


def test_a_password_kept_under_old_parameters_is_hashed_anew_at_sign_in(
    engine: Engine, li_wei: str, tries: Any, passwords: Passwords, clock: Any
) -> None:
    old = PasswordHasher.from_parameters(PRE_21_2).hash(PASSWORD)
    with engine.begin() as connection:
        set_password_hash(connection, li_wei, old, clock(), must_change=False)
    assert tries(li_wei, PASSWORD) is None
    with engine.begin() as connection:
        _, kept = find_account(connection, li_wei) or (None, None)
    assert kept is not None
    assert kept != old
    assert passwords.match(kept, PASSWORD)


@pytest.mark.parametrize("name", ["", "a", "-a", "李伟", "a b", "a" * 33, "a/b", "a\0"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(AccountError, match="expected a name of 2 to 32"):
        name_of(name)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SYSTEM])
def test_the_database_knows_every_role_of_a_person(engine: Engine, clock: Any, role: Role) -> None:
    with engine.begin() as connection:
        add_account(connection, Account("somebody", role, None), None, clock())
        found = find_account(connection, "SOMEBODY")
    assert found == (Account("somebody", role, None), None)


def test_a_name_is_given_once_and_to_a_person(engine: Engine, li_wei: str, clock: Any) -> None:
    with engine.begin() as connection:
        with pytest.raises(AccountError, match="taken"):
            add_account(connection, Account("LI.WEI", Role.AUDITOR, None), None, clock())
        with pytest.raises(AccountError, match="API key"):
            add_account(connection, Account("robot", Role.SYSTEM, None), None, clock())
        with pytest.raises(AccountError, match="none of this name"):
            set_disabled(connection, "nobody", clock())
        assert connection.scalars(select(ACCOUNTS.c.name)).all() == ["li.wei"]


def test_a_flood_of_guesses_waits_outside(ask: Any, passwords: Passwords, clock: Any) -> None:
    """Else each holds a place of the border for seconds, and scores find none."""

    async def work(asynchronous: AsyncEngine) -> list[str]:
        local = LocalIdentity(asynchronous, passwords)

        async def one(number: int) -> str:
            with pytest.raises(Problem) as told:
                await local.identify({"name": f"guess-{number}", "password": "no"}, clock())
            return told.value.name

        first = await asyncio.gather(*(one(number) for number in range(40)))
        return [*first, await one(41)]

    told = ask(work)
    assert told.count("busy") == 40 - 16
    assert told[-1] == "wrong-credentials"
