"""What of all hits can be attained at all: the ceiling above every model, and the way up to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.hotspot_metrics import COVERAGES, best_hits, cells_flagged, ranked, ratio

__all__ = ["Attainable", "attainable", "share_of_room"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Attainable:
    """What somebody who knew the true intensities would get, one entry a coverage.

    Parameters
    ----------
    hits : float64 array of shape (coverages,)
        Expected incidents caught in all periods.
    hit_rate : float64 array of shape (coverages,)
        Hits / all incidents.
    low, high : float64 array of shape (coverages,)
        95 % interval of the hit rate by the draws.
    pei : float64 array of shape (coverages,)
        Hits / best possible hits of the same draws: how far below 1 chance alone keeps anybody.
    """

    hits: Floats
    hit_rate: Floats
    low: Floats
    high: Floats
    pei: Floats


def attainable(
    intensity: ArrayLike,
    draws: int,
    rng: np.random.Generator,
    coverages: Sequence[float] = COVERAGES,
) -> Attainable:
    """The ceiling: rank by the intensities themselves, draw Poisson counts from them, and count.

    The ceiling is only as good as the intensities: fitted ones that are too smooth put it too low,
    ones fitted to the very periods judged put it too high.

    Parameters
    ----------
    intensity : array of shape (periods, n)
        Expected counts of each period and cell.
    draws : int
        How often all periods are drawn, one at least.
    rng : numpy.random.Generator

    Examples
    --------
    >>> ceiling = attainable([[9.0, 1.0]] * 50, 20, np.random.default_rng(0), coverages=(0.5,))
    >>> ceiling.hit_rate.round(1), ceiling.hits.round(-1)
    (array([0.9]), array([450.]))
    """
    rates = np.atleast_2d(np.asarray(intensity, np.float64))
    caught, best = np.zeros((2, draws, len(coverages)))
    total = np.zeros(draws)
    for period in rates:
        first = ranked(period)
        flagged = cells_flagged(coverages, period.size)
        for draw in range(draws):
            counts = rng.poisson(period)
            caught[draw] += np.cumsum(counts[first])[flagged - 1]
            best[draw] += best_hits(counts, coverages)
            total[draw] += counts.sum()
    share = ratio(caught, total[:, None])
    low, high = np.nanquantile(share, [0.025, 0.975], axis=0)
    everything = caught.sum(axis=0)
    return Attainable(
        hits=everything / draws,
        hit_rate=ratio(everything, total.sum()),
        low=low,
        high=high,
        pei=ratio(everything, best.sum(axis=0)),
    )


def share_of_room(ours: ArrayLike, rival: ArrayLike, ceiling: ArrayLike) -> Floats:
    """How much of the way from a rival to the ceiling ours has gone; NaN where there is no way.

    Parameters
    ----------
    ours, rival, ceiling : array of shape (k,) or number
        Hits, or hit rates, of the same incidents.

    Examples
    --------
    >>> share_of_room([0.22, 0.2], [0.20, 0.3], [0.25, 0.3])
    array([0.4, nan])
    """
    start = np.asarray(rival, np.float64)
    room = np.asarray(ceiling, np.float64) - start
    return ratio(np.asarray(ours, np.float64) - start, np.where(room > 0, room, 0.0))
