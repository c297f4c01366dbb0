"""The panel: a plain loop finds the same rates, and nothing learnt later changes a bit of it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from data.incidents import INCIDENT_SCHEMA
from features.grid import Grid
from features.hotspot import DATED, SPREADS, Log, Panel, layout, reported
from features.memories import MEMORIES
from features.shifts import Shifts

ZONE = "America/Chicago"
CENTRE = (-87.6, 41.9)
FIRST, DAY = date(2025, 1, 6), date(2025, 10, 6)
NAMES = ("theft", "battery", "盗窃（入室）", "damage")
LAYOUTS = [((0,), NAMES[:1]), ((6, 14, 22), NAMES), ((0, 12), NAMES[:2])]
Row = dict[str, object]


def rows(m: int = 400, seed: int = 0, categories: tuple[str, ...] = NAMES) -> list[Row]:
    """Incidents of ten months, many at a few addresses; one in ten is reported weeks late."""
    rng = np.random.default_rng(seed)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    days = (DAY - FIRST).days + 21
    address = rng.normal(0, 0.004, (30, 2))
    found = []
    for number in range(m):
        at = start + timedelta(minutes=int(rng.integers(0, days * 1440)))
        east, north = address[rng.integers(30)] if rng.random() < 0.6 else rng.normal(0, 0.006, 2)
        late = timedelta(days=30 * rng.random()) if rng.random() < 0.1 else timedelta(minutes=5)
        found.append(
            {
                "incident_id": f"i{number}",
                "occurred_at": at,
                "known_at": at + late,
                "category": categories[int(rng.integers(4)) % len(categories)],
                "lon": CENTRE[0] + east,
                "lat": CENTRE[1] + north,
                "origin": "reported",
                "precision": "minute",
                "source": "test",
            }
        )
    return found


def table(given: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(given, schema=INCIDENT_SCHEMA)


def ground() -> Grid:
    """All cells that any of the tests' incidents lie in."""
    every = [one for seed in (0, 1) for one in rows(400, seed)]
    return Grid.over(
        [one["lon"] for one in every], [one["lat"] for one in every], 250, centre=CENTRE
    )


GRID = ground()


def panel(given: list[Row], starts=(6, 14, 22), categories=NAMES, **more) -> Panel:
    log = Log.of(table(given), GRID, Shifts(starts, ZONE), categories)
    return Panel(log, Shifts.number_of(DAY), **more)


def everything(one: Panel) -> bytes:
    """Every number a panel can give."""
    cells = np.arange(len(GRID))
    parts = []
    for category in range(len(one.log.categories)):
        for shift in range(len(one.log.shifts)):
            usual = one.usual(category, shift)
            columns = one.columns(category, shift, cells, np.full(len(cells), 0.1))
            parts += [one.rates(category, shift), usual, columns]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def known(given: list[Row], starts=(6, 14, 22)) -> list[tuple[Row, int, int]]:
    """Incidents known when the forecast begins, with age in days and shift, by the wall clock."""
    zone = ZoneInfo(ZONE)
    begin = datetime(DAY.year, DAY.month, DAY.day, starts[0], tzinfo=zone)
    found = []
    for one in given:
        if one["occurred_at"] >= begin or one["known_at"] >= begin:
            continue
        local = one["occurred_at"].astimezone(zone)
        moved = local.replace(tzinfo=None) - timedelta(hours=starts[0])
        shift = sum(local.hour >= hour for hour in starts) - 1
        found.append((one, (DAY - moved.date()).days, shift % len(starts)))
    return found


# --- against a plain loop


@pytest.mark.parametrize(("starts", "categories"), LAYOUTS)
@pytest.mark.parametrize("horizon", [7, 28])
def test_rates_are_those_of_a_plain_loop(starts, categories, horizon) -> None:
    given = rows(categories=categories)
    one = panel(given, starts, categories, horizon_days=horizon)
    past = known(given, starts)
    history = max(age for _, age, _ in past)
    assert one.history_days == history
    ages = np.arange(1, history + 1)
    for at, memory in enumerate(MEMORIES):
        weight = memory.weight(ages, horizon)
        wanted = np.zeros((len(categories), len(starts), len(GRID)))
        for incident, age, shift in past:
            cell = GRID.place([incident["lon"]], [incident["lat"]])[0]
            category = categories.index(incident["category"])
            wanted[category, shift, cell] += horizon * weight[age - 1] / weight.sum()
        for category in range(len(categories)):
            own = np.stack([one.rates(category, shift)[0, at] for shift in range(len(starts))])
            np.testing.assert_allclose(own, wanted[category], rtol=2e-4, atol=1e-6)
            together = one.rates(category)[0, at]
            np.testing.assert_allclose(together, wanted[category].sum(0), rtol=2e-4, atol=1e-6)


def test_a_wide_spread_is_a_gaussian_around_the_cell() -> None:
    lon, lat = GRID.centres()
    middle = int(np.argmin(np.hypot(*GRID.centres_m())))
    given = [{**rows(1)[0], "lon": lon[middle], "lat": lat[middle], "category": "theft"}]
    own = panel(given).rates(0)[:, 0]
    east, north = GRID.columns - GRID.columns[middle], GRID.rows - GRID.rows[middle]
    for spread, sd in enumerate(SPREADS[2:], 2):
        reach = int(3 * sd + 0.5)
        line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
        near = (abs(east) <= reach) & (abs(north) <= reach)
        wanted = np.exp(-0.5 * (east**2 + north**2) / sd**2) / line.sum() ** 2 * near
        np.testing.assert_allclose(own[spread], wanted * own[0, middle], rtol=1e-3, atol=1e-9)


def test_the_near_spread_is_the_mass_of_a_gaussian_around_the_very_place() -> None:
    given = [one for one in rows() if one["category"] == "theft"]
    own = panel(given, (0,), ("theft",)).rates(0)[:, 0]
    used = [one for one in given if one["known_at"] < Shifts((0,), ZONE).begin(DAY)]
    x, y = GRID.metres([one["lon"] for one in used], [one["lat"] for one in used])
    sd = SPREADS[1] * GRID.size_m
    wanted = np.zeros(len(GRID))
    for east, north in zip(x, y, strict=True):
        column, row = np.floor(east / GRID.size_m), np.floor(north / GRID.size_m)
        share = [
            np.diff(norm.cdf((np.arange(at - 1, at + 3) * GRID.size_m - place) / sd))
            for at, place in ((column, east), (row, north))
        ]
        for a, b in np.ndindex(3, 3):
            here = (GRID.columns == column + a - 1) & (GRID.rows == row + b - 1)
            wanted[here] += share[0][a] * share[1][b] / share[0].sum() / share[1].sum()
    scale = own[0].sum() / len(used)
    # the lattice puts a place 8 m off at most
    np.testing.assert_allclose(own[1], wanted * scale, rtol=0.08, atol=0.02 * scale)
    assert np.corrcoef(own[1], wanted)[0, 1] > 0.9995


def test_addresses_and_weeks_are_those_of_a_plain_loop() -> None:
    given = rows()
    one = panel(given, (0,))
    past = known(given, (0,))
    history = max(age for _, age, _ in past)
    x, y = GRID.metres([i["lon"] for i, _, _ in past], [i["lat"] for i, _, _ in past])
    spots: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    weeks: dict[tuple[int, int], set[int]] = {}
    for (incident, age, _), east, north in zip(past, x, y, strict=True):
        cell = int(GRID.place([incident["lon"]], [incident["lat"]])[0])
        key = (NAMES.index(incident["category"]), cell)
        place = (round(east), round(north))
        here = spots.setdefault(key, {})
        here[place] = here.get(place, 0) + 1
        weeks.setdefault(key, set()).add((history - age) // 7)
    wanted = np.zeros((3, len(NAMES), len(GRID)))
    for key, here in spots.items():
        wanted[:, key[0], key[1]] = max(here.values()), len(weeks[key]), len(here)
    assert wanted[0].max() > 2
    cells, base = np.arange(len(GRID)), np.full(len(GRID), 0.1)
    for category in range(len(NAMES)):
        found = np.exp(one.columns(category, 0, cells, base)[:, -3:].astype(float)) * 0.12 - 0.02
        np.testing.assert_allclose(found.T, wanted[:, category] * 7 / history, atol=1e-5)


def test_counts_are_those_of_a_plain_loop() -> None:
    given = rows()
    log = Log.of(table(given), GRID, Shifts((0,), ZONE), NAMES)
    first = date(2025, 5, 5)
    found = log.counts(Shifts.number_of(first), 14)
    local = [one["occurred_at"].astimezone(ZoneInfo(ZONE)).date() for one in given]
    inside = [first <= day < first + timedelta(14) for day in local]
    assert found.sum() == sum(inside)
    by_name = [
        sum(keep and one["category"] == name for one, keep in zip(given, inside, strict=True))
        for name in NAMES
    ]
    assert found.sum(axis=(1, 2)).tolist() == by_name


# --- what must not enter


def test_nothing_learnt_later_changes_a_bit() -> None:
    given = rows()
    past = [one for one, _, _ in known(given)]
    assert len(past) < len(given)
    begin = datetime(DAY.year, DAY.month, DAY.day, 6, tzinfo=ZoneInfo(ZONE))
    late = [
        {**one, "incident_id": f"late {one['incident_id']}", "known_at": begin + timedelta(hours=n)}
        for n, one in enumerate(rows(200, 1))
    ]
    older = {**late[0], "occurred_at": datetime(2024, 1, 1, tzinfo=UTC)}
    assert everything(panel([*given, *late, older])) == everything(panel(past))


def test_what_is_known_at_the_very_begin_does_not_enter() -> None:
    begin = datetime(DAY.year, DAY.month, DAY.day, 6, tzinfo=ZoneInfo(ZONE))
    one = rows(1)[0]
    at_once = panel([{**one, "known_at": begin}])
    before = panel([{**one, "known_at": begin - timedelta(microseconds=1)}])
    assert not np.any([at_once.rates(category) for category in range(len(NAMES))])
    assert np.any([before.rates(category) for category in range(len(NAMES))])


def test_what_patrols_discovered_never_enters() -> None:
    given = rows()
    found = [{**one, "origin": "discovered"} for one in rows(400, 1)]
    assert everything(panel(found + given)) == everything(panel(given))
    both = Log.of(table(given + found), GRID, Shifts((0,), ZONE))
    assert both.counts(0, 100_000).sum() == len(given)
    assert reported(table(given + found)).num_rows == len(given)


def test_the_order_of_rows_changes_nothing() -> None:
    given = rows()
    turned = [given[at] for at in np.random.default_rng(3).permutation(len(given))]
    assert everything(panel(turned)) == everything(panel(given))


def test_cells_and_categories_elsewhere_are_left_out() -> None:
    given = rows()
    away = [{**one, "lon": 2.35, "lat": 48.86} for one in given]
    other = [{**one, "category": "arson"} for one in given]
    assert everything(panel(given + away + other)) == everything(panel(given))


# --- shape


@pytest.mark.parametrize(("starts", "categories"), LAYOUTS)
def test_every_column_has_a_name_of_its_own(starts, categories) -> None:
    one = panel(rows(categories=categories), starts, categories)
    said = layout(categories, len(starts))
    cells = np.array([0, 5, 17])
    found = one.columns(0, len(starts) - 1, cells, np.array([0.1, 1.0, 0.01]))
    assert found.shape == (3, len(said))
    assert np.isfinite(found).all()
    assert len({(column.who, column.when, column.memory, column.spread) for column in said}) == len(
        said
    )


def test_a_named_column_says_what_its_name_says() -> None:
    one = panel(rows())
    cells = np.arange(len(GRID))
    base = np.full(len(cells), 0.5)
    found = one.columns(1, 2, cells, base).astype(float)
    for at, column in enumerate(layout(NAMES, 3)):
        memory = next((n for n, m in enumerate(MEMORIES) if m.name == column.memory), 0)
        apart = {"usual", "category", "shift", "largest_spot", "weeks", "spots"}
        if column.who in apart or column.when == DATED:
            continue
        hour = {"shift": 2, "day": None}.get(column.when, column.when)
        each = [one.rates(c, hour if hour is None else int(hour)) for c in range(len(NAMES))]
        who = [1] if column.who == "own" else [0, 2, 3]
        who = [NAMES.index(column.who)] if column.who in NAMES else who
        rate = sum(each[c][column.spread, memory].astype(float) for c in who)
        day = column.when != "shift" or column.who == "others"
        if day and column.when != "day":
            rate = rate * 3  # set against the day's usual rate
        faint, usual = (0.02, 1.5) if day else (0.02 / 3, 0.5)
        wanted = np.log((rate + faint) / (usual + faint))
        np.testing.assert_allclose(found[:, at], wanted, atol=2e-3, err_msg=column.name)


@pytest.mark.parametrize("m", [0, 1])
def test_next_to_nothing_known_makes_a_panel(m) -> None:
    one = panel(rows(m))
    found = one.columns(0, 0, np.arange(len(GRID)), np.full(len(GRID), 0.1))
    assert np.isfinite(found).all()
    assert one.history_days >= 1


def test_categories_come_by_frequency_then_by_name() -> None:
    names = ["b", "a", "c", "c"]
    given = [{**one, "category": name} for one, name in zip(rows(4), names, strict=True)]
    assert Log.of(table(given), GRID, Shifts((0,), ZONE)).categories == ("c", "a", "b")
