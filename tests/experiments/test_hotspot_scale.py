"""The experiment on growth: its incidents are as asked, one size is measured, figures are JSON."""

import json

import numpy as np
import pytest

from data.incidents import INCIDENT_SCHEMA
from experiments import hotspot_scale
from experiments.hotspot_scale import CATEGORIES, DAYS, END, QUICK, SIZES, Size, incidents
from experiments.result import print_result
from features.grid import Grid


def test_incidents_are_as_many_and_lie_on_about_as_many_cells() -> None:
    table = incidents(Size(20_000, 400))
    assert table.schema == INCIDENT_SCHEMA
    assert len(table) == 20_000
    assert set(table["category"].to_pylist()) == set(CATEGORIES)
    first, last = table["occurred_at"][0].as_py(), table["occurred_at"][-1].as_py()
    assert (END - first).days < DAYS
    assert last < END
    cells = len(Grid.over(table["lon"].to_numpy(), table["lat"].to_numpy(), 250.0))
    assert 350 <= cells <= 500
    assert incidents(Size(500, 400)).equals(incidents(Size(500, 400)))


def test_places_are_heavy_tailed() -> None:
    table = incidents(Size(20_000, 400))
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    grid = Grid.over(lon, lat, 250.0)
    count = np.sort(np.bincount(grid.place(lon, lat)))[::-1]
    assert count[: len(count) // 20].sum() > 0.2 * count.sum()


def test_one_size_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    hotspot_scale.main(json.dumps({"incidents": 1_500, "cells": 100}))
    found = json.loads(capsys.readouterr().out)
    steps = [found[step] for step in ("features", "fit", "surface")]
    assert sum(steps) == pytest.approx(found["seconds"])
    assert min(steps) >= 0
    assert found["gib"] >= found["gib_before"] > 0
    assert 80 <= found["cells"] <= 130
    assert found["expected"] == pytest.approx(1_500 * 7 / DAYS, rel=0.4)


@pytest.mark.parametrize("rival", [None, 120.0, "predspot 1.0 gave up"])
def test_figures_are_what_json_can_carry(rival, capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        {"features": size.incidents / 2e4, "fit": 1.0, "surface": 0.5, "cells": size.cells,
         "seconds": (size.incidents + 25 * size.cells) / 1e4, "gib": 1.0, "gib_before": 0.5,
         "expected": 9.0}
        for size in QUICK
    ]  # fmt: skip
    result = hotspot_scale._result(QUICK, found, rival, True)
    print_result(result)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures == json.loads(json.dumps(result.figures, allow_nan=False))
    assert figures["growth"] == pytest.approx(1.0)
    assert [one["incidents"] for one in figures["sizes"]] == [size.incidents for size in QUICK]
    assert ("ratio_to_predspot" in figures) == isinstance(rival, float)
    assert all(len(row) == len(result.columns) for row in result.rows)


def test_sizes_reach_what_the_issue_asks_for() -> None:
    assert SIZES[0] == Size(100_000, 10_000)
    assert SIZES[-1] == Size(10_000_000, 1_000_000)
