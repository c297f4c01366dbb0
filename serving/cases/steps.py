"""The next step for one citizen: what is worth trying, and whether he may be contacted now."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from models.dissuasion import Rates, Tried
from models.work_list import Candidate, Next, best
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.contracts import Step

__all__ = ["Budget", "budget", "candidate", "next_step", "told"]

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Budget:
    """How often a citizen may still be contacted.

    Parameters
    ----------
    left : int
        Attempts, before the oldest of the last 24 hours no longer counts.
    free_at : datetime
        When the next one may be made.
    """

    left: int
    free_at: datetime

    def free(self, now: datetime) -> bool:
        """Whether he may be contacted now."""
        return self.free_at <= now


def budget(made: Sequence[datetime], now: datetime, config: CaseConfig) -> Budget:
    """What is left of a citizen's contact budget, whoever spent it.

    Examples
    --------
    >>> from datetime import UTC
    >>> config = CaseConfig.preset()
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> budget([noon], noon, config).free_at - noon == timedelta(minutes=config.cool_down_min)
    True
    >>> spent = [noon - timedelta(hours=hour) for hour in range(1, 6)]
    >>> budget(spent, noon, config).left, budget(spent, noon, config).free_at.hour
    (0, 7)
    """
    lately = sorted(at for at in made if at > now - DAY)
    free_at = max(made) + timedelta(minutes=config.cool_down_min) if made else now
    left = config.contacts_per_day - len(lately)
    if left <= 0:
        free_at = max(free_at, lately[-config.contacts_per_day] + DAY)
    return Budget(max(0, left), free_at)


def candidate(case: Case, tried: Sequence[Tried]) -> Candidate:
    """A case as the work list takes it; money may be leaving since the stage was first known."""
    return Candidate(
        case.case_id,
        case.score,
        case.stage,
        case.scam_type,
        case.expected_loss_cny,
        case.stage_at,
        case.deadline_at,
        tuple(tried),
    )


def next_step(case: Case, tried: Sequence[Tried], now: datetime, rates: Rates) -> Step | None:
    """What to do next; None on a closed case, or where nothing can be prevented."""
    if case.closed:
        return None
    found = best(candidate(case, tried), now, rates)
    return None if found is None else told(found)


def told(found: Next) -> Step:
    """A line's step, as it is told with its case."""
    said = asdict(found)
    del said["case_id"]
    return Step(**said)
