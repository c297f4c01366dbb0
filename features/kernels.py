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
    "COUNT",
    "DISTINCT",
    "MAX",
    "OPS",
    "SCALAR_OPS",
    "Facts",
    "Recipe",
    "Role",
    "Touches",
    "link",
    "members",
    "note",
    "relate",
    "reset",
    "scan",
    "sort_by_key",
    "surprises",
]

Array = Any  # numba reads shapes and types from the arrays themselves
COUNT, SUM, SQUARE, MAX, DISTINCT = range(5)
OPS: Final = {"count": COUNT, "sum": SUM, "square": SQUARE, "max": MAX, "distinct": DISTINCT}
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
DAY = DAY_S * MICROSECOND
CHAIN = DAY_S * MICROSECOND
IDLE = IDLE_DAYS
USED = TOUCH


class Recipe(NamedTuple):
    """A state's plan as arrays: accumulators (A,), spans (P,), scalars (Q,)."""

    bit: Array
    op: Array
    value: Array
    hold: Array
    others: bool
    tile: Array
    tiles: Array
    ring: Array
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
    """Per row values (n, V); per relation touch its time (t,) and the unit's holders (D, t)."""

    values: Array
    relation_at: Array
    hold: Array
    unit: Array


class Totals(NamedTuple):
    """Scratch of one key: totals (A, P), pointers and edges (P,), maxima rings, scalars (Q,)."""

    total: Array
    pointer: Array
    edge: Array
    ring_tile: Array
    ring_max: Array
    scalar: Array


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
def relate(touches: Touches, bits: Array, out: Any, part: Any) -> None:
    """For runs of one relation: what is new, first seen when, who holds each distinct unit."""
    new, first, hold, last = out
    holder = np.empty(len(bits), np.int64)
    held_at = np.empty(len(bits), np.int64)
    for run in range(part[0], part[1]):
        used, begun = np.int64(-1), np.int64(-1)
        for i in range(touches.starts[run], touches.starts[run + 1]):
            touch, now, at = touches.relation[i], touches.now[i], touches.at[i]
            if used < 0 or now // DAY - IDLE > used // DAY:
                holder[:] = -1
                held_at[:] = -1
                begun = np.int64(-1)
                new[touch] = True
            first[touch] = begun
            for d in range(len(bits)):
                hold[d, touch] = holder[d]
                if touches.mask[i] >> bits[d] & 1 and at > held_at[d]:
                    holder[d], held_at[d] = touch, at
            if touches.mask[i] & USED:
                used = now
                begun = at if begun < 0 else min(begun, at)
        for d in range(len(bits)):
            if holder[d] >= 0:
                last[d, holder[d]] = 1


@numba.njit(nogil=True, cache=True)
def surprises(touches: Touches, bit: int, values: Array, found: Array) -> None:
    """Each transfer's amount in percent of its subscriber's own mean so far."""
    for run in range(len(touches.starts) - 1):
        used, count, total = np.int64(-1), np.int64(0), np.int64(0)
        for i in range(touches.starts[run], touches.starts[run + 1]):
            now, row = touches.now[i], touches.row[i]
            if used < 0 or now // DAY - IDLE > used // DAY:
                count, total = np.int64(0), np.int64(0)
            used = now
            if touches.mask[i] >> bit & 1:
                mean = total // count if count > 0 else 0
                percent = 100 * values[row, 1] // mean if mean > 0 else NO_HABIT
                found[row] = min(percent, SURPRISE_CAP)
                count += 1
                total += values[row, 1]


@numba.njit(nogil=True, cache=True)
def members(touches: Touches, facts: Any, counts: Array, found: Any, rings: Any) -> None:
    """For each transfer, the counterparts in its subscriber's ring (`features.links`).

    Counts them into `counts` (n,) where `found` is empty; else fills its rows and members, of which
    ``counts`` then says where each transfer's begin. Rings (runs, RING) and their fill are kept.
    """
    counterpart, reaches, asks = facts
    rows, keys = found
    for run in range(len(touches.starts) - 1):
        used, held = np.int64(-1), 0
        ring, ring_at = rings[0][run], rings[1][run]
        for i in range(touches.starts[run], touches.starts[run + 1]):
            now, row = touches.now[i], touches.row[i]
            if used < 0 or now // DAY - IDLE > used // DAY:
                held = 0
            used = now
            if asks[row]:
                place = 0
                for k in range(held):
                    if now - ring_at[k] <= MEMBER_US:
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
    if kept == RING:
        for k in range(1, RING):
            ring[k - 1], ring_at[k - 1] = ring[k], ring_at[k]
        kept -= 1
    ring[kept], ring_at[kept] = key, time
    return kept + 1


@numba.njit(nogil=True, cache=True)
def link(touches: Touches, facts: Any, others: Array, payers: Any) -> None:
    """For runs of one link (member, payee): how many other subscribers paid before.

    Keeps each run's known payers (runs, KNOWN_PAYERS), their number, and when it last was joined.
    """
    subscriber, joins = facts
    for run in range(len(touches.starts) - 1):
        used, held = np.int64(-1), 0
        known = payers[0][run]
        for i in range(touches.starts[run], touches.starts[run + 1]):
            now, row = touches.now[i], touches.row[i]
            if used < 0 or now // DAY - IDLE > used // DAY:
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
                if not seen and held < KNOWN_PAYERS:
                    known[held] = subscriber[row]
                    held += 1
        payers[1][run], payers[2][run] = held, used


@numba.njit(nogil=True, cache=True)
def scan(recipe: Recipe, touches: Touches, facts: Facts, roles: Any, part: Any) -> None:
    """Read and update the keys of one part (first, last run), writing each role's rows."""
    accumulators, spans = len(recipe.op), len(recipe.tile)
    rings = 0
    for a in range(accumulators):
        rings += recipe.op[a] == MAX
    width = recipe.tiles.max() + 1 if spans else 1
    scratch = Totals(
        np.zeros((accumulators, spans), np.int64),
        np.zeros(spans, np.int64),
        np.zeros(spans, np.int64),
        np.full((rings, spans, width), -1, np.int64),
        np.zeros((rings, spans, width), np.int64),
        np.empty(len(recipe.scalar_op), np.int64),
    )
    for run in range(part[0], part[1]):
        _scan_key(recipe, touches, facts, roles, scratch, run)


@numba.njit(nogil=True, cache=True)
def _scan_key(recipe, touches, facts, roles, scratch, run):  # type: ignore[no-untyped-def]
    begin, end = touches.starts[run], touches.starts[run + 1]
    scratch.total[:] = 0
    scratch.pointer[:] = 0
    scratch.ring_tile[:] = -1
    order = _by_time(touches.at[begin:end])
    used = np.int64(-1)
    for i in range(begin, end):
        now = touches.now[i]
        if used < 0 or now // DAY - IDLE > used // DAY:
            reset(recipe, scratch.scalar)
        _expire(recipe, touches, facts, scratch, (begin, end, i, order))
        if touches.out[i] >= 0:
            if touches.role[i] == 0:
                _read(recipe, roles[0], touches, facts, scratch, i)
            else:
                _read(recipe, roles[1], touches, facts, scratch, i)
        if touches.mask[i] != 0:
            _add(recipe, touches, facts, scratch, i)
            note(recipe, touches, facts.values, scratch.scalar, i)
            if touches.mask[i] & USED:
                used = now


@numba.njit(nogil=True, cache=True)
def _by_time(at):  # type: ignore[no-untyped-def]
    """Positions in order of time; empty when arrival is that order already."""
    for i in range(1, len(at)):
        if at[i] < at[i - 1]:
            return np.argsort(at, kind="mergesort")
    return np.empty(0, np.int64)


@numba.njit(nogil=True, cache=True)
def reset(recipe, scalar):  # type: ignore[no-untyped-def]
    for q in range(len(scalar)):
        scalar[q] = 0 if recipe.scalar_op[q] >= LIFE_COUNT else -1


@numba.njit(nogil=True, cache=True)
def _expire(recipe, touches, facts, scratch, where):  # type: ignore[no-untyped-def]
    begin, end, i, order = where
    now = touches.now[i]
    for p in range(len(recipe.tile)):
        edge = (now // recipe.tile[p] - recipe.tiles[p]) * recipe.tile[p]
        scratch.edge[p] = edge
        place = begin + scratch.pointer[p]
        while place < end:
            j = begin + order[place - begin] if len(order) else place
            if touches.at[j] >= edge:
                break
            if j < i:
                _take_out(recipe, touches, facts, scratch.total, p, j)
            place += 1
        scratch.pointer[p] = place - begin


@numba.njit(nogil=True, cache=True)
def _take_out(recipe, touches, facts, total, p, j):  # type: ignore[no-untyped-def]
    mask, row = touches.mask[j], touches.row[j]
    for a in range(len(recipe.op)):
        if mask >> recipe.bit[a] & 1:
            op = recipe.op[a]
            if op == COUNT:
                total[a, p] -= 1
            elif op == SUM:
                total[a, p] -= facts.values[row, recipe.value[a]]
            elif op == SQUARE:
                value = facts.values[row, recipe.value[a]]
                total[a, p] -= value * value
            elif op == DISTINCT:
                total[a, p] -= facts.unit[recipe.hold[a], touches.relation[j]]


@numba.njit(nogil=True, cache=True)
def _read(recipe, role, touches, facts, scratch, i):  # type: ignore[no-untyped-def]
    out = role.out[touches.out[i]]
    totals = len(role.totals)
    for c in range(totals):
        a, p, less = role.totals[c]
        if recipe.op[a] == MAX:
            out[c] = _largest(recipe, scratch, a, p)
        else:
            found = scratch.total[a, p]
            if less >= 0:
                found -= scratch.total[a, less]
            if recipe.op[a] == DISTINCT and recipe.others:
                found -= _itself(recipe, touches, facts, scratch.edge[p], a, i)
            out[c] = found
    for m in range(len(role.marks)):
        out[totals + m] = scratch.scalar[role.marks[m]]


@numba.njit(nogil=True, cache=True)
def _itself(recipe, touches, facts, edge, a, i):  # type: ignore[no-untyped-def]
    """1 where the subscriber of this touch is among those counted."""
    touch = touches.relation[i]
    if touch < 0:
        return 0
    held = facts.hold[recipe.hold[a], touch]
    return 1 if held >= 0 and facts.relation_at[held] >= edge else 0


@numba.njit(nogil=True, cache=True)
def _largest(recipe, scratch, a, p):  # type: ignore[no-untyped-def]
    ring, found = recipe.ring[a], np.int64(0)
    oldest = scratch.edge[p] // recipe.tile[p]
    for slot in range(recipe.tiles[p] + 1):
        if scratch.ring_tile[ring, p, slot] >= oldest:
            found = max(found, scratch.ring_max[ring, p, slot])
    return found


@numba.njit(nogil=True, cache=True)
def _add(recipe, touches, facts, scratch, i):  # type: ignore[no-untyped-def]
    mask, at = touches.mask[i], touches.at[i]
    for a in range(len(recipe.op)):
        if mask >> recipe.bit[a] & 1:
            op = recipe.op[a]
            value = facts.values[touches.row[i], recipe.value[a]]
            if op == DISTINCT:
                _move_unit(recipe, touches, facts, scratch, a, i)
            elif op == MAX:
                _raise(recipe, scratch, a, at, value)
            else:
                delta = value if op == SUM else (value * value if op == SQUARE else 1)
                for p in range(len(recipe.tile)):
                    if at >= scratch.edge[p]:
                        scratch.total[a, p] += delta


@numba.njit(nogil=True, cache=True)
def _move_unit(recipe, touches, facts, scratch, a, i):  # type: ignore[no-untyped-def]
    """The pair's one unit stands at its latest time; this touch may take it over."""
    touch, at, d = touches.relation[i], touches.at[i], recipe.hold[a]
    held = facts.hold[d, touch]
    before = facts.relation_at[held] if held >= 0 else np.int64(-1)
    if at <= before:
        return
    facts.unit[d, touch] = 1
    if held >= 0:
        facts.unit[d, held] = 0
    for p in range(len(recipe.tile)):
        edge = scratch.edge[p]
        if at >= edge and (held < 0 or before < edge):
            scratch.total[a, p] += 1


@numba.njit(nogil=True, cache=True)
def _raise(recipe, scratch, a, at, value):  # type: ignore[no-untyped-def]
    ring = recipe.ring[a]
    for p in range(len(recipe.tile)):
        if at >= scratch.edge[p]:
            tile = at // recipe.tile[p]
            slot = tile % (recipe.tiles[p] + 1)
            if scratch.ring_tile[ring, p, slot] != tile:
                scratch.ring_tile[ring, p, slot] = tile
                scratch.ring_max[ring, p, slot] = value
            else:
                scratch.ring_max[ring, p, slot] = max(scratch.ring_max[ring, p, slot], value)


@numba.njit(nogil=True, cache=True)
def note(recipe, touches, values, scalar, i):  # type: ignore[no-untyped-def]
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
            if app >= 0 and at >= app and at - app <= CHAIN:
                scalar[q] = app if op == CHAIN_START else at
        elif op == LIFE_COUNT:
            scalar[q] += 1
        elif op == LIFE_SUM:
            scalar[q] += value
        elif op == LIFE_SQUARE:
            scalar[q] += value * value
        else:
            scalar[q] = max(scalar[q], value)
