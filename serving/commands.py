"""What an administrator and an auditor type: accounts, API keys, the audit log.

On the command line acts whoever may run it: the audit log names his account of the machine.
"""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from serving.access.roles import ROLES, Action, Actor, Role

if TYPE_CHECKING:
    from data.settings import Settings
    from serving.access import Desk, Verdict

__all__ = ["accounts", "audit", "keys"]

accounts = typer.Typer(no_args_is_help=True, help="People who sign in to the console.")
keys = typer.Typer(no_args_is_help=True, help="API keys of systems.")
audit = typer.Typer(no_args_is_help=True, help="The record of who did what: is it whole?")


Name = Annotated[str, typer.Argument(help="Of the account, such as li.wei.")]
KeyId = Annotated[str, typer.Argument(help="The eight letters after fwk_.")]


@accounts.command("add")
def accounts_add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What he or she is here for.")],
    district: Annotated[
        str | None, typer.Option(help="The only district seen. Default: the whole city.")
    ] = None,
) -> None:
    """Make an account; prints its first password, to be changed at the first sign-in."""
    with _desk() as desk:
        password = desk.add_account(name, role, district)
    Console(stderr=True).print(
        "hand this over in person; it is asked to be changed at the first sign-in:"
    )
    print(password)


@accounts.command("list")
def accounts_list() -> None:
    """Show all accounts."""
    with _desk() as desk:
        found = desk.accounts()
    table = Table("name", "role", "district", "state")
    for one in found:
        role = f"{one.role.value} · {ROLES[one.role][0]}"
        given_out = "password given out" if one.must_change else "in use"
        state = "disabled" if one.disabled_at else given_out
        table.add_row(one.name, role, one.district or "whole city", state)
    Console().print(table)


@accounts.command("password")
def accounts_password(name: Name) -> None:
    """Give somebody who forgot his a new password; his sessions end."""
    with _desk() as desk:
        print(desk.set_password(name))


@accounts.command("disable")
def accounts_disable(name: Name) -> None:
    """Let nobody in under this name any more; sessions end now."""
    with _desk() as desk:
        desk.disable(name)


@accounts.command("enable")
def accounts_enable(name: Name) -> None:
    """Let somebody in again."""
    with _desk() as desk:
        desk.enable(name)


@accounts.command("unlock")
def accounts_unlock(name: Name) -> None:
    """Forget the wrong tries under a name, so that it need not wait."""
    with _desk() as desk:
        desk.unlock(name)


@keys.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Of the system that gets it.")],
    scope: Annotated[list[Action], typer.Option(help="What it is good for; repeat for more.")],
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it is good. Default: until revoked.")
    ] = None,
) -> None:
    """Give out a key; its text is printed here and never again."""
    until = datetime.now(UTC) + timedelta(days=days) if days else None
    with _desk() as desk:
        key, text = desk.new_key(name, scope, until)
    Console(stderr=True).print(
        f"key {key.key_id} for {name}; it is kept as a digest only, note it now:"
    )
    print(text)


@keys.command("list")
def keys_list() -> None:
    """Show all keys ever given out, without their secrets."""
    with _desk() as desk:
        found = desk.keys()
    table = Table("key", "system", "scopes", "expires", "last used", "state")
    for one in found:
        state = "revoked" if one.revoked_at else "in use"
        times = (_minute(one.expires_at), _minute(one.last_used_at))
        table.add_row(one.key_id, one.name, " ".join(sorted(one.scopes)), *times, state)
    Console().print(table)


@keys.command("revoke")
def keys_revoke(key_id: KeyId) -> None:
    """Take a key back; workers that remember it do so for some seconds."""
    with _desk() as desk:
        desk.revoke_key(key_id)


@audit.command("verify")
def audit_verify() -> None:
    """Walk the whole audit log; fails where a record was changed, removed or reordered."""
    from data.database import database_of
    from serving.access import Seals, verify_audit

    settings = _settings()
    with database_of(settings) as engine:
        _report(verify_audit(engine, Seals.of(settings)))


@audit.command("seal")
def audit_seal() -> None:
    """Verify, then witness the last record outside the database, so that a cut tail shows."""
    from data.database import database_of
    from serving.access import Seals, seal_audit

    settings = _settings()
    with database_of(settings) as engine:
        _report(seal_audit(engine, Seals.of(settings), datetime.now(UTC)))


def _report(found: "Verdict") -> None:
    """Sentences for people, one line of JSON for a program, and the exit code."""
    if found.fault is None:
        Console(stderr=True).print(
            f"[green]审计日志完整 · the audit log is whole[/]: {found.head.seq} records"
        )
    else:
        Console(stderr=True).print(f"[red]{found.fault.zh} · {found.fault.en}[/]")
    figures = {
        "sound": found.sound,
        "records": found.head.seq,
        "sealed": found.sealed,
        "fault": found.fault and {"kind": found.fault.kind.value, "seq": found.fault.seq},
    }
    print(json.dumps(figures))
    raise typer.Exit(0 if found.sound else 1)


@contextmanager
def _desk() -> Iterator["Desk"]:
    from data.database import database_of
    from serving.access import Desk

    by = Actor(f"cli:{getpass.getuser()}", Role.ADMINISTRATOR)
    with database_of(_settings()) as engine:
        yield Desk(engine, by, lambda: datetime.now(UTC))


def _settings() -> "Settings":
    from data.settings import Settings

    return Settings.from_environment()


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if at else "–"
