"""Who takes part in a demonstration: the city's key, a bank, and people who sign in."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pyarrow as pa
from sqlalchemy import Engine, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from data.database import connect
from data.settings import Settings
from experiments.demo_bank import Bank
from serving.access import MAY, Action, Actor, Desk, LocalIdentity, Role
from serving.cases.districts import keep

__all__ = ["PEOPLE", "People", "people"]

PEOPLE: Mapping[str, Role] = {
    "demo.officer": Role.OFFICER,
    "demo.supervisor": Role.SUPERVISOR,
    "demo.approver": Role.APPROVER,
    "demo.scientist": Role.DATA_SCIENTIST,
    "demo.auditor": Role.AUDITOR,
}
_BY = Actor("demonstration", Role.ADMINISTRATOR)


@dataclass(frozen=True)
class People:
    """What opens the doors of a demonstration.

    Parameters
    ----------
    key : str
        Of the system that plays the city.
    passwords : mapping of account name to str
        Their own, chosen by them: none is asked to be changed.
    """

    key: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)

    def entrance(self, url: str, name: str) -> str:
        """Address of the sign-in page with the form filled in.

        What stands after ``#`` stays in the browser: no server sees it, no log keeps it.
        """
        filled = urlencode({"name": name, "password": self.passwords[name]})
        return f"{url}/console/sign-in#{filled}"


def people(settings: Settings, citizens: pa.Table, bank: Bank) -> tuple[People, Path]:
    """Do what an administrator does before the first day: keys, accounts, districts, a receiver.

    Parameters
    ----------
    settings : Settings
        With the database's address.
    citizens : Table
        Pseudonyms and districts.
    bank : Bank
        Gets its key.

    Returns
    -------
    people : People
    receivers : Path
        What ``FOREWARN_RECEIVERS`` names.
    """
    engine = connect(settings.database_url or "")
    try:
        desk = Desk(engine, _BY, lambda: datetime.now(UTC))
        _, key = desk.new_key("simulated city", MAY[Role.SYSTEM] - {Action.ANSWER_MEASURE})
        own, bank.key = desk.new_key("simulated bank", [Action.ANSWER_MEASURE])
        known = People(key, {name: _account(engine, desk, name) for name in PEOPLE})
        with engine.begin() as connection:
            keep(connection, _districts(citizens), datetime.now(UTC))
    finally:
        engine.dispose()
    return known, bank.settings(settings.var, own.key_id)


def _districts(citizens: pa.Table) -> dict[str, str]:
    names, places = (citizens.column(name).to_pylist() for name in ("subscriber", "district"))
    return dict(zip(names, places, strict=True))


def _account(engine: Engine, desk: Desk, name: str) -> str:
    given_out = desk.add_account(name, PEOPLE[name])
    own = secrets.token_urlsafe(15)

    async def changed() -> None:
        asynchronous = create_async_engine(engine.url, poolclass=NullPool)
        try:
            identity = LocalIdentity(asynchronous)
            await identity.change(name, given_out, own, datetime.now(UTC))
        finally:
            await asynchronous.dispose()

    asyncio.run(changed())
    return own
