"""Accounts, sessions, API keys and the audit log (see `serving.access`)."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROLES = (
    "'system', 'officer', 'supervisor', 'data_scientist', 'approver', 'auditor', 'administrator'"
)
STATEMENTS = (
    f"""
    CREATE TABLE accounts (
        name text PRIMARY KEY,
        role text NOT NULL CONSTRAINT ck_accounts_role CHECK (role IN ({ROLES})),
        district text,
        password_hash text,
        must_change boolean NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        disabled_at timestamptz
    )
    """,
    """
    CREATE TABLE sign_in_tries (
        name_digest bytea PRIMARY KEY,
        failures integer NOT NULL,
        last_at timestamptz NOT NULL,
        locked_until timestamptz
    )
    """,
    "CREATE INDEX ix_sign_in_tries_last_at ON sign_in_tries (last_at)",
    """
    CREATE TABLE sessions (
        digest bytea PRIMARY KEY,
        account text NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
        opened_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ix_sessions_account ON sessions (account)",
    "CREATE INDEX ix_sessions_seen_at ON sessions (seen_at)",
    """
    CREATE TABLE api_keys (
        key_id text PRIMARY KEY,
        name text NOT NULL,
        digest bytea NOT NULL,
        scopes text[] NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz
    )
    """,
    """
    CREATE TABLE audit (
        seq bigint PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        role text NOT NULL,
        action text NOT NULL,
        subject text NOT NULL,
        purpose text,
        detail json NOT NULL,
        before text NOT NULL,
        hash text NOT NULL UNIQUE
    )
    """,
    "CREATE INDEX ix_audit_subject ON audit (subject, seq)",
    "CREATE INDEX ix_audit_actor ON audit (actor, seq)",
    """
    CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'expected the audit log to be appended to only, found %; fix: record what '
            'is so now as a new act', TG_OP USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    """
    CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit()
    """,
    """
    CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()
    """,
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
