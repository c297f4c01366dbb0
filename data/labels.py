"""Labels: which events were part of a fraud, as far as it was known at a moment.

A report covers its subscriber's events from first contact to last loss. Those that touch a
counterpart it names are fraud (1); the others in that episode say nothing (-1), neither do events
too young for their report to have come in (-1). The rest is no fraud as far as is known (0).

Outcomes of our own cases speak where no report does. Of the events a case was made of, paid makes
frauds and a false alarm makes none, however young. The rest of a paid episode says nothing, nor
does an episode in which we stepped in: what would have happened is not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.events import ScamType
from data.outcomes import Verdict, standing
from data.tables import CODE

__all__ = ["SCAM_TYPES", "STAGES", "UNKNOWN", "EventLabels", "label_events"]

SCAM_TYPES = tuple(str(scam) for scam in ScamType)
STAGES = ("contact", "engaged", "paying")
UNKNOWN = -1
LONG_CALL_S = 600  # half of the 20 minutes of the operators' middle stage: victims do not all stay
TOUCHES_ENGAGED = 2

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EventLabels:
    """One label a row of the table that was labelled.

    Attributes
    ----------
    y : ndarray of int8, shape (n,)
        1 fraud, 0 none known, -1 left out.
    scam_type : ndarray of int8, shape (n,)
        Place in `SCAM_TYPES` where ``y`` is 1, otherwise -1.
    stage : ndarray of int8, shape (n,)
        Place in `STAGES` where ``y`` is 1, otherwise -1.
    episode : ndarray of int32, shape (n,)
        Which report, counted in order of arrival, explains the row; -1 where none does. Rows that
        lie within an episode and touch nothing it names bear its number too. Outcomes of cases
        that paid are counted on after the reports.
    """

    y: NDArray[np.int8]
    scam_type: NDArray[np.int8]
    stage: NDArray[np.int8]
    episode: NDArray[np.int32]


@dataclass(frozen=True)
class _Facts:
    """What events are held against, one entry a row."""

    subscriber: Ints
    occurred: Ints
    candidate: Mask


@dataclass(frozen=True)
class _Episodes:
    """What reports or outcomes say, one entry each, in order of arrival."""

    subscriber: Ints
    start: Ints
    end: Ints
    scam_type: NDArray[np.int8]
    named: Ints  # episode * size + key of what it names: a counterpart, an event


@dataclass(frozen=True)
class _Keys:
    """What episodes name events by: a key a row, -1 for none, all below `size`."""

    of_row: Ints
    size: int


@dataclass(frozen=True)
class _Pairs:
    """An event within an episode; sorted by episode, then as the events happened."""

    episode: Ints
    row: Ints
    touched: Mask


def label_events(
    events: pa.Table,
    as_of: datetime,
    *,
    maturity: timedelta,
    outcomes: pa.Table | None = None,
) -> EventLabels:
    """Label events with the reports, and the outcomes of cases, known before `as_of`.

    Parameters
    ----------
    events
        Rows of `EVENT_SCHEMA`, sorted by ``seq``, known before `as_of`; reports among them. The
        columns seq, kind, occurred_at, known_at, subscriber, counterpart, direction, action,
        duration_s, scam_type, first_contact_at, phones, accounts and apps are used.
    as_of
        What came in later is not looked at.
    maturity
        Rows without a report that happened less than this before `as_of` are left out.
    outcomes
        Rows of `data.outcomes.OUTCOME_SCHEMA`; with any, event_id is used as well.

    Returns
    -------
    EventLabels
        Reports themselves are left out (-1).

    Examples
    --------
    >>> from data.tables import empty_events
    >>> from datetime import UTC
    >>> label_events(empty_events(), datetime(2026, 3, 1, tzinfo=UTC), maturity=timedelta(7)).y
    array([], dtype=int8)
    """
    kind = _codes(events["kind"])
    counterpart = _codes(events["counterpart"])
    occurred = _microseconds(events["occurred_at"])
    told = np.flatnonzero(
        (kind.code == kind.of("report")) & (_microseconds(events["known_at"]) < _moment(as_of))
    )
    labels = _blank(len(occurred), occurred > _moment(as_of - maturity))
    labels.y[kind.code == kind.of("report")] = UNKNOWN
    subscriber = _codes(events["subscriber"]).code
    reports = _reports(events, told, subscriber, counterpart)
    facts = _Facts(subscriber, occurred, kind.code != kind.of("report"))
    pairs = _pairs(reports, facts, _Keys(counterpart.code, counterpart.size))
    _mark(labels, pairs, reports, _stages(events, pairs, kind))
    if outcomes is not None and len(outcomes):
        _mark_outcomes(labels, events, facts, standing(outcomes, as_of), kind)
    return labels


def _blank(count: int, young: Mask) -> EventLabels:
    labels = EventLabels(
        y=np.zeros(count, np.int8),
        scam_type=np.full(count, UNKNOWN, np.int8),
        stage=np.full(count, UNKNOWN, np.int8),
        episode=np.full(count, UNKNOWN, np.int32),
    )
    labels.y[young] = UNKNOWN
    return labels


def _mark(labels: EventLabels, pairs: _Pairs, reports: _Episodes, stage: NDArray[np.int8]) -> None:
    """Write the pairs down; where episodes overlap, the report that came first explains."""
    for chosen in (~pairs.touched, pairs.touched):  # a touch outweighs lying within
        rows, report = pairs.row[chosen][::-1], pairs.episode[chosen][::-1]
        labels.y[rows] = pairs.touched[chosen][::-1]
        labels.episode[rows] = report
        labels.scam_type[rows] = reports.scam_type[report]
        labels.stage[rows] = stage[chosen][::-1]
    outside = labels.y != 1
    labels.y[outside & (labels.episode >= 0)] = UNKNOWN
    labels.scam_type[outside] = UNKNOWN
    labels.stage[outside] = UNKNOWN


def _mark_outcomes(
    labels: EventLabels, events: pa.Table, facts: _Facts, outcomes: pa.Table, kind: "_Codes"
) -> None:
    """Write outcomes down where no report speaks; what made a case outweighs lying within one."""
    told = _outcomes(events, outcomes)
    rows = np.arange(len(facts.occurred))
    pairs = _pairs(told, facts, _Keys(rows, len(rows)))
    first = int(labels.episode.max(initial=UNKNOWN)) + 1
    stage = _stages(events, pairs, kind)
    free = labels.episode[pairs.row] == UNKNOWN
    none, fraud = (_says(outcomes, verdict)[pairs.episode] for verdict in ("none", "fraud"))
    labels.y[pairs.row[free & ~none]] = UNKNOWN
    labels.y[pairs.row[free & none & pairs.touched]] = 0
    paid = np.flatnonzero(free & fraud & pairs.touched)[::-1]
    row, outcome = pairs.row[paid], pairs.episode[paid]
    labels.y[row] = 1
    labels.episode[row] = first + outcome
    labels.scam_type[row] = told.scam_type[outcome]
    labels.stage[row] = stage[paid]


def _says(outcomes: pa.Table, verdict: str) -> Mask:
    said: Mask = pc.equal(outcomes["verdict"], Verdict(verdict)).to_numpy()
    return said


def _outcomes(events: pa.Table, outcomes: pa.Table) -> _Episodes:
    """Outcomes as episodes that name events by their rows."""
    lists = outcomes["events"].combine_chunks()
    names = lists.flatten()
    rows = np.flatnonzero(pc.is_in(events["event_id"], value_set=names).to_numpy())
    found = events["event_id"].take(pa.array(rows)).combine_chunks()
    place = pc.index_in(names, value_set=found)
    there = place.is_valid().to_numpy(zero_copy_only=False)
    row = rows[place.drop_null().to_numpy()]
    outcome = pc.list_parent_indices(lists).to_numpy()[there]
    texts = _codes(events["subscriber"]).texts
    scam_type = pc.index_in(outcomes["scam_type"], pa.array(SCAM_TYPES))
    return _Episodes(
        subscriber=pc.index_in(outcomes["subscriber"], texts).fill_null(-1).to_numpy(),
        start=_microseconds(outcomes["began_at"]),
        end=_microseconds(outcomes["ends_at"]),
        scam_type=scam_type.to_numpy().astype(np.int8),
        named=np.unique(outcome.astype(np.int64) * len(events) + row),
    )


def _reports(events: pa.Table, told: Ints, subscriber: Ints, counterpart: "_Codes") -> _Episodes:
    told_columns = ["scam_type", "first_contact_at", "occurred_at", "phones", "accounts", "apps"]
    rows = events.select(told_columns).take(pa.array(told))
    places = pc.index_in(rows["scam_type"].cast(pa.string()), pa.array(SCAM_TYPES))
    named = [_named(rows[column], counterpart) for column in ("phones", "accounts", "apps")]
    return _Episodes(
        subscriber=subscriber[told],
        start=_microseconds(rows["first_contact_at"]),
        end=_microseconds(rows["occurred_at"]),
        scam_type=places.to_numpy().astype(np.int8),
        named=np.unique(np.concatenate(named)),
    )


def _named(column: pa.ChunkedArray, counterpart: "_Codes") -> Ints:
    lists = column.combine_chunks()
    report = pc.list_parent_indices(lists).to_numpy()
    code = pc.index_in(lists.flatten(), counterpart.texts).fill_null(-1).to_numpy()
    keys: Ints = (report * counterpart.size + code)[code >= 0].astype(np.int64)
    return keys


def _pairs(episodes: _Episodes, facts: _Facts, keys: _Keys) -> _Pairs:
    subscriber, occurred = facts.subscriber, facts.occurred
    victims = np.zeros(int(subscriber.max(initial=0)) + 1, dtype=bool)
    victims[episodes.subscriber[episodes.subscriber >= 0]] = True
    rows = np.flatnonzero(victims[subscriber] & facts.candidate)
    rows = rows[np.lexsort((occurred[rows], subscriber[rows]))]
    first, last = _spans(episodes, subscriber[rows], occurred[rows])
    lengths = last - first
    episode = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(episode)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found = rows[np.repeat(first, lengths) + within]
    key = keys.of_row[found]
    touched = np.isin(episode * keys.size + key, episodes.named) & (key >= 0)
    return _Pairs(episode, found, touched)


def _spans(episodes: _Episodes, subscriber: Ints, occurred: Ints) -> tuple[Ints, Ints]:
    """First and past-the-last place of each episode among a sorted victim's events."""
    begin = np.searchsorted(subscriber, episodes.subscriber, "left")
    end = np.searchsorted(subscriber, episodes.subscriber, "right")
    first, last = begin.copy(), end.copy()
    for episode, (low, high) in enumerate(zip(begin, end, strict=True)):
        own = occurred[low:high]
        first[episode] = low + np.searchsorted(own, episodes.start[episode], "left")
        last[episode] = low + np.searchsorted(own, episodes.end[episode], "right")
    return first, last


def _stages(events: pa.Table, pairs: _Pairs, kind: "_Codes") -> NDArray[np.int8]:
    """Stage of each touching pair: how far the fraud had come, by this event included."""
    stage = np.full(len(pairs.row), UNKNOWN, np.int8)
    places = np.flatnonzero(pairs.touched)
    episode, rows = pairs.episode[places], pairs.row[places]
    transfer = kind.code[rows] == kind.of("transfer")
    earlier = np.arange(len(rows)) - np.searchsorted(episode, episode, "left")
    engaged = (earlier >= TOUCHES_ENGAGED) | _so_far(_engages(events, rows, kind), episode)
    paying = _so_far(transfer, episode)
    stage[places] = np.where(paying, 2, engaged.astype(np.int8))
    return stage


def _engages(events: pa.Table, rows: Ints, kind: "_Codes") -> Mask:
    """Events by which the victim plays along: a long call, an answer, a tool installed."""
    chosen = events.select(["direction", "action", "duration_s"]).take(pa.array(rows))
    direction, action = _codes(chosen["direction"]), _codes(chosen["action"])
    call = kind.code[rows] == kind.of("call")
    long = call & (chosen["duration_s"].fill_null(0).to_numpy() >= LONG_CALL_S)
    tools = [action.of(name) for name in ("install", "remote_control", "screen_share")]
    plays: Mask = long | (direction.code == direction.of("outgoing")) | np.isin(action.code, tools)
    return plays


def _so_far(flag: Mask, group: Ints) -> Mask:
    """Whether the flag was set at this row or an earlier one of its (sorted) group."""
    total = np.concatenate([[0], np.cumsum(flag)])
    return total[1:] > total[np.searchsorted(group, group, "left")]


@dataclass(frozen=True)
class _Codes:
    """A column as integers: -1 for null."""

    code: Ints
    texts: pa.Array

    @property
    def size(self) -> int:
        return len(self.texts) + 1

    def of(self, text: str) -> int:
        """Code of a text; one that matches nothing where the column has it not."""
        place: int = pc.index(self.texts, text).as_py()
        return place if place >= 0 else UNKNOWN - 1


def _codes(column: pa.ChunkedArray) -> _Codes:
    whole = column.cast(CODE).unify_dictionaries().combine_chunks()
    return _Codes(whole.indices.fill_null(-1).to_numpy().astype(np.int64), whole.dictionary)


def _microseconds(column: pa.ChunkedArray) -> Any:
    return column.cast(pa.int64()).to_numpy()


def _moment(time: datetime) -> int:
    return pa.scalar(time, pa.timestamp("us", tz="UTC")).value  # type: ignore[no-any-return]


def names_of(codes: Iterable[int], names: tuple[str, ...]) -> list[str | None]:
    """Words for codes of a label, None for -1.

    Examples
    --------
    >>> names_of([2, -1], STAGES)
    ['paying', None]
    """
    return [names[code] if code >= 0 else None for code in codes]
