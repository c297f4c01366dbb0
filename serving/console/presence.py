"""Whether somebody whose page stays open is still the one who opened it."""

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from serving.access.credentials import Credentials
from serving.access.gate import actor_of
from serving.access.roles import Action
from serving.access.sessions import SessionLimits, read_session
from serving.cases.room import CaseRoom

__all__ = ["still_there"]


async def still_there(request: Request, action: Action) -> bool:
    """Whether his session lives, and he may still do this, in the same district.

    Looking does not count as being there: an open page alone keeps no session alive. While the
    database is away nobody is sent out.
    """
    token = request.scope["state"].get("token")
    if token is None:
        return True
    room: CaseRoom = request.app.state.cases
    try:
        async with room.engine.connect() as connection:
            found = await connection.run_sync(read_session, token, room.clock(), _limits(request))
            await connection.rollback()
    except (SQLAlchemyError, OSError):
        return True
    before = actor_of(request.scope)
    return found is not None and found.may(action) and found.district == before.district


def _limits(request: Request) -> SessionLimits:
    credentials: Credentials = request.app.state.credentials
    return credentials.limits
