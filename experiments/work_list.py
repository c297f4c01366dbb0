"""How long a look at a work list takes when ten thousand cases wait, beside a plain ORDER BY.

Ours weighs each case by what can still be prevented and by all that was tried with the citizen,
leaves out those who may not be contacted now, and says who spoke to each. The rival is what a
console without it would ask: the same columns, the highest scores first. Both read as many lines
from the same PostgreSQL in the same run, in turns.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from data.database import upgrade
from data.settings import Settings
from data.stores import open_database
from experiments.result import Result
from serving.access.roles import Actor, Role
from serving.cases.case import Case, State
from serving.cases.config import CaseConfig
from serving.cases.forms import Turn
from serving.cases.ids import new_id
from serving.cases.tables import ATTEMPTS, CASES
from serving.cases.work_list import listed

__all__ = ["run"]

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)
LI = Actor("li", Role.OFFICER)
LINES = 50  # a page of the console
SHIFT_MINUTES = 480.0
TOURS = 15
Progress = Callable[[str, float], None]


@dataclass
class Looks:
    """Milliseconds of each look, by who looked."""

    took: dict[str, list[float]] = field(default_factory=dict)

    async def at(self, name: str, work: Awaitable[Sequence[Any]]) -> int:
        """Time one look; how many lines it gave."""
        began = time.perf_counter()
        found = await work
        self.took.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
        return len(found)

    def median(self, name: str) -> float:
        """Milliseconds that half of the looks stayed below."""
        return float(np.median(self.took[name]))


def run(
    *,
    quick: bool = False,
    real_data: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure a look at the list, with backlogs of several lengths.

    Parameters
    ----------
    quick
        Up to a thousand cases.
    real_data
        Not used: the cases are made up.
    progress
        Told a sentence and the share done.
    """
    del real_data
    lengths = (100, 1_000) if quick else (100, 1_000, 10_000)
    say = progress or (lambda _sentence, _share: None)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(Settings(var=Path(folder))) as url,
    ):
        upgrade(url)
        found = {}
        for number, length in enumerate(lengths):
            say(f"{length:,} open cases", number / len(lengths))
            found[length] = asyncio.run(_measured(url, length))
    return _result(found)


async def _measured(url: str, length: int) -> Looks:
    engine = create_async_engine(url, connect_args={"options": "-c timezone=UTC"})
    try:
        await _lay(engine, length)
        looks = Looks()
        for _ in range(TOURS):
            async with engine.connect() as connection:
                turn = Turn(connection, LI, NOW, CaseConfig.preset())
                await looks.at("whole", listed(turn, SHIFT_MINUTES))
                lines = await looks.at("ours", listed(turn, SHIFT_MINUTES, LINES))
                await looks.at("plain", _plain(connection, lines))
        return looks
    finally:
        await engine.dispose()


async def _plain(connection: AsyncConnection, lines: int) -> Sequence[Case]:
    query = (
        select(CASES).where(CASES.c.state == State.OPEN).order_by(CASES.c.score.desc()).limit(lines)
    )
    return [Case.of(row) for row in (await connection.execute(query)).mappings()]


async def _lay(engine: AsyncEngine, length: int) -> None:
    """A backlog of so many cases of the last days, an attempt with every second citizen."""
    luck = Random(20260310)
    cases = [_case(luck, number) for number in range(length)]
    tried = [_attempt(luck, case) for case in cases for _ in range(luck.choice((0, 0, 1, 2)))]
    async with engine.begin() as connection:
        await connection.execute(ATTEMPTS.delete())
        await connection.execute(CASES.delete())
        await connection.execute(insert(CASES), [case.row for case in cases])
        await connection.execute(insert(ATTEMPTS), tried)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("VACUUM ANALYZE cases, attempts")


def _case(luck: Random, number: int) -> Case:
    at = NOW - timedelta(minutes=luck.uniform(20, 4_000))
    stage = luck.choice(("contact", "engaged", "paying"))
    return Case(
        case_id=new_id(at),
        subscriber=f"tel_{number:032x}",
        state=State.OPEN,
        opened_at=at,
        episode_ends_at=at + timedelta(days=7),
        level="yellow",
        urgency=1,
        score=luck.betavariate(1, 3),
        stage=stage,
        stage_at=at,
        scam_type="loan",
        expected_loss_cny=round(luck.lognormvariate(10, 1), 2),
        deadline_at=at + timedelta(hours=1),
        district=None,
        start_tier="city",
        tier="city",
        changed_at=at,
    )


def _attempt(luck: Random, case: Case) -> dict[str, Any]:
    at = NOW - timedelta(minutes=luck.uniform(15, 600))
    reached = luck.random() < 0.6
    return {
        "attempt_id": new_id(at),
        "case_id": case.case_id,
        "subscriber": case.subscriber,
        "platform": "96110",
        "channel": luck.choice(("call_96110", "visit")),
        "script": "plain",
        "reached": reached,
        "believed": False if reached else None,
        "refused": False,
        "minutes": 4.0,
        "at": at,
        "recorded_at": at,
        "recorded_by": "li",
    }


def _result(found: dict[int, Looks]) -> Result:
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {}
    for length, looks in found.items():
        ours, whole, plain = (looks.median(name) for name in ("ours", "whole", "plain"))
        rows.append(
            (f"{length:,}", f"{ours:.0f}", f"{whole:.0f}", f"{plain:.1f}", f"{ours / plain:.1f}")
        )
        figures |= {
            f"ours_ms_{length}": round(ours, 1),
            f"whole_shift_ms_{length}": round(whole, 1),
            f"plain_ms_{length}": round(plain, 2),
            f"ratio_{length}": round(ours / plain, 1),
        }
    return Result(
        "A look at the work list (made-up cases)",
        ("open cases", f"our {LINES}, ms", "a shift's whole list, ms", "by score, ms", "ratio"),
        rows,
        figures,
        (
            f"Median of {TOURS} looks, in turns; one officer's shift of {SHIFT_MINUTES:.0f} min.",
            f"The rival reads the same columns of the {LINES} cases with the highest score.",
        ),
    )
