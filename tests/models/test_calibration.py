"""Calibration rises, keeps every order, is chosen on held-out rows and comes back to its bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import _FITS, Calibration, _Slice, log_loss, sigmoid
from models.trees import ModelError


def drawn(seed: int, n: int, odds) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.normal(-3.0, 2.0, n)
    return raw, (rng.random(n) < sigmoid(odds(raw))).astype(np.int64)


def bent(raw: np.ndarray) -> np.ndarray:
    """Flat below -2 and steep above: no line in log-odds, no beta curve either."""
    return np.where(raw < -2.0, -4.0, -4.0 + 6.0 * (raw > 0.0))


CASES = {
    "platt": lambda raw: 0.5 * raw - 1.0,
    "isotonic": bent,
}


@pytest.mark.parametrize("kind", CASES)
def test_the_kind_that_fits_is_chosen(kind) -> None:
    raw, y = drawn(3, 20_000, CASES[kind])
    found = Calibration.fit(raw, y)
    assert found.held_out[found.kind] == min(found.held_out.values())
    assert set(found.held_out) == {"platt", "beta", "isotonic"}
    if kind == "isotonic":
        assert found.kind == "isotonic"


def test_beta_is_chosen_where_both_ends_bend_differently() -> None:
    raw, y = drawn(4, 60_000, lambda x: -0.2 * np.logaddexp(0, -x) + 3.0 * np.logaddexp(0, x) - 1.0)
    assert Calibration.fit(raw, y).kind == "beta"


@pytest.mark.parametrize("kind", CASES)
def test_probabilities_match_what_happened(kind) -> None:
    raw, y = drawn(5, 40_000, CASES[kind])
    later, truth = drawn(6, 40_000, CASES[kind])
    found = Calibration.fit(raw, y)
    probability = found.apply(later)
    assert abs(probability.mean() - truth.mean()) < 0.005
    best = log_loss(CASES[kind](later), truth, np.ones(len(later)))
    assert log_loss(found.log_odds(later), truth, np.ones(len(later))) < best + 0.003


def test_weights_stand_for_rows() -> None:
    raw, y = drawn(7, 4_000, CASES["platt"])
    weight = np.where(y == 1, 1.0, 3.0)
    heavy = Calibration.fit(raw, y, weight)
    many = np.repeat(np.arange(len(y)), weight.astype(int))
    repeated = Calibration.fit(raw[many], y[many])
    assert np.allclose(heavy.apply(raw), repeated.apply(raw), rtol=0.05, atol=1e-3)


raws = st.lists(st.floats(-50, 50), min_size=2, max_size=60, unique=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), n=st.sampled_from([8, 60, 700]), probes=raws)
def test_it_always_rises(seed, n, probes) -> None:
    raw, y = drawn(seed, n, CASES["platt"])
    y[:2] = 0, 1
    found = Calibration.fit(raw, y)
    z = found.log_odds(np.sort(np.array(probes)))
    assert np.all(np.diff(z) >= 0)
    apart = np.diff(np.sort(probes)) > 1e-6
    assert np.all(np.diff(z)[apart] > 0), "a calibrated score never merges two citizens"
    assert np.all((found.apply(np.array(probes)) >= 0) & (found.apply(np.array(probes)) <= 1))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000), n=st.sampled_from([40, 700]))
def test_text_comes_back_to_the_same_bits(seed, n) -> None:
    raw, y = drawn(seed, n, bent)
    y[:2] = 0, 1
    found = Calibration.fit(raw, y)
    again = Calibration.from_text(found.to_text())
    assert again == found
    assert np.array_equal(again.apply(raw), found.apply(raw))


def test_one_row_as_among_many() -> None:
    raw, y = drawn(8, 5_000, bent)
    for kind in ("platt", "beta", "isotonic"):
        found = Calibration(kind, fitted(kind, raw, y))
        alone = np.array([found.apply(raw[at : at + 1])[0] for at in range(100)])
        assert np.array_equal(alone, found.apply(raw)[:100])


def fitted(kind: str, raw: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    return _FITS[kind](_Slice(raw, y.astype(float), np.ones(len(raw))))


def test_a_clean_split_does_not_run_away() -> None:
    raw = np.concatenate([np.full(500, -3.0), np.full(100, 3.0)])
    found = Calibration.fit(raw, (raw > 0).astype(int))
    assert 0.0 < found.apply(np.array([-3.0]))[0] < 0.05
    assert 0.9 < found.apply(np.array([3.0]))[0] < 1.0


def test_few_frauds_get_a_line_only() -> None:
    raw, y = drawn(9, 300, CASES["platt"])
    y[:] = 0
    y[:4] = 1
    assert Calibration.fit(raw, y).kind == "platt"


@pytest.mark.parametrize("y", [np.zeros(5), np.ones(5), np.zeros(0)])
def test_one_class_cannot_be_calibrated_on(y) -> None:
    with pytest.raises(ModelError, match="take a longer calibration slice"):
        Calibration.fit(np.zeros(len(y)), y)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("platt", (-1.0, 0.0)),
        ("platt", (1.0,)),
        ("beta", (1.0, -0.1, 0.0)),
        ("isotonic", ()),
        ("isotonic", (0.0, 1.0, 0.5, 0.4)),
        ("isotonic", (1.0, 0.0, 0.4, 0.5)),
        ("identity", (1.0,)),
        ("spline", (1.0, 0.0)),
        ("platt", (float("nan"), 0.0)),
        ("platt", (float("inf"), 0.0)),
    ],
)
def test_a_map_that_does_not_rise_is_refused(kind, values) -> None:
    with pytest.raises(ModelError, match="expected a rising calibration"):
        Calibration(kind, values)
