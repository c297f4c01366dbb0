"""Allow and deny lists: who is on them, put there by whom, why, and until when.

A number comes in raw and is kept as its pseudonym only, under the same key as the events'. Being
on a list does nothing by itself: rules look at lists.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import insert, select, update

from data.events import Account, AppId, Phone
from data.problems import WORDS, found_in
from data.pseudonyms import Namespace, Pseudonymiser
from serving.access import audit
from serving.access.roles import Action
from serving.asking import wrong
from serving.cases.forms import Turn, conflict, once
from serving.cases.ids import new_id
from serving.problems import Problem
from serving.rules.contracts import EntryAnswer, EntryBody, KeyBody
from serving.rules.life import manage, turn_page
from serving.rules.shown import shown_entries
from serving.rules.tables import BOOK, ENTRIES
from serving.scrub import scrubbed

__all__ = ["LONGEST", "add_entry", "remove_entry"]

LONGEST: Mapping[str, timedelta] = {"allow": timedelta(days=90), "deny": timedelta(days=366)}
"""How long an entry may stand: who is spared warnings is looked at again every season."""


@dataclass(frozen=True)
class _Sort:
    """What can be put on a list: its shape and namespace."""

    shape: TypeAdapter[str]
    namespace: Namespace | None
    words: str


_SORTS: Mapping[str, _Sort] = {
    "phone": _Sort(TypeAdapter(Phone), "tel", WORDS["tel"]),
    "account": _Sort(TypeAdapter(Account), "acc", WORDS["acc"]),
    "app": _Sort(TypeAdapter(AppId), None, "a package id or domain"),
}


async def add_entry(
    turn: Turn, name: str, body: EntryBody, pseudonymiser: Pseudonymiser
) -> EntryAnswer:
    """Put somebody on a list.

    Raises
    ------
    Problem
        ``invalid-parameter``; ``conflict`` where he is on it already; ``forbidden``.
    """
    manage(turn)
    _check(name, body, turn)
    member = _member(body, pseudonymiser)
    entry_id = new_id(turn.now)

    async def work() -> EntryAnswer:
        await _check_new(turn, name, member)
        row = {
            "entry_id": entry_id,
            "list": name,
            "kind": body.kind,
            "member": member,
            "owner": body.owner,
            "reason": body.reason,
            "added_by": turn.actor.name,
            "added_at": turn.now,
            "expires_at": body.expires_at.astimezone(UTC),
        }
        await turn.connection.execute(insert(ENTRIES).values(row))
        return await _done(turn, entry_id, "add_entry", list=name, kind=body.kind)

    # the pseudonym stands for the number, which is kept nowhere
    content = {**body.model_dump(mode="json", exclude={"value"}), "member": member, "list": name}
    return await _once(turn, body.key, content, work)


async def remove_entry(turn: Turn, name: str, entry_id: str, body: KeyBody) -> EntryAnswer:
    """Take somebody off a list; that he was on it stays on record.

    Raises
    ------
    Problem
        ``not-found``; ``conflict`` where somebody took him off before.
    """
    manage(turn)

    async def work() -> EntryAnswer:
        this = (ENTRIES.c.entry_id == entry_id, ENTRIES.c.list == name)
        query = select(ENTRIES.c.removed_by).where(*this).with_for_update()
        row = (await turn.connection.execute(query)).one_or_none()
        if row is None:
            raise Problem("not-found", "no entry with this id on this list")
        if row.removed_by is not None:
            raise conflict(
                "expected an entry that stands, found one that was removed; read the list again",
                "此条目已被移除，请刷新后再看",
                "the entry was removed already: read the list again",
            )
        over = {"removed_at": turn.now, "removed_by": turn.actor.name}
        await turn.connection.execute(update(ENTRIES).where(*this).values(**over))
        return await _done(turn, entry_id, "remove_entry", list=name)

    content = {"deed": "remove_entry", "list": name, "entry_id": entry_id}
    return await _once(turn, body.key, content, work)


async def _once(
    turn: Turn, key: str, content: Mapping[str, object], work: Callable[[], Awaitable[EntryAnswer]]
) -> EntryAnswer:
    return EntryAnswer.model_validate(await once(turn, key, content, work))


async def _done(turn: Turn, entry_id: str, deed: str, **detail: str) -> EntryAnswer:
    await turn_page(turn.connection)
    query = select(ENTRIES).where(ENTRIES.c.entry_id == entry_id)
    rows = (await turn.connection.execute(query)).all()
    answer = (await shown_entries(turn.connection, rows, turn.now))[0]
    act = audit.Act(
        turn.actor.name,
        turn.actor.role,
        Action.MANAGE_RULES,
        f"list_entry:{entry_id}",
        detail={"deed": deed, **detail},
    )
    await audit.record(turn.connection, act, turn.now)
    return answer


async def _check_new(turn: Turn, name: str, member: str) -> None:
    # of two who add him at once the second waits here for the first
    await turn.connection.execute(select(BOOK).with_for_update())
    there = select(ENTRIES.c.entry_id).where(
        ENTRIES.c.list == name,
        ENTRIES.c.member == member,
        ENTRIES.c.removed_at.is_(None),
        ENTRIES.c.expires_at > turn.now,
    )
    if await turn.connection.scalar(there.limit(1)) is not None:
        raise conflict(
            "expected somebody who is not on the list, found one who is; remove that entry first",
            "该对象已在名单中，如需更改请先移除",
            "already on the list: remove that entry to change it",
        )


def _check(name: str, body: EntryBody, turn: Turn) -> None:
    longest = LONGEST[name]
    if not turn.now < body.expires_at <= turn.now + longest:
        raise wrong(
            "expires_at",
            f"a time ahead, at most {longest.days} days for the {name} list",
            "another time",
            "choose one within it; an entry can be made again",
        )
    for field in ("owner", "reason"):
        text = getattr(body, field)
        if scrubbed(text) != text or not text.isprintable():
            raise wrong(field, "words, nobody's number among them", "a number", "write it anew")


def _member(body: EntryBody, pseudonymiser: Pseudonymiser) -> str:
    sort = _SORTS[body.kind]
    try:
        value = sort.shape.validate_python(body.value)
    except ValidationError:
        # found_in never shows what may be somebody's
        found = found_in(body.value if body.kind == "app" else "*" * len(body.value))
        raise wrong("value", sort.words, found, "correct it") from None
    return value if sort.namespace is None else pseudonymiser.one(sort.namespace, value)
