"""The table of roles and actions, and what must hold of it whatever it says."""

import pytest

from serving.access import MAY, ROLES, Action, Actor, Role, demand, demand_sight
from serving.problems import Problem

CITIZENS = {
    Action.READ_CASE,
    Action.WORK_CASE,
    Action.ASSIGN_CASE,
    Action.REVEAL_PSEUDONYM,
    Action.REQUEST_MEASURE,
}


def test_every_role_has_a_line_and_a_name_and_every_action_somebody() -> None:
    assert set(MAY) == set(Role) == set(ROLES)
    assert frozenset().union(*MAY.values()) == set(Action)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Action.REQUEST_MEASURE, Action.SIGN_MEASURE),
        (Action.SIGN_MEASURE, Action.DECIDE_APPEAL),
        (Action.MANAGE_RULES, Action.PUBLISH_MODEL),
        (Action.MANAGE_ACCOUNTS, Action.READ_AUDIT),
    ],
)
def test_no_role_does_both(one: Action, other: Action) -> None:
    assert not [role for role in Role if {one, other} <= MAY[role]]


def test_only_police_who_work_with_citizens_reveal_one() -> None:
    revealing = {role for role in Role if Action.REVEAL_PSEUDONYM in MAY[role]}
    assert revealing == {Role.OFFICER, Role.SUPERVISOR}


@pytest.mark.parametrize(
    "role", [Role.SYSTEM, Role.DATA_SCIENTIST, Role.AUDITOR, Role.ADMINISTRATOR]
)
def test_who_has_no_citizen_to_help_touches_no_case(role: Role) -> None:
    assert not MAY[role] & CITIZENS


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_demand_is_the_table(role: Role, action: Action) -> None:
    actor = Actor("li.wei", role)
    if action in MAY[role]:
        demand(actor, action)
        return
    with pytest.raises(Problem) as refused:
        demand(actor, action)
    told = refused.value.document()
    assert (told["status"], told["type"]) == (403, "urn:forewarn:problem:forbidden")
    assert action in told["detail"]
    assert "li.wei" not in str(told)


def test_a_key_does_what_its_scopes_say_and_never_more_than_a_system_may() -> None:
    actor = Actor("key:a", Role.SYSTEM, scopes=frozenset({Action.SCORE, Action.SIGN_MEASURE}))
    assert [each for each in Action if actor.may(each)] == [Action.SCORE]
    with pytest.raises(Problem, match="forbidden") as refused:
        demand(actor, Action.TAKE_IN)
    assert "scope" in refused.value.detail


def test_with_a_password_that_was_given_out_nothing_can_be_done() -> None:
    actor = Actor("li.wei", Role.SUPERVISOR, must_change=True)
    assert not [each for each in Action if actor.may(each)]
    with pytest.raises(Problem) as refused:
        demand(actor, Action.READ_CASE)
    assert "password of your own" in refused.value.detail


@pytest.mark.parametrize(
    ("own", "where", "seen"),
    [
        (None, "Yubei", True),
        (None, None, True),
        ("Yubei", "Yubei", True),
        ("Yubei", "Banan", False),
        ("Yubei", None, False),
        ("Yubei", "yubei", False),
    ],
)
def test_an_officer_of_a_district_sees_his_district(
    own: str | None, where: str | None, seen: bool
) -> None:
    actor = Actor("li.wei", Role.OFFICER, own)
    assert actor.sees(where) is seen
    if seen:
        demand_sight(actor, where)
    else:
        with pytest.raises(Problem, match="forbidden") as refused:
            demand_sight(actor, where)
        assert "Banan" not in refused.value.detail
