from experiments.intake import run


def test_the_experiment_reports_every_path() -> None:
    told: list[float] = []
    result = run(quick=True, progress=lambda _, share: told.append(share))
    assert result.figures["records"] > 10_000
    assert result.figures["ratio"] > 1
    assert {len(row) for row in result.rows} == {len(result.columns)}
    assert told[-1] == 1.0
