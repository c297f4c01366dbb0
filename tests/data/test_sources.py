"""Public data in our contracts; their own files are needed for some of it."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from data.sources import REPORT_DELAY, SourceError, handbook, real_data_folder, sichuan
from data.tables import EVENT_SCHEMA, to_events

REAL = real_data_folder()
here = pytest.mark.skipif(not REAL.is_dir(), reason=f"the public data sets are not at {REAL}")


@pytest.fixture
def transactions(tmp_path: Path) -> Path:
    start = pd.Timestamp("2018-04-01")
    pd.DataFrame(
        {
            "TRANSACTION_ID": [0, 1, 2],
            "TX_DATETIME": [start, start + timedelta(days=9), start + timedelta(days=1)],
            "CUSTOMER_ID": [7, 8, 7],
            "TERMINAL_ID": [7, 9, 9],
            "TX_AMOUNT": [57.16, 0.1 + 0.2, 1_000.0],
            "TX_FRAUD": [0, 0, 1],
            "TX_FRAUD_SCENARIO": [0, 0, 2],
        }
    ).to_parquet(tmp_path / "transactions.parquet")
    return tmp_path


def test_transactions_become_transfers_and_frauds_reports(transactions: Path) -> None:
    events = handbook(transactions)
    assert events.schema == EVENT_SCHEMA
    assert events["event_id"].to_pylist() == ["hb-0", "hb-2", "hb-r2", "hb-1"]
    assert events["amount_fen"].to_pylist() == [5_716, 100_000, None, 30]
    rows = events.to_pylist()
    assert rows[2]["accounts"] == [rows[1]["counterpart"]]
    assert rows[2]["subscriber"] == rows[1]["subscriber"] == rows[0]["subscriber"]
    assert rows[2]["known_at"] - rows[1]["known_at"] == REPORT_DELAY
    assert rows[0]["account"] != rows[0]["counterpart"]
    assert len(to_events(events)) == 4


def test_the_scenario_stays_out(transactions: Path) -> None:
    shown = str(handbook(transactions).to_pylist()).lower()
    assert "scenario" not in shown


def test_a_missing_file_or_column_is_named(transactions: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected the file transactions"):
        handbook(tmp_path / "nowhere")
    file = transactions / "transactions.parquet"
    pq.write_table(pq.read_table(file).drop_columns("TX_AMOUNT"), file)
    with pytest.raises(SourceError, match="found no TX_AMOUNT"):
        handbook(file)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(SourceError, match="damaged"):
        handbook(file)


def test_the_graph_is_symmetric_and_fits_the_lines(tmp_path: Path) -> None:
    pq.write_table(pa.table({"phone_no_m": ["a", "b", "c"], "label": [0, 1, 0]}),
                   tmp_path / "subscribers.parquet")  # fmt: skip
    upper = sp.csr_array(np.array([[1, 2, 0], [0, 0, 0], [0, 0, 0]]))
    sp.save_npz(tmp_path / "calls_graph.npz", upper)
    lines, graph = sichuan(tmp_path)
    assert len(lines) == 3
    assert graph.toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    sp.save_npz(tmp_path / "calls_graph.npz", upper[:2, :2])
    with pytest.raises(SourceError, match="expected a graph of 3 lines"):
        sichuan(tmp_path)


@here
@pytest.mark.real_data
def test_the_handbook_is_as_published() -> None:
    events = handbook(REAL / "handbook")
    kinds = dict(pc.value_counts(events["kind"].cast(pa.string())).to_pylist()[i].values()
                 for i in range(2))  # fmt: skip
    assert kinds == {"transfer": 1_754_155, "report": 14_681}
    known = events["known_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(known) >= 0).all()
    assert events["seq"].to_pylist()[-1] == len(events) - 1


@here
@pytest.mark.real_data
def test_sichuan_is_as_published() -> None:
    lines, graph = sichuan(REAL / "sichuan")
    assert lines.shape == (6_106, 57)
    assert lines["label"].sum() == 1_962
    assert (graph != graph.T).nnz == 0
    assert graph.diagonal().sum() == 0
