"""Requests to banks and operators, the outbox, appeals (see `serving.requests`)."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATES = "'drafted', 'signed', 'sent', 'answered', 'withdrawn', 'undone', 'expired'"
STATEMENTS = (
    f"""
    CREATE TABLE requests (
        request_id text PRIMARY KEY,
        case_id text NOT NULL REFERENCES cases (case_id),
        kind text NOT NULL CHECK (
            kind IN ('stop_payment', 'freeze', 'number_shut_down', 'return_of_funds', 'dispatch')
        ),
        receiver text NOT NULL,
        subject text NOT NULL CHECK (subject ~ '^(tel|acc)_[0-9a-f]{{32}}$'),
        state text NOT NULL CHECK (state IN ({STATES})),
        amount_cny numeric(14,2) CHECK (amount_cny > 0),
        zh text NOT NULL,
        en text NOT NULL,
        valid_h double precision NOT NULL CHECK (valid_h > 0),
        expires_at timestamptz NOT NULL,
        drafted_by text NOT NULL,
        drafted_at timestamptz NOT NULL,
        signed_by text CONSTRAINT ck_requests_four_eyes CHECK (signed_by <> drafted_by),
        signed_at timestamptz,
        sent_at timestamptz,
        answer text CHECK (answer IN ('accepted', 'refused', 'partly')),
        answer_words text,
        stopped_cny numeric(14,2) CHECK (stopped_cny >= 0),
        answered_by text,
        answered_at timestamptz,
        ended_by text,
        ended_at timestamptz,
        end_reason text,
        changed_at timestamptz NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        CHECK ((signed_by IS NULL) = (signed_at IS NULL)),
        CONSTRAINT ck_requests_nothing_unsigned CHECK (
            signed_at IS NOT NULL
            OR (state IN ('drafted', 'withdrawn', 'expired') AND sent_at IS NULL)
        ),
        CHECK ((answer IS NULL) = (answered_at IS NULL)),
        CHECK ((ended_at IS NOT NULL) = (state IN ('withdrawn', 'undone', 'expired')))
    )
    """,
    "CREATE INDEX ix_requests_case ON requests (case_id, drafted_at)",
    "CREATE INDEX ix_requests_expires_at ON requests (expires_at) WHERE ended_at IS NULL",
    """
    CREATE UNIQUE INDEX ux_requests_live ON requests (case_id, kind, receiver, subject)
    WHERE ended_at IS NULL AND answer IS DISTINCT FROM 'refused'
    """,
    """
    CREATE TABLE outbox (
        message_id text PRIMARY KEY,
        seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
        request_id text NOT NULL REFERENCES requests (request_id),
        topic text NOT NULL CHECK (topic IN ('request', 'undo')),
        receiver text NOT NULL,
        payload text NOT NULL,
        state text NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled')),
        tries integer NOT NULL CHECK (tries >= 0),
        created_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        lease text,
        leased_until timestamptz,
        tried_at timestamptz,
        status smallint,
        excerpt text,
        problem text,
        delivered_at timestamptz,
        CHECK ((lease IS NULL) = (leased_until IS NULL)),
        CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_outbox_due ON outbox (due_at) WHERE state = 'pending'",
    "CREATE INDEX ix_outbox_request ON outbox (request_id, seq)",
    """
    CREATE TABLE appeals (
        appeal_id text PRIMARY KEY,
        case_id text NOT NULL REFERENCES cases (case_id),
        request_id text REFERENCES requests (request_id),
        state text NOT NULL CHECK (state IN ('open', 'upheld', 'rejected')),
        words text NOT NULL,
        filed_by text NOT NULL,
        filed_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        decided_by text,
        decided_at timestamptz,
        reason text,
        lifted integer CHECK (lifted >= 0),
        outcome_id text REFERENCES outcomes (outcome_id),
        version integer NOT NULL CHECK (version > 0),
        CHECK ((state = 'open') = (decided_at IS NULL)),
        CHECK ((decided_at IS NULL) = (reason IS NULL)),
        CHECK (outcome_id IS NULL OR state = 'upheld')
    )
    """,
    "CREATE INDEX ix_appeals_case ON appeals (case_id, filed_at)",
    "CREATE INDEX ix_appeals_due ON appeals (due_at) WHERE state = 'open'",
    "CREATE INDEX ix_appeals_outcome ON appeals (outcome_id)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
