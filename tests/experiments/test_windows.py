"""The shape of the windows experiment, and that its rivals compute what they should."""

import numpy as np
import pytest

from experiments import windows
from experiments.windows import Timing


def test_the_engines_agree_on_exact_windows() -> None:
    assert windows.agree(600) == 600 * len(windows.WINDOWED)


def test_a_wrong_rival_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    right = windows.with_polars
    monkeypatch.setattr(windows, "with_polars", lambda table: right(table) + 1)
    with pytest.raises(ValueError, match="expected polars to agree"):
        windows.agree(50)


def test_payments_are_a_moment_each_in_order() -> None:
    at = windows.payments(500)["occurred_at"].to_numpy()
    assert (np.diff(at).astype(np.int64) > 0).all()


def test_figures_follow_from_the_timings() -> None:
    timings = [
        Timing(engine, events, seconds * events / 100, seconds * events / 50, 10.0, 5.0)
        for events in (100, 1_000)
        for engine, seconds in (("forewarn", 1.0), ("polars", 8.0), ("duckdb", 12.0))
    ]
    figures = windows._result(timings, 7).figures
    assert (figures["ratio_polars"], figures["ratio_duckdb"]) == (8.0, 12.0)
    assert figures["time_growth_per_event"] == 1.0
    assert figures["values_compared"] == 7
