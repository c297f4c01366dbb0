"""Events a second of the bulk engine, against DuckDB and Polars computing the same windows."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from data.tables import CODE, TIME
from experiments.result import Result
from features.frame import Frame
from features.plan import Plan, Span, compile_plan
from features.spec import FeatureSet, FeatureSpec
from features.windows import Job, bulk

__all__ = ["run"]

Progress = Callable[[str], None]
ROOT = Path(__file__).resolve().parents[1]
ZONE = "UTC"
HOURS = {"1h": 1, "24h": 24, "7d": 168, "30d": 720}
HOUR_US = 3_600_000_000
START_US = 1_700_000_000_000_000
DAYS = 90
THREADS = 2
SIZES = (1_000_000, 10_000_000)
REPEATS = 2
CHECKED = 20_000
ENGINES = ("forewarn", "polars", "duckdb")

WINDOWED = FeatureSet(
    tuple(
        FeatureSpec(key, what, "transfer", window, value)
        for key, what, value in (
            ("subscriber", "count", ""),
            ("subscriber", "sum", "amount"),
            ("subscriber", "distinct", ""),
            ("counterpart", "count", ""),
            ("counterpart", "sum", "amount"),
            ("counterpart", "distinct", ""),
        )
        for window in HOURS
    )
)
"""Twenty-four columns: counts, sums and exact distinct counts over four windows."""


@dataclass(frozen=True)
class Timing:
    """One engine at one size, in a process of its own: the better of two runs, and the first.

    The first run pays for memory that a virtual machine must fetch from its host page by page,
    which says more about the machine than about the engine.
    """

    engine: str
    events: int
    seconds: float
    first_s: float
    peak_mib: float
    data_mib: float


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Check that the engines agree, then time each at growing sizes.

    Parameters
    ----------
    quick : bool
        Small sizes; for the shape of the result, not for its figures.
    real_data : Path, optional
        Not used.
    progress : callable, optional
        Told what is being done.
    """
    del real_data
    tell = progress or (lambda _: None)
    tell("checking that the engines agree")
    compared = agree(2_000 if quick else CHECKED)
    timings = []
    for events in (5_000, 20_000) if quick else SIZES:
        for engine in ENGINES:
            timings.append(_apart(engine, events))
            tell(f"{engine}: {events:,} events in {timings[-1].seconds:.1f} s")
    return _result(timings, compared)


def agree(events: int) -> int:
    """Compare all engines on exact windows; the number of values compared.

    Our tiles are set to a microsecond, which makes the tile rule an exact window: the same engine,
    the definition that the others can express.

    Raises
    ------
    ValueError
        If any value differs.
    """
    table = payments(events)
    ours = Job(Frame(table, ZONE), _exact(compile_plan(WINDOWED)), THREADS, None)
    X = ours.run(lambda _: None).X
    for name, found in (("polars", with_polars(table)), ("duckdb", with_duckdb(table))):
        if not np.array_equal(X, found):
            where = np.argwhere(found != X)[0].tolist()
            raise ValueError(
                f"windows: expected {name} to agree, found another value at {where}: fix the query"
                " or the engine before comparing their speed"
            )
    return int(X.size)


def _exact(plan: Plan) -> Plan:
    states = {
        name: replace(
            state,
            spans=tuple(Span(1, span.tiles * span.tile_us) for span in state.spans),
        )
        for name, state in plan.states.items()
    }
    return replace(plan, states=states)


def payments(events: int, seed: int = 0) -> pa.Table:
    """Transfers in order of time, a moment each, with hot and quiet keys on both sides."""
    random = np.random.default_rng(seed)
    at = np.sort(random.choice(DAYS * 24 * HOUR_US // 1000, events, replace=False)) * 1000
    at = START_US + at
    who = _skewed(random, events, max(10, events // 200))
    whom = _skewed(random, events, max(10, events // 100))
    moments = pa.array(at, TIME)
    columns = {
        "seq": pa.array(np.arange(events)),
        "kind": pa.DictionaryArray.from_arrays(np.zeros(events, np.int32), ["transfer"]),
        "occurred_at": moments,
        "known_at": moments,
        "subscriber": _coded(who, "s"),
        "counterpart": _coded(whom, "c"),
        "amount_fen": pa.array(random.integers(100, 500_000, events)),
    }
    return pa.table(columns)


def _skewed(random: np.random.Generator, events: int, keys: int) -> NDArray[np.int64]:
    """Key ``k`` in proportion to ``1 / sqrt(k)``: a few hot, many quiet."""
    return (keys * random.random(events) ** 2).astype(np.int64)


def _coded(codes: NDArray[np.int64], letter: str) -> pa.Array:
    names = pa.array([f"{letter}{code}" for code in range(int(codes.max()) + 1)])
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), names).cast(CODE)


def with_forewarn(table: pa.Table) -> NDArray[np.float64]:
    """The bulk engine as training calls it."""
    return bulk(table, WINDOWED, zone=ZONE, threads=THREADS, repeats="trust").X


def with_duckdb(table: pa.Table) -> NDArray[np.float64]:
    """Window functions over ranges of integer microseconds."""
    columns, windows = [], []
    for key in ("subscriber", "counterpart"):
        for name, hours in HOURS.items():
            window = f"{key}_{name}"
            windows.append(
                f"{window} AS (PARTITION BY {key} ORDER BY t RANGE BETWEEN"
                f" {hours * HOUR_US} PRECEDING AND 1 PRECEDING)"
            )
    for key, what in _columns():
        columns += [what.format(over=f"OVER {key}_{name}") for name in HOURS]
    query = f"""
        WITH events AS (SELECT seq, epoch_us(occurred_at) AS t, amount_fen,
            subscriber::VARCHAR AS subscriber, counterpart::VARCHAR AS counterpart FROM payments)
        SELECT {", ".join(f"{column} AS x{n}" for n, column in enumerate(columns))}
        FROM events WINDOW {", ".join(windows)} ORDER BY seq
    """  # noqa: S608 - our own names only
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {THREADS}")
        connection.register("payments", table)
        found = connection.execute(query).fetchnumpy()
    return np.column_stack([np.ma.filled(column, 0.0) for column in found.values()])


def _columns() -> list[tuple[str, str]]:
    return [
        ("subscriber", "count(*) {over}"),
        ("subscriber", "coalesce(sum(amount_fen) {over}, 0) / 100.0"),
        ("subscriber", "count(DISTINCT counterpart) {over}"),
        ("counterpart", "count(*) {over}"),
        ("counterpart", "coalesce(sum(amount_fen) {over}, 0) / 100.0"),
        ("counterpart", "count(DISTINCT subscriber) {over}"),
    ]


def with_polars(table: pa.Table) -> NDArray[np.float64]:
    """Rolling groups by time: one pass of each window and key gives count, sum and distinct."""
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"polars: expected a DataFrame, found {type(frame).__name__}")
    columns = []
    for key, other in (("subscriber", "counterpart"), ("counterpart", "subscriber")):
        parts = [_rolled(frame, key, other, hours) for hours in HOURS.values()]
        for name in ("count", "sum", "distinct"):
            columns += [part[name].to_numpy() for part in parts]
    found = np.column_stack(columns).astype(np.float64)
    for first in (4, 16):
        found[:, first : first + 4] /= 100.0
    return found


def _rolled(frame: pl.DataFrame, key: str, other: str, hours: int) -> pl.DataFrame:
    rolled = frame.rolling("occurred_at", period=f"{hours}h", closed="left", group_by=key).agg(
        count=pl.len(),
        sum=pl.col("amount_fen").sum(),
        distinct=pl.col(other).n_unique(),
    )
    return frame.select(key, "occurred_at").join(
        rolled, on=[key, "occurred_at"], how="left", maintain_order="left"
    )


def measure(engine: str, events: int) -> Timing:
    """Time one engine on made payments, in this process."""
    table = payments(events)
    work = {"forewarn": with_forewarn, "polars": with_polars, "duckdb": with_duckdb}[engine]
    work(payments(1_000))
    before = _peak_mib()
    runs = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work(table)
        runs.append(time.perf_counter() - start)
    return Timing(engine, events, min(runs), runs[0], _peak_mib(), before)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(engine: str, events: int) -> Timing:
    program = (
        "import json, sys; from dataclasses import asdict; from experiments.windows import measure;"
        " print(json.dumps(asdict(measure(sys.argv[1], int(sys.argv[2])))))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, engine, str(events)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "POLARS_MAX_THREADS": str(THREADS)},
    )
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def _result(timings: list[Timing], compared: int) -> Result:
    largest = max(timing.events for timing in timings)
    at = {timing.engine: timing for timing in timings if timing.events == largest}
    speed = {engine: at[engine].events / at[engine].seconds for engine in ENGINES}
    ours = [timing for timing in timings if timing.engine == "forewarn"]
    growth = (ours[-1].seconds / ours[0].seconds) / (ours[-1].events / ours[0].events)
    rows = [
        (
            timing.engine,
            f"{timing.events:,}",
            f"{timing.seconds:.1f}",
            f"{timing.first_s:.1f}",
            f"{timing.events / timing.seconds:,.0f}",
            f"{timing.peak_mib:,.0f}",
        )
        for timing in timings
    ]
    return Result(
        title="Windows in bulk: 24 columns (count, sum, exact distinct; 1 h, 24 h, 7 d, 30 d)",
        columns=("engine", "events", "seconds", "first run, s", "events/s", "peak MiB"),
        rows=rows,
        figures={
            "ratio_polars": round(speed["forewarn"] / speed["polars"], 2),
            "ratio_duckdb": round(speed["forewarn"] / speed["duckdb"], 2),
            "events_per_second": round(speed["forewarn"]),
            "ratio_polars_first_run": round(at["polars"].first_s / at["forewarn"].first_s, 2),
            "ratio_duckdb_first_run": round(at["duckdb"].first_s / at["forewarn"].first_s, 2),
            "time_growth_per_event": round(growth, 2),
            "peak_mib": round(at["forewarn"].peak_mib),
            "values_compared": compared,
            "timings": [asdict(timing) for timing in timings],
        },
        notes=(
            "Two threads each, one process each, Arrow in, numpy out; the better of two runs.",
            "Peak includes the input.",
            f"{compared:,} values of exact windows agree between the three engines.",
            "Growth: time per event at the largest size over that at the smallest (1 is linear).",
        ),
    )


if __name__ == "__main__":
    from experiments.result import print_result

    print_result(run(quick="--quick" in sys.argv, progress=lambda text: print(text, flush=True)))
