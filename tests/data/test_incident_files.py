"""Any city's file: its columns are found, its good rows read, its bad ones kept."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import data.incident_files
from data.columns import TableError
from data.incident_files import ColumnMap, IncidentPortion, incident_portions
from data.incident_times import day_first_in, read_times

GOOD = "2026-03-01 10:00,THEFT,29.56,106.55"
HEAD = "date,type,lat,lon"


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., IncidentPortion]:
    def read(*lines: str, columns: ColumnMap | None = None, end: str = "\n") -> IncidentPortion:
        path = tmp_path / "city.csv"
        path.write_bytes((end.join(lines) + end).encode("utf-8", "surrogateescape"))
        parts = list(incident_portions(path, columns))
        table = pa.concat_tables([part.table for part in parts])
        return IncidentPortion(table, tuple(row for part in parts for row in part.broken))

    return read


@pytest.mark.parametrize(
    "names",
    [
        ["occurred_at", "category", "lat", "lon"],
        ["Date", "Primary Type", "Latitude", "Longitude"],
        ["INCIDENT_DATETIME", "OFFENSE", "LAT", "LNG"],
        ["time", "type", "latitude", "long"],
        ["datetime", "Incident Category", "latitude", "longitude"],
        ["案发时间", "案件类别", "纬度", "经度"],
        ["date", "occurred_at", "type", "category", "lat", "latitude", "lon"],
    ],
)
def test_common_names_are_recognised(names: list[str]) -> None:
    found = ColumnMap().resolve([*names, "ID", "Block", "Victim Name"])
    assert sorted(found.values()) == ["category", "lat", "lon", "occurred_at"]
    assert not {"ID", "Block", "Victim Name"} & set(found)


def test_columns_may_be_named() -> None:
    found = ColumnMap(
        time="t", category="k", lat="y", lon="x", id="ID", known="told", origin="how"
    ).resolve(["ID", "t", "k", "x", "y", "told", "how", "date", "type"])
    assert found == {
        "t": "occurred_at",
        "k": "category",
        "y": "lat",
        "x": "lon",
        "ID": "incident_id",
        "told": "known_at",
        "how": "origin",
    }


@pytest.mark.parametrize(
    ("columns", "names", "match"),
    [
        (
            ColumnMap(),
            ["date", "type", "x", "y"],
            r"column for lat, found none .*say which with --lat",
        ),
        (ColumnMap(), ["date", "time", "type", "lat", "lon"], r"found date, time for it among"),
        (ColumnMap(time="when"), ["date", "type", "lat", "lon"], r"column for time, found none"),
        (ColumnMap(lat="lat", lon="lat"), ["date", "type", "lat", "lon"], r"found lat for two"),
        (ColumnMap(), ["13800138000", "THEFT", "29.5"], r"among \(a name not shown\), THEFT,"),
        (ColumnMap(id="no"), ["date", "type", "lat", "lon"], r"column for id, found none"),
        (ColumnMap(), [], r"found none among no columns"),
    ],
)
def test_columns_that_cannot_be_told_are_asked_for(
    columns: ColumnMap, names: list[str], match: str
) -> None:
    with pytest.raises(TableError, match=match):
        columns.resolve(names)


def test_rows_of_another_shape_are_kept_aside(csv: Callable[..., IncidentPortion]) -> None:
    bad = ["2026-03-01,THEFT,29.56", GOOD + ",more", "", '2026-03-01,"THE', "\udcff\udcfe,a,b,c"]
    read = csv(HEAD, GOOD, *bad, GOOD)
    assert len(read.table) == 2
    assert sorted(line for line, _ in read.broken) == sorted(
        line.encode("utf-8", "surrogateescape") for line in bad if line
    )
    assert all("a row of 4 cells" in str(problem) for _, problem in read.broken)


def test_a_cell_may_hold_commas_quotes_and_ends_of_lines(
    csv: Callable[..., IncidentPortion],
) -> None:
    read = csv(
        "date,address,type,lat,lon",
        '2026-03-01 10:00,"12, ""Main"" St\nUpper floor\nCity",THEFT,29.56,106.55',
        '2026-03-01 10:00,"(29.5, 106.5)","A, B",29.56,106.55',
        end="\r\n",
    )
    assert read.broken == ()
    assert read.table["category"].to_pylist() == ["THEFT", "A, B"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_may_be_parted_otherwise(csv: Callable[..., IncidentPortion], delimiter: str) -> None:
    head, row = (text.replace(",", delimiter) for text in (HEAD, GOOD))
    quoted = row.replace("THEFT", f'"A{delimiter}\nB"')
    read = csv(head, row, quoted, row + delimiter)
    assert read.table["category"].to_pylist() == ["THEFT", f"A{delimiter}\nB"]
    assert len(read.broken) == 1


def test_a_quote_left_open_swallows_no_neighbour(csv: Callable[..., IncidentPortion]) -> None:
    row = "2026-03-01 10:00,somewhere,THEFT,29.56,106.55"
    opened = '2026-03-01 10:00,"somewhere,THEFT,29.56,106.55'
    closed = '2026-03-01 10:00,somewhere",THEFT,29.56,106.55'
    read = csv("date,address,type,lat,lon", row, opened, row, row, closed, row)
    assert len(read.table) + len(read.broken) == 6
    assert len(read.table) >= 4
    assert opened.encode() in [line for line, _ in read.broken]


def test_a_row_over_the_end_of_a_block_is_read(
    csv: Callable[..., IncidentPortion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data.incident_files, "BLOCK", 120)
    row = '2026-03-01 10:00,"12 Main St\nUpper floor",THEFT,29.56,106.55'
    read = csv("date,address,type,lat,lon", *[row] * 40)
    assert (len(read.table), read.broken) == (40, ())


def test_a_mark_at_the_start_and_no_line_end_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "city.CSV"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEAD}\n{GOOD}".encode())
    assert [len(part.table) for part in incident_portions(path)] == [1]


def test_a_line_without_end_is_kept_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "city.csv"
    path.write_text(f"{HEAD}\n{'x' * (2 << 20)}\n{GOOD}\n")
    (part,) = incident_portions(path)
    assert len(part.table) == 1
    assert json.loads(part.broken[0][0])["bytes"] == 2 << 20


def test_json_lines_keep_what_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "city.jsonl"
    rows = [
        {"Date": "2026-03-01 10:00", "type": "THEFT", "lat": 29.56, "lon": "106.55", "who": "Li"},
        {"Date": None, "type": 5, "lat": True, "lon": [1]},
    ]
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join([lines[0], "{", "[1]", "", lines[1]]))
    (part,) = incident_portions(path)
    assert part.table.column_names == ["occurred_at", "category", "lat", "lon"]
    assert len(part.table) == 2
    assert [line for line, _ in part.broken] == [b"{", b"[1]"]


def test_parquet_is_read_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "city.parquet"
    frame = pd.DataFrame({"Date": pd.to_datetime(["2026-03-01"]), "offense": ["T"], "lat": [1.0]})
    frame.assign(lng=2.0, victim="Li").to_parquet(path)
    (part,) = incident_portions(path)
    assert sorted(part.table.column_names) == ["category", "lat", "lon", "occurred_at"]


def test_files_that_are_none_say_so(tmp_path: Path) -> None:
    def read(name: str, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        list(incident_portions(tmp_path / name))

    with pytest.raises(TableError, match="found an empty file"):
        read("a.csv", b"")
    with pytest.raises(TableError, match="found none; correct the path"):
        read("b.csv", None)
    with pytest.raises(TableError, match=r"ends in \.csv, \.parquet"):
        read("c.xlsx", b"PK")
    with pytest.raises(TableError, match="damaged"):
        read("d.parquet", b"PAR1 and no more")
    with pytest.raises(TableError, match="save the file as UTF-8"):
        read("e.csv", "日期,类别,纬度,经度\n".encode("gb18030"))
    with pytest.raises(TableError, match="column for time, found none among a, b, c, d"):
        read("f.csv", b"a;b;c;d\n1;2;3;4\n")
    whole = tmp_path / "g.parquet"
    pq.write_table(pa.table({"date": ["x"], "type": ["y"], "lat": [1.0], "lon": [1.0]}), whole)
    with pytest.raises(TableError, match="nothing of it was taken in"):
        read("h.parquet", whole.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2026-03-01T22:10:05", "2026-03-01T22:10:05"),
        ("2026-3-1 9:05", "2026-03-01T09:05:00"),
        ("2026/03/01 22:10", "2026-03-01T22:10:00"),
        ("2026-03-01T22:10:05.1234567Z", "2026-03-01T22:10:05.123456"),
        ("03/01/2026 12:05:00 AM", "2026-03-01T00:05:00"),
        ("03/01/2026 12:05:00 PM", "2026-03-01T12:05:00"),
        ("3/1/2026 1:05 p.m.", "2026-03-01T13:05:00"),
        (" 2026-03-01 22:10:05 +0800 ", "2026-03-01T22:10:05"),
        ("2024-02-29", "2024-02-29T00:00:00"),
    ],
)
def test_times_are_read(text: str, wall: str) -> None:
    times = read_times(pa.array([text]))
    assert times.readable.tolist() == [True]
    assert times.wall.view("datetime64[us]")[0] == np.datetime64(wall)


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "20260301", "1772000000", "2026-02-29", "2026-13-01", "2026-03-01 24:00"),
        *(
            "2026-03-01 10:60",
            "03/01/2026 13:00 PM",
            "03/01/2026 0:30 AM",
            "03/01/26",
            "0000-01-01",
        ),
    ],
)
def test_what_is_no_time_is_left_unread(text: str) -> None:
    assert read_times(pa.array([text, "2026-03-01"])).readable.tolist() == [False, True]


def test_offsets_are_honoured() -> None:
    texts = ["2026-03-01T10:00+08:00", "2026-03-01T02:00:00Z", "2026-02-28T21:00-0500"]
    moments = read_times(pa.array(texts)).moments("America/Chicago")
    assert len(set(moments.tolist())) == 1


def test_the_file_tells_days_from_months() -> None:
    assert day_first_in(pa.array(["03/04/2026", "25/12/2026", "?"])) is True
    assert day_first_in(pa.array(["03/04/2026", "12/25/2026"])) is False
    assert day_first_in(pa.array(["03/04/2026 1:00 PM"])) is False
    assert day_first_in(pa.array(["03/04/2026", "2026-01-02", "2026-01-03"])) is None
    with pytest.raises(TableError, match="say which comes first with day_first"):
        day_first_in(pa.array(["03/04/2026"]))
    assert read_times(pa.array(["03/04/2026"]), True).moments("UTC")[0] == 1_775_217_600_000_000


def test_nothing_is_known_before_it_happens() -> None:
    with pytest.raises(TableError, match="expected a report delay of 0 hours or more, found -5"):
        ColumnMap(report_delay=timedelta(hours=-5))
