"""Live incidents: place, time, category, and how each came to be known."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE incidents (
        incident_id text PRIMARY KEY,
        occurred_at timestamptz NOT NULL,
        known_at timestamptz NOT NULL,
        category text NOT NULL,
        lon double precision NOT NULL,
        lat double precision NOT NULL,
        origin text NOT NULL,
        precision text NOT NULL,
        source text NOT NULL
    )
    """,
    "CREATE INDEX ix_incidents_known_at ON incidents (known_at)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
