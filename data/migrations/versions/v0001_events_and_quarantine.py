"""The log of live events and the quarantine."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE events (
        seq bigint PRIMARY KEY,
        event_id text NOT NULL UNIQUE,
        kind text NOT NULL,
        occurred_at timestamptz NOT NULL,
        known_at timestamptz NOT NULL,
        late boolean NOT NULL,
        source text NOT NULL,
        subscriber text NOT NULL,
        payload jsonb NOT NULL
    )
    """,
    "CREATE INDEX ix_events_subscriber ON events (subscriber, seq)",
    "CREATE INDEX ix_events_known_at ON events (known_at)",
    """
    CREATE TABLE quarantine (
        id text PRIMARY KEY,
        received_at timestamptz NOT NULL,
        source text NOT NULL,
        reason jsonb NOT NULL,
        record bytea NOT NULL,
        times integer NOT NULL DEFAULT 1,
        replayed_at timestamptz
    )
    """,
    "CREATE INDEX ix_quarantine_received_at ON quarantine (received_at)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
