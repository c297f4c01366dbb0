"""From settings to what answers: stores reached and up to date, the bundle verified and open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace

from starlette.datastructures import State as AppState

from data.database import upgrade
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.quarantine import Sealer
from data.settings import Settings
from data.stores import open_database, open_valkey
from features import FRAUD_FEATURES
from serving.cases.config import CaseConfig
from serving.decisions import Ledger
from serving.door import Door
from serving.hotspots import Hotspots
from serving.incidents import IncidentDesk
from serving.judge import Judge
from serving.maps import Maps
from serving.planner import Planner
from serving.recovery import recover
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

    def hand_to(self, state: AppState) -> None:
        """Let an application's handlers find each by its name."""
        for each in fields(self):
            setattr(state, each.name, getattr(self, each.name))

    async def close(self) -> None:
        """Finish what was begun."""
        await self.planner.close()
        self.hotspots.close()
        await self.incidents.close()
        await self.scorer.close()


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
        try:
            yield parts
        finally:
            await parts.close()


def _brought_up_to_date(settings: Settings) -> None:
    upgrade(settings.database_url or "")
    recover(settings, progress=lambda _step, _share: None)


def _parts(settings: Settings, scorer: Scorer) -> Opened:
    maps = Maps.of(settings)
    return Opened(scorer, maps, Hotspots(maps), Planner(maps), IncidentDesk(settings))


def _scorer(settings: Settings, database: str, valkey: str) -> Scorer:
    pseudonymiser = Pseudonymiser.from_settings(settings)
    shelf = Shelf.of(settings, FRAUD_FEATURES)
    champion = shelf.champion()
    cases = replace(CaseConfig.of(champion.bundle.policy), zone=settings.zone)

    def judges(version: str) -> Judge | None:
        return champion if version == champion.bundle.version else shelf.version(version)

    return Scorer(
        Door(Intake(pseudonymiser), Sealer(pseudonymiser)),
        State(valkey, FRAUD_FEATURES, settings.zone),
        Ledger(database, cases=cases),
        champion,
        judges,
    )
