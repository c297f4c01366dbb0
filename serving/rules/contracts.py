"""What is sent about rules and lists, and what is answered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from serving.cases.contracts import Key

__all__ = [
    "Effect",
    "EntryAnswer",
    "EntryBody",
    "EntryState",
    "KeyBody",
    "ListAnswer",
    "Matches",
    "RuleAnswer",
    "RuleBody",
    "RuleList",
    "State",
    "Trial",
    "VersionBody",
]

State = Literal["draft", "tested", "live", "retired"]
EntryState = Literal["waiting", "live", "expired", "removed"]
Effect = Literal["raise", "hold"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Owner = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Rate = Annotated[float, Field(ge=0, le=1)]


class _Contract(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=()
    )


class RuleBody(_Contract):
    """A rule to be kept as a new version, a draft."""

    rule: dict[str, Any] = Field(description="as the README describes rules")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class VersionBody(_Contract):
    """What is to be done with which version."""

    version: int = Field(gt=0, lt=2**31, description="of the rule as it was shown")
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class KeyBody(_Contract):
    """A form without more."""

    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class EntryBody(_Contract):
    """Somebody to put on a list; the number itself is not kept, only its pseudonym."""

    kind: Literal["phone", "account", "app"]
    value: str = Field(min_length=1, max_length=128, description="number, account, app or site")
    owner: Owner = Field(description="the unit that answers for it")
    reason: Text = Field(description="why, nobody's number in it")
    expires_at: AwareDatetime
    key: Key = Field(description="chosen by the client; the same key does nothing twice")


class Trial(_Contract):
    """What a rule would have done in the past, on whole citizens of this city.

    A warning is a citizen on a day (UTC), however many events matched. Labels are those known when
    it was tested, on days old enough for reports to have come in. The rule is tested alone beside
    the model, with today's lists; the model may have learnt from the same days.
    """

    as_of: datetime = Field(description="labels known before")
    since: datetime = Field(description="first day tested")
    until: datetime = Field(description="end of the days tested")
    days: float = Field(description="days tested")
    model_version: str
    events: int = Field(description="events looked at")
    citizens: int = Field(description="citizens looked at")
    share: Rate = Field(description="of the city's citizens that was looked at")
    matched: int = Field(description="events that matched")
    match_rate: Rate = Field(description="share of events that matched")
    warnings: int = Field(description="citizens and days with a match")
    known: int = Field(description="of the warnings, with a known label")
    frauds: int = Field(description="of these, fraud")
    hit_rate: Rate | None = Field(description="frauds of known; null: no label is known")
    hit_low: Rate | None = Field(description="95 % interval (Wilson) of the hit rate, lower end")
    hit_high: Rate | None = Field(description="upper end")
    base_rate: Rate | None = Field(description="the same share among all citizens and days")
    overlap: Rate | None = Field(description="share of the warnings that the model gives as well")
    added_per_day: float = Field(description="warnings a day in the whole city that it would add")
    raised_per_day: float = Field(description="warnings a day it would make more urgent or add")
    held_per_day: float = Field(description="warnings a day of the model it would hold back")
    held_frauds: int = Field(description="frauds among those held back, in what was looked at")


class Matches(_Contract):
    """What matched since it is live."""

    ever: int = Field(description="events")
    lately: int = Field(description="events of the last 30 days")
    made: int = Field(0, description="decisions whose level was its doing")
    frauds: int = Field(0, description="events of cases that ended as paid or dissuaded")
    false_alarms: int = Field(0, description="events of cases that ended as false alarms")
    last_at: datetime | None = None


class RuleAnswer(_Contract):
    """One version of a rule."""

    name: str
    version: int
    state: State
    owner: str
    effect: Effect
    level: str | None
    hold_most_urgent: bool
    zh: str
    en: str
    when_zh: str = Field(description="the condition in words")
    when_en: str
    content: Mapping[str, Any] = Field(description="as it was sent")
    readable: bool = Field(description="under today's features; an unreadable one does nothing")
    expires_at: datetime | None
    author: str
    created_at: datetime
    asked_at: datetime | None = Field(description="when a test was asked for last")
    tested_at: datetime | None
    tested_by: str | None
    test: Trial | None
    live_at: datetime | None
    live_by: str | None
    retired_at: datetime | None
    retired_by: str | None
    matches: Matches


class RuleList(_Contract):
    """All rules, by name, the newest version first."""

    rules: tuple[RuleAnswer, ...]


class EntryAnswer(_Contract):
    """Somebody on a list, by his pseudonym."""

    entry_id: str
    list: Literal["allow", "deny"]
    kind: Literal["phone", "account", "app"]
    member: str = Field(description="pseudonym; of an app or site its public name")
    state: EntryState = Field(description="waiting: for a second person; nothing matches it")
    owner: str
    reason: str
    added_by: str
    added_at: datetime
    live_at: datetime | None = Field(description="it counts since")
    live_by: str | None = Field(description="of the allow list another person than added_by")
    expires_at: datetime = Field(description="as it was added; a late signature moves it not")
    removed_at: datetime | None
    removed_by: str | None
    matches: Matches


class ListAnswer(_Contract):
    """A list: who waits for a second person, who counts now, then who did lately."""

    list: Literal["allow", "deny"]
    entries: tuple[EntryAnswer, ...]
