"""What a training run shows people: curves, SHAP summary, model card and tables, as files.

The only file that imports shap, and only for the drawing by shap itself, which costs its long
import: values are LightGBM's own contributions, equal to ``shap.TreeExplainer``'s.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.card import Card, Metric
from training.evaluation import Judged, capacity_curve
from training.metrics import GroupErrors, Interval, reliability

__all__ = ["Explained", "as_metrics", "flat", "write_figures", "write_tables"]

Floats = NDArray[np.float64]
SIZE = (6.4, 4.2)  # inches
DPI = 110
SHOWN = 20  # features in the SHAP summary
BLUE, GREY, RED = "#1565c0", "#9e9e9e", "#c62828"


@dataclass(frozen=True)
class Explained:
    """Contributions of some rows, for the summary.

    Parameters
    ----------
    contributions : float64 array (n, p + 1)
        Last column the base, as `FraudModel.contributions` gives them.
    X : float64 array (n, p)
    names : sequence of str
    """

    contributions: Floats
    X: Floats
    names: Sequence[str]

    @property
    def strength(self) -> Floats:
        """Mean absolute contribution of each feature, shape (p,)."""
        found: Floats = np.abs(self.contributions[:, :-1]).mean(axis=0)
        return found


def as_metrics(figures: Mapping[str, Interval], prefix: str = "") -> tuple[Metric, ...]:
    """Figures as a model card takes them; those that are not a number are left out.

    Examples
    --------
    >>> as_metrics({"auc": Interval(0.9, 0.8, 0.95)})[0].name
    'auc'
    """
    return tuple(
        Metric(f"{prefix}{name}", found.value, *_bounds(found))
        for name, found in figures.items()
        if np.isfinite(found.value)
    )


def _bounds(found: Interval) -> tuple[float, float] | tuple[None, None]:
    whole = np.isfinite(found.low) and np.isfinite(found.high)
    return (found.low, found.high) if whole else (None, None)


def flat(figures: Mapping[str, Interval], prefix: str = "") -> dict[str, float]:
    """Figures and their ends as single numbers, as MLflow keeps them.

    Examples
    --------
    >>> flat({"auc": Interval(0.9, 0.8, 0.95)}, "rule.")
    {'rule.auc': 0.9, 'rule.auc.low': 0.8, 'rule.auc.high': 0.95}
    """
    return {
        f"{prefix}{name}{end}": value
        for name, found in figures.items()
        for end, value in (("", found.value), (".low", found.low), (".high", found.high))
        if np.isfinite(value)
    }


def write_figures(
    folder: Path,
    judged: Judged,
    rivals: Mapping[str, Judged],
    explained: Explained,
    *,
    beeswarm: bool = True,
) -> None:
    """Draw precision-recall, capacity and reliability curves and the SHAP summary as PNG.

    Parameters
    ----------
    folder : Path
        Made where absent.
    judged : Judged
        The model's calibrated scores on the test part.
    rivals : mapping of str to Judged
        Rules on the same part.
    explained : Explained
    beeswarm : bool
        Also draw shap's own beeswarm, which takes its import of 10 s and more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every = {"model": judged, **rivals}
    _save(precision_recall(every), folder / "precision_recall.png")
    _save(capacity(every), folder / "capacity.png")
    _save(calibration(judged), folder / "reliability.png")
    _save(strength(explained), folder / "shap_summary.png")
    if beeswarm:
        _save(swarm(explained), folder / "shap_beeswarm.png")


def write_tables(
    folder: Path, card: Card, groups: Mapping[str, Sequence[GroupErrors]], more: Mapping[str, Any]
) -> None:
    """Write the card for people and for machines, errors by group, and tables as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.md").write_text(card.to_markdown(), encoding="utf-8")
    (folder / "card.json").write_text(card.to_text(), encoding="utf-8")
    by_group = {name: [_as_row(found) for found in rows] for name, rows in groups.items()}
    for name, content in {"groups": by_group, **more}.items():
        text = json.dumps(content, ensure_ascii=False, indent=1, default=str)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _as_row(found: GroupErrors) -> dict[str, Any]:
    rates = {"false_alarm": found.false_alarm.as_dict(), "miss": found.miss.as_dict()}
    return {**asdict(found), **rates}


def precision_recall(every: Mapping[str, Judged]) -> Figure:
    """Precision against recall over events, one line a score."""
    figure, axes = _axes("recall (events)", "precision", "Precision and recall on the test days")
    for (name, judged), colour in zip(every.items(), _colours(), strict=False):
        recall, precision = _pr(judged.part.y, judged.score, judged.part.weight)
        axes.plot(recall, precision, label=name, color=colour, lw=2 if name == "model" else 1)
    axes.set_ylim(0, 1.02)
    axes.legend()
    return figure


def capacity(every: Mapping[str, Judged]) -> Figure:
    """Share of defrauded citizens reached against alerts a day."""
    title = "Defrauded citizens reached, by alerts a day"
    figure, axes = _axes("alerts a day", "recall (citizens)", title)
    for (name, judged), colour in zip(every.items(), _colours(), strict=False):
        steps = np.unique(np.geomspace(1, 10 * judged.per_day, 12).round().astype(np.int64))
        _, recall = capacity_curve(judged, steps)
        axes.plot(steps, recall, marker="o", ms=3, label=name, color=colour)
    axes.axvline(every["model"].per_day, color=GREY, ls="--", lw=1)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.legend()
    return figure


def calibration(judged: Judged) -> Figure:
    """Observed share of fraud against the probability given, both on log axes."""
    curve = reliability(judged.part.y, judged.score, bins=20)
    figure, axes = _axes("probability given", "share of fraud", "Reliability on the test days")
    floor = max(1e-6, float(curve.predicted.min(initial=1.0)) / 2)
    ends = np.abs(np.clip([curve.low, curve.high], floor, 1) - np.clip(curve.observed, floor, 1))
    axes.errorbar(
        np.clip(curve.predicted, floor, 1), np.clip(curve.observed, floor, 1), yerr=ends,
        fmt="o", ms=4, color=BLUE, capsize=2,
    )  # fmt: skip
    axes.plot([floor, 1], [floor, 1], color=GREY, lw=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    return figure


def strength(explained: Explained) -> Figure:
    """The features that move scores most: mean absolute contribution, in log-odds."""
    top = np.argsort(-explained.strength, kind="stable")[:SHOWN][::-1]
    figure = Figure(figsize=(8.4, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.barh([explained.names[i] for i in top], explained.strength[top], color=BLUE)
    axes.set_xlabel("mean |SHAP value| (log-odds)")
    axes.set_title("What moves the score")
    axes.tick_params(axis="y", labelsize=7)
    return figure


def swarm(explained: Explained) -> Figure:
    """Shap's beeswarm of the same contributions."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import shap  # noqa: PLC0415 - 12 to 20 s
    from matplotlib import pyplot as plt  # noqa: PLC0415

    values = shap.Explanation(
        values=explained.contributions[:, :-1],
        base_values=explained.contributions[:, -1],
        data=explained.X,
        feature_names=list(explained.names),
    )
    axes = shap.plots.beeswarm(values, max_display=SHOWN, show=False, color_bar=False)
    figure: Figure = axes.get_figure()
    plt.close(figure)
    return figure


def _pr(y: NDArray[Any], score: Floats, weight: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-score, kind="stable")
    fraud, seen = np.cumsum((weight * y)[order]), np.cumsum(weight[order])
    last = np.append(np.diff(score[order]) != 0, [True])
    return fraud[last] / max(float(fraud[-1]), 1e-12), fraud[last] / seen[last]


def _colours() -> Iterable[str]:
    return (BLUE, RED, "#2e7d32", "#f9a825", "#6a1b9a", "#00838f", GREY)


def _axes(x: str, y: str, title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI)
