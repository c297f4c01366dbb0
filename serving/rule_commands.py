"""What is typed about rules and lists.

On the command line acts whoever may run it, under his account of the machine; with ``--by`` a
person of the console, by name and password: a rule, and an entry of the allow list, needs a second
one to go live.
"""

import asyncio
import getpass
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from serving.access.roles import Actor, Role

if TYPE_CHECKING:
    from data.settings import Settings
    from serving.rules.contracts import EntryAnswer, RuleAnswer, Trial
    from serving.rules.desk import RuleDesk

__all__ = ["lists", "rules"]

T = TypeVar("T")
rules = typer.Typer(no_args_is_help=True, help="Rules beside the model: test, put live, retire.")
lists = typer.Typer(no_args_is_help=True, help="Allow and deny lists that rules look at.")


class RuleRefusedError(ValueError):
    """A deed that was not done; the message says how to mend it."""


class ListName(StrEnum):
    """Lists there are."""

    ALLOW = "allow"
    DENY = "deny"


class EntryKind(StrEnum):
    """Who can be on a list."""

    PHONE = "phone"
    ACCOUNT = "account"
    APP = "app"


Name = Annotated[str, typer.Argument(help="Of the rule.")]
Version = Annotated[int | None, typer.Option(help="Default: the newest.")]
By = Annotated[
    str | None, typer.Option(help="Account of the console that does it; its password is asked.")
]
OneList = Annotated[ListName, typer.Argument(help="allow or deny.")]
Entry = Annotated[str, typer.Argument(help="As `forewarn lists show` has it.")]


@rules.command("add")
def rules_add(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON of one rule.")],
    by: By = None,
) -> None:
    """Keep a rule as a new version, a draft."""
    from serving.rules.contracts import RuleBody

    body = RuleBody(rule=json.loads(file.read_text("utf-8")), key=_key())
    added = _run(lambda desk, actor: desk.draft(actor, body), by)
    print(f"{added.name}@{added.version} is a draft; next: forewarn rules test {added.name}")


@rules.command("test")
def rules_test(name: Name, version: Version = None, by: By = None) -> None:
    """Test a version against history; prints what it would have done."""
    from serving.rules.contracts import VersionBody
    from serving.rules.life import ask_test
    from serving.rules.trial import try_rule

    async def tried(desk: "RuleDesk", actor: Actor, settings: "Settings") -> "RuleAnswer":
        chosen = await _version(desk, actor, name, version)
        async with desk.room.turn(actor) as turn:
            await ask_test(turn, name, VersionBody(version=chosen, key=_key()))
        return await try_rule(settings, actor, name, chosen, _say)

    found = _with_settings(tried, by)
    if found.test is not None:
        _show_test(found.test)


@rules.command("live")
def rules_live(name: Name, version: Version = None, by: By = None) -> None:
    """Let a tested version apply from now on; by another person than its author."""
    _deed(name, version, by, "go_live")


@rules.command("retire")
def rules_retire(name: Name, version: Version = None, by: By = None) -> None:
    """Let a version apply no longer."""
    _deed(name, version, by, "retire")


@rules.command("list")
def rules_list() -> None:
    """Show all rules with owner, state, test and counts."""
    found = _run(lambda desk, actor: desk.rules(actor), None)
    table = Table(*("rule", "state", "owner", "does", "match rate", "hit rate", "30 days", "ever"))
    for rule in found.rules:
        does = f"raise to {rule.level}" if rule.effect == "raise" else "hold"
        table.add_row(
            f"{rule.name}@{rule.version}",
            rule.state if rule.readable else f"{rule.state}, unreadable",
            rule.owner,
            does,
            f"{rule.test.match_rate:.3%}" if rule.test else "not tested",
            _hit_rate(rule.test) if rule.test else "",
            str(rule.matches.lately),
            str(rule.matches.ever),
        )
    Console().print(table)


@rules.command("features")
def rules_features(
    about: Annotated[str, typer.Argument(help="Only names that contain this.")] = "",
) -> None:
    """Show what conditions may name, with units."""
    from features import FRAUD_FEATURES

    table = Table("feature", "unit", "of an event it says")
    for spec in FRAUD_FEATURES:
        if about in spec.name:
            table.add_row(spec.name, spec.unit, spec.en)
    Console().print(table)


@lists.command("add")
def lists_add(
    name: OneList,
    kind: Annotated[EntryKind, typer.Argument(help="phone, account or app.")],
    value: Annotated[
        str, typer.Argument(help="The number, kept as a pseudonym only; -: asked for, unseen.")
    ],
    owner: Annotated[str, typer.Option(help="The unit that answers for it.")],
    reason: Annotated[str, typer.Option(help="Why, nobody's number in it.")],
    days: Annotated[float, typer.Option(min=0.01, help="It stands for.")] = 30.0,
    by: By = None,
) -> None:
    """Put a number, account, app or site on a list; on the allow list it waits for a colleague."""
    from serving.rules.contracts import EntryBody

    body = EntryBody(
        kind=kind.value,
        value=typer.prompt("number", hide_input=True, err=True) if value == "-" else value,
        owner=owner,
        reason=reason,
        expires_at=datetime.now(UTC) + timedelta(days=days),
        key=_key(),
    )
    added = _run(lambda desk, actor: desk.add(actor, name.value, body), by)
    print(f"{added.entry_id} {added.member} until {added.expires_at:%Y-%m-%d %H:%M} UTC")
    if added.state == "waiting":
        print(f"it waits for a colleague: forewarn lists live allow {added.entry_id} --by NAME")


@lists.command("live")
def lists_live(name: OneList, entry_id: Entry, by: By = None) -> None:
    """Let an entry of the allow list count; by another person than who added it."""
    from serving.rules.contracts import KeyBody

    body = KeyBody(key=_key())
    live = _run(lambda desk, actor: desk.entry_live(actor, name.value, entry_id, body), by)
    print(f"{live.entry_id} is live until {live.expires_at:%Y-%m-%d %H:%M} UTC")


@lists.command("remove")
def lists_remove(name: OneList, entry_id: Entry, by: By = None) -> None:
    """Take an entry off a list, or refuse one that waits."""
    from serving.rules.contracts import KeyBody

    body = KeyBody(key=_key())
    _run(lambda desk, actor: desk.remove(actor, name.value, entry_id, body), by)
    print("removed")


@lists.command("show")
def lists_show(name: OneList) -> None:
    """Show who is on a list, by pseudonym, with owner, expiry and counts."""
    found = _run(lambda desk, actor: desk.one_list(actor, name.value), None)
    table = Table("entry", "member", "owner", "reason", "stands", "30 days", "ever")
    for entry in found.entries:
        table.add_row(
            entry.entry_id,
            entry.member,
            entry.owner,
            entry.reason,
            _stands(entry),
            str(entry.matches.lately),
            str(entry.matches.ever),
        )
    Console().print(table)


def _stands(entry: "EntryAnswer") -> str:
    """Its state, with the day that matters."""
    if entry.removed_at is not None:
        return f"removed {entry.removed_at:%Y-%m-%d}"
    if entry.state == "waiting":
        return f"waits for a colleague of {entry.added_by}, until {entry.expires_at:%Y-%m-%d}"
    return f"{'until' if entry.state == 'live' else entry.state} {entry.expires_at:%Y-%m-%d}"


def _deed(name: str, version: int | None, by: str | None, deed: str) -> None:
    from serving.rules.contracts import VersionBody

    async def done(desk: "RuleDesk", actor: Actor) -> "RuleAnswer":
        chosen = await _version(desk, actor, name, version)
        body = VersionBody(version=chosen, key=_key())
        found: RuleAnswer = await getattr(desk, deed)(actor, name, body)
        return found

    found = _run(done, by)
    print(f"{found.name}@{found.version} is {found.state}")


async def _version(desk: "RuleDesk", actor: Actor, name: str, version: int | None) -> int:
    if version is not None:
        return version
    known = [rule.version for rule in (await desk.rules(actor)).rules if rule.name == name]
    if not known:
        raise typer.BadParameter("expected the name of a rule there is; see `forewarn rules list`")
    return max(known)


def _show_test(test: "Trial") -> None:
    table = Table("on history", "", title=f"{test.since:%Y-%m-%d} to {test.until:%Y-%m-%d}")
    whole = f"{test.events:,} events of {test.citizens:,} citizens ({test.share:.0%} of the city's)"
    table.add_row("looked at", whole)
    table.add_row("match rate", f"{test.match_rate:.3%} of events ({test.matched:,})")
    table.add_row("hit rate", f"{_hit_rate(test)} of {test.known:,} warnings with a known label")
    table.add_row("among all", "unknown" if test.base_rate is None else f"{test.base_rate:.3%}")
    overlap = "nothing matched" if test.overlap is None else f"{test.overlap:.0%}"
    table.add_row("the model warns as well", overlap)
    table.add_row(
        "a day in the city",
        f"{test.added_per_day:.1f} warnings more, "
        f"{test.raised_per_day:.1f} more urgent, {test.held_per_day:.1f} held back",
    )
    table.add_row("frauds among those held back", str(test.held_frauds))
    Console().print(table)


def _hit_rate(test: "Trial") -> str:
    if test.hit_rate is None or test.hit_low is None or test.hit_high is None:
        return "unknown"
    return f"{test.hit_rate:.1%} ({test.hit_low:.1%} to {test.hit_high:.1%})"


def _key() -> str:
    return secrets.token_hex(16)


def _say(sentence: str) -> None:
    Console(stderr=True).print(f"[dim]  …[/] {sentence}", highlight=False)


def _run(deed: "Callable[[RuleDesk, Actor], Awaitable[T]]", by: str | None) -> T:
    async def without(desk: "RuleDesk", actor: Actor, _: "Settings") -> T:
        return await deed(desk, actor)

    return _with_settings(without, by)


def _with_settings(
    deed: "Callable[[RuleDesk, Actor, Settings], Awaitable[T]]", by: str | None
) -> T:
    """Do it on the deployment's database, the running service's where it runs."""
    from data.database import upgrade
    from data.settings import Settings
    from data.stores import open_database

    settings = Settings.from_environment()
    password = typer.prompt(f"password of {by}", hide_input=True, err=True) if by else ""
    with open_database(settings) as url:
        upgrade(url)
        reached = replace(settings, database_url=url)
        return asyncio.run(_done(deed, reached, {"name": by or "", "password": password}))


async def _done(
    deed: "Callable[[RuleDesk, Actor, Settings], Awaitable[T]]",
    settings: "Settings",
    proof: dict[str, str],
) -> T:
    from sqlalchemy.ext.asyncio import create_async_engine

    from data.pseudonyms import Pseudonymiser
    from features import FRAUD_FEATURES
    from serving.access import LocalIdentity
    from serving.cases.config import CaseConfig
    from serving.cases.room import CaseRoom
    from serving.problems import Problem
    from serving.rules.desk import RuleDesk
    from serving.rules.trial import Trials
    from serving.shelf import Shelf

    options: dict[str, Any] = {"connect_args": {"options": "-c timezone=UTC"}}
    engine = create_async_engine(settings.database_url or "", **options)
    try:
        policy = Shelf.of(settings, FRAUD_FEATURES).champion().bundle.policy
        room = CaseRoom(engine, CaseConfig.of(policy), lambda: datetime.now(UTC))
        desk = RuleDesk(room, Pseudonymiser.from_settings(settings), Trials(settings))
        actor = Actor(f"cli:{getpass.getuser()}", Role.SUPERVISOR)
        if proof["name"]:
            account = await LocalIdentity(engine).identify(proof, datetime.now(UTC))
            actor = Actor(
                account.name, account.role, account.district, must_change=account.must_change
            )
        return await deed(desk, actor, settings)
    except Problem as problem:
        errors = "; ".join(
            f"{one['field']}: expected {one['expected']}, found {one['found']}; {one['fix']}"
            for one in problem.more.get("errors", ())
        )
        raise RuleRefusedError(errors or f"{problem.detail} ({problem.kind.fix})") from problem
    finally:
        await engine.dispose()
