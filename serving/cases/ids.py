"""Names of our own that sort by the time they were given."""

import secrets
import uuid
from datetime import datetime

__all__ = ["new_id"]


def new_id(at: datetime) -> str:
    """A name nobody else gives, in order of time to the millisecond.

    References
    ----------
    RFC 9562, section 5.7 (UUID version 7).

    Examples
    --------
    >>> from datetime import UTC
    >>> early, late = (new_id(datetime(2026, 3, day, tzinfo=UTC)) for day in (1, 2))
    >>> early < late, uuid.UUID(late).version
    (True, 7)
    """
    since = int(at.timestamp() * 1_000) << 80
    rest = secrets.randbits(80) & ~(0xF << 76 | 0x3 << 62)
    return str(uuid.UUID(int=since | rest | 0x7 << 76 | 0x2 << 62))
