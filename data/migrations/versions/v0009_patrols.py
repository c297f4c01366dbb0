"""Patrol plans that are carried out, their dose, and decisions by day (see `serving.patrols`)."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE patrol_plans (
        plan_id text PRIMARY KEY,
        day date NOT NULL,
        shift smallint NOT NULL CHECK (shift >= 0),
        plan jsonb NOT NULL,
        kept_at timestamptz NOT NULL,
        kept_by text NOT NULL
    )
    """,
    "CREATE INDEX ix_patrol_plans_shift ON patrol_plans (day, shift)",
    """
    CREATE TABLE patrol_doses (
        dose_id text PRIMARY KEY,
        plan_id text NOT NULL REFERENCES patrol_plans (plan_id),
        unit smallint CHECK (unit > 0),
        cell text NOT NULL,
        arrived_at timestamptz NOT NULL,
        left_at timestamptz NOT NULL CHECK (left_at > arrived_at),
        done text[] NOT NULL CHECK (cardinality(done) > 0),
        note text,
        recorded_at timestamptz NOT NULL,
        recorded_by text NOT NULL
    )
    """,
    "CREATE INDEX ix_patrol_doses_plan ON patrol_doses (plan_id, arrived_at)",
    # decisions are only appended, so their days lie in ranges of pages: it costs an insert nothing
    "CREATE INDEX ix_decisions_decided_at ON decisions USING brin (decided_at)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
