"""Which passwords may be chosen, and how they are kept."""

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.access import Passwords
from serving.access.passwords import LONGEST, SHORTEST, check, temporary
from serving.problems import Problem


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "tulip-gravel-9-orbit",
        "今天下午三点在渝北区开会讨论反诈",
        "aaaaaaaBq7#kdPz2m",
        "x" * 5 + "vQ2!mzR8-pL4wT",
        "Zk9$" * 3 + "then something else",
    ],
)
def test_long_ones_of_any_kind_are_taken(password: str) -> None:
    check(password, "li.wei")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "Tr0ub4dor&3",
        "x" * (LONGEST + 1),
        "passwordpassword",
        "PasswordPassword!1",
        "123456789012345",
        "987654321098765",
        "qwertyuiopasdfghjkl",
        "1qaz2wsx3edc4rfv",
        "aaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "woaini1234567890",
        "forewarn forewarn forewarn",
        "li.wei li.wei li.wei 1",
        "adminadmin123456789",
        "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
    ],
)
def test_short_and_expected_ones_are_not(password: str) -> None:
    with pytest.raises(Problem, match="weak-password") as refused:
        check(password, "li.wei")
    assert "expected" in refused.value.detail
    assert not password or password not in str(refused.value.document())


def test_length_is_counted_in_characters_not_bytes() -> None:
    check("渝北区反诈中心值班室今夜有雨加"[:SHORTEST], "li.wei")


@settings(deadline=None, max_examples=30)
@given(password=st.text(max_size=40))
def test_whatever_is_typed_matches_itself_only(password: str) -> None:
    hasher = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    kept = hasher.hash(password)
    assert hasher.match(kept, password)
    assert not hasher.match(kept, f"{password}x")
    assert not hasher.match(None, password)
    assert password not in kept or len(password) < 8


def test_two_ways_of_typing_one_password_are_one(passwords: Passwords) -> None:
    assert passwords.match(passwords.hash("café au lait, deux"), "cafe\u0301 au lait, deux")


def test_half_a_pair_of_surrogates_and_a_broken_hash_are_wrong_not_errors(
    passwords: Passwords,
) -> None:
    assert not passwords.match(passwords.hash("\ud83d a broken text"), "another")
    assert not passwords.match("not a hash", "anything")


def test_it_is_kept_as_rfc_9106_recommends() -> None:
    parameters = extract_parameters(Passwords().hash("correct horse battery staple"))
    assert (parameters.type, parameters.time_cost, parameters.memory_cost) == (Type.ID, 3, 65_536)
    assert parameters.parallelism == 4


def test_what_was_hashed_under_other_parameters_is_outdated(passwords: Passwords) -> None:
    assert Passwords().outdated(passwords.hash("a"))
    assert not passwords.outdated(passwords.hash("a"))


def test_one_that_is_handed_out_may_be_used_and_is_never_the_same() -> None:
    handed = {temporary() for _ in range(50)}
    assert len(handed) == 50
    for each in handed:
        check(each, "li.wei")
