"""API keys: shown once, good for what they were given for, until they are not."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from serving.access import API_KEYS, Action, ApiKeyError, Role
from serving.access.keys import find_key, issue_key, keys, revoke_key

SCORE = frozenset({Action.SCORE})


@pytest.fixture
def issue(engine: Engine, clock: Any) -> Any:
    def one(**changes: Any) -> tuple[Any, str]:
        given = {"name": "96110", "scopes": SCORE, "at": clock(), "by": "zhao", **changes}
        with engine.begin() as connection:
            return issue_key(connection, **given)

    return one


def found(engine: Engine, text: str, clock: Any) -> Any:
    with engine.begin() as connection:
        return find_key(connection, text, clock())


def test_a_key_says_who_comes_and_what_for(engine: Engine, issue: Any, clock: Any) -> None:
    key, text = issue()
    actor = found(engine, text, clock).actor
    assert (actor.name, actor.role, actor.scopes) == (f"key:{key.key_id}", Role.SYSTEM, SCORE)
    assert text.startswith(f"fwk_{key.key_id}_")
    assert len(text) == 56


def test_the_secret_is_kept_nowhere(engine: Engine, issue: Any) -> None:
    _, text = issue()
    with engine.begin() as connection:
        row = connection.execute(select(API_KEYS)).one()
        listed = keys(connection)
    secret = text[-43:]
    assert secret not in str(row)
    assert secret not in str(listed)
    assert (listed[0].name, listed[0].scopes) == ("96110", SCORE)


def test_a_wrong_key_is_nobody(engine: Engine, issue: Any, clock: Any) -> None:
    _, text = issue()
    _, other = issue()
    mixed = text[:13] + other[13:]
    for wrong in ("", "fwk_", text[:-1], text + "a", mixed, text.upper(), f" {text}", "\ud83d"):
        assert found(engine, wrong, clock) is None


def test_an_expired_and_a_revoked_key_are_nobody(engine: Engine, issue: Any, clock: Any) -> None:
    _, short = issue(expires_at=clock() + timedelta(hours=1))
    key, other = issue()
    clock.wait(minutes=59)
    assert found(engine, short, clock)
    clock.wait(minutes=1)
    assert found(engine, short, clock) is None
    with engine.begin() as connection:
        revoke_key(connection, key.key_id, clock())
        with pytest.raises(ApiKeyError, match="none of this id"):
            revoke_key(connection, key.key_id, clock())
    assert found(engine, other, clock) is None


def test_use_is_written_down_once_a_minute(engine: Engine, issue: Any, clock: Any) -> None:
    _, text = issue()
    used = []
    for _ in range(6):
        found(engine, text, clock)
        with engine.begin() as connection:
            used.append(keys(connection)[0].last_used_at)
        clock.wait(seconds=20)
    assert len(set(used)) == 2
    assert used[0] is not None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scopes": []}, "found none"),
        ({"scopes": [Action.SCORE, Action.SIGN_MEASURE]}, "found sign_measure"),
        ({"scopes": [Action.REVEAL_PSEUDONYM]}, "found reveal_pseudonym"),
        ({"name": " "}, "name of a system"),
    ],
)
def test_a_key_that_should_not_be_is_not_given(issue: Any, changes: Any, told: str) -> None:
    with pytest.raises(ApiKeyError, match=told):
        issue(**changes)


def test_a_key_that_is_over_before_it_begins_is_not_given(issue: Any, clock: Any) -> None:
    with pytest.raises(ApiKeyError, match="expiry to come"):
        issue(expires_at=clock())


def test_a_scope_that_systems_lost_since_is_no_scope(
    engine: Engine, issue: Any, clock: Any
) -> None:
    _, text = issue()
    with engine.begin() as connection:
        connection.execute(API_KEYS.update().values(scopes=["score", "sign_measure", "gone"]))
    assert found(engine, text, clock).actor.scopes == SCORE
