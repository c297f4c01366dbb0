"""From a query string or a JSON body to a model of ours; what is wrong is told field by field.

What was sent is never repeated: a problem names the field, what was expected and what kind of
thing was found.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import QueryParams

from data.problems import SAYABLE
from serving.problems import Problem

__all__ = ["from_body", "from_query", "wrong"]

Asked = TypeVar("Asked", bound=BaseModel)
_MOST = 20  # problems told at once


def from_query(model: type[Asked], query: QueryParams) -> Asked:
    """The parameters of a GET.

    Raises
    ------
    Problem
        If one is unknown, given twice or breaks its contract.

    Examples
    --------
    >>> class Page(BaseModel):
    ...     number: int = 1
    >>> from_query(Page, QueryParams("number=2"))
    Page(number=2)
    """
    given = dict(query)
    if len(given) != len(query.multi_items()):
        raise wrong("query", "each parameter once", "one of them twice", "leave one out")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _problem("invalid-parameter", "a parameter is wrong", error) from None


def from_body(model: type[Asked], body: bytes) -> Asked:
    """The JSON body of a POST, strictly: text is no number.

    Raises
    ------
    Problem
        If it is not JSON, or breaks its contract.
    """
    if not body.strip():
        raise Problem("malformed-json", "expected a JSON document, found an empty body")
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            # the parser's message names a place and never quotes the text
            detail = error.errors(include_input=False)[0]["msg"]
            raise Problem("malformed-json", f"expected JSON in UTF-8: {detail}") from None
        raise _problem("invalid-parameter", "the request breaks its contract", error) from None


def wrong(field: str, expected: str, found: str, fix: str) -> Problem:
    """One parameter that cannot be used as given."""
    error = {"field": field, "expected": expected, "found": found, "fix": fix}
    return Problem("invalid-parameter", f"{field}: expected {expected}", {"errors": [error]})


def _problem(kind: str, detail: str, error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False)
    return Problem(kind, detail, {"errors": [_said(each) for each in found[:_MOST]]})


def _said(detail: ErrorDetails) -> dict[str, str]:
    *outer, last = detail["loc"] or ("body",)
    if detail["type"] == "extra_forbidden":
        name = str(last) if SAYABLE.fullmatch(str(last)) else "(unknown field)"
        field = ".".join(map(str, (*outer, name)))
        return _told(field, "only what the contract has", "another field", "leave it out")
    field = ".".join(map(str, (*outer, last)))
    if detail["type"] == "missing":
        return _told(field, "a value", "nothing", f"add {last}")
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return _told(field, expected, _kind(detail["input"]), f"correct {last}")


def _told(field: str, expected: str, found: str, fix: str) -> dict[str, str]:
    return {"field": field, "expected": expected, "found": found, "fix": fix}


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "nothing" if value is None else "a number")
