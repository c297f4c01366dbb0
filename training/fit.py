"""From a history to a published model: what was known at `as_of`, learnt, judged, signed, kept.

`train_fraud` only puts the steps in order; each of them is a function of its own that an
experiment can call: `training.datasets.build`, `fit_models`, `judge`, `training.publish.publish`.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.history import History
from data.settings import Settings
from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet
from models.baselines import rule_models
from models.bundle import Parts
from models.card import Card
from models.directions import directions
from models.fraud import FraudModel, fraud_recipe
from models.norms import Norms
from models.policy import Level, Policy, standard_levels
from models.scam_type import ScamTypeModel
from models.stage import StageModel
from models.track_record import TrackRecord
from models.trees import Rows
from training.card_curves import curves
from training.datasets import PARTS, Dataset, DatasetConfig, Part, build
from training.evaluation import Judged, evaluate, groups
from training.metrics import GroupErrors, Interval
from training.publish import publish
from training.report import Explained, as_metrics, flat, write_figures, write_tables
from training.search import Examples, SearchConfig, SearchResult, search, search_name
from training.tracking import Record, Tracking

__all__ = [
    "STEPS",
    "Fitted",
    "TrainedRun",
    "TrainingConfig",
    "Verdict",
    "Watch",
    "fit_models",
    "judge",
    "train_fraud",
]

Classes = TypeVar("Classes", ScamTypeModel, StageModel)
Progress = Callable[[str, float, str], None]
"""Called with the step, the share of it done (0 to 1) and a note."""


class Told(Protocol):
    """Takes the share of a step that is done, and a note."""

    def __call__(self, share: float, note: str = "") -> None: ...


STEPS = ("features", "search", "fit", "judge", "report", "track")
FEWEST_LATER = 30  # frauds of the tuning part below which it decides nothing about classes
GROUPS = ("age_band", "sex", "district")
LIMITS = (
    "Learnt from reported frauds only: who never reports is counted as not defrauded.",
    "Measured on the history given; a script that appears later is new to it.",
    "Probabilities hold at the rate of fraud of the calibration days.",
    "Harmless events were sampled for training; calibration used days that keep all of them.",
)


@dataclass(frozen=True)
class TrainingConfig:
    """How a fraud model is trained; the same values on the same history give the same model.

    Parameters
    ----------
    data : DatasetConfig
        Parts in days, and how many events are kept.
    search : SearchConfig
        Trials and rounds.
    features : FeatureSet
    levels : tuple of Level, optional
        The city's own levels, the most urgent first; `with_levels` sets them.
    per_day : float
        Citizens a day the centre can alert; a tenth red, three tenths yellow, the rest blue.
    draws : int
        Bootstrap draws behind each interval.
    explained : int
        Rows of the SHAP summary: half of them frauds, where there are enough.
    beeswarm : bool
        Draw shap's own beeswarm too, at the price of its import (10 s and more).
    """

    data: DatasetConfig = field(default_factory=DatasetConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    features: FeatureSet = FRAUD_FEATURES
    levels: tuple[Level, ...] | None = None
    per_day: float = 20.0
    draws: int = 300
    explained: int = 1000
    beeswarm: bool = True

    def with_levels(self, levels: tuple[Level, ...]) -> "TrainingConfig":
        """Return the same with a city's own levels, whose capacities add up to `per_day`."""
        return replace(self, levels=levels, per_day=sum(level.per_day for level in levels))

    @classmethod
    def demo(cls) -> "TrainingConfig":
        """Return the quick setting: fewer trials on fewer events, for a first look on two cores.

        Examples
        --------
        >>> TrainingConfig.demo().search.trials < TrainingConfig().search.trials
        True
        """
        return cls(
            data=DatasetConfig(delay=5, tune=5, calibrate=5, others=100_000, judged=200_000),
            search=SearchConfig(trials=6, rounds=120, patience=30, startup=3),
            draws=200,
            explained=400,
            beeswarm=False,
        )

    @classmethod
    def quick(cls) -> "TrainingConfig":
        """Return the setting for tests and tiny cities: short parts, hardly a search."""
        return cls(
            data=DatasetConfig(
                delay=3, warmup=1, tune=4, calibrate=4, test=5, others=30_000, judged=60_000
            ),
            search=SearchConfig(trials=2, rounds=60, patience=20, startup=1),
            draws=40,
            explained=100,
            beeswarm=False,
        )


@dataclass(frozen=True)
class Fitted:
    """Everything learnt, before it was judged."""

    fraud: FraudModel
    scam_type: ScamTypeModel
    stage: StageModel
    policy: Policy
    norms: Norms
    track_record: TrackRecord
    search: SearchResult

    @property
    def fraud_params(self) -> dict[str, Any]:
        """How the fraud model was grown, for the card; directions are counted, not listed."""
        recipe = self.search.recipe
        params = {k: v for k, v in recipe.params.items() if k != "monotone_constraints"}
        raised = sum(map(abs, recipe.params.get("monotone_constraints", ())))
        return {**params, "rounds": recipe.rounds, "monotone_features": raised}


@dataclass(frozen=True)
class Verdict:
    """Figures on the test part: the model's, the rules', and errors by group of citizens."""

    model: Judged
    rules: Mapping[str, Judged]
    figures: Mapping[str, Interval]
    baselines: Mapping[str, Mapping[str, Interval]]
    groups: Mapping[str, Sequence[GroupErrors]]


@dataclass(frozen=True)
class TrainedRun:
    """What `train_fraud` leaves behind.

    Parameters
    ----------
    bundle : Path
        Signed directory; ``models.bundle.load`` opens it.
    version : str
        The bundle's.
    figures : mapping of str to Interval
        See `training.evaluation.FIGURES`.
    baselines : mapping of rule to the same
    groups : mapping of group to errors
        Empty unless `citizens` were given.
    seconds : mapping of step to float
    run_id, registered : str
        MLflow's run and version in its registry.
    aliases : tuple of str
        Aliases that now point to it.
    """

    bundle: Path
    version: str
    figures: Mapping[str, Interval]
    baselines: Mapping[str, Mapping[str, Interval]]
    groups: Mapping[str, Sequence[GroupErrors]]
    seconds: Mapping[str, float]
    run_id: str
    registered: str
    aliases: tuple[str, ...]


def train_fraud(
    history: History,
    *,
    as_of: datetime,
    settings: Settings,
    config: TrainingConfig | None = None,
    citizens: pa.Table | None = None,
    progress: Progress | None = None,
) -> TrainedRun:
    """Train, judge, sign and register a fraud model as it could have been trained at `as_of`.

    Parameters
    ----------
    history : History
    as_of : datetime
        Aware; nothing known at or after it has any influence.
    settings : Settings
        Where to write (`var`: ``bundles/``, ``search/``, ``mlflow/``, ``keys/``), the tracking
        server, and the city's zone.
    config : TrainingConfig, optional
    citizens : Table, optional
        Columns ``subscriber`` (pseudonyms), ``age_band``, ``sex``, ``district``: for the report
        by group only.
    progress : callable, optional

    Returns
    -------
    TrainedRun

    Raises
    ------
    ValueError
        Where the history is too short, or a part has no frauds.
    """
    config = _in_zone(config or TrainingConfig(), settings.zone)
    watch = Watch(progress)
    with _opening(settings) as tracking:
        with watch.step("features") as told:
            dataset = build(
                history, as_of, features=config.features, config=config.data, progress=told
            )
        fitted = fit_models(dataset, config, settings.var / "search" / "fraud.db", watch)
        with watch.step("judge") as told:
            verdict = judge(dataset, fitted, config, citizens, told)
        outcome = _Outcome(dataset, fitted, verdict, config)
        with tempfile.TemporaryDirectory() as folder:
            with watch.step("report"):
                path, version = publish(outcome.parts(), settings, "bundles")
                outcome.write(Path(folder), path)
            with watch.step("track"):
                kept = tracking.result().record(outcome.record(Path(folder), version))
    return TrainedRun(
        bundle=path,
        version=version,
        figures=verdict.figures,
        baselines=verdict.baselines,
        groups=verdict.groups,
        seconds=dict(watch.seconds),
        run_id=kept.run_id,
        registered=kept.version,
        aliases=kept.aliases,
    )


class Watch:
    """Seconds by step, and progress told to whoever listens.

    Examples
    --------
    >>> watch = Watch(None)
    >>> with watch.step("fit"):
    ...     pass
    >>> list(watch.seconds)
    ['fit']
    """

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress or (lambda _step, _share, _note: None)

    @contextmanager
    def step(self, name: str) -> Iterator[Told]:
        """Time a step; yields a callable that takes the share done and a note."""
        began = time.perf_counter()
        self._progress(name, 0.0, "")
        yield lambda share, note="": self._progress(name, share, note)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self._progress(name, 1.0, f"{self.seconds[name]:.1f} s")


def fit_models(
    dataset: Dataset, config: TrainingConfig, storage: Path, watch: Watch | None = None
) -> Fitted:
    """Search, fit and calibrate; nothing of the test part is looked at.

    Parameters
    ----------
    dataset : Dataset
    config : TrainingConfig
    storage : Path
        SQLite file of the search, which is resumed or read where it already went.
    watch : Watch, optional
    """
    watch = watch or Watch(None)
    recipe = fraud_recipe(directions(config.features))
    examples = Examples(dataset.train.rows(weighted=False), dataset.tune.rows(), dataset.names)
    origin = f"{dataset.fingerprint} {dataset.features} {dataset.as_of.isoformat()}"
    name = search_name(origin, dataset.names, data=config.data, search=config.search)
    with watch.step("search") as told:
        found = search(examples, recipe, config.search, storage=storage, name=name, progress=told)
    with watch.step("fit") as told:
        fraud = FraudModel.fit(examples.fit, dataset.names, found.recipe)
        told(0.4, "calibration and levels")
        later = dataset.calibrate
        fraud = fraud.calibrate(later.X, later.y, later.weight)
        policy = _policy(dataset, fraud, config)
        told(0.6, "scam type and stage")
        kinds = dataset.kinds[dataset.train.kind]
        harmless = dataset.train.y == 0
        return Fitted(
            fraud=fraud,
            scam_type=_classes(ScamTypeModel, dataset, "scam_type"),
            stage=_classes(StageModel, dataset, "stage"),
            policy=policy,
            norms=Norms.fit(dataset.train.X[harmless], kinds[harmless], dataset.names),
            track_record=_track_record(dataset, fraud, policy, config),
            search=found,
        )


def _policy(dataset: Dataset, fraud: FraudModel, config: TrainingConfig) -> Policy:
    later = dataset.calibrate
    return Policy.fit(
        fraud.score(later.X),
        later.day,
        later.citizen,
        config.levels or standard_levels(config.per_day),
        share=dataset.share["calibrate"],
    )


def _track_record(
    dataset: Dataset, fraud: FraudModel, policy: Policy, config: TrainingConfig
) -> TrackRecord:
    """How often each reason was right among the calibration days' warnings."""
    later = dataset.calibrate
    warned = later.take(fraud.score(later.X) >= policy.threshold)
    if len(warned) == 0:
        return TrackRecord()
    return TrackRecord.fit(fraud.contributions(warned.X), warned.y, config.features)


def _classes(model: type[Classes], dataset: Dataset, label: str) -> Classes:
    """Fit on reported frauds; later ones stop the growth and set the temperature."""
    fit, later = (_answers(part, label) for part in (dataset.train, dataset.tune))
    valid = later if len(later.y) >= FEWEST_LATER else None
    return model.fit(fit, dataset.names, model.recipe(), valid)


def _answers(part: Part, label: str) -> Rows:
    frauds = part.frauds
    return Rows(frauds.X, getattr(frauds, label))


def judge(
    dataset: Dataset,
    fitted: Fitted,
    config: TrainingConfig,
    citizens: pa.Table | None = None,
    told: Told | None = None,
) -> Verdict:
    """Judge the model and every rule on the test part, with intervals."""
    test, capacity = dataset.test, config.per_day * dataset.share["test"]
    model = Judged(test, fitted.fraud.score(test.X), capacity)
    rules = {
        rule.name: Judged(test, rule.score(test.X), capacity)
        for rule in rule_models(config.features)
    }
    baselines = {}
    for number, (name, judged) in enumerate(rules.items()):
        if told is not None:
            told(number / (len(rules) + 1), name)
        baselines[name] = evaluate(judged, calibrated=False, rounds=config.draws)
    return Verdict(
        model=model,
        rules=rules,
        figures=evaluate(model, rounds=config.draws),
        baselines=baselines,
        groups=_groups(dataset, model, citizens),
    )


def _groups(
    dataset: Dataset, judged: Judged, citizens: pa.Table | None
) -> dict[str, list[GroupErrors]]:
    if citizens is None:
        return {}
    place = pc.index_in(pa.array(dataset.citizens), citizens["subscriber"].cast(pa.string()))
    found = {}
    for name in GROUPS:
        group = citizens[name].cast(pa.string()).take(place).fill_null("unknown")
        found[name] = groups(judged, np.asarray(group.to_pylist()))
    return found


@dataclass(frozen=True)
class _Outcome:
    """Everything a run produced, and how it is written down."""

    dataset: Dataset
    fitted: Fitted
    verdict: Verdict
    config: TrainingConfig

    def parts(self) -> Parts:
        """What the bundle is made of."""
        fitted = self.fitted
        return Parts(
            fraud=fitted.fraud,
            scam_type=fitted.scam_type,
            stage=fitted.stage,
            policy=fitted.policy,
            norms=fitted.norms,
            features=self.config.features,
            card=self.card(),
            track_record=fitted.track_record,
        )

    def card(self) -> Card:
        """The model card: no clock time in it, so that the same `as_of` gives the same bytes."""
        rivals = [
            metric
            for name, figures in self.verdict.baselines.items()
            for metric in as_metrics(figures, f"{name}.")
        ]
        return Card(
            title="Is this citizen being defrauded at this event?",
            purpose="Ranks and explains events so that the anti-fraud centre reaches a potential "
            "victim before the money leaves. A person decides.",
            as_of=self.dataset.as_of.isoformat(),
            data=self._data(),
            metrics=as_metrics(self.verdict.figures),
            baselines=tuple(rivals),
            params={**self.fitted.fraud_params, "capacity_per_day": self.config.per_day},
            limits=LIMITS,
            curves=self._curves,
        )

    @cached_property
    def _curves(self) -> dict[str, Any]:
        return curves(self.verdict.model, self.config.per_day)

    def _data(self) -> dict[str, Any]:
        dataset = self.dataset
        spans = {
            f"{name}_span": f"{since or 'start'} to {until}" for name, since, until in dataset.edges
        }
        counts = {f"{name}_events": len(getattr(dataset, name)) for name in PARTS}
        frauds = {f"{name}_frauds": int((getattr(dataset, name).y == 1).sum()) for name in PARTS}
        shares = {f"{name}_share_kept": share for name, share in dataset.share.items()}
        origin = {"fingerprint": dataset.fingerprint, "features": dataset.features}
        return {**origin, **spans, **counts, **frauds, **shares}

    def write(self, folder: Path, path: Path) -> None:
        """Figures, tables and the bundle, laid out as MLflow keeps them."""
        shutil.copytree(path, folder / "bundle")
        write_figures(
            folder / "figures",
            self.verdict.model,
            self.verdict.rules,
            self._explained(),
            beeswarm=self.config.beeswarm,
        )
        every = {"model": self.verdict.figures, **self.verdict.baselines}
        tables = {
            "figures": {
                name: {figure: found.as_dict() for figure, found in figures.items()}
                for name, figures in every.items()
            },
            "search": [asdict(trial) for trial in self.fitted.search.trials],
        }
        write_tables(folder / "tables", self.card(), self.verdict.groups, tables)

    def _explained(self) -> Explained:
        """Half frauds, half the most suspicious of the rest: the events officers would see."""
        test = self.dataset.test
        order = np.argsort(-self.verdict.model.score, kind="stable")
        half = self.config.explained // 2
        rows = np.concatenate([order[test.y[order] == label][:half] for label in (1, 0)])
        X = test.X[rows]
        return Explained(self.fitted.fraud.contributions(X), X, self.dataset.names)

    def record(self, folder: Path, version: str) -> Record:
        """The run as MLflow keeps it."""
        baselines = [flat(f, f"{name}.") for name, f in self.verdict.baselines.items()]
        metrics = dict(flat(self.verdict.figures))
        for found in baselines:
            metrics |= found
        return Record(
            name=f"fraud as of {self.dataset.as_of:%Y-%m-%d %H:%M}",
            params={
                **self.card().params,
                **self._data(),
                "search_trials": self.config.search.trials,
            },
            metrics={**metrics, "tune_average_precision": self.fitted.search.value},
            tags={"bundle": version, "features": self.dataset.features},
            artifacts=folder,
            booster=self.fitted.fraud.to_text(),
        )


def _in_zone(config: TrainingConfig, zone: str) -> TrainingConfig:
    return replace(config, data=replace(config.data, zone=zone))


@contextmanager
def _opening(settings: Settings) -> Iterator["Future[Tracking]"]:
    """Open tracking aside: importing it and making its tables take longer than most steps."""
    with ThreadPoolExecutor(1, thread_name_prefix="tracking") as pool:
        yield pool.submit(Tracking, settings.var / "mlflow", settings.tracking_url)
