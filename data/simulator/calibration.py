"""What a simulated city is like, in the figures by which it was calibrated."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data.simulator.city import AGE_BANDS, OFFSET
from data.simulator.rows import KINDS, SCAMS
from data.simulator.simulation import Simulation

__all__ = ["Measures", "lead_precision", "measure", "victims"]

Ints = NDArray[np.int64]
HOUR = 3600 * 1_000_000
FEN = 100


@dataclass(frozen=True, eq=False)
class Measures:
    """Volumes of a history.

    Attributes
    ----------
    events, victim_events, fraud_events : int
        All events; those between fraudsters and people who pay in the end; those between
        fraudsters and anybody.
    by_hour : ndarray of shape (6, 24)
        Events by kind and hour of the day in the city's zone.
    by_weekday : ndarray of shape (6, 7)
        Events by kind and day of the week, Monday first.
    adverts_by_weekday : ndarray of shape (7,)
        Messages with a link.
    """

    events: int
    victim_events: int
    fraud_events: int
    by_hour: Ints
    by_weekday: Ints
    adverts_by_weekday: Ints


def measure(simulation: Simulation, progress: Callable[[int], None] | None = None) -> Measures:
    """Count a history's events, one day in memory at a time."""
    by_hour = np.zeros((len(KINDS), 24), dtype=np.int64)
    by_weekday = np.zeros((len(KINDS), 7), dtype=np.int64)
    adverts = np.zeros(7, dtype=np.int64)
    for batch in simulation.batches():
        kind = _codes(batch["kind"])
        local = batch["occurred_at"].cast(pa.int64()).to_numpy() + OFFSET
        weekday = (local // (24 * HOUR) + 3) % 7  # 1970-01-01 was a Thursday
        np.add.at(by_hour, (kind, local // HOUR % 24), 1)
        np.add.at(by_weekday, (kind, weekday), 1)
        adverts += np.bincount(weekday[_flags(batch["has_link"])], minlength=7)
        if progress:
            progress(batch.num_rows)
    truth = simulation.truth
    return Measures(
        events=int(by_hour.sum()),
        victim_events=int(truth["victim"].to_numpy().sum()),
        fraud_events=truth.num_rows,
        by_hour=by_hour,
        by_weekday=by_weekday,
        adverts_by_weekday=adverts,
    )


def _codes(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.combine_chunks().indices.to_numpy(), dtype=np.int64)


def _flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(column.fill_null(False).to_numpy(), dtype=bool)


def victims(simulation: Simulation) -> pd.DataFrame:
    """One row per victim whose script begins in the history (the staged left out).

    Returns
    -------
    DataFrame
        Columns subscriber (position), scam_type, age_band, loss_cny, payments, events, hours
        (first contact to last payment) and report_delay_h (NaN: never reported).
    """
    rows, city = simulation.plot.rows, simulation.city
    begun = simulation.plot.begun(city.start_us, city.end_us - HOUR)
    touched = rows.where(np.flatnonzero(np.isin(rows["episode"], begun)))
    frame = pd.DataFrame(
        {
            "episode": touched["episode"],
            "subscriber": touched["subscriber"],
            "occurred": touched["occurred"],
            "paid": np.where(touched["amount"] > 0, touched["amount"], 0) * (touched["touch"] == 1),
            "touch": touched["touch"] == 1,
        }
    )
    mine = frame[frame["touch"]].groupby("episode")
    found = mine.agg(
        subscriber=("subscriber", "first"),
        first=("occurred", "min"),
        loss_cny=("paid", lambda fen: fen.sum() / FEN),
        payments=("paid", lambda fen: int((fen > 0).sum())),
        events=("paid", "size"),
    )
    found["last"] = frame[frame["paid"] > 0].groupby("episode")["occurred"].max()
    found["hours"] = (found["last"] - found["first"]) / HOUR
    found["report_delay_h"] = _delays(simulation)
    found["scam_type"] = np.array(SCAMS)[simulation.plot.scam_of(found.index.to_numpy())]
    bands = simulation.people.age_band[found["subscriber"].to_numpy()]
    found["age_band"] = np.array(AGE_BANDS)[bands]
    return found


def _delays(simulation: Simulation) -> "pd.Series[float]":
    rows = simulation.plot.rows
    told = rows.where(np.flatnonzero(rows["kind"] == KINDS.index("report")))
    return pd.Series((told["reported"] - told["occurred"]) / HOUR, index=told["episode"])


def lead_precision(simulation: Simulation) -> float:
    """Share of the leads that are about somebody who is being defrauded and pays."""
    rows = simulation.plot.rows
    leads = rows["episode"][rows["kind"] == KINDS.index("lead")]
    return float(np.isin(leads, simulation.plot.victims).mean())
