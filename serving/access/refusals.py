"""Why somebody is not let in: problems of access, beside the catalogue of `serving.problems`.

None of them tells whether an account exists, nor which of several things was wrong with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.problems import Kind, Problem

__all__ = ["REFUSALS", "Refusal"]

_KINDS = (
    Kind("not-signed-in", 401, "Nobody is signed in", "sign in, or send Authorization: Bearer KEY"),
    Kind("wrong-credentials", 401, "Not let in", "check name and password; an administrator helps"),
    Kind("forbidden", 403, "Not yours to do", "ask somebody whose role or district it is"),
    Kind("wrong-csrf-token", 403, "The page is not from this session", "load the page again"),
    Kind("weak-password", 422, "The password is too easy to guess", "take four random words"),
    Kind("too-many-tries", 429, "Too many wrong tries", "try again after Retry-After seconds"),
)

REFUSALS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}


@dataclass(eq=False)
class Refusal(Problem):
    """A problem whose name is a key of `REFUSALS`.

    Examples
    --------
    >>> Refusal("forbidden").document()["status"]
    403
    """

    def __post_init__(self) -> None:
        if self.name not in REFUSALS:
            known = ", ".join(sorted(REFUSALS))
            raise KeyError(f"expected a refusal among {known}, found {self.name!r}")
        Exception.__init__(self, self.name)

    @property
    def kind(self) -> Kind:
        return REFUSALS[self.name]
