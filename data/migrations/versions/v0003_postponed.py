"""Events kept while feature state is away (see `serving.decisions`)."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute(
        """
        CREATE TABLE postponed (
            arrival bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            event_id text NOT NULL UNIQUE,
            scored boolean NOT NULL,
            payload jsonb NOT NULL
        )
        """
    )
