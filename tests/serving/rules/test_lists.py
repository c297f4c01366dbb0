"""Lists: numbers come in raw and are kept as pseudonyms; entries end, and end on record."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from serving.access.audit import AUDIT
from serving.access.roles import Actor, Role
from serving.problems import Problem
from serving.rules.contracts import EntryBody, KeyBody
from serving.rules.tables import ENTRIES

NUMBER = "138 0013 8000"


def entry(bureau: Any, **changes: Any) -> EntryBody:
    whole = {
        "kind": "phone",
        "value": NUMBER,
        "owner": "反诈中心",
        "reason": "named in three reports",
        "expires_at": bureau.now + timedelta(days=30),
        "key": bureau.key(),
    }
    return EntryBody(**{**whole, **changes})


def add(bureau: Any, by: Actor, name: str = "deny", **changes: Any) -> Any:
    return bureau.at(lambda desk: desk.add(by, name, entry(bureau, **changes)))


def test_only_the_pseudonym_is_kept(bureau: Any, wang: Actor) -> None:
    added = add(bureau, wang)
    assert added.member == bureau.pseudonymiser.one("tel", "+8613800138000")
    account = add(bureau, wang, kind="account", value="6222020200112233445")
    assert account.member.startswith("acc_")
    app = add(bureau, wang, kind="app", value="Fake-Bank.example")
    assert app.member == "fake-bank.example"
    everything = str(bureau.rows(select(ENTRIES))) + str(bureau.rows(select(AUDIT)))
    for raw in (NUMBER, NUMBER.replace(" ", ""), "6222020200112233445"):
        assert raw not in everything
    assert {one["detail"]["deed"] for one in bureau.rows(select(AUDIT))} >= {"add_entry"}


def test_an_entry_is_shown_with_owner_end_and_counts_until_it_is_removed(
    bureau: Any, wang: Actor, li: Actor
) -> None:
    added = add(bureau, wang)
    body = KeyBody(key=bureau.key())
    removed = bureau.at(lambda desk: desk.remove(li, "deny", added.entry_id, body))
    assert (removed.added_by, removed.removed_by) == ("wang.fang", "li.wei")
    again = bureau.at(lambda desk: desk.remove(li, "deny", added.entry_id, body))
    assert again == removed  # a double click
    other = KeyBody(key=bureau.key())
    with pytest.raises(Problem, match="conflict") as told:
        bureau.at(lambda desk: desk.remove(wang, "deny", added.entry_id, other))
    assert told.value.more["zh"]
    newer = add(bureau, wang)
    shown = bureau.at(lambda desk: desk.one_list(li, "deny")).entries
    assert [one.entry_id for one in shown] == [newer.entry_id, added.entry_id]
    assert shown[0].matches.ever == 0
    assert bureau.at(lambda desk: desk.one_list(li, "allow")).entries == ()


def test_somebody_is_on_a_list_once(bureau: Any, wang: Actor) -> None:
    add(bureau, wang)
    with pytest.raises(Problem, match="conflict"):
        add(bureau, wang, value="+86 13800138000")
    bureau.now += timedelta(days=31)
    assert add(bureau, wang)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"value": "not a number"}, "value"),
        ({"kind": "account", "value": "?"}, "value"),
        ({"reason": "he is 13800138000"}, "reason"),
        ({"owner": "13800138000"}, "owner"),
        ({"expires_at": timedelta(days=367)}, "expires_at"),
        ({"expires_at": timedelta(0)}, "expires_at"),
    ],
)
def test_what_cannot_be_an_entry_is_refused_without_being_repeated(
    bureau: Any, wang: Actor, changes: dict[str, Any], field: str
) -> None:
    if "expires_at" in changes:
        changes = {"expires_at": bureau.now + changes["expires_at"]}
    with pytest.raises(Problem, match="invalid-parameter") as told:
        add(bureau, wang, **changes)
    assert told.value.more["errors"][0]["field"] == field
    assert "1380" not in str(told.value.document())


def test_whoever_is_spared_warnings_is_looked_at_each_season(bureau: Any, wang: Actor) -> None:
    with pytest.raises(Problem, match="invalid-parameter"):
        add(bureau, wang, "allow", expires_at=bureau.now + timedelta(days=91))


def test_others_have_no_say(bureau: Any) -> None:
    with pytest.raises(Problem, match="forbidden"):
        add(bureau, Actor("chen", Role.OFFICER))


def test_two_who_add_the_same_at_once_make_one_entry(bureau: Any, wang: Actor, li: Actor) -> None:
    """Else whoever takes him off leaves him on."""
    first, second = entry(bureau), entry(bureau)

    async def both(desk: Any) -> Any:
        added = (desk.add(wang, "allow", first), desk.add(li, "allow", second))
        return await asyncio.gather(*added, return_exceptions=True)

    told = bureau.at(both)
    assert sum(isinstance(one, Problem) for one in told) == 1
    assert len(bureau.rows(select(ENTRIES))) == 1
