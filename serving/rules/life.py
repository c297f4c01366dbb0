"""A rule's life: draft, tested, live, retired; each step once, by whom it may be, on record.

A version never changes: a changed rule is a new one. It goes live only after it was tested against
history, and by another person than its author: whoever has the idea is not alone in seeing what it
does to people. The one that was live before is retired in the same breath.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from features import FRAUD_FEATURES
from models.rules import MAX_HOLD, Effect, Rule, RuleError, parse_rule
from serving.access.roles import Action, demand, demand_sight
from serving.cases.forms import Turn, conflict, once
from serving.problems import Problem
from serving.rules.contracts import RuleAnswer, RuleBody, Trial, VersionBody
from serving.rules.shown import shown
from serving.rules.tables import BOOK, RULES, VERSIONS

__all__ = ["ask_test", "draft", "go_live", "manage", "record_test", "retire", "turn_page"]

NAME = re.compile(r"[a-z][a-z0-9_]{2,47}")


def manage(turn: Turn) -> None:
    """Let through who may manage rules of the whole city, or refuse."""
    demand(turn.actor, Action.MANAGE_RULES)
    demand_sight(turn.actor, None)  # a rule holds for every district


async def draft(turn: Turn, body: RuleBody) -> RuleAnswer:
    """Keep a rule as a new version, a draft.

    Raises
    ------
    Problem
        ``invalid-parameter`` where it is no rule; ``forbidden``.
    """
    manage(turn)
    rule = _read(body.rule, turn)

    async def work() -> RuleAnswer:
        version = await _next_version(turn.connection, rule.name)
        row = {
            "name": rule.name,
            "version": version,
            "state": "draft",
            "owner": rule.owner,
            "content": body.rule,
            "author": turn.actor.name,
            "created_at": turn.now,
        }
        await turn.connection.execute(insert(VERSIONS).values(row))
        return await _done(turn, rule.name, version, "draft")

    return await _once(turn, body.key, {"deed": "draft", "rule": body.rule}, work)


async def ask_test(turn: Turn, name: str, body: VersionBody) -> tuple[RuleAnswer, bool]:
    """Note that a test is asked for; the version, and whether it is to be started now."""
    manage(turn)
    fresh = False

    async def work() -> RuleAnswer:
        nonlocal fresh
        row = await _locked(turn.connection, name, body.version)
        if row.state == "retired":
            raise _not_in(row, "a version that is not retired", "此版本已停用", "it is retired")
        fresh = True
        await _change(turn.connection, row, asked_at=turn.now)
        return await _done(turn, name, body.version, "ask_test")

    content = {"deed": "ask_test", "rule": name, "version": body.version}
    return await _once(turn, body.key, content, work), fresh


async def record_test(turn: Turn, name: str, version: int, found: Trial) -> RuleAnswer:
    """Keep what a test found; a draft becomes tested."""
    manage(turn)
    row = await _locked(turn.connection, name, version)
    await _change(
        turn.connection,
        row,
        state="tested" if row.state == "draft" else row.state,
        tested_at=turn.now,
        tested_by=turn.actor.name,
        test=found.model_dump(mode="json"),
    )
    detail = {"events": found.events, "warnings": found.warnings, "frauds": found.frauds}
    return await _done(turn, name, version, "test", **detail)


async def go_live(turn: Turn, name: str, body: VersionBody) -> RuleAnswer:
    """Let a tested version apply from now on.

    Raises
    ------
    Problem
        ``conflict`` if it was not tested, is its own author's, or has expired.
    """
    manage(turn)

    async def work() -> RuleAnswer:
        row = await _locked(turn.connection, name, body.version)
        if row.state != "tested":
            zh, en = _LIVE_ONLY_TESTED
            raise _not_in(row, "a version that was tested and is not live", zh, en)
        if row.author == turn.actor.name:
            raise conflict(
                "expected another person than its author; ask a colleague to read and sign it",
                "规则须由作者以外的人启用，请同事核对后启用",
                "a rule is put live by somebody else than its author: ask a colleague",
            )
        rule = _read(row.content, turn)
        await _retire_live(turn, name)
        await _change(turn.connection, row, state="live", live_at=turn.now, live_by=turn.actor.name)
        await turn_page(turn.connection)
        return await _done(turn, name, body.version, "live", effect=rule.effect.value)

    content = {"deed": "live", "rule": name, "version": body.version}
    return await _once(turn, body.key, content, work)


_LIVE_ONLY_TESTED = (
    "只有经历史检验且未启用的版本可以启用，请先检验",
    "only a tested version that is not live can go live: test it first",
)


async def retire(turn: Turn, name: str, body: VersionBody) -> RuleAnswer:
    """Let a version apply no longer."""
    manage(turn)

    async def work() -> RuleAnswer:
        row = await _locked(turn.connection, name, body.version)
        if row.state == "retired":
            raise _not_in(row, "a version that is not retired", "此版本已停用", "it is retired")
        await _change(
            turn.connection,
            row,
            state="retired",
            retired_at=turn.now,
            retired_by=turn.actor.name,
        )
        if row.state == "live":
            await turn_page(turn.connection)
        return await _done(turn, name, body.version, "retire")

    content = {"deed": "retire", "rule": name, "version": body.version}
    return await _once(turn, body.key, content, work)


async def turn_page(connection: AsyncConnection) -> None:
    """Let every worker hear of a change, once this transaction commits."""
    await connection.execute(update(BOOK).values(generation=BOOK.c.generation + 1))


async def _once(
    turn: Turn, key: str, content: Mapping[str, Any], work: Callable[[], Awaitable[RuleAnswer]]
) -> RuleAnswer:
    return RuleAnswer.model_validate(await once(turn, key, content, work))


def _read(document: Mapping[str, Any], turn: Turn) -> Rule:
    """A rule under today's features and levels, that may begin now."""
    levels = [level.name for level in turn.config.levels]
    try:
        rule = parse_rule(document, FRAUD_FEATURES, levels=levels)
    except RuleError as error:
        problem = error.problem
        told = {"errors": [problem.as_dict()]}
        raise Problem("invalid-parameter", f"{problem.field}: the rule is wrong", told) from None
    _check_end(rule, turn.now)
    return rule


def _check_end(rule: Rule, now: datetime) -> None:
    latest = now + MAX_HOLD
    too_late = rule.effect == Effect.HOLD and rule.expires_at and rule.expires_at > latest
    if too_late or not rule.standing(now):
        error = {
            "field": "expires_at",
            "expected": f"a time ahead, of a holding rule at most {MAX_HOLD.days} days",
            "found": "a later one" if too_late else "one that is over",
            "fix": "keep a new version with another end",
        }
        raise Problem("invalid-parameter", "expires_at: the rule is wrong", {"errors": [error]})


async def _next_version(connection: AsyncConnection, name: str) -> int:
    new = insert_or(RULES).values(name=name, versions=1)
    counted = new.on_conflict_do_update(
        index_elements=["name"], set_={"versions": RULES.c.versions + 1}
    )
    return int((await connection.execute(counted.returning(RULES.c.versions))).scalar_one())


def _version(name: str, version: int) -> Select[Any]:
    return select(VERSIONS).where(VERSIONS.c.name == name, VERSIONS.c.version == version)


async def _locked(connection: AsyncConnection, name: str, version: int) -> Row[Any]:
    """A version, its name held to the end of the transaction."""
    await connection.execute(select(RULES).where(RULES.c.name == name).with_for_update())
    row: Row[Any] | None = (await connection.execute(_version(name, version))).one_or_none()
    if row is None:
        raise Problem("not-found", "no rule of this name and version")
    return row


async def _change(connection: AsyncConnection, row: Row[Any], **values: Any) -> None:
    this = (VERSIONS.c.name == row.name, VERSIONS.c.version == row.version)
    await connection.execute(update(VERSIONS).where(*this).values(**values))


async def _retire_live(turn: Turn, name: str) -> None:
    live = (VERSIONS.c.name == name, VERSIONS.c.state == "live")
    over = {"state": "retired", "retired_at": turn.now, "retired_by": turn.actor.name}
    await turn.connection.execute(update(VERSIONS).where(*live).values(**over))


async def _done(turn: Turn, name: str, version: int, deed: str, **detail: Any) -> RuleAnswer:
    """The version after a deed, which goes on record."""
    row = (await turn.connection.execute(_version(name, version))).one()
    answer = (await shown(turn.connection, [row], turn.now))[0]
    await turn.record(Action.MANAGE_RULES, f"rule:{name}@{version}", {"deed": deed, **detail})
    return answer


def _not_in(row: Row[Any], expected: str, zh: str, en: str) -> Problem:
    return conflict(
        f"expected {expected}, found one that is {row.state}; read it again",
        zh,
        en,
        state=row.state,
    )
