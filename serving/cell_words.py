"""Why a cell is where it is on the list, in Chinese and English.

The reasons stored with the surface come first; the cell's own numbers are told for every cell, so
that one without stored reasons is explained as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from models.surface import Surface

__all__ = ["from_numbers", "stored"]

Said = dict[str, str | None]


def stored(surface: Surface, shift: int, at: int, category: str | None) -> Iterator[Said]:
    """Sentences kept with the map, of the category or of all, the most expected first."""
    if category is None:
        order = np.argsort(-surface.expected[:, shift, at], kind="stable").tolist()
    else:
        order = [surface.categories.index(category)]
    for one in order:
        for zh, en in surface.reasons.get((one, shift, at), ()):
            yield {"category": surface.categories[one], "zh": zh, "en": en}


def from_numbers(
    told: Mapping[str, Any], cells: int, reporting: tuple[str, str], category: str | None
) -> Iterator[Said]:
    """What the numbers of a cell say: how much is expected, and how sure its rank is.

    Parameters
    ----------
    told : mapping
        A `HotspotCell`.
    cells : int
        How many the city has.
    reporting : (str, str)
        What `RankBands.said` says of the cell.
    category : str, optional
        Of which category; by default of all together.
    """
    for zh, en in (_amount(told), _standing(told, cells), reporting):
        yield {"category": category, "zh": zh, "en": en}


def _amount(told: Mapping[str, Any]) -> tuple[str, str]:
    names = ("expected", "low", "high", "usual")
    expected, low, high, usual = (f"{told[name]:.2g}" for name in names)
    zh = f"本班次预计{expected}起（十之九在{low}至{high}之间）；按以往为{usual}起"
    en = (
        f"{expected} incidents expected in the shift ({low} to {high}, nine times in ten); the "
        f"past alone promises {usual}"
    )
    times = told["times_usual"]
    return (
        (zh, en) if times is None else (f"{zh}，为其{times:.2f}倍", f"{en}, {times:.2f} times that")
    )


def _standing(told: Mapping[str, Any], cells: int) -> tuple[str, str]:
    rank, best, worst = (told[name] for name in ("rank", "rank_low", "rank_high"))
    zh = f"在{cells}个网格中排第{rank}；网格移动、转动、缩放后排第{best}至第{worst}"
    en = f"Rank {rank} of {cells} cells; {best} to {worst} when the grid is moved, turned, resized"
    if told["grey"]:
        return f"{zh}：名次不稳，不单独据此派警", f"{en}: not stable, nobody is sent for it alone"
    return f"{zh}：名次稳定", f"{en}: stable"
