"""Outcomes of cases as training reads them: how each ended, and from when to when that counted.

`serving` works cases in PostgreSQL and writes them out as this table, beside the history, which
`training` reads. Events are named by their ``event_id``, as in the history.
"""

import hashlib
import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.tables import TIME

__all__ = [
    "OUTCOME_SCHEMA",
    "Verdict",
    "outcomes_fingerprint",
    "read_outcomes",
    "standing",
    "write_outcomes",
]

FILE = "outcomes.parquet"


class Verdict(StrEnum):
    """What an outcome says about the events of its case."""

    FRAUD = "fraud"
    NONE = "none"
    CENSORED = "censored"  # we stepped in: what would have happened is not known


OUTCOME_SCHEMA = pa.schema(
    [
        ("outcome_id", pa.string()),
        ("case_id", pa.string()),
        ("subscriber", pa.string()),
        ("verdict", pa.string()),
        ("scam_type", pa.string()),
        ("began_at", TIME),
        ("ends_at", TIME),
        ("known_at", TIME),
        ("withdrawn_at", TIME),
        ("events", pa.list_(pa.string())),
    ]
)
"""One row an outcome. It speaks of its subscriber's events from ``began_at`` to ``ends_at``; those
in ``events`` made the case. It counts from ``known_at`` to ``withdrawn_at`` (null: it stands)."""


def write_outcomes(folder: Path, table: pa.Table) -> None:
    """Put all outcomes beside a history, in place of those written before.

    Since each bears when it was learnt and when it was taken back, a later table says the same
    about any earlier moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE}.{os.getpid()}"
    pq.write_table(table.cast(OUTCOME_SCHEMA), draft)
    draft.replace(folder / FILE)


def read_outcomes(folder: Path) -> pa.Table:
    """Outcomes beside a history; none where none were written.

    Examples
    --------
    >>> len(read_outcomes(Path("nowhere")))
    0
    """
    path = folder / FILE
    return pq.read_table(path, schema=OUTCOME_SCHEMA) if path.exists() else _none()


def standing(outcomes: pa.Table, as_of: datetime) -> pa.Table:
    """The outcomes that counted at a moment: of each case the last that was known and stood.

    Examples
    --------
    >>> len(standing(read_outcomes(Path("nowhere")), datetime.fromisoformat("2026-03-01T00:00Z")))
    0
    """
    moment = pa.scalar(as_of, TIME)
    stood = pc.fill_null(pc.greater_equal(outcomes["withdrawn_at"], moment), True)
    known = outcomes.filter(pc.and_(pc.less(outcomes["known_at"], moment), stood))
    known = known.sort_by([("known_at", "ascending"), ("outcome_id", "ascending")])
    last = {case: place for place, case in enumerate(known["case_id"].to_pylist())}
    return known.take(pa.array(sorted(last.values()), pa.int64()))


def outcomes_fingerprint(outcomes: pa.Table, as_of: datetime) -> str:
    """SHA-256 over the outcomes that counted at a moment; empty where none did."""
    rows = standing(outcomes, as_of).to_pylist()
    told = repr([[row[name] for name in _TOLD] for row in rows])
    return hashlib.sha256(told.encode()).hexdigest() if rows else ""


_TOLD = [name for name in OUTCOME_SCHEMA.names if name != "withdrawn_at"]


def _none() -> pa.Table:
    return OUTCOME_SCHEMA.empty_table()
