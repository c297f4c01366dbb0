"""What the keeper does: cases kept alive, rates learnt, outcomes given to training, logs sealed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncConnection

from data.database import connect
from data.settings import Settings
from models.dissuasion import Rates
from serving.access import Seals, seal_audit
from serving.cases import numbers
from serving.cases.chances import learnt_chances
from serving.cases.escalation import sweep
from serving.cases.labels import export
from serving.cases.pace import learnt_pace
from serving.cases.room import CaseRoom
from serving.cases.tables import FORMS
from serving.keeper import Due, Job, every

__all__ = ["AuditError", "Chores", "nightly", "prune_forms"]

FORMS_KEPT = timedelta(days=7)  # nobody clicks twice a week apart; the version would stop him
_QUIET = 3  # o'clock in the city
_LONG = text("SET LOCAL statement_timeout = '120s'")


class AuditError(RuntimeError):
    """The audit log is not as it was written."""


@dataclass(frozen=True)
class Chores:
    """The jobs of a deployment.

    Parameters
    ----------
    room : CaseRoom
        Whose rates are learnt.
    history : Path
        Where training reads outcomes.
    seals : Seals
    url : str
        Of the database, for what has its own connection.
    """

    room: CaseRoom
    history: Path
    seals: Seals
    url: str

    @classmethod
    def of(cls, settings: Settings, room: CaseRoom) -> "Chores":
        """Those of a worker whose stores are open."""
        url = settings.database_url or ""
        return cls(room, settings.var / "history", Seals.of(settings), url)

    @property
    def jobs(self) -> Sequence[Job]:
        """What is to be done, and when."""
        night = nightly(self.room.config.zone)
        return (
            Job("sweep_cases", every(minutes=1), self._sweep),
            Job("learn_rates", every(minutes=5), self._learn_rates, alone=False),
            Job("learn_pace", every(hours=1), self._learn_pace, alone=False),
            Job("export_outcomes", every(minutes=15), self._export),
            Job("prune_forms", every(hours=1), prune_forms),
            Job("forget_numbers", every(hours=6), numbers.forget),
            Job("seal_audit", night, self._seal),
        )

    async def _sweep(self, connection: AsyncConnection, now: datetime) -> None:
        await sweep(connection, now, self.room.config)

    async def _learn_rates(self, connection: AsyncConnection, now: datetime) -> None:
        learning = replace(Rates(), hazard=self.room.rates.hazard)
        found = await learnt_chances(connection, now, learning)
        # the pace may have been learnt meanwhile
        self.room.rates = replace(found, hazard=self.room.rates.hazard)

    async def _learn_pace(self, connection: AsyncConnection, now: datetime) -> None:
        hazard = await learnt_pace(connection, now)
        self.room.rates = replace(self.room.rates, hazard=hazard)

    async def _export(self, connection: AsyncConnection, _: datetime) -> None:
        await connection.execute(_LONG)
        await export(connection, self.history)

    async def _seal(self, _: AsyncConnection, now: datetime) -> None:
        await asyncio.to_thread(_sealed, self.url, self.seals, now)


def nightly(zone: str) -> Due:
    """Once a day, in the city's quiet hours.

    Examples
    --------
    >>> from datetime import UTC
    >>> due = nightly("Asia/Shanghai")
    >>> three = datetime(2026, 3, 1, 19, tzinfo=UTC)  # in Shanghai
    >>> [due(three - timedelta(hours=1), three + timedelta(hours=hour)) for hour in (-0.5, 0, 9)]
    [False, True, True]
    """

    def due(last: datetime | None, now: datetime) -> bool:
        local = now.astimezone(ZoneInfo(zone))
        night = local.replace(hour=_QUIET, minute=0, second=0, microsecond=0)
        if night > local:
            night -= timedelta(days=1)
        return last is None or last < night

    return due


async def prune_forms(connection: AsyncConnection, now: datetime) -> int:
    """Let go of forms that nobody sends again; how many."""
    found = await connection.execute(delete(FORMS).where(FORMS.c.at < now - FORMS_KEPT))
    return found.rowcount


def _sealed(url: str, seals: Seals, now: datetime) -> None:
    engine = connect(url)
    try:
        found = seal_audit(engine, seals, now)
    finally:
        engine.dispose()
    if found.fault is not None:
        raise AuditError(
            f"expected a sound audit log, found that {found.fault.en}; "
            "look at it with forewarn audit verify, and keep a copy of the database as it is"
        )
