"""What we know at a moment: one definition of every feature, executed in bulk and live.

`bulk` reads the vectors of a whole table in one pass (it needs numba, imported on first use);
`LiveState` reads and updates one event against Valkey. Both compile the same `FeatureSet`, hand out
the same integers and finish them with the same function, so that they are equal to the bit.
"""

from typing import TYPE_CHECKING, Any

from features.fraud import FRAUD_FEATURES, TRANSFER_FEATURES
from features.spec import FeatureSet, FeatureSpec

if TYPE_CHECKING:
    from features.windows import Vectors, bulk

__all__ = [
    "FRAUD_FEATURES",
    "TRANSFER_FEATURES",
    "FeatureSet",
    "FeatureSpec",
    "Vectors",
    "bulk",
]

_FROM_WINDOWS = ("Vectors", "bulk")


def __getattr__(name: str) -> Any:
    if name in _FROM_WINDOWS:
        from features import windows  # numba stays out of the live path

        return getattr(windows, name)
    raise AttributeError(f"module 'features' has no attribute {name!r}")
