"""The intake door as the API uses it: a record becomes a concealed event or a kept refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.events import Event
from data.intake import Intake
from data.problems import Problem as FieldProblem
from data.problems import RejectedRecord, found_in
from data.quarantine import Sealer
from serving.contracts import ProblemDetails
from serving.problems import Problem

__all__ = ["Door", "Refused"]


@dataclass(frozen=True)
class Refused:
    """A record that broke its contract.

    Parameters
    ----------
    errors : sequence of FieldProblem
        Per field: expected, found, fix; never the value.
    row : mapping
        Its row for the quarantine, the record sealed.
    """

    errors: Sequence[FieldProblem]
    row: Mapping[str, Any]

    def problem(self) -> Problem:
        """The answer to who sent it."""
        fields = ", ".join(dict.fromkeys(error.field for error in self.errors))
        return Problem(
            "invalid-event",
            f"the contract does not hold for: {fields}; the record is kept in quarantine",
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
    """

    def __init__(self, intake: Intake, sealer: Sealer) -> None:
        self._intake = intake
        self._sealer = sealer

    def one(self, record: Any, *, scored: bool) -> Event | Refused:
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
            return self._intake.one(record)
        except RejectedRecord as rejected:
            return self._refused(record, rejected.problems)

    def _refused(self, record: Any, errors: Sequence[FieldProblem]) -> Refused:
        return Refused(errors, self._sealer.row(record, errors, source="api"))
