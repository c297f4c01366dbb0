"""Where training runs are kept: MLflow, in a SQLite file under ``var/`` unless a URL is set.

The only file that imports MLflow, and only when a run is recorded. Boosters are logged as
LightGBM's own text; nothing is pickled, and pickles are refused on the way back. Serving never
comes here: it reads the signed bundle.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb

__all__ = ["MODEL", "Record", "Registered", "Tracking"]

EXPERIMENT = "forewarn-fraud"
MODEL = "forewarn-fraud"
MAX_PARAM = 6000  # MLflow's limit on a parameter's text
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Record:
    """One training run, as it is kept.

    Parameters
    ----------
    name : str
        For people.
    params : mapping
        How it was trained; the data's fingerprint among it.
    metrics : mapping of str to float
        Figures; ``<name>.low`` and ``<name>.high`` beside each with an interval.
    tags : mapping of str to str
    artifacts : Path
        Folder whose content is kept with the run.
    booster : str, optional
        LightGBM's text, to be registered as a model; without it a run is kept and nothing
        registered, for a model that is more than one booster and lies among the artifacts.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    artifacts: Path
    booster: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """Run, version in the registry (empty if not registered), and the aliases given to it."""

    run_id: str
    version: str
    aliases: tuple[str, ...]


class Tracking:
    """A tracking server, or the file that stands for one.

    Parameters
    ----------
    folder : Path
        Where the SQLite file and the artifacts go without a URL.
    url : str, optional
        ``FOREWARN_MLFLOW_URL``.
    experiment : str
        Under which runs are kept.
    """

    def __init__(self, folder: Path, url: str | None = None, experiment: str = EXPERIMENT) -> None:
        os.environ.update(SWITCHES)
        from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import; its switches come first

        logging.getLogger("alembic").setLevel(logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.url = url or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self._artifacts = None if url else (folder / "artifacts").resolve().as_uri()
        self._client = MlflowClient(self.url, self.url)
        self._experiment = self._experiment_id(experiment)

    def record(self, record: Record) -> Registered:
        """Keep a run; register its booster as ``challenger``, the first also as ``champion``."""
        run = self._client.create_run(self._experiment, run_name=record.name)
        run_id = str(run.info.run_id)
        try:
            self._log(run_id, record)
            version = "" if record.booster is None else self._register(run_id, record.booster)
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id)
        return Registered(run_id, version, self._alias(version) if version else ())

    def values_of(self, run_id: str) -> tuple[dict[str, str], dict[str, float]]:
        """Parameters and figures of a run."""
        data = self._client.get_run(run_id).data
        return dict(data.params), dict(data.metrics)

    def artifacts_of(self, run_id: str) -> Path:
        """Folder that holds a run's artifacts, fetched if they are elsewhere."""
        return Path(self._client.download_artifacts(run_id, ""))

    def version_of(self, alias: str) -> str | None:
        """Version in the registry that an alias points to, None where nothing bears it."""
        held = {model.name: model.aliases for model in self._client.search_registered_models()}
        version = held.get(MODEL, {}).get(alias)
        return None if version is None else str(version)

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=self._artifacts))

    def _log(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415

        params = [Param(k, str(v)[:MAX_PARAM]) for k, v in record.params.items()]
        figures = [Metric(k, float(v), 0, 0) for k, v in record.metrics.items() if v == v]  # noqa: PLR0124 - NaN
        tags = [RunTag(k, str(v)) for k, v in record.tags.items()]
        self._client.log_batch(run_id, metrics=figures, params=params, tags=tags)
        self._client.log_artifacts(run_id, str(record.artifacts))

    def _register(self, run_id: str, booster: str) -> str:
        with warnings.catch_warnings():  # MLflow warns of a type hint of its own at import
            warnings.filterwarnings("ignore", ".*Any type hint is inferred", UserWarning)
            import mlflow  # noqa: PLC0415
            import mlflow.lightgbm  # noqa: PLC0415
            import mlflow.pyfunc  # noqa: PLC0415 - log_model would load it, and warn

        mlflow.set_tracking_uri(self.url)
        mlflow.set_registry_uri(self.url)
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.lightgbm.log_model(
                lgb.Booster(model_str=booster),
                name="fraud",
                pip_requirements=[f"lightgbm=={lgb.__version__}"],
                registered_model_name=MODEL,
            )
        return str(logged.registered_model_version)

    def _alias(self, version: str) -> tuple[str, ...]:
        held = self._client.get_registered_model(MODEL).aliases
        given = ("challenger",) if "champion" in held else ("challenger", "champion")
        for alias in given:
            self._client.set_registered_model_alias(MODEL, alias, version)
        return given
