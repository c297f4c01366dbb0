"""Numba kernels that write the packed states of `store.lua` straight from grouped touches.

What a state holds after a history does not depend on the order of its sums: each span's tiles are
added up from the events still inside it at the history's last moment. Written in MessagePack, as
the function library reads it.

References
----------
MessagePack specification: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from features.kernels import Recipe, Touches

__all__ = ["Layout", "pack_states"]

Array = Any


class Layout(NamedTuple):
    """Length of the packed list, and how long a state is of use after its last touch."""

    size: int
    reach_us: int


class Grid(NamedTuple):
    """Scratch of one span: sums (tile, k), units and maxima (tile, k), and the closed tiles."""

    sums: Array
    units: Array
    peaks: Array
    text: Array


@numba.njit(nogil=True, cache=True)
def pack_states(recipe: Recipe, layout: Layout, touches: Touches, facts: Any, out: Any) -> Any:
    """Pack runs from ``out.first`` on until the buffer might not hold another.

    Parameters
    ----------
    recipe, layout, touches : tuples of arrays
        The state's plan and its touches.
    facts : tuple
        Row values (n, V), final units (D, t), the history's last moment, scalars (runs, Q) and
        last use (runs,).
    out : tuple
        Buffer of bytes, end of each run's text in it (empty for a state that is gone), first run,
        bytes a run can need.

    Returns
    -------
    int
        The run to go on from.
    """
    values, unit, now, scalars, last_used = facts
    buffer, ends, first, worst = out
    tiles = recipe.tiles.max() + 1 if len(recipe.tiles) else 1
    widest = max(1, len(recipe.bit))
    grid = Grid(
        np.zeros((tiles, widest), np.int64),
        np.zeros((tiles, widest), np.int64),
        np.zeros((tiles, widest), np.int64),
        np.zeros(worst, np.uint8),
    )
    place, run = 0, first
    while run < len(touches.starts) - 1 and place + worst < len(buffer):
        used = last_used[run]
        if used >= 0 and now - used <= layout.reach_us:
            place = _array(buffer, place, layout.size)
            place = _int(buffer, place, used)
            for q in range(scalars.shape[1]):
                place = _int(buffer, place, scalars[run, q])
            for p in range(len(recipe.tile)):
                where = (run, p, now)
                used_tiles = _spread(recipe, touches, (values, unit), grid, where)
                place = _write_span(recipe, grid, buffer, place, (p, now, used_tiles))
        ends[run] = place
        run += 1
    return run


@numba.njit(nogil=True, cache=True)
def _spread(recipe, touches, facts, grid, where):  # type: ignore[no-untyped-def]
    """Lay the run's events that are inside the span out over its tiles; those used, from and to.

    Most keys have few events and most tiles stay empty: only the tiles used are ever looked at.
    """
    values, unit = facts
    run, p, now = where
    start = now // recipe.tile[p] - recipe.tiles[p]
    low, high = len(grid.sums), 0
    for i in range(touches.starts[run], touches.starts[run + 1]):
        slot = touches.at[i] // recipe.tile[p] - start
        if slot < 0 or touches.mask[i] == 0:
            continue
        low, high = min(low, slot), max(high, slot + 1)
        mask, row = touches.mask[i], touches.row[i]
        for k in range(recipe.sums_end[p], recipe.sums_end[p + 1]):
            a = recipe.sums[k]
            if mask >> recipe.bit[a] & 1:
                grid.sums[slot, k - recipe.sums_end[p]] += values[row, recipe.value[a]]
        for k in range(recipe.distincts_end[p], recipe.distincts_end[p + 1]):
            a = recipe.distincts[k]
            if touches.relation[i] >= 0 and mask >> recipe.bit[a] & 1:
                held = unit[recipe.hold[a], touches.relation[i]]
                grid.units[slot, k - recipe.distincts_end[p]] += held
        for k in range(recipe.maxes_end[p], recipe.maxes_end[p + 1]):
            a = recipe.maxes[k]
            if mask >> recipe.bit[a] & 1:
                kept = k - recipe.maxes_end[p]
                value = values[row, recipe.value[a]]
                grid.peaks[slot, kept] = max(grid.peaks[slot, kept], value)
    return min(low, high), high


@numba.njit(nogil=True, cache=True)
def _write_span(recipe, grid, buffer, place, where):  # type: ignore[no-untyped-def]
    """Write one span's part of a state, and leave the grid empty for the next."""
    p, now, used = where
    low, high = used
    start = now // recipe.tile[p] - recipe.tiles[p]
    sums = recipe.sums_end[p + 1] - recipe.sums_end[p]
    distincts = recipe.distincts_end[p + 1] - recipe.distincts_end[p]
    maxes = recipe.maxes_end[p + 1] - recipe.maxes_end[p]
    for k in range(sums):
        place = _int(buffer, place, grid.sums[low:high, k].sum())
    for k in range(distincts):
        place = _int(buffer, place, grid.units[low:high, k].sum())
    for k in range(maxes):
        place = _int(buffer, place, grid.peaks[low:high, k].max() if high > low else 0)
    head = _head(grid.sums, used, sums)
    for k in range(sums):
        place = _int(buffer, place, grid.sums[head, k] if head >= 0 else 0)
    place = _int(buffer, place, start + head if head >= 0 else -1)
    front, length = _closed(grid, start, (low, head), sums)
    place = _int(buffer, place, front)
    place = _text(buffer, place, grid.text, length)
    place = _text(buffer, place, grid.text, 0)
    for k in range(distincts):
        place = _list(buffer, place, grid, (grid.units, k, start, used))
    for k in range(maxes):
        place = _list(buffer, place, grid, (grid.peaks, k, start, used))
    grid.sums[low:high] = 0
    grid.units[low:high] = 0
    grid.peaks[low:high] = 0
    return place


@numba.njit(nogil=True, cache=True)
def _head(sums, used, width):  # type: ignore[no-untyped-def]
    for slot in range(used[1] - 1, used[0] - 1, -1):
        for k in range(width):
            if sums[slot, k] != 0:
                return slot
    return -1


@numba.njit(nogil=True, cache=True)
def _closed(grid, start, used, width):  # type: ignore[no-untyped-def]
    """Write the tiles before the head to the scratch text: index of the first, and length."""
    front, length = -1, 0
    for slot in range(used[0], used[1]):
        entries = 0
        for k in range(width):
            entries += grid.sums[slot, k] != 0
        if not entries:
            continue
        if front < 0:
            front = start + slot
        length = _array(grid.text, length, 1 + 2 * entries)
        length = _int(grid.text, length, start + slot)
        for k in range(width):
            if grid.sums[slot, k] != 0:
                length = _int(grid.text, length, k)
                length = _int(grid.text, length, grid.sums[slot, k])
    return front, length


@numba.njit(nogil=True, cache=True)
def _list(buffer, place, grid, what):  # type: ignore[no-untyped-def]
    """Oldest tile, then the packed (tile, value) of one column."""
    cells, k, start, used = what
    oldest, entries = -1, 0
    for slot in range(used[0], used[1]):
        if cells[slot, k] != 0:
            oldest = start + slot if oldest < 0 else oldest
            entries += 1
    place = _int(buffer, place, oldest)
    if not entries:
        return _text(buffer, place, grid.text, 0)
    length = _array(grid.text, 0, 2 * entries)
    for slot in range(used[0], used[1]):
        if cells[slot, k] != 0:
            length = _int(grid.text, length, start + slot)
            length = _int(grid.text, length, cells[slot, k])
    return _text(buffer, place, grid.text, length)


@numba.njit(nogil=True, cache=True)
def _array(buffer, place, count):  # type: ignore[no-untyped-def]
    if count < 16:
        buffer[place] = 0x90 | count
        return place + 1
    buffer[place] = 0xDC
    return _bytes(buffer, place + 1, count, 2)


@numba.njit(nogil=True, cache=True)
def _text(buffer, place, text, length):  # type: ignore[no-untyped-def]
    if length < 32:
        buffer[place] = 0xA0 | length
        place += 1
    else:
        buffer[place] = 0xDB
        place = _bytes(buffer, place + 1, length, 4)
    for k in range(length):
        buffer[place + k] = text[k]
    return place + length


@numba.njit(nogil=True, cache=True)
def _int(buffer, place, value):  # type: ignore[no-untyped-def]
    if -32 <= value < 128:
        buffer[place] = value & 0xFF
        return place + 1
    if 0 <= value < 1 << 16:
        buffer[place] = 0xCD
        return _bytes(buffer, place + 1, value, 2)
    if 0 <= value < 1 << 32:
        buffer[place] = 0xCE
        return _bytes(buffer, place + 1, value, 4)
    buffer[place] = 0xD3
    return _bytes(buffer, place + 1, value, 8)


@numba.njit(nogil=True, cache=True)
def _bytes(buffer, place, value, count):  # type: ignore[no-untyped-def]
    for k in range(count):
        buffer[place + k] = (value >> (8 * (count - 1 - k))) & 0xFF
    return place + count
