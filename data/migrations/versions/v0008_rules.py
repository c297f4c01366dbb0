"""Rules beside the model, lists, and what both matched (see `serving.rules`)."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE TABLE rules (name text PRIMARY KEY, versions integer NOT NULL CHECK (versions > 0))",
    """
    CREATE TABLE rule_versions (
        name text NOT NULL REFERENCES rules (name),
        version integer NOT NULL CHECK (version > 0),
        state text NOT NULL CHECK (state IN ('draft', 'tested', 'live', 'retired')),
        owner text NOT NULL,
        content json NOT NULL,
        author text NOT NULL,
        created_at timestamptz NOT NULL,
        asked_at timestamptz,
        tested_at timestamptz,
        tested_by text,
        test json,
        live_at timestamptz,
        live_by text CONSTRAINT ck_rule_versions_two_people CHECK (live_by <> author),
        retired_at timestamptz,
        retired_by text,
        PRIMARY KEY (name, version),
        CHECK ((tested_at IS NULL) = (test IS NULL)),
        CHECK (state = 'draft' OR state = 'retired' OR tested_at IS NOT NULL),
        CHECK (state <> 'live' OR live_by IS NOT NULL),
        CHECK ((state = 'retired') = (retired_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_rule_versions_live ON rule_versions (name) WHERE state = 'live'",
    """
    CREATE TABLE list_entries (
        entry_id text PRIMARY KEY,
        list text NOT NULL CHECK (list IN ('allow', 'deny')),
        kind text NOT NULL CHECK (kind IN ('phone', 'account', 'app')),
        member text NOT NULL CHECK (kind = 'app' OR member ~ '^(tel|acc)_[0-9a-f]{32}$'),
        owner text NOT NULL,
        reason text NOT NULL,
        added_by text NOT NULL,
        added_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        removed_at timestamptz,
        removed_by text,
        CHECK (expires_at > added_at),
        CHECK ((removed_at IS NULL) = (removed_by IS NULL))
    )
    """,
    "CREATE INDEX ix_list_entries_member ON list_entries (member)",
    """
    CREATE TABLE rule_matches (
        event_id text NOT NULL,
        name text NOT NULL,
        version integer NOT NULL,
        made boolean NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (event_id, name)
    )
    """,
    "CREATE INDEX ix_rule_matches_rule ON rule_matches (name, version, at)",
    """
    CREATE TABLE list_matches (
        event_id text NOT NULL,
        entry_id text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (event_id, entry_id)
    )
    """,
    "CREATE INDEX ix_list_matches_entry ON list_matches (entry_id, at)",
    """
    CREATE TABLE rule_book (
        one boolean PRIMARY KEY CHECK (one),
        generation bigint NOT NULL
    )
    """,
    "INSERT INTO rule_book VALUES (true, 0)",
    "ALTER TABLE decisions ADD COLUMN rules json",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
