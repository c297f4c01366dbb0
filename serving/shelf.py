"""Where model bundles lie: the one in service, and earlier ones for decisions they made.

Every bundle is verified before it is opened (`models.bundle`). An earlier one is found by its
version, which is the hash of its manifest, among the folders beside the one in service.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from data.settings import Settings
from features.spec import FeatureSet
from models.bundle import load
from models.sealed import MANIFEST, BundleError, published
from models.signing import PublicKey
from serving.judge import Judge

__all__ = ["Shelf"]


class Shelf:
    """The bundles this deployment can open.

    Parameters
    ----------
    bundle : Path
        The one to serve.
    public_key : Path
        PEM of the key that confirms all of them.
    features : FeatureSet
        What vectors are made of.
    """

    def __init__(self, bundle: Path, public_key: Path, features: FeatureSet) -> None:
        self.bundle = bundle.resolve()
        self._public_key = public_key
        self._features = features
        self._older = lru_cache(maxsize=2)(self._find)

    @classmethod
    def of(cls, settings: Settings, features: FeatureSet) -> "Shelf":
        """The shelf of a deployment: ``FOREWARN_BUNDLE``, else the one published last.

        Raises
        ------
        BundleError
            If nothing was published.
        """
        key = settings.var / "keys" / "bundle.pub"
        return cls(settings.bundle or _published_last(settings.var / "bundles"), key, features)

    def champion(self, *, try_first: bool = False) -> Judge:
        """The judge in service.

        Raises
        ------
        BundleError
            If the bundle is damaged, not signed by the key, or of other features.
        """
        return self._open(self.bundle, try_first=try_first)

    def version(self, version: str) -> Judge | None:
        """The judge of an earlier version, None where its bundle is gone or refused."""
        return self._older(version)

    def _find(self, version: str) -> Judge | None:
        for manifest in sorted(self.bundle.parent.glob(f"*/{MANIFEST}")):
            digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
            if digest.startswith(version):
                try:
                    return self._open(manifest.parent, try_first=True)
                except BundleError:
                    return None
        return None

    def _open(self, directory: Path, *, try_first: bool) -> Judge:
        key = PublicKey.from_file(self._public_key)
        return Judge(load(directory, key, try_first=try_first), self._features)


def _published_last(folder: Path) -> Path:
    found = published(folder)
    if not found:
        raise BundleError(
            f"a published bundle under {folder}",
            "none",
            "train one with `forewarn train fraud`, or set FOREWARN_BUNDLE",
        )
    return found[0]
