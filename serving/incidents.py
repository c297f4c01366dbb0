"""Live incidents over HTTP: each recorded once, or kept sealed with the reason it was refused.

An incident has a place, a time and a category; a record that names a person breaks the contract
and goes to the quarantine, its values told to nobody.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from data.database import adding_incidents, incident_row, incidents
from data.incident_ingest import incident_history, live_intake
from data.incident_intake import IncidentIntake
from data.incidents import Incident
from data.problems import Problem as FieldProblem
from data.problems import RejectedRecord, found_in
from data.pseudonyms import Pseudonymiser
from data.quarantine import INCIDENTS, Sealer, keeping
from data.settings import Settings
from serving import contracts, metrics
from serving.door import Refused
from serving.hotspot_contracts import IncidentReceipt, RefusedIncident
from serving.scorer import log_at_hand

__all__ = ["SOURCE", "IncidentDesk"]

SOURCE = f"{INCIDENTS}api"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Passed:
    """An incident, and which fields its sender gave: what we filled in is not held against it."""

    incident: Incident
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.incident.incident_id

    @property
    def origin_assumed(self) -> bool:
        """Whether its sender leaves open how it came to be known."""
        return self.record.get("origin") is None

    def agrees_with(self, row: Row) -> bool:
        sent = {name for name, value in self.record.items() if value is not None} - {"version"}
        said = incident_row(self.incident)
        return all(said[name] == row[name] for name in sent)


class IncidentDesk:
    """Takes incidents in.

    Parameters
    ----------
    settings : Settings
        Where the database and the city's limits are, and the key of the quarantine's seal.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sealer = Sealer(Pseudonymiser.from_settings(settings))
        self._engine: AsyncEngine = create_async_engine(
            settings.database_url or "",
            pool_size=2,
            max_overflow=0,
            pool_timeout=2,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 2,
                "options": "-c statement_timeout=4000 -c timezone=UTC",
            },
        )
        self._limits_of: int | None = None
        self._door: IncidentIntake | None = None

    async def close(self) -> None:
        """Let the connections go."""
        await self._engine.dispose()

    async def take_in(self, records: Sequence[Any]) -> IncidentReceipt:
        """Record incidents; the same incident_id counts once.

        Raises
        ------
        Problem
            If nothing can be recorded now, or a single record is refused.
        """
        found = await asyncio.to_thread(self._judged, records)
        with log_at_hand():
            async with self._engine.begin() as connection:
                new = await _add(connection, found)
                found = self._told_apart(found, await _known(connection, found))
                refused = [one for one in found if isinstance(one, Refused)]
                if refused:
                    await connection.execute(keeping(), _in_order(refused))
        metrics.quarantined(len(refused))
        if refused and len(found) == 1:
            raise refused[0].problem()
        return _receipt(found, new)

    def _judged(self, records: Sequence[Any]) -> list[_Passed | Refused]:
        door = self._current_door()
        return [self._one(door, record) for record in records]

    def _one(self, door: IncidentIntake, record: Any) -> _Passed | Refused:
        if not isinstance(record, Mapping):
            error = FieldProblem("record", "an object", found_in(record), "send one incident")
            return self._refused(record, [error])
        try:
            return _Passed(door.one(record), record)
        except RejectedRecord as rejected:
            return self._refused(record, rejected.problems)

    def _told_apart(
        self, found: Sequence[_Passed | Refused], known: Mapping[str, Row]
    ) -> list[_Passed | Refused]:
        """Refuse who comes second under an incident_id with other content."""
        return [
            one
            if isinstance(one, Refused) or one.agrees_with(known[one.name])
            else self._taken(one)
            for one in found
        ]

    def _taken(self, passed: _Passed) -> Refused:
        error = FieldProblem(
            "incident_id",
            "a new incident_id for another incident",
            "the id of a recorded incident with other content",
            "send it under an id of its own",
        )
        return self._refused(passed.record, [error], "incident-id-taken")

    def _refused(
        self, record: Any, errors: Sequence[FieldProblem], kind: str = "invalid-event"
    ) -> Refused:
        return Refused(errors, self._sealer.row(record, errors, source=SOURCE), kind)

    def _current_door(self) -> IncidentIntake:
        """The door with the limits that lie there now: a file brought in may have moved them."""
        path = incident_history(self._settings).root / "extent.json"
        written = path.stat().st_mtime_ns if path.exists() else None
        if self._door is None or written != self._limits_of:
            self._door, self._limits_of = live_intake(self._settings), written
        return self._door


async def _add(connection: AsyncConnection, found: Sequence[_Passed | Refused]) -> set[str]:
    """Record what passed; the ids of those that were new."""
    first: dict[str, Row] = {}
    for one in found:
        if isinstance(one, _Passed):
            first.setdefault(one.name, incident_row(one.incident))
    if not first:
        return set()
    # in one order whoever sends them, so that two requests cannot wait for each other
    rows = [row for _, row in sorted(first.items())]
    statement = adding_incidents().values(rows)
    return set(await connection.scalars(statement.returning(incidents.c.incident_id)))


async def _known(connection: AsyncConnection, found: Sequence[_Passed | Refused]) -> dict[str, Row]:
    """What is recorded under the ids of those that passed."""
    names = [one.name for one in found if isinstance(one, _Passed)]
    if not names:
        return {}
    query = select(incidents).where(incidents.c.incident_id.in_(names))
    rows = (await connection.execute(query)).mappings()
    return {row["incident_id"]: dict(row) for row in rows}


def _in_order(refused: Sequence[Refused]) -> list[dict[str, Any]]:
    return sorted((dict(one.row) for one in refused), key=lambda row: str(row["id"]))


def _receipt(found: Sequence[_Passed | Refused], new: set[str]) -> IncidentReceipt:
    passed = [one for one in found if isinstance(one, _Passed)]
    return IncidentReceipt(
        accepted=len(passed),
        duplicates=len(passed) - len(new),
        origin_assumed=sum(one.origin_assumed for one in passed),
        refused=tuple(
            _told(index, one) for index, one in enumerate(found) if isinstance(one, Refused)
        ),
    )


def _told(index: int, one: Refused) -> RefusedIncident:
    return RefusedIncident(
        index=index,
        type=one.problem().kind.uri,
        quarantine_id=one.row["id"],
        errors=tuple(contracts.FieldProblem(**error.as_dict()) for error in one.errors),
    )
