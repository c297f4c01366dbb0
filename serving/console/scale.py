"""The map's colours: which class an expected count falls in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["CLASSES", "Scale"]

CLASSES = 5
"""As many as an eye tells apart in one hue (Brewer, "Designing Better Maps", 2016)."""


@dataclass(frozen=True)
class Scale:
    """Classes of expected counts, the lowest first, about as many cells in each.

    Parameters
    ----------
    breaks : tuple of float
        Where one class ends and the next begins, ascending.

    Examples
    --------
    >>> scale = Scale.of([0.011, 0.02, 0.031, 0.04, 0.052, 0.9])
    >>> scale.breaks, scale.place(0.05)
    ((0.02, 0.031, 0.04, 0.052), 4)
    >>> Scale.of([0.1, 0.1]).breaks
    ()
    """

    breaks: tuple[float, ...]

    @classmethod
    def of(cls, expected: ArrayLike) -> "Scale":
        """Classes for these counts, their borders rounded to two figures."""
        values = np.asarray(expected, np.float64)
        cuts = np.quantile(values, np.arange(1, CLASSES) / CLASSES)
        rounded = {float(f"{cut:.2g}") for cut in cuts}
        return cls(tuple(sorted(cut for cut in rounded if values.min() < cut <= values.max())))

    def place(self, expected: float) -> int:
        """Class of a count, 1 the lowest to `CLASSES`; the highest is always `CLASSES`."""
        return CLASSES - len(self.breaks) + sum(expected >= each for each in self.breaks)

    def rows(self) -> Sequence[tuple[int, float | None, float | None]]:
        """Each class with its lower and upper border, the highest first; None: there is none."""
        lows = (None, *self.breaks)
        highs = (*self.breaks, None)
        first = CLASSES - len(self.breaks)
        return [(first + at, lows[at], highs[at]) for at in reversed(range(len(lows)))]
