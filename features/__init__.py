"""What we know at a moment: one definition of every feature, executed in bulk and live.

`bulk` reads the vectors of a whole table in one pass (it needs numba, imported on first use);
`LiveState` reads and updates one event against Valkey. Both compile the same `FeatureSet`, hand out
the same integers and finish them with the same function, so that they are equal to the bit.

Places have their own: a `Grid` of cells, the city's `Shifts`, a `Log` of reported incidents and the
`Panel` of what was known before a forecast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from features.fraud import FRAUD_FEATURES, TRANSFER_FEATURES
from features.spec import FeatureSet, FeatureSpec

if TYPE_CHECKING:
    from features.grid import Grid
    from features.hotspot import Log, Panel
    from features.shifts import Shifts
    from features.store import LiveState, LiveStateSync, Vector
    from features.windows import Vectors, bulk

__all__ = [
    "FRAUD_FEATURES",
    "TRANSFER_FEATURES",
    "FeatureSet",
    "FeatureSpec",
    "Grid",
    "LiveState",
    "LiveStateSync",
    "Log",
    "Panel",
    "Shifts",
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
    "Grid": "grid",
    "Log": "hotspot",
    "Panel": "hotspot",
    "Shifts": "shifts",
}
"""Numba and maps stay out of the live path, and the store's client out of training."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"features.{_LATER[name]}"), name)
    raise AttributeError(f"module 'features' has no attribute {name!r}")
