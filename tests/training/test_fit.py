"""The same `as_of` gives the same signed model, also after an interruption; the run is kept."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.history import History
from data.settings import Settings
from data.simulator import Simulation
from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet
from models import bundle
from models.baselines import READS
from models.signing import PublicKey
from training.datasets import Dataset, DatasetConfig, build
from training.evaluation import FIGURES
from training.fit import STEPS, Fitted, TrainedRun, TrainingConfig, fit_models, train_fraud
from training.search import SearchConfig
from training.tracking import MODEL, Tracking

READ_BY_RULES = set(READS.values())
FEW = FeatureSet(tuple(s for n, s in enumerate(FRAUD_FEATURES) if n % 6 == 0 or s in READ_BY_RULES))
CONFIG = TrainingConfig(
    features=FEW,
    data=DatasetConfig(
        delay=3, warmup=1, tune=4, calibrate=4, test=5, others=6_000, judged=6_000, threads=1
    ),
    search=SearchConfig(trials=3, rounds=20, patience=10, every=5, startup=2, threads=1),
    draws=20,
    explained=40,
    beeswarm=False,
)
EARLIER = timedelta(days=2)


class CutError(RuntimeError):
    pass


def cut_in_the_search(step: str, share: float, note: str) -> None:
    if step == "search" and share > 0.5:
        raise CutError(note)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(var=tmp_path_factory.mktemp("var"))


@pytest.fixture(scope="module")
def run(history: History, as_of: datetime, settings: Settings, citizens: pa.Table) -> TrainedRun:
    return train_fraud(
        history, as_of=as_of - EARLIER, settings=settings, config=CONFIG, citizens=citizens
    )


@pytest.fixture(scope="module")
def tracking(run: TrainedRun, settings: Settings) -> Tracking:
    return Tracking(settings.var / "mlflow")


@pytest.fixture(scope="module")
def kept(run: TrainedRun, tracking: Tracking) -> Path:
    """Everything MLflow kept of the run."""
    return tracking.artifacts_of(run.run_id)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_bundle_opens_with_its_key(run: TrainedRun, settings: Settings) -> None:
    key = PublicKey.from_file(settings.var / "keys" / "bundle.pub")
    opened = bundle.load(run.bundle, key)
    assert opened.version == run.version == run.bundle.name
    opened.require(CONFIG.features)


def test_figures_come_with_intervals_and_rules_beside_them(run: TrainedRun) -> None:
    assert list(run.figures) == list(FIGURES)
    assert {"scorecard", "call_then_payee", "suspect_list"} <= set(run.baselines)
    assert set(run.groups) == {"age_band", "sex", "district"}
    assert set(run.seconds) == set(STEPS)


def test_the_same_as_of_gives_the_same_bytes_after_an_interruption(
    run: TrainedRun,
    history: History,
    days: list[pa.Table],
    as_of: datetime,
    tmp_path: Path,
    settings: Settings,
) -> None:
    """Other folder, cut in mid-search, events known later dropped: the same bundle."""
    other = replace(
        settings, var=tmp_path, tracking_url=f"sqlite:///{settings.var}/mlflow/mlflow.db"
    )
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in ("bundle.pem", "bundle.pub"):
        (keys / name).write_bytes((settings.var / "keys" / name).read_bytes())
    shorter = History(tmp_path / "history")
    for day in days:
        known = day["known_at"].to_numpy() < np.datetime64((as_of - EARLIER).replace(tzinfo=None))
        shorter.append(day.filter(pa.array(known)))
    with pytest.raises(CutError):
        train_fraud(
            shorter,
            as_of=as_of - EARLIER,
            settings=other,
            config=CONFIG,
            progress=cut_in_the_search,
        )
    again = train_fraud(shorter, as_of=as_of - EARLIER, settings=other, config=CONFIG)
    assert again.version == run.version
    assert bytes_of(again.bundle) == bytes_of(run.bundle)
    assert (run.aliases, again.aliases) == (("challenger", "champion"), ("challenger",))


def test_mlflow_keeps_parameters_figures_curves_card_and_bundle(
    run: TrainedRun, tracking: Tracking, kept: Path
) -> None:
    names = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    assert {
        "figures/precision_recall.png",
        "figures/capacity.png",
        "figures/reliability.png",
        "figures/shap_summary.png",
        "tables/card.md",
        "tables/figures.json",
        "tables/groups.json",
        "tables/search.json",
        "bundle/MANIFEST.json",
    } <= names
    params, figures = tracking.values_of(run.run_id)
    assert len(params["fingerprint"]) == 64
    assert {"average_precision", "average_precision.low", "scorecard.auc"} <= set(figures)
    assert tracking.version_of("challenger") is not None


def test_nothing_kept_is_pickled(settings: Settings, run: TrainedRun) -> None:
    suffixes = {path.suffix for path in settings.var.rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".joblib", ".cloudpickle", ".skops"}


def test_no_number_of_a_person_is_kept(
    run: TrainedRun, settings: Settings, city: Simulation, days: list[pa.Table]
) -> None:
    """Neither raw numbers nor pseudonyms: figures and models are about the city."""
    raw = set(city.citizens["subscriber"].to_pylist())
    pseudonyms = {name.encode() for name in days[0]["subscriber"].unique().to_pylist()}
    for path in settings.var.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        numbers = {found.decode() for found in re.findall(rb"(?<![\d.])1\d{10}(?!\d)", content)}
        assert not numbers & raw, path
        assert not {name for name in pseudonyms if name in content}, path


def test_the_card_tells_data_limits_and_red_lines(run: TrainedRun) -> None:
    card = json.loads((run.bundle / "card.json").read_text(encoding="utf-8"))
    assert card["data"]["train_frauds"] > 0
    assert card["limits"]
    assert card["red_lines"]
    assert {metric["name"] for metric in card["metrics"]} <= set(FIGURES)


# ------------------------------------------------------------ what may be learnt from which part


@pytest.fixture(scope="module")
def dataset(history: History, as_of: datetime) -> Dataset:
    return build(history, as_of - EARLIER, features=FEW, config=CONFIG.data)


@pytest.fixture(scope="module")
def fitted(dataset: Dataset, settings: Settings, run: TrainedRun) -> Fitted:
    return fit_models(dataset, CONFIG, settings.var / "search" / "fraud.db")


@pytest.fixture
def with_noise(dataset: Dataset) -> Callable[[str], Dataset]:
    """The same dataset with one part's vectors replaced by noise."""

    def make(part: str) -> Dataset:
        rows = getattr(dataset, part)
        noise = np.random.default_rng(1).normal(size=rows.X.shape)
        return replace(dataset, **{part: replace(rows, X=noise)})

    return make


def test_the_test_part_teaches_nothing(
    fitted: Fitted, with_noise: Callable[[str], Dataset], settings: Settings
) -> None:
    again = fit_models(with_noise("test"), CONFIG, settings.var / "search" / "fraud.db")
    for part in ("fraud", "scam_type", "stage"):
        assert getattr(again, part).trees.text == getattr(fitted, part).trees.text
    assert again.policy == fitted.policy
    assert again.fraud.calibration == fitted.fraud.calibration
    assert again.norms.to_text() == fitted.norms.to_text()


def test_bins_and_norms_are_fitted_on_the_training_part_only(
    fitted: Fitted, with_noise: Callable[[str], Dataset], settings: Settings
) -> None:
    again = fit_models(with_noise("calibrate"), CONFIG, settings.var / "search" / "fraud.db")
    assert again.fraud.trees.text == fitted.fraud.trees.text
    assert again.norms.to_text() == fitted.norms.to_text()
    assert again.fraud.calibration != fitted.fraud.calibration


def test_a_model_name_is_registered(tracking: Tracking, run: TrainedRun) -> None:
    assert tracking.version_of("champion") == run.registered
    assert MODEL == "forewarn-fraud"
