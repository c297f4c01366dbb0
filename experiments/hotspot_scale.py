"""How time and memory of a patrol map grow: to 10 million incidents and a million cells.

Each size runs in a process of its own, which tells seconds and peak memory of features, fit and
surface. Places are drawn from a heavy-tailed law over a square of cells: simulated, for speed only.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data.incidents import INCIDENT_SCHEMA
from experiments.predspot_rival import PredspotError, PredspotSettings, predspot_forecasts
from experiments.result import Result
from features.grid import Grid
from features.hotspot import Log, Panel
from features.shifts import Shifts
from models.hotspot import HotspotConfig, HotspotModel, periods

__all__ = ["run"]

Progress = Callable[[str, float], None]
ROOT = Path(__file__).resolve().parent.parent
END = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 730
PERIODS = 12
CATEGORIES = ("theft", "battery", "damage")
ZONE = "Asia/Shanghai"
GIB = 1 << 20  # getrusage counts in KiB


@dataclass(frozen=True)
class Size:
    """How many incidents on how many cells."""

    incidents: int
    cells: int


SIZES = (
    Size(100_000, 10_000),
    Size(1_000_000, 10_000),
    Size(1_000_000, 100_000),
    Size(10_000_000, 100_000),
    Size(10_000_000, 1_000_000),
)
QUICK = (Size(20_000, 2_000), Size(80_000, 2_000))
PREDSPOT = PredspotSettings(lags=4, places=1_000, rows=20_000, selecting_trees=5, budget_s=600.0)


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Measure every size; the smallest also with predspot.

    Parameters
    ----------
    quick : bool
        Two small sizes, without predspot.
    real_data : Path, optional
        Not used.
    progress : callable, optional
        Told what is being done, and the share done.
    """
    del real_data
    tell = progress or (lambda _sentence, _share: None)
    sizes = QUICK if quick else SIZES
    found: list[Mapping[str, float]] = []
    for number, size in enumerate(sizes):
        tell(f"{size.incidents:,} incidents, {size.cells:,} cells", number / len(sizes))
        found.append(_measured(size))
    rival = None if quick else _predspot(sizes[0], tell)
    return _result(sizes, found, rival, quick)


def _measured(size: Size) -> Mapping[str, float]:
    """One size, in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "experiments.hotspot_scale", json.dumps(asdict(size))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: Mapping[str, float] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return answer


def main(text: str) -> None:
    """Measure in this process, and print what was found as JSON."""
    size = Size(**json.loads(text))
    table = incidents(size)
    made = _peak()
    clock = [time.perf_counter()]
    shifts = Shifts((0, 8, 16), ZONE)
    grid = Grid.over(table["lon"].to_numpy(), table["lat"].to_numpy(), 250.0)
    log = Log.of(table, grid, shifts)
    config = replace(HotspotConfig(), periods=PERIODS, moves=())
    last = Shifts.number_of(END.date())
    past = periods(log, last, config)
    clock.append(time.perf_counter())
    model = HotspotModel.fit([past], config)
    clock.append(time.perf_counter())
    forecast = model.forecast(Panel(log, last))
    clock.append(time.perf_counter())
    steps = dict(zip(("features", "fit", "surface"), np.diff(clock).tolist(), strict=True))
    print(
        json.dumps(
            {
                **steps,
                "seconds": clock[-1] - clock[0],
                "gib": _peak(),
                "gib_before": made,
                "cells": len(grid),
                "expected": float(forecast.expected.sum()),
            }
        )
    )


def incidents(size: Size, seed: int = 3) -> pa.Table:
    """Draw incidents: each cell of a square has a heavy-tailed rate, times are uniform."""
    rng = np.random.default_rng(seed)
    side = int(np.sqrt(size.cells))
    weight = rng.pareto(1.2, side * side) + 0.2
    cell = rng.choice(side * side, size.incidents, p=weight / weight.sum())
    # a quarter kilometre is so many degrees at 29.5 degrees north
    east, north = 250 / 96_900, 250 / 110_850
    lon = 106.5 + (cell % side - side / 2 + rng.random(size.incidents)) * east
    lat = 29.5 + (cell // side - side / 2 + rng.random(size.incidents)) * north
    start = int((END - timedelta(days=DAYS)).timestamp() * 1_000_000)
    when = np.sort(rng.integers(0, DAYS * 86_400, size.incidents)) * 1_000_000 + start
    moments = pa.array(when).cast(pa.timestamp("us", tz="UTC"))
    code = rng.choice(len(CATEGORIES), size.incidents, p=[0.5, 0.3, 0.2]).astype(np.int32)
    columns = {
        "incident_id": pa.array(np.arange(size.incidents)).cast(pa.string()),
        "occurred_at": moments,
        "known_at": moments,
        "category": pa.DictionaryArray.from_arrays(pa.array(code), pa.array(CATEGORIES)),
        "lon": pa.array(lon),
        "lat": pa.array(lat),
        "origin": _constant("reported", size.incidents),
        "precision": _constant("minute", size.incidents),
        "source": _constant("simulated", size.incidents),
    }
    return pa.table(columns, schema=INCIDENT_SCHEMA)


def _constant(text: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


def _predspot(size: Size, tell: Progress) -> float | str:
    """Seconds of predspot for one category of the smallest size, or why there are none."""
    tell(f"predspot 1.0: {size.incidents:,} incidents, one category", 0.95)
    table = incidents(size)
    frame = pd.DataFrame(
        {
            "lon": table["lon"].to_numpy(),
            "lat": table["lat"].to_numpy(),
            "time": table["occurred_at"].to_pandas(),
            "category": table["category"].cast(pa.string()).to_pandas(),
        }
    )
    grid = Grid.over(frame["lon"], frame["lat"], 250.0)
    try:
        return predspot_forecasts(frame, [END], grid, CATEGORIES[0], PREDSPOT).seconds
    except PredspotError as error:
        return str(error)


def _result(
    sizes: Sequence[Size],
    found: Sequence[Mapping[str, float]],
    rival: float | str | None,
    quick: bool,
) -> Result:
    rows = [
        (
            f"{size.incidents:,}",
            f"{one['cells']:,}",
            *(f"{one[step]:.1f}" for step in ("features", "fit", "surface", "seconds")),
            f"{one['gib']:.1f}",
        )
        for size, one in zip(sizes, found, strict=True)
    ]
    work = np.log(
        [size.incidents + 25 * one["cells"] for size, one in zip(sizes, found, strict=True)]
    )
    spent = np.log([one["seconds"] for one in found])
    growth = float(np.polyfit(work, spent, 1)[0])
    notes = [
        f"{PERIODS} past weeks, three categories, three shifts; seconds include compiling once",
        f"growth: time grows as (incidents + 25 x cells) to the power {growth:.2f}; 1 is linear",
    ]
    figures: dict[str, Any] = {
        "sizes": [
            {"incidents": size.incidents, **one} for size, one in zip(sizes, found, strict=True)
        ],
        "growth": growth,
        "quick": quick,
        "predspot_seconds": rival if isinstance(rival, float) else None,
    }
    if isinstance(rival, float):
        ours = found[0]["seconds"]
        figures["ratio_to_predspot"] = rival / ours
        notes.append(
            f"predspot 1.0 on the smallest size: {rival:.0f} s for one category of whole days, its "
            f"1,000 busiest cells; ours {ours:.0f} s for three categories by three shifts on all"
        )
    elif rival is not None:
        notes.append(f"predspot 1.0: {rival}")
    return Result(
        "Time and memory of a patrol map (simulated places)",
        ("incidents", "cells", "features s", "fit s", "surface s", "all s", "peak GiB"),
        rows,
        figures,
        notes,
    )


if __name__ == "__main__":
    main(sys.argv[1])
