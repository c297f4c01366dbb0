"""Which LightGBM settings suit the Handbook's folds, asked of earlier folds only.

The four folds here end a week before the first reported test week begins, so that nothing chosen
here has seen a test week. `experiments.handbook.TUNED` is the first row.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.sources import real_data_folder
from experiments.handbook import CHOSEN, METRICS, TOP, TUNED, Ground, Plan, ground, our_scores
from experiments.result import Result
from models.fraud import fraud_recipe
from training.metrics import Ranking, card_precision
from training.splits import prequential_folds

__all__ = ["CANDIDATES", "TUNING_STARTS", "run"]

Progress = Callable[[str, float], None]

TUNING_STARTS = ("2018-06-20", "2018-06-27", "2018-07-04", "2018-07-11")

CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "chosen": TUNED,
    "no directions": {**TUNED, "monotone_constraints": [0] * len(CHOSEN)},
    "untuned": {},
    "255 bins": {**TUNED, "max_bin": 255},
    "7 leaves": {**TUNED, "num_leaves": 7},
    "31 leaves": {**TUNED, "num_leaves": 31},
    "no path smoothing": {**TUNED, "path_smooth": 0.0},
    "faster": {**TUNED, "learning_rate": 0.06},
}
"""Neighbours of the chosen settings, one change each, and LightGBM as every model here starts."""


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Judge the candidates on the earlier folds.

    Parameters
    ----------
    quick : bool
        Two candidates, one fold, few trees.
    real_data : Path, optional
        Folder that holds ``handbook/``; by default FOREWARN_REAL_DATA.
    progress : callable, optional
        Called with a note and the share done.
    """
    tell = progress or (lambda *_: None)
    plan = Plan(TUNING_STARTS, seeds=1)
    names = list(CANDIDATES)
    if quick:
        plan = Plan(TUNING_STARTS[-1:], seeds=1, rounds=30, since="2018-06-26")
        names = names[:2]
    tell("reading transactions and building vectors", 0.0)
    field = ground(real_data_folder(real_data) / "handbook", plan.since)
    found = {}
    for place, name in enumerate(names):
        tell(f"trying {name}", 0.3 + 0.7 * place / len(names))
        found[name] = _tried(field, plan, CANDIDATES[name])
    return Result(
        title="Handbook: settings tried on folds before the reported ones",
        columns=("settings", "AUC", "average precision", "card precision@100"),
        rows=[[name, *(f"{value:.4f}" for value in row)] for name, row in found.items()],
        figures={
            name: dict(zip(METRICS, map(float, row), strict=True)) for name, row in found.items()
        },
        notes=(f"Training starts {', '.join(plan.starts)}; every tried row is shown.",),
    )


def _tried(field: Ground, plan: Plan, params: Mapping[str, Any]) -> Any:
    folds = prequential_folds(field.at, field.customer, field.y, plan.starts)
    scores = our_scores(field, folds, plan, fraud_recipe(**params))
    rows = []
    for fold, score in zip(folds, scores, strict=True):
        y, who, day = field.y[fold.test], field.customer[fold.test], field.day[fold.test]
        ranking = Ranking(y, score)
        top = card_precision(y, score, who, day, TOP)
        rows.append((ranking.auc(), ranking.average_precision(), top))
    return np.round(np.mean(rows, axis=0), 4)
