"""The self-exciting process finds what was planted, and its likelihood never falls."""

import numpy as np
import pytest

from features.incident_points import Past
from models.self_exciting import SelfExciting, _round, _split, _split_plain


def simulated(theta: float, omega: float, cells: int = 250, days: float = 600.0) -> Past:
    """Backgrounds between 0.01 and 0.1 a day; every incident has Poisson(theta) echoes."""
    rng = np.random.default_rng(4)
    background = rng.uniform(0.01, 0.1, cells)
    number = rng.poisson(background * days)
    cell = np.repeat(np.arange(cells), number)
    time = rng.uniform(0, days, cell.size)
    cells_all, times_all = [cell], [time]
    while cell.size:
        children = rng.poisson(theta, cell.size)
        cell = np.repeat(cell, children)
        time = np.repeat(time, children) + rng.exponential(1 / omega, cell.size)
        cell, time = cell[time < days], time[time < days]
        cells_all.append(cell)
        times_all.append(time)
    cell, time = np.concatenate(cells_all), np.concatenate(times_all)
    zeros = np.zeros(cell.size)
    return Past(zeros, zeros, cell, days - time, np.zeros((cells, 2)), 250.0)


@pytest.mark.parametrize(("theta", "omega"), [(0.4, 0.2), (0.2, 0.5), (0.6, 0.2)])
def test_planted_parameters_are_found(theta, omega) -> None:
    past = simulated(theta, omega)
    fitted = SelfExciting().fit(past)
    assert fitted.theta == pytest.approx(theta, abs=0.06)
    assert fitted.omega == pytest.approx(omega, rel=0.25)
    assert fitted.background.sum() == pytest.approx(250 * 0.055, rel=0.15)


def test_without_echoes_next_to_none_are_found() -> None:
    past = simulated(0.0, 1.0)
    fitted = SelfExciting().fit(past)
    assert fitted.theta < 0.05
    count = past.counts()
    assert np.corrcoef(fitted.expected(7.0), count)[0, 1] > 0.97


def test_expected_incidents_add_up_to_the_usual_number() -> None:
    past = simulated(0.4, 0.2)
    assert SelfExciting().score(past).sum() == pytest.approx(len(past) / 600 * 7, rel=0.15)


def test_a_longer_horizon_expects_more_and_nears_the_long_run_rate() -> None:
    fitted = SelfExciting().fit(simulated(0.4, 0.2))
    day, week, year = (fitted.expected(days) for days in (1.0, 7.0, 365.0))
    assert (day < week).all()
    assert (week < year).all()
    np.testing.assert_allclose(
        fitted.expected(1e6) / 1e6, fitted.background / (1 - fitted.theta), rtol=1e-3
    )


def likelihood(past: Past, background, theta, omega) -> float:
    """By the definition, pair by pair."""
    span = past.age_days.max()
    found = -background.sum() * span - theta * np.sum(1 - np.exp(-omega * past.age_days))
    for cell in np.unique(past.cell):
        age = np.sort(past.age_days[past.cell == cell])[::-1]
        gaps = age[None, :] - age[:, None]
        earlier = np.tril(np.ones((age.size, age.size)), -1)
        echo = (theta * omega * np.exp(-omega * np.abs(gaps)) * earlier).sum(axis=1)
        found += np.log(background[cell] + echo).sum()
    return float(found)


def test_the_likelihood_rises_with_every_round() -> None:
    past = simulated(0.4, 0.2, cells=20)
    order = np.lexsort((-past.age_days, past.cell))
    background, theta, omega = past.counts() / 900, 0.2, 0.5
    reached = [likelihood(past, background, theta, omega)]
    for _ in range(30):
        background, theta, omega = _round(
            past.cell[order], past.age_days[order], background, theta, omega
        )
        reached.append(likelihood(past, background, theta, omega))
    assert (np.diff(reached) > -1e-3).all()
    assert reached[-1] > reached[0] + 1


def test_the_compiled_pass_is_the_plain_one() -> None:
    past = simulated(0.4, 0.2, cells=20)
    order = np.lexsort((-past.age_days, past.cell))
    given = (past.cell[order], past.age_days[order], past.counts() / 700, 0.3, 0.1)
    for compiled, plain in zip(_split(*given), _split_plain(*given), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-12)


def test_the_latest_incident_raises_its_own_cell_only() -> None:
    fitted = SelfExciting().fit(simulated(0.4, 0.2))
    assert (fitted.echo >= 0).all()
    cold = Past(
        np.zeros(2), np.zeros(2), np.array([0, 1]), np.array([500.0, 0.5]), np.zeros((2, 2)), 250.0
    )
    echo = SelfExciting(most_rounds=1).fit(cold).echo
    assert echo[1] > echo[0]


def test_old_incidents_and_those_outside_are_left_out() -> None:
    zeros = np.zeros(3)
    past = Past(
        zeros, zeros, np.array([0, -1, 1]), np.array([5.0, 5.0, 900.0]), np.zeros((2, 2)), 250.0
    )
    score = SelfExciting(window_days=365).score(past)
    assert score[0] > 0
    assert score[1] == 0
