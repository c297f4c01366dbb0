"""What PostgreSQL holds of requests, messages and appeals; the DDL stands in migration 0007."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)

from data.database import metadata

__all__ = ["APPEALS", "OUTBOX", "REQUESTS"]


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _cny(name: str) -> Column[Any]:
    return Column(name, Numeric(14, 2, asdecimal=False))


REQUESTS = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    _cny("amount_cny"),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Column("valid_h", Double, nullable=False),
    _time("expires_at"),
    Column("drafted_by", Text, nullable=False),
    _time("drafted_at"),
    Column("signed_by", Text),
    _time("signed_at", nullable=True),
    _time("sent_at", nullable=True),
    Column("answer", Text),
    Column("answer_words", Text),
    _cny("stopped_cny"),
    Column("answered_by", Text),
    _time("answered_at", nullable=True),
    Column("ended_by", Text),
    _time("ended_at", nullable=True),
    Column("end_reason", Text),
    _time("changed_at"),
    Column("version", Integer, nullable=False),
    Index("ix_requests_case", "case_id", "drafted_at"),
    Index("ix_requests_expires_at", "expires_at", postgresql_where=text("ended_at IS NULL")),
    Index(
        "ux_requests_live",
        "case_id",
        "kind",
        "receiver",
        "subject",
        unique=True,
        postgresql_where=text("ended_at IS NULL AND answer IS DISTINCT FROM 'refused'"),
    ),
)
"""One row a request; `serving.requests.request.Request` says what each column means."""

OUTBOX = Table(
    "outbox",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("request_id", Text, ForeignKey("requests.request_id"), nullable=False),
    Column("topic", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    _time("created_at"),
    _time("due_at"),
    Column("lease", Text),
    _time("leased_until", nullable=True),
    _time("tried_at", nullable=True),
    Column("status", SmallInteger),
    Column("excerpt", Text),
    Column("problem", Text),
    _time("delivered_at", nullable=True),
    Index("ix_outbox_due", "due_at", postgresql_where=text("state = 'pending'")),
    Index("ix_outbox_request", "request_id", "seq"),
)
"""Messages as they were signed; `serving.requests.outbox` sends them."""

APPEALS = Table(
    "appeals",
    metadata,
    Column("appeal_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("request_id", Text, ForeignKey("requests.request_id")),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("filed_by", Text, nullable=False),
    _time("filed_at"),
    _time("due_at"),
    Column("decided_by", Text),
    _time("decided_at", nullable=True),
    Column("reason", Text),
    Column("lifted", Integer),
    Column("outcome_id", Text, ForeignKey("outcomes.outcome_id")),
    Column("version", Integer, nullable=False),
    Index("ix_appeals_case", "case_id", "filed_at"),
    Index("ix_appeals_due", "due_at", postgresql_where=text("state = 'open'")),
    Index("ix_appeals_outcome", "outcome_id"),
)
"""Citizens' objections; ``outcome_id`` is the false alarm that an upheld one led to."""
