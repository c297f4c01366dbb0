"""Alerts and leads become cases, in the transaction that records them.

Whoever admits evidence about a citizen holds that citizen's advisory lock to the end of the
transaction, taken in one order by all: two workers cannot open two cases, nor wait for each other
in a circle. The unique index on open cases would stop the second one all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.districts import districts_of
from serving.cases.episodes import Episode, meet
from serving.cases.evidence import Admitted, Effect
from serving.cases.live import announce
from serving.cases.tables import CASES, EVIDENCE, OUTCOMES

__all__ = ["Admission", "admit", "hold_citizens", "write_cases"]

_CITIZENS = 0x63617365  # first half of an advisory lock, any number: "case"
_LOCK = text(
    """
    SELECT pg_advisory_xact_lock(:citizens, key) FROM (
        SELECT DISTINCT hashtext(name) AS key FROM unnest(CAST(:names AS text[])) AS name
        ORDER BY key OFFSET 0
    ) AS keys
    """
)


@dataclass(frozen=True)
class Admission:
    """What one piece of evidence did to which case."""

    event_id: str
    case_id: str
    effect: Effect


async def admit(
    connection: AsyncConnection, found: Sequence[Admitted], config: CaseConfig
) -> tuple[Admission, ...]:
    """Let evidence meet the cases there are, within the caller's transaction.

    Evidence that a case has already, or that comes twice here, does nothing.

    Parameters
    ----------
    found : sequence of Admitted
        In the order it became known. Each bears its own moment, so no clock is asked.
    """
    if not found:
        return ()
    names = sorted({one.subscriber for one in found})
    await hold_citizens(connection, names)
    fresh = await _placed(connection, await _unknown(connection, found))
    episodes = await _episodes(connection, names)
    before = {name: episode.case for name, episode in episodes.items()}
    touched: dict[str, Case] = {}
    evidence: list[dict[str, Any]] = []
    admissions: list[Admission] = []
    for one in fresh:
        case, effect = meet(episodes.get(one.subscriber), one, config)
        episodes[one.subscriber] = _with(episodes.get(one.subscriber), case, one)
        touched[case.case_id] = case
        evidence.append(_row(one, case, effect))
        admissions.append(Admission(one.event_id, case.case_id, effect))
    known = {case.case_id for case in before.values()}
    await write_cases(connection, touched.values(), known)
    if evidence:
        await connection.execute(insert(EVIDENCE), evidence)
    return tuple(admissions)


async def hold_citizens(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Hold these citizens' cases, those to come included, to the end of the transaction."""
    await connection.execute(_LOCK, {"citizens": _CITIZENS, "names": list(names)})


async def _placed(connection: AsyncConnection, found: Sequence[Admitted]) -> list[Admitted]:
    """Evidence with its citizen's district, where we were told of one."""
    names = {one.subscriber for one in found if one.district is None}
    if not names:
        return list(found)
    known = await districts_of(connection, names)
    return [replace(one, district=one.district or known.get(one.subscriber)) for one in found]


async def write_cases(
    connection: AsyncConnection, cases: Iterable[Case], known: Iterable[str]
) -> None:
    """Insert cases that are new, change those whose ids are known; open pages hear of it."""
    rows = [case.row for case in cases]
    there = set(known)
    new = [row for row in rows if row["case_id"] not in there]
    changed = [row | {"id": row["case_id"]} for row in rows if row["case_id"] in there]
    if new:
        await connection.execute(insert(CASES), new)
    if changed:
        await connection.execute(update(CASES).where(CASES.c.case_id == bindparam("id")), changed)
    if rows:
        await announce(connection)


async def _unknown(connection: AsyncConnection, found: Sequence[Admitted]) -> list[Admitted]:
    once: dict[str, Admitted] = {}
    for one in found:
        once.setdefault(one.event_id, one)
    known = select(EVIDENCE.c.event_id).where(EVIDENCE.c.event_id.in_(list(once)))
    there = set(await connection.scalars(known))
    return [one for name, one in once.items() if name not in there]


async def _episodes(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Episode]:
    """Each citizen's last case, held against officers' changes till the transaction ends."""
    last = (
        select(CASES.c.case_id)
        .ext(distinct_on(CASES.c.subscriber))
        .where(CASES.c.subscriber.in_(names))
        .order_by(CASES.c.subscriber, CASES.c.opened_at.desc(), CASES.c.case_id.desc())
    )
    rows = await connection.execute(
        select(CASES).where(CASES.c.case_id.in_(last)).order_by(CASES.c.case_id).with_for_update()
    )
    cases = [Case.of(row) for row in rows.mappings()]
    closed = [case.case_id for case in cases if case.closed]
    ended = await _false_alarms(connection, closed) if closed else set()
    platforms = await _platforms(connection, closed) if closed else {}
    return {
        case.subscriber: Episode(
            case, case.case_id in ended, platforms.get(case.case_id, frozenset())
        )
        for case in cases
    }


async def _false_alarms(connection: AsyncConnection, closed: Sequence[str]) -> set[str]:
    last = (
        select(OUTCOMES.c.case_id, OUTCOMES.c.outcome)
        .ext(distinct_on(OUTCOMES.c.case_id))
        .where(OUTCOMES.c.case_id.in_(closed), OUTCOMES.c.reversed_at.is_(None))
        .order_by(OUTCOMES.c.case_id, OUTCOMES.c.known_at.desc())
    )
    return {row.case_id for row in await connection.execute(last) if row.outcome == "false_alarm"}


async def _platforms(
    connection: AsyncConnection, closed: Sequence[str]
) -> dict[str, frozenset[str]]:
    rows = await connection.execute(
        select(EVIDENCE.c.case_id, func.array_agg(EVIDENCE.c.platform.distinct()).label("spoke"))
        .where(EVIDENCE.c.case_id.in_(closed))
        .group_by(EVIDENCE.c.case_id)
    )
    return {row.case_id: frozenset(row.spoke) for row in rows}


def _with(last: Episode | None, case: Case, found: Admitted) -> Episode:
    same = last is not None and last.case.case_id == case.case_id
    platforms = (last.platforms if same and last else frozenset()) | {found.platform}
    episode = last if same and last else Episode(case)
    return replace(episode, case=case, platforms=platforms)


def _row(one: Admitted, case: Case, effect: Effect) -> dict[str, Any]:
    return {
        "event_id": one.event_id,
        "case_id": case.case_id,
        "kind": one.kind,
        "platform": one.platform,
        "level": one.level,
        "score": one.score,
        "scam_type": one.scam_type,
        "stage": one.stage,
        "occurred_at": one.occurred_at,
        "known_at": one.known_at,
        "effect": effect,
        "zh": one.zh,
        "en": one.en,
    }
