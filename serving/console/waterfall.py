"""A score as steps: from what is known of nobody, reason by reason, to this event's score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.cases.precedents import Leading
from serving.decisions import vector_of
from serving.judge import Judge

__all__ = ["Bar", "Waterfall"]

WIDE = 300.0  # units of the drawing
_REST = ("其他全部因素合计", "Everything else together")
_LEAST = 1.5  # units: a bar that can be seen
_NEGLIGIBLE = 0.005  # log-odds


@dataclass(frozen=True)
class Bar:
    """One step.

    Parameters
    ----------
    zh, en : str
        What it says.
    added : float
        Log-odds.
    x, width : float
        Where it is drawn, from 0 to `WIDE`.
    """

    zh: str
    en: str
    added: float
    x: float
    width: float

    @property
    def raises(self) -> bool:
        """Whether it speaks for a fraud."""
        return self.added > 0


@dataclass(frozen=True)
class Waterfall:
    """The steps of one score.

    Parameters
    ----------
    bars : tuple of Bar
    score : float
        Calibrated, 0 to 1.
    base : float or None
        Calibrated, of an event of which nothing is known; None where the model is gone.
    zero : float or None
        Where the base is drawn.
    """

    bars: tuple[Bar, ...]
    score: float
    base: float | None
    zero: float | None

    @classmethod
    def of(cls, led: Leading, judge: Judge | None) -> "Waterfall":
        """The steps of a decision; without its model only what its reasons added."""
        added = [
            (reason["zh"], reason["en"], float(reason["contribution"]))
            for reason in led.answer.get("reasons") or ()
        ]
        if judge is None:
            return cls(_drawn(added, 0.0), led.score, None, None)
        vector = vector_of(led.vector)[np.newaxis]
        base = float(judge.bundle.fraud.contributions(vector)[0][-1])
        rest = led.raw_score - base - sum(weight for *_, weight in added)
        if abs(rest) > _NEGLIGIBLE:
            added.append((*_REST, rest))
        chance = float(judge.bundle.calibration.apply(np.array([base]))[0])
        steps = _places(added, base)
        return cls(_drawn(added, base), led.score, chance, _scale(steps)(base))

    @property
    def of_hundred(self) -> Mapping[str, str]:
        """Chances of a hundred, as words: never a bare score.

        Examples
        --------
        >>> Waterfall((), 0.62, 0.0004, 0.0).of_hundred
        {'score': '62', 'base': '0.04'}
        """
        found = {"score": _of_hundred(self.score)}
        return found if self.base is None else {**found, "base": _of_hundred(self.base)}


def _of_hundred(chance: float) -> str:
    """Two figures that count; what is nearly sure is not called sure.

    Examples
    --------
    >>> [_of_hundred(chance) for chance in (0.0004, 0.624, 0.9997)]
    ['0.04', '62', '99']
    """
    return f"{min(99.0, 100 * chance):.2g}"


def _drawn(added: list[tuple[str, str, float]], base: float) -> tuple[Bar, ...]:
    places = _places(added, base)
    scale = _scale(places)
    bars = []
    for (zh, en, weight), begin, end in zip(added, places, places[1:], strict=False):
        left, right = sorted((scale(begin), scale(end)))
        bars.append(Bar(zh, en, weight, round(left, 1), round(max(_LEAST, right - left), 1)))
    return tuple(bars)


def _places(added: list[tuple[str, str, float]], base: float) -> list[float]:
    """Where each step begins, and the last one ends."""
    return list(np.cumsum([base, *(weight for *_, weight in added)]))


def _scale(places: list[float]) -> Any:
    low, high = min(places), max(places)
    span = high - low or 1.0
    return lambda value: round(WIDE * (value - low) / span, 1)
