"""Numba kernels of the bulk engine: one pass over each key's events in order of arrival.

A total over a window is kept by two pointers: every event adds its integers when it arrives, and a
pointer over the same events in order of their time takes them out again once their tile has left
the window. Integer sums do not care about order, so late events need no special case: an event
whose tile has already left is never added, and the pointer has passed it. Memory per key is a few
rows of totals whatever the key's history.
"""

from typing import Any, Final, NamedTuple

import numba
import numpy as np

from features.attributes import NO_HABIT, SURPRISE_CAP
from features.frame import TOUCH
from features.links import KNOWN_PAYERS, MEMBER_US, RING
from features.periods import DAY_S, IDLE_DAYS, MICROSECOND

__all__ = [
    "RULES",
    "DISTINCT",
    "MAX",
    "SCALAR_OPS",
    "SUM",
    "Facts",
    "Recipe",
    "Role",
    "Rules",
    "Touches",
    "last_scalars",
    "link",
    "members",
    "note",
    "place_holders",
    "relate",
    "reset",
    "scan",
    "sort_by_key",
    "surprises",
]

Array = Any  # numba reads shapes and types from the arrays themselves
SUM, MAX, DISTINCT = range(3)
FIRST, LAST, CHAIN_START, CHAIN_CALL, LIFE_COUNT, LIFE_SUM, LIFE_SQUARE, LIFE_MAX = range(8)
SCALAR_OPS: Final = {
    "first": FIRST,
    "last": LAST,
    "chain_start": CHAIN_START,
    "chain_call": CHAIN_CALL,
    "life_count": LIFE_COUNT,
    "life_sum": LIFE_SUM,
    "life_square": LIFE_SQUARE,
    "life_max": LIFE_MAX,
}


class Rules(NamedTuple):
    """Constants of the definition, passed in: a cached kernel would not see them change."""

    day: int
    idle: int
    chain: int
    touch: int
    ring: int
    payers: int
    member: int
    surprise_cap: int
    no_habit: int


RULES: Final = Rules(
    day=DAY_S * MICROSECOND,
    idle=IDLE_DAYS,
    chain=DAY_S * MICROSECOND,
    touch=TOUCH,
    ring=RING,
    payers=KNOWN_PAYERS,
    member=MEMBER_US,
    surprise_cap=SURPRISE_CAP,
    no_habit=NO_HABIT,
)
"""The rules of both engines."""


class Recipe(NamedTuple):
    """A state's plan as arrays: accumulators (A,), spans (P,), scalars (Q,).

    ``sums``, ``distincts`` and ``maxes`` list the accumulators kept for each span, one span after
    the other; ``*_end`` (P + 1,) say where each span's begin.
    """

    bit: Array
    value: Array
    hold: Array
    ring: Array
    kind: Array
    others: bool
    tile: Array
    tiles: Array
    sums: Array
    sums_end: Array
    distincts: Array
    distincts_end: Array
    maxes: Array
    maxes_end: Array
    scalar_bit: Array
    scalar_op: Array
    scalar_value: Array
    scalar_link: Array


class Role(NamedTuple):
    """What a role reads, as arrays: totals (C, 3) of accumulator, span, less; marks (M,)."""

    totals: Array
    marks: Array
    out: Array


class Touches(NamedTuple):
    """Touches (m,) grouped by key, in order of arrival within; ``starts`` has a run's ends."""

    starts: Array
    row: Array
    now: Array
    at: Array
    mask: Array
    role: Array
    out: Array
    relation: Array


class Facts(NamedTuple):
    """Values of each row (n, V); who held each touch's units before it (D, m), as touches."""

    values: Array
    held: Array
    unit: Array


@numba.njit(inline="always")
def _lapsed(now, used, rules):  # type: ignore[no-untyped-def]
    """Whether a key last in use then starts anew."""
    return used < 0 or now // rules.day - rules.idle > used // rules.day


@numba.njit(nogil=True, cache=True)
def sort_by_key(keys: Array, order: Array, size: int) -> Any:
    """Stable counting sort: `order` again, grouped by ``keys[order]``."""
    ends = np.zeros(size + 1, np.int64)
    for place in order:
        ends[keys[place] + 1] += 1
    for key in range(size):
        ends[key + 1] += ends[key]
    found = np.empty(len(order), order.dtype)
    for place in order:
        key = keys[place]
        found[ends[key]] = place
        ends[key] += 1
    return found


@numba.njit(nogil=True, cache=True)
def relate(touches: Touches, bits: Array, out: Any, part: Any, rules: Rules) -> None:
    """For runs of one relation: what is new, first seen when, who holds each distinct unit."""
    new, first, hold, last = out
    holder = np.empty(len(bits), np.int64)
    held_at = np.empty(len(bits), np.int64)
    for run in range(part[0], part[1]):
        used, begun = np.int64(-1), np.int64(-1)
        for i in range(touches.starts[run], touches.starts[run + 1]):
            touch, now, at = touches.relation[i], touches.now[i], touches.at[i]
            if _lapsed(now, used, rules):
                holder[:] = -1
                held_at[:] = -1
                begun = np.int64(-1)
                new[touch] = True
            first[touch] = begun
            for d in range(len(bits)):
                hold[d, touch] = holder[d]
                if touches.mask[i] >> bits[d] & 1 and at > held_at[d]:
                    holder[d], held_at[d] = touch, at
            if touches.mask[i] & rules.touch:
                used = now
                begun = at if begun < 0 else min(begun, at)
        for d in range(len(bits)):
            if holder[d] >= 0:
                last[d, holder[d]] = 1


@numba.njit(nogil=True, cache=True)
def surprises(touches: Touches, bit: int, values: Array, found: Array, rules: Rules) -> None:
    """Each transfer's amount in percent of its subscriber's own mean so far."""
    for run in range(len(touches.starts) - 1):
        used, count, total = np.int64(-1), np.int64(0), np.int64(0)
        for i in range(touches.starts[run], touches.starts[run + 1]):
            now, row = touches.now[i], touches.row[i]
            if _lapsed(now, used, rules):
                count, total = np.int64(0), np.int64(0)
            used = now
            if touches.mask[i] >> bit & 1:
                mean = total // count if count > 0 else 0
                percent = 100 * values[row, 1] // mean if mean > 0 else rules.no_habit
                found[row] = min(percent, rules.surprise_cap)
                count += 1
                total += values[row, 1]


@numba.njit(nogil=True, cache=True)
def members(touches: Touches, facts: Any, counts: Array, found: Any, context: Any) -> None:
    """For each transfer, the counterparts in its subscriber's ring (`features.links`).

    Counts them into `counts` (n,) where `found` is empty; else fills its rows and members, of which
    ``counts`` then says where each transfer's begin. Rings (runs, ring) and their fill are kept.
    """
    counterpart, reaches, asks = facts
    rings, rules = context
    rows, keys = found
    for run in range(len(touches.starts) - 1):
        used, held = np.int64(-1), 0
        ring, ring_at = rings[0][run], rings[1][run]
        for i in range(touches.starts[run], touches.starts[run + 1]):
            now, row = touches.now[i], touches.row[i]
            if _lapsed(now, used, rules):
                held = 0
            used = now
            if asks[row]:
                place = 0
                for k in range(held):
                    if now - ring_at[k] <= rules.member:
                        if len(rows):
                            rows[counts[row] + place] = row
                            keys[counts[row] + place] = ring[k]
                        place += 1
                if not len(rows):
                    counts[row] = place
            if reaches[row]:
                held = _enter(ring, ring_at, held, counterpart[row], touches.at[i])
        rings[2][run] = held


@numba.njit(nogil=True, cache=True)
def _enter(ring, ring_at, held, key, at):  # type: ignore[no-untyped-def]
    """Move or put a counterpart at the ring's end; the oldest leaves a full ring."""
    kept, time = 0, at
    for k in range(held):
        if ring[k] == key:
            time = max(time, ring_at[k])
        else:
            ring[kept], ring_at[kept] = ring[k], ring_at[k]
            kept += 1
    if kept == len(ring):
        for k in range(1, len(ring)):
            ring[k - 1], ring_at[k - 1] = ring[k], ring_at[k]
        kept -= 1
    ring[kept], ring_at[kept] = key, time
    return kept + 1


@numba.njit(nogil=True, cache=True)
def link(touches: Touches, facts: Any, others: Array, payers: Any, rules: Rules) -> None:
    """For runs of one link (member, payee): how many other subscribers paid before.

    Keeps each run's known payers (runs, payers), their number, and when it last was joined.
    """
    subscriber, joins = facts
    for run in range(len(touches.starts) - 1):
        used, held = np.int64(-1), 0
        known = payers[0][run]
        for i in range(touches.starts[run], touches.starts[run + 1]):
            now, row = touches.now[i], touches.row[i]
            if _lapsed(now, used, rules):
                held = 0
            count, seen = 0, False
            for k in range(held):
                if known[k] == subscriber[row]:
                    seen = True
                else:
                    count += 1
            others[touches.out[i]] = count
            if joins[row]:
                used = now
                if not seen and held < rules.payers:
                    known[held] = subscriber[row]
                    held += 1
        payers[1][run], payers[2][run] = held, used


@numba.njit(nogil=True, cache=True)
def place_holders(relation: Array, hold: Array, place: Array, held: Array) -> None:
    """Turn holders from relation touches (D, t) into touches of this state (D, m)."""
    for d in range(hold.shape[0]):
        for i in range(len(relation)):
            touch = relation[i]
            holder = hold[d, touch] if touch >= 0 else -1
            held[d, i] = place[holder] if holder >= 0 else -1


@numba.njit(nogil=True, cache=True)
def scan(  # noqa: PLR0913 - what a kernel needs
    recipe: Recipe, touches: Touches, facts: Facts, roles: Any, part: Any, rules: Rules
) -> None:
    """Read and update the keys of one part (first, last run), writing each role's rows."""
    accumulators, spans = len(recipe.bit), len(recipe.tile)
    rings = max(1, recipe.ring.max() + 1) if accumulators else 1
    width = recipe.tiles.max() + 1 if len(recipe.maxes) else 1
    total = np.zeros((spans, accumulators), np.int64)
    pointer = np.zeros(spans, np.int64)
    edge = np.zeros(spans, np.int64)
    change = np.zeros(spans, np.int64)
    peaks = (
        np.full((rings, spans, width), -1, np.int64),
        np.zeros((rings, spans, width), np.int64),
    )
    scalar = np.empty(len(recipe.scalar_op), np.int64)
    for run in range(part[0], part[1]):
        begin, end = touches.starts[run], touches.starts[run + 1]
        total[:] = 0
        pointer[:] = begin
        change[:] = -1
        peaks[0][:] = -1
        order = _by_time(touches.at, begin, end)
        used = np.int64(-1)
        for i in range(begin, end):
            now, at, mask = touches.now[i], touches.at[i], touches.mask[i]
            if _lapsed(now, used, rules):
                reset(recipe, scalar)
            for p in range(spans):
                if now >= change[p]:
                    tile = recipe.tile[p]
                    latest = now // tile
                    edge[p] = (latest - recipe.tiles[p]) * tile
                    change[p] = (latest + 1) * tile
                    clock = (i, end, begin)
                    pointer[p] = _expire(
                        recipe, touches, facts, (total, order), (p, pointer[p], edge[p]), clock
                    )
            out = touches.out[i]
            if out >= 0 and touches.role[i] == 0:
                _read(recipe, roles[0], touches, facts, (total, edge, peaks, scalar), (out, i))
            elif out >= 0:
                _read(recipe, roles[1], touches, facts, (total, edge, peaks, scalar), (out, i))
            if mask != 0:
                for p in range(spans):
                    if at >= edge[p]:
                        _add(recipe, touches, facts, (total, peaks), (p, edge[p]), i)
                _hand_over(recipe, touches, facts, i)
                note(recipe, touches, facts.values, scalar, i, rules)
                if mask & rules.touch:
                    used = now


@numba.njit(nogil=True, cache=True)
def _by_time(at, begin, end):  # type: ignore[no-untyped-def]
    """Positions in order of time; empty when arrival is that order already."""
    for i in range(begin + 1, end):
        if at[i] < at[i - 1]:
            return np.argsort(at[begin:end], kind="mergesort")
    return np.empty(0, np.int64)


@numba.njit(inline="always")
def _expire(recipe, touches, facts, scratch, span, clock):  # type: ignore[no-untyped-def] # noqa: PLR0913
    """Take out of a span what its edge has passed; where the pointer stands then."""
    total, order = scratch
    p, place, edge = span
    i, end, begin = clock
    while place < end:
        j = begin + order[place - begin] if len(order) else place
        if touches.at[j] >= edge:
            break
        if j < i:
            mask, row = touches.mask[j], touches.row[j]
            for k in range(recipe.sums_end[p], recipe.sums_end[p + 1]):
                a = recipe.sums[k]
                if mask >> recipe.bit[a] & 1:
                    total[p, a] -= facts.values[row, recipe.value[a]]
            for k in range(recipe.distincts_end[p], recipe.distincts_end[p + 1]):
                a = recipe.distincts[k]
                total[p, a] -= facts.unit[recipe.hold[a], j]
        place += 1
    return place


@numba.njit(inline="always")
def _read(recipe, role, touches, facts, scratch, where):  # type: ignore[no-untyped-def] # noqa: PLR0913
    total, edge, peaks, scalar = scratch
    place, i = where
    totals = len(role.totals)
    for c in range(totals):
        a, p, less = role.totals[c, 0], role.totals[c, 1], role.totals[c, 2]
        found = total[p, a]
        if recipe.kind[a] == MAX:
            found = _largest(recipe, peaks, edge[p], a, p)
        elif less >= 0:
            found -= total[less, a]
        elif recipe.kind[a] == DISTINCT and recipe.others:
            held = facts.held[recipe.hold[a], i]
            if held >= 0 and touches.at[held] >= edge[p]:
                found -= 1
        role.out[place, c] = found
    for m in range(len(role.marks)):
        role.out[place, totals + m] = scalar[role.marks[m]]


@numba.njit(nogil=True, cache=True)
def _largest(recipe, peaks, edge, a, p):  # type: ignore[no-untyped-def]
    ring, found = recipe.ring[a], np.int64(0)
    oldest = edge // recipe.tile[p]
    for slot in range(recipe.tiles[p] + 1):
        if peaks[0][ring, p, slot] >= oldest:
            found = max(found, peaks[1][ring, p, slot])
    return found


@numba.njit(inline="always")
def _add(recipe, touches, facts, scratch, span, i):  # type: ignore[no-untyped-def] # noqa: PLR0913
    total, peaks = scratch
    p, edge = span
    mask, row, at = touches.mask[i], touches.row[i], touches.at[i]
    for k in range(recipe.sums_end[p], recipe.sums_end[p + 1]):
        a = recipe.sums[k]
        if mask >> recipe.bit[a] & 1:
            total[p, a] += facts.values[row, recipe.value[a]]
    for k in range(recipe.distincts_end[p], recipe.distincts_end[p + 1]):
        a = recipe.distincts[k]
        if mask >> recipe.bit[a] & 1:
            held = facts.held[recipe.hold[a], i]
            if held < 0 or touches.at[held] < edge:
                total[p, a] += 1
    for k in range(recipe.maxes_end[p], recipe.maxes_end[p + 1]):
        a = recipe.maxes[k]
        if mask >> recipe.bit[a] & 1:
            _raise(recipe, peaks, (a, p), at, facts.values[row, recipe.value[a]])


@numba.njit(inline="always")
def _hand_over(recipe, touches, facts, i):  # type: ignore[no-untyped-def]
    """A pair's one unit stands at its latest time; this touch may take it over."""
    for a in range(len(recipe.bit)):
        if recipe.kind[a] == DISTINCT and touches.mask[i] >> recipe.bit[a] & 1:
            d = recipe.hold[a]
            held = facts.held[d, i]
            if held < 0 or touches.at[i] > touches.at[held]:
                facts.unit[d, i] = 1
                if held >= 0:
                    facts.unit[d, held] = 0


@numba.njit(nogil=True, cache=True)
def _raise(recipe, peaks, which, at, value):  # type: ignore[no-untyped-def]
    a, p = which
    ring, tile = recipe.ring[a], at // recipe.tile[p]
    slot = tile % (recipe.tiles[p] + 1)
    if peaks[0][ring, p, slot] != tile:
        peaks[0][ring, p, slot] = tile
        peaks[1][ring, p, slot] = value
    else:
        peaks[1][ring, p, slot] = max(peaks[1][ring, p, slot], value)


@numba.njit(nogil=True, cache=True)
def reset(recipe, scalar):  # type: ignore[no-untyped-def]
    for q in range(len(scalar)):
        scalar[q] = 0 if recipe.scalar_op[q] >= LIFE_COUNT else -1


@numba.njit(nogil=True, cache=True)
def note(recipe, touches, values, scalar, i, rules):  # type: ignore[no-untyped-def] # noqa: PLR0913
    """Keep first, last, the chain of app then call, and the totals of the key's life."""
    mask, at = touches.mask[i], touches.at[i]
    for q in range(len(scalar)):
        if not mask >> recipe.scalar_bit[q] & 1:
            continue
        op = recipe.scalar_op[q]
        value = values[touches.row[i], recipe.scalar_value[q]]
        if op == FIRST:
            scalar[q] = at if scalar[q] < 0 else min(scalar[q], at)
        elif op == LAST:
            scalar[q] = max(scalar[q], at)
        elif op in (CHAIN_START, CHAIN_CALL):
            app = scalar[recipe.scalar_link[q]]
            if app >= 0 and at >= app and at - app <= rules.chain:
                scalar[q] = app if op == CHAIN_START else at
        elif op == LIFE_COUNT:
            scalar[q] += 1
        elif op == LIFE_SUM:
            scalar[q] += value
        elif op == LIFE_SQUARE:
            scalar[q] += value * value
        else:
            scalar[q] = max(scalar[q], value)


@numba.njit(nogil=True, cache=True)
def last_scalars(recipe: Recipe, touches: Touches, values: Array, out: Any, rules: Rules) -> None:
    """Scalars (runs, Q) as each run leaves them, and when its key was last in use (runs,)."""
    scalars, last_used = out
    for run in range(len(touches.starts) - 1):
        used = np.int64(-1)
        for i in range(touches.starts[run], touches.starts[run + 1]):
            if _lapsed(touches.now[i], used, rules):
                reset(recipe, scalars[run])
            if touches.mask[i] != 0:
                note(recipe, touches, values, scalars[run], i, rules)
                if touches.mask[i] & rules.touch:
                    used = touches.now[i]
        last_used[run] = used
