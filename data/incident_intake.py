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
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from data.clock import AHEAD, problems_ahead, problems_before
from data.events import EARLIEST, LATEST, Name
from data.incident_columns import IncidentColumns, read_incident_columns
from data.incident_ids import content_id, content_ids
from data.incident_times import DAY_US, Times
from data.incidents import INCIDENT_SCHEMA, Category, Incident, Origin, Precision
from data.intake import LARGEST_RECORD, Rejected
from data.places import EARTH, SOUND, Extent
from data.problems import SAYABLE, Problem, RejectedRecord, found_in
from data.tables import TIME

__all__ = ["Admitted", "IncidentIntake", "incident_table"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

HALF_DAY = timedelta(hours=12)
US = timedelta(microseconds=1)
COPY, DELAY = "copy", "report_delay_s"  # what a refused past record carries beside its fields
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
        screen = _Screen(self, columns, source)
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


class _Screen:
    """The door applied to whole columns; a row that it doubts goes to `IncidentIntake.one`.

    It may be too strict without harm, and must never be too lax.
    """

    def __init__(self, door: IncidentIntake, columns: IncidentColumns, source: str) -> None:
        self.door = door
        self.given = columns
        self.source = source
        self.now_us = _us(door.clock())
        self.shifted, self.day = self._days()
        self.occurred = columns.occurred.moments(door.zone, self.shifted)
        self.known, self.stated = self._known()
        self.passed = self._sound() & self._timely() & self._named()

    def _days(self) -> tuple[Mask, Mask]:
        """Rows whose time is to be put at noon, and rows of which only the day is known."""
        precision = self.given.texts.get("precision")
        if precision is None:
            return self.given.occurred.days, self.given.occurred.days
        said = pc.fill_null(pc.equal(precision, Precision.DAY.value), False)
        undated = self.given.occurred.undated
        return undated, undated | said.to_numpy(zero_copy_only=False)

    def _known(self) -> tuple[Ints, Mask]:
        """When each was learnt; whether the source says so."""
        if self.door.report_delay is None:
            known = np.full(len(self.given), self.now_us)
        else:
            ends = self.given.occurred.ends(self.door.zone, self.shifted)
            known = ends + self.door.report_delay // US
        said = self.given.known
        if said is None:
            return known, np.zeros(len(known), dtype=bool)
        return np.where(said.readable, self._said(said), known), said.readable

    def _said(self, said: Times) -> Ints:
        """Stated times; a day alone counts from its end, today's from now."""
        ends = said.ends(self.door.zone)
        today = said.days & (ends - DAY_US <= self.now_us) & (ends > self.now_us)
        return np.where(today, self.now_us, ends)

    def _sound(self) -> Mask:
        good: Mask = self.door.extent.judge(self.given.lon, self.given.lat) == SOUND
        good[list(self.given.unread)] = False
        return good

    def _timely(self) -> Mask:
        begun = self.occurred - np.where(self.day, DAY_US // 2, 0)
        latest = min(self.now_us + AHEAD // US, _us(LATEST) - 1)
        good = (self.occurred >= _us(EARLIEST)) & (self.occurred < _us(LATEST)) & (begun <= latest)
        claimed = (self.known >= _us(EARLIEST)) & (self.known <= latest)
        good &= ~self.stated | (claimed & (self.known >= begun - AHEAD // US))
        return good & ~(self.day & ~self.shifted & ~self.stated)

    def _named(self) -> Mask:
        good = np.ones(len(self.given), dtype=bool)
        for name, texts in self.given.texts.items():
            good &= _allowed(name, texts)
        return good & ~self._nameless() if self.door.report_delay is None else good

    def _nameless(self) -> Mask:
        texts = self.given.texts.get("incident_id", pa.nulls(len(self.given)))
        return texts.is_null().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

    def draft(self, row: int) -> dict[str, Any]:
        """One row as a record for `IncidentIntake.one`."""
        given = self.given
        draft: dict[str, Any] = {"lon": given.lon[row].item(), "lat": given.lat[row].item()}
        draft["occurred_at"] = _moment(self.occurred[row])
        if self.stated[row]:
            draft["known_at"] = _moment(self.known[row])
        draft |= {name: texts[row].as_py() for name, texts in given.texts.items()}
        draft.setdefault("source", self.source)
        if self.shifted[row]:
            draft["precision"] = Precision.DAY.value
        if self.door.report_delay:
            draft[DELAY] = int(self.door.report_delay.total_seconds())
        draft |= given.unread.get(row, {})
        return {name: value for name, value in draft.items() if value is not None}

    def joined(self, doubted: Mapping[int, Incident]) -> pa.Table:
        """Rows that passed and those that did after all, in the order they came."""
        rows = np.flatnonzero(self.passed)
        table = pa.table(
            {name: column.take(pa.array(rows)) for name, column in self._filled().items()}
        ).cast(INCIDENT_SCHEMA)
        if doubted:
            table = pa.concat_tables([table, incident_table(doubted.values())])
            rows = np.concatenate([rows, list(doubted)])
            order = np.argsort(rows, kind="stable")
            table = table.unify_dictionaries().combine_chunks().take(pa.array(order))
            rows = rows[order]
        return self._with_ids(table, rows)

    def _filled(self) -> dict[str, pa.Array]:
        count, texts = len(self.given), self.given.texts
        defaults = {"origin": Origin.REPORTED, "precision": Precision.MINUTE, "source": self.source}
        filled = {
            name: texts[name].fill_null(str(default)).dictionary_encode()
            if name in texts
            else _constant(str(default), count)
            for name, default in defaults.items()
        }
        words = pa.array([str(Precision.MINUTE), str(Precision.DAY)])
        if "precision" not in texts:
            codes = pa.array(self.day.astype(np.int32))
            filled["precision"] = pa.DictionaryArray.from_arrays(codes, words)
        latest = np.maximum(self.known, self.occurred)
        columns: dict[str, pa.Array] = {
            "incident_id": texts.get("incident_id", pa.nulls(count, pa.string())),
            "occurred_at": pa.array(self.occurred).cast(TIME),
            "known_at": pa.array(np.where(self.day, latest, self.known)).cast(TIME),
            "category": texts["category"].dictionary_encode(),
            "lon": pa.array(self.given.lon),
            "lat": pa.array(self.given.lat),
            **filled,
        }
        return {name: columns[name] for name in INCIDENT_SCHEMA.names}

    def _with_ids(self, table: pa.Table, rows: Ints) -> pa.Table:
        """Name those that no column names."""
        unnamed = self._nameless()[rows]
        if not unnamed.any():
            return table
        chosen = table.filter(pa.array(unnamed))
        names = content_ids(
            chosen["occurred_at"].cast(pa.int64()).to_numpy(),
            chosen["category"].combine_chunks(),
            chosen["lon"].to_numpy(),
            chosen["lat"].to_numpy(),
        )
        ids = pc.replace_with_mask(table["incident_id"].combine_chunks(), pa.array(unnamed), names)
        return table.set_column(0, INCIDENT_SCHEMA.field("incident_id"), ids)


def incident_table(incidents: Iterable[Incident]) -> pa.Table:
    """Lay incidents out as `INCIDENT_SCHEMA`, in the order given."""
    rows = [incident.model_dump(exclude={"version"}) for incident in incidents]
    for row in rows:
        row["origin"], row["precision"] = str(row["origin"]), str(row["precision"])
    return pa.Table.from_pylist(rows, schema=INCIDENT_SCHEMA)


_RULES: Mapping[str, TypeAdapter[Any]] = {
    "incident_id": TypeAdapter(Name),
    "category": TypeAdapter(Category),
    "origin": TypeAdapter(Origin),
    "precision": TypeAdapter(Precision),
    "source": TypeAdapter(Name),
}
PLAIN_NAME = r"^[A-Za-z0-9_.:@/-]{1,64}$"  # what surely is a Name; others are asked one by one


def _allowed(field: str, texts: pa.Array) -> Mask:
    """Whether the contract takes each text; an absent one it need not judge."""
    if field == "incident_id":
        plain = pc.match_substring_regex(texts, PLAIN_NAME)
        return pc.fill_null(plain, True).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    coded = texts.dictionary_encode()
    good = np.array([*(_fits(field, text) for text in coded.dictionary.to_pylist()), True])
    return good[coded.indices.fill_null(len(good) - 1).to_numpy()]  # type: ignore[no-any-return]


def _fits(field: str, text: str) -> bool:
    try:
        _RULES[field].validate_python(text)
    except ValidationError:
        return False
    return True


def _constant(text: str, count: int) -> pa.DictionaryArray:
    codes = pa.array(np.zeros(count, np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array([text]))


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


def _us(moment: datetime) -> int:
    return pa.scalar(moment, TIME).value  # type: ignore[no-any-return]


def _moment(us: Any) -> str:
    return f"{np.datetime64(int(us), 'us')}+00:00"
