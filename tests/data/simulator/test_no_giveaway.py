"""Nothing but the plot tells fraud from everyday life: no column, text, id or time does."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.simulator import Simulation
from data.tables import EVENT_SCHEMA


@pytest.fixture(scope="module")
def table(town: Simulation, history: pa.Table) -> pd.DataFrame:
    wanted = [
        *("event_id", "kind", "occurred_at", "known_at", "counterpart", "amount_fen", "late"),
        *("direction", "action", "channel", "source", "roaming", "foreign", "has_link"),
        *("has_code", "listed", "limit_raised", "account", "device", "subscriber"),
    ]
    frame = history.select(wanted).to_pandas()
    truth = town.truth.to_pandas().set_index("event_id")
    frame["fraud"] = frame["event_id"].isin(truth.index)
    return frame


def test_truth_is_not_in_the_event_table(town: Simulation, batches: list[pa.Table]) -> None:
    batch = batches[0]
    assert batch.schema.equals(EVENT_SCHEMA)
    apart = set(town.truth.column_names) - {"event_id", "known_at", "scam_type"}
    assert apart.isdisjoint(batch.column_names)
    assert batch.schema.metadata is None


def test_scam_type_is_only_in_reports_and_leads(history: pa.Table) -> None:
    told = history.filter(pc.is_valid(history["scam_type"]))
    assert set(told["kind"].to_pylist()) == {"report", "lead"}


def test_event_ids_show_neither_fraud_nor_order(table: pd.DataFrame) -> None:
    value = table["event_id"].str[:12].map(lambda text: int(text, 16)) / 16.0**12
    assert value[table["fraud"]].mean() == pytest.approx(0.5, abs=0.05)
    assert abs(np.corrcoef(value, np.arange(len(value)))[0, 1]) < 0.01


@pytest.mark.parametrize("kind", ["call", "sms", "app", "transfer"])
@pytest.mark.parametrize(
    "column",
    [
        *("direction", "action", "channel", "source", "roaming", "foreign", "has_link"),
        *("has_code", "listed", "limit_raised", "late"),
    ],
)
def test_no_value_is_fraudulent_by_itself(table: pd.DataFrame, kind: str, column: str) -> None:
    rows = table[(table["kind"] == kind) & table[column].notna()]
    for _, part in rows.groupby(column, observed=True):
        if part["fraud"].sum() >= 5:
            assert part["fraud"].mean() < 0.45


def test_absent_fields_are_the_same_for_both(table: pd.DataFrame) -> None:
    for _, rows in table.groupby("kind", observed=True):
        honest = rows.loc[~rows["fraud"]].notna().any()
        fraud = rows.loc[rows["fraud"]].notna().any()
        assert not (fraud & ~honest).any()


def test_texts_of_fraudsters_look_like_everybodys(table: pd.DataFrame) -> None:
    def shape(text: str) -> str:
        return f"{len(text)}{text.isdigit()}"

    for kind in ("call", "sms", "transfer"):
        rows = table[table["kind"] == kind].drop_duplicates("counterpart")
        shapes = rows["counterpart"].astype(str).map(shape)
        strange = set(shapes[rows["fraud"]]) - set(shapes[~rows["fraud"]])
        assert not strange
    mobiles = table[
        (table["kind"] == "call") & table["counterpart"].astype(str).str.match(r"^1\d{10}$")
    ]
    prefix = mobiles["counterpart"].astype(str).str[:3]
    share = mobiles.groupby(prefix)["fraud"].mean()
    assert share.max() < 0.06


def test_amounts_are_as_round_as_honest_ones(table: pd.DataFrame) -> None:
    large = table[(table["kind"] == "transfer") & (table["amount_fen"] > 100_000)]
    hundreds = large["amount_fen"] % 10_000 == 0
    fraud, honest = hundreds[large["fraud"]].mean(), hundreds[~large["fraud"]].mean()
    assert fraud == pytest.approx(honest, abs=0.12)


def test_fraud_is_known_no_sooner_or_later(table: pd.DataFrame) -> None:
    delay = (table["known_at"] - table["occurred_at"]).dt.total_seconds()
    for kind in ("call", "transfer"):
        rows = table["kind"] == kind
        fraud, honest = delay[rows & table["fraud"]], delay[rows & ~table["fraud"]]
        assert fraud.median() == pytest.approx(honest.median(), rel=0.3)
