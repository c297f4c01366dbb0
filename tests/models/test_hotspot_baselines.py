"""Baselines against slow loops written from their definitions, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import neighbors

from features.incident_points import Past
from models.hotspot_baselines import (
    HOTSPOT_BASELINES,
    ExponentialCount,
    KernelDensity,
    LastPeriodCount,
    LongHistoryCount,
    ProspectiveHotspot,
    SmoothedCount,
    pairs_within,
)
from models.near_repeat import NearRepeat
from models.self_exciting import SelfExciting

EVERY = (*HOTSPOT_BASELINES, SelfExciting(), NearRepeat(permutations=19))
SIDE = 12
SIZE_M = 250.0


def town(m: int, seed: int = 0, days: float = 200.0) -> Past:
    """A square town of 12 x 12 cells whose middle is busier; some incidents lie outside."""
    rng = np.random.default_rng(seed)
    across = (np.arange(SIDE) + 0.5) * SIZE_M
    centres = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    points = rng.normal(SIDE * SIZE_M / 2, 600.0, (m, 2))
    column, row = np.floor(points / SIZE_M).astype(int).T
    inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    cell = np.where(inside, row * SIDE + column, -1)
    age = days * (1 - rng.random(m))
    return Past(points[:, 0], points[:, 1], cell.astype(np.int64), age, centres, SIZE_M)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
@pytest.mark.parametrize("m", [0, 1, 20, 800])
def test_every_baseline_scores_every_cell_however_few_the_incidents(model, m) -> None:
    score = model.score(town(m))
    assert score.shape == (SIDE * SIDE,)
    assert score.dtype == np.float64
    assert np.isfinite(score).all()
    assert (score >= 0).all()


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_the_order_of_the_incidents_does_not_matter(model) -> None:
    past = town(400)
    turned = past.kept(np.random.default_rng(1).permutation(400))
    if isinstance(model, NearRepeat):  # its permutations deal times in the order given
        assert np.corrcoef(model.score(past), model.score(turned))[0, 1] > 0.99
    else:
        np.testing.assert_allclose(model.score(turned), model.score(past), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_names_differ_and_the_busy_middle_is_found(model) -> None:
    assert [other.name for other in EVERY].count(model.name) == 1
    score = model.score(town(2_000)).reshape(SIDE, SIDE)
    assert score[4:8, 4:8].mean() > 3 * score[[0, -1]].mean()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 1_000))
def test_counts_are_counts(m, seed) -> None:
    past = town(m, seed)
    slow = [int((past.cell == position).sum()) for position in range(past.n_cells)]
    assert LongHistoryCount().score(past).tolist() == slow
    recent = [
        int(((past.cell == position) & (past.age_days <= 7)).sum())
        for position in range(past.n_cells)
    ]
    assert LastPeriodCount().score(past).tolist() == recent


def test_an_endless_memory_is_the_count() -> None:
    past = town(500)
    np.testing.assert_allclose(
        ExponentialCount(mean_weeks=1e9).score(past), LongHistoryCount().score(past), rtol=1e-6
    )


def test_a_narrow_kernel_is_the_count_and_a_wide_one_flattens() -> None:
    past = town(500)
    count = LongHistoryCount().score(past)
    narrow = SmoothedCount(bandwidth_m=20.0).score(past)
    assert np.corrcoef(narrow, count)[0, 1] > 0.9999
    spread = [SmoothedCount(width).score(past).std() for width in (100.0, 250.0, 600.0)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("bandwidth_m", [150.0, 250.0, 500.0])
def test_kernel_density_agrees_with_scikit_learn(bandwidth_m) -> None:
    past = town(3_000)
    tree = neighbors.KernelDensity(bandwidth=bandwidth_m).fit(past.points_m)
    density = np.exp(tree.score_samples(past.centres_m)) * len(past)
    ours = KernelDensity(bandwidth_m).score(past)
    np.testing.assert_allclose(ours, density, atol=2e-3 * density.max())


def test_prospective_weights_as_in_the_definition() -> None:
    past = town(300)
    slow = np.zeros(past.n_cells)
    for position, centre in enumerate(past.centres_m):
        for point, age in zip(past.points_m, past.age_days, strict=True):
            distance = np.linalg.norm(point - centre)
            if distance <= 400 and age <= 56:
                slow[position] += 1 / (1 + distance // 125) / (1 + age // 7)
    np.testing.assert_allclose(ProspectiveHotspot().score(past), slow)


def test_pairs_of_nothing() -> None:
    left, right, distance = pairs_within(np.zeros((0, 2)), np.zeros((3, 2)), 5.0)
    assert len(left) == len(right) == len(distance) == 0


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"age_days": np.array([0.0])}, "ages above 0"),
        ({"age_days": np.array([np.nan])}, "ages above 0"),
        ({"age_days": np.array([1.0, 2.0])}, "one length"),
        ({"cell": np.array([9])}, "expected cells from -1 to 0"),
        ({"centres_m": np.zeros(2)}, r"shape \(n, 2\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed, says) -> None:
    one = np.array([1.0])
    good = {
        "x_m": one,
        "y_m": one,
        "cell": np.array([0]),
        "age_days": one,
        "centres_m": np.zeros((1, 2)),
        "size_m": 250.0,
    }
    Past(**good)
    with pytest.raises(ValueError, match=says):
        Past(**(good | changed))
