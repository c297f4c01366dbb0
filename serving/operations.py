"""What one call of the API does, told once: its route and its description are made from it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

__all__ = ["Operation"]

Handler_co = TypeVar("Handler_co", covariant=True)


@dataclass(frozen=True)
class Operation(Generic[Handler_co]):
    """One thing the API does.

    Parameters
    ----------
    method, path, name, summary : str
    handler : callable
        What does it, within the asker's transaction.
    answer : type
        What is answered.
    body, query : type, optional
        What is sent, as JSON or as a query.
    status : int
        Of the answer.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler_co
    answer: type[BaseModel]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
