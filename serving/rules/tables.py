"""What PostgreSQL holds of rules and lists; the DDL stands in migrations 0008 and 0012."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from data.database import metadata

__all__ = ["BOOK", "ENTRIES", "LIST_MATCHES", "RULES", "RULE_MATCHES", "VERSIONS"]


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


RULES = Table(
    "rules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("versions", Integer, nullable=False),
)
"""One row a name, with how many versions it has had."""

VERSIONS = Table(
    "rule_versions",
    metadata,
    Column("name", Text, ForeignKey("rules.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("content", JSON, nullable=False),
    Column("author", Text, nullable=False),
    _time("created_at"),
    _time("asked_at", nullable=True),
    _time("tested_at", nullable=True),
    Column("tested_by", Text),
    Column("test", JSON(none_as_null=True)),
    _time("live_at", nullable=True),
    Column("live_by", Text),
    _time("retired_at", nullable=True),
    Column("retired_by", Text),
    Index("ux_rule_versions_live", "name", unique=True, postgresql_where=text("state = 'live'")),
)
"""One row a version; its content never changes, at most one of a name is live."""

ENTRIES = Table(
    "list_entries",
    metadata,
    Column("entry_id", Text, primary_key=True),
    Column("list", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    _time("added_at"),
    _time("expires_at"),
    _time("removed_at", nullable=True),
    Column("removed_by", Text),
    _time("live_at", nullable=True),
    Column("live_by", Text),
    Index("ix_list_entries_member", "member"),
)
"""One row an entry; ``member`` is a pseudonym, or the public name of an app or site.

It counts from ``live_at``; of the allow list ``live_by`` is another person than ``added_by``.
"""

RULE_MATCHES = Table(
    "rule_matches",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("made", Boolean, nullable=False),
    _time("at"),
    Index("ix_rule_matches_rule", "name", "version", "at"),
)
"""One row a decision a live rule matched, written with it; ``made``: it made its level."""

LIST_MATCHES = Table(
    "list_matches",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("entry_id", Text, primary_key=True),
    _time("at"),
    Index("ix_list_matches_entry", "entry_id", "at"),
)
"""One row an event in which a live rule looked for somebody and found him on a list."""

BOOK = Table(
    "rule_book",
    metadata,
    Column("one", Boolean, primary_key=True),
    Column("generation", BigInteger, nullable=False),
)
"""One row: a number that rises with every change workers must hear of."""
