"""Requests and appeals on a case's page: what can be asked of whom, how far each is, the forms."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request as Asked

from serving.access.roles import Action
from serving.cases.case import Case
from serving.cases.forms import Turn
from serving.console import filled
from serving.console.filled import Fields
from serving.requests import (
    ANSWERS,
    MEASURES,
    STATES,
    Kind,
    Office,
    OpenAppeal,
    Receiver,
    Request,
    Subject,
    answer,
    decline,
    draft,
    file,
    open_appeals,
    requests_of,
    sign,
    subjects,
    undo,
    withdraw,
)
from serving.requests.contracts import Answer, AppealFiling, Draft, RequestForm
from serving.requests.request import Answered, State, StepKind

__all__ = ["MEASURE_DEEDS", "Measures", "Possible", "measures_of", "office_of", "receiver_name"]

Deed = Callable[[Turn, Office, str, Fields], Awaitable[Any]]


@dataclass(frozen=True)
class Possible:
    """A kind of request that could be drafted now: about what, of whom."""

    kind: str
    zh: str
    en: str
    subjects: tuple[Subject, ...]
    receivers: tuple[Receiver, ...]

    @property
    def ready(self) -> bool:
        """Whether there is something to ask, and somebody to ask it of."""
        return bool(self.subjects and self.receivers)


@dataclass(frozen=True)
class Measures:
    """The requests of a case.

    Parameters
    ----------
    requests : tuple of Request
        The newest first.
    appeals : tuple of OpenAppeal
        Not decided yet.
    office : Office
        Who receives.
    possible : tuple of Possible
        What could be drafted; empty for one who may not.
    """

    requests: tuple[Request, ...]
    appeals: tuple[OpenAppeal, ...]
    office: Office
    possible: tuple[Possible, ...] = ()

    @property
    def states(self) -> Mapping[State, tuple[str, str]]:
        """What the states are called."""
        return STATES

    @property
    def answers(self) -> Mapping[Answered, tuple[str, str]]:
        """What the answers are called."""
        return ANSWERS

    def name(self, kind: str) -> tuple[str, str]:
        """What a kind is called."""
        measure = MEASURES[Kind(kind)]
        return measure.zh, measure.en

    def receiver(self, code: str) -> tuple[str, str]:
        """What a receiver is called; its code where it is gone."""
        return receiver_name(self.office, code)

    def steps(self, request: Request) -> frozenset[str]:
        """Which steps may follow."""
        return frozenset(step.value for step in StepKind if request.may(step))


def receiver_name(office: Office, code: str) -> tuple[str, str]:
    """What people call a receiver (zh, en); its code where it is gone."""
    found = office.receivers.get(code)
    return (found.zh or code, found.en or code) if found else (code, code)


async def measures_of(turn: Turn, office: Office, case: Case) -> Measures:
    """What was asked about a case, and what could be.

    Raises
    ------
    Problem
        ``forbidden``; ``not-found``.
    """
    found = await requests_of(turn, case.case_id)
    waiting = tuple(one for one in await open_appeals(turn) if one.case_id == case.case_id)
    if not turn.actor.may(Action.REQUEST_MEASURE):
        return Measures(found, waiting, office)
    possible = [await _possible(turn, office, case, kind) for kind in Kind]
    return Measures(found, waiting, office, tuple(possible))


async def _possible(turn: Turn, office: Office, case: Case, kind: Kind) -> Possible:
    receivers = tuple(one for one in office.receivers.values() if kind in one.kinds)
    known = await subjects(turn, case, kind) if receivers else ()
    return Possible(str(kind), MEASURES[kind].zh, MEASURES[kind].en, known, receivers)


async def _draft(turn: Turn, office: Office, case_id: str, fields: Fields) -> BaseModel:
    asked = filled.read(Draft, fields, ("kind", "receiver", "subject", "amount_cny"))
    return await draft(turn, office, filled.form(fields, case_id), asked)


async def _sign(turn: Turn, _: Office, __: str, fields: Fields) -> BaseModel:
    return await sign(turn, _form(fields))


async def _ended(
    end: Callable[[Turn, RequestForm, str], Awaitable[BaseModel]],
    turn: Turn,
    _: Office,
    __: str,
    fields: Fields,
) -> BaseModel:
    return await end(turn, _form(fields), filled.words(fields, "reason"))


async def _answer(turn: Turn, office: Office, _: str, fields: Fields) -> BaseModel:
    told = filled.read(Answer, fields, ("answer", "words", "stopped_cny"))
    return await answer(turn, office, _form(fields), told)


async def _appeal(turn: Turn, office: Office, case_id: str, fields: Fields) -> BaseModel:
    about = {"request_id": fields["request_id"]} if fields.get("request_id") else {}
    whole = {**fields, **(about or {"case_id": case_id})}
    filing = filled.read(AppealFiling, whole, ("case_id", "request_id", "words", "key"))
    return await file(turn, office, filing)


MEASURE_DEEDS: Mapping[str, tuple[Action, Deed]] = {
    "draft": (Action.REQUEST_MEASURE, _draft),
    "sign": (Action.SIGN_MEASURE, _sign),
    "decline": (Action.SIGN_MEASURE, partial(_ended, decline)),
    "withdraw": (Action.REQUEST_MEASURE, partial(_ended, withdraw)),
    "undo": (Action.SIGN_MEASURE, partial(_ended, undo)),
    "answer": (Action.REQUEST_MEASURE, _answer),
    "appeal": (Action.FILE_APPEAL, _appeal),
}
"""What the forms do, by the last part of their address, and who may."""


def office_of(request: Asked) -> Office:
    """Whom this deployment may ask; nobody where none is named."""
    found: Office = getattr(request.app.state, "office", None) or Office()
    return found


def _form(fields: Fields) -> RequestForm:
    return filled.read(RequestForm, fields, ("request_id", "version", "key"))
