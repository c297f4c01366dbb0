"""How a model comes to be: labels as known at a day, splits, search, metrics, tracking, a bundle.

``models`` says what a model is; this package makes one, judges it and signs it. It never serves:
``serving`` meets it only in the published bundle and in the database. What is measured for the
README, beside rivals, is in ``experiments``.
"""

from typing import Any

__all__ = ["TrainedRun", "TrainingConfig", "train_fraud"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from training import fit  # noqa: PLC0415 - metrics must not pay for the whole of training

        return getattr(fit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
