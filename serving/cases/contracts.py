"""What officers send about a case and what they are answered."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from data.events import ScamType, System

__all__ = ["Acted", "Attempt", "Form", "Outcome", "OutcomeKind", "Step", "Words"]

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[\w.:-]{8,64}$")]
MAX_MINUTES = 24 * 60


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Form(_Contract):
    """Which case a form is about, as the officer saw it."""

    case_id: str = Field(max_length=64)
    version: int = Field(gt=0, description="of the case as it was shown")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class Attempt(_Contract):
    """A contact with the citizen, as it went."""

    channel: Code = Field(description="e.g. call_96110")
    script: Code = Field(description="e.g. plain, scheme")
    reached: bool = Field(description="answered and listened")
    believed: bool = Field(False, description="believed the warning")
    refused: bool = Field(False, description="hung up or shut the door")
    minutes: float = Field(ge=0, le=MAX_MINUTES, description="it took")
    at: AwareDatetime | None = Field(None, description="when; now by default")
    platform: System = Field("96110", description="who made it: 96110, a station, a bank")

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


class Outcome(_Contract):
    """How a case ended, as the officer knows it."""

    outcome: OutcomeKind
    loss_cny: float | None = Field(None, ge=0, lt=1e12, description="paid: what was lost")
    scam_type: ScamType | None = Field(None, description="where it turned out another")
    first_contact_at: AwareDatetime | None = Field(
        None, description="when the fraudster first spoke to the citizen, if he says"
    )

    @model_validator(mode="after")
    def _loss(self) -> "Outcome":
        if (self.loss_cny is not None) != (self.outcome == OutcomeKind.PAID):
            raise ValueError("loss_cny with the outcome paid, and with no other")
        return self


class Step(_Contract):
    """What to do next for the citizen."""

    channel: str
    script: str
    minutes: float = Field(description="an officer's, expected")
    chance: float = Field(description="that it succeeds now")
    preventable_cny: float
    value_per_minute: float = Field(description="CNY")
    zh: str
    en: str


class Acted(_Contract):
    """The case after a form."""

    case_id: str
    version: int
    state: str
    level: str
    stage: str
    score: float
    tier: str
    assignee: str | None
    locked_by: str | None
    locked_until: datetime | None
    deadline_at: datetime
    next: Step | None = Field(None, description="null when nothing is left to do now")
    zh: str = Field("", description="what was done, in a sentence")
    en: str = ""
    detail: Mapping[str, Any] = Field(default_factory=dict)
