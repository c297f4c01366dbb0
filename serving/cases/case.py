"""A case: one episode of one citizen, as it stands."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

__all__ = ["Case", "State"]


class State(StrEnum):
    """Whether a case waits for somebody."""

    OPEN = "open"
    SNOOZED = "snoozed"
    CLOSED = "closed"


@dataclass(frozen=True)
class Case:
    """A row of `serving.cases.tables.CASES`.

    Parameters
    ----------
    case_id, subscriber : str
        The citizen by his pseudonym.
    state : State
    opened_at, episode_ends_at : datetime
        Evidence known by the end belongs to this episode; it moves on with each.
    level, urgency : str, int
        Highest level of the episode by name and by rank, 0 the most urgent.
    score : float
        Highest calibrated score of the episode.
    stage, stage_at : str, datetime
        Furthest stage, and when it was first known.
    scam_type : str
    expected_loss_cny : float
    deadline_at, met_at : datetime
        The citizen is to be reached by; when he was.
    district : str or None
        Where he is known to live.
    start_tier, tier : str
        Who had the case first, who has it now.
    assignee, locked_by, locked_until : str, str, datetime or None
        Whose case it is; who has it open, until when.
    snoozed_until, snooze_reason : datetime, str or None
    closed_at : datetime or None
    changed_at, version : datetime, int
        The version rises with every change that a form could overlook.
    """

    case_id: str
    subscriber: str
    state: str
    opened_at: datetime
    episode_ends_at: datetime
    level: str
    urgency: int
    score: float
    stage: str
    stage_at: datetime
    scam_type: str
    expected_loss_cny: float
    deadline_at: datetime
    district: str | None
    start_tier: str
    tier: str
    changed_at: datetime
    version: int = 1
    met_at: datetime | None = None
    assignee: str | None = None
    locked_by: str | None = None
    locked_until: datetime | None = None
    snoozed_until: datetime | None = None
    snooze_reason: str | None = None
    closed_at: datetime | None = None

    @classmethod
    def of(cls, row: RowMapping) -> "Case":
        """Read a row."""
        return cls(**row)

    @property
    def row(self) -> dict[str, Any]:
        """The row."""
        return asdict(self)

    @property
    def closed(self) -> bool:
        """Whether it has ended, as far as we know."""
        return self.state == State.CLOSED

    def held_by_another(self, name: str, now: datetime) -> bool:
        """Whether somebody else has it open now."""
        held = self.locked_until is not None and self.locked_until > now
        return held and self.locked_by != name

    def overdue(self, now: datetime) -> bool:
        """Whether the citizen should have been reached by now."""
        return not self.closed and self.met_at is None and self.deadline_at < now
