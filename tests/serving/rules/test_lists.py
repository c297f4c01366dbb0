"""Lists: numbers come in raw and are kept as pseudonyms; entries end, and end on record."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from serving.access.audit import AUDIT
from serving.access.roles import Actor, Role
from serving.problems import Problem
from serving.rules.contracts import EntryBody, KeyBody
from serving.rules.shown import entries_to_sign
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


def sign(bureau: Any, by: Actor, entry_id: str, key: str | None = None, name: str = "allow") -> Any:
    body = KeyBody(key=key or bureau.key())
    return bureau.at(lambda desk: desk.entry_live(by, name, entry_id, body))


def remove(bureau: Any, by: Actor, entry_id: str, name: str = "allow") -> Any:
    body = KeyBody(key=bureau.key())
    return bureau.at(lambda desk: desk.remove(by, name, entry_id, body))


def deeds(bureau: Any, entry_id: str) -> list[tuple[str, str]]:
    """Who did what to an entry, as the audit log has it."""
    about = select(AUDIT).where(AUDIT.c.subject == f"list_entry:{entry_id}").order_by(AUDIT.c.seq)
    return [(one["actor"], one["detail"]["deed"]) for one in bureau.rows(about)]


def test_the_allow_list_takes_two_people(bureau: Any, wang: Actor, li: Actor) -> None:
    added = add(bureau, wang, "allow")
    assert (added.state, added.live_at, added.live_by) == ("waiting", None, None)
    with pytest.raises(Problem, match="conflict") as told:
        sign(bureau, wang, added.entry_id)
    assert "同事" in told.value.more["zh"]
    assert "somebody else than who added it" in told.value.more["en"]
    bureau.now += timedelta(hours=1)
    key = bureau.key()
    live = sign(bureau, li, added.entry_id, key)
    assert (live.state, live.live_by, live.live_at) == ("live", "li.wei", bureau.now)
    assert live.expires_at == added.expires_at  # a late signature moves it not
    assert sign(bureau, li, added.entry_id, key) == live  # a double click
    with pytest.raises(Problem, match="conflict"):
        sign(bureau, li, added.entry_id)
    assert deeds(bureau, added.entry_id) == [("wang.fang", "add_entry"), ("li.wei", "live")]


def test_who_waits_can_be_refused_or_taken_back(bureau: Any, wang: Actor, li: Actor) -> None:
    refused = add(bureau, wang, "allow")
    assert remove(bureau, li, refused.entry_id).state == "removed"
    with pytest.raises(Problem, match="conflict"):
        sign(bureau, li, refused.entry_id)
    back = add(bureau, wang, "allow")
    remove(bureau, wang, back.entry_id)
    assert deeds(bureau, refused.entry_id)[-1] == ("li.wei", "refuse_entry")
    assert deeds(bureau, back.entry_id)[-1] == ("wang.fang", "withdraw")


def test_what_ended_before_it_was_signed_is_not_signed(bureau: Any, wang: Actor, li: Actor) -> None:
    added = add(bureau, wang, "allow", expires_at=bureau.now + timedelta(days=1))
    bureau.now += timedelta(days=1)
    with pytest.raises(Problem, match="conflict"):
        sign(bureau, li, added.entry_id)
    (shown,) = bureau.at(lambda desk: desk.one_list(li, "allow")).entries
    assert shown.state == "expired"


def test_a_longer_stay_is_signed_anew_and_leaves_no_gap(
    bureau: Any, wang: Actor, li: Actor
) -> None:
    first = sign(bureau, li, add(bureau, wang, "allow").entry_id)
    bureau.now += timedelta(days=29)
    longer = add(bureau, li, "allow")
    with pytest.raises(Problem, match="conflict"):
        add(bureau, wang, "allow")  # it waits already
    shown = bureau.at(lambda desk: desk.one_list(li, "allow")).entries
    assert [(one.entry_id, one.state) for one in shown] == [
        (longer.entry_id, "waiting"),
        (first.entry_id, "live"),
    ]
    sign(bureau, wang, longer.entry_id)
    shown = bureau.at(lambda desk: desk.one_list(li, "allow")).entries
    assert [(one.entry_id, one.state) for one in shown] == [
        (longer.entry_id, "live"),
        (first.entry_id, "removed"),
    ]
    assert shown[1].removed_at == shown[0].live_at


def test_whoever_may_sign_is_told_how_many_wait(bureau: Any, wang: Actor, li: Actor) -> None:
    added = add(bureau, wang, "allow")
    add(bureau, wang, "deny")

    def waiting(who: Actor) -> int:
        async def asked(desk: Any) -> int:
            async with desk.room.turn(who) as turn:
                return await entries_to_sign(turn.connection, who.name, turn.now)

        return bureau.at(asked)

    assert (waiting(li), waiting(wang)) == (1, 0)
    sign(bureau, li, added.entry_id)
    assert waiting(li) == 0


def test_to_deny_takes_one_person(bureau: Any, wang: Actor, li: Actor) -> None:
    added = add(bureau, wang)
    assert (added.state, added.live_by) == ("live", "wang.fang")
    with pytest.raises(Problem, match="conflict"):
        sign(bureau, li, added.entry_id, name="deny")
    with pytest.raises(Problem, match="not-found"):
        sign(bureau, li, added.entry_id)  # not of that list


def test_the_database_itself_wants_two_people(bureau: Any, wang: Actor) -> None:
    added = add(bureau, wang, "allow")
    alone = update(ENTRIES).where(ENTRIES.c.entry_id == added.entry_id)
    for values in ({"live_at": bureau.now, "live_by": "wang.fang"}, {"live_at": bureau.now}):
        change = alone.values(**values)
        with pytest.raises(IntegrityError, match="ck_list_entries"):
            bureau.database.within(lambda connection, one=change: connection.execute(one))


def test_others_have_no_say(bureau: Any) -> None:
    with pytest.raises(Problem, match="forbidden"):
        add(bureau, Actor("chen", Role.OFFICER))
    added = add(bureau, Actor("wang.fang", Role.SUPERVISOR), "allow")
    local = Actor("local", Role.SUPERVISOR, "渝中区")
    for somebody in (Actor("chen", Role.OFFICER), local):
        with pytest.raises(Problem, match="forbidden"):
            sign(bureau, somebody, added.entry_id)


def test_two_who_add_the_same_at_once_make_one_entry(bureau: Any, wang: Actor, li: Actor) -> None:
    """Else whoever takes him off leaves him on."""
    first, second = entry(bureau), entry(bureau)

    async def both(desk: Any) -> Any:
        added = (desk.add(wang, "allow", first), desk.add(li, "allow", second))
        return await asyncio.gather(*added, return_exceptions=True)

    told = bureau.at(both)
    assert sum(isinstance(one, Problem) for one in told) == 1
    assert len(bureau.rows(select(ENTRIES))) == 1
