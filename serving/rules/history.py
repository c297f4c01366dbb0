"""What a rule would have done: its condition over the vectors of past days, against their labels.

Vectors are made in bulk from history and log. They are those that were served, to the bit, which
`forewarn certify` proves; so the test needs no decisions of the past, and works on the first day.
Whole citizens are looked at, as many as fit; figures per day are for the whole city.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.labels import label_events
from data.tables import TIME
from features import FRAUD_FEATURES
from models.bundle import Bundle
from models.conditions import Bools, Facts
from models.rules import Rule, RuleSet
from models.shares import wilson
from serving.rules.book import Members
from serving.rules.contracts import Trial

__all__ = ["HistoryTest", "NoHistory", "try_on_history"]

Ints = NDArray[np.int64]
_DAY_US = 86_400_000_000
_SEED = 8


class NoHistory(ValueError):  # noqa: N818
    """There are no past events to test on."""


@dataclass(frozen=True)
class HistoryTest:
    """How a rule is tested.

    Parameters
    ----------
    days : float
        Length of the past that is looked at.
    delay : float
        Days until most labels are in: later events are left out.
    most : int
        Events looked at; a vector takes 2 KiB of memory.
    zone : str
        The city's.
    """

    days: float = 14.0
    delay: float = 7.0
    most: int = 200_000
    zone: str = "Asia/Shanghai"


@dataclass(frozen=True, eq=False)
class Past:
    """What is known.

    Parameters
    ----------
    events : Table
        History and log in order of arrival.
    outcomes : Table
        Of cases, `data.outcomes.OUTCOME_SCHEMA`.
    members : Members
        Of today's lists.
    """

    events: pa.Table
    outcomes: pa.Table
    members: Members


def try_on_history(
    rule: Rule,
    bundle: Bundle,
    past: Past,
    as_of: datetime,
    config: HistoryTest | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Test a rule, alone beside a model.

    Parameters
    ----------
    rule : Rule
    bundle : Bundle
        The model beside it.
    past : Past
    as_of : datetime
        Only what was known before it; where the past ends earlier, its end.
    config : HistoryTest, optional
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    Trial

    Raises
    ------
    NoHistory
        If no event lies in the days to look at.
    """
    config = config or HistoryTest()
    events = past.events.filter(pc.less(past.events["known_at"], pa.scalar(as_of, TIME)))
    span = _Span.of(events, as_of, config)
    chosen, share = _chosen(events, span, config.most)
    if not chosen.any():
        raise NoHistory(
            f"expected events known from {span.since:%Y-%m-%d %H:%M} to {span.until:%Y-%m-%d %H:%M}"
            ", found none; bring a history in, or wait until it is long enough"
        )
    progress(f"making {int(chosen.sum()):,} vectors")
    rows = np.flatnonzero(chosen)
    from features import bulk  # noqa: PLC0415 - a worker, which only starts tests, needs no numba

    X = bulk(events, FRAUD_FEATURES, zone=config.zone, select=chosen, repeats="trust").X
    progress("labels as known")
    delay = timedelta(days=config.delay)
    y = label_events(events, span.as_of, maturity=delay, outcomes=past.outcomes).y[rows]
    progress("the rule")
    raw = bundle.fraud.raw(X)
    facts = Facts(
        X,
        events["kind"].cast(pa.string()).take(pa.array(rows)).to_pylist(),
        raw,
        bundle.calibration.apply(raw),
        _listed(rule, events, rows, past.members),
    )
    units = _Units.of(events, rows)
    return _told(
        _Ruled.of(rule, bundle, facts), units, y.astype(np.int64), _Of(span, share, bundle)
    )


@dataclass(frozen=True)
class _Span:
    """The days looked at."""

    since: datetime
    until: datetime
    as_of: datetime

    @classmethod
    def of(cls, events: pa.Table, as_of: datetime, config: HistoryTest) -> "_Span":
        last = pc.max(events["known_at"]).as_py()
        end = as_of if last is None else min(as_of, last + timedelta(microseconds=1))
        until = end - timedelta(days=config.delay)
        return cls(until - timedelta(days=config.days), until, end)

    @property
    def days(self) -> float:
        return (self.until - self.since) / timedelta(days=1)


@dataclass(frozen=True, eq=False)
class _Units:
    """Citizens on days: which one each row is in, and how many there are."""

    of_row: Ints
    count: int
    citizens: int

    @classmethod
    def of(cls, events: pa.Table, rows: Ints) -> "_Units":
        citizen = _citizens(events)[rows]
        day = events["known_at"].cast(pa.int64()).to_numpy()[rows] // _DAY_US
        pairs = np.stack([citizen, day], axis=1)
        found, of_row = np.unique(pairs, axis=0, return_inverse=True)
        return cls(of_row.ravel(), len(found), len(np.unique(citizen)))

    def any(self, mask: Bools) -> Bools:
        """Units with a row in the mask."""
        found = np.zeros(self.count, np.bool_)
        found[self.of_row[mask]] = True
        return found

    def best(self, ranks: Ints, nothing: int) -> Ints:
        """The most urgent rank of each unit."""
        found = np.full(self.count, nothing, np.int64)
        np.minimum.at(found, self.of_row, ranks)
        return found


@dataclass(frozen=True, eq=False)
class _Ruled:
    """Which rows matched, and ranks without and with the rule."""

    matched: Bools
    model: Ints
    final: Ints
    nothing: int

    @classmethod
    def of(cls, rule: Rule, bundle: Bundle, facts: Facts) -> "_Ruled":
        levels = tuple(level.name for level in bundle.policy.levels)
        model = bundle.policy.ranks(facts.score).astype(np.int64)
        matched = rule.when.holds(facts)
        at = np.flatnonzero(matched)
        final = model.copy()
        rulings = RuleSet((rule,)).rulings(facts.take(at.tolist()), model[at], levels)
        final[at] = [ruling.rank for ruling in rulings]
        return cls(matched, model, final, len(levels))


@dataclass(frozen=True)
class _Of:
    """What the figures are about."""

    span: _Span
    share: float
    bundle: Bundle

    def per_day(self, units: Bools) -> float:
        """So many of the whole city a day."""
        return float(units.sum() / self.span.days / self.share)


def _told(ruled: _Ruled, units: _Units, y: Ints, about: _Of) -> Trial:
    warned, known, fraud = units.any(ruled.matched), units.any(y >= 0), units.any(y == 1)
    # of a warning, what was known about the events that matched
    told, hit = units.any(ruled.matched & (y >= 0)), units.any(ruled.matched & (y == 1))
    model, final = (units.best(one, ruled.nothing) for one in (ruled.model, ruled.final))
    held = (model < ruled.nothing) & (final == ruled.nothing)
    low, high = wilson(int(hit.sum()), int(told.sum()))
    return Trial(
        as_of=about.span.as_of,
        since=about.span.since,
        until=about.span.until,
        days=about.span.days,
        model_version=about.bundle.version,
        events=len(y),
        citizens=units.citizens,
        share=about.share,
        matched=int(ruled.matched.sum()),
        match_rate=float(ruled.matched.mean()),
        warnings=int(warned.sum()),
        known=int(told.sum()),
        frauds=int(hit.sum()),
        hit_rate=_share(hit, told),
        hit_low=None if np.isnan(low) else float(low),
        hit_high=None if np.isnan(high) else float(high),
        base_rate=_share(fraud, known),
        overlap=_share(warned & (model < ruled.nothing), warned),
        added_per_day=about.per_day((model == ruled.nothing) & (final < ruled.nothing)),
        raised_per_day=about.per_day(final < model),
        held_per_day=about.per_day(held),
        held_frauds=int((held & fraud).sum()),
    )


def _share(some: Bools, of: Bools) -> float | None:
    return float(some.sum() / of.sum()) if of.any() else None


def _chosen(events: pa.Table, span: _Span, most: int) -> tuple[Bools, float]:
    """Scored events of the span, of whole citizens, as many as allowed; the share of citizens."""
    since, until = (pa.scalar(one.astimezone(UTC), TIME) for one in (span.since, span.until))
    known = events["known_at"]
    scored = pc.not_equal(events["kind"].cast(pa.string()), "report")
    within = pc.and_(scored, pc.and_(pc.greater_equal(known, since), pc.less(known, until)))
    mask: Bools = within.to_numpy()
    citizen = _citizens(events)
    there, counts = np.unique(citizen[mask], return_counts=True)
    if counts.sum() <= most:
        return mask, 1.0
    order = np.random.default_rng(_SEED).permutation(len(there))
    fit = int(np.searchsorted(np.cumsum(counts[order]), most, side="right"))
    kept = there[order[: max(1, fit)]]
    return mask & np.isin(citizen, kept), len(kept) / len(there)


def _citizens(events: pa.Table) -> Ints:
    column = events["subscriber"]
    whole = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    codes: Ints = whole.indices.to_numpy().astype(np.int64)
    return codes


def _listed(
    rule: Rule, events: pa.Table, rows: Ints, members: Members
) -> dict[tuple[str, str], Bools]:
    found: dict[tuple[str, str], Bools] = {}
    for name, role in rule.asks:
        column: Any = events[role].cast(pa.string()).take(pa.array(rows))
        there = pa.array(list(members.get(name, {})), pa.string())
        found[name, role] = pc.is_in(column, value_set=there).to_numpy()
    return found
