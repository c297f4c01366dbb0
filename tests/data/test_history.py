from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.history import History, HistoryError
from data.intake import Intake, is_late
from data.pseudonyms import Pseudonymiser
from data.tables import EVENT_SCHEMA, from_events

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, 23, 59, 58, tzinfo=UTC)


@pytest.fixture(scope="module")
def events(record) -> pa.Table:
    intake = Intake(Pseudonymiser(bytes(32)), clock=lambda: START + 9 * DAY)
    kinds = ["call", "sms", "app", "transfer", "report", "lead"] * 5
    facts = [
        intake.one(record(kind, number, known_at=(START + number * timedelta(hours=3)).isoformat()))
        for number, kind in enumerate(kinds)
    ]
    return from_events(facts, late=[is_late(fact) for fact in facts])


def filled(root: Path, events: pa.Table, cuts: list[int]) -> History:
    history = History(root)
    edges = sorted({0, *cuts, len(events)})
    for start, end in pairwise(edges):
        history.append(events.slice(start, end - start))
    return history


def test_what_went_in_comes_out(tmp_path: Path, events: pa.Table) -> None:
    history = filled(tmp_path, events, [7, 20])
    assert history.read().to_pylist() == events.to_pylist()
    assert history.read().schema == EVENT_SCHEMA
    assert history.next_seq == len(events)
    assert history.days() == [date(2026, 3, 1) + day * DAY for day in range(5)]


def test_reading_obeys_known_at(tmp_path: Path, events: pa.Table) -> None:
    history = filled(tmp_path, events, [])
    middle = events["known_at"][10].as_py()
    before = history.read(before=middle, columns=["event_id"])["event_id"].to_pylist()
    since = history.read(since=middle, columns=["event_id"])["event_id"].to_pylist()
    assert before == events["event_id"][:10].to_pylist()
    assert before + since == events["event_id"].to_pylist()
    both = history.read(since=middle, before=middle + timedelta(hours=6))
    assert both["seq"].to_pylist() == [10, 11]


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=6))
def test_the_fingerprint_is_of_the_content(events: pa.Table, cuts: list[int]) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        whole, parts = filled(Path(one), events, []), filled(Path(other), events, cuts)
        assert whole.fingerprint() == parts.fingerprint()
        middle = events["known_at"][12].as_py()
        assert parts.fingerprint(before=middle) == whole.fingerprint(before=middle)
        assert parts.fingerprint(before=middle) != whole.fingerprint()


@pytest.mark.parametrize("column", ["amount_fen", "late", "subscriber", "phones", "known_at"])
def test_the_fingerprint_sees_every_change(tmp_path: Path, events: pa.Table, column: str) -> None:
    place = events.schema.get_field_index(column)
    rows = events.to_pylist()
    rows[4][column] = {
        "amount_fen": 1,
        "late": not rows[4]["late"],
        "subscriber": "tel_" + "f" * 32,
        "phones": ["tel_" + "f" * 32, "x"],
        "known_at": rows[4]["known_at"] + timedelta(microseconds=1),
    }[column]
    changed = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
    assert changed.column(place) != events.column(place)
    one = filled(tmp_path / "one", events, []).fingerprint()
    assert filled(tmp_path / "other", changed, []).fingerprint() != one


def test_order_of_arrival_wins_over_days(tmp_path: Path, events: pa.Table) -> None:
    backwards = events.take(pa.array(np.arange(len(events))[::-1]))
    backwards = backwards.set_column(0, "seq", pa.array(np.arange(len(events))))
    history = filled(tmp_path, backwards.cast(EVENT_SCHEMA), [11])
    found = history.read(columns=["seq", "event_id"])
    assert found["event_id"].to_pylist() == events["event_id"].to_pylist()[::-1]


def test_numbers_must_go_on(tmp_path: Path, events: pa.Table) -> None:
    history = filled(tmp_path, events.slice(0, 10), [])
    with pytest.raises(HistoryError, match="expected seq ascending from 10 or later, found 5"):
        history.append(events.slice(5, 10))


def test_another_schema_is_shown_as_a_difference(tmp_path: Path, events: pa.Table) -> None:
    with pytest.raises(HistoryError, match=r"missing \['late'\], unknown \['x'\]"):
        History(tmp_path).append(events.drop_columns("late").append_column("x", events["seq"]))


def test_a_damaged_part_is_named(tmp_path: Path, events: pa.Table) -> None:
    history = filled(tmp_path, events, [])
    part = history.parts()[1]
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(HistoryError, match=f"found {part} damaged"):
        history.read()


@pytest.mark.parametrize("renamed", range(4))
def test_an_append_cut_short_is_repeated_whole(
    tmp_path: Path, events: pa.Table, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    history = filled(tmp_path, events.slice(0, 4), [])
    shuffled = np.random.default_rng(0).permutation(np.arange(4, len(events)))
    rest = events.take(pa.array(shuffled))
    rest = rest.set_column(0, EVENT_SCHEMA.field("seq"), pa.array(range(4, len(events))))
    rename, done = Path.rename, []

    def crash(draft: Path, part: Path) -> Path:
        if len(done) == renamed:
            raise OSError("power cut")
        done.append(part)
        return rename(draft, part)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(OSError, match="power cut"):
            history.append(rest)
    opened = History(tmp_path)
    assert opened.next_seq == 4
    assert opened.read().to_pylist() == events.slice(0, 4).to_pylist()
    opened.append(rest)
    assert opened.read().to_pylist() == [*events.slice(0, 4).to_pylist(), *rest.to_pylist()]
    assert opened.next_seq == len(events)


def test_a_draft_cut_short_leaves_nothing(
    tmp_path: Path, events: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: pa.Table, draft: Path, **how: str) -> None:
        draft.write_bytes(b"PAR1")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", fail)
        with pytest.raises(OSError, match="disk full"):
            History(tmp_path).append(events)
    assert History(tmp_path).days() == []
    assert list(History(tmp_path).batches()) == []
    whole = filled(tmp_path, events, [])
    assert whole.read().to_pylist() == events.to_pylist()
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith("day=")]


def test_an_empty_history_reads_as_no_events(tmp_path: Path, events: pa.Table) -> None:
    history = History(tmp_path / "nowhere")
    history.append(events.slice(0, 0))
    assert len(history.read()) == 0
    assert history.next_seq == 0
    assert history.read(columns=["kind"]).column_names == ["kind"]
    assert len(history.fingerprint()) == 64
