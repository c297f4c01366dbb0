"""The ceiling: what the intensities say, and nobody above it."""

import numpy as np

from training.hotspot_ceiling import attainable, share_of_room
from training.hotspot_metrics import cells_flagged, hits


def test_the_ceiling_is_what_the_intensities_say() -> None:
    rates = np.random.default_rng(0).gamma(0.4, 1.0, (30, 300))
    ceiling = attainable(rates, 20, np.random.default_rng(1), (0.02, 0.1))
    flagged = cells_flagged((0.02, 0.1), 300)
    exact = np.sort(rates, axis=1)[:, ::-1].cumsum(axis=1)[:, flagged - 1].sum(axis=0)
    np.testing.assert_allclose(ceiling.hits, exact, rtol=0.02)
    np.testing.assert_allclose(ceiling.hit_rate, exact / rates.sum(), rtol=0.02)
    assert (ceiling.low <= ceiling.hit_rate).all()
    assert (ceiling.hit_rate <= ceiling.high).all()
    assert (ceiling.pei < 1).all()


def test_nobody_beats_the_ceiling_on_its_own_intensities() -> None:
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.4, 1.0, 300)
    ceiling = hits(rates, rates)
    for _ in range(20):
        blurred = rates * rng.lognormal(0, 0.5, 300)
        assert (hits(blurred, rates) <= ceiling + 1e-9).all()


def test_share_of_room_runs_from_the_rival_to_the_ceiling() -> None:
    assert share_of_room(3.0, 3.0, 5.0) == 0.0
    assert share_of_room(5.0, 3.0, 5.0) == 1.0
    assert share_of_room(2.0, 3.0, 5.0) == -0.5
    assert np.isnan(share_of_room(2.0, 3.0, 3.0))
