"""How many records a second the door lets in, by columns and by rows.

The bulk path screens whole columns with rules derived from the contracts; the rival is the contract
itself, record by record. Both conceal every identifier, and both give the same events.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.history import History
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.simulator import City, simulate
from data.tables import EVENT_SCHEMA, in_one_piece
from experiments.result import Result

__all__ = ["run"]

KEY = bytes(range(32))
BY_ROWS = 20_000
SPOILT = 1_000  # one record in so many is made wrong in a second pass
DAYS_AT_ONCE = 4  # of the simulated city, in one table


@dataclass
class Speeds:
    """Records, and seconds of the processor and of the wall, by what was done with them."""

    records: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def clock(self, name: str, records: int) -> Iterator[None]:
        """Add a block's time to a name."""
        began, wall = time.process_time(), time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.records[name] = self.records.get(name, 0) + records

    def rate(self, name: str) -> float:
        """Records a second of one core."""
        return self.records[name] / max(self.seconds[name], 1e-9)


def run(
    *,
    quick: bool = False,
    real_data: Path | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Result:
    """Measure the intake of a simulated city.

    Parameters
    ----------
    quick
        A small city.
    real_data
        Not used: no public data set holds such events.
    progress
        Told a sentence and the share done.

    Returns
    -------
    Result
        Records a second by columns, by columns and into the history, with one record in a
        thousand spoilt, and by rows.
    """
    del real_data
    city = City(subscribers=2_000, days=12) if quick else City(subscribers=20_000, days=60)
    speeds = Speeds()
    with tempfile.TemporaryDirectory() as folder:
        door = _Door(speeds, History(Path(folder)))
        for number, table in enumerate(_tables(city)):
            door.take(table)
            if progress is not None:
                done = min(1.0, (number + 1) * DAYS_AT_ONCE / city.days)
                progress(f"{speeds.records['columns']:,} records", done)
    return _result(speeds)


class _Door:
    """Sends one table through every path, and checks that they agree."""

    def __init__(self, speeds: Speeds, history: History) -> None:
        self.speeds = speeds
        self.history = history
        self.intake = Intake(Pseudonymiser(KEY), clock=lambda: datetime(2099, 1, 1, tzinfo=UTC))
        self.intake.table(EVENT_SCHEMA.empty_table())  # what is imported on first use is not speed

    def take(self, table: pa.Table) -> None:
        """Measure one table."""
        with self.speeds.clock("columns", len(table)):
            accepted, rejected = self.intake.table(table, first_seq=self.history.next_seq)
        if len(rejected):
            raise AssertionError(f"the simulator broke a contract: {rejected.problems[0]}")
        with self.speeds.clock("history", len(table)):
            self.history.append(accepted)
        self._spoilt(table)
        if self.speeds.records.get("rows", 0) < BY_ROWS:
            self._by_rows(table, accepted)

    def _spoilt(self, table: pa.Table) -> None:
        place = table.schema.get_field_index("event_id")
        bad = pa.array([number % SPOILT == 0 for number in range(len(table))])
        ids = pc.if_else(bad, "no spaces here", table["event_id"])
        spoilt = table.set_column(place, "event_id", ids)
        with self.speeds.clock("spoilt", len(table)):
            _, rejected = self.intake.table(spoilt, first_seq=0)
        if len(rejected) != pc.sum(bad).as_py():
            raise AssertionError("not every spoilt record was refused")

    def _by_rows(self, table: pa.Table, accepted: pa.Table) -> None:
        rows = [_said(row) for row in table.slice(0, BY_ROWS).to_pylist()]
        with self.speeds.clock("rows", len(rows)):
            events = [self.intake.one(row) for row in rows]
        same = accepted.slice(0, len(rows))
        if same["subscriber"].to_pylist() != [event.subscriber for event in events]:
            raise AssertionError("columns and rows disagree")


def _said(row: dict[str, Any]) -> dict[str, Any]:
    ours = {"seq", "late"}
    return {name: value for name, value in row.items() if value is not None and name not in ours}


def _tables(city: City) -> Iterator[pa.Table]:
    days: list[pa.Table] = []
    for batch in simulate(city).batches():
        days.append(batch)
        if len(days) == DAYS_AT_ONCE:
            yield _one(days)
            days = []
    if days:
        yield _one(days)


def _one(days: list[pa.Table]) -> pa.Table:
    return in_one_piece(days)


PATHS = {
    "columns": "by columns: judged, concealed, marked",
    "spoilt": "by columns, one record in a thousand wrong",
    "both": "by columns, and written into the history",
    "rows": "by rows: the contract, record by record",
}


def _result(speeds: Speeds) -> Result:
    speeds.records["both"] = speeds.records["columns"]
    speeds.seconds["both"] = speeds.seconds["columns"] + speeds.seconds["history"]
    speeds.wall["both"] = speeds.wall["columns"] + speeds.wall["history"]
    by_rows = speeds.rate("rows")
    rows = [
        (
            sentence,
            f"{speeds.records[name]:,}",
            f"{speeds.seconds[name]:,.1f}",
            f"{speeds.wall[name]:,.1f}",
            f"{speeds.rate(name):,.0f}",
            f"{speeds.rate(name) / by_rows:,.1f}",
        )
        for name, sentence in PATHS.items()
    ]
    return Result(
        title="Intake of a simulated city",
        columns=("path", "records", "core s", "wall s", "records/core s", "x rows"),
        rows=rows,
        figures={
            "records": speeds.records["columns"],
            "core_seconds": round(speeds.seconds["both"], 3),
            "wall_seconds": round(speeds.wall["both"], 3),
            "records_per_s": round(speeds.rate("both")),
            "columns_per_s": round(speeds.rate("columns")),
            "spoilt_per_s": round(speeds.rate("spoilt")),
            "rows_per_s": round(by_rows),
            "ratio": round(speeds.rate("columns") / by_rows, 1),
        },
        notes=(
            "Simulated events; every identifier becomes a keyed pseudonym on every path.",
            "Core seconds are processor time of all threads; making the events is not counted.",
        ),
    )
