"""A request as it stands, and which step may follow which."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

__all__ = ["STEPS", "Answered", "Request", "State", "StepKind"]


class State(StrEnum):
    """How far a request is."""

    DRAFTED = "drafted"
    SIGNED = "signed"
    SENT = "sent"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    UNDONE = "undone"
    EXPIRED = "expired"


class Answered(StrEnum):
    """What the receiver said."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    PARTLY = "partly"


class StepKind(StrEnum):
    """What can happen to a request."""

    SIGN = "sign"
    WITHDRAW = "withdraw"
    SEND = "send"
    ANSWER = "answer"
    UNDO = "undo"
    EXPIRE = "expire"


STEPS: Mapping[StepKind, tuple[frozenset[State], State]] = {
    StepKind.SIGN: (frozenset({State.DRAFTED}), State.SIGNED),
    # a signed one only while nothing has left: `serving.requests.lifecycle` looks at the outbox
    StepKind.WITHDRAW: (frozenset({State.DRAFTED, State.SIGNED}), State.WITHDRAWN),
    StepKind.SEND: (frozenset({State.SIGNED}), State.SENT),
    # a quick receiver answers before we have written down that it was told
    StepKind.ANSWER: (frozenset({State.SIGNED, State.SENT}), State.ANSWERED),
    StepKind.UNDO: (frozenset({State.SIGNED, State.SENT, State.ANSWERED}), State.UNDONE),
    StepKind.EXPIRE: (
        frozenset({State.DRAFTED, State.SIGNED, State.SENT, State.ANSWERED}),
        State.EXPIRED,
    ),
}
"""From which states each step is taken, and to which it leads."""


@dataclass(frozen=True)
class Request:
    """A row of `serving.requests.tables.REQUESTS`.

    Parameters
    ----------
    request_id, case_id : str
    kind : str
        A `serving.requests.measures.Kind`.
    receiver : str
        Name of the one who is asked.
    subject : str
        Pseudonym of the account or number it is about.
    state : State
    zh, en : str
        Its text.
    valid_h : float
        Hours that it holds from the signature.
    expires_at : datetime
        Of a draft: to be signed by; afterwards: the measure ends by itself.
    drafted_by, drafted_at : str, datetime
    changed_at, version : datetime, int
    amount_cny : float or None
        That it is about.
    signed_by, signed_at : str, datetime or None
    sent_at : datetime or None
        When the receiver first took it.
    answer, answer_words, stopped_cny, answered_by, answered_at
        `Answered`, in its words, what money it stopped, who recorded that, when.
    ended_by, ended_at, end_reason
        Who withdrew or undid it, or let it expire, when, why.
    """

    request_id: str
    case_id: str
    kind: str
    receiver: str
    subject: str
    state: str
    zh: str
    en: str
    valid_h: float
    expires_at: datetime
    drafted_by: str
    drafted_at: datetime
    changed_at: datetime
    version: int = 1
    amount_cny: float | None = None
    signed_by: str | None = None
    signed_at: datetime | None = None
    sent_at: datetime | None = None
    answer: str | None = None
    answer_words: str | None = None
    stopped_cny: float | None = None
    answered_by: str | None = None
    answered_at: datetime | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None

    @classmethod
    def of(cls, row: RowMapping) -> "Request":
        """Read a row."""
        return cls(**row)

    @property
    def row(self) -> dict[str, Any]:
        """The row."""
        return asdict(self)

    def may(self, step: StepKind) -> bool:
        """Whether this step follows."""
        return self.state in STEPS[step][0]

    @property
    def to_lift(self) -> bool:
        """Whether somebody may be restricted by it: signed, not over, not refused.

        That it was refused the receiver itself must have said: an officer may have misheard, and
        no citizen stays restricted because of it.
        """
        refused = self.answer == Answered.REFUSED and (self.answered_by or "").startswith("key:")
        return self.may(StepKind.UNDO) and not refused
