"""What we conclude: score, calibrate, explain, decide.

Pure: no experiment tracker, no web framework, no search. Unlike `training`, which decides how a
model comes to be, this package says what a model is; unlike `serving`, it never asks who is asking.
What is about places is imported when first asked for: a worker that scores has no use for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.bundle import Bundle, BundleError, Parts, load
from models.calibration import Calibration
from models.card import Card, Metric
from models.fraud import FraudModel, fraud_recipe
from models.norms import Norms
from models.policy import Advice, Channel, Level, Policy, levels_from_text, standard_levels
from models.scam_type import ScamTypeModel
from models.signing import PublicKey, Signer
from models.stage import StageModel
from models.suspect_line import SuspectLineModel
from models.track_record import TrackRecord
from models.trees import ModelError, Recipe, Rows, Trees

if TYPE_CHECKING:
    from models.hotspot import HotspotConfig, HotspotModel
    from models.hotspot_bundle import HotspotBundle
    from models.patrol import plan_patrol
    from models.stability import certify_map
    from models.surface import Surface

__all__ = [
    "Advice",
    "Bundle",
    "BundleError",
    "Calibration",
    "Card",
    "Channel",
    "FraudModel",
    "HotspotBundle",
    "HotspotConfig",
    "HotspotModel",
    "Level",
    "Metric",
    "ModelError",
    "Norms",
    "Parts",
    "Policy",
    "PublicKey",
    "Recipe",
    "Rows",
    "ScamTypeModel",
    "Signer",
    "StageModel",
    "Surface",
    "SuspectLineModel",
    "TrackRecord",
    "Trees",
    "certify_map",
    "fraud_recipe",
    "levels_from_text",
    "load",
    "plan_patrol",
    "standard_levels",
]

_LATER = {
    "HotspotBundle": "hotspot_bundle",
    "HotspotConfig": "hotspot",
    "HotspotModel": "hotspot",
    "Surface": "surface",
    "certify_map": "stability",
    "plan_patrol": "patrol",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"models.{_LATER[name]}"), name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")
