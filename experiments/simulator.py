"""The simulated city: how fast, how it grows, how close to the figures it is calibrated to."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from data.simulator import City, simulate
from data.simulator.calibration import Measures, lead_precision, measure, victims
from data.simulator.rows import KINDS
from experiments.result import Result

__all__ = ["run"]

Progress = Callable[[str], None]
MEAN_LOSS_CNY = 1.28e9 / (120 * 365)  # Chongqing 2023: CNY 1.28 bn lost, about 120 cases a day


@dataclass(frozen=True)
class _Speed:
    """One history generated to Arrow tables in a process of its own."""

    subscribers: int
    days: int
    events: int
    wall_s: float
    cpu_s: float
    peak_mib: float


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Measure speed and growth, then compare the city with the figures of the field.

    Parameters
    ----------
    quick : bool
        Small cities; for the shape of the result, not for its figures.
    real_data : Path, optional
        Not used: there is no real set to compare single events with.
    progress : callable, optional
        Told what is being done.
    """
    del real_data
    tell = progress or (lambda _: None)
    cities = [(1_000, 4), (2_000, 4)] if quick else [(20_000, 60), (100_000, 10), (1_000_000, 2)]
    speeds = []
    for subscribers, days in cities:
        tell(f"{subscribers:,} subscribers over {days} days")
        speeds.append(_apart(subscribers, days))
    tell("calibration")
    table = list(_calibration(quick))
    return Result(
        title="Simulated city: speed, and calibration against the figures of the field",
        columns=("measure", "target", "simulated"),
        rows=[*(_speed_row(speed) for speed in speeds), *(row[:3] for row in table)],
        figures={
            "events_per_second": round(speeds[0].events / speeds[0].cpu_s),
            "events_per_second_wall": round(speeds[0].events / speeds[0].wall_s),
            "events": speeds[0].events,
            "peak_mib": round(speeds[0].peak_mib),
            "growth": [vars(speed) for speed in speeds],
            "calibration": {key: value for _, _, _, key, value in table},
        },
        notes=(
            "Events a second of one core's time, from seed to Arrow tables, a process a city.",
            "Targets: Ministry of Public Security 2023, Chongqing; what has none is assumed.",
            "Simulated: shows that the machinery works, not how well it will do in a real city.",
        ),
    )


def _apart(subscribers: int, days: int) -> _Speed:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_generate, subscribers, days).result()


def _generate(subscribers: int, days: int) -> _Speed:
    wall, cpu = time.perf_counter(), time.process_time()
    events = sum(batch.num_rows for batch in simulate(City(5, subscribers, days)).batches())
    return _Speed(
        subscribers=subscribers,
        days=days,
        events=events,
        wall_s=round(time.perf_counter() - wall, 2),
        cpu_s=round(time.process_time() - cpu, 2),
        peak_mib=round(_peak_mib(), 1),
    )


def _peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss is inherited from the parent across exec
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    scale = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def _speed_row(speed: _Speed) -> tuple[str, str, str]:
    rate = speed.events / speed.cpu_s
    name = f"{speed.subscribers:,} subscribers, {speed.days} days"
    found = f"{speed.events / 1e6:.2f} M events, {rate:,.0f}/s, {speed.peak_mib:,.0f} MiB"
    return name, "≥ 200,000/s", found


_Row = tuple[str, str, str, str, float]


def _calibration(quick: bool) -> Iterator[_Row]:
    """Rows of measure, target, found, key, number."""
    town = simulate(City(subscribers=2_000 if quick else 20_000, days=8 if quick else 30))
    yield from _volumes(measure(town), town.city)
    big = simulate(
        City(subscribers=10_000 if quick else 100_000, days=20 if quick else 60, seed=11)
    )
    found = victims(big)
    yield from _cases(found)
    told = found["report_delay_h"].dropna()
    yield _share("never reported", "35 % (assumed)", 1 - len(told) / len(found), "unreported")
    for quantile in (0.1, 0.5, 0.95):
        hours = float(told.quantile(quantile))
        name = f"report delay, {quantile:.0%} quantile"
        yield name, "hours to weeks", f"{hours:.1f} h", f"delay_h_{quantile}", round(hours, 2)
    yield _share("leads about a true victim", "imprecise", lead_precision(big), "lead_precision")
    approached = big.truth.group_by(["episode", "victim"]).aggregate([])["victim"].to_numpy()
    reached = float((~approached).sum() / approached.sum())
    yield "approached in vain for each victim", "most hang up", f"{reached:.1f}", "reach", reached


def _share(name: str, target: str, value: float, key: str) -> _Row:
    return name, target, f"{value:.1%}", key, round(float(value), 4)


def _volumes(found: Measures, city: City) -> Iterator[_Row]:
    daily = found.events / city.subscribers / city.days
    yield "events per subscriber and day", "2.5 to 4.2", f"{daily:.2f}", "daily", round(daily, 3)
    rate = 1000 * found.victim_events / found.events
    yield "victims' fraud events per 1,000", "near 1", f"{rate:.2f}", "base_rate", round(rate, 3)
    rate = 1000 * found.fraud_events / found.events
    yield "with those who hang up", "–", f"{rate:.2f}", "base_rate_all", round(rate, 3)
    for number, kind in enumerate(KINDS):
        share = found.by_hour[number].sum() / found.events
        yield _share(f"share of kind {kind}", "–", share, f"kind_{kind}")
    night = found.by_hour[:, :6].sum() / found.events
    yield _share("events from 0 to 6 o'clock", "rhythm", night, "night")
    weekend = found.adverts_by_weekday[5:].mean() / found.adverts_by_weekday[:5].mean()
    yield "adverts, weekend to working day", "rhythm", f"{weekend:.2f}", "weekend", float(weekend)


def _cases(found: pd.DataFrame) -> Iterator[_Row]:
    share = found["scam_type"].value_counts(normalize=True)
    yield _share("ten official types", "88 %", 1 - share["other"], "ten_types")
    for name, value in share.items():
        yield _share(f"type {name}", _target(str(name)), value, f"type_{name}")
    ages = found["age_band"].value_counts(normalize=True)
    yield _share("victims of 18 to 40", "62.1 %", ages["18-25"] + ages["26-40"], "age_18_40")
    yield _share("victims of 41 to 65", "33.1 %", ages["41-50"] + ages["51-65"], "age_41_65")
    loss = float(found["loss_cny"].mean())
    target = f"CNY {MEAN_LOSS_CNY:,.0f}"
    yield "mean loss a case", target, f"CNY {loss:,.0f}", "mean_loss_cny", round(loss, 2)
    median = found.groupby("scam_type")["loss_cny"].median()
    top = str(median.idxmax())
    yield "costliest type a case", "investment", top, "costliest_median_cny", float(median.max())
    total = found.groupby("scam_type")["loss_cny"].sum()
    part = float(total.max() / total.sum())
    yield f"largest share of loss: {total.idxmax()}", "rebate", f"{part:.1%}", "top_loss", part
    hours = float(np.median(found["hours"]))
    yield "first contact to last payment, median", "–", f"{hours:.1f} h", "episode_h", hours


def _target(scam_type: str) -> str:
    return {"rebate": "most", "other": "12 %"}.get(scam_type, "–")
