"""What is sent about requests and appeals, and what is answered."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from serving.cases.contracts import Key
from serving.requests.measures import Kind
from serving.requests.request import Answered, State

__all__ = [
    "Answer",
    "Appeal",
    "AppealAnswer",
    "AppealDecision",
    "AppealFiling",
    "AppealList",
    "AppealQuestion",
    "Asking",
    "Draft",
    "InTwoTongues",
    "LedgerAnswer",
    "LedgerLine",
    "LedgerQuestion",
    "ListQuestion",
    "OutgoingMessage",
    "ReceiverAnswer",
    "RequestAnswer",
    "RequestDraft",
    "RequestForm",
    "RequestList",
    "RequestReason",
    "RequestStamp",
    "Requested",
    "UndeliveredMessage",
]

Pseudonym = Annotated[str, StringConstraints(pattern=r"^(tel|acc)_[0-9a-f]{32}$")]
Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]+$"),
]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
MOST_CNY = 1e12


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RequestForm(_Contract):
    """Which request a form is about, as its sender saw it."""

    request_id: str = Field(max_length=64)
    version: int | None = Field(
        None, gt=0, description="of the request as it was shown; only a receiver may leave it out"
    )
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class Draft(_Contract):
    """What is to be asked of whom."""

    kind: Kind
    receiver: str = Field(max_length=32, description="its name in FOREWARN_RECEIVERS")
    subject: Pseudonym = Field(description="account or number, one that the case knows")
    amount_cny: float | None = Field(None, gt=0, lt=MOST_CNY, description="CNY that it is about")


class RequestDraft(Draft):
    """A draft with the case's version."""

    version: int = Field(gt=0, description="of the case as it was shown")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class RequestStamp(_Contract):
    """A form that says no more than that it is meant."""

    version: int = Field(gt=0, description="of the request as it was shown")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class RequestReason(RequestStamp):
    """A form with a reason."""

    reason: Words


class Answer(_Contract):
    """What the receiver said."""

    answer: Answered
    words: str = Field(
        "", max_length=2_000, pattern=r"^[^\x00]*$", description="in the receiver's words"
    )
    stopped_cny: float | None = Field(
        None, ge=0, lt=MOST_CNY, description="CNY that was stopped, frozen or returned"
    )

    @model_validator(mode="after")
    def _agrees(self) -> "Answer":
        if self.answer == Answered.REFUSED and self.stopped_cny:
            raise ValueError("no stopped_cny where the request was refused")
        return self


class ReceiverAnswer(Answer):
    """An answer with the request's version."""

    version: int | None = Field(
        None, gt=0, description="of the request as it was shown; a receiver may leave it out"
    )
    key: Key = Field(description="chosen by the client; the same key does nothing twice")

    @property
    def answered(self) -> Answer:
        """The answer alone."""
        return Answer(answer=self.answer, words=self.words, stopped_cny=self.stopped_cny)


class Requested(_Contract):
    """A request after a form."""

    request_id: str
    case_id: str
    kind: Kind
    receiver: str
    subject: str
    state: State
    version: int
    expires_at: datetime
    zh: str = Field("", description="what was done, in a sentence")
    en: str = ""


class RequestAnswer(_Contract):
    """A request as it stands."""

    request_id: str
    case_id: str
    kind: Kind
    receiver: str
    subject: str = Field(description="pseudonym")
    state: State
    version: int
    amount_cny: float | None = Field(description="CNY that it is about")
    zh: str
    en: str
    expires_at: datetime
    drafted_by: str
    drafted_at: datetime
    signed_by: str | None
    signed_at: datetime | None
    sent_at: datetime | None
    answer: Answered | None
    answer_words: str | None
    stopped_cny: float | None = Field(description="CNY that was stopped, frozen or returned")
    answered_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    end_reason: str | None


class InTwoTongues(_Contract):
    """The same in Chinese and English."""

    zh: str
    en: str


class Asking(_Contract):
    """What a receiver is asked for, or what it was asked for and is to lift."""

    request_id: str
    kind: Kind
    subject: Pseudonym = Field(
        description="HMAC of the number under the pseudonym key, which the receiver holds"
    )
    amount_cny: float | None = Field(description="CNY that it is about")
    expires_at: datetime = Field(description="the measure ends then, unless undone before")
    owner: str = Field(description="account of who asks")
    signed_by: str = Field(description="account of who signed this message")
    ground: InTwoTongues = Field(description="of law")
    text: InTwoTongues


class OutgoingMessage(_Contract):
    """What is posted to a receiver, signed as Standard Webhooks 1.0.0."""

    type: str = Field(description="request or undo, a full stop and the kind")
    timestamp: datetime = Field(description="when it was signed")
    data: Asking


class UndeliveredMessage(_Contract):
    """A message that was given up."""

    message_id: str
    request_id: str
    version: int = Field(description="of its request")
    receiver: str
    topic: str = Field(description="request or undo")
    tries: int = Field(description="how often it was sent")
    tried_at: datetime | None
    status: int | None = Field(description="HTTP status of the last answer")
    problem: str | None
    excerpt: str | None


class RequestList(_Contract):
    """Requests, the newest first, and messages that did not get through."""

    requests: tuple[RequestAnswer, ...]
    dead_letters: tuple[UndeliveredMessage, ...] = ()


class ListQuestion(_Contract):
    """Which requests."""

    state: State | None = Field(None, description="only those in this state")


class AppealFiling(_Contract):
    """A citizen's objection, about a measure or about the case as a whole."""

    case_id: Id | None = Field(None, description="of the case objected to as a whole")
    request_id: Id | None = Field(None, description="of the measure objected to")
    words: Words = Field(description="why, in the citizen's words")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")

    @model_validator(mode="after")
    def _about(self) -> "AppealFiling":
        if (self.case_id is None) == (self.request_id is None):
            raise ValueError("either case_id or request_id")
        return self


class AppealDecision(_Contract):
    """What a review found."""

    upheld: bool
    reason: Words = Field(description="as the citizen is told it")
    false_alarm: bool = Field(
        True,
        description="upheld: the whole case was a false alarm; false: only the measure was wrong, "
        "the citizen of the case may well be a victim",
    )
    version: int = Field(gt=0, description="of the appeal as it was shown")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class Appeal(_Contract):
    """An appeal after a form."""

    appeal_id: str
    state: str
    version: int
    due_at: datetime
    zh: str = Field("", description="what was done, in a sentence")
    en: str = ""
    detail: Mapping[str, Any] = Field(default_factory=dict)


class AppealAnswer(_Contract):
    """An appeal that waits for its decision."""

    appeal_id: str
    case_id: str
    request_id: str | None
    version: int
    words: str
    filed_by: str
    filed_at: datetime
    due_at: datetime
    overdue: bool


class AppealList(_Contract):
    """Open appeals, the one due first first."""

    appeals: tuple[AppealAnswer, ...]


class AppealQuestion(_Contract):
    """Which appeals."""

    overdue: bool = Field(False, description="only those whose deadline has passed")


class LedgerQuestion(_Contract):
    """Since when."""

    since: date | None = Field(
        None,
        ge=date(2000, 1, 1),
        le=date(2100, 1, 1),
        description="first day, in the city's zone; 365 days back by default",
    )


class LedgerLine(_Contract):
    """What false alarms cost, by one way of looking."""

    month: str
    level: str
    scam_type: str
    district: str | None
    learnt_by: str
    false_alarms: int = Field(description="cases")
    measures_taken: int = Field(description="requests that had reached a receiver")
    measures_lifted: int = Field(description="requests that were undone")
    officer_minutes: float = Field(description="spent on attempts, minutes")


class LedgerAnswer(_Contract):
    """The false-alarm ledger."""

    lines: tuple[LedgerLine, ...]
