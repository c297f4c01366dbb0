"""Training on lines: no test label gets in, bad tables are refused, runs are kept."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import f1_score, recall_score
from sklearn.model_selection import StratifiedKFold

from data.settings import Settings
from data.sources import SourceError
from features.line_columns import LABEL, LINE, LINE_COLUMNS
from features.lines import LineTableError
from models.curves import CurveRecipe
from models.line_bundle import LineBundle
from models.sealed import BundleError
from models.signing import PublicKey, Signer
from models.suspect_line import SuspectLineModel, line_recipe
from models.trees import ModelError, Rows
from training.line_dataset import LineDataset
from training.line_metrics import g_mean, macro_f1
from training.suspect_lines import (
    EXPERIMENT,
    LineTraining,
    fit_lines,
    out_of_fold,
    own_curves,
    train_suspect_lines,
)
from training.tracking import Tracking

COUNT = 160


def _table(seed: int = 7, count: int = COUNT) -> tuple[pd.DataFrame, sp.csr_array]:
    """Suspects call more numbers, mostly each other, and have gaps."""
    rng = np.random.default_rng(seed)
    y = (rng.random(count) < 0.35).astype(np.int64)
    X = rng.poisson(4.0, (count, len(LINE_COLUMNS))).astype(np.float64)
    X[:, 1] += 3 * y
    X[rng.random(X.shape) < 0.1] = np.nan
    lines = pd.DataFrame(X, columns=list(LINE_COLUMNS))
    lines.insert(0, LINE, [f"line{number}" for number in range(count)])
    near = rng.random((count, count)) < np.where(np.equal.outer(y, y), 0.08, 0.01)
    return lines.assign(**{LABEL: y}), sp.csr_array(np.triu(near, 1).astype(np.int8))


@pytest.fixture(scope="module")
def training() -> LineTraining:
    trees = replace(line_recipe(min_data_in_leaf=5), rounds=12)
    return LineTraining(
        own_curves(trees=trees, curves=CurveRecipe(quantiles=16), members=1), folds=2
    )


@pytest.fixture(scope="module")
def data() -> LineDataset:
    return LineDataset.of(*_table())


TRAIN, HELD, TEST = np.arange(90), np.arange(90, 120), np.arange(120, COUNT)


def _fitted(data: LineDataset, training: LineTraining) -> tuple[str, np.ndarray]:
    model = fit_lines(data, TRAIN, HELD, training)
    return model.to_text(), model.raw(data.vectors(TRAIN).X)


def test_a_test_lines_label_changes_nothing(data: LineDataset, training: LineTraining) -> None:
    flipped = data.y.copy()
    flipped[TEST] = 1 - flipped[TEST]
    text, raw = _fitted(data, training)
    other_text, other_raw = _fitted(replace(data, y=flipped), training)
    assert text == other_text
    assert np.array_equal(raw, other_raw)


def test_a_validation_lines_label_moves_only_threshold_and_calibration(
    data: LineDataset, training: LineTraining
) -> None:
    flipped = data.y.copy()
    flipped[HELD] = 1 - flipped[HELD]
    model = fit_lines(data, TRAIN, HELD, training)
    other = fit_lines(replace(data, y=flipped), TRAIN, HELD, training)
    assert [tree.text for tree in model.members] == [tree.text for tree in other.members]
    assert model.curves.to_text() == other.curves.to_text()
    assert (model.threshold, model.calibration) != (other.threshold, other.calibration)


def test_a_line_judged_out_of_fold_does_not_know_its_label(
    data: LineDataset, training: LineTraining
) -> None:
    """Labels of one fold are swapped pairwise: classes, hence folds, keep their sizes."""
    folds = StratifiedKFold(training.folds, shuffle=True, random_state=training.seed)
    _, fold = next(folds.split(np.zeros(len(TRAIN)), data.y[TRAIN]))
    before = out_of_fold(data, TRAIN, training)[fold]
    hidden = replace(data, y=data.y.copy())
    model_rows = np.setdiff1d(TRAIN, TRAIN[fold])
    hidden.y[TRAIN[fold]] = 1 - hidden.y[TRAIN[fold]]
    found = hidden.vectors(model_rows)
    rows = Rows(found.X[model_rows], hidden.y[model_rows])
    again = SuspectLineModel.fit(rows, found.names, training.recipe).raw(found.X[TRAIN[fold]])
    assert np.array_equal(before, again)


def test_test_rows_columns_and_calls_are_seen(data: LineDataset) -> None:
    """What graph networks may use too: said here so that nobody takes it for a leak."""
    assert np.isfinite(data.vectors(TRAIN).X[TEST]).any(axis=1).all()


def test_better_than_chance_on_unseen_lines(data: LineDataset, training: LineTraining) -> None:
    model = fit_lines(data, TRAIN, HELD, training)
    called = model.suspect(data.vectors(TRAIN).X[TEST])
    assert g_mean(data.y[TEST], called) > 0.6


@pytest.mark.parametrize("density", [0.0, 0.002])
def test_a_sparse_graph_and_isolated_lines_are_fine(density: float, training: LineTraining) -> None:
    lines, _ = _table()
    near = np.triu(np.random.default_rng(0).random((COUNT, COUNT)) < density, 1)
    found = LineDataset.of(lines, sp.csr_array(near.astype(np.int8)))
    model = fit_lines(found, TRAIN, HELD, training)
    assert np.isfinite(model.raw(found.vectors(TRAIN).X)).all()


def test_columns_that_are_all_missing_are_fine(training: LineTraining) -> None:
    lines, graph = _table()
    lines[["imeis", "arpu_mean", "flow_sum"]] = np.nan
    found = LineDataset.of(lines, graph)
    model = fit_lines(found, TRAIN, None, training)
    assert np.isfinite(model.score(found.vectors(TRAIN).X)).all()


def test_contacts_habits_can_be_added(training: LineTraining) -> None:
    found = LineDataset.of(*_table(), contacts=True)
    assert "neighbours.imeis.mean" in found.vectors(TRAIN).names
    assert fit_lines(found, TRAIN, HELD, training).names == found.vectors(TRAIN).names


def test_one_class_only_is_refused(data: LineDataset, training: LineTraining) -> None:
    same = TRAIN[data.y[TRAIN] == 0]
    with pytest.raises(ModelError, match=r"both classes, 0 and 1, found \[0\]"):
        fit_lines(data, same, None, training)


def test_too_few_of_a_class_are_refused(data: LineDataset, training: LineTraining) -> None:
    few = np.append(TRAIN[data.y[TRAIN] == 0], TRAIN[data.y[TRAIN] == 1][:1])
    with pytest.raises(LineTableError, match=r"at least 2 lines of either class.*found 1"):
        fit_lines(data, few, None, training)


def test_a_missing_label_column_and_odd_labels_are_refused() -> None:
    lines, graph = _table()
    with pytest.raises(LineTableError, match="expected a column label"):
        LineDataset.of(lines.drop(columns=LABEL), graph)
    odd = lines.assign(**{LABEL: lines[LABEL].replace(1, 2)})
    with pytest.raises(LineTableError, match=r"expected 0, 1 or empty in label, found \['2'\]"):
        LineDataset.of(odd, graph)


def test_table_and_graph_must_be_of_the_same_lines() -> None:
    lines, graph = _table()
    with pytest.raises(LineTableError, match="expected 159 lines as in the table, found 160"):
        LineDataset.of(lines[1:], graph)


def test_figures_equal_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    y, called = rng.integers(0, 2, 50), rng.integers(0, 2, 50)
    weight = rng.integers(1, 4, 50).astype(np.float64)
    recalls = recall_score(y, called, average=None, sample_weight=weight)
    expected = f1_score(y, called, average="macro", sample_weight=weight)
    assert np.isclose(macro_f1(y, called, weight), expected)
    assert np.isclose(g_mean(y, called, weight), np.sqrt(np.prod(recalls)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small operator's table on disk; the last tenth is not judged."""
    lines, graph = _table()
    lines[LABEL] = lines[LABEL].astype(float)
    lines.loc[COUNT - 16 :, LABEL] = np.nan
    lines.to_parquet(tmp_path / "subscribers.parquet")
    sp.save_npz(tmp_path / "calls_graph.npz", sp.csr_matrix(graph))
    return tmp_path


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The development key's warning is tested where keys are."""
    caplog.set_level(logging.ERROR, "models.signing")


Told = Callable[[str, float, str], None]


def test_training_leaves_a_signed_model_and_a_run(
    folder: Path, training: LineTraining, tmp_path: Path, quiet: None
) -> None:
    settings, steps = Settings(var=tmp_path / "var"), []
    told: Told = lambda step, _share, _note: steps.append(step)  # noqa: E731
    run = train_suspect_lines(folder, settings=settings, training=training, progress=told)
    assert list(dict.fromkeys(steps)) == ["features", "judge", "fit", "track"]
    assert run.figures["auc"].low < run.figures["auc"].value < run.figures["auc"].high
    key = PublicKey.from_file(tmp_path / "var" / "keys" / "bundle.pub")
    _check_bundle(LineBundle.load(run.bundle, key), folder)
    _check_refusals(run.bundle, key)
    _check_run(settings, run.run_id, run.version)


def _check_bundle(bundle: LineBundle, folder: Path) -> None:
    lines = pd.read_parquet(folder / "subscribers.parquet")
    data = LineDataset.of(lines, sp.load_npz(folder / "calls_graph.npz"))
    assert bundle.card.data["judged"] == COUNT - 16
    assert bundle.card.data["lines"] == COUNT
    X = data.vectors(np.flatnonzero(data.y >= 0)).X
    reasons = bundle.explain(X[0])
    assert len(reasons) == 5
    assert all(reason.zh and reason.en for reason in reasons)
    raw = bundle.model.contributions(X).sum(axis=1)
    assert np.abs(raw - bundle.model.raw(X)).max() < 1e-9


def _check_refusals(bundle: Path, key: PublicKey) -> None:
    with pytest.raises(BundleError, match="signature that does not fit"):
        LineBundle.load(bundle, Signer.fresh().public_key)
    trees = bundle / "trees.json"
    trees.write_bytes(trees.read_bytes().replace(b"num_leaves=", b"num_leavez=", 1))
    with pytest.raises(BundleError, match=r"trees\.json of \d+ bytes"):
        LineBundle.load(bundle, key)


def _check_run(settings: Settings, run_id: str, version: str) -> None:
    tracking = Tracking(settings.var / "mlflow", None, EXPERIMENT)
    params, metrics = tracking.values_of(run_id)
    assert params["judged"] == str(COUNT - 16)
    assert len(params["fingerprint"]) == 64
    assert metrics["auc.low"] <= metrics["auc"] <= metrics["auc.high"]
    assert (tracking.artifacts_of(run_id) / "MANIFEST.sig").is_file()
    assert version


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"expected the file subscribers\.parquet"):
        train_suspect_lines(tmp_path / "none", settings=Settings(var=tmp_path))
