"""How a model comes to be: labels as known at a day, splits, search, metrics, tracking, a bundle.

``models`` says what a model is; this package makes one, judges it and signs it. It never serves:
``serving`` meets it only in the published bundle and in the database. What is measured for the
README, beside rivals, is in ``experiments``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.fit import TrainedRun, TrainingConfig, train_fraud
    from training.hotspots import train_hotspots
    from training.surfaces import make_surface

__all__ = ["TrainedRun", "TrainingConfig", "make_surface", "train_fraud", "train_hotspots"]

_LATER = {
    "TrainedRun": "fit",
    "TrainingConfig": "fit",
    "train_fraud": "fit",
    "train_hotspots": "hotspots",
    "make_surface": "surfaces",
}
"""Metrics must not pay for the whole of training."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"training.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
