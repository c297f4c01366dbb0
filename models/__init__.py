"""What we conclude: score, calibrate, explain, decide.

Pure: no experiment tracker, no web framework, no search. Unlike `training`, which decides how a
model comes to be, this package says what a model is; unlike `serving`, it never asks who is asking.
"""

from models.bundle import Bundle, BundleError, Parts, load, write
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

__all__ = [
    "Advice",
    "Bundle",
    "BundleError",
    "Calibration",
    "Card",
    "Channel",
    "FraudModel",
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
    "SuspectLineModel",
    "TrackRecord",
    "Trees",
    "fraud_recipe",
    "levels_from_text",
    "load",
    "standard_levels",
    "write",
]
