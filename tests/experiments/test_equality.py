"""The shape of the equality experiment; its figures come from the full run."""

import json

from experiments import equality


def test_quick_run_has_the_promised_keys() -> None:
    told: list[str] = []
    result = equality.run(quick=True, progress=told.append)
    assert result.figures["mismatches"] == 0
    assert result.figures["events"] > 1_000
    assert any("rebuilding" in line for line in told)
    json.dumps(dict(result.figures), allow_nan=False)
