"""Putting a signed bundle where those who serve look for it."""

import secrets
import shutil
from pathlib import Path
from typing import Protocol

from data.settings import Settings
from models.signing import Signer

__all__ = ["publish"]


class Writable(Protocol):
    """A bundle that can be written."""

    def write(self, directory: Path, signer: Signer) -> str:
        """Write a signed directory and return its version."""
        ...


def publish(bundle: Writable, settings: Settings, kind: str) -> tuple[Path, str]:
    """Sign and write to ``var/<kind>/<version>``; the same model is written once.

    Returns
    -------
    (Path, str)
        The folder and the version.
    """
    folder = settings.var / kind
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".{secrets.token_hex(8)}.staged"
    version = bundle.write(staged, Signer.at(settings.var / "keys" / "bundle.pem"))
    target = folder / version
    if target.exists():
        shutil.rmtree(staged)
        target.touch()  # the one published last is the one in use
    else:
        staged.rename(target)
    return target, version
