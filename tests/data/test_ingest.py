"""Files in every format, whole and broken: accepted, quarantined or refused; nothing lost."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, func, select

from data import formats
from data.columns import FIELDS, TableError
from data.database import SERVING, event_row, insert_events
from data.events import EVENT_TYPES
from data.history import History
from data.ingest import Ingest, Taken, ingest_file, opened, quarantined, replay_quarantine
from data.intake import Intake
from data.quarantine import Quarantine
from data.settings import Settings
from data.stores import StoreError
from data.tables import EVENT_SCHEMA

Records = list[dict[str, Any]]
KINDS = tuple(EVENT_TYPES)


@pytest.fixture
def records(record) -> Records:
    return [record(KINDS[number % 6], number) for number in range(60)]


@pytest.fixture
def ingest(engine: Engine, intake: Intake, tmp_path: Path) -> Ingest:
    return Ingest(intake, History(tmp_path / "history"), Quarantine(engine, intake))


def jsonl(path: Path, records: Records) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    return path


def comma(path: Path, records: Records) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for one in records:
            lists = {k: "|".join(v) for k, v in one.items() if isinstance(v, list)}
            writer.writerow({**one, **lists})
    return path


def parquet(path: Path, records: Records) -> Path:
    fields = [
        (field.name, pa.int64() if pa.types.is_integer(field.type) else field.type)
        for field in EVENT_SCHEMA
        if field.name in FIELDS
    ]
    rows = [
        {k: datetime.fromisoformat(v) if k.endswith("_at") else v for k, v in one.items()}
        for one in records
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), path)
    return path


WRITERS: dict[str, Callable[[Path, Records], Path]] = {
    ".jsonl": jsonl,
    ".csv": comma,
    ".parquet": parquet,
}
every = pytest.mark.parametrize("suffix", WRITERS)
every_text = pytest.mark.parametrize("suffix", [".jsonl", ".csv"])


def one_problem(ingest: Ingest) -> str:
    (held,) = ingest.quarantine.list()
    return str(held.problems[0])


@every
def test_every_format_brings_the_same_events(
    ingest: Ingest, intake: Intake, tmp_path: Path, records: Records, suffix: str
) -> None:
    told: list[float] = []
    path = WRITERS[suffix](tmp_path / f"file{suffix}", records)
    taken = ingest.file(path, lambda _, share: told.append(share))
    assert taken == Taken(accepted=60, late=0)
    assert told[-1] == pytest.approx(1.0)
    expected = [intake.one(one).model_dump() for one in records]
    for found, event in zip(ingest.history.read().to_pylist(), expected, strict=True):
        assert {name: found[name] for name in event if name in found} == {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in event.items()
            if name in found
        }


@every
def test_bringing_a_file_again_changes_nothing(
    ingest: Ingest, intake: Intake, tmp_path: Path, records: Records, suffix: str
) -> None:
    path = WRITERS[suffix](tmp_path / f"file{suffix}", [*records, *records[:5]])
    assert ingest.file(path) == Taken(accepted=60, duplicates=5)
    before = ingest.history.fingerprint()
    afresh = Ingest(intake, ingest.history, ingest.quarantine)
    assert afresh.file(path) == Taken(duplicates=65)
    assert ingest.history.fingerprint() == before


BAD: dict[str, dict[str, Any]] = {
    "missing": {"subscriber": None},
    "wrong type": {"subscriber": "nobody"},
    "negative": {"duration_s": -1},
    "huge": {"duration_s": 2**40},
    "future": {"occurred_at": "2099-01-01T00:00:00Z", "known_at": None},
    "past": {"occurred_at": "1969-01-01T00:00:00Z"},
    "extra": {"amount_fen": 5},
    "empty": {"counterpart": ""},
}


@every
@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_a_bad_record_goes_to_quarantine_alone(
    ingest: Ingest, tmp_path: Path, records: Records, record, suffix: str, changes: dict[str, Any]
) -> None:
    records[7:7] = [record("call", 999, **changes)]
    taken = ingest.file(WRITERS[suffix](tmp_path / f"file{suffix}", records))
    assert taken == Taken(accepted=60, refused=1)
    held = ingest.quarantine.list()
    assert len(held) == 1
    assert held[0].source == f"file:{suffix[1:]}"
    assert next(iter(changes)) in [problem.field for problem in held[0].problems]


LINES = [b"{", b"null", b"[]", b'"call"', b"\xff\xfe\xff", b'{"kind": "call"} x', b"{}{}", b"\0"]


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_a_line_that_is_no_record_goes_to_quarantine(
    ingest: Ingest, tmp_path: Path, records: Records, line: bytes
) -> None:
    path = jsonl(tmp_path / "file.jsonl", records)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:3], line, b"  ", *lines[3:], b""]))
    assert ingest.file(path) == Taken(accepted=60, refused=1)
    assert ingest.quarantine.list()[0].problems[0].field in {"record", "kind"}


def test_lines_end_as_they_may(ingest: Ingest, tmp_path: Path, records: Records) -> None:
    path = jsonl(tmp_path / "file.jsonl", records)
    text = path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text)
    assert ingest.file(path) == Taken(accepted=60)


def test_blocks_cut_lines_anywhere(
    ingest: Ingest, tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "BLOCK", 97)
    path = jsonl(tmp_path / "file.jsonl", records)
    assert ingest.file(path) == Taken(accepted=60)
    assert ingest.history.read()["event_id"].to_pylist() == [one["event_id"] for one in records]


def test_many_bad_lines_among_good_ones_keep_the_order(
    ingest: Ingest, tmp_path: Path, record
) -> None:
    mixed = [record("sms", n, **({} if n % 3 else {"direction": "up"})) for n in range(900)]
    taken = ingest.file(jsonl(tmp_path / "file.jsonl", mixed))
    assert taken == Taken(accepted=600, refused=300)
    good = [one["event_id"] for one in mixed if one["direction"] == "incoming"]
    assert ingest.history.read()["event_id"].to_pylist() == good


def test_ragged_and_foreign_lines_of_a_csv(
    ingest: Ingest, tmp_path: Path, records: Records
) -> None:
    path = comma(tmp_path / "file.csv", records)
    lines = path.read_bytes().splitlines(keepends=True)
    broken = lines[2].replace(b"incoming", b"\xff\xfe").replace(b"sms-1", b"sms-1x")
    path.write_bytes(b"".join([*lines[:3], b"a,b,c\n", broken, b"\n", *lines[3:]]))
    assert ingest.file(path) == Taken(accepted=60, refused=2)
    told = {str(held.problems[0]) for held in ingest.quarantine.list()}
    assert all("record: expected 30 cells of text in UTF-8" in one for one in told)
    assert {"bytes that are not UTF-8" in one for one in told} == {True, False}


@pytest.mark.parametrize("line", [b"\xff\xfe,\xff", b'a,"b', b"\0", b",".join([b'"'] * 99)])
def test_a_wild_csv_line_loses_no_other(
    ingest: Ingest, tmp_path: Path, records: Records, line: bytes
) -> None:
    path = comma(tmp_path / "file.csv", records)
    path.write_bytes(path.read_bytes() + line + b"\n")
    taken = ingest.file(path)
    assert (taken.accepted, taken.refused) == (60, 1)


SWALLOWS_AS_LAST_CELL = "call" + "," * (len(FIELDS) - 1) + '"x'
OPEN = ['"', 'a"b,"c', 'call,x"y,"', '"call', '"a"b,"c\r', SWALLOWS_AS_LAST_CELL]


@pytest.mark.parametrize("line", OPEN)
def test_an_open_quote_swallows_no_row_of_a_csv(
    ingest: Ingest, tmp_path: Path, records: Records, line: str
) -> None:
    path = comma(tmp_path / "file.csv", records[:3])
    header, *rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([header, line.encode() + b"\n", *rows]))
    assert ingest.file(path) == Taken(accepted=3, refused=1)
    assert "cells of text in UTF-8 on one line" in one_problem(ingest)


def test_quoted_cells_of_a_csv_are_read(ingest: Ingest, tmp_path: Path, records: Records) -> None:
    path = comma(tmp_path / "file.csv", records)
    quoted = [
        b",".join(b'"%b"' % cell for cell in line.split(b","))
        for line in path.read_bytes().splitlines()
    ]
    path.write_bytes(b"\r\n".join([*quoted[:9], b'"', *quoted[9:]]))
    assert ingest.file(path) == Taken(accepted=60, refused=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "BLOCK", 1_000)
    monkeypatch.setattr(formats, "LONGEST_LINE", 2_000)


@pytest.mark.usefixtures("small")
def test_one_document_is_not_json_lines(ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "file.jsonl").write_text("[" + " " * 5_000 + "]")
    assert ingest.file(tmp_path / "file.jsonl") == Taken(refused=1)
    assert one_problem(ingest) == (
        "record: expected one record a line, at most 2000 bytes, found a line of 5002 bytes; "
        "write one record a line, not one document, and bring the file again"
    )


@every_text
@pytest.mark.usefixtures("small")
def test_a_line_too_long_blocks_no_other(
    ingest: Ingest, tmp_path: Path, records: Records, suffix: str
) -> None:
    path = WRITERS[suffix](tmp_path / f"file{suffix}", records)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:8], b"x" * 7_001 + b"\n", *lines[8:], b"y" * 9_000]))
    assert ingest.file(path) == Taken(accepted=60, refused=2)
    told = str([held.problems for held in ingest.quarantine.list()])
    assert "a line of 7001 bytes" in told
    assert "a line of 9000 bytes" in told
    assert ingest.file(path) == Taken(duplicates=60, refused=2)
    assert ingest.quarantine.count() == 2


def test_a_line_too_long_is_stood_for_by_how_it_begins() -> None:
    line = formats.Overlong(b"13800138000\xff", 80_000_000, "ab")
    assert json.loads(line.stand_in) == {
        "beginning": "13800138000\N{REPLACEMENT CHARACTER}",
        "bytes": 80_000_000,
        "sha256": "ab",
    }
    assert "138" not in str(line.problem)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "expected records in .*, found an empty file"),
        ("empty.csv", b"", "found an empty file"),
        ("empty.parquet", b"", "found an empty file"),
        ("columns.csv", b"kind,event,when\ncall,a,b\n", "found no event_id, occurred_at, sub"),
        ("twice.csv", b"kind,event_id,kind,occurred_at,subscriber\n", "found kind twice"),
        ("latin.csv", b"kind,\xe9v\xe9nement\n", "expected a header in UTF-8"),
        ("text.parquet", b"kind,event_id\n", "found .* damaged"),
        ("what.xlsx", b"PK", r"expected a file that ends in .jsonl, .ndjson, .csv, .parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(
    ingest: Ingest, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError, match=message):
        ingest.file(path)
    assert ingest.history.next_seq == 0
    assert ingest.quarantine.count() == 0


def test_a_missing_file_is_told(ingest: Ingest, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="found none; correct the path"):
        ingest.file(tmp_path / "nowhere.csv")


def test_a_header_without_rows_is_nothing(ingest: Ingest, tmp_path: Path) -> None:
    assert ingest.file(comma(tmp_path / "file.csv", [])) == Taken()
    assert ingest.file(parquet(tmp_path / "file.parquet", [])) == Taken()
    (tmp_path / "file.jsonl").write_bytes(b"\n\n  \n")
    assert ingest.file(tmp_path / "file.jsonl") == Taken()


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95, 0.999])
def test_a_truncated_parquet_file_is_refused_and_mends(
    ingest: Ingest, tmp_path: Path, records: Records, keep: float
) -> None:
    path = parquet(tmp_path / "file.parquet", records)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(TableError, match="expected a whole"):
        ingest.file(path)
    path.write_bytes(whole)
    assert ingest.file(path) == Taken(accepted=60)


def test_a_spoilt_page_loses_nothing_before_it(
    ingest: Ingest, tmp_path: Path, records: Records
) -> None:
    path = parquet(tmp_path / "file.parquet", records)
    whole = bytearray(path.read_bytes())
    whole[4:400] = b"\0" * 396
    path.write_bytes(whole)
    with pytest.raises(TableError, match="bring it again: records that were taken in are known"):
        ingest.file(path)


def test_an_unsorted_file_is_counted(ingest: Ingest, tmp_path: Path, record) -> None:
    days = [3, 1, 2, 4]
    known = [record("sms", n, known_at=f"2026-03-0{day}T09:00:00Z") for n, day in enumerate(days)]
    taken = ingest.file(jsonl(tmp_path / "file.jsonl", known))
    assert taken == Taken(accepted=4, late=4, disordered=2)
    assert ingest.history.read()["seq"].to_pylist() == [0, 1, 2, 3]


def test_an_older_file_is_counted(ingest: Ingest, intake: Intake, tmp_path: Path, record) -> None:
    new = [record("sms", n, known_at=f"2026-03-0{n}T09:00:00Z") for n in (5, 6)]
    old = [record("sms", n, known_at=f"2026-03-0{n}T09:00:00Z") for n in (2, 3, 7)]
    assert ingest.file(jsonl(tmp_path / "new.jsonl", new)).disordered == 0
    afresh = Ingest(intake, ingest.history, ingest.quarantine)
    assert afresh.file(jsonl(tmp_path / "old.jsonl", old)).disordered == 2


def strange(rows: int, **columns: pa.Array) -> pa.Table:
    """Calls of which the first has what the columns say."""
    times = [datetime(2026, 3, 1, 10, tzinfo=UTC)] * rows
    plain = {
        "kind": ["call"] * rows,
        "event_id": [f"call-{n}" for n in range(rows)],
        "occurred_at": times,
        "known_at": times,
        "subscriber": ["13800138000"] * rows,
        "counterpart": ["10086"] * rows,
        "direction": ["incoming"] * rows,
        "duration_s": [60] * rows,
    }
    return pa.table({**plain, **columns})


def test_a_parquet_file_of_the_needed_columns_alone(ingest: Ingest, tmp_path: Path) -> None:
    pq.write_table(strange(3), tmp_path / "file.parquet")
    assert ingest.file(tmp_path / "file.parquet") == Taken(accepted=3)


def test_a_parquet_file_with_lists_for_texts(ingest: Ingest, tmp_path: Path) -> None:
    lists = pa.array([["a"], None], pa.list_(pa.string()))
    pq.write_table(strange(2, device=lists), tmp_path / "file.parquet")
    assert ingest.file(tmp_path / "file.parquet") == Taken(accepted=1, refused=1)
    assert "device" in one_problem(ingest)


@pytest.mark.parametrize(
    "texts", [pa.large_string(), pa.dictionary(pa.int8(), pa.large_string()), pa.binary()], ids=str
)
def test_texts_of_a_parquet_file_may_be_of_any_kind(
    ingest: Ingest, tmp_path: Path, texts: pa.DataType
) -> None:
    plain = texts.value_type if pa.types.is_dictionary(texts) else texts
    people = pa.array(["13800138000"] * 2).cast(plain)
    if pa.types.is_dictionary(texts):
        people = people.dictionary_encode()
    pq.write_table(strange(2, subscriber=people), tmp_path / "file.parquet")
    assert ingest.file(tmp_path / "file.parquet") == Taken(accepted=2)


STRANGE = {
    "date": ("occurred_at", pa.array([date(2026, 3, 1), None]), "a date"),
    "time": ("occurred_at", pa.array([time(10), None], pa.time32("s")), "a time"),
    "decimal": ("duration_s", pa.array([Decimal("60.5"), None], pa.decimal128(9, 1)), "a Decimal"),
    "duration": ("duration_s", pa.array([timedelta(seconds=60), None]), "a timedelta"),
    "half": ("duration_s", pa.array([60.5, None], pa.float16()), "60.5"),
}


@pytest.mark.parametrize(("name", "column", "found"), STRANGE.values(), ids=STRANGE)
def test_a_value_of_a_strange_type_goes_to_quarantine(
    ingest: Ingest, tmp_path: Path, name: str, column: pa.Array, found: str
) -> None:
    """The second row is a message, which needs a time and has no duration."""
    rows = strange(2, kind=pa.array(["call", "sms"]), **{name: column})
    pq.write_table(rows, tmp_path / "file.parquet")
    accepted = 1 if name == "duration_s" else 0
    assert ingest.file(tmp_path / "file.parquet") == Taken(accepted=accepted, refused=2 - accepted)
    told = [str(problem) for held in ingest.quarantine.list() for problem in held.problems]
    assert any(f"found {found};" in one for one in told)


def test_halves_that_are_whole_are_numbers(ingest: Ingest, tmp_path: Path) -> None:
    halves = pa.array([60.0, 61.5, float("nan"), 62.0], pa.float16())
    pq.write_table(strange(4, duration_s=halves), tmp_path / "file.parquet")
    assert ingest.file(tmp_path / "file.parquet") == Taken(accepted=2, refused=2)
    assert ingest.history.read()["duration_s"].to_pylist() == [60, 62]


# --- a whole deployment


@pytest.fixture
def wrong(tmp_path: Path, record) -> Path:
    return jsonl(tmp_path / "file.jsonl", [record("call", 1), record("call", 2, duration_s=-7)])


def test_a_file_and_the_replay_of_its_refusals(settings: Settings, wrong: Path) -> None:
    assert ingest_file(wrong, settings) == Taken(accepted=1, late=0, refused=1)
    assert replay_quarantine(settings).refused == 1

    def mend(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "duration_s": abs(fields["duration_s"])}

    assert replay_quarantine(settings, mend=mend).passed == 1
    found = History(settings.var / "history").read()
    assert found["event_id"].to_pylist() == ["call-1", "call-2"]
    assert ingest_file(wrong, settings) == Taken(duplicates=1, refused=1)


def test_live_events_are_archived_before_a_file(
    settings: Settings, engine: Engine, intake: Intake, record, wrong: Path
) -> None:
    live = [intake.one(record("sms", n)) for n in range(3)]
    with engine.begin() as connection:
        insert_events(connection, [event_row(one, seq=n, late=False) for n, one in enumerate(live)])
    assert ingest_file(wrong, settings).accepted == 1
    found = History(settings.var / "history").read()
    assert found["event_id"].to_pylist() == ["sms-0", "sms-1", "sms-2", "call-1"]
    assert found["seq"].to_pylist() == [0, 1, 2, 3]


def test_no_file_while_the_service_numbers_events(
    settings: Settings, engine: Engine, wrong: Path
) -> None:
    with engine.connect() as worker:
        worker.scalar(select(func.pg_advisory_lock_shared(SERVING)))
        with pytest.raises(StoreError, match="expected no running service"):
            ingest_file(wrong, settings)
        with quarantined(settings) as looked_at:
            assert looked_at.count() == 0


def everything_written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            yield path, path.read_bytes()
        elif path.is_file():
            yield path, str(pq.read_table(path, partitioning=None).to_pylist()).encode()


def test_no_store_log_or_label_holds_a_raw_number(
    tmp_path: Path, record, raw_numbers, caplog: pytest.LogCaptureFixture
) -> None:
    """A run with its own PostgreSQL: history, quarantine, write-ahead log, server's log."""
    files = tmp_path / "files"
    files.mkdir()
    good = [record(kind, n) for n, kind in enumerate(KINDS)]
    bad = [record(kind, n, subscriber="13800138000x") for n, kind in enumerate(KINDS)]
    var = tmp_path / "var"
    settings = Settings(var=var)
    for suffix, write in WRITERS.items():
        ingest_file(write(files / f"file{suffix}", good + bad), settings)
    with opened(settings) as one:
        assert one.quarantine.count() == 6  # the same records, whatever file they came in
        held = [str(problem) for row in one.quarantine.list() for problem in row.problems]
    leaks = [
        (path, raw)
        for path, content in everything_written(var)
        for raw in raw_numbers
        if raw.encode() in content
    ]
    assert leaks == []
    said = caplog.text + str(held)
    assert not [raw for raw in raw_numbers if raw in said]
