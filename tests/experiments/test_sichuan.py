"""The Sichuan experiment: the published split, honest intervals, a table that holds its keys."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.model_selection import train_test_split

from data.sources import SourceError, real_data_folder
from experiments import sichuan
from experiments.result import print_result
from experiments.sichuan_rivals import forest, label_propagation, simplified_graph_convolution
from features.line_columns import LABEL, LINE, LINE_COLUMNS
from training.line_dataset import LineDataset

REAL = real_data_folder()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up lines where suspects call more numbers, and each other."""
    rng, count = np.random.default_rng(11), 200
    y = (rng.random(count) < 0.35).astype(np.int64)
    X = rng.poisson(4.0, (count, len(LINE_COLUMNS))) + 3.0 * np.outer(y, np.arange(55) == 1)
    lines = pd.DataFrame(X, columns=list(LINE_COLUMNS)).assign(**{LABEL: y, LINE: "x"})
    near = rng.random((count, count)) < np.where(np.equal.outer(y, y), 0.08, 0.01)
    home = tmp_path_factory.mktemp("real")
    (home / "sichuan").mkdir()
    lines.to_parquet(home / "sichuan" / "subscribers.parquet")
    graph = sp.csr_matrix(np.triu(near, 1).astype(np.int8))
    sp.save_npz(home / "sichuan" / "calls_graph.npz", graph)
    return home


@pytest.fixture(scope="module")
def data(folder: Path) -> LineDataset:
    return LineDataset.of(*sichuan.sichuan(folder / "sichuan"))


def test_the_split_is_the_published_one() -> None:
    """As GAT-COBO's `gen_mask` draws it: lists, labels carried along, shuffled twice."""
    y = (np.random.default_rng(0).random(6106) < 0.32).astype(np.int64)
    parts = sichuan.split(y, 0.6, 2)
    train, rest, _, y_rest = train_test_split(
        list(range(len(y))), y, stratify=y, train_size=0.6, test_size=0.4, random_state=2
    )
    share = 0.2 / (1 - 0.6)
    held, test, _, _ = train_test_split(
        rest, y_rest, train_size=share, test_size=1 - share, random_state=2
    )
    assert parts.train.tolist() == train
    assert parts.validation.tolist() == held
    assert parts.test.tolist() == test


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_the_three_parts_hold_every_line_once(share: float) -> None:
    parts = sichuan.split(np.arange(500) % 3 // 2, share, 5)
    every = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(every.tolist()) == list(range(500))
    assert abs(len(parts.validation) - 100) <= 1


def test_an_interval_by_hand() -> None:
    """Five values with standard deviation 1: t(0.975, 4) = 2.776."""
    values = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    plain, wider = sichuan.Mean.of(values), sichuan.Mean.of(values, overlap=1 / 3)
    assert np.isclose(plain.high, 2.776 / np.sqrt(5), atol=1e-3)
    assert np.isclose(wider.high, 2.776 * np.sqrt(1 / 5 + 1 / 3), atol=1e-3)


@pytest.mark.parametrize(
    "rival",
    [partial(forest, trees=50), simplified_graph_convolution, label_propagation],
    ids=["forest", "convolution", "propagation"],
)
def test_rivals_beat_chance_and_never_see_a_test_label(rival, data: LineDataset) -> None:
    parts = sichuan.split(data.y, 0.6, 2)
    flipped = data.y.copy()
    flipped[parts.test] = 1 - flipped[parts.test]
    here = rival(data, parts.train).every
    there = rival(LineDataset(data.fixed, data.neighbours, flipped), parts.train).every
    assert np.array_equal(here, there)
    assert np.isfinite(here).all()
    assert here[data.y == 1].mean() > here[data.y == 0].mean()


def test_quick_run_prints_every_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[float] = []
    print_result(
        sichuan.run(quick=True, real_data=folder, progress=lambda _said, share: steps.append(share))
    )
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"auc", "macro_f1", "g_mean", "auc_interval", "paired", "by_share"} <= set(figures)
    assert figures["paired"]["0.6"].keys() == {
        *sichuan.GRAPH_RIVALS,
        sichuan.FOREST_AT_HALF,
        sichuan.FOREST_TUNED,
    }
    assert 2 in figures["seeds"]
    assert figures["published_split"]["Forewarn"]["auc"] > 0.5
    assert steps == sorted(steps)


def test_ten_seeds_and_three_shares_are_what_is_run() -> None:
    plan = sichuan.Plan()
    assert plan.shares == (0.2, 0.4, 0.6)
    assert len(set(plan.seeds)) >= 10
    assert 2 in plan.seeds
    assert plan.trees == 500


def test_missing_data_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="FOREWARN_REAL_DATA"):
        sichuan.run(quick=True, real_data=tmp_path)


@pytest.mark.real_data
@pytest.mark.skipif(not (REAL / "sichuan").is_dir(), reason=f"no Sichuan lines under {REAL}")
def test_real_lines_are_as_described() -> None:
    found = LineDataset.of(*sichuan.sichuan(REAL / "sichuan"))
    assert len(found.y) == 6106
    assert int((found.y == 1).sum()) == 1962
    assert found.neighbours.matrix.nnz == 2 * 416_211
    parts = sichuan.split(found.y, 0.6, 2)
    scores = simplified_graph_convolution(found, parts.train).every[parts.test]
    assert sichuan.roc_auc_score(found.y[parts.test], scores) > 0.93
