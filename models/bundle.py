"""A model on disk: a directory of text, hashed and signed, checked before anything is opened.

Nothing is unpickled. LightGBM meets a text only after the manifest's signature and that file's
hash were verified on the very bytes it will get, and, unless told otherwise, after another process
has opened the same bytes and scored the canaries to the bit.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from features.spec import FeatureSet
from models import canary
from models.calibration import Calibration
from models.card import Card
from models.directions import direction
from models.fraud import FraudModel
from models.norms import Norms
from models.policy import Policy
from models.scam_type import ScamTypeModel
from models.sealed import MANIFEST, SIGNATURE, BundleError, seal, unseal
from models.signing import PublicKey, Signer
from models.stage import StageModel
from models.track_record import TrackRecord
from models.trees import Trees

__all__ = [
    "FILES",
    "FORMAT",
    "MANIFEST",
    "SIGNATURE",
    "Bundle",
    "BundleError",
    "Parts",
    "load",
]

FORMAT = "forewarn-bundle/1"
TREES = ("fraud", "scam_type", "stage")
FILES = (
    *(f"{name}.txt" for name in TREES),
    "calibration.json",
    "canary.json",
    "card.json",
    "features.json",
    "norms.json",
    "policy.json",
    "temperatures.json",
    "track_record.json",
)
CANARY_ROWS = 16
CANARY_SECONDS = 30.0  # half a second when the machine is quiet


@dataclass(frozen=True)
class Parts:
    """Everything a bundle is written from."""

    fraud: FraudModel
    scam_type: ScamTypeModel
    stage: StageModel
    policy: Policy
    norms: Norms
    features: FeatureSet
    card: Card
    track_record: TrackRecord = field(default_factory=TrackRecord)

    def write(self, directory: Path, signer: Signer) -> str:
        """Write a signed bundle and return its version; the same parts and key, the same bytes.

        The directory appears whole or not at all.

        Parameters
        ----------
        directory : Path
            Must not exist, unless it already is this very bundle.
        signer : Signer

        Raises
        ------
        BundleError
            If the directory exists with other content.
        """
        return seal(directory, _contents(self), signer, FORMAT)


@dataclass(frozen=True)
class Bundle:
    """A verified model: what `load` returns.

    Parameters
    ----------
    version : str
        First 16 hexadecimal digits of the manifest's SHA-256.
    names : tuple of str
        Features in the order of the vector.
    features_digest : str
        Digest of the feature set the model was trained with.
    """

    fraud: FraudModel
    scam_type: ScamTypeModel
    stage: StageModel
    policy: Policy
    norms: Norms
    card: Card
    names: tuple[str, ...]
    features_digest: str
    version: str
    track_record: TrackRecord

    @property
    def calibration(self) -> Calibration:
        """The fraud model's calibration."""
        return self.fraud.calibration

    def require(self, features: FeatureSet) -> None:
        """Raise unless vectors of `features` are what this model was trained on.

        Raises
        ------
        BundleError
            With the features that are missing or new.
        """
        if (features.names, features.digest) == (self.names, self.features_digest):
            return
        missing = [name for name in self.names if name not in features.names]
        new = [name for name in features.names if name not in self.names]
        raise BundleError(
            f"features {self.features_digest}",
            f"{features.digest} (missing: {missing[:5] or 'none'}, new: {new[:5] or 'none'})",
            "retrain, or serve with the code this model was trained with",
        )


def load(
    directory: Path,
    public_key: PublicKey,
    *,
    try_first: bool = True,
    deadline_s: float = CANARY_SECONDS,
) -> Bundle:
    """Verify a bundle and open it.

    Parameters
    ----------
    directory : Path
        Where `Parts.write` put it.
    public_key : PublicKey
        The publisher's.
    try_first : bool
        Let another process open the trees first (half a second). A worker may leave it out when
        its server has just done it; signature and hashes are verified all the same.
    deadline_s : float
        Seconds that process may take.

    Raises
    ------
    BundleError
        If a file is missing, extra, no plain file, oversized, damaged or not signed by
        `public_key`, or if the trees cannot be opened or score otherwise than when written.
    """
    contents, version = unseal(directory, public_key, FORMAT, FILES)
    if try_first:
        _try_in_subprocess(contents, deadline_s)
    try:
        return _opened(contents, version)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"parts this version of the code can read ({FORMAT})",
            f"{type(error).__name__}: {error}",
            "retrain with this version",
        ) from error


def _contents(parts: Parts) -> dict[str, bytes]:
    temperatures = {name: getattr(parts, name).temperature for name in TREES if name != "fraud"}
    texts = {f"{name}.txt": getattr(parts, name).trees.text for name in TREES}
    texts |= {
        "calibration.json": parts.fraud.calibration.to_text(),
        "canary.json": json.dumps(_canaries(parts)) + "\n",
        "card.json": parts.card.to_text(),
        "features.json": _features_text(parts),
        "norms.json": parts.norms.to_text(),
        "policy.json": parts.policy.to_text(),
        "track_record.json": parts.track_record.to_text(),
        "temperatures.json": json.dumps(temperatures) + "\n",
    }
    return {name: texts[name].encode() for name in sorted(texts)}


def _features_text(parts: Parts) -> str:
    names = parts.features.names
    for name in TREES:
        if getattr(parts, name).trees.names != tuple(names) or parts.norms.names != tuple(names):
            raise BundleError(
                f"{name} and norms over the {len(names)} features of the set",
                f"{len(getattr(parts, name).trees.names)} and {len(parts.norms.names)} features",
                "fit every part on vectors of one feature set",
            )
    told = [
        {"name": spec.name, "direction": direction(spec)}
        | {word: getattr(spec, word) for word in ("unit", "source", "zh", "en")}
        for spec in parts.features
    ]
    content = {"digest": parts.features.digest, "features": told}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _canaries(parts: Parts) -> dict[str, Any]:
    """Made-up rows and their raw scores; no citizen's vector is in a bundle."""
    every = parts.norms.rows()
    chosen = np.linspace(0, len(every) - 1, min(CANARY_ROWS, len(every))).astype(np.int64)
    rows = every[chosen]
    nullable = [[None if np.isnan(value) else value for value in row] for row in rows.tolist()]
    raw = {name: getattr(parts, name).trees.raw(rows).tolist() for name in TREES}
    return {"rows": nullable, "raw": raw}


def _try_in_subprocess(contents: Mapping[str, bytes], deadline_s: float) -> None:
    canaries = json.loads(contents["canary.json"])
    texts = {name: contents[f"{name}.txt"].decode() for name in TREES}
    request = json.dumps({**canaries, "texts": texts})
    expected = "trees that open and score as when written"
    fix = "keep the model in use and retrain; look at LightGBM's version"
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and file, no shell
            [sys.executable, "-I", canary.__file__],
            input=request,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(expected, f"no answer in {deadline_s:g} s", fix) from error
    answer = done.stdout.strip().rpartition("\n")[2]
    if done.returncode != 0 or answer != "ok":
        ended = (done.stderr.strip() or "no word").rpartition("\n")[2]
        found = answer if done.returncode == 0 else f"exit status {done.returncode}: {ended}"
        raise BundleError(expected, found, fix)


def _opened(contents: Mapping[str, bytes], version: str) -> Bundle:
    text = {name: content.decode() for name, content in contents.items()}
    features = json.loads(text["features.json"])
    heat: Mapping[str, float] = json.loads(text["temperatures.json"])
    calibration = Calibration.from_text(text["calibration.json"])
    return Bundle(
        fraud=FraudModel.from_text(text["fraud.txt"], calibration),
        scam_type=ScamTypeModel(Trees(text["scam_type.txt"]), heat["scam_type"]),
        stage=StageModel(Trees(text["stage.txt"]), heat["stage"]),
        policy=Policy.from_text(text["policy.json"]),
        norms=Norms.from_text(text["norms.json"]),
        card=Card.from_text(text["card.json"]),
        names=tuple(feature["name"] for feature in features["features"]),
        features_digest=features["digest"],
        version=version,
        track_record=TrackRecord.from_text(text["track_record.json"]),
    )
