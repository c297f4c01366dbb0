"""The door of incidents: every record, from HTTP or a file, becomes an incident or a refusal.

Its place is held against the city's limits, its times against our clock, and ``known_at`` is set
where it is absent. A live incident is known now. A past one, from a file that does not say, is
known when it happened (a day alone: in its last second, so that no training as of that day sees
what was still to come), or a report delay later.

Not to be confused with `data.intake`, the door of events about persons: no person gets in here.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from data.clock import problems_ahead, problems_before
from data.incident_columns import IncidentColumns, read_incident_columns
from data.incident_ids import content_id
from data.incident_screen import DELAY, IncidentScreen
from data.incidents import Incident, Precision
from data.intake import LARGEST_RECORD, Rejected
from data.places import EARTH, Extent
from data.problems import SAYABLE, Problem, RejectedRecord, found_in

__all__ = ["Admitted", "IncidentIntake"]

HALF_DAY = timedelta(hours=12)
COPY = "copy"  # which of equal records this is: beside DELAY, what a refused past one carries
LONGEST_DELAY_S = 10 * 366 * 86_400
EXPECTED = {
    "incident_id": "a name of 1 to 64 letters, digits or . _ : @ / -",
    "occurred_at": "a time with its offset, 2000 to 2099, such as 2026-03-01T22:10:00+08:00",
    "known_at": "a time with its offset, 2000 to 2099, such as 2026-03-01T22:15:00+08:00",
    "category": "1 to 64 letters, digits, spaces or usual punctuation, the first a letter or digit",
    "lon": "degrees east, -180 to 180",
    "lat": "degrees north, -90 to 90",
    "origin": "reported or discovered",
    "precision": "minute or day",
    "source": "a name of 1 to 64 letters, digits or . _ : @ / -",
    "version": "1",
}


@dataclass(frozen=True)
class Admitted:
    """What became of some records.

    Attributes
    ----------
    accepted
        Incidents by the place of their record.
    refused
        Problems by the place of theirs.
    """

    accepted: Mapping[int, Incident]
    refused: Mapping[int, tuple[Problem, ...]]


class IncidentIntake:
    """Turns records into incidents.

    Parameters
    ----------
    extent
        The city's limits; anywhere on Earth by default.
    zone
        IANA name of the city's zone, for times in tables that have no offset.
    report_delay
        None for live records: each needs an ``incident_id``, and is known now unless it says
        when. Otherwise they are past ones: an absent ``incident_id`` is derived from the content,
        an absent ``known_at`` is this long after it happened.
    clock
        Now, aware.

    Examples
    --------
    >>> door = IncidentIntake(Extent(105.3, 28.1, 110.2, 32.3))
    >>> door.one(b'''{"incident_id": "110-7", "category": "THEFT", "lon": 106.55, "lat": 29.56,
    ...     "occurred_at": "2026-03-01T22:10:00+08:00"}''').known_at.tzinfo
    datetime.timezone.utc
    >>> door.one({"incident_id": "110-8", "category": "THEFT", "lon": 29.56, "lat": 106.55,
    ...     "occurred_at": "2026-03-01T22:10:00+08:00"})
    Traceback (most recent call last):
    ...
    data.problems.RejectedRecord: lon, lat: expected a place within 105.3 E to 110.2 E, ...
    """

    def __init__(
        self,
        extent: Extent = EARTH,
        *,
        zone: str = "Asia/Shanghai",
        report_delay: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.extent = extent
        self.zone = zone
        self.report_delay = report_delay
        self.clock = clock

    def one(self, record: Mapping[str, Any] | bytes | str) -> Incident:
        """One record as an incident with its ``known_at``.

        Parameters
        ----------
        record
            JSON in UTF-8, or what it says. A field that is null counts as absent.

        Raises
        ------
        RejectedRecord
            With every problem found.
        """
        found = record if isinstance(record, Mapping) else _from_json(record)
        fields = {name: value for name, value in found.items() if value is not None}
        delay, copy = self._set_apart(fields)
        place = self._place_problems(fields)
        incident = self._parsed(fields, copy, place)
        now = self.clock().astimezone(UTC)
        if problems := [*place, *_clock_problems(incident, now)]:
            raise RejectedRecord(problems)
        return incident.model_copy(update={"known_at": self._known(incident, now, delay)})

    def many(self, records: Iterable[Mapping[str, Any] | bytes | str]) -> Admitted:
        """Several records, each on its own: what one of them breaks does not hold up another."""
        accepted: dict[int, Incident] = {}
        refused: dict[int, tuple[Problem, ...]] = {}
        for place, record in enumerate(records):
            try:
                accepted[place] = self.one(record)
            except RejectedRecord as refusal:
                refused[place] = refusal.problems
        return Admitted(accepted, refused)

    def table(
        self, given: pa.Table | pd.DataFrame, *, source: str = "table"
    ) -> tuple[pa.Table, Rejected]:
        """Many records at once, in columns named as the fields of `Incident`.

        Parameters
        ----------
        given
            Other columns are not looked at. A time without an offset is one of the city's zone.
        source
            Who sent them, where no column says.

        Returns
        -------
        accepted : Table
            `INCIDENT_SCHEMA`, in the order given.
        rejected : Rejected
            The other rows as records for `one`, with every problem found.

        Raises
        ------
        TableError
            If a needed column is missing, or days and months cannot be told apart.
        """
        if isinstance(given, pd.DataFrame):
            given = pa.Table.from_pandas(given, preserve_index=False)
        return self.columns(read_incident_columns(given), source=source)

    def columns(self, columns: IncidentColumns, *, source: str) -> tuple[pa.Table, Rejected]:
        """The same for columns that are in our types already."""
        screen = IncidentScreen(
            columns,
            source,
            extent=self.extent,
            zone=self.zone,
            report_delay=self.report_delay,
            now=self.clock(),
        )
        drafts = {row: screen.draft(row) for row in np.flatnonzero(~screen.passed).tolist()}
        if self.report_delay is not None:
            _count_copies(drafts)
        tried = self.many(drafts.values())
        rows = list(drafts)
        doubted = {rows[place]: one for place, one in tried.accepted.items()}
        table = screen.joined(doubted)
        rejected = Rejected(
            rows=tuple(rows[place] for place in tried.refused),
            records=tuple(drafts[rows[place]] for place in tried.refused),
            problems=tuple(tried.refused.values()),
        )
        return table, rejected

    def _set_apart(self, fields: dict[str, Any]) -> tuple[timedelta, int]:
        """Take out what a refused past record carries beside its fields."""
        if self.report_delay is None:
            return timedelta(0), 0
        known = {name: fields[name] for name in (COPY, DELAY) if _is_count(fields.get(name))}
        for name in known:
            del fields[name]
        delay = timedelta(seconds=known[DELAY]) if DELAY in known else self.report_delay
        return delay, known.get(COPY, 0)

    def _place_problems(self, fields: Mapping[str, Any]) -> list[Problem]:
        lon, lat = _degrees(fields.get("lon")), _degrees(fields.get("lat"))
        if lon is None or lat is None:
            return []
        fault = self.extent.fault(lon, lat)
        return [] if fault is None else [self.extent.problem(fault)]

    def _parsed(self, fields: dict[str, Any], copy: int, place: list[Problem]) -> Incident:
        derived = self.report_delay is not None and "incident_id" not in fields
        if derived:
            fields["incident_id"] = "derived"
        try:
            incident = Incident.model_validate(_typed(fields))
        except ValidationError as error:
            others = _problems_of(error, fields, without=("lon", "lat") if place else ())
            raise RejectedRecord([*place, *others]) from None
        if not derived:
            return incident
        at = (incident.occurred_at, incident.category, incident.lon, incident.lat)
        return incident.model_copy(update={"incident_id": content_id(*at, copy=copy)})

    def _known(self, incident: Incident, now: datetime, delay: timedelta) -> datetime:
        known = incident.known_at
        if known is None:
            known = now if self.report_delay is None else self._learnt(incident) + delay
        if incident.precision is Precision.DAY:
            return max(known, incident.occurred_at)
        return known

    def _learnt(self, incident: Incident) -> datetime:
        if incident.precision is not Precision.DAY:
            return incident.occurred_at
        local = incident.occurred_at.astimezone(ZoneInfo(self.zone))
        midnight = pd.Timestamp(local.date() + timedelta(days=1)).tz_localize(
            self.zone, ambiguous=True, nonexistent="shift_forward"
        )
        moment: datetime = (midnight.tz_convert("UTC") - timedelta(seconds=1)).to_pydatetime()
        return moment


def _count_copies(drafts: Mapping[int, dict[str, Any]]) -> None:
    """Tell drafts that say the same apart, so that the quarantine keeps every one of them."""
    seen: dict[str, int] = {}
    for draft in drafts.values():
        key = repr(draft)
        copy = seen.get(key, 0)
        seen[key] = copy + 1
        if copy and "incident_id" not in draft:
            draft[COPY] = copy


def _clock_problems(incident: Incident, now: datetime) -> list[Problem]:
    """Times that cannot be; a day alone began half a day before its noon."""
    early = HALF_DAY if incident.precision is Precision.DAY else timedelta(0)
    begun, known = incident.occurred_at - early, incident.known_at
    return [
        *problems_ahead({"occurred_at": begun, "known_at": known}, now),
        *problems_before(begun, known),
    ]


def _typed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, but that true is no number of degrees."""
    return {
        name: repr(value) if name in {"lon", "lat"} and isinstance(value, bool) else value
        for name, value in fields.items()
    }


def _degrees(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and 0 <= value <= LONGEST_DELAY_S


def _problems_of(
    error: ValidationError, fields: Mapping[str, Any], *, without: tuple[str, ...]
) -> list[Problem]:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        _problem(detail, fields)
        for detail in details
        if not (detail["loc"] and detail["loc"][0] in without)
    ]


def _problem(detail: ErrorDetails, fields: Mapping[str, Any]) -> Problem:
    field = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Incident.model_fields, 1)
        name = field if SAYABLE.fullmatch(field) else "(unknown field)"
        fix = f"call it {near[0]}" if near else "remove it: no person belongs in an incident"
        return Problem(name, "only fields of an incident", "a field it does not have", fix)
    value = fields.get(field)
    fix = f"add {field}" if value is None else f"correct {field}"
    return Problem(field, EXPECTED[field], found_in(value), fix)


def _from_json(record: bytes | str) -> Mapping[str, Any]:
    if len(record) > LARGEST_RECORD:
        expected, found = f"at most {LARGEST_RECORD} bytes", f"{len(record)} bytes"
        raise RejectedRecord([Problem("record", expected, found, "send one incident a record")])
    try:
        found = from_json(record, allow_inf_nan=False)
    except ValueError as error:
        where = str(error)  # names a place, never quotes the text
        problem = Problem("record", "JSON in UTF-8", where, "correct the text")
        raise RejectedRecord([problem]) from None
    if isinstance(found, Mapping):
        return found
    fix = "send one incident as an object"
    raise RejectedRecord([Problem("record", "a JSON object", found_in(found), fix)])
