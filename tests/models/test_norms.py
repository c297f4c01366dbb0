"""Norms are values that occurred, by kind, and come back to the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.norms import FEWEST, QUANTILES, Norms
from models.trees import ModelError


@pytest.fixture(scope="module")
def norms() -> Norms:
    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, size=(3_000, 2)).astype(float)
    kind = np.array(["call"] * 1_500 + ["transfer"] * 1_450 + ["lead"] * 50)
    X[kind == "transfer", 0] += 10
    X[kind == "call", 1] = np.nan
    return Norms.fit(X, kind, ("calls", "amount"))


def test_each_kind_has_its_own(norms) -> None:
    assert norms.kinds == ("call", "transfer", "any")
    assert norms.usual("calls", "transfer") > norms.usual("calls", "call") + 5


def test_few_citizens_are_never_a_norm(norms) -> None:
    assert FEWEST == 100
    assert np.array_equal(norms.of("calls", "lead"), norms.of("calls", "any"))


def test_never_known_is_unknown(norms) -> None:
    assert np.isnan(norms.usual("amount", "call"))
    assert (norms.above("amount", "call", 5.0), norms.below("amount", "call", 5.0)) == (0.0, 1.0)


def test_text_comes_back_to_the_same_bits(norms) -> None:
    again = Norms.from_text(norms.to_text())
    assert np.array_equal(again.values, norms.values, equal_nan=True)
    assert (again.names, again.kinds, again.quantiles) == (norms.names, norms.kinds, QUANTILES)
    assert again.to_text() == norms.to_text()


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.one_of(st.integers(0, 20).map(float), st.just(np.nan)), min_size=1),
    probe=st.floats(-5, 25),
)
def test_above_and_below_say_what_they_say(values, probe) -> None:
    column = np.array(values)
    norms = Norms.fit(column[:, np.newaxis], np.array(["call"] * len(values)), ("v",))
    known = column[~np.isnan(column)]
    above, below = norms.above("v", "call", probe), norms.below("v", "call", probe)
    if len(known) == 0:
        assert (above, below) == (0.0, 1.0)
        return
    one_row = 1.0 / len(known)
    assert (known < probe).mean() >= above - one_row
    assert (known > probe).mean() >= 1.0 - below - one_row
    assert set(norms.of("v", "call")) <= set(known)


def test_rows_are_made_up_citizens(norms) -> None:
    assert norms.rows().shape == (3 * len(QUANTILES), 2)


def test_norms_of_another_shape_are_refused(norms) -> None:
    with pytest.raises(ModelError, match=r"expected norms of shape \(1, 8, 2\)"):
        Norms(norms.names, ("any",), norms.quantiles, norms.values)
    with pytest.raises(ModelError, match="last kind is 'any'"):
        Norms(norms.names, ("any", "call", "sms"), norms.quantiles, norms.values)
