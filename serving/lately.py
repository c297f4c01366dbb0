"""What the model in service did lately: alerts a day and scores, beside what training expected.

Everything is read from recorded decisions; nothing about it is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import log
from zoneinfo import ZoneInfo

from sqlalchemy import Date, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models.bundle import Bundle
from serving.decisions import DECISIONS

__all__ = ["DAYS", "Day", "Lately", "lately", "stability"]

DAYS = 14
FEWEST = 1_000  # scores below which a comparison of their bands is noise
_LEAST = 1e-4  # share taken for an empty band: a logarithm of nothing is none
MOVED, MOVED_FAR = 0.1, 0.25  # Siddiqi, Credit Risk Scorecards (2006): rules of thumb of the PSI
_MORE = 1.5  # alerts a day beyond so many times what training expected, or below its inverse


@dataclass(frozen=True)
class Day:
    """One day of the city's calendar.

    Parameters
    ----------
    day : date
    citizens : mapping of level to int
        Warned that day, each at his most urgent level.
    """

    day: date
    citizens: Mapping[str, int]

    @property
    def count(self) -> int:
        """Warned at any level."""
        return sum(self.citizens.values())


@dataclass(frozen=True)
class Lately:
    """The last days.

    Parameters
    ----------
    days : tuple of Day
        Whole ones, oldest first.
    expected_per_day : float
        Citizens warned a day on the slice that the levels were fitted on.
    scores : tuple of int
        Events of this version's in each band of the card; empty if the card has no bands.
    trained : tuple of float
        Shares of the bands on the test days.
    """

    days: tuple[Day, ...]
    expected_per_day: float
    scores: tuple[int, ...] = ()
    trained: tuple[float, ...] = ()

    @property
    def mean_per_day(self) -> float | None:
        """Citizens warned a day; None without a whole day."""
        return sum(day.count for day in self.days) / len(self.days) if self.days else None

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the bands, lately."""
        whole = sum(self.scores)
        return tuple(count / whole for count in self.scores) if whole else ()

    @property
    def sentences(self) -> tuple[tuple[str, str], ...]:
        """Drift in words, (zh, en) each."""
        return (self._alerts, self._drift)

    @property
    def _alerts(self) -> tuple[str, str]:
        mean, expected = self.mean_per_day, self.expected_per_day
        if mean is None:
            return (
                "近期没有满一天的评分记录，无法与训练时比较。",
                "No whole day of decisions lately: nothing to compare with training.",
            )
        zh = f"近{len(self.days)}天平均每天预警{mean:.1f}人，训练时为{expected:.1f}人："
        en = f"{mean:.1f} citizens warned a day in {len(self.days)} days, {expected:.1f} expected: "
        if mean > _MORE * expected:
            return f"{zh}明显偏多，请核查数据来源和阈值。", f"{en}far more; look at the sources."
        if mean < expected / _MORE:
            return f"{zh}明显偏少，请核查数据是否齐全。", f"{en}far fewer; do all data come in?"
        return f"{zh}相近。", f"{en}about the same."

    @property
    def _drift(self) -> tuple[str, str]:
        if not self.trained:
            return (
                "此模型包没有保存训练时的评分分布，无法比较；下次训练起会保存。",
                "This bundle keeps no scores of its test days to compare with; the next will.",
            )
        if (whole := sum(self.scores)) < FEWEST:
            return (
                f"近期评分{whole}次，不足{FEWEST}次，不比较分布。",
                f"{whole} scores lately, fewer than {FEWEST}: their spread is not compared.",
            )
        moved = stability(self.trained, self.shares)
        number = f"PSI {moved:.2f}"
        if moved < MOVED:
            return f"评分分布与训练时相近（{number}）。", f"Scores lie as when trained ({number})."
        if moved < MOVED_FAR:
            return (
                f"评分分布与训练时有所不同（{number}），请留意。",
                f"Scores lie somewhat differently than when trained ({number}): keep an eye on it.",
            )
        zh = f"评分分布与训练时明显不同（{number}）：请核查数据来源，并考虑重新训练。"
        return (
            zh,
            f"Scores lie far from where they did when trained ({number}): look at the sources.",
        )


def stability(trained: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of shares of bands; 0: the same.

    Examples
    --------
    >>> stability([0.5, 0.5], [0.5, 0.5]), round(stability([0.5, 0.5], [0.9, 0.1]), 2)
    (0.0, 0.88)
    """
    pairs = [
        (max(then, _LEAST), max(lately, _LEAST)) for then, lately in zip(trained, now, strict=True)
    ]
    return sum((lately - then) * log(lately / then) for then, lately in pairs)


async def lately(connection: AsyncConnection, bundle: Bundle, now: datetime, zone: str) -> Lately:
    """Count the decisions of the last `DAYS` whole days; alerts of every version, scores of this.

    Parameters
    ----------
    connection : AsyncConnection
    bundle : Bundle
        In service.
    now : datetime
        Aware.
    zone : str
        The city's.
    """
    midnight = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=DAYS)
    bands = bundle.card.curves.get("scores", {})
    first = await connection.scalar(
        select(func.min(DECISIONS.c.decided_at)).where(DECISIONS.c.decided_at >= since)
    )
    return Lately(
        days=await _days(connection, bundle, (since, midnight), zone) if first else (),
        expected_per_day=sum(bundle.policy.per_day),
        scores=await _scores(connection, bundle, since, bands.get("edges", ())),
        trained=tuple(bands.get("shares", ())),
    )


async def _days(
    connection: AsyncConnection, bundle: Bundle, span: tuple[datetime, datetime], zone: str
) -> tuple[Day, ...]:
    """Days from the first with a decision on; one without an alert counts as none."""
    day = cast(func.timezone(zone, DECISIONS.c.decided_at), Date).label("day")
    names = [level.name for level in bundle.policy.levels]
    # a level that only an earlier policy had is told by its own name, after the others
    rank = case(
        {name: at for at, name in enumerate(names)}, value=DECISIONS.c.level, else_=len(names)
    )
    within = (DECISIONS.c.decided_at >= span[0], DECISIONS.c.decided_at < span[1])
    worst = (
        select(day, DECISIONS.c.subscriber, func.min(rank).label("rank"))
        .where(*within, DECISIONS.c.level.is_not(None))
        .group_by(day, DECISIONS.c.subscriber)
        .subquery()
    )
    counted = select(worst.c.day, worst.c.rank, func.count().label("n")).group_by(
        worst.c.day, worst.c.rank
    )
    found: dict[date, dict[str, int]] = {
        one: {} for one in (await connection.scalars(select(day).where(*within).distinct()))
    }
    for row in await connection.execute(counted):
        found[row.day][[*names, "?"][row.rank]] = row.n
    return tuple(Day(one, found[one]) for one in sorted(found))


async def _scores(
    connection: AsyncConnection, bundle: Bundle, since: datetime, edges: Sequence[float]
) -> tuple[int, ...]:
    if not edges:
        return ()
    inner = list(edges[1:-1])
    band = func.width_bucket(DECISIONS.c.score, inner).label("band")
    query = (
        select(band, func.count().label("n"))
        .where(DECISIONS.c.decided_at >= since, DECISIONS.c.model_version == bundle.version)
        .group_by(band)
    )
    counts = {row.band: row.n for row in await connection.execute(query)}
    return tuple(counts.get(at, 0) for at in range(len(edges) - 1))
