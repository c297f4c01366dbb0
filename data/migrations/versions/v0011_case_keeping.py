"""Districts of citizens, attempts of other platforms, and when each job last succeeded."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE subscriber_districts (
        subscriber text PRIMARY KEY,
        district text NOT NULL,
        known_at timestamptz NOT NULL
    )
    """,
    # another platform may have spoken to a citizen of whom we know nothing
    "ALTER TABLE attempts ALTER COLUMN case_id DROP NOT NULL",
    # of a text message nobody knows whether it was believed
    "ALTER TABLE attempts ALTER COLUMN believed DROP NOT NULL",
    """
    CREATE TABLE jobs (
        name text PRIMARY KEY,
        succeeded_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ix_case_forms_at ON case_forms (at)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
