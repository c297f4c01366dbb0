"""Why a place is on the map: what happened here, when, against what is usual, in two languages.

The first sentence is what the past alone says; the others are the groups of columns that moved the
expectation most, each with the number behind it. Contributions are exact (TreeSHAP).

References
----------
Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2 (2020).
"""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from features.hotspot import DATED, SPREADS, STANDS, Column, Panel, layout
from features.memories import MEMORIES
from models.hotspot import Forecast, HotspotModel

__all__ = ["explain_cells"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]
MOST = 3  # sentences on what moved the expectation
FACTOR = 1.05  # a smaller change is not worth a sentence
MEMORY = {memory.name: memory for memory in MEMORIES}
TOGETHER = ("usual", "category", "shift")  # columns that say no more than the usual rate does


def explain_cells(
    model: HotspotModel,
    panel: Panel,
    forecast: Forecast,
    category: int,
    shift: int,
    cells: Sequence[int],
) -> list[tuple[Pair, ...]]:
    """Sentences (Chinese, English) for some cells of one category and shift.

    Parameters
    ----------
    forecast : Forecast
        What `model.forecast(panel)` gave.
    cells : sequence of int, length n
        Positions.

    Returns
    -------
    list of tuples of (str, str), length n
    """
    at = np.asarray(cells, np.int64)
    name = model.categories[category]
    columns = layout(model.categories, model.shifts, model.covariates)
    moved = model.contributions(panel, category, shift, at)[:, :-1]
    own = panel.rates(category, shift)[:, :, at]
    around = panel.rates(category)[:, :, at]
    usual = forecast.usual[category, shift, at]
    expected = forecast.expected[category, shift, at]
    return [
        (
            _past(name, own[:, :, row], around[:, :, row], panel),
            _outlook(float(expected[row]), float(usual[row]), panel),
            *_moves(columns, moved[row], name),
        )
        for row in range(len(at))
    ]


def _past(name: str, own: NDArray[np.float32], around: NDArray[np.float32], panel: Panel) -> Pair:
    """How many incidents there were here, on record and lately."""
    per_day = 1 / panel.horizon_days
    everything = own[0, 0] * panel.history_days * per_day
    lately = own[0, _memory("week")] * 7 * per_day
    all_day = around[0, 0] * panel.history_days * per_day
    weeks = panel.history_days / 7
    return (
        (
            f"此处此班次有记录以来（{weeks:.0f}周）发生{name} {everything:.0f}起"
            f"（全天{all_day:.0f}起），近七天{lately:.0f}起"
        ),
        (
            f"{name} here in this shift: {everything:.0f} in {weeks:.0f} weeks on record "
            f"({all_day:.0f} at all hours), {lately:.0f} in the last seven days"
        ),
    )


def _outlook(expected: float, usual: float, panel: Panel) -> Pair:
    # where hardly anything happens two digits after the point say nothing
    few, times = f"{usual:.2f}" if usual >= 0.005 else f"{usual:.1g}", expected / usual
    days = panel.horizon_days
    return (
        f"今后{days}天此班次预计{expected:.2f}起，为此处常态（{few}起）的{times:.2f}倍",
        (
            f"expected in the next {days} days in this shift: {expected:.2f}, "
            f"{times:.2f} times what is usual here ({few})"
        ),
    )


def _moves(columns: Sequence[Column], moved: Floats, name: str) -> list[Pair]:
    """What raised or lowered the expectation most, columns that say the same taken together."""
    keyed = sorted(
        (_group(column), float(value))
        for column, value in zip(columns, moved, strict=True)
        if column.who not in TOGETHER
    )
    sums = [
        (group, sum(value for _, value in members))
        for group, members in groupby(keyed, key=lambda pair: pair[0])
    ]
    chosen = sorted(sums, key=lambda pair: -abs(pair[1]))[:MOST]
    return [_said(group, value, name) for group, value in chosen if abs(value) > math.log(FACTOR)]


def _group(column: Column) -> tuple[str, str, str]:
    """Whose incidents, when, and whether here or around."""
    if column.when == DATED:
        return DATED, DATED, "here"
    where = "here" if SPREADS[column.spread] == 0 else "around"
    return column.who, column.memory if column.when != STANDS else STANDS, where


def _said(group: tuple[str, str, str], value: float, name: str) -> Pair:
    who, memory, where = group
    factor = math.exp(value)
    if who == DATED:
        return _season(factor)
    zh_where, en_where = ("此处", "here") if where == "here" else ("周边", "around here")
    zh_who, en_who = _subject(who, name)
    zh_when, en_when = ("", "") if memory == STANDS else (MEMORY[memory].zh, MEMORY[memory].en)
    zh_moves, en_moves = ("升高", "raises") if value > 0 else ("降低", "lowers")
    return (
        f"{zh_when}{zh_where}{zh_who}：使预计数{zh_moves}，×{factor:.2f}",
        f"{en_who} {f'{en_where} {en_when}'.strip()} {en_moves} expectation, times {factor:.2f}",
    )


def _season(factor: float) -> Pair:
    zh, en = ("升高", "raises") if factor > 1 else ("降低", "lowers")
    return (
        f"这个时节：使预计数{zh}，×{factor:.2f}",
        f"the time of the year {en} expectation, times {factor:.2f}",
    )


def _subject(who: str, name: str) -> Pair:
    spots = {
        "own": (name, name),
        "others": ("其他类别案件", "other incidents"),
        "largest_spot": (f"{name}集中于同一地点", f"{name} at one single spot"),
        "weeks": (f"有{name}的周数", f"weeks with {name}"),
        "spots": (f"发生{name}的地点数", f"different spots with {name}"),
    }
    return spots.get(who, (who, who))


def _memory(name: str) -> int:
    return next(at for at, memory in enumerate(MEMORIES) if memory.name == name)
