"""The bulk engine against an independent oracle: self-joins with the tile rule in DuckDB."""

# ruff: noqa: S608 - queries are put together from this file's own names

from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from features import FeatureSet, FeatureSpec, bulk
from features.periods import WINDOWS

Stream = Callable[..., pa.Table]
ZONE = "Asia/Shanghai"
PLACED = """
    CREATE TABLE events AS
    WITH timed AS (
        SELECT seq, kind::VARCHAR AS kind, subscriber::VARCHAR AS subscriber,
            counterpart::VARCHAR AS text, direction::VARCHAR AS direction, amount_fen, duration_s,
            epoch_us(occurred_at) AS occurred, phones, accounts, apps,
            max(epoch_us(known_at)) OVER (ORDER BY seq) AS now
        FROM raw)
    SELECT *, CASE WHEN kind = 'report' THEN now ELSE least(occurred, now) END AS at,
        CASE kind WHEN 'app' THEN 'p' WHEN 'transfer' THEN 'a' ELSE 't' END || text AS counterpart,
        (occurred // 3600000000 + 8) % 24 AS hour
    FROM timed;
    CREATE TABLE named AS
        SELECT DISTINCT seq, now, now AS at, counterpart FROM (
            SELECT seq, now, 't' || unnest(phones) AS counterpart FROM events
            UNION ALL SELECT seq, now, 'p' || unnest(apps) FROM events
            UNION ALL SELECT seq, now, 'a' || unnest(accounts) FROM events);
"""
STREAMS = {
    "any": "h.kind <> 'report'",
    "night": "h.kind <> 'report' AND h.hour IN (23, 0, 1, 2, 3, 4, 5)",
    "transfer": "h.kind = 'transfer'",
    "inward": "h.kind IN ('call', 'sms') AND h.direction = 'incoming'",
    "outward": "h.kind IN ('call', 'sms') AND h.direction = 'outgoing'",
    "call_in": "h.kind = 'call' AND h.direction = 'incoming'",
    "stranger": "h.kind <> 'report' AND h.is_new",
}
# least() skips nulls, so the outer join's empty side must be kept apart
YUAN = "CASE WHEN h.amount_fen > 0 THEN least((h.amount_fen + 50) // 100, 100000) END"
FEN = "CASE WHEN h.amount_fen > 0 THEN least(h.amount_fen, 100000000) END"


@pytest.fixture(scope="module", params=[1, 2])
def events(request: pytest.FixtureRequest, stream: Stream) -> pa.Table:
    """Late and reported events; no key idle for 30 days, so that first and last need no reset."""
    return stream(500, seed=request.param, days=28, keys=3)


@pytest.fixture(scope="module")
def database(events: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.register("raw", events)
        connection.execute(PLACED)
        connection.execute("""
            CREATE TABLE facts AS SELECT e.*, e.counterpart IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM events h WHERE h.seq < e.seq AND h.kind <> 'report'
                AND h.subscriber = e.subscriber AND h.counterpart = e.counterpart) AS is_new
            FROM events e""")
        yield connection


def ask(
    database: duckdb.DuckDBPyConnection,
    key: str,
    value: str,
    stream: str,
    window: str = "",
) -> NDArray[np.float64]:
    """One aggregate over the earlier events of the stream at each scored event."""
    same = {
        "subscriber": "h.subscriber = e.subscriber",
        "counterpart": "h.counterpart = e.counterpart",
        "pair": "h.subscriber = e.subscriber AND h.counterpart = e.counterpart",
    }[key]
    found = database.execute(f"""
        SELECT {value} FROM facts e LEFT JOIN facts h
        ON h.seq < e.seq AND {same} AND {STREAMS[stream]} {_inside(window)}
        WHERE e.kind <> 'report' GROUP BY e.seq, e.now, e.subscriber ORDER BY e.seq""")
    column = found.fetchnumpy()
    return np.ma.filled(np.ma.asarray(next(iter(column.values()))).astype(float), np.nan)


def _inside(window: str) -> str:
    """The tile rule: whole tiles back from the current one."""
    if not window:
        return ""
    found = WINDOWS[window]
    tile = found.tile_s * 1_000_000
    near = f"AND h.at // {tile} < e.now // {tile} - {found.lag_tiles}" if found.lag_s else ""
    return f"AND h.at // {tile} >= e.now // {tile} - {found.tiles} {near}"


def ours(events: pa.Table, *specs: FeatureSpec) -> NDArray[np.float64]:
    return bulk(events, FeatureSet(specs), zone=ZONE).X


def present(database: duckdb.DuckDBPyConnection, key: str) -> NDArray[np.bool_]:
    query = "SELECT counterpart IS NOT NULL FROM events WHERE kind <> 'report' ORDER BY seq"
    has = np.array([row[0] for row in database.execute(query).fetchall()])
    return has if key in {"counterpart", "pair"} else np.ones_like(has)


def expect(found: NDArray[np.float64], wanted: NDArray[np.float64], has: NDArray[np.bool_]) -> None:
    wanted = np.where(has, wanted, np.nan)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d"])
@pytest.mark.parametrize("facts", ["any", "transfer", "night", "stranger", "inward"])
@pytest.mark.parametrize("key", ["subscriber", "counterpart", "pair"])
def test_counts(
    events: pa.Table, database: duckdb.DuckDBPyConnection, key: str, facts: str, window: str
) -> None:
    found = ours(events, FeatureSpec(key, "count", facts, window))[:, 0]
    expect(found, ask(database, key, "count(h.seq)", facts, window), present(database, key))


@pytest.mark.parametrize("window", ["7d_lag_7d", "24h_lag_7d", "30d_lag_7d"])
def test_lagged_counts(events: pa.Table, database: duckdb.DuckDBPyConnection, window: str) -> None:
    found = ours(events, FeatureSpec("counterpart", "count", "any", window))[:, 0]
    wanted = ask(database, "counterpart", "count(h.seq)", "any", window)
    expect(found, wanted, present(database, "counterpart"))


@pytest.mark.parametrize("window", ["24h", "30d"])
@pytest.mark.parametrize("key", ["subscriber", "counterpart"])
def test_amounts(
    events: pa.Table, database: duckdb.DuckDBPyConnection, key: str, window: str
) -> None:
    specs = [
        FeatureSpec(key, what, "transfer", window, "amount" if what != "std" else "")
        for what in ("sum", "mean", "max", "std")
    ]
    found, has = ours(events, *specs), present(database, key)
    total = ask(database, key, f"coalesce(sum({FEN}), 0) / 100.0", "transfer", window)
    count = ask(database, key, "count(h.seq)", "transfer", window)
    largest = ask(database, key, f"coalesce(max({FEN}), 0) / 100.0", "transfer", window)
    spread = ask(database, key, f"stddev_pop({YUAN})", "transfer", window)
    expect(found[:, 0], total, has)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found[:, 1], np.where(has, total / count, np.nan), rtol=1e-14)
    expect(found[:, 2], largest, has)
    np.testing.assert_allclose(found[:, 3], np.where(has, spread, np.nan), rtol=1e-9, atol=1e-4)


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d"])
def test_distinct_counterparts(
    events: pa.Table, database: duckdb.DuckDBPyConnection, window: str
) -> None:
    found = ours(events, FeatureSpec("subscriber", "distinct", "inward", window))[:, 0]
    wanted = ask(database, "subscriber", "count(DISTINCT h.counterpart)", "inward", window)
    expect(found, wanted, present(database, "subscriber"))


@pytest.mark.parametrize("facts", ["inward", "outward", "transfer"])
@pytest.mark.parametrize("window", ["24h", "7d", "30d"])
def test_degrees_leave_oneself_out(
    events: pa.Table, database: duckdb.DuckDBPyConnection, facts: str, window: str
) -> None:
    what = "out_degree" if facts == "inward" else "in_degree"
    found = ours(events, FeatureSpec("counterpart", what, facts, window))[:, 0]
    others = "count(DISTINCT h.subscriber) FILTER (WHERE h.subscriber <> e.subscriber)"
    wanted = ask(database, "counterpart", others, facts, window)
    expect(found, wanted, present(database, "counterpart"))


@pytest.mark.parametrize("key", ["subscriber", "counterpart", "pair"])
def test_since_first_and_last(
    events: pa.Table, database: duckdb.DuckDBPyConnection, key: str
) -> None:
    specs = [FeatureSpec(key, what, "any") for what in ("since_last", "since_first")]
    found, has = ours(events, *specs), present(database, key)
    expect(found[:, 0], ask(database, key, "(e.now - max(h.at)) / 1000000", "any"), has)
    expect(found[:, 1], ask(database, key, "(e.now - min(h.at)) / 1000000", "any"), has)


def test_shares_and_habit(events: pa.Table, database: duckdb.DuckDBPyConnection) -> None:
    found = ours(
        events,
        FeatureSpec("subscriber", "share", "night", "7d", of="any"),
        FeatureSpec("subscriber", "habit", "call_in", "24h"),
    )
    night = ask(database, "subscriber", "count(h.seq)", "night", "7d")
    both = ask(database, "subscriber", "count(h.seq)", "any", "7d")
    day = ask(database, "subscriber", "count(h.seq)", "call_in", "24h")
    month = ask(database, "subscriber", "count(h.seq)", "call_in", "30d")
    with np.errstate(invalid="ignore", divide="ignore"):
        np.testing.assert_array_equal(found[:, 0], night / both)
        np.testing.assert_array_equal(found[:, 1], day * 30 / np.where(month, month, np.nan))


@pytest.mark.parametrize("window", ["24h", "7d", "30d"])
def test_reports_known_by_then(
    events: pa.Table, database: duckdb.DuckDBPyConnection, window: str
) -> None:
    found = ours(events, FeatureSpec("counterpart", "count", "report", window))[:, 0]
    tile = WINDOWS[window].tile_s * 1_000_000
    wanted = database.execute(f"""
        SELECT count(n.seq) FROM events e LEFT JOIN named n ON n.seq < e.seq
        AND n.counterpart = e.counterpart AND n.at // {tile} >= e.now // {tile} -
        {WINDOWS[window].tiles} WHERE e.kind <> 'report' GROUP BY e.seq ORDER BY e.seq""")
    column = np.array([row[0] for row in wanted.fetchall()], dtype=float)
    assert column.sum() > 0
    expect(found, column, present(database, "counterpart"))


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d"])
def test_tile_rule_sees_at_most_a_tile_too_much(
    events: pa.Table, database: duckdb.DuckDBPyConnection, window: str
) -> None:
    """Against exact windows: never fewer, and never older than one tile before the window."""
    found = ours(events, FeatureSpec("subscriber", "count", "any", window))[:, 0]
    length = WINDOWS[window].length_s * 1_000_000
    tile = WINDOWS[window].tile_s * 1_000_000
    same = "h.seq < e.seq AND h.subscriber = e.subscriber AND h.kind <> 'report'"
    bounds = []
    for reach in (length, length + tile):
        query = f"""SELECT count(h.seq) FROM events e LEFT JOIN events h ON {same}
            AND h.at >= e.now - {reach} WHERE e.kind <> 'report' GROUP BY e.seq ORDER BY e.seq"""
        bounds.append(np.array([row[0] for row in database.execute(query).fetchall()]))
    assert (bounds[0] <= found).all()
    assert (found <= bounds[1]).all()
    assert tile / length <= 1 / 12
