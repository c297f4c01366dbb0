"""Cases over HTTP: what front ends and other platforms send, what they get; units in each field."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from data.events import Phone
from serving.cases.contracts import (
    Acted,
    Attempt,
    CaseId,
    Code,
    Contract,
    District,
    Form,
    Key,
    Moment,
    Officer,
    Outcome,
    Platform,
    Step,
    Words,
)

__all__ = [
    "MOST",
    "SHIFT_MINUTES",
    "AssignmentForm",
    "AttemptForm",
    "BulkForm",
    "CaseCard",
    "CaseLine",
    "CaseList",
    "ContactReceipt",
    "ListQuestion",
    "NextForm",
    "NoQuestion",
    "NoteForm",
    "OutcomeForm",
    "ReportedAttempt",
    "ReversalForm",
    "Sent",
    "SnoozeForm",
    "TakenCase",
]

MOST = 200  # cases of one answer or one bulk action
SHIFT_MINUTES = 480.0
MinutesLeft = Annotated[
    float, Field(gt=0, le=100_000, description="minutes to the end of the shift")
]
Version = Annotated[int, Field(gt=0, lt=2**31, description="of the case as it was shown")]


class Sent(Contract):
    """A form on the case that the path names."""

    version: Version
    key: Key = Field(description="chosen by the client; the same key does nothing twice")

    def of(self, case_id: str) -> Form:
        """The form, with its case."""
        return Form(case_id=case_id, version=self.version, key=self.key)


class AttemptForm(Sent):
    """An attempt on a case."""

    attempt: Attempt


class OutcomeForm(Sent):
    """An outcome of a case."""

    outcome: Outcome


class ReversalForm(Sent):
    """Takes the last outcome back."""

    reason: Words
    instead: Outcome | None = Field(None, description="the right outcome; null: opens the case")


class SnoozeForm(Sent):
    """Lets a case rest."""

    reason: Words
    until: Moment = Field(description="at most an episode's gap from now")


class NoteForm(Sent):
    """A note; long numbers are taken out of it."""

    text: Words


class AssignmentForm(Sent):
    """Gives a case to an officer."""

    to: Officer = Field(description="name of his account")
    district: District | None = Field(None, description="of the citizen, where it became known")


class NextForm(Contract):
    """Asks for the best case nobody has."""

    key: Key = Field(description="chosen by the client; the same key takes nothing twice")
    minutes_left: MinutesLeft = SHIFT_MINUTES


class Shown(Contract):
    """A case as it was shown."""

    case_id: CaseId
    version: Version


BulkKey = Annotated[str, StringConstraints(pattern=r"^[\w.:-]{8,56}$")]


class BulkForm(Contract):
    """One act on many cases: `to` assigns them, `reason` with `until` lets them rest."""

    key: BulkKey = Field(description="chosen by the client; the same key does nothing twice")
    cases: tuple[Shown, ...] = Field(min_length=1, max_length=MOST)
    to: Officer | None = Field(None, description="name of an account")
    district: District | None = Field(None, description="of the citizens, with `to`")
    reason: Words | None = Field(None, description="with `until`")
    until: Moment | None = Field(None, description="with `reason`")

    @model_validator(mode="after")
    def _one_act(self) -> "BulkForm":
        rests = self.reason is not None and self.until is not None
        none = self.reason is None and self.until is None
        if (self.to is not None) == rests or not (rests or none):
            raise ValueError("either `to`, or `reason` with `until`")
        if self.district is not None and self.to is None:
            raise ValueError("`district` only with `to`")
        if len({one.case_id for one in self.cases}) < len(self.cases):
            raise ValueError("each case once")
        return self

    @property
    def forms(self) -> tuple[Form, ...]:
        """A form each, under a key of its own."""
        return tuple(
            Form(case_id=one.case_id, version=one.version, key=f"{self.key}.{place}")
            for place, one in enumerate(self.cases)
        )


class NoQuestion(Contract):
    """Nothing is asked beside the path."""


class ListQuestion(Contract):
    """What the work list is asked."""

    minutes_left: MinutesLeft = SHIFT_MINUTES
    limit: int = Field(50, ge=1, le=MOST, description="cases at most")


class CaseFacts(Contract):
    """What a line and a card tell alike."""

    case_id: str
    version: int = Field(description="of the case; a form names it")
    subscriber: str = Field(description="pseudonym of the citizen")
    state: str
    level: str
    stage: str
    scam_type: str
    score: float = Field(description="highest calibrated score of the episode, 0 to 1")
    expected_loss_cny: float = Field(description="CNY")
    opened_at: datetime
    deadline_at: datetime
    met_at: datetime | None
    district: str | None
    tier: str
    assignee: str | None
    locked_by: str | None
    locked_until: datetime | None
    contacted_zh: str = Field(description="who spoke to the citizen last; empty: nobody")
    contacted_en: str


class CaseLine(CaseFacts):
    """A line of the work list."""

    next: Step


class CaseList(Contract):
    """What the rest of a shift is best spent on, in order."""

    items: tuple[CaseLine, ...]
    minutes_left: float = Field(description="minutes that were asked about")


class TakenCase(Contract):
    """The case that is the asker's now; null when nothing is left to do."""

    case: Acted | None


class Evidence(Contract):
    """A piece of the timeline."""

    event_id: str
    kind: str
    platform: str
    level: str
    score: float | None = Field(description="calibrated, 0 to 1")
    scam_type: str | None
    stage: str | None
    occurred_at: datetime
    known_at: datetime
    effect: str = Field(description="what it did to the case")
    zh: str
    en: str


class MadeAttempt(Contract):
    """An attempt on record."""

    attempt_id: str
    platform: str
    channel: str
    script: str
    reached: bool
    believed: bool | None
    refused: bool
    minutes: float = Field(description="it took, in minutes")
    at: datetime
    recorded_by: str


class MadeOutcome(Contract):
    """An outcome on record; a reversed one stays."""

    outcome_id: str
    outcome: str
    scam_type: str
    loss_cny: float | None = Field(description="CNY")
    avoided_cny: float | None = Field(description="CNY, an estimate")
    avoided_method: str | None
    known_at: datetime
    recorded_by: str
    reversed_at: datetime | None
    reversed_by: str | None
    reversal_reason: str | None


class Note(Contract):
    """A note on record."""

    note_id: str
    text: str
    by: str
    at: datetime


class CaseCard(CaseFacts):
    """All there is to know of a case."""

    stage_at: datetime
    episode_ends_at: datetime
    closed_at: datetime | None
    snoozed_until: datetime | None
    snooze_reason: str | None
    evidence: tuple[Evidence, ...]
    attempts: tuple[MadeAttempt, ...]
    outcomes: tuple[MadeOutcome, ...]
    notes: tuple[Note, ...]
    contacts_left: int = Field(description="attempts left of the citizen's budget today")
    contact_again_at: datetime
    next: Step | None = Field(description="null when nothing is left to do now")


# --- from other platforms


class ReportedAttempt(Contract):
    """A contact that another platform made with a citizen, as it went."""

    key: Key = Field(description="chosen by the platform; the same key counts once")
    subscriber: Phone = Field(description="line of the citizen")
    platform: Platform = Field(description="who made it: 12381, 96110, a bank, an app")
    channel: Code = Field(description="e.g. sms_12381, ai_call, app_push")
    script: Code = Field("plain", description="e.g. plain, scheme")
    reached: bool = Field(description="answered and listened; of a text: delivered")
    believed: bool | None = Field(
        None, description="believed the warning; null: nothing is known of it"
    )
    at: Moment = Field(description="when it was made")

    @model_validator(mode="after")
    def _agrees(self) -> "ReportedAttempt":
        if self.believed and not self.reached:
            raise ValueError("believed only if reached")
        return self


class ContactReceipt(Contract):
    """A reported attempt is on record; when the citizen may be contacted again, by whomever."""

    attempt_id: str
    contacts_left: int = Field(description="attempts left of the citizen's budget today")
    contact_again_at: datetime
