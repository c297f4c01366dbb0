"""Public data brought into our contracts: the Handbook, the Sichuan lines, Chicago's incidents."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp

from data.incident_history import in_order
from data.incident_intake import IncidentIntake
from data.tables import CODE, EVENT_SCHEMA, TIME

__all__ = ["REPORT_DELAY", "SourceError", "chicago", "handbook", "real_data_folder", "sichuan"]

REPORT_DELAY = timedelta(days=7)  # the Handbook's own delay of feedback
HANDBOOK = ("TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD")
CHICAGO = ("occurred_at", "category", "lat", "lon")
CHICAGO_ZONE = "America/Chicago"


class SourceError(ValueError):
    """A data set is missing or is not what its source describes."""


def real_data_folder(given: Path | None = None) -> Path:
    """Where the public data sets lie: as given, FOREWARN_REAL_DATA, or beside the repository."""
    if given is not None:
        return given
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("FOREWARN_REAL_DATA") or beside)


def handbook(path: Path) -> pa.Table:
    """The Fraud Detection Handbook's card transactions as transfers, its frauds as reports.

    Parameters
    ----------
    path
        ``transactions.parquet``, or the folder that holds it.

    Returns
    -------
    pyarrow.Table
        `EVENT_SCHEMA`, in order of ``known_at``, numbered from 0. The customer is the subscriber
        and the payer's account, the terminal is the counterpart, and a transaction is known when
        it happens (the Handbook's clock is read as UTC). Each fraud adds a report known 7 days
        later (``hb-r<id>``). TX_FRAUD_SCENARIO says how the frauds were made, and stays out.

    Raises
    ------
    SourceError
        If the file is missing or lacks a column.

    References
    ----------
    Le Borgne et al., Reproducible machine learning for credit card fraud detection (2022).
    """
    raw = _parquet(Path(path), "transactions.parquet", HANDBOOK)
    transfers = _transfers(raw)
    fraud = pc.equal(raw["TX_FRAUD"], 1)
    reports = _reports(transfers.filter(fraud), raw["TRANSACTION_ID"].filter(fraud))
    return _numbered(pa.concat_tables([transfers, reports]))


def sichuan(folder: Path) -> tuple[pd.DataFrame, sp.csr_array]:
    """Lines of a Sichuan operator, a third of them fraudsters', and who called whom.

    Parameters
    ----------
    folder
        Holds ``subscribers.parquet`` and ``calls_graph.npz``.

    Returns
    -------
    lines : DataFrame, shape (6106, 57)
        Hashed ``phone_no_m``, 55 features, ``label`` (1 is a fraudster's line).
    graph : csr_array, shape (6106, 6106)
        Symmetric, 1 where two lines called each other, rows as in `lines`, no loops.

    Raises
    ------
    SourceError
        If a file is missing or the two do not fit.
    """
    folder = Path(folder)
    lines = _parquet(folder, "subscribers.parquet", ("phone_no_m", "label")).to_pandas()
    upper = sp.csr_array(sp.load_npz(_file(folder, "calls_graph.npz")))
    if upper.shape != (len(lines), len(lines)):
        raise SourceError(
            f"expected a graph of {len(lines)} lines, found {upper.shape}; "
            "take both files from the same source"
        )
    both = sp.csr_array(((upper + upper.T) > 0).astype(np.int8))
    both.setdiag(0)
    both.eliminate_zeros()
    return lines, both


def chicago(path: Path) -> pa.Table:
    """Incidents reported in Chicago in 2016 and 2017, four categories.

    Parameters
    ----------
    path
        ``incidents.parquet``, or the folder that holds it.

    Returns
    -------
    pyarrow.Table
        `INCIDENT_SCHEMA`, sorted by (``occurred_at``, ``incident_id``). The file's clock is
        Chicago's; each incident is taken as known when it happened, and is named by its content.

    Raises
    ------
    SourceError
        If the file is missing, lacks a column, or holds what is no incident.

    References
    ----------
    City of Chicago, Crimes - 2001 to Present (open data portal).
    """
    raw = _parquet(Path(path), "incidents.parquet", CHICAGO).select(CHICAGO)
    door = IncidentIntake(zone=CHICAGO_ZONE, report_delay=timedelta(0))
    accepted, rejected = door.table(raw, source="chicago")
    if len(rejected):
        raise SourceError(
            f"expected incidents in every row, found {len(rejected)} that are none "
            f"({rejected.problems[0][0]}); take the file its source describes"
        )
    return in_order(accepted)


def _transfers(raw: pa.Table) -> pa.Table:
    count = raw.num_rows
    customers, terminals = raw["CUSTOMER_ID"].to_numpy(), raw["TERMINAL_ID"].to_numpy()
    when = raw["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.int64()).cast(TIME)
    columns: dict[str, Any] = {
        "event_id": _texts("hb-", raw["TRANSACTION_ID"]),
        "kind": _constant("transfer", count),
        "occurred_at": when,
        "known_at": when,
        "late": pa.repeat(False, count),
        "source": _constant("handbook", count),
        "subscriber": _coded(customers, "199{:08d}"),
        "account": _coded(customers, "hbc{}"),
        "counterpart": _coded(terminals, "hbt{}"),
        "channel": _constant("card", count),
        "amount_fen": np.rint(raw["TX_AMOUNT"].to_numpy() * 100).astype(np.int64),
        "limit_raised": pa.repeat(False, count),
    }
    return _events(columns, count)


def _reports(frauds: pa.Table, number: pa.ChunkedArray) -> pa.Table:
    count = frauds.num_rows
    known = pc.add(frauds["known_at"], pa.scalar(REPORT_DELAY, pa.duration("us")))
    terminal = frauds["counterpart"].cast(pa.string()).combine_chunks()
    one_each = pa.array(np.arange(count + 1), pa.int32())
    none = pa.array([[]] * count, pa.list_(pa.string()))
    columns: dict[str, Any] = {
        "event_id": _texts("hb-r", number),
        "kind": _constant("report", count),
        "occurred_at": frauds["occurred_at"],
        "known_at": known,
        "late": pa.repeat(True, count),
        "source": _constant("handbook", count),
        "subscriber": frauds["subscriber"],
        "scam_type": _constant("other", count),
        "loss_fen": frauds["amount_fen"],
        "first_contact_at": frauds["occurred_at"],
        "reported_at": known,
        "phones": none,
        "accounts": pa.ListArray.from_arrays(one_each, terminal),
        "apps": none,
    }
    return _events(columns, count)


def _numbered(table: pa.Table) -> pa.Table:
    known = table["known_at"].cast(pa.int64()).to_numpy()
    ordered = table.unify_dictionaries().combine_chunks()
    ordered = ordered.take(pa.array(np.argsort(known, kind="stable")))
    return ordered.set_column(0, EVENT_SCHEMA.field("seq"), pa.array(np.arange(len(known))))


def _events(columns: dict[str, Any], count: int) -> pa.Table:
    filled = [
        columns[field.name] if field.name in columns else pa.nulls(count, field.type)
        for field in EVENT_SCHEMA
    ]
    return pa.table(filled, schema=EVENT_SCHEMA)


def _texts(prefix: str, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(prefix, numbers.cast(pa.string()), "")


def _constant(text: str, count: int) -> pa.DictionaryArray:
    codes = pa.array(np.zeros(count, np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array([text]))


def _coded(numbers: np.ndarray, form: str) -> pa.DictionaryArray:
    distinct, place = np.unique(numbers, return_inverse=True)
    words = pa.array([form.format(number) for number in distinct], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), words).cast(CODE)


def _parquet(path: Path, name: str, needed: tuple[str, ...]) -> pa.Table:
    file = _file(path, name)
    try:
        table = pq.read_table(file, partitioning=None)
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"expected a Parquet file, found {file} damaged ({error}); copy it again"
        ) from error
    missing = [column for column in needed if column not in table.column_names]
    if missing:
        raise SourceError(
            f"expected the columns {', '.join(needed)} in {file}, found no {', '.join(missing)}; "
            "take the file its source describes"
        )
    return table


def _file(path: Path, name: str) -> Path:
    file = path if path.suffix == Path(name).suffix else path / name
    if not file.is_file():
        raise SourceError(
            f"expected the file {name}, found none at {file}; "
            "point FOREWARN_REAL_DATA at the folder of the data sets"
        )
    return file
