"""What PostgreSQL holds of cases; the DDL stands in migrations 0006 and 0011."""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from data.database import metadata

__all__ = ["ATTEMPTS", "CASES", "DISTRICTS", "EVIDENCE", "FORMS", "NOTES", "OUTCOMES"]


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _cny(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, Numeric(14, 2, asdecimal=False), nullable=nullable)


def _case(*, nullable: bool = False) -> Column[Any]:
    return Column("case_id", Text, ForeignKey("cases.case_id"), nullable=nullable)


CASES = Table(
    "cases",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("subscriber", Text, nullable=False),
    Column("state", Text, nullable=False),
    _time("opened_at"),
    _time("episode_ends_at"),
    Column("level", Text, nullable=False),
    Column("urgency", SmallInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("stage", Text, nullable=False),
    _time("stage_at"),
    Column("scam_type", Text, nullable=False),
    _cny("expected_loss_cny", nullable=False),
    _time("deadline_at"),
    _time("met_at", nullable=True),
    Column("district", Text),
    Column("start_tier", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("assignee", Text),
    Column("locked_by", Text),
    _time("locked_until", nullable=True),
    _time("snoozed_until", nullable=True),
    Column("snooze_reason", Text),
    _time("closed_at", nullable=True),
    _time("changed_at"),
    Column("version", Integer, nullable=False),
    Index(
        "ux_cases_open_subscriber",
        "subscriber",
        unique=True,
        postgresql_where=text("state <> 'closed'"),
    ),
    Index("ix_cases_subscriber", "subscriber", "opened_at"),
    Index("ix_cases_deadline", "deadline_at", postgresql_where=text("state <> 'closed'")),
)
"""One row an episode of a citizen; `serving.cases.case.Case` says what each column means."""

EVIDENCE = Table(
    "case_evidence",
    metadata,
    Column("event_id", Text, primary_key=True),
    _case(),
    Column("kind", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("score", Double),
    Column("scam_type", Text),
    Column("stage", Text),
    _time("occurred_at"),
    _time("known_at"),
    Column("effect", Text, nullable=False),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Index("ix_case_evidence_case", "case_id", "known_at"),
)
"""The timeline: an alert or a lead each, what it said, and what it did to the case."""

ATTEMPTS = Table(
    "attempts",
    metadata,
    Column("attempt_id", Text, primary_key=True),
    _case(nullable=True),
    Column("subscriber", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("script", Text, nullable=False),
    Column("reached", Boolean, nullable=False),
    Column("believed", Boolean),
    Column("refused", Boolean, nullable=False),
    Column("minutes", Double, nullable=False),
    _time("at"),
    _time("recorded_at"),
    Column("recorded_by", Text, nullable=False),
    Index("ix_attempts_subscriber", "subscriber", "at"),
    Index("ix_attempts_case", "case_id", "at"),
)
"""Contacts with a citizen, whoever made them; without a case where he had no open one."""

OUTCOMES = Table(
    "outcomes",
    metadata,
    Column("outcome_id", Text, primary_key=True),
    _case(),
    Column("subscriber", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("scam_type", Text, nullable=False),
    _cny("loss_cny"),
    _cny("avoided_cny"),
    Column("avoided_method", Text),
    Column("intervened", Boolean, nullable=False),
    _time("episode_began_at"),
    _time("episode_ends_at"),
    _time("known_at"),
    Column("recorded_by", Text, nullable=False),
    _time("reversed_at", nullable=True),
    Column("reversed_by", Text),
    Column("reversal_reason", Text),
    Index("ix_outcomes_case", "case_id", "known_at"),
)
"""How cases ended, as far as we knew; a reversed outcome stays, with when and why."""

NOTES = Table(
    "case_notes",
    metadata,
    Column("note_id", Text, primary_key=True),
    _case(),
    Column("text", Text, nullable=False),
    Column("by", Text, nullable=False),
    _time("at"),
    Index("ix_case_notes_case", "case_id", "at"),
)

FORMS = Table(
    "case_forms",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("answer", JSONB),
    _time("at"),
    Index("ix_case_forms_at", "at"),
)
"""Forms that were sent, by whom, and their first answers: a double click gets the same one."""

DISTRICTS = Table(
    "subscriber_districts",
    metadata,
    Column("subscriber", Text, primary_key=True),
    Column("district", Text, nullable=False),
    _time("known_at"),
)
"""Where citizens live, as far as the centre was told: for routing of cases, and nothing else."""
