"""What officers typed into a form: read as contracts, its mistakes named, to be shown again."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request

from serving.cases.contracts import Attempt, Form, Outcome
from serving.problems import Problem

__all__ = [
    "Fields",
    "attempt",
    "fields_of",
    "form",
    "mistaken",
    "outcome",
    "read",
    "texts",
    "until",
    "words",
]

Contract = TypeVar("Contract", bound=BaseModel)
Fields = Mapping[str, str]
_MOST = 40
_MOST_WORDS = 2_000
_RESULTS = {
    "unanswered": (False, False, False),
    "refused": (False, False, True),
    "unbelieved": (True, False, False),
    "believed": (True, True, False),
}
"""What an officer ticks: reached, believed, refused."""


async def fields_of(request: Request) -> dict[str, str]:
    """Every field of a form, the last of each name."""
    async with request.form(max_files=0, max_fields=_MOST) as sent:
        return texts(sent)


def texts(sent: FormData) -> dict[str, str]:
    """What was typed into a form that is read already; its files are left out."""
    return {name: value for name, value in sent.items() if isinstance(value, str)}


def form(fields: Fields, case_id: str) -> Form:
    """Which case, as it was seen."""
    return _read(Form, {"case_id": case_id, **_of(fields, ("version", "key"))})


def attempt(fields: Fields) -> Attempt:
    """A contact as it went.

    Raises
    ------
    Problem
        ``invalid-parameter``, with the names of the fields to mend.
    """
    result = _RESULTS.get(fields.get("result", ""))
    if result is None:
        raise mistaken(["result"])
    reached, believed, refused = result
    said = {"reached": reached, "believed": believed, "refused": refused}
    return _read(Attempt, {**_of(fields, ("channel", "script", "minutes", "platform")), **said})


def outcome(fields: Fields) -> Outcome:
    """How it ended; a loss only where one was paid.

    Raises
    ------
    Problem
        ``invalid-parameter``.
    """
    names = ("outcome", "scam_type") + (("loss_cny",) if fields.get("outcome") == "paid" else ())
    if fields.get("outcome") == "paid" and not fields.get("loss_cny", "").strip():
        raise mistaken(["loss_cny"])
    return _read(Outcome, _of(fields, names))


def until(fields: Fields) -> datetime:
    """When a rest ends: a moment that the page offered.

    Raises
    ------
    Problem
        ``invalid-parameter``.
    """
    try:
        found = datetime.fromisoformat(fields.get("until", ""))
    except ValueError:
        raise mistaken(["until"]) from None
    if found.tzinfo is None:
        raise mistaken(["until"])
    return found


def mistaken(names: Iterable[str]) -> Problem:
    """A form that cannot be read, by the fields to mend."""
    found = sorted(set(names))
    return Problem(
        "invalid-parameter", f"the form is not whole: {', '.join(found)}", {"fields": found}
    )


def words(fields: Fields, name: str) -> str:
    """What was written in a field that must not be empty.

    Raises
    ------
    Problem
        ``invalid-parameter``.
    """
    found = fields.get(name, "").strip()
    if not 0 < len(found) <= _MOST_WORDS or "\0" in found:
        raise mistaken([name])
    return found


def read(contract: type[Contract], fields: Fields, names: Iterable[str]) -> Contract:
    """A contract out of those of its fields that were filled in.

    Raises
    ------
    Problem
        ``invalid-parameter``, with the names of the fields to mend.
    """
    return _read(contract, _of(fields, names))


def _read(contract: type[Contract], given: Mapping[str, Any]) -> Contract:
    try:
        return contract.model_validate(given)
    except ValidationError as error:
        names = [str(each["loc"][0]) if each["loc"] else "result" for each in error.errors()]
        raise mistaken(names) from None


def _of(fields: Fields, names: Iterable[str]) -> dict[str, str]:
    """Those that were filled in."""
    return {name: fields[name].strip() for name in names if fields.get(name, "").strip()}
