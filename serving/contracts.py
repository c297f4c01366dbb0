"""What the API takes and gives: request and answer models, every unit in its description.

Requests arrive as raw bytes and are parsed once, by the intake door that files go through as well.
The request models here therefore only carry the body; their schema is the events' own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from data.events import AppActivity, Call, Lead, Sms, Transfer

__all__ = [
    "MAX_EVENTS",
    "MAX_EXPLAINED",
    "Batch",
    "BatchAnswer",
    "BatchBody",
    "BatchItem",
    "Channel",
    "Decision",
    "DecisionRecord",
    "EventBody",
    "FeatureValue",
    "FieldProblem",
    "Health",
    "Level",
    "Model",
    "ProblemDetails",
    "Readiness",
    "Reason",
    "Receipt",
    "Recomputed",
    "RuleMatch",
    "Scored",
    "Stage",
    "TypeGuess",
]

MAX_EVENTS = 1_000
MAX_EXPLAINED = 100  # explaining costs 80 to 250 times a score

Scored = Annotated[Call | Sms | AppActivity | Transfer | Lead, Field(discriminator="kind")]
"""Any event that gets a score; a report is a label and goes to ``/v1/reports``."""

Probability = Annotated[float, Field(ge=0, le=1)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Level(_Answer):
    """A warning level of the policy."""

    name: str = Field(description="configured name, e.g. red")
    zh: str
    en: str
    colour: str = Field(description="#rrggbb")
    threshold: Probability = Field(description="calibrated score from which it applies")


class TypeGuess(_Answer):
    """The scam type: the likeliest, and all with their probabilities."""

    name: str
    zh: str
    en: str
    probabilities: dict[str, Probability] = Field(description="add up to 1")


class Stage(_Answer):
    """How far it has gone: contact, engaged or paying."""

    name: str
    zh: str
    en: str
    probabilities: dict[str, Probability] = Field(description="add up to 1")


class Reason(_Answer):
    """One reason: what happened, against what, how much it moved the score, what clears it."""

    feature: str = Field(description="derived name of the feature that weighs most")
    features: tuple[str, ...] = Field(description="all features told together here")
    value: float | None = Field(description="in `unit`; null: unknown")
    unit: str
    zh: str = Field(description="what happened, against what, how much it weighed")
    en: str
    contribution: float = Field(description="added to the raw score (log-odds)")
    share: float = Field(description="part of everything that raised the score, 0 to 1")
    normal_citizen: float | None = Field(description="this citizen's own 30 days, in `unit`")
    normal_peers: float | None = Field(
        description="95 % of harmless events of the kind are at or below this, in `unit`"
    )
    clears_zh: str = Field(description="what would make it harmless")
    clears_en: str
    check_zh: str = Field(description="where to check that in half a minute")
    check_en: str
    right: int = Field(0, ge=0, description="of the `warned`, how many were fraud")
    warned: int = Field(
        0, ge=0, description="warnings this kind of reason led lately; 0: not known"
    )


class RuleMatch(_Answer):
    """A rule that matched, beside the model."""

    name: str
    version: int = Field(ge=1, description="of the rule, as it was live then")
    effect: Literal["raise", "hold"] = Field(
        description="raise: to at least its level; hold: a warning back to no level"
    )
    made: bool = Field(description="the decision's level is its doing")
    zh: str = Field(description="what it says")
    en: str


class Channel(_Answer):
    """How to reach the citizen."""

    name: str
    zh: str
    en: str


class Decision(_Answer):
    """The answer to an event, as it was recorded."""

    event_id: str
    score: Probability | None = Field(
        description="calibrated probability that the subscriber is being defrauded at this event; "
        "null when a part named in `degraded` was missing: never guessed"
    )
    raw_score: float | None = Field(description="log-odds before calibration")
    alert: bool = Field(description="it has a warning level, by its score or by a rule")
    level: Level | None = Field(
        description="null below every threshold where no rule raised it, and where one held it back"
    )
    scam_type: TypeGuess | None = Field(None, description="for alerts, or with explain=true")
    stage: Stage | None = Field(None, description="for alerts, or with explain=true")
    reasons: tuple[Reason, ...] = Field(
        (), description="the model's: for alerts, also held back ones, or with explain=true"
    )
    rules: tuple[RuleMatch, ...] = Field((), description="that matched, whatever they did")
    channel: Channel | None = Field(None, description="recommended; a person decides")
    deadline_s: int | None = Field(None, description="whole seconds from `decided_at`")
    deadline_at: datetime | None = Field(None, description="the citizen is reached by then (UTC)")
    advice_zh: str = Field("", description="level, channel and deadline in a sentence")
    advice_en: str = ""
    model_version: str | None = Field(description="version of the model bundle")
    features_version: str | None = Field(description="digest of the feature definitions")
    seq: int | None = Field(description="order of arrival, in which feature state saw the events")
    late: bool = Field(description="known more than 5 minutes after it happened")
    evaluated_at: datetime | None = Field(description="the clock the features were read at (UTC)")
    decided_at: datetime = Field(description="when this answer was made (UTC)")
    degraded: tuple[str, ...] = Field((), description="parts that were missing")

    @classmethod
    def without_score(cls, event_id: str, *, late: bool, degraded: tuple[str, ...]) -> "Decision":
        """The answer when a part is away: the event is kept, nothing is guessed.

        Examples
        --------
        >>> Decision.without_score("e1", late=False, degraded=("feature_state",)).score is None
        True
        """
        return cls(
            event_id=event_id,
            score=None,
            raw_score=None,
            alert=False,
            level=None,
            model_version=None,
            features_version=None,
            seq=None,
            late=late,
            evaluated_at=None,
            decided_at=datetime.now(UTC),
            degraded=degraded,
        )


class FieldProblem(_Answer):
    """What is wrong with one field; the value itself is never repeated."""

    field: str
    expected: str
    found: str
    fix: str


class ProblemDetails(BaseModel):
    """RFC 9457 problem details (`application/problem+json`)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    fix: str
    errors: list[FieldProblem] | None = Field(
        None, description="per field, for a refused record or parameter"
    )
    quarantine_id: str | None = Field(None, description="where the refused record is kept")
    degraded: list[str] | None = Field(None, description="parts that were missing")
    retry_after_s: int | None = Field(None, description="seconds")


class BatchItem(_Answer):
    """One event of a batch: its decision, or why it was refused."""

    index: int
    decision: Decision | None = None
    problem: ProblemDetails | None = None


class BatchAnswer(_Answer):
    """Answers in the order of the events."""

    results: tuple[BatchItem, ...]
    scored: int = Field(description="events with a decision")
    refused: int = Field(description="events with a problem instead")


class Receipt(_Answer):
    """What became of records taken in without a score."""

    accepted: int = Field(description="recorded, duplicates included")
    duplicates: int = Field(description="of these, known before")
    refused: int = Field(description="in quarantine, see `problems`")
    event_ids: tuple[str, ...] = Field(description="of the accepted, in order")
    problems: tuple[ProblemDetails, ...] = Field((), description="one for each refused record")
    degraded: tuple[str, ...] = Field((), description="parts that must catch up")


class FeatureValue(_Answer):
    """One feature of the recorded vector."""

    name: str
    value: float | None = Field(description="null: unknown")
    unit: str | None = None


class Recomputed(_Answer):
    """The recorded vector scored again, now, by the model that scored it then."""

    possible: bool
    raw_score: float | None = None
    score: float | None = None
    equal: bool | None = Field(
        None, description="level and rules as recorded, both scores equal to the bit"
    )
    level: str | None = Field(None, description="by name, after the rules of then")
    rules: tuple[str, ...] = Field((), description="that matched, such as quick_money@3")
    why_not: str | None = None


class DecisionRecord(_Answer):
    """What was known then."""

    decision: Decision
    event: dict[str, Any] = Field(description="the event as recorded, identifiers as pseudonyms")
    vector: tuple[FeatureValue, ...]
    thresholds: dict[str, float] = Field(description="warning level to calibrated score")
    recomputed: Recomputed


class Model(_Answer):
    """The model in service."""

    version: str
    features_version: str
    features: int = Field(description="how many")
    levels: tuple[Level, ...]
    card: dict[str, Any] = Field(description="the model card that travels with the bundle")


class Health(_Answer):
    """Alive."""

    status: Literal["alive"] = "alive"


class Readiness(_Answer):
    """Whether the service can score, part by part."""

    ready: bool
    parts: dict[str, str] = Field(description="part to `ok` or what is wrong")


class _Body(BaseModel):
    """A request's body, as it came; the intake door parses it, once."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    __root_input__: ClassVar[bool] = False  # BentoML's name for "the argument is the body"
    adapter: ClassVar[TypeAdapter[Any]]

    body: bytes = Field(b"", exclude=True)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **_: Any) -> Any:
        """Keep the bytes."""
        return cls(body=json_data)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        # in full, not by reference: BentoML's client looks for its properties
        return dict(handler.resolve_ref_schema(handler(cls.adapter.core_schema)))


class EventBody(_Body):
    """One event."""

    __root_input__: ClassVar[bool] = True
    adapter: ClassVar[TypeAdapter[Any]] = TypeAdapter(Scored)


class BatchBody(BaseModel):
    """Events to score, in the order they happened to be learnt."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    events: Annotated[Sequence[Scored], Field(min_length=1, max_length=MAX_EVENTS)]
    explain: bool = Field(
        False, description=f"explain every event, not only alerts; at most {MAX_EXPLAINED} events"
    )


class Batch(_Body):
    """Up to 1,000 events; BentoML's client names them: ``score_batch(events=[...])``."""

    adapter: ClassVar[TypeAdapter[Any]] = TypeAdapter(BatchBody)
