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

from features.kernels import COUNT, DAY, IDLE, SQUARE, SUM, USED, Recipe, Touches, note, reset

__all__ = ["Layout", "pack_states"]

Array = Any


class Layout(NamedTuple):
    """Where things go: list length, reach in days, accumulators per span by part (with bounds)."""

    size: int
    reach: int
    sums: Array
    distincts: Array
    maxes: Array
    sums_end: Array
    distincts_end: Array
    maxes_end: Array


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
        Row values (n, V), final units (D, t), the history's last moment.
    out : tuple
        Buffer of bytes, end of each run's text in it (empty for a state that is gone), first run,
        bytes a run can need.

    Returns
    -------
    int
        The run to go on from.
    """
    values, unit, now = facts
    buffer, ends, first, worst = out
    tiles = recipe.tiles.max() + 1 if len(recipe.tiles) else 1
    widest = max(1, len(recipe.op))
    grid = Grid(
        np.zeros((tiles, widest), np.int64),
        np.zeros((tiles, widest), np.int64),
        np.zeros((tiles, widest), np.int64),
        np.zeros(worst, np.uint8),
    )
    scalar = np.empty(len(recipe.scalar_op), np.int64)
    place, run = 0, first
    while run < len(touches.starts) - 1 and place + worst < len(buffer):
        used = _last_state(recipe, touches, values, scalar, run)
        if used >= 0 and now // DAY - layout.reach <= used // DAY:
            place = _array(buffer, place, layout.size)
            place = _int(buffer, place, used)
            for q in range(len(scalar)):
                place = _int(buffer, place, scalar[q])
            for p in range(len(recipe.tile)):
                where = (run, p, now)
                _spread(recipe, layout, touches, (values, unit), grid, where)
                place = _write_span(recipe, layout, grid, buffer, place, where)
        ends[run] = place
        run += 1
    return run


@numba.njit(nogil=True, cache=True)
def _last_state(recipe, touches, values, scalar, run):  # type: ignore[no-untyped-def]
    """Scalars as the run leaves them, and when the key was last in use."""
    used = np.int64(-1)
    for i in range(touches.starts[run], touches.starts[run + 1]):
        now = touches.now[i]
        if used < 0 or now // DAY - IDLE > used // DAY:
            reset(recipe, scalar)
        if touches.mask[i] != 0:
            note(recipe, touches, values, scalar, i)
            if touches.mask[i] & USED:
                used = now
    return used


@numba.njit(nogil=True, cache=True)
def _spread(recipe, layout, touches, facts, grid, where):  # type: ignore[no-untyped-def] # noqa: PLR0913
    """Lay the run's events that are inside the span out over its tiles."""
    values, unit = facts
    run, p, now = where
    grid.sums[:] = 0
    grid.units[:] = 0
    grid.peaks[:] = 0
    start = now // recipe.tile[p] - recipe.tiles[p]
    for i in range(touches.starts[run], touches.starts[run + 1]):
        slot = touches.at[i] // recipe.tile[p] - start
        if slot < 0 or touches.mask[i] == 0:
            continue
        mask, row = touches.mask[i], touches.row[i]
        for k in range(layout.sums_end[p], layout.sums_end[p + 1]):
            a = layout.sums[k]
            if mask >> recipe.bit[a] & 1:
                value = values[row, recipe.value[a]]
                op = recipe.op[a]
                delta = 1 if op == COUNT else (value if op == SUM else value * value)
                grid.sums[slot, k - layout.sums_end[p]] += delta
        for k in range(layout.distincts_end[p], layout.distincts_end[p + 1]):
            a = layout.distincts[k]
            if touches.relation[i] >= 0 and mask >> recipe.bit[a] & 1:
                held = unit[recipe.hold[a], touches.relation[i]]
                grid.units[slot, k - layout.distincts_end[p]] += held
        for k in range(layout.maxes_end[p], layout.maxes_end[p + 1]):
            a = layout.maxes[k]
            if mask >> recipe.bit[a] & 1:
                kept = k - layout.maxes_end[p]
                value = values[row, recipe.value[a]]
                grid.peaks[slot, kept] = max(grid.peaks[slot, kept], value)


@numba.njit(nogil=True, cache=True)
def _write_span(recipe, layout, grid, buffer, place, where):  # type: ignore[no-untyped-def] # noqa: PLR0913
    _, p, now = where
    start, tiles = now // recipe.tile[p] - recipe.tiles[p], recipe.tiles[p] + 1
    sums = layout.sums_end[p + 1] - layout.sums_end[p]
    distincts = layout.distincts_end[p + 1] - layout.distincts_end[p]
    maxes = layout.maxes_end[p + 1] - layout.maxes_end[p]
    for k in range(sums):
        place = _int(buffer, place, grid.sums[:tiles, k].sum())
    for k in range(distincts):
        place = _int(buffer, place, grid.units[:tiles, k].sum())
    for k in range(maxes):
        place = _int(buffer, place, grid.peaks[:tiles, k].max())
    head = _head(grid.sums, tiles, sums)
    for k in range(sums):
        place = _int(buffer, place, grid.sums[head, k] if head >= 0 else 0)
    place = _int(buffer, place, start + head if head >= 0 else -1)
    front, length = _closed(grid, start, head, sums)
    place = _int(buffer, place, front)
    place = _text(buffer, place, grid.text, length)
    place = _text(buffer, place, grid.text, 0)
    for k in range(distincts):
        place = _list(buffer, place, grid, (grid.units, k, start, tiles))
    for k in range(maxes):
        place = _list(buffer, place, grid, (grid.peaks, k, start, tiles))
    return place


@numba.njit(nogil=True, cache=True)
def _head(sums, tiles, width):  # type: ignore[no-untyped-def]
    for slot in range(tiles - 1, -1, -1):
        for k in range(width):
            if sums[slot, k] != 0:
                return slot
    return -1


@numba.njit(nogil=True, cache=True)
def _closed(grid, start, head, width):  # type: ignore[no-untyped-def]
    """Write the tiles before the head to the scratch text: index of the first, and length."""
    front, length = -1, 0
    for slot in range(head):
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
    cells, k, start, tiles = what
    oldest, entries = -1, 0
    for slot in range(tiles):
        if cells[slot, k] != 0:
            oldest = start + slot if oldest < 0 else oldest
            entries += 1
    place = _int(buffer, place, oldest)
    if not entries:
        return _text(buffer, place, grid.text, 0)
    length = _array(grid.text, 0, 2 * entries)
    for slot in range(tiles):
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
