"""A self-exciting point process in every cell: a steady background, and echoes of recent incidents.

Fitted by expectation-maximisation. Because the echo decays exponentially, what all earlier
incidents of a cell still add is carried from one to the next, so that a round is one pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

from features.incident_points import Past

__all__ = ["Excitation", "SelfExciting"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

START_THETA, START_OMEGA = 0.3, 1 / 7  # our choice
MOST_THETA = 0.98  # at 1 echoes of echoes never end
# a day: unbounded, the fit to real incidents ends at an echo of one hour (one affair recorded
# several times), which says nothing of the coming week
SLOWEST, FASTEST = 1 / 3_650, 1.0


@dataclass(frozen=True, eq=False)
class Excitation:
    """What was fitted.

    Parameters
    ----------
    background : float64 array of shape (n,)
        Incidents a day that nothing recent explains.
    theta : float
        Incidents that one incident sets off in its cell, on average.
    omega : float
        Decay of the echo, a day: 1/omega days is its mean delay.
    echo : float64 array of shape (n,)
        What past incidents add to each cell's rate at the moment of forecast, a day.
    rounds : int
        Rounds of expectation-maximisation that were run.
    """

    background: Floats
    theta: float
    omega: float
    echo: Floats
    rounds: int

    def expected(self, days: float) -> Floats:
        """Incidents expected in the coming days, echoes of those to come included, shape (n,)."""
        decay = self.omega * (1 - self.theta)
        spent = -math.expm1(-decay * days) / decay
        fresh = self.background * self.theta / (1 - self.theta) * (days - spent)
        return self.background * days + self.echo * spent + fresh


@dataclass(frozen=True)
class SelfExciting:
    """The rate of a cell is its background and the decaying echoes of its own incidents.

    rate(t) = background + sum over earlier incidents of theta omega exp(-omega (t - t_i)), with one
    theta and one omega for the city and a background for every cell: the form used in the field
    trials, where cells are small and neighbours are left out. Because every cell has a background
    of its own, slow echoes are partly taken for background: theta comes out too low where 1/omega
    is not short against the window.

    Parameters
    ----------
    horizon_days : float
        Length of the period to forecast.
    window_days : float
        Older incidents are not used.
    most_rounds : int
        Rounds of expectation-maximisation at most.
    tolerance : float
        Stop when neither theta nor omega moves by more than this share in a round.

    References
    ----------
    Mohler, Short, Brantingham, Schoenberg, Tita, "Self-exciting point process modeling of crime",
    JASA 106 (2011). Mohler et al., "Randomized controlled field trials of predictive policing",
    JASA 110 (2015), equations 1 to 5.

    Examples
    --------
    >>> from features.grid import Grid
    >>> grid = Grid.over([106.55, 106.56], [29.56, 29.56], size_m=250)
    >>> past = Past.on(grid, [106.55] * 3 + [106.56], [29.56] * 4, [1.0, 2.0, 300.0, 310.0])
    >>> expected = SelfExciting().score(past)
    >>> bool(expected[0] > expected[1] > 0)
    True
    """

    horizon_days: float = 7.0
    window_days: float = 730.0
    most_rounds: int = 200
    tolerance: float = 1e-4
    name: str = "self-exciting"

    def score(self, past: Past) -> Floats:
        """Incidents expected in each cell over the horizon, shape (n,)."""
        return self.fit(past).expected(self.horizon_days)

    def fit(self, past: Past) -> Excitation:
        """Fit background, theta and omega to the incidents of the window."""
        used = past.kept((past.age_days <= self.window_days) & (past.cell >= 0))
        if not len(used):
            nothing = np.zeros(past.n_cells)
            return Excitation(nothing, 0.0, START_OMEGA, nothing, 0)
        order = np.lexsort((-used.age_days, used.cell))
        cell, age = used.cell[order], used.age_days[order]
        span = float(age.max())
        background = used.counts() * (1 - START_THETA) / span
        theta, omega, rounds = START_THETA, START_OMEGA, 0
        while rounds < self.most_rounds:
            rounds += 1
            background, found_theta, found_omega = _round(cell, age, background, theta, omega)
            moved = max(abs(found_theta - theta) / theta, abs(found_omega - omega) / omega)
            theta, omega = found_theta, found_omega
            if moved < self.tolerance:
                break
        echo = used.counts(theta * omega * np.exp(-omega * used.age_days))
        return Excitation(background, theta, omega, echo, rounds)


def _round(
    cell: Ints, age: Floats, background: Floats, theta: float, omega: float
) -> tuple[Floats, float, float]:
    """One round: who set off whom, and the parameters that follow."""
    span = age.max()
    own, echoes, delays = _split(cell, age, background, theta, omega)
    # an incident near the end has had no time to set off all its echoes
    seen = -np.expm1(-omega * age)
    found_theta = min(echoes / max(seen.sum(), 1e-300), MOST_THETA)
    missed = theta * float(np.sum(age * np.exp(-omega * age)))
    found_omega = echoes / max(delays + missed, 1e-300)
    return own / span, max(found_theta, 1e-9), min(max(found_omega, SLOWEST), FASTEST)


def _split_plain(
    cell: Ints, age: Floats, background: Floats, theta: float, omega: float
) -> tuple[Floats, float, float]:
    """Share incidents out: background of each cell, echoes in all, and their delays in days.

    `cell` ascending, `age` descending within a cell.
    """
    own = np.zeros(len(background))
    echoes, delays = 0.0, 0.0
    heat, lag = 0.0, 0.0  # sums of exp(-omega d) and of d exp(-omega d) over earlier incidents
    for i in range(len(cell)):
        if i > 0 and cell[i] == cell[i - 1]:
            gap = age[i - 1] - age[i]
            fade = math.exp(-omega * gap)
            lag = fade * (lag + gap * (heat + 1.0))
            heat = fade * (heat + 1.0)
        else:
            heat, lag = 0.0, 0.0
        echo = theta * omega * heat
        rate = background[cell[i]] + echo
        if rate > 0.0:
            own[cell[i]] += background[cell[i]] / rate
            echoes += echo / rate
            delays += theta * omega * lag / rate
    return own, echoes, delays


_split: Final[Callable[..., Any]] = numba.njit(nogil=True, cache=True)(_split_plain)
