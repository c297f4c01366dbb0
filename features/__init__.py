"""What we know at a moment: one definition of every feature, executed in bulk and live.

`bulk` reads the vectors of a whole table in one pass (it needs numba, imported on first use);
`LiveState` reads and updates one event against Valkey. Both compile the same `FeatureSet`, hand out
the same integers and finish them with the same function, so that they are equal to the bit.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from features.fraud import FRAUD_FEATURES, TRANSFER_FEATURES
from features.spec import FeatureSet, FeatureSpec

if TYPE_CHECKING:
    from features.store import LiveState, LiveStateSync, Vector
    from features.windows import Vectors, bulk

__all__ = [
    "FRAUD_FEATURES",
    "TRANSFER_FEATURES",
    "FeatureSet",
    "FeatureSpec",
    "LiveState",
    "LiveStateSync",
    "Vector",
    "Vectors",
    "bulk",
]

_LATER = {
    "Vectors": "windows",
    "bulk": "windows",
    "LiveState": "store",
    "LiveStateSync": "store",
    "Vector": "store",
}
"""Numba stays out of the live path, and the store's client out of training."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"features.{_LATER[name]}"), name)
    raise AttributeError(f"module 'features' has no attribute {name!r}")
