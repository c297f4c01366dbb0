"""What a training run came to, as the command line prints it: model beside rules."""

from experiments.result import Result
from training.fit import TrainedRun
from training.hotspots import TrainedHotspots
from training.suspect_lines import TrainedLines

__all__ = ["trained", "trained_hotspots", "trained_lines"]


def trained(run: TrainedRun) -> Result:
    """Lay out a run's figures with their 95 % intervals, the rule baselines beside them."""
    rivals = list(run.baselines)
    rows = [
        (name, str(interval), *(str(run.baselines[rule][name]) for rule in rivals))
        for name, interval in run.figures.items()
    ]
    return Result(
        title=f"model {run.version[:12]}, judged on the days after its training",
        columns=("figure (95 % interval)", "model", *rivals),
        rows=rows,
        figures={
            "version": run.version,
            "bundle": str(run.bundle),
            "run_id": run.run_id,
            "aliases": list(run.aliases),
            "seconds": dict(run.seconds),
            **{name: interval.as_dict()["value"] for name, interval in run.figures.items()},
        },
        notes=(f"bundle {run.bundle}", f"aliases {', '.join(run.aliases) or 'none'}"),
    )


def trained_lines(run: TrainedLines) -> Result:
    """Lay out the figures of a model of suspect lines."""
    return _one_model(f"model of suspect lines {run.version[:12]}, judged out of fold", run)


def trained_hotspots(run: TrainedHotspots) -> Result:
    """Lay out the figures of a model of places; intervals are over weeks."""
    return _one_model(f"hotspot model {run.version[:12]}, judged on weeks held out", run)


def _one_model(title: str, run: TrainedLines | TrainedHotspots) -> Result:
    return Result(
        title=title,
        columns=("figure", "value [95 % interval]"),
        rows=[(name, str(interval)) for name, interval in run.figures.items()],
        figures={
            "version": run.version,
            "bundle": str(run.bundle),
            "run_id": run.run_id,
            **{name: interval.as_dict()["value"] for name, interval in run.figures.items()},
        },
        notes=(f"bundle {run.bundle}",),
    )
