"""Allow and deny lists: who is on them, put there by whom, why, and until when.

A number comes in raw and is kept as its pseudonym only, under the same key as the events'. Being
on a list does nothing by itself: rules look at lists.

Of the allow list an entry takes two people, as a rule does: it can silence the warning that a
citizen needed, so until somebody else than who added it puts it live, nothing matches it. It ends
when it was said to end, however late it is signed: what is signed is that day, and the season in
which everybody on the list is looked at again does not grow by waiting. A longer stay is a new
entry, signed like the first; it takes the place of the one that stands in the same breath, so that
nobody is off the list in between. To deny takes one person, and so does taking anybody off: a
warning too many costs minutes (`models.rules`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Row, Select, insert, select, update

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

__all__ = ["LONGEST", "add_entry", "go_live", "remove_entry"]

LONGEST: Mapping[str, timedelta] = {"allow": timedelta(days=90), "deny": timedelta(days=366)}
"""How long an entry may stand: who is spared warnings is looked at again every season."""

SIGNED = frozenset({"allow"})
"""Lists on which an entry counts only once a second person has put it live."""


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
    """Put somebody on a list; on the allow list he waits there for a second person.

    Raises
    ------
    Problem
        ``invalid-parameter``; ``conflict`` where he is on it, or waits, already; ``forbidden``.
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
            **({} if name in SIGNED else _live(turn)),
        }
        await turn.connection.execute(insert(ENTRIES).values(row))
        return await _done(turn, entry_id, "add_entry", list=name, kind=body.kind)

    # the pseudonym stands for the number, which is kept nowhere
    content = {**body.model_dump(mode="json", exclude={"value"}), "member": member, "list": name}
    return await _once(turn, body.key, content, work)


async def go_live(turn: Turn, name: str, entry_id: str, body: KeyBody) -> EntryAnswer:
    """Let an entry that waits count from now on, until the end it was given.

    Raises
    ------
    Problem
        ``not-found``; ``conflict`` if it does not wait, is over, or was added by the same person.
    """
    manage(turn)

    async def work() -> EntryAnswer:
        # the lock of the list comes first, as where somebody is added
        await _lock(turn)
        row = await _locked(turn, name, entry_id)
        _check_waits(row, turn)
        replaced = await _replace(turn, row)
        await _change(turn, entry_id, **_live(turn))
        return await _done(turn, entry_id, "live", list=name, kind=row.kind, **replaced)

    content = {"deed": "live_entry", "list": name, "entry_id": entry_id}
    return await _once(turn, body.key, content, work)


async def remove_entry(turn: Turn, name: str, entry_id: str, body: KeyBody) -> EntryAnswer:
    """Take somebody off a list, or refuse him; that he was on it stays on record.

    Raises
    ------
    Problem
        ``not-found``; ``conflict`` where somebody took him off before.
    """
    manage(turn)

    async def work() -> EntryAnswer:
        await _lock(turn)
        row = await _locked(turn, name, entry_id)
        _check_stands(row)
        await _change(turn, entry_id, **_over(turn))
        return await _done(turn, entry_id, _ending(row, turn), list=name)

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
    await _lock(turn)
    there = _standing(turn, name, member)
    if name in SIGNED:
        there = there.where(ENTRIES.c.live_at.is_(None))
        if await turn.connection.scalar(there.limit(1)) is not None:
            raise conflict(
                "expected somebody who does not wait for the list, found one who does; "
                "let a colleague decide on that entry, or remove it",
                "该对象已在等待复核，请由同事复核，或先撤回该条目",
                "already waiting for a second person: let a colleague decide, or take it back",
            )
        return
    if await turn.connection.scalar(there.limit(1)) is not None:
        raise conflict(
            "expected somebody who is not on the list, found one who is; remove that entry first",
            "该对象已在名单中，如需更改请先移除",
            "already on the list: remove that entry to change it",
        )


def _standing(turn: Turn, name: str, member: str) -> Select[Any]:
    """Ids of somebody's entries that are not over, whether they wait or count."""
    return select(ENTRIES.c.entry_id).where(
        ENTRIES.c.list == name,
        ENTRIES.c.member == member,
        ENTRIES.c.removed_at.is_(None),
        ENTRIES.c.expires_at > turn.now,
    )


async def _lock(turn: Turn) -> None:
    """Nobody else changes lists until the end of the transaction."""
    await turn.connection.execute(select(BOOK).with_for_update())


async def _locked(turn: Turn, name: str, entry_id: str) -> Row[Any]:
    this = (ENTRIES.c.entry_id == entry_id, ENTRIES.c.list == name)
    query = select(ENTRIES).where(*this).with_for_update()
    row: Row[Any] | None = (await turn.connection.execute(query)).one_or_none()
    if row is None:
        raise Problem("not-found", "no entry with this id on this list")
    return row


def _ending(row: Row[Any], turn: Turn) -> str:
    """What the deed is called that ends an entry."""
    if row.live_at is not None:
        return "remove_entry"
    return "withdraw" if row.added_by == turn.actor.name else "refuse_entry"


def _check_stands(row: Row[Any]) -> None:
    if row.removed_by is not None:
        raise conflict(
            "expected an entry that stands, found one that was removed; read the list again",
            "此条目已被移除，请刷新后再看",
            "the entry was removed already: read the list again",
        )


def _check_waits(row: Row[Any], turn: Turn) -> None:
    _check_stands(row)
    if row.live_at is not None:
        raise conflict(
            "expected an entry that waits for a second person, found one that counts; "
            "read the list again",
            "此条目已启用，请刷新后再看",
            "the entry counts already: read the list again",
        )
    if row.expires_at <= turn.now:
        raise conflict(
            "expected an entry that has not ended, found one that has; add it anew",
            "此条目在复核前已到期，请重新加入",
            "the entry ended before it was signed: add it anew",
        )
    if row.added_by == turn.actor.name:
        raise conflict(
            "expected another person than who added it; ask a colleague to read and sign it",
            "白名单条目须由添加人以外的人启用，请同事核对后启用",
            "an entry of the allow list is put live by somebody else than who added it: "
            "ask a colleague",
        )


async def _replace(turn: Turn, row: Row[Any]) -> dict[str, str]:
    """Take the entry that stands off: the one that is signed now takes its place."""
    counts = _standing(turn, row.list, row.member).where(ENTRIES.c.live_at.is_not(None))
    entry_id = await turn.connection.scalar(counts)  # one at most stands
    if entry_id is None:
        return {}
    await _change(turn, entry_id, **_over(turn))
    return {"replaced": entry_id}


async def _change(turn: Turn, entry_id: str, **values: Any) -> None:
    this = update(ENTRIES).where(ENTRIES.c.entry_id == entry_id)
    await turn.connection.execute(this.values(**values))


def _live(turn: Turn) -> dict[str, Any]:
    return {"live_at": turn.now, "live_by": turn.actor.name}


def _over(turn: Turn) -> dict[str, Any]:
    return {"removed_at": turn.now, "removed_by": turn.actor.name}


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
