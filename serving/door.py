"""The intake door as the API uses it: a record becomes a concealed event or a kept refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.events import Event
from data.intake import Intake
from data.problems import Problem as FieldProblem
from data.problems import RejectedRecord, found_in
from data.quarantine import Sealer
from serving.cases.numbers import Numbers
from serving.contracts import ProblemDetails
from serving.problems import Problem

__all__ = ["Door", "Passed", "Refused"]


@dataclass(frozen=True)
class Passed:
    """A record that fits its contract.

    Parameters
    ----------
    event : Event
        What it became, concealed.
    record : mapping
        What was sent, raw: to be sealed if it must be refused after all.
    """

    event: Event
    record: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The event_id."""
        return self.event.event_id

    @property
    def payload(self) -> Mapping[str, Any]:
        """The concealed event as the log would hold it."""
        return self.event.model_dump(mode="json", exclude_none=True)

    def agrees_with(self, payload: Mapping[str, Any]) -> bool:
        """Whether a recorded event says all that was sent; what we filled in is not asked."""
        sent = {name for name, value in self.record.items() if value is not None}
        said = self.event.model_dump(mode="json", include=sent)
        return all(payload.get(name) == value for name, value in said.items())


@dataclass(frozen=True)
class Refused:
    """A record that broke its contract, or took the event_id of another.

    Parameters
    ----------
    errors : sequence of FieldProblem
        Per field: expected, found, fix; never the value.
    row : mapping
        Its row for the quarantine, the record sealed.
    kind : str
        Which problem of the catalogue the answer is.
    """

    errors: Sequence[FieldProblem]
    row: Mapping[str, Any]
    kind: str = "invalid-event"

    def problem(self) -> Problem:
        """The answer to who sent it."""
        fields = ", ".join(dict.fromkeys(error.field for error in self.errors))
        why = {
            "invalid-event": f"the contract does not hold for: {fields}",
            "event-id-taken": "the event_id is that of a recorded event with other content",
            "incident-id-taken": "the incident_id is that of a recorded incident with other "
            "content",
        }
        return Problem(
            self.kind,
            f"{why[self.kind]}; the record is kept in quarantine",
            {
                "errors": [error.as_dict() for error in self.errors],
                "quarantine_id": self.row["id"],
            },
        )

    def details(self) -> ProblemDetails:
        """The same as a member of a larger answer."""
        return ProblemDetails.model_validate(self.problem().document())


class Door:
    """Lets events in, seals what it refuses.

    Parameters
    ----------
    intake : Intake
        The one door of `data`.
    sealer : Sealer
        Encrypts refused records.
    numbers : Numbers, optional
        Seals the numbers of citizens with an alert or a lead; without it none is kept.
    """

    def __init__(self, intake: Intake, sealer: Sealer, numbers: Numbers | None = None) -> None:
        self._intake = intake
        self._sealer = sealer
        self._numbers = numbers

    def one(self, record: Any, *, scored: bool) -> Passed | Refused:
        """A concealed event, or why not.

        Parameters
        ----------
        record : Any
            What the JSON said.
        scored : bool
            Reports are refused: they are labels and get no score.
        """
        if not isinstance(record, Mapping):
            error = FieldProblem("record", "an object", found_in(record), "send one event")
            return self._refused(record, [error])
        if scored and record.get("kind") == "report":
            error = FieldProblem("kind", "an event", "a report", "send it to /v1/reports")
            return self._refused(record, [error])
        try:
            return Passed(self._intake.one(record), record)
        except RejectedRecord as rejected:
            return self._refused(record, rejected.problems)

    def number(self, passed: Passed) -> bytes | None:
        """The citizen's number, sealed; None where it did not reach us."""
        if self._numbers is None:
            return None
        return self._numbers.close(passed.event.subscriber, str(passed.record["subscriber"]))

    def taken(self, passed: Passed) -> Refused:
        """Refuse what passed: its event_id is that of another event."""
        error = FieldProblem(
            "event_id",
            "a new event_id for another event",
            "the id of a recorded event with other content",
            "send it under an id of its own",
        )
        return self._refused(passed.record, [error], "event-id-taken")

    def _refused(
        self, record: Any, errors: Sequence[FieldProblem], kind: str = "invalid-event"
    ) -> Refused:
        return Refused(errors, self._sealer.row(record, errors, source="api"), kind)
