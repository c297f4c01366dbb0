"""Where officers' turns begin: a transaction each, with the city's rules and today's rates."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine

from models.dissuasion import Rates
from serving.access.roles import Actor
from serving.cases.config import CaseConfig
from serving.cases.forms import Turn
from serving.problems import Problem

__all__ = ["CaseRoom"]


class CaseRoom:
    """Gives each request of a person or a system its turn.

    Parameters
    ----------
    engine : AsyncEngine
        Of people's work, apart from the scores': a slow page does not hold up an answer.
    config : CaseConfig
    clock : callable
        Now, aware.

    Attributes
    ----------
    rates : Rates
        Of success, as last learnt.
    """

    def __init__(
        self, engine: AsyncEngine, config: CaseConfig, clock: Callable[[], datetime]
    ) -> None:
        self.engine = engine
        self.config = config
        self.clock = clock
        self.rates = Rates()

    @asynccontextmanager
    async def turn(self, actor: Actor) -> AsyncIterator[Turn]:
        """A transaction that commits with the block, and rolls back on an error.

        Raises
        ------
        Problem
            ``unavailable`` if the database is away; ``invalid-parameter`` for what it cannot hold.
        """
        try:
            async with self.engine.begin() as connection:
                yield Turn(connection, actor, self.clock(), self.config, self.rates)
        except exc.DataError:
            # such as the character zero; the driver's words repeat what was sent
            raise Problem(
                "invalid-parameter", "expected text and numbers that can be kept, found others"
            ) from None
        except (exc.OperationalError, exc.TimeoutError, OSError) as error:
            raise Problem(
                "unavailable", "nothing was recorded", {"degraded": ["cases"]}, 1
            ) from error
