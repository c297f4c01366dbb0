"""The live rules and lists as a worker has them, never older than some seconds.

Every change raises one number in PostgreSQL; each worker asks for that number once a second and
reads rules and lists anew when it has risen. While PostgreSQL is away, what was read last stands;
what expires, expires by the clock all the same.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from data.events import Event
from features.spec import FeatureSet
from models.conditions import Bools
from models.rules import Rule, RuleError, RuleSet, parse_rule
from serving.rules.standing import Pair, Standing
from serving.rules.tables import BOOK, ENTRIES, VERSIONS

__all__ = ["REFRESH_S", "Book", "Found", "Members", "listed_among", "read_members"]

_LOG = logging.getLogger("forewarn.rules")
REFRESH_S = 1.0
Found = tuple[str, datetime]  # id of an entry, and when it expires
Members = Mapping[str, Mapping[str, tuple[Found, ...]]]
"""Of each list, by member."""


@dataclass(frozen=True)
class _Read:
    """Rules and lists as of one number of the book."""

    generation: int = -1
    rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    broken: tuple[str, ...] = ()
    members: Members = field(default_factory=dict)


class Book:
    """Live rules and lists for one worker.

    Parameters
    ----------
    url : str
        ``postgresql+psycopg://…``
    features : FeatureSet
        That vectors are made of.
    clock : callable
        Now, aware.
    """

    def __init__(self, url: str, features: FeatureSet, clock: Callable[[], datetime]) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=2,
            max_overflow=0,
            pool_timeout=2,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 2,
                "options": "-c statement_timeout=8000 -c timezone=UTC",
            },
        )
        self._features, self._clock = features, clock
        self._read = _Read()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read what is live, and keep up with it."""
        await self.refresh()
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Let go."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._engine.dispose()

    def standing(self, events: Sequence[Event]) -> Standing | None:
        """What stands for a batch; None without live rules, which costs nothing."""
        read = self._read
        if not (read.rules.rules or read.broken):
            return None
        now = self._clock()
        rules = read.rules.at(now)
        listed, entries = listed_among(events, rules.asks, read.members, now)
        return Standing(rules, listed, entries, read.broken)

    async def past(self, keys: Iterable[str]) -> RuleSet | None:
        """The rules of some names and versions; None if one cannot be read any more."""
        wanted = set(keys)
        names = {key.partition("@")[0] for key in wanted}
        query = select(VERSIONS).where(VERSIONS.c.name.in_(names))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query.order_by(VERSIONS.c.name))).all()
        chosen = [row for row in rows if f"{row.name}@{row.version}" in wanted]
        rules, broken = _parsed(chosen, self._features)
        return None if broken or len(rules) != len(wanted) else RuleSet(rules)

    async def refresh(self) -> None:
        """Read anew if there was a change."""
        async with self._engine.connect() as connection:
            generation = await connection.scalar(select(BOOK.c.generation))
            if generation == self._read.generation:
                return
            live = select(VERSIONS).where(VERSIONS.c.state == "live").order_by(VERSIONS.c.name)
            rows = (await connection.execute(live)).all()
            members = await read_members(connection, self._clock())
        rules, broken = _parsed(rows, self._features)
        for key in broken:
            _LOG.error("live rule %s cannot be read under today's features; retire or mend it", key)
        self._read = _Read(int(generation or 0), RuleSet(rules), broken, members)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _LOG.warning("rules could not be read anew: %s", type(error).__name__)


async def read_members(connection: AsyncConnection, now: datetime) -> Members:
    """Who is on which list; of those who wait for a second person none."""
    live = ENTRIES.c.live_at.is_not(None) & ENTRIES.c.removed_at.is_(None)
    counts = live & (ENTRIES.c.expires_at > now)
    columns = (ENTRIES.c.list, ENTRIES.c.member, ENTRIES.c.entry_id, ENTRIES.c.expires_at)
    found: dict[str, dict[str, tuple[Found, ...]]] = {}
    for row in await connection.execute(select(*columns).where(counts).order_by(columns[2])):
        members = found.setdefault(row.list, {})
        members[row.member] = (*members.get(row.member, ()), (row.entry_id, row.expires_at))
    return found


def listed_among(
    events: Sequence[Event], asks: Iterable[Pair], members: Members, now: datetime
) -> tuple[dict[Pair, Bools], tuple[tuple[str, ...], ...]]:
    """Whom the lists have among those in some events, and by which entries."""
    listed = {pair: np.zeros(len(events), np.bool_) for pair in sorted(asks)}
    entries: list[list[str]] = [[] for _ in events]
    for (name, role), mask in listed.items():
        there = members.get(name, {})
        for place, event in enumerate(events if there else ()):
            for entry_id, expires_at in there.get(getattr(event, role, None) or "", ()):
                if now < expires_at:
                    mask[place] = True
                    entries[place].append(entry_id)
    return listed, tuple(tuple(dict.fromkeys(each)) for each in entries)


def _parsed(
    rows: Sequence[object], features: FeatureSet
) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    rules: list[Rule] = []
    broken: list[str] = []
    for row in rows:
        name, version, content = row.name, row.version, row.content  # type: ignore[attr-defined]
        try:
            rules.append(parse_rule(content, features, version=version))
        except RuleError:
            broken.append(f"{name}@{version}")
    return tuple(rules), tuple(broken)
