"""What a source's clock may say: how far ahead of ours, and from when on an event is late."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from data.problems import Problem

__all__ = ["AHEAD", "LATE", "STAMPED", "problems_ahead", "problems_before"]

AHEAD = timedelta(minutes=5)  # a clock further ahead of ours is wrong
LATE = timedelta(minutes=5)  # known later than this after it happened: marked as late
STAMPED = ("occurred_at", "known_at", "reported_at")  # what nobody can know before it is so


def problems_ahead(times: Mapping[str, datetime | None], now: datetime) -> list[Problem]:
    """Times that our clock has not reached.

    Examples
    --------
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> problems_ahead({"occurred_at": noon + AHEAD}, noon)
    []
    >>> problems_ahead({"occurred_at": noon + 2 * AHEAD}, noon)[0].found
    '2026-03-01T12:10:00+00:00'
    """
    ours = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return [
        Problem(
            name,
            f"a time at most 5 minutes after ours, {ours}",
            time.isoformat(),
            "correct the source's clock, then replay the record",
        )
        for name, time in times.items()
        if time is not None and time > now + AHEAD
    ]


def problems_before(occurred_at: datetime, known_at: datetime | None) -> list[Problem]:
    """A fact known before it happened: training as of that moment would see the future.

    Two systems' clocks may differ by as much as a source's may run ahead of ours.

    Examples
    --------
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> problems_before(noon, noon - AHEAD), len(problems_before(noon, noon - 2 * AHEAD))
    ([], 1)
    """
    if known_at is None or known_at >= occurred_at - AHEAD:
        return []
    return [
        Problem(
            "known_at",
            f"a time at most 5 minutes before occurred_at, {occurred_at.isoformat()}",
            known_at.isoformat(),
            "say when it was learnt, or leave it out to have it stamped",
        )
    ]
