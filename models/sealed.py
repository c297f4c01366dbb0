"""A directory of text that nobody can change unseen: hashed, signed, whole or not there at all.

What models are kept in. Files are read once, as plain files of bounded size, and only the bytes
whose hash a signed manifest states are handed on.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.signing import PublicKey, Signer

__all__ = ["MANIFEST", "SIGNATURE", "BundleError", "published", "seal", "unseal"]

MANIFEST, SIGNATURE = "MANIFEST.json", "MANIFEST.sig"
MANIFEST_BYTES = 64 * 1024
SIGNATURE_BYTES = 1024
FILE_BYTES = 128 * 1024 * 1024  # trees of a few MB are usual


class BundleError(ValueError):
    """A bundle that must not be used: what was expected, what was found, how to mend it."""

    def __init__(self, expected: str, found: str, fix: str) -> None:
        super().__init__(f"bundle refused: expected {expected}, found {found}; {fix}")
        self.expected, self.found, self.fix = expected, found, fix


def seal(directory: Path, contents: Mapping[str, bytes], signer: Signer, form: str) -> str:
    """Write files with their signed manifest and return the version.

    Parameters
    ----------
    directory : Path
        Must not exist, unless it already holds these very files.
    contents : mapping of file name to bytes
    signer : Signer
    form : str
        What kind of directory this is, and the version of its layout.

    Raises
    ------
    BundleError
        If the directory exists with other content.
    """
    manifest = _manifest(contents, form)
    if directory.exists():
        _check_same(directory, manifest)
        return _version(manifest)
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.part")
    partial.mkdir(parents=True)
    try:
        signature = signer.sign(manifest).encode() + b"\n"
        for name, content in {**contents, MANIFEST: manifest, SIGNATURE: signature}.items():
            (partial / name).write_bytes(content)
        partial.rename(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return _version(manifest)


def unseal(
    directory: Path, public_key: PublicKey, form: str, files: Collection[str]
) -> tuple[dict[str, bytes], str]:
    """Read the files back with their version, if signature and every hash are right.

    Parameters
    ----------
    directory : Path
        Where `seal` put it.
    public_key : PublicKey
        The publisher's.
    form : str
        As given to `seal`.
    files : collection of str
        Exactly the names that must be there.

    Raises
    ------
    BundleError
        If a file is missing, extra, no plain file, oversized, damaged or not signed by
        `public_key`, or if the directory is of another kind.
    """
    with _folder(directory) as folder:
        with os.scandir(folder) as entries:
            _check_listing({entry.name for entry in entries}, files)
        manifest = _read(folder, MANIFEST, MANIFEST_BYTES)
        signature = _read(folder, SIGNATURE, SIGNATURE_BYTES)
        _check_signature(manifest, signature, public_key)
        stated = _stated(manifest, form, files)
        contents = {name: _checked(folder, name, stated[name]) for name in files}
    return contents, _version(manifest)


def published(folder: Path) -> list[Path]:
    """The sealed directories in a folder, the one published last first; not opened, not verified.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from models.signing import Signer
    >>> folder = Path(mkdtemp())
    >>> for name in ("one", "two"):
    ...     _ = seal(folder / name, {"note.txt": name.encode()}, Signer.fresh(), "note/1")
    >>> os.utime(folder / "two", (0, 0))
    >>> [found.name for found in published(folder)]
    ['one', 'two']
    """
    found = [manifest.parent for manifest in folder.glob(f"[!.]*/{MANIFEST}")]
    return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name), reverse=True)


def _manifest(contents: Mapping[str, bytes], form: str) -> bytes:
    files = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    return (json.dumps({"format": form, "files": files}, indent=1) + "\n").encode()


def _version(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:16]


def _check_same(directory: Path, manifest: bytes) -> None:
    found = directory / MANIFEST
    if not found.is_file() or found.read_bytes() != manifest:
        raise BundleError(
            f"{directory.name} to be new or to hold this same bundle",
            "another content",
            "publish to a new directory: bundles never change",
        )


@contextmanager
def _folder(directory: Path) -> Iterator[int]:
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BundleError(
            f"a bundle's directory at {directory}",
            error.strerror or "nothing",
            "train a model, or point FOREWARN_BUNDLE at a bundle",
        ) from error
    try:
        yield folder
    finally:
        os.close(folder)


def _check_listing(found: set[str], files: Collection[str]) -> None:
    wanted = {*files, MANIFEST, SIGNATURE}
    if missing := sorted(wanted - found):
        raise BundleError(f"the file {missing[0]}", "none of that name", "copy the bundle whole")
    if extra := sorted(found - wanted):
        raise BundleError(
            f"{len(wanted)} files and no other", f"also {extra[0]!r}", "copy the bundle afresh"
        )


def _read(folder: int, name: str, most: int) -> bytes:
    """Read a plain file of at most `most` bytes; never follow a link, never wait on a pipe."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        raise BundleError(
            f"{name} to be a plain readable file",
            error.strerror or type(error).__name__,
            "copy the bundle afresh, without links",
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{name} to be a plain file", "something else", "copy the bundle afresh")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise BundleError(
            f"{name} of at most {most} bytes", "more than that", "copy the bundle afresh"
        )
    return content


def _check_signature(manifest: bytes, signature: bytes, public_key: PublicKey) -> None:
    text = signature.decode("ascii", errors="replace").strip()
    if not public_key.confirms(manifest, text):
        raise BundleError(
            f"{MANIFEST} signed with the key that belongs to the public key given",
            "a signature that does not fit",
            "copy the bundle afresh, or give its publisher's public key",
        )


def _stated(manifest: bytes, form: str, files: Collection[str]) -> Mapping[str, Any]:
    """Sizes and hashes by file, from a manifest whose signature was verified."""
    content = json.loads(manifest)
    if content.get("format") != form:
        raise BundleError(form, repr(content.get("format")), "retrain with this version")
    stated: Mapping[str, Any] = content["files"]
    if set(stated) != set(files):
        odd = sorted(set(stated) ^ set(files))
        raise BundleError(
            f"a manifest of {len(files)} files", f"{odd[0]!r} differs", "retrain with this version"
        )
    return stated


def _checked(folder: int, name: str, stated: Mapping[str, Any]) -> bytes:
    content = _read(folder, name, min(int(stated["bytes"]), FILE_BYTES))
    found = hashlib.sha256(content).hexdigest()
    if len(content) != stated["bytes"] or found != stated["sha256"]:
        raise BundleError(
            f"{name} of {stated['bytes']} bytes with SHA-256 {stated['sha256'][:16]}…",
            f"{len(content)} bytes with {found[:16]}…",
            "copy the bundle afresh",
        )
    return content
