"""Features of lines against a brute-force oracle, and what a label may never reach."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from features.line_columns import LINE_COLUMNS
from features.line_ratios import LINE_RATIOS
from features.lines import (
    NEIGHBOUR_COLUMNS,
    OWN,
    LineTableError,
    Neighbours,
    contact_features,
    graph_features,
    label_features,
    own_features,
    ratio_features,
)


def _lines(count: int, seed: int = 0, gaps: float = 0.2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    X = rng.poisson(3.0, (count, len(LINE_COLUMNS))).astype(np.float64)
    X[rng.random(X.shape) < gaps] = np.nan
    return pd.DataFrame(X, columns=list(LINE_COLUMNS))


def _graph(count: int, seed: int, density: float) -> sp.csr_array:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((count, count)) < density, 1)
    return sp.csr_array(upper.astype(np.int8))


def _sets(graph: sp.csr_array) -> list[set[int]]:
    dense = graph.toarray()
    both = (dense + dense.T) > 0
    return [set(np.flatnonzero(row).tolist()) for row in both]


def _same(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=1e-12) or (
        math.isnan(found) and math.isnan(expected)
    )


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _lower(values: list[float], share: float) -> float:
    known = sorted(value for value in values if not math.isnan(value))
    return known[math.floor(share * (len(known) - 1))] if known else math.nan


Oracle = Callable[[int, list[set[int]]], float]


def _clustering(line: int, near: list[set[int]]) -> float:
    mine = near[line]
    if len(mine) < 2:
        return math.nan
    pairs = [(a, b) for a in mine for b in mine if a < b]
    return sum(b in near[a] for a, b in pairs) / len(pairs)


STRUCTURE: dict[str, Oracle] = {
    "graph.degree": lambda line, near: len(near[line]),
    "graph.clustering": _clustering,
    "graph.two_hop_reach": lambda line, near: len(
        {far for friend in near[line] for far in near[friend]} - {line}
    ),
    "graph.neighbours_degree.mean": lambda line, near: _mean([len(near[n]) for n in near[line]]),
    "graph.neighbours_degree.median": lambda line, near: _lower(
        [len(near[n]) for n in near[line]], 0.5
    ),
    "graph.neighbours_degree.max": lambda line, near: max(
        (len(near[n]) for n in near[line]), default=math.nan
    ),
}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.0, 0.6))
def test_graph_features_equal_a_count_by_hand(seed: int, density: float) -> None:
    own = own_features(_lines(18, seed))
    graph = _graph(18, seed, density)
    found, near = graph_features(Neighbours(graph)), _sets(graph)
    found += contact_features(own, Neighbours(graph))
    column = dict(zip(found.names, found.X.T, strict=True))
    for line in range(18):
        for name, oracle in STRUCTURE.items():
            assert _same(column[name][line], oracle(line, near)), name
        for name in NEIGHBOUR_COLUMNS:
            own_values = own.X[:, own.names.index(name)]
            once = [_mean([own_values[n] for n in near[other]]) for other in range(18)]
            seen = [own_values[n] for n in near[line]]
            assert _same(column[f"neighbours.{name}.mean"][line], _mean(seen))
            assert _same(column[f"neighbours.{name}.median"][line], _lower(seen, 0.5))
            two_hop = _mean([once[n] for n in near[line]])
            assert _same(column[f"neighbours.{name}.two_hop_mean"][line], two_hop)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.0, 0.6))
def test_label_features_equal_a_count_by_hand(seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    graph = _graph(20, seed, density)
    y, known, fold = rng.integers(0, 2, 20), rng.random(20) < 0.6, rng.integers(0, 3, 20)
    found, near = label_features(Neighbours(graph), y, known, fold), _sets(graph)
    common = np.array([[len(near[a] & near[b]) for b in range(20)] for a in range(20)])
    for line in range(20):
        seen = [n for n in range(20) if known[n] and not (known[line] and fold[n] == fold[line])]
        once = [n for n in seen if n in near[line]]
        assert _same(found.X[line, 0], (sum(y[once]) + 1) / (len(once) + 2))
        weight = [common[line, n] for n in seen if n != line]
        bad = [common[line, n] * y[n] for n in seen if n != line]
        assert _same(found.X[line, 1], (sum(bad) + 1) / (sum(weight) + 2))


def test_no_label_reaches_its_own_vector() -> None:
    rng = np.random.default_rng(3)
    neighbours, known = Neighbours(_graph(60, 3, 0.4)), rng.random(60) < 0.7
    y, fold = rng.integers(0, 2, 60), rng.integers(0, 4, 60)
    before = label_features(neighbours, y, known, fold).X
    for line in range(60):
        other = y.copy()
        other[line] = 1 - other[line]
        after = label_features(neighbours, other, known, fold).X
        assert np.array_equal(before[line], after[line])
        if not known[line]:
            assert np.array_equal(before, after)  # an unknown label reaches nobody


def test_among_lines_with_the_same_contacts_a_vector_does_not_give_its_label_away() -> None:
    """Leaving out only its own label would: each suspect would see one suspect fewer."""
    size = 40
    clique = sp.csr_array(np.triu(np.ones((size, size), dtype=np.int8), 1))
    y, fold = np.arange(size) % 2, np.arange(size) // 2 % 5
    found = label_features(Neighbours(clique), y, np.ones(size, dtype=bool), fold).X
    assert np.allclose(found[y == 1].mean(axis=0), found[y == 0].mean(axis=0), atol=1e-12)


def test_an_isolated_line_has_no_neighbours_values() -> None:
    own = own_features(_lines(3))
    nobody = Neighbours(sp.csr_array((3, 3), dtype=np.int8))
    alone = graph_features(nobody) + contact_features(own, nobody)
    column = dict(zip(alone.names, alone.X.T, strict=True))
    assert (column["graph.degree"] == 0).all()
    assert np.isnan(column["neighbours.imeis.mean"]).all()
    known = np.array([True, True, False])
    labels = label_features(Neighbours(sp.csr_array((3, 3))), np.ones(3), known, np.arange(3))
    assert (labels.X == 0.5).all()


def test_a_hub_of_many_calls_does_not_overflow() -> None:
    """int8 counts of common contacts would wrap at 127."""
    size = 300
    star = np.zeros((size, size), dtype=np.int8)
    star[0, 1:] = star[1, 2:] = 1
    found = graph_features(Neighbours(sp.csr_array(star)))
    assert found.X[0, found.names.index("graph.degree")] == size - 1
    assert found.X[:, found.names.index("graph.clustering")].max() <= 1.0


@pytest.mark.parametrize("how", ["upper", "lower", "both", "counted", "looped"])
def test_a_graph_may_be_given_in_any_form(how: str) -> None:
    upper = _graph(12, 5, 0.3).toarray()
    forms = {
        "upper": upper,
        "lower": upper.T,
        "both": upper + upper.T,
        "counted": upper * 100,
        "looped": upper + np.eye(12, dtype=np.int8),
    }
    expected = Neighbours(sp.csr_array(upper)).matrix.toarray()
    assert np.array_equal(Neighbours(sp.csr_array(forms[how])).matrix.toarray(), expected)


def test_columns_that_are_all_missing_stay_unknown() -> None:
    lines = _lines(5)
    lines[:] = np.nan
    own = own_features(lines)
    assert np.isnan(own.X[:, :-1]).all()
    assert (own.X[:, -1] == len(LINE_COLUMNS)).all()
    assert np.isnan(ratio_features(own).X).all()


def test_infinities_are_unknown() -> None:
    lines = _lines(2, gaps=0.0)
    lines.loc[0, "imeis"] = np.inf
    assert np.isnan(own_features(lines).X[0, list(LINE_COLUMNS).index("imeis")])


def test_order_of_columns_and_further_columns_do_not_matter() -> None:
    lines = _lines(4)
    other = lines[list(reversed(LINE_COLUMNS))].assign(phone_no_m="x", label=1)
    assert np.array_equal(own_features(lines).X, own_features(other).X, equal_nan=True)


def test_a_missing_column_is_named_with_what_is_there_instead() -> None:
    lines = _lines(3).rename(columns={"imeis": "imei_count"})
    with pytest.raises(LineTableError, match=r"expected 55 columns, found 54.*imeis.*imei_count"):
        own_features(lines)


def test_text_in_a_column_is_refused() -> None:
    lines = _lines(3).astype({"imeis": object})
    lines.loc[1, "imeis"] = "many"
    with pytest.raises(LineTableError, match="expected numbers in imeis"):
        own_features(lines)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(LineTableError, match="at least one line"):
        own_features(_lines(0))


def test_a_graph_must_be_square() -> None:
    with pytest.raises(LineTableError, match="one row and one column a line"):
        Neighbours(sp.csr_array((3, 4)))


def test_names_are_unique_and_every_column_is_said_in_both_languages() -> None:
    own = own_features(_lines(6))
    around = Neighbours(_graph(6, 1, 0.5))
    every = own + ratio_features(own) + graph_features(around) + contact_features(own, around)
    every += label_features(around, np.ones(6), np.ones(6, bool), np.ones(6))
    assert len(set(every.names)) == len(every.names) == every.X.shape[1]
    assert all(column.zh and column.en and column.unit for column in every.columns)
    assert [c.name for c in OWN] == [*own.names, *(r.column.name for r in LINE_RATIOS)]


def test_ratios_against_arithmetic() -> None:
    lines = _lines(1, gaps=0.0)
    lines.loc[0, ["opposite_count", "month_ids", "arpu_var", "arpu_mean"]] = [30.0, 6.0, 16.0, 8.0]
    found = ratio_features(own_features(lines))
    value = dict(zip(found.names, found.X[0], strict=True))
    assert value["opposite_count.per.month_ids"] == 5.0
    assert value["arpu_var.spread.arpu_mean"] == 0.5
    assert value["arpu_mean.minus.arpu_median"] == 8.0 - lines.loc[0, "arpu_median"]
