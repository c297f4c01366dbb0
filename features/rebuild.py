"""Live state from the history in bulk: the packed states that observing it event by event leaves.

Valkey is never the only copy. After a loss or a restart its state is made anew from the event
table by the bulk engine and put back in large writes, to the same bits for every later read.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.frame import Frame, in_order, without_repeats
from features.kernels import RULES, Touches, last_scalars
from features.keys import STATES
from features.links import KNOWN_PAYERS
from features.packing import Layout, pack_states
from features.periods import DAY_S, IDLE_DAYS, MICROSECOND
from features.plan import RELATIONS, StatePlan, compile_plan, spread
from features.spec import FeatureSet
from features.windows import Draft, Job, recipe_of

__all__ = ["final_states"]

Ints = NDArray[np.int64]
BUFFER = 1 << 26
INT_BYTES = 9
DAY_US = DAY_S * MICROSECOND
SPACES = ("t:", "p:", "a:")
SPACE = pa.array(SPACES)


def final_states(
    table: pa.Table, features: FeatureSet, *, zone: str, threads: int = 2
) -> Iterator[tuple[str, bytes]]:
    """Key and packed value of every state alive after `table`, the clock last.

    Parameters
    ----------
    table : Table
        The whole history in `data.tables.EVENT_SCHEMA`.
    features : FeatureSet
        What the state must answer.
    zone : str
        The city's time zone.
    threads : int
        Workers of the bulk passes.

    Yields
    ------
    tuple of str and bytes
        Key without the store's prefix, and value.
    """
    ordered = without_repeats(in_order(table))
    if not ordered.num_rows:
        return
    job = Job(Frame(ordered, zone), compile_plan(features), threads, None)
    job.learn_circumstances()
    names = Names(job)
    for name in STATES:
        if name in job.plan.states:
            yield from _states(job, job.plan.states[name], names)
    if job.links is not None:
        yield from _links(job, names)
    now, last = int(job.frame.now[-1]), int(ordered["seq"][-1].as_py())
    yield "clock", f"{last} {now}".encode()


class Names:
    """Texts of the keys, as the live engine spells them."""

    def __init__(self, job: Job) -> None:
        self.who = job.who
        self.subscribers = job.who.subscribers.to_pylist()
        self.texts = job.who.texts.to_pylist()

    def counterpart(self, key: int) -> str:
        """Namespace and text of a counterpart's number."""
        return SPACES[key % 3] + str(self.texts[key // 3])

    def keys(self, state: str, rows: Ints, keys: Ints) -> list[str]:
        """Keys of a state's runs, from a row that touches each and its number there."""
        who = self.who
        first = [f"{state[0]}:"]
        if state in RELATIONS:
            first += [who.subscribers.take(pa.array(who.subscriber[rows])), "|"]
        if state in {"device", "holding"}:
            last = [who.devices.take(pa.array(keys))]
        elif state == "subscriber":
            last = [who.subscribers.take(pa.array(keys))]
        elif state == "account":
            last = [who.texts.take(pa.array(keys))]
        else:
            last = [SPACE.take(pa.array(keys % 3)), who.texts.take(pa.array(keys // 3))]
        found: list[str] = pc.binary_join_element_wise(*first, *last, "").to_pylist()
        return found


def _states(job: Job, state: StatePlan, names: Names) -> Iterator[tuple[str, bytes]]:
    draft = job.draft(state.name, list(state.columns))
    touches = job.sorted(draft)
    rows, keys = _labels(job, state.name, draft, touches)
    rings = _rings(job, names) if state.reach else {}
    for runs, packed in _packed(job, state, touches):
        texts = names.keys(state.name, rows[runs], keys[runs])
        if state.reach:
            own = [rings.get(key, b"\xa0") for key in keys[runs].tolist()]
            yield from zip(texts, map(bytes.__add__, packed, own), strict=True)
        else:
            yield from zip(texts, packed, strict=True)


def _labels(job: Job, state: str, draft: Draft, touches: Touches) -> tuple[Ints, Ints]:
    """For each run a row that touches it and the number of its key."""
    first = touches.starts[:-1]
    rows = touches.row[first]
    if state not in RELATIONS:
        keys = np.zeros(max(1, draft.size), dtype=np.int64)
        order = np.argsort(draft.key, kind="stable")
        return rows, draft.key[order][first] if len(order) else keys[:0]
    return rows, job.other_keys(state)[touches.relation[first]]


def _packed(job: Job, state: StatePlan, touches: Touches) -> Iterator[tuple[Ints, list[bytes]]]:
    """States that are alive, a buffer's worth at a time: their runs, and each one packed."""
    layout = _layout(state)
    recipe = recipe_of(state, job.plan)
    runs = len(touches.starts) - 1
    scalars = np.zeros((runs, len(state.scalars)), dtype=np.int64)
    used = np.zeros(runs, dtype=np.int64)
    last_scalars(recipe, touches, job.values, (scalars, used), RULES)
    now = np.int64(job.frame.now[-1])
    facts = (job.values, job.relation_of(state).last, now, scalars, used)
    ends = np.zeros(runs, dtype=np.int64)
    buffer = np.empty(BUFFER, dtype=np.uint8)
    first, worst = 0, _worst(state)
    while first < runs:
        after = int(pack_states(recipe, layout, touches, facts, (buffer, ends, first, worst)))
        text, cuts = buffer[: ends[after - 1]].tobytes(), np.append(0, ends[first:after])
        alive = np.flatnonzero(np.diff(cuts))
        bounds = zip(cuts[alive].tolist(), cuts[alive + 1].tolist(), strict=True)
        yield first + alive, [text[start:end] for start, end in bounds]
        first = after


def _layout(state: StatePlan) -> Layout:
    parts = [spread(state, number) for number in range(len(state.spans))]
    scalars, ring = len(state.scalars), bool(state.reach)
    size = 1 + scalars + ring
    for part in parts:
        sums, lists = len(part["sums"]), len(part["distincts"]) + len(part["maxes"])
        size += 2 * sums + lists + 4 + 2 * lists
    reach = max([span.tile_us * (span.tiles + 1) for span in state.spans], default=0)
    return Layout(
        size,
        max((IDLE_DAYS + 1) * DAY_US, reach),
    )


def _worst(state: StatePlan) -> int:
    """Bytes no packed state can exceed."""
    tiles = sum(span.tiles + 1 for span in state.spans)
    width = 2 * len(state.accumulators) + 8
    return INT_BYTES * (len(state.scalars) + 2 * tiles * width + 8 * width + 64)


def _rings(job: Job, names: Names) -> dict[int, bytes]:
    """Packed ring of each subscriber that has one, as a MessagePack text."""
    found: dict[int, bytes] = {}
    if job.links is None:
        return found
    rings = job.links.rings
    for run in np.flatnonzero(rings.fill):
        items: list[str | int] = []
        for k in range(int(rings.fill[run])):
            items += [names.counterpart(int(rings.keys[run, k])), int(rings.at[run, k])]
        subscriber = int(job.who.subscriber[rings.row[run]])
        found[subscriber] = _text(_array(items))
    return found


def _links(job: Job, names: Names) -> Iterator[tuple[str, bytes]]:
    if job.links is None or job.links.payers is None:
        return
    payers = job.links.payers
    now = int(job.frame.now[-1])
    alive = (payers.used >= 0) & (now // DAY_US - IDLE_DAYS <= payers.used // DAY_US)
    for run in np.flatnonzero(alive):
        known = payers.known[run, : min(KNOWN_PAYERS, int(payers.fill[run]))]
        items = [int(payers.used[run]), *(names.subscribers[number] for number in known)]
        member = names.counterpart(int(payers.member[run]))
        yield f"l:{member}|{names.counterpart(int(payers.payee[run]))}", _array(items)


def _array(items: list[str | int]) -> bytes:
    head = bytes([0x90 | len(items)]) if len(items) < 16 else b"\xdc" + len(items).to_bytes(2)
    return head + b"".join(
        _text(item.encode()) if isinstance(item, str) else b"\xd3" + item.to_bytes(8, signed=True)
        for item in items
    )


def _text(text: bytes) -> bytes:
    if len(text) < 32:
        return bytes([0xA0 | len(text)]) + text
    return b"\xdb" + len(text).to_bytes(4) + text
