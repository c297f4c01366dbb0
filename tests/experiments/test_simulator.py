"""The simulator's experiment: shape of its result; the figures come from the full run."""

import json

import pytest

from experiments.result import Result, print_result
from experiments.simulator import run


@pytest.fixture(scope="module")
def result() -> Result:
    return run(quick=True)


def test_figures_are_numbers_that_json_can_carry(result: Result) -> None:
    figures = json.loads(json.dumps(result.figures, allow_nan=False))
    assert figures["events_per_second"] > 0
    assert {"ten_types", "age_18_40", "mean_loss_cny", "unreported"} <= figures[
        "calibration"
    ].keys()
    assert [speed["subscribers"] for speed in figures["growth"]] == [1_000, 2_000]


def test_every_row_has_a_target_and_a_finding(
    result: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(len(row) == len(result.columns) for row in result.rows)
    print_result(result)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(
        json.dumps(result.figures)
    )
