"""Compile a feature set: the least state that answers all of it, shared by both engines."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.finish import FORMULAS
from features.keys import STATE_OF, STATES
from features.operations import Mark, Own, Reference, Total
from features.periods import LIFE, MICROSECOND, WINDOWS
from features.spec import FeatureSet, FeatureSpec
from features.streams import LINKED, STREAMS

__all__ = [
    "EVENT_FIELDS",
    "LINK_FIELDS",
    "REACH",
    "RELATIONS",
    "VALUES",
    "Accumulator",
    "Column",
    "Plan",
    "Scalar",
    "Span",
    "StatePlan",
    "compile_plan",
    "relation_of",
    "spread",
]

VALUES: Final = ("", "amount", "yuan", "duration", "surprise")
"""Integer columns an accumulator can add up: fen, whole yuan, seconds, percent of the own mean."""
EVENT_FIELDS: Final = (
    "now",
    "at",
    "kind",
    "amount",
    "yuan",
    "duration",
    "hour",
    "weekday",
    "weekend",
    "night",
    "incoming",
    "roaming",
    "foreign",
    "age_days",
    "has_link",
    "has_code",
    "listed",
    "action",
    "limit_raised",
    "channel",
    "grade",
    "delay",
    "surprise",
    "is_new",
    "new_device",
)
"""The event's own raw integers, -1 where it has none; the last three come from the state."""
ALWAYS = ("now", "at", "kind")
LINK_FIELDS: Final = ("contacts", "others", "followed", "followed_shared", "reports")
RELATIONS: Final = ("pair", "holding")
"""Kinds of state that relate two keys and so know what is new and what is distinct."""


CIRCUMSTANCE_NEEDS: Final = {
    "": "",
    "new": "pair",
    "new_device": "holding",
    "unusual": "surprise",
    "shared": "links",
}
REACH: Final = ("reach", "risky_app")
"""Streams by which a counterpart reaches a subscriber."""
MEMBER_TOTALS: Final = (
    Total("followed", "others", "24h"),
    Total("followed_shared", "others", "24h"),
    Total("report", "count", "30d"),
)
"""What a transfer reads of each counterpart that had reached its subscriber."""


@dataclass(frozen=True)
class Accumulator:
    """Adds one value of one stream: ``op`` is count, sum, square, max or distinct."""

    stream: str
    op: str
    value: str = ""


@dataclass(frozen=True)
class Scalar:
    """Kept once for a key: first, last, chain_start, chain_call or life_<op>."""

    stream: str
    op: str
    value: str = ""


@dataclass(frozen=True)
class Span:
    """`tiles` full tiles of `tile_us` microseconds and the current one."""

    tile_us: int
    tiles: int


@dataclass(frozen=True)
class Column:
    """A total to hand out: an accumulator over a span, less (for lagged windows) a shorter one.

    With `others`, a distinct count leaves out the subscriber who reads it.
    """

    accumulator: int
    span: int
    less: int
    others: bool = False


@dataclass(frozen=True)
class StatePlan:
    """The state of one kind of key.

    Parameters
    ----------
    name : str
        One of `features.keys.STATES`.
    accumulators, spans, scalars : tuple
        What it keeps.
    columns : mapping of str to tuple
        For each role that reads it: totals first, scalars after.
    reach : tuple of str
        Streams by which a counterpart enters the ring of recent contacts kept here.
    """

    name: str
    accumulators: tuple[Accumulator, ...]
    spans: tuple[Span, ...]
    scalars: tuple[Scalar, ...]
    columns: dict[str, tuple[Column | Scalar, ...]]
    reach: tuple[str, ...] = ()

    @cached_property
    def kept(self) -> tuple[tuple[int, ...], ...]:
        """For each span the accumulators some role reads over it; no other is kept for it."""
        found: list[set[int]] = [set() for _ in self.spans]
        for column in (c for role in self.columns for c in self.totals(role)):
            for span in {column.span, column.less} - {-1}:
                found[span].add(column.accumulator)
        return tuple(tuple(sorted(items)) for items in found)

    def totals(self, role: str) -> tuple[Column, ...]:
        """The role's totals, which come first in its block."""
        return tuple(item for item in self.columns[role] if isinstance(item, Column))

    def marks(self, role: str) -> tuple[int, ...]:
        """Positions of the scalars that follow the totals in the role's block."""
        return tuple(
            self.scalars.index(item) for item in self.columns[role] if isinstance(item, Scalar)
        )


@dataclass(frozen=True)
class Group:
    """Features of one role and one formula: computed together."""

    formula: str
    role: str
    targets: NDArray[np.intp]
    args: tuple[tuple[bool, NDArray[np.intp]], ...]
    constants: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class Plan:
    """What both engines execute for one feature set."""

    features: FeatureSet
    states: dict[str, StatePlan]
    groups: tuple[Group, ...]
    needs: frozenset[str]
    related: dict[str, tuple[str, ...]]

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles with a block of raw integers, in the order blocks are laid out."""
        return tuple(
            role
            for role, state in STATE_OF.items()
            if state in self.states and role in self.states[state].columns
        )

    def width(self, role: str) -> int:
        """Raw integers in the role's block."""
        return len(self.states[STATE_OF[role]].columns[role])

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """Every stream the state needs; its position is its bit in an event's mask."""
        found: dict[str, int] = {}
        for state in self.states.values():
            kept: tuple[Accumulator | Scalar, ...] = (*state.accumulators, *state.scalars)
            for item in kept:
                _index(found, item.stream)
            for stream in state.reach:
                _index(found, stream)
        return tuple(found)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Columns of the event's own block: clock, time and kind, then what some formula reads."""
        return own_fields(self.features)

    def finish(
        self,
        X: NDArray[np.float64],
        role: str,
        blocks: tuple[NDArray[np.int64], NDArray[np.int64]],
        present: NDArray[np.bool_],
    ) -> None:
        """Write the features of one role into `X`, shape (n, p), from its raw integers.

        Parameters
        ----------
        X : ndarray of float64, shape (n, p)
            Filled in place, the role's columns only.
        role : str
            One of `features.keys.KEYS`.
        blocks : pair of ndarray of int64
            The event's own block, shape (n, e), and the role's, shape (n, r).
        present : ndarray of bool, shape (n,)
            Where the event has such a key; elsewhere the features are missing (NaN).
        """
        own, other = blocks
        clock = own[:, :1].astype(np.float64)
        whole = bool(present.all())
        for group in self.groups:
            if group.role != role:
                continue
            args = tuple(
                (own if from_event else other)[:, index].astype(np.float64)
                for from_event, index in group.args
            )
            found = FORMULAS[group.formula](args, group.constants, clock)
            X[:, group.targets] = found if whole else np.where(present[:, None], found, np.nan)


@lru_cache(maxsize=16)
def compile_plan(features: FeatureSet) -> Plan:
    """Find the least state and the grouped formulas for `features`."""
    needs = _needs(features)
    drafts = {name: _Draft() for name in STATES}
    layout = {spec: _place(spec, drafts) for spec in features}
    _require(drafts, needs)
    states = {
        name: draft.done(name)
        for name, draft in drafts.items()
        if draft.used or name in needs or (name == "pair" and "links" in needs)
    }
    return Plan(features, states, _groups(features, layout, states), needs, _related(states))


Place = str | Column | Scalar


class _Draft:
    """A state under construction."""

    def __init__(self) -> None:
        self.accumulators: dict[Accumulator, int] = {}
        self.spans: dict[Span, int] = {}
        self.scalars: dict[Scalar, int] = {}
        self.columns: dict[str, dict[Column | Scalar, int]] = {}
        self.reach: dict[str, int] = {}

    @property
    def used(self) -> bool:
        return bool(self.columns or self.scalars)

    def total(self, role: str, want: Total) -> Column:
        window = WINDOWS[want.window]
        tile = window.tile_s * MICROSECOND
        others = want.op == "others"
        op = "distinct" if others else want.op
        found = _index(self.accumulators, Accumulator(want.stream, op, want.value))
        far = _index(self.spans, Span(tile, window.tiles))
        near = _index(self.spans, Span(tile, window.lag_tiles)) if window.lag_s else -1
        column = Column(found, far, near, others)
        self.columns.setdefault(role, {})[column] = 0
        return column

    def scalar(self, role: str | None, scalar: Scalar) -> Scalar:
        _index(self.scalars, scalar)
        if role:
            self.columns.setdefault(role, {})[scalar] = 0
        return scalar

    def done(self, name: str) -> StatePlan:
        return StatePlan(
            name,
            tuple(self.accumulators),
            tuple(self.spans),
            tuple(self.scalars),
            {role: _ordered(items) for role, items in self.columns.items()},
            tuple(self.reach),
        )


def _index(table: dict[Any, int], item: Any) -> int:
    return table.setdefault(item, len(table))


def _ordered(items: Iterable[Column | Scalar]) -> tuple[Column | Scalar, ...]:
    return tuple(sorted(items, key=lambda item: isinstance(item, Scalar)))


def _place(spec: FeatureSpec, drafts: dict[str, _Draft]) -> tuple[Place, ...]:
    return tuple(_settle(spec, need, drafts) for need in spec.operation.needs(spec))


def _settle(spec: FeatureSpec, need: Reference, drafts: dict[str, _Draft]) -> Place:
    if isinstance(need, Own):
        return need.field
    draft = drafts[STATE_OF[spec.key]]
    if isinstance(need, Mark):
        return draft.scalar(spec.key, Scalar(need.stream, need.op))
    if need.window == LIFE:
        return draft.scalar(spec.key, Scalar(need.stream, f"life_{need.op}", need.value))
    return draft.total(spec.key, need)


def _needs(features: FeatureSet) -> frozenset[str]:
    """Which circumstances and relations must be known."""
    found: set[str] = set()
    for spec in features:
        for need in spec.operation.needs(spec):
            found |= _circumstances(spec, need)
    return frozenset(found)


def _circumstances(spec: FeatureSpec, need: Reference) -> set[str]:
    if isinstance(need, Own):
        of_field = {"is_new": "pair", "new_device": "holding", "surprise": "surprise"}
        return {"links"} if spec.key == "link" else {of_field.get(need.field, "")} - {""}
    found = {CIRCUMSTANCE_NEEDS[STREAMS[need.stream].circumstance]} - {""}
    if isinstance(need, Total):
        found |= {"surprise"} if need.value == "surprise" else set()
        found |= {relation_of(STATE_OF[spec.key])} if need.op in {"distinct", "others"} else set()
    return found | ({"links"} if need.stream in LINKED else set())


def relation_of(state: str) -> str:
    """Relation behind a state's distinct counts: pairs, or who holds which device."""
    return "holding" if state == "device" else "pair"


def _require(drafts: dict[str, _Draft], needs: frozenset[str]) -> None:
    """Add the state that circumstances and links read."""
    if "surprise" in needs or "links" in needs:
        drafts["subscriber"].scalar(None, Scalar("transfer", "life_count"))
        drafts["subscriber"].scalar(None, Scalar("transfer", "life_sum", "amount"))
    if "links" in needs:
        drafts["pair"].scalar(None, Scalar("any", "first"))
        for stream in REACH:
            drafts["subscriber"].reach[stream] = 0
        for want in MEMBER_TOTALS:
            drafts["counterpart"].total("member", want)
    for name in ("subscriber", "counterpart", "device"):
        for item in drafts[name].accumulators:
            if item.op == "distinct":
                relation = drafts[relation_of(name)]
                relation.scalar(None, Scalar(item.stream, "last"))


def _related(states: dict[str, StatePlan]) -> dict[str, tuple[str, ...]]:
    """For each relation the streams whose last moment makes distinct counts."""
    found: dict[str, dict[str, int]] = {name: {} for name in RELATIONS}
    for name, state in states.items():
        for item in state.accumulators:
            if item.op == "distinct":
                _index(found[relation_of(name)], item.stream)
    return {name: tuple(streams) for name, streams in found.items()}


def spread(state: StatePlan, span: int) -> dict[str, list[int]]:
    """Accumulators kept for a span in the order a packed state lays them out."""
    found: dict[str, list[int]] = {"sums": [], "distincts": [], "maxes": []}
    for place in state.kept[span]:
        op = state.accumulators[place].op
        found[{"distinct": "distincts", "max": "maxes"}.get(op, "sums")].append(place)
    return found


def own_fields(features: FeatureSet) -> tuple[str, ...]:
    """Fields of the event's own block that some formula reads, after `now`, `at` and `kind`."""
    needs = (need for spec in features for need in spec.operation.needs(spec))
    found = {need.field for need in needs if isinstance(need, Own)}
    return tuple(name for name in EVENT_FIELDS if name in found or name in ALWAYS)


def _groups(
    features: FeatureSet, layout: dict[FeatureSpec, tuple[Place, ...]], states: dict[str, StatePlan]
) -> tuple[Group, ...]:
    members: dict[tuple[str, str], list[int]] = {}
    for number, spec in enumerate(features):
        members.setdefault((spec.key, spec.operation.formula), []).append(number)
    return tuple(
        _group(key, formula, numbers, (features.specs, layout, states))
        for (key, formula), numbers in members.items()
    )


def _group(
    key: str,
    formula: str,
    numbers: list[int],
    context: tuple[
        tuple[FeatureSpec, ...], dict[FeatureSpec, tuple[Place, ...]], dict[str, StatePlan]
    ],
) -> Group:
    specs, layout, states = context
    chosen = [specs[number] for number in numbers]
    own = own_fields(FeatureSet(specs))
    places = zip(*(layout[spec] for spec in chosen), strict=True)
    constants = zip(*(spec.operation.constants(spec) for spec in chosen), strict=True)
    return Group(
        formula,
        key,
        np.array(numbers, dtype=np.intp),
        tuple(_argument(key, column, own, states) for column in places),
        tuple(np.array(values, dtype=np.float64) for values in constants),
    )


def _argument(
    key: str, places: tuple[Place, ...], fields: tuple[str, ...], states: dict[str, StatePlan]
) -> tuple[bool, NDArray[np.intp]]:
    own = isinstance(places[0], str) and key != "link"
    table: tuple[Any, ...]
    if key == "link":
        table = LINK_FIELDS
    elif own:
        table = fields
    else:
        table = states[STATE_OF[key]].columns[key]
    return own, np.array([table.index(place) for place in places], dtype=np.intp)
