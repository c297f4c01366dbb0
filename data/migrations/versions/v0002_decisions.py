"""Decisions as they were made (see `serving.decisions`)."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute(
        """
        CREATE TABLE decisions (
            event_id text PRIMARY KEY,
            seq bigint NOT NULL,
            subscriber text NOT NULL,
            kind text NOT NULL,
            decided_at timestamptz NOT NULL,
            evaluated_at timestamptz NOT NULL,
            raw_score double precision NOT NULL,
            score double precision NOT NULL,
            level text,
            model_version text NOT NULL,
            features_version text NOT NULL,
            vector bytea NOT NULL,
            thresholds json NOT NULL,
            answer json NOT NULL
        )
        """
    )
