"""Near repeats are found where they were planted, and not in Poisson data."""

from itertools import combinations

import numpy as np
import pytest

from features.incident_points import Past
from models.near_repeat import NearRepeat, knox_table

SIDE_M = 5_000.0
DAYS = 300.0


def scattered(rng: np.random.Generator, m: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(0, SIDE_M, (m, 2)), rng.uniform(0.01, DAYS, m)


def repeated(rng: np.random.Generator, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Every third incident is followed within 6 days and about 80 m."""
    points, age = scattered(rng, m)
    followed = points[::3] + rng.normal(0, 50, points[::3].shape)
    later = np.maximum(age[::3] - rng.uniform(0, 6, age[::3].size), 0.005)
    return np.vstack([points, followed]), np.concatenate([age, later])


def as_past(points: np.ndarray, age: np.ndarray) -> Past:
    side = int(SIDE_M / 250)
    at = np.clip(np.floor(points / 250), 0, side - 1).astype(np.int64)
    across = (np.arange(side) + 0.5) * 250
    centres = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    return Past(points[:, 0], points[:, 1], at[:, 1] * side + at[:, 0], age, centres, 250.0)


def test_planted_repeats_stand_out_in_their_band_only() -> None:
    table = knox_table(*repeated(np.random.default_rng(0), 1_500))
    assert table.ratio[0, 0] > 2
    assert table.p[0, 0] == 0.01
    assert table.weights[0, 0] == pytest.approx(table.ratio[0, 0] - 1)
    assert (np.abs(table.ratio[1] - 1) < 0.25).all()


def test_poisson_data_show_none() -> None:
    tables = [knox_table(*scattered(np.random.default_rng(seed), 1_500)) for seed in range(4)]
    ratios = np.array([table.ratio for table in tables])
    assert (np.abs(ratios - 1) < 0.25).all()
    assert np.mean([table.p <= 0.05 for table in tables]) < 0.25


def test_pairs_are_counted_as_the_definition_says() -> None:
    rng = np.random.default_rng(2)
    points, age = rng.uniform(0, 900, (60, 2)), rng.uniform(0.1, 60, 60)
    table = knox_table(points, age, permutations=0)
    slow = np.zeros((2, 3), int)
    for i, j in combinations(range(60), 2):
        distance, gap = np.linalg.norm(points[i] - points[j]), abs(age[i] - age[j])
        if distance <= 400 and gap <= 28:
            slow[int(distance > 200), int(gap > 7) + int(gap > 14)] += 1
    assert table.observed.tolist() == slow.tolist()
    assert (table.p == 1).all()


def test_expected_pairs_are_the_mean_over_permutations() -> None:
    rng = np.random.default_rng(3)
    points, age = rng.uniform(0, 900, (40, 2)), rng.uniform(0.1, 60, 40)
    table = knox_table(points, age, permutations=0)
    dealt = [knox_table(points, rng.permutation(age), permutations=0) for _ in range(400)]
    mean = np.mean([one.observed for one in dealt], axis=0)
    np.testing.assert_allclose(table.expected, mean, rtol=0.05)


def test_a_fresh_incident_raises_the_cells_around_it() -> None:
    points, age = repeated(np.random.default_rng(0), 1_500)
    model = NearRepeat()
    table = model.fit(as_past(points, age))
    before = model.raised(as_past(points, age), table)
    centre = np.array([[2_625.0, 2_625.0]])
    fresh = as_past(np.vstack([points, centre]), np.append(age, 0.5))
    raised = model.raised(fresh, table) - before
    [own] = fresh.cell[-1:]
    assert raised[own] > 1  # more than the one incident itself
    far = np.linalg.norm(fresh.centres_m - centre, axis=1) > 400
    np.testing.assert_allclose(raised[far], 0)


def test_the_table_hardly_changes_when_incidents_are_thinned() -> None:
    past = as_past(*repeated(np.random.default_rng(0), 2_400))
    whole, thin = NearRepeat().fit(past), NearRepeat(most=1_600).fit(past)
    assert thin.ratio[0, 0] == pytest.approx(whole.ratio[0, 0], rel=0.3)
    assert thin.observed.sum() < whole.observed.sum()


def test_the_same_seed_gives_the_same_map() -> None:
    past = as_past(*repeated(np.random.default_rng(0), 500))
    assert NearRepeat().score(past).tolist() == NearRepeat().score(past).tolist()
