"""Style sheets and scripts: found once, named by what they contain, kept by browsers for good."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from serving.problems import Problem

__all__ = ["FOLDER", "GUIDE_PICTURES", "Assets"]

FOLDER = Path(__file__).parent / "static"
PICTURES = Path(__file__).parents[1] / "guides" / "pictures"
GUIDE_PICTURES = "guide"
"""Under which the guides' pictures are named."""

BUILT = "vendor/versions.json"  # written last by vendor.mjs
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Assets:
    """The files that pages load.

    All of them share one version, in their path: a module finds its neighbours by a relative name,
    and whatever changes gives every file a new address.

    Parameters
    ----------
    files : mapping of str to Path
        By the name under the folder.
    version : str
        Digest of all their contents.
    """

    files: Mapping[str, Path] = field(repr=False)
    version: str

    @classmethod
    def of(cls, folder: Path = FOLDER, pictures: Path = PICTURES) -> "Assets":
        """The files of a folder, as they are now, and the guides' pictures."""
        found = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        found |= {f"{GUIDE_PICTURES}/{path.name}": path for path in sorted(pictures.glob("*.png"))}
        digest = hashlib.sha256()
        for name, path in found.items():
            digest.update(name.encode() + b"\0" + path.read_bytes())
        return cls(found, digest.hexdigest()[:16])

    @property
    def built(self) -> bool:
        """Whether the vendored libraries are there."""
        return BUILT in self.files

    def path(self, name: str) -> str:
        """Where a browser finds a file.

        Raises
        ------
        KeyError
            If there is no such file.

        Examples
        --------
        >>> Assets.of().path("console.css").startswith("/console/static/")
        True
        """
        if name not in self.files:
            raise KeyError(f"expected a file of static/, found none called {name!r}; correct it")
        return f"/console/static/{self.version}/{name}"

    async def answer(self, request: Request) -> Response:
        """Answer ``GET /console/static/{version}/{name}``; an old version's name gets today's file.

        Raises
        ------
        Problem
            If there is no such file.
        """
        path = self.files.get(request.path_params["name"])
        if path is None:
            raise Problem("not-found")
        same = request.path_params["version"] == self.version
        return FileResponse(path, headers={"Cache-Control": _FOR_GOOD if same else "no-cache"})
