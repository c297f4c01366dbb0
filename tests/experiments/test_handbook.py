"""The Handbook's comparison: its shape on made-up payments, its rival against pandas, its folds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.sources import real_data_folder
from experiments.handbook import METRICS, PUBLISHED, TEST_STARTS, ground, run
from experiments.handbook_forest import BOOK_FEATURES, Payments, book_features
from training.splits import prequential_folds

REAL = real_data_folder()
needs_real_data = pytest.mark.skipif(
    not (REAL / "handbook" / "transactions.parquet").exists(),
    reason=f"the Handbook's transactions are not in {REAL / 'handbook'}",
)


def made_up(payments: int = 9_000, customers: int = 150, terminals: int = 80) -> pd.DataFrame:
    """Payments in the Handbook's columns: frauds cost five times as much, or share a terminal."""
    rng = np.random.default_rng(11)
    start = pd.Timestamp("2018-07-08")
    second = np.sort(rng.integers(0, 38 * 86_400, payments))
    terminal = rng.integers(0, terminals, payments)
    dear = rng.random(payments) < 0.01
    fraud = dear | ((terminal == 3) & (second > 10 * 86_400))
    amount = np.abs(rng.normal(50, 15, payments)) * np.where(dear, 5, 1) + 0.01
    return pd.DataFrame(
        {
            "TRANSACTION_ID": np.arange(payments),
            "TX_DATETIME": start + pd.to_timedelta(second, unit="s"),
            "CUSTOMER_ID": rng.integers(0, customers, payments),
            "TERMINAL_ID": terminal,
            "TX_AMOUNT": amount.round(2),
            "TX_TIME_SECONDS": second,
            "TX_TIME_DAYS": second // 86_400,
            "TX_FRAUD": fraud.astype(int),
            "TX_FRAUD_SCENARIO": fraud.astype(int),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("real")
    (found / "handbook").mkdir()
    made_up().to_parquet(found / "handbook" / "transactions.parquet")
    return found


def test_result_shows_every_row_and_the_promised_figures(folder: Path):
    told: list[float] = []
    result = run(quick=True, real_data=folder, progress=lambda _, share: told.append(share))
    heads = [row[0] for row in result.rows]
    assert {f"{name} (published)" for name in PUBLISHED} <= set(heads)
    assert heads[-4:-1] == ["random forest, re-run here", "Forewarn, untuned", "Forewarn"]
    assert all(len(row) == len(result.columns) for row in result.rows)
    figures = json.loads(json.dumps(dict(result.figures), allow_nan=False))
    for metric in METRICS:
        ends = figures["intervals"][metric]
        assert ends["low"] <= figures[metric] + 1e-4
        assert figures[metric] <= ends["high"] + 1e-4
    assert figures["folds"] == 1
    assert figures["auc"] > 0.7  # frauds this plain must be found
    assert told == sorted(told)


def test_labels_are_the_reports_and_rows_stay_in_order(folder: Path):
    field = ground(folder / "handbook", "2018-07-08")
    raw = pd.read_parquet(folder / "handbook" / "transactions.parquet")
    assert field.y.tolist() == raw.TX_FRAUD.tolist()
    assert field.amount.tolist() == pytest.approx(raw.TX_AMOUNT.tolist())
    assert (field.at == raw.TX_DATETIME.to_numpy().astype("datetime64[us]")).all()
    later = ground(folder / "handbook", "2018-08-01")
    assert later.y.size == (raw.TX_DATETIME >= "2018-08-01").sum()


def rolled(raw: pd.DataFrame) -> pd.DataFrame:
    """The book's own code path: pandas rolling windows over time, a group at a time."""
    out = pd.DataFrame(index=raw.index)
    out["TX_AMOUNT"] = raw.TX_AMOUNT
    out["TX_DURING_WEEKEND"] = raw.TX_DATETIME.dt.day_of_week >= 5
    out["TX_DURING_NIGHT"] = raw.TX_DATETIME.dt.hour <= 6
    for _, rows in raw.groupby("CUSTOMER_ID"):
        timed = rows.set_index("TX_DATETIME").TX_AMOUNT
        for d in (1, 7, 30):
            window = timed.rolling(f"{d}D")
            head = "CUSTOMER_ID_{}_" + f"{d}DAY_WINDOW"
            out.loc[rows.index, head.format("NB_TX")] = window.count().to_numpy()
            out.loc[rows.index, head.format("AVG_AMOUNT")] = window.mean().to_numpy()
    for _, rows in raw.groupby("TERMINAL_ID"):
        timed = rows.set_index("TX_DATETIME").TX_FRAUD
        count, fraud = timed.rolling("7D").count(), timed.rolling("7D").sum()
        for d in (1, 7, 30):
            window = timed.rolling(f"{d + 7}D")
            number = (window.count() - count).to_numpy()
            risk = (window.sum() - fraud).to_numpy() / np.maximum(number, 1)
            head = "TERMINAL_ID_{}_" + f"{d}DAY_WINDOW"
            out.loc[rows.index, head.format("NB_TX")] = number
            out.loc[rows.index, head.format("RISK")] = np.where(number > 0, risk, 0)
    return out[list(BOOK_FEATURES)].astype(float)


def test_rivals_features_equal_pandas_rolling_windows():
    raw = made_up(2_500, 30, 20)
    found = book_features(
        Payments(
            raw.TX_DATETIME.to_numpy().astype("datetime64[s]").astype(np.int64),
            raw.CUSTOMER_ID.to_numpy(),
            raw.TERMINAL_ID.to_numpy(),
            raw.TX_AMOUNT.to_numpy(),
            raw.TX_FRAUD.to_numpy(),
        )
    )
    expected = rolled(raw)
    for place, name in enumerate(BOOK_FEATURES):
        assert found[:, place] == pytest.approx(expected[name].to_numpy(), abs=1e-8), name


@pytest.mark.real_data
@needs_real_data
def test_real_folds_hold_what_they_should():
    raw = pd.read_parquet(REAL / "handbook" / "transactions.parquet").sort_values("TRANSACTION_ID")
    y = raw.TX_FRAUD.to_numpy()
    folds = prequential_folds(
        raw.TX_DATETIME.to_numpy(), raw.CUSTOMER_ID.to_numpy(), y, TEST_STARTS
    )
    assert [fold.train.size for fold in folds] == [67240, 66975, 67080, 67049]
    assert [fold.test.size for fold in folds] == [58264, 57937, 58337, 57604]
    assert [int(y[fold.test].sum()) for fold in folds] == [385, 387, 408, 422]
