"""What officers send about a case and what they are answered."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from data.events import EARLIEST, LATEST, ScamType, System
from serving.scrub import scrubbed

__all__ = [
    "Acted",
    "Attempt",
    "CaseId",
    "Code",
    "Contract",
    "District",
    "Form",
    "Key",
    "Moment",
    "Officer",
    "Outcome",
    "OutcomeKind",
    "Platform",
    "Step",
    "Words",
]

Words = Annotated[
    str,
    # PostgreSQL keeps every character but this one
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\u0000]*$"
    ),
]


def _nobodys_number(text: str) -> str:
    if scrubbed(text) != text:
        raise ValueError("a name, without a long number")
    return text


District = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\W\d_][\w ·()（）-]{0,63}$"),
    AfterValidator(_nobodys_number),
]
"""A district's name: begins with a letter, so that a number in the wrong column is refused."""


def _of_this_age(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"a time from {EARLIEST:%Y} to {LATEST:%Y}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_of_this_age)]
"""A time with its offset, as far back and ahead as PostgreSQL and Python agree."""
Officer = Annotated[str, StringConstraints(pattern=r"^[\w.:@-]{1,64}$")]
CaseId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]
Code = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$"), AfterValidator(_nobodys_number)
]
Platform = Annotated[System, AfterValidator(_nobodys_number)]
"""Codes and names go into the audit log as they are, so that they carry nobody's number."""
Key = Annotated[str, StringConstraints(pattern=r"^[\w.:-]{8,64}$")]
MAX_MINUTES = 24 * 60


class Contract(BaseModel):
    """What every one of them keeps to."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )


class Form(Contract):
    """Which case a form is about, as the officer saw it."""

    case_id: str = Field(max_length=64)
    version: int = Field(gt=0, description="of the case as it was shown")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class Attempt(Contract):
    """A contact with the citizen, as it went."""

    channel: Code = Field(description="e.g. call_96110")
    script: Code = Field(description="e.g. plain, scheme")
    reached: bool = Field(description="answered and listened")
    believed: bool | None = Field(
        None, description="believed the warning; null: nothing is known of it"
    )
    refused: bool = Field(False, description="hung up or shut the door")
    minutes: float = Field(ge=0, le=MAX_MINUTES, description="it took, in minutes")
    at: Moment | None = Field(None, description="when; now by default")
    platform: Platform = Field("96110", description="who made it: 96110, a station, a bank")

    @model_validator(mode="after")
    def _agrees(self) -> "Attempt":
        if (self.believed and not self.reached) or (self.refused and self.reached):
            raise ValueError("believed only if reached; refused only if not reached")
        return self


class OutcomeKind(StrEnum):
    """How a case ended."""

    DISSUADED = "dissuaded"
    PAID = "paid"
    FALSE_ALARM = "false_alarm"
    UNREACHABLE = "unreachable"
    HANDED_OVER = "handed_over"


class Outcome(Contract):
    """How a case ended, as the officer knows it."""

    outcome: OutcomeKind
    loss_cny: float | None = Field(None, ge=0, lt=1e12, description="paid: what was lost, CNY")
    scam_type: ScamType | None = Field(None, description="where it turned out another")
    first_contact_at: Moment | None = Field(
        None, description="when the fraudster first spoke to the citizen, if he says"
    )

    @model_validator(mode="after")
    def _loss(self) -> "Outcome":
        if (self.loss_cny is not None) != (self.outcome == OutcomeKind.PAID):
            raise ValueError("loss_cny with the outcome paid, and with no other")
        return self


class Step(Contract):
    """What to do next for the citizen."""

    channel: str
    script: str
    minutes: float = Field(description="an officer's minutes, expected")
    chance: float = Field(description="that it succeeds now, 0 to 1")
    suspicion: float = Field(
        description="that it is a fraud, after what was tried, 0 to 1; the score says it before"
    )
    preventable_cny: float = Field(description="CNY still preventable")
    value_per_minute: float = Field(description="CNY")
    zh: str
    en: str


class Acted(Contract):
    """The case after a form."""

    case_id: str
    version: int = Field(description="of the case; the next form names it")
    state: str
    level: str
    stage: str
    score: float = Field(description="highest calibrated score of the episode, 0 to 1")
    tier: str
    assignee: str | None
    locked_by: str | None
    locked_until: datetime | None
    deadline_at: datetime
    next: Step | None = Field(None, description="null when nothing is left to do now")
    zh: str = Field("", description="what was done, in a sentence")
    en: str = ""
    detail: Mapping[str, Any] = Field(default_factory=dict)
