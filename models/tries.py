"""Attempts of many cases in columns, and what they leave: chances and suspicions of a backlog.

The numbers are those of `models.dissuasion.Rates` but for the last digits; tests hold the two
together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.dissuasion import BELIEF_ODDS, FORGOTTEN, INDIVIDUAL, SHARED, SURE, Rates, Tried, Way
from models.trees import Floats

__all__ = ["Tries"]


@dataclass(frozen=True, eq=False)
class Tries:
    """Attempts in columns.

    Parameters
    ----------
    cases : int
        How many cases; each attempt belongs to one.
    case : int array (n,)
        Place of its case.
    channel, script : str array (n,)
    reached, doubted : bool array (n,)
    fresh : float64 array (n,)
        How much of what it says still holds, 0 to 1.
    """

    cases: int
    case: NDArray[np.int64]
    channel: NDArray[np.str_]
    script: NDArray[np.str_]
    reached: NDArray[np.bool_]
    doubted: NDArray[np.bool_]
    fresh: Floats

    @classmethod
    def of(cls, attempts: Sequence[Sequence[Tried]], now: datetime) -> "Tries":
        """Attempts of each case, at a moment."""
        told = [one for made in attempts for one in made]
        ago = np.array([(now - one.at) / FORGOTTEN for one in told], dtype=np.float64)
        return cls(
            len(attempts),
            np.repeat(np.arange(len(attempts)), [len(made) for made in attempts]),
            np.array([one.channel for one in told], dtype=np.str_),
            np.array([one.script for one in told], dtype=np.str_),
            np.array([one.reached for one in told], dtype=np.bool_),
            np.array([one.doubted for one in told], dtype=np.bool_),
            np.exp2(-np.maximum(0.0, ago)),
        )

    def chance(self, way: Way, stage: NDArray[np.str_], rates: Rates) -> Floats:
        """Chance of each case that a way succeeds now.

        Parameters
        ----------
        stage : str array (cases,)
        """
        own = self.channel == way.channel
        mean = rates.reach[way.channel].mean
        yes = self._count(own & self.reached, self.fresh)
        no = self._count(own & ~self.reached, self.fresh)
        reached = (INDIVIDUAL * mean + yes) / (INDIVIDUAL + yes + no)
        weight = np.where(own & (self.script == way.script), 1.0, SHARED)
        doubted = self._count(self.doubted, weight)
        return reached * _believed(way, stage, rates) * INDIVIDUAL / (INDIVIDUAL + doubted)

    def suspicion(self, before: Floats, stage: NDArray[np.str_], rates: Rates) -> Floats:
        """Probability of each case that it is a fraud (`Rates.suspicion`).

        Parameters
        ----------
        before : float64 array (cases,)
            Before anybody spoke to the citizen.
        stage : str array (cases,)
        """
        told = np.zeros(self.cases)
        for way in rates.belief:
            talks = self.doubted & (self.channel == way[0]) & (self.script == way[1])
            times = self._count(talks, np.ones(len(talks)))
            for name in BELIEF_ODDS:
                told += np.where(stage == name, times * rates.told(way, name), 0.0)
        less = np.exp(-np.clip(told, -SURE, SURE))
        return np.asarray(before / (before + (1.0 - before) * less))

    def _count(self, which: NDArray[np.bool_], weight: Floats) -> Floats:
        found = np.bincount(self.case[which], weight[which], minlength=self.cases)
        return found.astype(np.float64)


def _believed(way: Way, stage: NDArray[np.str_], rates: Rates) -> Floats:
    mean = rates.belief[way.channel, way.script].mean
    odds = np.ones(len(stage))
    for name, one in BELIEF_ODDS.items():
        odds[stage == name] = one
    return mean * odds / (1.0 - mean + mean * odds)
