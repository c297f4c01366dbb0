"""A rule's life: every step by whom it may be, once, on record; none skipped."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from serving.access.audit import AUDIT
from serving.access.roles import Actor, Role
from serving.problems import Problem
from serving.rules.contracts import RuleBody, Trial, VersionBody
from serving.rules.tables import BOOK, VERSIONS

Make = Callable[..., dict[str, Any]]


def generation(bureau: Any) -> int:
    return int(bureau.rows(select(BOOK))[0]["generation"])


def deed(bureau: Any, name: str, by: Actor, version: int, key: str | None = None) -> Any:
    body = VersionBody(version=version, key=key or bureau.key())
    return bureau.at(lambda desk: getattr(desk, name)(by, "large_transfer", body))


def test_a_rule_goes_from_draft_to_retired(
    bureau: Any, document: Make, found: Trial, li: Actor, wang: Actor
) -> None:
    version = bureau.draft(document(), li)
    bureau.tested("large_transfer", version, found, li)
    before = generation(bureau)
    live = deed(bureau, "go_live", wang, version)
    assert (live.state, live.author, live.live_by) == ("live", "li.wei", "wang.fang")
    assert live.test == found
    assert live.when_en == "this event: amount is ≥ CNY 50,000"
    assert generation(bureau) == before + 1
    over = deed(bureau, "retire", li, version)
    assert (over.state, over.retired_by) == ("retired", "li.wei")
    assert generation(bureau) == before + 2
    with pytest.raises(Problem, match="conflict") as told:
        deed(bureau, "retire", wang, version)
    assert told.value.more["zh"]
    assert told.value.more["state"] == "retired"


def test_an_untested_rule_does_not_go_live(
    bureau: Any, document: Make, li: Actor, wang: Actor
) -> None:
    version = bureau.draft(document(), li)
    with pytest.raises(Problem) as told:
        deed(bureau, "go_live", wang, version)
    assert "found one that is draft" in told.value.detail
    assert "test it first" in told.value.more["en"]


def test_its_author_does_not_put_it_live(
    bureau: Any, document: Make, found: Trial, li: Actor
) -> None:
    version = bureau.draft(document(), li)
    bureau.tested("large_transfer", version, found, li)
    with pytest.raises(Problem) as told:
        deed(bureau, "go_live", li, version)
    assert "another person than its author" in told.value.detail
    assert bureau.rows(select(VERSIONS.c.state))[0]["state"] == "tested"


def test_a_new_version_takes_the_place_of_the_live_one(
    bureau: Any, document: Make, found: Trial, li: Actor, wang: Actor
) -> None:
    first = bureau.live(document(), li, wang, found)
    second = bureau.live(document(level="yellow"), wang, li, found)
    assert (first, second) == (1, 2)
    states = bureau.rows(select(VERSIONS.c.version, VERSIONS.c.state).order_by(VERSIONS.c.version))
    assert [row["state"] for row in states] == ["retired", "live"]


def test_a_double_click_does_nothing_twice(
    bureau: Any, document: Make, found: Trial, li: Actor, wang: Actor
) -> None:
    body = RuleBody(rule=document(), key="the-same-key")
    first = bureau.at(lambda desk: desk.draft(li, body))
    again = bureau.at(lambda desk: desk.draft(li, body))
    assert first == again
    bureau.tested("large_transfer", 1, found, li)
    live = deed(bureau, "go_live", wang, 1, "another-key")
    assert deed(bureau, "go_live", wang, 1, "another-key") == live
    assert len(bureau.rows(select(VERSIONS))) == 1


@pytest.mark.parametrize(
    "actor",
    [
        Actor("chen", Role.OFFICER),
        Actor("key:1", Role.SYSTEM),
        Actor("zhao", Role.ADMINISTRATOR),
        Actor("sun", Role.SUPERVISOR, "Yubei"),  # a rule holds for the whole city
    ],
)
def test_others_have_no_say(bureau: Any, document: Make, actor: Actor) -> None:
    with pytest.raises(Problem, match="forbidden"):
        bureau.draft(document(), actor)
    with pytest.raises(Problem, match="forbidden"):
        deed(bureau, "retire", actor, 1)
    with pytest.raises(Problem, match="forbidden"):
        bureau.at(lambda desk: desk.rules(actor))


def test_what_is_no_rule_is_refused_field_by_field(
    bureau: Any, document: Make, hold: Make, li: Actor
) -> None:
    for wrong, field in (
        (document(level="purple"), "level"),
        (document(when={"known": "event.amont.value"}), "when.known"),
        (hold(expires_at=(bureau.now + timedelta(days=91)).isoformat()), "expires_at"),
        (hold(expires_at=bureau.now.isoformat()), "expires_at"),
    ):
        with pytest.raises(Problem, match="invalid-parameter") as told:
            bureau.draft(wrong, li)
        assert told.value.more["errors"][0]["field"] == field
    assert bureau.rows(select(VERSIONS)) == []


def test_a_holding_rule_whose_end_came_does_not_go_live(
    bureau: Any, hold: Make, found: Trial, li: Actor, wang: Actor
) -> None:
    version = bureau.draft(hold(), li)
    bureau.tested("known_payee", version, found, li)
    bureau.now += timedelta(days=31)
    body = VersionBody(version=version, key=bureau.key())
    with pytest.raises(Problem, match="invalid-parameter"):
        bureau.at(lambda desk: desk.go_live(wang, "known_payee", body))


def test_every_deed_is_on_record_and_says_no_sentence(
    bureau: Any, document: Make, found: Trial, li: Actor, wang: Actor
) -> None:
    before = len(bureau.rows(select(AUDIT)))
    bureau.live(document(), li, wang, found)
    records = bureau.rows(select(AUDIT).order_by(AUDIT.c.seq))[before:]
    assert [row["detail"]["deed"] for row in records] == ["draft", "test", "live"]
    assert {row["subject"] for row in records} == {"rule:large_transfer@1"}
    assert records[-1]["actor"] == "wang.fang"
    assert "50,000" not in str(records)


def test_a_rule_there_is_not_is_not_found(bureau: Any, wang: Actor) -> None:
    for name in ("test", "go_live", "retire"):
        with pytest.raises(Problem, match="not-found"):
            deed(bureau, name, wang, 7)
