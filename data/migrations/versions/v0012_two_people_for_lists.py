"""Who let an entry of a list count: of the allow list somebody else than who added it.

Entries of the allow list that stand were added by one person, and wait for a second from now on;
until then their numbers are warned about like any other. Those that are over are left as they were.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE list_entries ADD COLUMN live_at timestamptz",
    "ALTER TABLE list_entries ADD COLUMN live_by text",
    "UPDATE list_entries SET live_at = added_at, live_by = added_by WHERE list = 'deny'",
    "UPDATE list_entries SET live_at = added_at WHERE list = 'allow' AND removed_at IS NOT NULL",
    """
    ALTER TABLE list_entries
        ADD CONSTRAINT ck_list_entries_two_people CHECK (list = 'deny' OR live_by <> added_by),
        ADD CONSTRAINT ck_list_entries_live CHECK (
            live_by IS NULL AND live_at IS NULL
            OR live_by IS NOT NULL AND live_at IS NOT NULL
            OR removed_at IS NOT NULL
        )
    """,
    "UPDATE rule_book SET generation = generation + 1",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
