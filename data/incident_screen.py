"""The door of incidents applied to whole columns: a check by rows is too slow for millions.

What passes here `data.incident_intake` would let in, value for value. A row that is doubted goes to
`IncidentIntake.one`, which has the last word and the words for what is wrong: so the screen may be
too strict without harm, and must never be too lax.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from data.clock import AHEAD
from data.events import EARLIEST, LATEST, Name
from data.incident_columns import IncidentColumns
from data.incident_ids import content_ids
from data.incident_times import DAY_US, Times
from data.incidents import INCIDENT_SCHEMA, Category, Incident, Origin, Precision, incident_table
from data.places import SOUND, Extent
from data.tables import TIME

__all__ = ["DELAY", "IncidentScreen"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

US = timedelta(microseconds=1)
DELAY = "report_delay_s"  # what a refused past record carries beside its fields


class IncidentScreen:
    """Columns as they pass through the door.

    Parameters
    ----------
    columns
        What came in, in our types.
    source
        Who sent them, where no column says.
    extent, zone, report_delay
        As of the `IncidentIntake`.
    now
        Our clock, aware.

    Attributes
    ----------
    passed : bool array, shape (rows,)
        Rows that the door would let in.

    Examples
    --------
    >>> from datetime import UTC
    >>> from data.incident_columns import read_incident_columns
    >>> from data.places import EARTH
    >>> given = read_incident_columns(pa.table({"occurred_at": ["2026-03-01 22:10", "soon"],
    ...     "category": ["THEFT"] * 2, "lon": [106.55] * 2, "lat": [29.56] * 2}))
    >>> screen = IncidentScreen(given, "table", extent=EARTH, zone="Asia/Shanghai",
    ...     report_delay=timedelta(0), now=datetime(2026, 3, 2, tzinfo=UTC))
    >>> screen.passed, len(screen.joined({}))
    (array([ True, False]), 1)
    """

    def __init__(
        self,
        columns: IncidentColumns,
        source: str,
        *,
        extent: Extent,
        zone: str,
        report_delay: timedelta | None,
        now: datetime,
    ) -> None:
        self.given = columns
        self.source = source
        self.extent, self.zone, self.report_delay = extent, zone, report_delay
        self.now_us = _us(now)
        self.shifted, self.day = self._days()
        self.occurred = columns.occurred.moments(zone, self.shifted)
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
        if self.report_delay is None:
            known = np.full(len(self.given), self.now_us)
        else:
            ends = self.given.occurred.ends(self.zone, self.shifted)
            known = ends + self.report_delay // US
        said = self.given.known
        if said is None:
            return known, np.zeros(len(known), dtype=bool)
        return np.where(said.readable, self._said(said), known), said.readable

    def _said(self, said: Times) -> Ints:
        """Stated times; a day alone counts from its end, today's from now."""
        ends = said.ends(self.zone)
        today = said.days & (ends - DAY_US <= self.now_us) & (ends > self.now_us)
        return np.where(today, self.now_us, ends)

    def _sound(self) -> Mask:
        good: Mask = self.extent.judge(self.given.lon, self.given.lat) == SOUND
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
        return good & ~self._nameless() if self.report_delay is None else good

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
        if self.report_delay:
            draft[DELAY] = int(self.report_delay.total_seconds())
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


def _us(moment: datetime) -> int:
    return pa.scalar(moment, TIME).value  # type: ignore[no-any-return]


def _moment(us: Any) -> str:
    return f"{np.datetime64(int(us), 'us')}+00:00"
