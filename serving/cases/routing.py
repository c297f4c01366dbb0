"""Who has a case: a tier of command by level and district, and those above once it is late."""

from datetime import datetime, timedelta

from serving.cases.case import Case
from serving.cases.config import CaseConfig

__all__ = ["first_tier", "tier_now"]


def first_tier(level: str, district: str | None, config: CaseConfig) -> str:
    """Where a case goes first: by its level within a known district, otherwise to the top.

    Examples
    --------
    >>> config = CaseConfig.preset()
    >>> [first_tier("red", district, config) for district in ("渝中区", None)]
    ['station', 'city']
    """
    top = config.tiers[0].name
    return config.starts.get(level, top) if district is not None else top


def tier_now(case: Case, now: datetime, config: CaseConfig) -> str:
    """Who has a case at a moment: past its deadline it rises, tier by tier, to the top.

    Only the case and the moment count, so that whoever asks, however often, gets the same answer.

    Examples
    --------
    >>> from datetime import UTC
    >>> at, hour = datetime(2026, 3, 1, 10, tzinfo=UTC), timedelta(hours=1)
    >>> case = Case("c", "tel_0", "open", at, at, "red", 0, 0.5, "engaged", at, "loan", 1e4,
    ...             at + hour, "渝中区", "station", "station", at)
    >>> [tier_now(case, at + hours * hour, CaseConfig.preset()) for hours in (0, 1.1, 1.6, 9)]
    ['station', 'district', 'city', 'city']
    """
    if not case.overdue(now):
        return case.tier
    names = [tier.name for tier in config.tiers]
    start, has = (names.index(one) if one in names else 0 for one in (case.start_tier, case.tier))
    late = now - case.deadline_at
    steps = 1 + int(late / timedelta(minutes=config.escalate_every_min))
    return names[max(0, min(has, start - steps))]
