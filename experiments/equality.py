"""Live against bulk: a million simulated events, every number of every vector, bit by bit."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import valkey

from data.settings import Settings
from data.simulator import City, simulate
from data.stores import open_valkey
from data.tables import in_one_piece
from experiments.result import Result
from features.fraud import FRAUD_FEATURES
from features.replay import Certificate, certify, differences
from features.store import Batch, LiveStateSync

__all__ = ["run"]

Progress = Callable[[str], None]
ZONE = "Asia/Shanghai"
PIPELINED = 2_048
CHUNK = 200_000
RETRIED = 20


@dataclass
class _Tally:
    """What has been compared so far."""

    events: int = 0
    values: int = 0
    mismatches: int = 0
    retried: int = 0
    live_s: float = 0.0
    rebuild_s: float = 0.0
    certificates: list[Certificate] = field(default_factory=list)


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Observe a simulated city live in Valkey and replay every vector in bulk.

    Half way Valkey is emptied and its state rebuilt from the history; some events of every batch
    are sent again and must get the same vector without being counted twice.

    Parameters
    ----------
    quick : bool
        A few thousand events; for the shape of the result, not for its figures.
    real_data : Path, optional
        Not used.
    progress : callable, optional
        Told what is being done.
    """
    del real_data
    tell = progress or (lambda _: None)
    tell("simulating the city")
    table = _city(quick)
    with tempfile.TemporaryDirectory() as var:
        settings = replace(Settings.from_environment({}), var=Path(var))
        with open_valkey(settings) as url:
            tally = _compare(table, url, tell)
    return _result(table, tally)


def _city(quick: bool) -> pa.Table:
    city = City(subscribers=200, days=8) if quick else City(subscribers=7_000, days=46)
    return in_one_piece(list(simulate(city).batches()))


def _compare(table: pa.Table, url: str, tell: Progress) -> _Tally:
    with valkey.Valkey.from_url(url) as client:
        live = LiveStateSync(client, FRAUD_FEATURES, ZONE)
        tally = _Tally()
        size = min(CHUNK, -(-table.num_rows // 2))
        begins = range(0, table.num_rows, size)
        for begin in begins:
            end = min(begin + size, table.num_rows)
            if begin == begins[len(begins) // 2]:
                _restart(live, table.slice(0, begin), tally, tell)
            served = _observe(live, table.slice(begin, end - begin), tally)
            tell(f"{end:,} events observed, replaying the last {end - begin:,}")
            _certify(table.slice(0, end), served, tally)
            tell(f"{end:,} of {table.num_rows:,} events, {tally.mismatches} mismatches")
        return tally


def _restart(live: LiveStateSync, history: pa.Table, tally: _Tally, tell: Progress) -> None:
    tell(f"emptying Valkey and rebuilding {history.num_rows:,} events")
    start = time.perf_counter()
    live.client.flushall()
    live.rebuild(history)
    tally.rebuild_s = time.perf_counter() - start


def _observe(live: LiveStateSync, part: pa.Table, tally: _Tally) -> Batch:
    found = list(_batches(live, part, tally))
    return Batch(
        np.concatenate([batch.values for batch in found]),
        np.concatenate([batch.seq for batch in found]),
        np.concatenate([batch.now for batch in found]),
        np.concatenate([batch.repeated for batch in found]),
    )


def _batches(live: LiveStateSync, part: pa.Table, tally: _Tally) -> Iterator[Batch]:
    for begin in range(0, part.num_rows, PIPELINED):
        piece = part.slice(begin, PIPELINED)
        start = time.perf_counter()
        batch = live.observe_table(piece)
        tally.live_s += time.perf_counter() - start
        again = live.observe_table(piece.slice(0, RETRIED))
        apart = differences(again.values, np.ascontiguousarray(batch.values[: len(again.seq)]))
        tally.retried += len(again.seq)
        tally.mismatches += int(apart.sum()) + int((~again.repeated).sum())
        yield batch


def _certify(history: pa.Table, served: Batch, tally: _Tally) -> None:
    scored = ~np.isnan(served.values).all(axis=1)
    certificate = certify(
        history, (served.seq[scored], served.values[scored]), FRAUD_FEATURES, zone=ZONE
    )
    tally.events += len(served.seq)
    tally.values += certificate.values
    tally.mismatches += certificate.mismatches + len(certificate.missing)
    tally.certificates.append(certificate)


def _result(table: pa.Table, tally: _Tally) -> Result:
    late = int(np.count_nonzero(table["late"].to_numpy(zero_copy_only=False)))
    speed = tally.events / tally.live_s
    rows = [
        ("events observed live", f"{tally.events:,}"),
        ("of them late", f"{late:,}"),
        ("sent twice", f"{tally.retried:,}"),
        ("features", f"{len(FRAUD_FEATURES):,}"),
        ("numbers compared", f"{tally.values:,}"),
        ("mismatches", f"{tally.mismatches:,}"),
        ("live events a second, one connection, pipelined", f"{speed:,.0f}"),
        ("rebuild of half the history, s", f"{tally.rebuild_s:.1f}"),
    ]
    return Result(
        title="Live (Valkey) against bulk (Numba): simulated city, every vector bit by bit",
        columns=("measure", "value"),
        rows=rows,
        figures={
            "events": tally.events,
            "mismatches": tally.mismatches,
            "values": tally.values,
            "late": late,
            "retried": tally.retried,
            "live_events_per_second": round(speed),
            "rebuild_s": round(tally.rebuild_s, 1),
        },
        notes=(
            "Half way Valkey is emptied and rebuilt in bulk; what follows must still be equal.",
            "A mismatch: one number whose 64 bits differ, a lost vector, a repeat that counted.",
            "Reports are observed too; they get no vector.",
        ),
    )


if __name__ == "__main__":
    from experiments.result import print_result

    print_result(run(progress=lambda text: print(text, flush=True)))
