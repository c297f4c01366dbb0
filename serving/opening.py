"""From settings to what answers: stores reached and up to date, the bundle verified and open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.datastructures import State as AppState

from data.database import upgrade
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.quarantine import Sealer
from data.settings import Settings
from data.stores import open_database, open_valkey
from features import FRAUD_FEATURES
from serving.access import Credentials, LocalIdentity, Seals, SignIn
from serving.cases.config import CaseConfig
from serving.cases.live import Live
from serving.cases.numbers import Numbers
from serving.cases.room import CaseRoom
from serving.decisions import Ledger
from serving.door import Door
from serving.hotspots import Hotspots
from serving.housekeeping import Chores
from serving.incidents import IncidentDesk
from serving.judge import Judge
from serving.keeper import Keeper
from serving.maps import Maps
from serving.planner import Planner
from serving.recovery import recover
from serving.requests import Courier, Office, Outbox
from serving.rules import Book
from serving.rules.desk import RuleDesk
from serving.rules.trial import Trials
from serving.scorer import Scorer
from serving.shelf import Shelf
from serving.state import State

__all__ = ["Opened", "opened"]


@dataclass(frozen=True)
class Opened:
    """What answers the requests of a worker."""

    scorer: Scorer
    maps: Maps
    hotspots: Hotspots
    planner: Planner
    incidents: IncidentDesk
    credentials: Credentials
    identity: LocalIdentity
    sign_in: SignIn
    cases: CaseRoom
    notice: str
    keeper: Keeper
    names: Pseudonymiser
    numbers: Numbers
    live: Live
    rules: RuleDesk
    office: Office
    courier: Courier
    seals: Seals

    def hand_to(self, state: AppState) -> None:
        """Let an application's handlers find each by its name."""
        for each in fields(self):
            setattr(state, each.name, getattr(self, each.name))

    async def close(self) -> None:
        """Finish what was begun."""
        await self.keeper.close()
        await self.live.close()
        await self.rules.close()
        await self.courier.close()
        await self.planner.close()
        self.hotspots.close()
        await self.incidents.close()
        await self.scorer.close()
        await self.cases.engine.dispose()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """A worker's parts for the length of a block.

    It brings the database and feature state up to date itself, so that a worker that BentoML
    started without our supervisor is right as well; where that was done, it costs nothing.

    Raises
    ------
    StoreError
        If a store cannot be reached or started.
    BundleError
        If there is no bundle, or it must not be used.
    """
    with open_database(settings) as database, open_valkey(settings) as valkey:
        settings = replace(settings, database_url=database, valkey_url=valkey)
        await asyncio.to_thread(_brought_up_to_date, settings)
        parts = _parts(settings, _scorer(settings, database, valkey))
        await parts.scorer.open()
        parts.live.open()
        await parts.keeper.open()
        await parts.courier.open()
        try:
            yield parts
        finally:
            await parts.close()


def _brought_up_to_date(settings: Settings) -> None:
    upgrade(settings.database_url or "")
    recover(settings, progress=lambda _step, _share: None)


def _parts(settings: Settings, scorer: Scorer) -> Opened:
    maps, people = Maps.of(settings), _people(settings.database_url or "")
    identity = LocalIdentity(people)
    cases = CaseRoom(people, _cases(settings, scorer.judge), _now)
    office = Office.from_settings(settings)
    return Opened(
        scorer=scorer,
        maps=maps,
        hotspots=Hotspots(maps),
        planner=Planner(maps),
        incidents=IncidentDesk(settings),
        credentials=Credentials(people, _now, https=settings.https),
        identity=identity,
        sign_in=SignIn(people, identity, _now),
        cases=cases,
        notice=settings.notice,
        keeper=Keeper(people, _now, Chores.of(settings, cases).jobs),
        names=Pseudonymiser.from_settings(settings),
        numbers=Numbers(Pseudonymiser.from_settings(settings)),
        live=Live(people.url),
        rules=RuleDesk(cases, Pseudonymiser.from_settings(settings), Trials(settings)),
        office=office,
        courier=Courier(people, Outbox(people, office), _now),
        seals=Seals.of(settings),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _people(url: str) -> AsyncEngine:
    """Connections for people's work, apart from the scores'."""
    return create_async_engine(
        url,
        pool_size=8,
        max_overflow=8,
        pool_timeout=5,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 2,
            "options": "-c statement_timeout=8000 -c timezone=UTC",
        },
    )


def _cases(settings: Settings, judge: Judge) -> CaseConfig:
    return replace(CaseConfig.of(judge.bundle.policy), zone=settings.zone)


def _scorer(settings: Settings, database: str, valkey: str) -> Scorer:
    pseudonymiser = Pseudonymiser.from_settings(settings)
    shelf = Shelf.of(settings, FRAUD_FEATURES)
    champion = shelf.champion()

    def judges(version: str) -> Judge | None:
        return champion if version == champion.bundle.version else shelf.version(version)

    return Scorer(
        Door(Intake(pseudonymiser), Sealer(pseudonymiser), Numbers(pseudonymiser)),
        State(valkey, FRAUD_FEATURES, settings.zone),
        Ledger(database, cases=_cases(settings, champion)),
        champion,
        judges,
        Book(database, FRAUD_FEATURES, _now),
    )
