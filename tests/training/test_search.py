"""A search finds, stops, prunes, resumes, and is the same search however it was cut."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.fraud import FraudModel, fraud_recipe
from models.trees import Rows
from training.search import Examples, SearchConfig, SearchResult, search, search_name

NAMES = ("amount", "calls", "noise")
CONFIG = SearchConfig(trials=7, rounds=60, patience=20, every=5, startup=3, threads=1)


def rows(n: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    y = (X[:, 0] + 0.5 * X[:, 1] + random.normal(size=n) > 2.2).astype(np.int64)
    return Rows(X, y, np.where(y == 1, 1.0, 3.0))


EXAMPLES = Examples(rows(3000, 1), rows(1500, 2), NAMES)


def run(storage: Path, config: SearchConfig = CONFIG, progress=None) -> SearchResult:
    return search(EXAMPLES, fraud_recipe(), config, storage=storage, name="one", progress=progress)


class CutError(RuntimeError):
    pass


def cut_at(share: float):
    def progress(done: float, note: str) -> None:
        if done >= share:
            raise CutError(note)

    return progress


def test_the_best_trial_is_at_least_the_untuned_one(tmp_path: Path) -> None:
    found = run(tmp_path / "search.db")
    assert len(found.trials) == CONFIG.trials
    assert found.value == max(trial.value for trial in found.trials if not trial.pruned)
    assert found.value >= found.trials[0].value
    assert found.recipe.params["objective"] == "binary"


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole.db")
    for share in (0.05, 0.3, 0.55, 0.8):
        with pytest.raises(CutError):
            run(tmp_path / "cut.db", progress=cut_at(share))
    assert run(tmp_path / "cut.db").trials == whole.trials


def test_a_search_that_ended_is_read_not_run(tmp_path: Path) -> None:
    first = run(tmp_path / "search.db")
    again = run(tmp_path / "search.db", progress=cut_at(0.0))
    assert again.trials == first.trials
    assert dict(again.recipe.params) == dict(first.recipe.params)


def test_the_recipe_found_grows_the_trial_again(tmp_path: Path) -> None:
    found = run(tmp_path / "search.db")
    model = FraudModel.fit(EXAMPLES.fit, NAMES, found.recipe)
    again = FraudModel.fit(EXAMPLES.fit, NAMES, found.recipe)
    assert model.to_text() == again.to_text()
    from sklearn.metrics import average_precision_score  # noqa: PLC0415

    value = average_precision_score(
        EXAMPLES.valid.y, model.raw(EXAMPLES.valid.X), sample_weight=EXAMPLES.valid.weight
    )
    assert value == pytest.approx(found.value, abs=1e-6)


def test_hopeless_trials_are_cut_short(tmp_path: Path) -> None:
    found = run(tmp_path / "search.db", replace(CONFIG, trials=14, startup=2))
    assert any(trial.pruned for trial in found.trials)


def test_one_class_is_refused(tmp_path: Path) -> None:
    harmless = Rows(np.zeros((10, 3)), np.zeros(10, np.int64))
    with pytest.raises(ValueError, match="found 0 frauds among 10"):
        search(
            Examples(harmless, harmless, NAMES),
            fraud_recipe(),
            CONFIG,
            storage=tmp_path / "search.db",
            name="none",
        )


def test_other_data_is_another_search() -> None:
    assert search_name("a", NAMES, search=CONFIG) != search_name("b", NAMES, search=CONFIG)
