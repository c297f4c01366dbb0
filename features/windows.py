"""The bulk engine: every vector of an event table in one pass per kind of key.

Events are numbered, grouped by key with a counting sort and run through `features.kernels` on as
many threads as asked; threads share nothing but the key they own, so their order cannot matter.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features import kernels
from features.attributes import UNUSUAL_PERCENT
from features.frame import SQUARED, Frame, Identities, in_order, without_repeats
from features.kernels import RULES, Facts, Recipe, Role, Touches
from features.keys import STATE_OF
from features.links import HABITUAL_US, KNOWN_PAYERS, RING
from features.plan import (
    REACH,
    RELATIONS,
    VALUES,
    Accumulator,
    Plan,
    Scalar,
    StatePlan,
    compile_plan,
    relation_of,
    spread,
)
from features.spec import FeatureSet
from features.streams import KINDS, STREAMS

__all__ = ["Draft", "Job", "Vectors", "bulk", "recipe_of"]

Ints = NDArray[np.int64]
Progress = Callable[[float], None]
Part = tuple[int, int]
CHUNK_ROWS = 1 << 12
PARTS_PER_THREAD = 8
REPORT = KINDS.index("report")
TRANSFER = KINDS.index("transfer")
KIND = 2  # place of the kind in an event block
PARTS = ("sums", "distincts", "maxes")


@dataclass(frozen=True)
class Vectors:
    """Feature vectors in order of arrival.

    Parameters
    ----------
    seq : ndarray of int64, shape (n,)
        Order of arrival.
    event_id : Array of string, length n
        Which event each row is.
    X : ndarray of float64, shape (n, p)
        Columns as in ``features.names``; missing is NaN.
    now : ndarray of int64, shape (n,)
        The evaluation clock, UTC microseconds.
    rows : ndarray of intp, shape (n,)
        Rows of the table they were made from (after repeats were dropped and order restored).
    features : FeatureSet
        Definitions of the columns.
    """

    seq: Ints
    event_id: pa.Array
    X: NDArray[np.float64]
    now: Ints
    rows: NDArray[np.intp]
    features: FeatureSet


def bulk(  # noqa: PLR0913 - a facade: the engine behind it takes a Job
    table: pa.Table,
    features: FeatureSet,
    *,
    zone: str,
    threads: int = 2,
    select: NDArray[np.bool_] | None = None,
    repeats: str = "drop",
    progress: Progress | None = None,
) -> Vectors:
    """Read the vector of every scored event as it was known when that event arrived.

    Parameters
    ----------
    table : Table
        Events in `data.tables.EVENT_SCHEMA`.
    features : FeatureSet
        What to read.
    zone : str
        The city's time zone, for night and hour.
    threads : int
        Workers; the result does not depend on their number.
    select : ndarray of bool, shape (len(table),), optional
        Read only these events (all still count); the table must then be in order, without repeats.
    repeats : {"drop", "trust"}
        Drop events whose id came before, or trust that there are none.
    progress : callable, optional
        Told the share done, 0 to 1.

    Returns
    -------
    Vectors
        One row per scored event (every kind but reports).

    Examples
    --------
    >>> from data.tables import empty_events
    >>> from features.fraud import TRANSFER_FEATURES
    >>> bulk(empty_events(), TRANSFER_FEATURES, zone="Asia/Shanghai").X.shape[0]
    0
    """
    ordered = in_order(table)
    ordered = without_repeats(ordered) if repeats == "drop" else ordered
    if select is not None and len(select) != ordered.num_rows:
        raise ValueError(
            f"select: expected {ordered.num_rows} flags, one per event in order of arrival without"
            f" repeats; found {len(select)}; drop repeated events first"
        )
    job = Job(Frame(ordered, zone), compile_plan(features), threads, select)
    return job.run(progress or (lambda _: None))


@dataclass
class Draft:
    """Touches of one state before they are sorted: equal-length columns, and the read roles."""

    row: Ints
    key: Ints
    mask: Ints
    role: NDArray[np.int8]
    out: Ints
    relation: Ints
    size: int


class Job:
    """One bulk run: the frame, what is known of its rows so far, and the vectors being filled."""

    def __init__(
        self, frame: Frame, plan: Plan, threads: int, select: NDArray[np.bool_] | None
    ) -> None:
        self.frame, self.plan, self.threads = frame, plan, max(1, threads)
        self.who = Identities.of(frame)
        scored = frame.kind != REPORT
        self.rows = np.flatnonzero(scored if select is None else scored & select)
        self.place = np.full(len(frame), -1, dtype=np.int64)
        self.place[self.rows] = np.arange(len(self.rows))
        self.mask = frame.masks(plan)
        self.none = np.full(len(frame), -1, dtype=np.int64)
        self.values = frame.values
        self.relations: dict[str, Related] = {}
        self.links: Links | None = None
        self.memory: dict[str, Ints] = {}

    def run(self, progress: Progress) -> Vectors:
        self.learn_circumstances()
        X = np.empty((len(self.rows), len(self.plan.features)))
        own = self.frame.attributes(self.rows, self.plan.fields)
        self._fill_circumstances(own)
        everywhere = np.ones(len(self.rows), dtype=bool)
        self._finish(X, "event", (own, own), everywhere)
        steps = len(self.plan.states) + 1
        for number, state in enumerate(self.plan.states.values(), start=1):
            progress(number / steps)
            self._run_state(state, X, own)
        progress(1.0)
        table = self.frame.table
        return Vectors(
            seq=table["seq"].to_numpy()[self.rows].astype(np.int64),
            event_id=_identifiers(table, self.rows),
            X=X,
            now=own[:, 0].copy(),
            rows=self.rows,
            features=self.plan.features,
        )

    def learn_circumstances(self) -> None:
        """New pairs, new devices, unusual amounts, links: known before anything counts them."""
        needs = self.plan.needs
        if "surprise" in needs:
            self._learn_surprise()
        for name, keys in (("pair", self.who.counterpart), ("holding", self.who.device)):
            if name in self.plan.states:
                self.relations[name] = self._relate(name, self._touching(keys))
        self.links = self._learn_links() if "links" in needs else None
        flags = {
            "new": self._new("pair"),
            "new_device": self._new("holding"),
            "unusual": self.values[:, 4] >= UNUSUAL_PERCENT,
            "shared": self.links.shared if self.links else np.zeros(len(self.frame), dtype=bool),
        }
        for bit, name in enumerate(self.plan.streams):
            flag = flags.get(STREAMS[name].circumstance)
            if flag is not None:
                self.mask &= ~(np.int64(1) << bit) | (flag.astype(np.int64) << bit)

    def _touching(self, keys: Ints) -> "Pairs":
        rows = np.flatnonzero((keys >= 0) & (self.frame.kind != REPORT))
        return Pairs(rows, keys[rows], self.mask[rows])

    def _learn_links(self) -> "Links":
        """Members of every transfer, their links, and the followers they get."""
        pair = self.relations["pair"]
        first = np.full(len(self.frame), -1, dtype=np.int64)
        first[pair.rows] = pair.first
        habitual = (first >= 0) & (self.frame.now - first > HABITUAL_US)
        found = self._members(habitual)
        found.others[:] = self._others(found, habitual)
        found.summed(len(self.frame), habitual)
        follow, both = self._follow_masks()
        found.mask[:] = np.where(habitual[found.rows], 0, np.where(found.others > 0, both, follow))
        normal = self._touching(self.who.counterpart)
        self.relations["pair+links"] = self._relate(
            "pair",
            Pairs(
                np.concatenate([normal.rows, found.rows]),
                np.concatenate([normal.keys, found.keys]),
                np.concatenate([normal.mask, found.mask]),
            ),
        )
        return found

    def _follow_masks(self) -> tuple[int, int]:
        bits = {name: 1 << bit for bit, name in enumerate(self.plan.streams)}
        follow = bits["followed"]
        return follow, follow | bits["followed_shared"]

    def _members(self, habitual: NDArray[np.bool_]) -> "Links":
        touches = self.sorted(self._plain(self.who.subscriber, len(self.who.subscribers)))
        reach = sum(1 << self.plan.streams.index(name) for name in REACH)
        known = self.who.counterpart >= 0
        facts = (
            self.who.counterpart,
            (self.mask & reach != 0) & known & ~habitual,
            (self.frame.kind == TRANSFER) & known,
        )
        counts = np.zeros(len(self.frame), dtype=np.int64)
        none = np.empty(0, np.int64)
        runs = len(touches.starts) - 1
        rings = Rings(
            touches.row[touches.starts[:-1]],
            np.zeros((runs, RING), np.int64),
            np.zeros((runs, RING), np.int64),
            np.zeros(runs, np.int64),
        )
        kernels.members(touches, facts, counts, (none, none), (rings[1:], RULES))
        found = Links.empty(counts, rings)
        if len(found.rows):
            fill = (found.rows, found.keys)
            kernels.members(touches, facts, found.begin.copy(), fill, (rings[1:], RULES))
        return found

    def _others(self, found: "Links", habitual: NDArray[np.bool_]) -> Ints:
        size = 3 * len(self.who.texts)
        order = np.arange(len(found.rows), dtype=np.int64)
        payee = self.who.counterpart[found.rows]
        order = kernels.sort_by_key(payee, order, size)
        order = kernels.sort_by_key(found.keys, order, size)
        starts = _runs(found.keys[order], payee[order])
        touches = self._touches(starts, order, Pairs(found.rows, found.keys, found.mask))
        runs = len(starts) - 1
        found.payers = Payers(
            found.keys[order][starts[:-1]],
            payee[order][starts[:-1]],
            np.zeros((runs, KNOWN_PAYERS), np.int64),
            np.zeros(runs, np.int64),
            np.zeros(runs, np.int64),
        )
        others = np.zeros(len(order), dtype=np.int64)
        facts = (self.who.subscriber, ~habitual)
        kernels.link(touches, facts, others, found.payers[2:], RULES)
        return others

    def _learn_surprise(self) -> None:
        touches = self.sorted(self._plain(self.who.subscriber, len(self.who.subscribers)))
        bit = self.plan.streams.index("transfer")
        kernels.surprises(touches, bit, self.values, self.values[:, 4], RULES)

    def _relate(self, name: str, pairs: "Pairs") -> "Related":
        size = int(pairs.keys.max(initial=-1)) + 1
        rows = pairs.rows
        ordered = bool((rows[1:] > rows[:-1]).all())
        order = self._ascending(len(rows)) if ordered else np.argsort(rows, kind="stable")
        order = kernels.sort_by_key(pairs.keys, order, size)
        left = self.who.subscriber[pairs.rows]
        order = kernels.sort_by_key(left, order, len(self.who.subscribers))
        starts = _runs(left[order], pairs.keys[order])
        found = Related.empty(pairs.rows, order, starts, len(self.plan.related[name]))
        bits = np.array(
            [self.plan.streams.index(stream) for stream in self.plan.related[name]], np.int64
        )
        touches = self._touches(starts, order, pairs)
        out = (found.new, found.first, found.hold, found.last)
        self._in_parts(starts, lambda part: kernels.relate(touches, bits, out, part, RULES))
        return found

    def _touches(self, starts: Ints, order: Ints, pairs: "Pairs") -> Touches:
        none = np.zeros(len(order), np.int8)
        draft = Draft(
            pairs.rows,
            pairs.keys,
            pairs.mask,
            none,
            self._ascending(len(order)),
            self._ascending(len(order)),
            0,
        )
        return self._gathered(order, draft, starts)

    def _new(self, relation: str) -> NDArray[np.bool_]:
        found = np.zeros(len(self.frame), dtype=bool)
        if relation in self.relations:
            related = self.relations[relation]
            found[related.rows] = related.new
        return found

    def _fill_circumstances(self, own: Ints) -> None:
        transfer = own[:, KIND] == TRANSFER
        fields = self.plan.fields
        if "surprise" in fields:
            own[:, fields.index("surprise")] = np.where(transfer, self.values[self.rows, 4], -1)
        for field, relation in (("is_new", "pair"), ("new_device", "holding")):
            if field in fields and relation in self.relations:
                related = self.relations[relation]
                known = np.full(len(self.frame), -1, dtype=np.int64)
                known[related.rows] = related.new
                own[:, fields.index(field)] = known[self.rows]

    def _run_state(self, state: StatePlan, X: NDArray[np.float64], own: Ints) -> None:
        roles = [role for role in (*STATE_OF, "member") if role in state.columns]
        if not roles:
            return
        touches = self.sorted(self.draft(state.name, roles))
        relation = self.relation_of(state)
        facts = Facts(self.values, *self._units(touches, relation))
        blocks = [self._block(state, role, number) for number, role in enumerate(roles)]
        self._scan(state, touches, facts, blocks)
        for role, block in zip(roles, blocks, strict=True):
            if role == "member":
                self._finish_links(X, own, block.out)
            else:
                self._finish(X, role, (own, block.out), self._present(role))

    def _units(self, touches: Touches, relation: "Related") -> tuple[Ints, NDArray[np.int8]]:
        """For each distinct stream and touch, the touch that held the pair's unit before it."""
        place = np.zeros(len(relation.rows), dtype=np.int64)
        known = touches.relation >= 0
        place[touches.relation[known]] = np.flatnonzero(known)
        shape = (len(relation.hold), len(touches.row))
        held = np.empty(shape, dtype=np.int64)
        kernels.place_holders(touches.relation, relation.hold, place, held)
        return held, np.zeros(shape, dtype=np.int8)

    def _finish_links(self, X: NDArray[np.float64], own: Ints, read: Ints) -> None:
        block = self._links.block(read)[self.rows]
        transfer = own[:, KIND] == TRANSFER
        self._finish(X, "link", (own, block), transfer)

    @property
    def _links(self) -> "Links":
        if self.links is None:
            raise RuntimeError("links: expected to be known by now; learn circumstances first")
        return self.links

    def _block(self, state: StatePlan, role: str, number: int) -> Role:
        totals = [(c.accumulator, c.span, c.less, c.others) for c in state.totals(role)]
        rows = len(self._links.rows) if role == "member" else len(self.rows)
        return Role(
            np.array(totals, dtype=np.int64).reshape(len(totals), 4),
            np.array(state.marks(role), dtype=np.int64),
            self._block_of(number, rows, len(state.columns[role])),
        )

    def _block_of(self, number: int, rows: int, width: int) -> Ints:
        """The `number`-th block of a state, in memory that all states share one after another.

        Rows that nothing is read for keep what was there: their features are missing, not zero.
        """
        return self._lend(f"block {number}", rows * width).reshape(rows, width)

    def _lend(self, name: str, size: int) -> Ints:
        """Memory by name, asked of the system once: fresh pages cost more than the sums in them."""
        if name not in self.memory or len(self.memory[name]) < size:
            self.memory[name] = np.zeros(size, dtype=np.int64)
        return self.memory[name][:size]

    def _ascending(self, count: int) -> Ints:
        if "ascending" not in self.memory or len(self.memory["ascending"]) < count:
            self.memory["ascending"] = np.arange(count, dtype=np.int64)
        return self.memory["ascending"][:count]

    def _keys(self, role: str) -> tuple[Ints, int]:
        who = self.who
        found = {
            "subscriber": (who.subscriber, len(who.subscribers)),
            "counterpart": (who.counterpart, 3 * len(who.texts)),
            "account": (who.account, len(who.texts)),
            "payee_account": (who.payee, len(who.texts)),
            "device": (who.device, len(who.devices)),
        }
        return found[role]

    def _present(self, role: str) -> NDArray[np.bool_]:
        keys = self.who.counterpart if role == "pair" else self._keys(role)[0]
        return keys[self.rows] >= 0

    def draft(self, name: str, roles: Sequence[str]) -> Draft:
        if name in RELATIONS:
            return self._pairs(name)
        if name == "account":
            return self._accounts(roles)
        draft = self._plain(*self._keys(name))
        relation = self.relations.get("holding" if name == "device" else "pair")
        if relation is not None:
            draft.relation = relation.of_rows(len(self.frame))[draft.row]
        if name != "counterpart":
            return draft
        if "counterpart" not in roles:
            draft.out[:] = -1
        draft = self._with_named(draft)
        return self._with_followers(draft, len(roles) - 1) if self.links else draft

    def _plain(self, keys: Ints, size: int) -> Draft:
        rows = np.flatnonzero(keys >= 0)
        everything = len(rows) == len(keys)
        return Draft(
            rows,
            keys if everything else keys[rows],
            self.mask if everything else self.mask[rows],
            np.zeros(len(rows), np.int8),
            self.place[rows],
            self.none[: len(rows)],
            size,
        )

    def _pairs(self, name: str) -> Draft:
        """Touches of a relation, links' included: those move only its scalars."""
        related = self.relations.get(f"{name}+links") or self.relations[name]
        normal = len(self.relations[name].rows)
        rows = related.rows
        mask = self.mask[rows]
        if self.links and name == "pair":
            mask[normal:] = self.links.mask
        out = self.place[rows]
        out[normal:] = -1
        runs = np.repeat(np.arange(len(related.starts) - 1), np.diff(related.starts))
        key = np.empty(len(runs), np.int64)
        key[related.order] = runs
        draft = Draft(
            rows,
            key,
            mask,
            np.zeros(len(rows), np.int8),
            out,
            np.arange(len(rows)),
            len(related.starts) - 1,
        )
        return _taken(draft, np.argsort(rows, kind="stable")) if len(rows) > normal else draft

    def _accounts(self, roles: Sequence[str]) -> Draft:
        """The payee's account is only read, and before the payer's is read and updated."""
        size = len(self.who.texts)
        payer = self._plain(self.who.account, size)
        payer.role[:] = len(roles) - 1
        if "account" not in roles:
            payer.out[:] = -1
        if "payee_account" not in roles:
            return payer
        payee = self._plain(self.who.payee, size)
        payee.mask = np.zeros_like(payee.mask)
        return _merged(payee, payer)

    def _with_named(self, draft: Draft) -> Draft:
        rows = self.who.named_row
        named = Draft(
            rows,
            self.who.named_key,
            self.mask[rows],
            np.zeros(len(rows), np.int8),
            np.full(len(rows), -1, np.int64),
            np.full(len(rows), -1, np.int64),
            draft.size,
        )
        return _merged(draft, named)

    def _with_followers(self, draft: Draft, role: int) -> Draft:
        found, normal = self._links, len(self.relations["pair"].rows)
        count = len(found.rows)
        followers = Draft(
            found.rows,
            found.keys,
            found.mask,
            np.full(count, role, np.int8),
            np.arange(count, dtype=np.int64),
            np.arange(normal, normal + count, dtype=np.int64),
            draft.size,
        )
        return _merged(draft, followers)

    def other_keys(self, relation: str) -> Ints:
        """For each touch of a relation the number of the key beside the subscriber's."""
        keys = self.who.device if relation == "holding" else self.who.counterpart
        found = keys[self.relations[relation].rows]
        if relation == "pair" and self.links is not None:
            return np.concatenate([found, self.links.keys])
        return found

    def relation_of(self, state: StatePlan) -> "Related":
        name = "holding" if state.name in {"device", "holding"} else "pair"
        name = "pair+links" if name == "pair" and self.links else name
        return self.relations.get(name) or Related.empty(
            np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(1, np.int64), 0
        )

    def sorted(self, draft: Draft) -> Touches:
        """The draft's touches grouped by key, in order of arrival within.

        They are lent: the next call overwrites them.
        """
        order = kernels.sort_by_key(draft.key, self._ascending(len(draft.key)), draft.size)
        return self._gathered(order, draft, _runs(draft.key[order]))

    def _gathered(self, order: Ints, draft: Draft, starts: Ints) -> Touches:
        names = ("row", "now", "at", "mask", "out", "relation")
        row, now, at, mask, out, relation = (self._lend(name, len(order)) for name in names)
        role = np.empty(len(order), dtype=np.int8)
        touches = Touches(starts, row, now, at, mask, role, out, relation)
        placed = (self.frame.now, self.frame.at)
        source = (draft.row, draft.mask, draft.role, draft.out, draft.relation, *placed)
        cuts = np.linspace(0, len(order), 4 * self.threads + 1).astype(np.int64)
        parts = [(int(first), int(last)) for first, last in pairwise(cuts)]
        self._all(parts, lambda part: kernels.gather(order, source, touches, part))
        return touches

    def _scan(
        self, state: StatePlan, touches: Touches, facts: Facts, blocks: Sequence[Role]
    ) -> None:
        recipe = recipe_of(state, self.plan)
        roles = (blocks[0], blocks[-1])
        self._in_parts(
            touches.starts, lambda part: kernels.scan(recipe, touches, facts, roles, part, RULES)
        )

    def _in_parts(self, starts: Ints, task: Callable[[Part], None]) -> None:
        """Run a kernel over all keys, cut into parts of about as many touches each."""
        self._all(_parts(starts, self.threads), task)

    def _all(self, parts: list[Part], task: Callable[[Part], None]) -> None:
        with ThreadPoolExecutor(self.threads) as pool:
            for done in [pool.submit(task, part) for part in parts]:
                done.result()

    def _finish(
        self,
        X: NDArray[np.float64],
        role: str,
        blocks: tuple[Ints, Ints],
        present: NDArray[np.bool_],
    ) -> None:
        def chunk(start: int) -> None:
            part = slice(start, start + CHUNK_ROWS)
            self.plan.finish(X[part], role, (blocks[0][part], blocks[1][part]), present[part])

        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(chunk, range(0, len(X), CHUNK_ROWS)):
                pass


@dataclass(frozen=True)
class Pairs:
    """Touches of a relation (t,): the event's row, the other key, the streams it belongs to."""

    rows: Ints
    keys: Ints
    mask: Ints


class Rings(NamedTuple):
    """Subscribers' rings as the history leaves them: a row of each, members, times, fill."""

    row: Ints
    keys: Ints
    at: Ints
    fill: Ints


class Payers(NamedTuple):
    """Links as the history leaves them: member, payee, first payers, fill, last joined."""

    member: Ints
    payee: Ints
    known: Ints
    fill: Ints
    used: Ints


@dataclass
class Links:
    """Members of all transfers (k,), in order of arrival; what each transfer (n,) got of them."""

    begin: Ints
    count: Ints
    rows: Ints
    keys: Ints
    others: Ints
    mask: Ints
    shared: NDArray[np.bool_]
    most: Ints
    rings: Rings
    payers: Payers | None = None

    @classmethod
    def empty(cls, counts: Ints, rings: Rings) -> "Links":
        total = int(counts.sum())
        return cls(
            begin=np.cumsum(counts) - counts,
            count=counts,
            rows=np.zeros(total, dtype=np.int64),
            keys=np.zeros(total, dtype=np.int64),
            others=np.zeros(total, dtype=np.int64),
            mask=np.zeros(total, dtype=np.int64),
            shared=np.zeros(len(counts), dtype=bool),
            most=np.zeros_like(counts),
            rings=rings,
        )

    def summed(self, count: int, habitual: NDArray[np.bool_]) -> None:
        """Say for each row how many others its best link had, and whether its payee is shared."""
        self.most = self._most(self.others, count)
        self.shared = (self.most > 0) & ~habitual

    def _most(self, values: Ints, count: int) -> Ints:
        found = np.zeros(count, dtype=np.int64)
        np.maximum.at(found, self.rows, values)
        return found

    def block(self, read: Ints) -> Ints:
        """Columns of `features.plan.LINK_FIELDS`, shape (n, 5)."""
        reads = [self._most(column, len(self.count)) for column in read.T]
        return np.stack([self.count, self.most, *reads], axis=1)


@dataclass(frozen=True)
class Related:
    """Touches of a relation: their rows (t,), sorted order, runs, and what the relation says."""

    rows: Ints
    order: Ints
    starts: Ints
    new: NDArray[np.bool_]
    first: Ints
    hold: Ints
    last: NDArray[np.int8]

    @classmethod
    def empty(cls, rows: Ints, order: Ints, starts: Ints, streams: int) -> "Related":
        count = len(rows)
        return cls(
            rows,
            order,
            starts,
            np.zeros(count, dtype=bool),
            np.full(count, -1, np.int64),
            np.full((streams, count), -1, np.int64),
            np.zeros((streams, count), np.int8),
        )

    def of_rows(self, count: int) -> Ints:
        """Touch of each of `count` rows, -1 for none."""
        found = np.full(count, -1, dtype=np.int64)
        found[self.rows] = np.arange(len(self.rows))
        return found


def recipe_of(state: StatePlan, plan: Plan) -> Recipe:
    """The state's plan as the kernels read it."""
    bits = {stream: bit for bit, stream in enumerate(plan.streams)}
    items, scalars = state.accumulators, state.scalars
    link = next((q for q, item in enumerate(scalars) if item == Scalar("risky_app", "last")), 0)
    parts = [spread(state, number) for number in range(len(state.spans))]
    lists = {name: _listed([part[name] for part in parts]) for name in PARTS}
    rings = np.cumsum([item.op == "max" for item in items], dtype=np.int64) - 1
    kinds = {"max": kernels.MAX, "distinct": kernels.DISTINCT}
    return Recipe(
        bit=_ints(bits[item.stream] for item in items),
        value=_ints(_value_column(item) for item in items),
        hold=_ints(_hold(plan, state.name, item) for item in items),
        ring=rings,
        kind=_ints(kinds.get(item.op, kernels.SUM) for item in items),
        tile=_ints(span.tile_us for span in state.spans),
        tiles=_ints(span.tiles for span in state.spans),
        sums=lists["sums"][0],
        sums_end=lists["sums"][1],
        distincts=lists["distincts"][0],
        distincts_end=lists["distincts"][1],
        maxes=lists["maxes"][0],
        maxes_end=lists["maxes"][1],
        scalar_bit=_ints(bits[item.stream] for item in scalars),
        scalar_op=_ints(kernels.SCALAR_OPS[item.op] for item in scalars),
        scalar_value=_ints(VALUES.index(item.value) for item in scalars),
        scalar_link=_ints(link for _ in scalars),
    )


def _ints(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)


def _listed(lists: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Lists one after the other, and where each begins."""
    return (
        _ints(item for items in lists for item in items),
        np.cumsum([0, *(len(items) for items in lists)], dtype=np.int64),
    )


def _value_column(item: Accumulator) -> int:
    return SQUARED if item.op == "square" else VALUES.index(item.value)


def _identifiers(table: pa.Table, rows: NDArray[np.intp]) -> pa.Array:
    if "event_id" not in table.column_names:
        return pa.nulls(len(rows), pa.string())
    return table["event_id"].combine_chunks().take(pa.array(rows))


def _hold(plan: Plan, state: str, item: Accumulator) -> int:
    if item.op != "distinct":
        return -1
    return plan.related[relation_of(state)].index(item.stream)


def _runs(*keys: Ints) -> Ints:
    """Where each run of equal keys begins, and the end of the last."""
    count = len(keys[0])
    if not count:
        return np.zeros(1, np.int64)
    changes = np.zeros(count - 1, dtype=bool)
    for key in keys:
        changes |= key[1:] != key[:-1]
    return np.concatenate([[0], np.flatnonzero(changes) + 1, [count]]).astype(np.int64)


def _parts(starts: Ints, threads: int) -> list[Part]:
    cuts = np.linspace(0, starts[-1], threads * PARTS_PER_THREAD + 1)
    runs = np.unique(np.searchsorted(starts, cuts))
    return [(int(first), int(last)) for first, last in pairwise(runs)]


def _taken(draft: Draft, places: Ints) -> Draft:
    return Draft(
        draft.row[places],
        draft.key[places],
        draft.mask[places],
        draft.role[places],
        draft.out[places],
        draft.relation[places],
        draft.size,
    )


def _merged(first: Draft, second: Draft) -> Draft:
    """Touches of both in order of arrival; where one event has both, `first`'s come first."""
    if not len(second.row):
        return first
    both = Draft(
        np.concatenate([first.row, second.row]),
        np.concatenate([first.key, second.key]),
        np.concatenate([first.mask, second.mask]),
        np.concatenate([first.role, second.role]),
        np.concatenate([first.out, second.out]),
        np.concatenate([first.relation, second.relation]),
        first.size,
    )
    return _taken(both, np.argsort(both.row, kind="stable"))
