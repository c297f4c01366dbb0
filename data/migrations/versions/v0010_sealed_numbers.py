"""Sealed numbers of citizens with an alert or a lead (see `serving.cases.numbers`)."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE sealed_numbers (
        subscriber text PRIMARY KEY CHECK (subscriber ~ '^tel_[0-9a-f]{32}$'),
        sealed bytea NOT NULL,
        kept_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ix_sealed_numbers_kept_at ON sealed_numbers (kept_at)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
