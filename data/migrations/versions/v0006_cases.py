"""Cases: evidence, attempts, outcomes, notes, forms (see `serving.cases`)."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STAGES = "'contact', 'engaged', 'paying'"
STATEMENTS = (
    f"""
    CREATE TABLE cases (
        case_id text PRIMARY KEY,
        subscriber text NOT NULL,
        state text NOT NULL CHECK (state IN ('open', 'snoozed', 'closed')),
        opened_at timestamptz NOT NULL,
        episode_ends_at timestamptz NOT NULL,
        level text NOT NULL,
        urgency smallint NOT NULL CHECK (urgency >= 0),
        score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
        stage text NOT NULL CHECK (stage IN ({STAGES})),
        stage_at timestamptz NOT NULL,
        scam_type text NOT NULL,
        expected_loss_cny numeric(14,2) NOT NULL CHECK (expected_loss_cny >= 0),
        deadline_at timestamptz NOT NULL,
        met_at timestamptz,
        district text,
        start_tier text NOT NULL,
        tier text NOT NULL,
        assignee text,
        locked_by text,
        locked_until timestamptz,
        snoozed_until timestamptz,
        snooze_reason text,
        closed_at timestamptz,
        changed_at timestamptz NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        CHECK ((locked_by IS NULL) = (locked_until IS NULL)),
        CHECK ((state = 'snoozed') = (snoozed_until IS NOT NULL)),
        CHECK ((state = 'closed') = (closed_at IS NOT NULL))
    )
    """,
    """
    CREATE UNIQUE INDEX ux_cases_open_subscriber ON cases (subscriber) WHERE state <> 'closed'
    """,
    "CREATE INDEX ix_cases_subscriber ON cases (subscriber, opened_at)",
    "CREATE INDEX ix_cases_deadline ON cases (deadline_at) WHERE state <> 'closed'",
    f"""
    CREATE TABLE case_evidence (
        event_id text PRIMARY KEY,
        case_id text NOT NULL REFERENCES cases (case_id),
        kind text NOT NULL,
        platform text NOT NULL,
        level text NOT NULL,
        score double precision,
        scam_type text,
        stage text CHECK (stage IN ({STAGES})),
        occurred_at timestamptz NOT NULL,
        known_at timestamptz NOT NULL,
        effect text NOT NULL CHECK (effect IN ('opened', 'raised', 'added', 'reopened', 'kept')),
        zh text NOT NULL,
        en text NOT NULL
    )
    """,
    "CREATE INDEX ix_case_evidence_case ON case_evidence (case_id, known_at)",
    """
    CREATE TABLE attempts (
        attempt_id text PRIMARY KEY,
        case_id text NOT NULL REFERENCES cases (case_id),
        subscriber text NOT NULL,
        platform text NOT NULL,
        channel text NOT NULL,
        script text NOT NULL,
        reached boolean NOT NULL,
        believed boolean NOT NULL CHECK (reached OR NOT believed),
        refused boolean NOT NULL CHECK (NOT (refused AND reached)),
        minutes double precision NOT NULL CHECK (minutes >= 0),
        at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        recorded_by text NOT NULL
    )
    """,
    "CREATE INDEX ix_attempts_subscriber ON attempts (subscriber, at)",
    "CREATE INDEX ix_attempts_case ON attempts (case_id, at)",
    """
    CREATE TABLE outcomes (
        outcome_id text PRIMARY KEY,
        case_id text NOT NULL REFERENCES cases (case_id),
        subscriber text NOT NULL,
        outcome text NOT NULL CHECK (
            outcome IN ('dissuaded', 'paid', 'false_alarm', 'unreachable', 'handed_over')
        ),
        scam_type text NOT NULL,
        loss_cny numeric(14,2) CHECK (loss_cny >= 0),
        avoided_cny numeric(14,2) CHECK (avoided_cny >= 0),
        avoided_method text,
        intervened boolean NOT NULL,
        episode_began_at timestamptz NOT NULL,
        episode_ends_at timestamptz NOT NULL,
        known_at timestamptz NOT NULL,
        recorded_by text NOT NULL,
        reversed_at timestamptz,
        reversed_by text,
        reversal_reason text,
        CHECK ((loss_cny IS NOT NULL) = (outcome = 'paid')),
        CHECK ((avoided_cny IS NULL) = (avoided_method IS NULL)),
        CHECK ((reversed_at IS NULL) = (reversal_reason IS NULL))
    )
    """,
    "CREATE INDEX ix_outcomes_case ON outcomes (case_id, known_at)",
    """
    CREATE TABLE case_notes (
        note_id text PRIMARY KEY,
        case_id text NOT NULL REFERENCES cases (case_id),
        text text NOT NULL,
        by text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ix_case_notes_case ON case_notes (case_id, at)",
    """
    CREATE TABLE case_forms (
        actor text NOT NULL,
        key text NOT NULL,
        fingerprint text NOT NULL,
        answer jsonb,
        at timestamptz NOT NULL,
        PRIMARY KEY (actor, key)
    )
    """,
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)
