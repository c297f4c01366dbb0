"""Warnings of a simulated city's later days, by a model trained on its earlier ones."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.history import History
from data.intake import Intake
from data.labels import STAGES
from data.pseudonyms import Pseudonymiser
from data.simulator import City, Simulation, simulate
from features.windows import bulk
from models.dissuasion import FraudEvent, Hazard, Left
from models.policy import Policy
from training.datasets import Dataset, DatasetConfig, build
from training.fit import Fitted, TrainingConfig, Watch, fit_models
from training.search import SearchConfig

__all__ = ["Chain", "Warned", "warnings"]

Told = Callable[[str, float], None]
KEY = b"an experiment's city needs no secret"
MEAN_LOSS_CNY = 29_200.0  # a type nobody reported yet; Chongqing 2023 (DOMAIN.md 1)
FEN = 100


@dataclass(frozen=True)
class Chain:
    """A city, the day its model is trained on, and the model's settings.

    Parameters
    ----------
    city : City
    days : int
        Last days of the history: the shifts; the model knows only what was known before them.
    training : TrainingConfig
        Its `per_day` is how many citizens a day the officers' list can take.
    """

    city: City = field(default_factory=lambda: City(staged=0))
    days: int = 16
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            data=DatasetConfig(delay=5, tune=5, calibrate=5, test=1, others=100_000),
            search=SearchConfig(trials=1, rounds=240, patience=50, startup=1),
            # Changsha: 8 people, 400 citizens a day (DOMAIN.md 1); three officers here
            per_day=150.0,
        )
    )

    @property
    def begins(self) -> datetime:
        """When the first shift day begins."""
        return self.city.end - timedelta(days=self.days)


@dataclass(frozen=True)
class Warned:
    """What the officers are told, and the city it is about.

    Parameters
    ----------
    town : Simulation
    events : DataFrame
        Warnings in order of arrival: ``subscriber`` (position), ``at`` (UTC microseconds),
        ``score``, ``scam_type``, ``stage``, ``level`` (its rank), ``lead`` (another platform's),
        ``amount_cny`` (of the event) and ``expected_loss_cny`` (mean of the type, as reported).
    policy : Policy
    hazard : Hazard
        How fast money left, of what was reported before the shifts.
    chain : Chain
    """

    town: Simulation
    events: pd.DataFrame
    policy: Policy
    hazard: Hazard
    chain: Chain

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Warnings without the flag of who sent them, in order."""
        return list(self.events.drop(columns="lead").itertuples(index=False, name=None))


def warnings(chain: Chain, told: Told | None = None) -> Warned:
    """Simulate a city, train on its earlier days and score every event of the later ones."""
    say = told or (lambda _step, _share: None)
    watch = Watch(lambda step, share, note: say(f"{step} {note}".strip(), share))
    town = simulate(chain.city)
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history")
        with watch.step("city"):
            _lay(town, history)
        with watch.step("features"):
            dataset = build(history, chain.begins, config=chain.training.data)
        fitted = fit_models(dataset, chain.training, Path(folder) / "search.db", watch)
        with watch.step("score"):
            events = _scored(history.read(), chain, fitted)
    events["subscriber"] = _positions(town, events["subscriber"])
    return Warned(town, events, fitted.policy, _hazard(dataset), chain)


def _lay(town: Simulation, history: History) -> None:
    intake = Intake(Pseudonymiser(KEY))
    for batch in town.batches():
        history.append(intake.table(batch)[0])


def _positions(town: Simulation, pseudonyms: "pd.Series[str]") -> NDArray[np.int64]:
    known = Pseudonymiser(KEY).column("tel", town.citizens["subscriber"])
    place = {name: at for at, name in enumerate(known.to_pylist())}
    return pseudonyms.map(place).to_numpy(dtype=np.int64)


def _scored(table: pa.Table, chain: Chain, fitted: Fitted) -> pd.DataFrame:
    """Warnings of the shift days: what reaches a level, and every lead."""
    begins = pa.scalar(chain.begins, table.schema.field("known_at").type)
    later = pc.greater_equal(table["known_at"], begins).to_numpy()
    found = bulk(
        table, chain.training.features, zone=chain.training.data.zone, select=later, repeats="trust"
    )
    score = fitted.fraud.score(found.X)
    lead = pc.equal(table["kind"], "lead").to_numpy()[found.rows]
    warned = np.flatnonzero((score >= fitted.policy.threshold) | lead)
    rows, X = table.take(pa.array(found.rows[warned])), found.X[warned]
    kinds = fitted.scam_type.most_likely(X) if len(X) else []
    losses = _mean_losses(table, chain.begins)
    levels = fitted.policy.ranks(score[warned])
    return pd.DataFrame(
        {
            "subscriber": rows["subscriber"].cast(pa.string()).to_pylist(),
            "at": rows["known_at"].cast(pa.int64()).to_numpy(),
            "score": score[warned],
            "scam_type": kinds,
            "stage": fitted.stage.most_likely(X) if len(X) else [],
            "level": np.minimum(levels, len(fitted.policy.levels) - 1),
            "lead": lead[warned],
            "amount_cny": rows["amount_fen"].fill_null(0).to_numpy() / FEN,
            "expected_loss_cny": [losses.get(kind, MEAN_LOSS_CNY) for kind in kinds],
        }
    )


def _mean_losses(table: pa.Table, before: datetime) -> Mapping[str, float]:
    """Mean loss by type, of what was reported before the shifts."""
    moment = pa.scalar(before, table.schema.field("known_at").type)
    mine = pc.and_(pc.equal(table["kind"], "report"), pc.less(table["known_at"], moment))
    told = table.filter(mine).select(["scam_type", "loss_fen"])
    frame = told.cast(pa.schema([("scam_type", pa.string()), ("loss_fen", pa.int64())])).to_pandas()
    means = frame.groupby("scam_type")["loss_fen"].mean() / FEN
    return {str(name): float(loss) for name, loss in means.items()}


def _hazard(dataset: Dataset) -> Hazard:
    """Money-weighted pace of the frauds reported before the shifts, by the stage reached."""
    events = [
        FraudEvent(episode, STAGES[stage], fen / FEN, at)
        for part in (dataset.train.frauds, dataset.tune.frauds)
        for episode, stage, fen, at in zip(
            part.episode.tolist(),
            part.stage.tolist(),
            part.amount_fen.tolist(),
            part.occurred_at.tolist(),
            strict=True,
        )
    ]
    # weeks of a whole city's reports: what was assumed counts only where there are none
    return Hazard().learn(Left.of(events), weight=0.0)
