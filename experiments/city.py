"""A simulated city: is the model ahead of rules, and is it the ties between citizens.

Everything here is simulated (`data.simulator`), and judged against the simulation's own truth,
which no model sees: models learn from reports as they came in, late or never. Three kinds of score
compete on the same days: the model, the same model without what other citizens' events say about a
counterpart (`CROSS`), and the rules of `models.baselines`.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.history import History
from data.intake import Intake
from data.labels import SCAM_TYPES, STAGES
from data.pseudonyms import Pseudonymiser
from data.simulator import City, Simulation, simulate
from experiments.result import Result
from features.fraud import FRAUD_FEATURES
from features.spec import FeatureSet
from models.baselines import rule_models
from training.datasets import PARTS, Dataset, DatasetConfig, Part, build
from training.evaluation import Judged, Steps, evaluate
from training.fit import Fitted, TrainingConfig, Watch, fit_models
from training.intervals import Interval, bootstrap
from training.search import SearchConfig

__all__ = ["ALONE", "CROSS", "Plan", "run"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[str, float], None]

CROSS = frozenset({"counterpart", "payee_account", "link", "device"})
"""Keys whose state other citizens' events move."""
ALONE = FeatureSet(tuple(spec for spec in FRAUD_FEATURES if spec.key not in CROSS))
"""What one citizen's own events say."""
OURS, ABLATED, CARD = "model", "own events only", "rule: scorecard"
SHOWN = (
    "average_precision",
    "precision_at_capacity",
    "recall_at_capacity",
    "lead_time_h",
    "preventable_share",
)
HEADS = (
    "on the test days, against the truth",
    "average precision",
    "precision at capacity",
    "recall at capacity",
    "lead time, h",
    "loss still preventable",
)
KEY = b"an experiment's city needs no secret"


@dataclass(frozen=True)
class Plan:
    """What one run does; the default is the one whose figures count."""

    city: City = field(default_factory=City)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            data=DatasetConfig(delay=5, tune=5, calibrate=5, others=100_000),
            search=SearchConfig(trials=12, rounds=240, patience=50, startup=5),
        )
    )
    draws: int = 500

    @classmethod
    def quick(cls) -> "Plan":
        """Return a small city and hardly a search: for the table's shape, never for its figures."""
        city = City(subscribers=600, days=30, victims_per_100k_days=1_200.0, staged=0)
        return cls(city=city, training=TrainingConfig.quick(), draws=30)


@dataclass(frozen=True)
class Truth:
    """What the simulation knows of the test part's events, one entry an event.

    Parameters
    ----------
    part : Part
        The test part with the truth's labels: 1 where a victim is being defrauded, 0 where no
        fraudster has a hand. Approaches to people who never paid are neither and left out.
    rows : int array
        Rows of the test part that are left.
    """

    part: Part
    rows: Ints


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Simulate a city, train twice, and compare on its last labelled days.

    Parameters
    ----------
    quick : bool
        A small city, for the table's shape only.
    real_data : Path, optional
        Not used: no public data hold victims' warnings.
    progress : callable, optional
        Called with a step and the share of it done.
    """
    del real_data
    plan = Plan.quick() if quick else Plan()
    watch = Watch(_listener(progress))
    with tempfile.TemporaryDirectory() as folder:
        town = simulate(plan.city)
        history = History(Path(folder) / "history")
        with watch.step("city") as told:
            _lay(town, history, told)
        with watch.step("features") as told:
            whole = build(history, town.city.end, config=plan.training.data, progress=told)
        truth = _truth(town, history, whole)
        ours, alone = _fit_both(whole, plan, Path(folder) / "search.db", watch)
    with watch.step("judge"):
        return _result(_Contest(plan, whole, truth, ours, alone), watch.seconds)


def _listener(progress: Progress | None) -> Callable[[str, float, str], None] | None:
    if progress is None:
        return None
    return lambda step, share, note: progress(f"{step} {note}".strip(), share)


def _lay(town: Simulation, history: History, told: Callable[[float], None]) -> None:
    intake = Intake(Pseudonymiser(KEY))
    for day, batch in enumerate(town.batches()):
        accepted, rejected = intake.table(batch)
        if rejected.rows:
            raise ValueError(f"the simulator broke its contract: {rejected.problems[0]}")
        history.append(accepted)
        told((day + 1) / town.city.days)


def _truth(town: Simulation, history: History, dataset: Dataset) -> Truth:
    """Look the test part's events up in the truth, by event_id."""
    test, truth = dataset.test, town.truth
    ids = history.read(columns=["seq", "event_id"])
    event_id = ids["event_id"].take(np.searchsorted(ids["seq"].to_numpy(), test.seq))
    place = pc.index_in(event_id, truth["event_id"].combine_chunks()).fill_null(-1).to_numpy()
    known = place >= 0

    def column(name: str, codes: Sequence[str] | None = None) -> Ints:
        values = truth[name].combine_chunks()
        values = values if codes is None else pc.index_in(values, pa.array(codes))
        found = np.full(len(test), -1, np.int64)
        found[known] = values.to_numpy(zero_copy_only=False)[place[known]]
        return found

    victim = column("victim") == 1
    rows = np.flatnonzero(victim | ~known)
    labelled = replace(
        test,
        y=victim.astype(np.int64),
        scam_type=column("scam_type", SCAM_TYPES),
        stage=column("stage", STAGES),
        episode=np.where(victim, column("episode"), -1),
    )
    return Truth(labelled.take(rows), rows)


def _fit_both(
    whole: Dataset, plan: Plan, storage: Path, watch: Watch
) -> tuple[Fitted, tuple[Fitted, Dataset]]:
    ours = fit_models(whole, plan.training, storage, watch)
    reduced = _reduced(whole)
    config = replace(plan.training, features=ALONE)
    return ours, (fit_models(reduced, config, storage, watch), reduced)


def _reduced(whole: Dataset) -> Dataset:
    columns = [whole.names.index(name) for name in ALONE.names]
    parts = {part: getattr(whole, part) for part in PARTS}
    fewer = {name: replace(part, X=part.X[:, columns]) for name, part in parts.items()}
    return replace(whole, **fewer, names=ALONE.names, features=ALONE.digest)


@dataclass(frozen=True)
class _Contest:
    plan: Plan
    whole: Dataset
    truth: Truth
    ours: Fitted
    alone: tuple[Fitted, Dataset]

    def scores(self) -> dict[str, Floats]:
        """Every rival's score of the judged events."""
        X, rows = self.whole.test.X, self.truth.rows
        fitted, reduced = self.alone
        found = {OURS: self.ours.fraud.score(X), ABLATED: fitted.fraud.score(reduced.test.X)}
        found |= {f"rule: {rule.name}": rule.score(X) for rule in rule_models(FRAUD_FEATURES)}
        return {name: score[rows] for name, score in found.items()}

    def judged(self, score: Floats) -> Judged:
        """A score beside the truth, at the day's capacity."""
        capacity = self.plan.training.per_day * self.whole.share["test"]
        return Judged(self.truth.part, score, capacity)


def _result(contest: _Contest, seconds: Mapping[str, float]) -> Result:
    judged = {name: contest.judged(score) for name, score in contest.scores().items()}
    draws = contest.plan.draws
    figures = {
        name: evaluate(one, calibrated=name in (OURS, ABLATED), rounds=draws)
        for name, one in judged.items()
    }
    types = _by_type(judged[OURS], draws)
    classes = _classes(contest, draws)
    gains = _gains(judged, draws)
    rows = [_row(name, found) for name, found in figures.items()]
    rows += [_row(f"only {name}", found) for name, found in types.items()]
    rows += [(f"{name}, macro-F1", str(found), "", "", "", "") for name, found in classes.items()]
    rows += [(f"AP ahead of {name}", str(found), "", "", "", "") for name, found in gains.items()]
    return Result(
        title="Simulated city: the model, the same from a citizen's own events only, and rules",
        columns=HEADS,
        rows=rows,
        figures={
            **_plain(figures[OURS]),
            **{f"{name}_macro_f1": found.value for name, found in classes.items()},
            "rivals": {name: _plain(found) for name, found in figures.items() if name != OURS},
            "intervals": _ends(figures[OURS]),
            "ahead": {name: found.as_dict() for name, found in gains.items()},
            "by_type": {name: _plain(found) for name, found in types.items()},
            "seconds": {name: round(took, 1) for name, took in seconds.items()},
        },
        notes=_notes(contest),
    )


def _row(name: str, figures: Mapping[str, Interval]) -> tuple[str, ...]:
    return (name, *(str(figures[one]) if one in figures else "" for one in SHOWN))


def _plain(figures: Mapping[str, Interval]) -> dict[str, float | None]:
    return {name: found.as_dict()["value"] for name, found in figures.items()}


def _ends(figures: Mapping[str, Interval]) -> dict[str, list[float | None]]:
    ends = {name: found.as_dict() for name, found in figures.items()}
    return {name: [found["low"], found["high"]] for name, found in ends.items()}


def _by_type(judged: Judged, draws: int) -> dict[str, dict[str, Interval]]:
    """What the model does for the victims of each type, alerts raised among all citizens."""
    part, found = judged.part, {}
    for code, name in enumerate(SCAM_TYPES):
        own = (part.y == 1) & (part.scam_type == code)
        if not own.any():
            continue
        others = (part.y == 1) & ~own
        only = replace(part, y=own.astype(np.int64), episode=np.where(own, part.episode, -1))
        one = Judged(only.take(~others), judged.score[~others], judged.capacity)
        figures = evaluate(one, calibrated=False, rounds=draws)
        episodes = len(np.unique(part.episode[own]))
        kept = ("average_precision", "recall_at_capacity", "lead_time_h", "preventable_share")
        found[f"{name} ({episodes} victims)"] = {key: figures[key] for key in kept}
    return found


def _classes(contest: _Contest, draws: int) -> dict[str, Interval]:
    """Macro-F1 of type and stage over the victims' events, citizens drawn together."""
    part = contest.truth.part
    X = contest.whole.test.X[contest.truth.rows[part.y == 1]]
    frauds = part.frauds
    answers = {
        "type": (frauds.scam_type, contest.ours.scam_type.probabilities(X)),
        "stage": (frauds.stage, contest.ours.stage.probabilities(X)),
    }

    def agreement(true: Ints, told: Ints) -> Interval:
        return bootstrap(lambda w: macro_f1(true, told, w), frauds.citizen, rounds=draws)

    return {name: agreement(true, p.argmax(axis=1)) for name, (true, p) in answers.items()}


def macro_f1(true: Ints, told: Ints, weight: Floats) -> float:
    """F1 averaged over the classes that occur.

    Examples
    --------
    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3)).__round__(3)
    0.667
    """
    size = int(max(true.max(initial=0), told.max(initial=0))) + 1
    table = np.bincount(true * size + told, weight, size * size).reshape(size, size)
    hits, wanted, given = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    occurs = wanted > 0
    if not occurs.any():
        return float("nan")
    return float((2 * hits[occurs] / (wanted + given)[occurs]).mean())


def _gains(judged: Mapping[str, Judged], draws: int) -> dict[str, Interval]:
    """Average precision ahead of each rival, the same citizens drawn for both."""
    steps = {name: Steps.of(judged[name]) for name in (OURS, ABLATED, CARD)}
    citizens = np.arange(int(judged[OURS].part.citizen.max()) + 1)

    def gain(rival: str) -> Interval:
        def ahead(weight: Floats) -> float:
            ours = steps[OURS].average_precision(weight)
            return ours - steps[rival].average_precision(weight)

        return bootstrap(ahead, citizens, rounds=draws)

    return {rival: gain(rival) for rival in (ABLATED, CARD)}


def _notes(contest: _Contest) -> tuple[str, ...]:
    city, data, test = contest.plan.city, contest.whole, contest.truth.part
    victims = len(np.unique(test.episode[test.y == 1]))
    span = next((since, until) for name, since, until in data.edges if name == "test")
    lines = f"""
        Simulated: {city.subscribers:,} subscribers, {city.days} days, seed {city.seed};
        {city.unreported:.0%} of victims never report, the rest hours to weeks later.

        Test: {span[0]} to {span[1]} UTC, {len(test):,} events ({data.share["test"]:.0%} of
        citizens), {victims} victims, {contest.plan.training.per_day:g} alerts a day in the city.

        Truth: every victim's events, reported or not; approaches that came to nothing are left
        out. Models learnt from reports known before the test days only.

        Brackets: 95 % bootstrap over citizens (ranking, capacity) or frauds (time, loss).

        Lead time: hours from first alert to first payment among alerted frauds, median; 0 is the
        payment itself, scored before the money leaves.
        """
    return tuple(" ".join(note.split()) for note in lines.split("\n\n"))
