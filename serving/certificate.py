"""The certificate of what was served: every recorded vector, made again in bulk from the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select, true

from data.database import database_of
from data.settings import Settings
from features import FRAUD_FEATURES
from features.replay import Certificate, certify
from serving.decisions import DECISIONS, vector_of
from serving.recovery import history_of, read_truth

__all__ = ["Certified", "certify_decisions"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Certified:
    """What a replay of the recorded decisions found.

    Parameters
    ----------
    certificate : Certificate
    decisions : int
        Decisions looked at.
    others : int
        Decisions of the same time made by other feature definitions; they are left to the release
        that made them.
    """

    certificate: Certificate
    decisions: int
    others: int


def certify_decisions(
    settings: Settings, *, since: datetime | None = None, progress: Progress | None = None
) -> Certified:
    """Replay the vectors of recorded decisions from history and log, and compare every bit.

    Parameters
    ----------
    settings : Settings
        Whose database and history.
    since : datetime, optional
        Only decisions made at or after this moment (aware); the replay still begins with the
        first event.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    Certified

    Raises
    ------
    StoreError
        If PostgreSQL cannot be reached or started.
    """
    tell = progress or (lambda _: None)
    with database_of(settings) as engine, engine.connect() as connection:
        tell("reading decisions")
        served, others = _served(connection, since)
        tell(f"reading the events behind {len(served[0]):,} decisions")
        truth = read_truth(history_of(settings), connection)
    tell(f"replaying {truth.num_rows:,} events")
    found = certify(truth, served, FRAUD_FEATURES, zone=settings.zone)
    return Certified(found, len(served[0]), others)


def _served(
    connection: Connection, since: datetime | None
) -> tuple[tuple[NDArray[np.int64], NDArray[np.float64]], int]:
    """Orders of arrival and vectors under today's definitions; how many there are under others."""
    ours = DECISIONS.c.features_version == FRAUD_FEATURES.digest
    period = true() if since is None else DECISIONS.c.decided_at >= since
    query = select(DECISIONS.c.seq, DECISIONS.c.vector).where(ours, period)
    rows = connection.execute(query.order_by(DECISIONS.c.seq)).all()
    counted = select(func.count()).select_from(DECISIONS).where(~ours, period)
    others = connection.execute(counted).scalar_one()
    seq = np.array([row.seq for row in rows], dtype=np.int64)
    vectors = [vector_of(row.vector) for row in rows]
    empty = np.empty((0, len(FRAUD_FEATURES)))
    return (seq, np.stack(vectors) if vectors else empty), int(others)
