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
    "DISTINCT",
    "MAX",
    "RULES",
    "SCALAR_OPS",
    "SUM",
    "Facts",
    "Recipe",
    "Role",
    "Rules",
    "Touches",
    "gather",
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
    """What a role reads: totals (C, 4) of accumulator, span, less, others; marks (M,); rows."""

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
def gather(order: Array, source: Any, touches: Touches, part: Any) -> None:
    """Fill some touches, first to last, from the draft in `order`."""
    rows, masks, roles, outs, relations, nows, ats = source
    row, now, at, mask = touches.row, touches.now, touches.at, touches.mask
    role, out, relation = touches.role, touches.out, touches.relation
    for i in range(part[0], part[1]):
        place = order[i]
        where = rows[place]
        row[i], now[i], at[i], mask[i] = where, nows[where], ats[where], masks[place]
        role[i], out[i], relation[i] = roles[place], outs[place], relations[place]


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
def scan(  # type: ignore[no-untyped-def] # noqa: PLR0912, PLR0915, C901
    recipe: Recipe, touches: Touches, facts: Facts, roles: Any, part: Any, rules: Rules
):
    """Read and update the keys of one part (first, last run), writing each role's rows.

    One long function: a call with a tuple of arrays costs more than all the arithmetic here.
    """
    bit, column, hold, kind = recipe.bit, recipe.value, recipe.hold, recipe.kind
    tiles, tile = recipe.tiles, recipe.tile
    sums, sums_end = recipe.sums, recipe.sums_end
    distincts, distincts_end = recipe.distincts, recipe.distincts_end
    starts, rows, nows, ats = touches.starts, touches.row, touches.now, touches.at
    masks, outs, role_of = touches.mask, touches.out, touches.role
    values, held_by, unit = facts.values, facts.held, facts.unit
    totals_0, marks_0, out_0 = roles[0].totals, roles[0].marks, roles[0].out
    totals_1, marks_1, out_1 = roles[1].totals, roles[1].marks, roles[1].out
    spans, has_maxes = len(tile), len(recipe.maxes) > 0
    day, idle, touch_bit = rules.day, rules.idle, rules.touch
    has_scalars = len(recipe.scalar_op) > 0
    total = np.zeros((spans, len(bit)), np.int64)
    pointer, edge, change = (
        np.zeros(spans, np.int64),
        np.zeros(spans, np.int64),
        np.zeros(spans, np.int64),
    )
    peak_tile, peak = _rings(recipe)
    scalar = np.empty(len(recipe.scalar_op), np.int64)
    own = np.empty((_longest(starts, part), values.shape[1]), np.int64)
    for run in range(part[0], part[1]):
        begin, end = starts[run], starts[run + 1]
        for i in range(begin, end):  # fetched once: an event is added once and leaves every span
            for v in range(values.shape[1]):
                own[i - begin, v] = values[rows[i], v]
        total[:] = 0
        pointer[:] = begin
        change[:] = -1
        if has_maxes:
            peak_tile[:] = -1
        order = _by_time(ats, begin, end)
        late = len(order) > 0
        used = np.int64(-1)
        for i in range(begin, end):
            now, at, mask, value = nows[i], ats[i], masks[i], own[i - begin]
            if has_scalars and (used < 0 or now // day - idle > used // day):
                reset(recipe.scalar_op, scalar)
            for p in range(spans):
                if now < change[p]:
                    continue
                latest = now // tile[p]
                limit = (latest - tiles[p]) * tile[p]
                edge[p], change[p] = limit, (latest + 1) * tile[p]
                place = pointer[p]
                while place < end:
                    j = begin + order[place - begin] if late else place
                    if ats[j] >= limit:
                        break
                    if j < i:
                        gone, gone_value = masks[j], own[j - begin]
                        for k in range(sums_end[p], sums_end[p + 1]):
                            a = sums[k]
                            if gone >> bit[a] & 1:
                                total[p, a] -= gone_value[column[a]]
                        for k in range(distincts_end[p], distincts_end[p + 1]):
                            total[p, distincts[k]] -= unit[hold[distincts[k]], j]
                    place += 1
                pointer[p] = place
            if outs[i] >= 0:
                first = role_of[i] == 0
                wanted = totals_0 if first else totals_1
                marks = marks_0 if first else marks_1
                out = out_0 if first else out_1
                place, width = outs[i], len(wanted)
                for c in range(width):
                    a, p = wanted[c, 0], wanted[c, 1]
                    found = total[p, a]
                    if wanted[c, 2] >= 0:
                        found -= total[wanted[c, 2], a]
                    elif wanted[c, 3] != 0:
                        held = held_by[hold[a], i]
                        if held >= 0 and ats[held] >= edge[p]:
                            found -= 1
                    elif kind[a] == MAX:
                        ring = recipe.ring[a]
                        found = _largest(peak_tile[ring, p], peak[ring, p], edge[p] // tile[p])
                    out[place, c] = found
                for m in range(len(marks)):
                    out[place, width + m] = scalar[marks[m]]
            if mask == 0:
                continue
            for p in range(spans):
                if at < edge[p]:
                    continue
                for k in range(sums_end[p], sums_end[p + 1]):
                    a = sums[k]
                    if mask >> bit[a] & 1:
                        total[p, a] += value[column[a]]
                for k in range(distincts_end[p], distincts_end[p + 1]):
                    a = distincts[k]
                    if mask >> bit[a] & 1:
                        held = held_by[hold[a], i]
                        if held < 0 or ats[held] < edge[p]:
                            total[p, a] += 1
            if has_maxes:
                _raise(recipe, (peak_tile, peak), edge, mask, (at, value))
            for a in range(len(bit)):
                if kind[a] == DISTINCT and mask >> bit[a] & 1:
                    held = held_by[hold[a], i]
                    if held < 0 or at > ats[held]:
                        unit[hold[a], i] = 1
                        if held >= 0:
                            unit[hold[a], held] = 0
            if has_scalars:
                note(recipe, (mask, at), value, scalar, rules.chain)
            if mask & touch_bit:
                used = now


@numba.njit(nogil=True, cache=True)
def _longest(starts, part):  # type: ignore[no-untyped-def]
    found = 0
    for run in range(part[0], part[1]):
        found = max(found, starts[run + 1] - starts[run])
    return found


@numba.njit(nogil=True, cache=True)
def _rings(recipe):  # type: ignore[no-untyped-def]
    """Tile index and maximum of each slot: a ring for each accumulator of maxima and span."""
    rings = recipe.ring.max() + 1 if len(recipe.maxes) else 0
    width = recipe.tiles.max() + 1 if len(recipe.maxes) else 0
    shape = (rings, len(recipe.tile), width)
    return np.full(shape, -1, np.int64), np.zeros(shape, np.int64)


@numba.njit(nogil=True, cache=True)
def _by_time(at, begin, end):  # type: ignore[no-untyped-def]
    """Positions in order of time; empty when arrival is that order already."""
    for i in range(begin + 1, end):
        if at[i] < at[i - 1]:
            return np.argsort(at[begin:end], kind="mergesort")
    return np.empty(0, np.int64)


@numba.njit(nogil=True, cache=True)
def _largest(peak_tile, peak, oldest):  # type: ignore[no-untyped-def]
    found = np.int64(0)
    for slot in range(len(peak)):
        if peak_tile[slot] >= oldest:
            found = max(found, peak[slot])
    return found


@numba.njit(nogil=True, cache=True)
def _raise(recipe, rings, edge, mask, fact):  # type: ignore[no-untyped-def]
    peak_tile, peak = rings
    at, values = fact
    for p in range(len(edge)):
        if at < edge[p]:
            continue
        tile = at // recipe.tile[p]
        slot = tile % (recipe.tiles[p] + 1)
        for k in range(recipe.maxes_end[p], recipe.maxes_end[p + 1]):
            a = recipe.maxes[k]
            if mask >> recipe.bit[a] & 1:
                ring, value = recipe.ring[a], values[recipe.value[a]]
                if peak_tile[ring, p, slot] != tile:
                    peak_tile[ring, p, slot], peak[ring, p, slot] = tile, value
                else:
                    peak[ring, p, slot] = max(peak[ring, p, slot], value)


@numba.njit(nogil=True, cache=True)
def reset(ops, scalar):  # type: ignore[no-untyped-def]
    """Forget what idleness forgets."""
    for q in range(len(scalar)):
        scalar[q] = 0 if ops[q] >= LIFE_COUNT else -1


@numba.njit(nogil=True, cache=True)
def note(recipe, when, values, scalar, chain):  # type: ignore[no-untyped-def]
    """Keep first, last, the chain of app then call, and the totals of the key's life."""
    mask, at = when
    for q in range(len(scalar)):
        if not mask >> recipe.scalar_bit[q] & 1:
            continue
        op = recipe.scalar_op[q]
        value = values[recipe.scalar_value[q]]
        if op == FIRST:
            scalar[q] = at if scalar[q] < 0 else min(scalar[q], at)
        elif op == LAST:
            scalar[q] = max(scalar[q], at)
        elif op in (CHAIN_START, CHAIN_CALL):
            app = scalar[recipe.scalar_link[q]]
            if app >= 0 and at >= app and at - app <= chain:
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
                reset(recipe.scalar_op, scalars[run])
            mask = touches.mask[i]
            if mask != 0:
                when = (mask, touches.at[i])
                note(recipe, when, values[touches.row[i]], scalars[run], rules.chain)
                if mask & rules.touch:
                    used = touches.now[i]
        last_used[run] = used
