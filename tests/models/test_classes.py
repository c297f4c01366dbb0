"""Scam type and stage: probabilities that add up, a temperature that mends overconfidence."""

from dataclasses import replace

import numpy as np
import pytest

from data.labels import SCAM_TYPES, STAGES
from models.scam_type import ScamTypeModel
from models.stage import StageModel
from models.trees import ModelError, Rows


@pytest.fixture(scope="module")
def stages() -> tuple[Rows, Rows]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(3_000, 3))
    y = np.digitize(X[:, 0] + 0.8 * rng.normal(size=len(X)), [-0.7, 0.7])
    return Rows(X[:1_500], y[:1_500]), Rows(X[1_500:], y[1_500:])


@pytest.fixture(scope="module")
def stage(stages) -> StageModel:
    bold = {"num_leaves": 31, "min_data_in_leaf": 2, "learning_rate": 0.1, "extra_trees": False}
    overfit = replace(StageModel.recipe(feature_fraction=1.0, **bold), rounds=80)
    return StageModel.fit(stages[0], ("a", "b", "c"), overfit)


def test_labels_are_those_the_history_is_labelled_with() -> None:
    assert ScamTypeModel.labels == SCAM_TYPES
    assert StageModel.labels == STAGES


def test_probabilities_add_up(stage, stages) -> None:
    found = stage.probabilities(stages[1].X)
    assert found.shape == (1_500, 3)
    assert np.allclose(found.sum(axis=1), 1.0)
    codes = [StageModel.code(label) for label in stage.most_likely(stages[1].X)]
    assert np.array_equal(codes, found.argmax(axis=1))


def test_it_learns(stage, stages) -> None:
    found = stage.probabilities(stages[1].X).argmax(axis=1)
    assert (found == stages[1].y).mean() > 0.5


def test_temperature_mends_overconfidence(stage, stages) -> None:
    cooled = stage.calibrate(stages[1])
    rows = np.arange(len(stages[1].y))
    losses = [
        -np.log(model.probabilities(stages[1].X)[rows, stages[1].y]).mean()
        for model in (stage, cooled)
    ]
    assert cooled.temperature > 1.0
    assert losses[1] < losses[0]
    assert cooled.most_likely(stages[1].X) == stage.most_likely(stages[1].X)


def test_a_type_that_never_happened_is_improbable_not_an_error(stages) -> None:
    rows = stages[0]
    model = ScamTypeModel.fit(
        rows, ("a", "b", "c"), replace(ScamTypeModel.recipe(num_threads=1), rounds=3)
    )
    found = model.probabilities(rows.X)
    assert np.isfinite(found).all()
    assert found[:, 3:].max() < 0.01


def test_a_handful_of_rows_is_enough_to_stand(stages) -> None:
    few = Rows(stages[0].X[:3], np.array([0, 1, 1]))
    found = StageModel.fit(few, ("a", "b", "c"), StageModel.recipe(num_threads=1)).probabilities(
        few.X
    )
    assert np.allclose(found.sum(axis=1), 1.0)


@pytest.mark.parametrize("code", [-1, 3])
def test_rows_without_a_label_are_refused(stages, code) -> None:
    rows = Rows(stages[0].X[:5], np.array([0, 1, 2, code, 0]))
    with pytest.raises(ModelError, match="class codes from 0 to 2"):
        StageModel.fit(rows, ("a", "b", "c"))


def test_trees_of_another_question_are_refused(stage) -> None:
    with pytest.raises(ModelError, match="expected trees with 11 outputs"):
        ScamTypeModel(stage.trees)
