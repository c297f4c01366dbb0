"""How far our transfer features get on the Fraud Detection Handbook, against every published row.

The data are the Handbook's (simulated, by ULB and Worldline, not by us), the protocol is its own:
train 7 days, wait 7 until labels are known, test 7; four folds; customers known to be defrauded
before a test day are removed from it. Its card payments run through the same pipeline as any
transfer: one event table, `features.bulk`, `models.FraudModel`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.sources import handbook, real_data_folder
from experiments.handbook_forest import Payments, book_features, book_forest
from experiments.result import Result
from features import TRANSFER_FEATURES, FeatureSet, bulk
from models.fraud import FraudModel, fraud_recipe
from models.trees import Recipe, Rows
from training.intervals import Interval, bootstrap
from training.metrics import Ranking, card_precision_by_day
from training.splits import Fold, prequential_folds

__all__ = ["PUBLISHED", "TEST_STARTS", "Ground", "Judged", "Plan", "ground", "judge", "run"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[str, float], None]
Predict = Callable[[Fold, int], Floats]

MICROSECOND = 1_000_000
ZONE = "UTC"  # the Handbook's clock has no zone
TOP = 100
TEST_STARTS = ("2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15")
METRICS = ("auc", "average_precision", "card_precision_100")

PUBLISHED: Mapping[str, tuple[float, float, float]] = {
    "logistic regression": (0.868, 0.623, 0.297),
    "random forest": (0.870, 0.678, 0.299),
    "XGBoost": (0.872, 0.687, 0.302),
    "balanced bagging": (0.879, 0.680, 0.305),
    "neural net": (0.876, 0.675, 0.303),
    "LSTM": (0.876, 0.665, 0.297),
}
"""AUC, average precision, card precision@100: the Handbook's own, means of the four folds."""
FIRST_RUN = {"LightGBM, untuned, book's features + 7 (first run)": (0.886, 0.704, 0.307)}
"""What we began from."""
TO_BEAT = {**{f"{name} (published)": row for name, row in PUBLISHED.items()}, **FIRST_RUN}

OURS, UNTUNED, FOREST = "Forewarn", "Forewarn, untuned", "random forest, re-run here"


@dataclass(frozen=True)
class Plan:
    """What one run does; the default is the one whose figures count.

    Parameters
    ----------
    starts : sequence of str
        First training days of the folds.
    seeds : int
        Tuned models averaged, alike but for the seed of their row and column samples.
    rounds : int
        Trees of each.
    forest_trees : int
    draws : int
        Bootstrap draws.
    since : str
        Transactions before this day are left out.
    """

    starts: Sequence[str] = TEST_STARTS
    seeds: int = 5
    rounds: int = 150
    forest_trees: int = 100
    draws: int = 200
    since: str = "2018-04-01"


QUICK = Plan(TEST_STARTS[:1], seeds=1, rounds=40, forest_trees=10, draws=20, since="2018-07-10")

CHOSEN: Mapping[str, int] = {
    "event.amount.value": 0,
    "event.surprise.value": 0,
    "subscriber.transfer.amount.to_mean.30d": 0,
    "subscriber.transfer.amount.to_mean.life": 0,
    "subscriber.transfer.zscore.life": 0,
    "subscriber.transfer.amount.mean.life": 0,
    "subscriber.transfer_unusual.count.24h": 0,
    "subscriber.transfer_unusual.count.7d": 0,
    "subscriber.transfer.surprise.mean.7d": 0,
    "subscriber.transfer.surprise.max.7d": 0,
    "counterpart.report.count.24h": 0,
    "counterpart.report.count.7d": 0,
    "counterpart.report.count.30d": 0,
    "counterpart.report.rate.of_any.24h": 0,
    "counterpart.report.rate.of_any.7d": 0,
    "counterpart.report.rate.of_any.30d": 0,
    "counterpart.report.since_last": 0,
    "counterpart.report.since_first": 0,
    "counterpart.any.count.7d": -1,
    "counterpart.any.count.30d": -1,
    "counterpart.any.count.7d_lag_7d": -1,
    "counterpart.any.count.30d_lag_7d": -1,
    "counterpart.transfer.surprise.mean.30d": 0,
    "counterpart.transfer.amount.max.30d": 0,
}
"""Transfer features used, and whether more of one may only lower the score (-1): a payee who was
paid often without a report is not the more suspicious for it. A week holds some 500 frauds, too
few to learn from all transfer features: the rest added noise on the earlier folds."""
FEATURES = FeatureSet(tuple(TRANSFER_FEATURES.spec(name) for name in CHOSEN))

TUNED: Mapping[str, Any] = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "max_bin": 1023,
    "min_data_in_bin": 1,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "lambda_l2": 5.0,
    "path_smooth": 20.0,
    "monotone_constraints": list(CHOSEN.values()),
}
"""Chosen on folds whose test weeks end before the first reported test week begins; their
neighbours on the same folds are shown by `experiments.handbook_tuning`."""


@dataclass(frozen=True)
class Ground:
    """The transactions and what is known at each, in order of time.

    Parameters
    ----------
    X : array of shape (n, p)
        Vectors, columns as `FEATURES`.
    y : array of shape (n,)
        1 where a report ever came.
    at : datetime64[us] array of shape (n,)
    customer, terminal : int array of shape (n,)
        Codes.
    amount : array of shape (n,)
    """

    X: Floats
    y: Ints
    at: NDArray[np.datetime64]
    customer: Ints
    terminal: Ints
    amount: Floats

    @property
    def day(self) -> Ints:
        """Days since 1970."""
        return self.at.astype("datetime64[D]").astype(np.int64)

    def payments(self) -> Payments:
        """The same, as the Handbook's features want it."""
        seconds = self.at.astype("datetime64[s]").astype(np.int64)
        return Payments(seconds, self.customer, self.terminal, self.amount, self.y)


@dataclass(frozen=True)
class Judged:
    """One model's figures, means over folds, with bootstrap intervals."""

    auc: Interval
    average_precision: Interval
    card_precision_100: Interval

    def figures(self) -> dict[str, float]:
        """The three values."""
        return {name: round(getattr(self, name).value, 4) for name in METRICS}


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Run the four folds, ours and the Handbook's random forest, and compare with all rows.

    Parameters
    ----------
    quick : bool
        One fold, five weeks of history and few trees: for the shape, never for the figures.
    real_data : Path, optional
        Folder that holds ``handbook/``; by default FOREWARN_REAL_DATA.
    progress : callable, optional
        Called with a note and the share done.

    Raises
    ------
    data.sources.SourceError
        Where the transactions are not there.
    """
    tell = progress or (lambda *_: None)
    plan = QUICK if quick else Plan()
    tell("reading transactions and building vectors", 0.0)
    field = ground(real_data_folder(real_data) / "handbook", plan.since)
    folds = prequential_folds(field.at, field.customer, field.y, plan.starts)
    tell("growing forests of the Handbook's own features", 0.3)
    scores = {FOREST: forest_scores(field, folds, plan)}
    tell("growing our trees, untuned", 0.5)
    scores[UNTUNED] = our_scores(field, folds, replace(plan, seeds=1), fraud_recipe())
    tell("growing our trees", 0.6)
    scores[OURS] = our_scores(field, folds, plan, fraud_recipe(**TUNED))
    tell("drawing intervals", 0.9)
    return _result(field, folds, scores, plan)


def ground(folder: Path, since: str) -> Ground:
    """Read the transactions of `since` and later as events, and build their vectors."""
    events = handbook(folder)
    events = events.filter(pc.greater_equal(events["occurred_at"], _utc(since)))
    vectors = bulk(events, FEATURES, zone=ZONE)
    rows = events.take(pa.array(vectors.rows))
    numbers = pc.utf8_slice_codeunits(events["event_id"], len("hb-"))
    reported = numbers.filter(pc.equal(events["kind"].cast(pa.string()), "report"))
    return Ground(
        X=vectors.X,
        y=_reported(rows["event_id"], reported),
        at=rows["occurred_at"].to_numpy().astype("datetime64[us]"),
        customer=_codes(rows["subscriber"]),
        terminal=_codes(rows["counterpart"]),
        amount=rows["amount_fen"].to_numpy() / 100,
    )


def _utc(day: str) -> pa.Scalar:
    moment = np.datetime64(day, "us").astype(np.int64)
    return pa.scalar(int(moment), pa.timestamp("us", tz="UTC"))


def _reported(event_id: pa.ChunkedArray, numbers: pa.ChunkedArray) -> Ints:
    named = pc.replace_substring(numbers.combine_chunks(), "r", "hb-", max_replacements=1)
    found: Ints = pc.is_in(event_id, named).to_numpy().astype(np.int64)
    return found


def _codes(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.combine_chunks().indices.to_numpy().astype(np.int64)
    return found


def forest_scores(field: Ground, folds: Sequence[Fold], plan: Plan) -> list[Floats]:
    """The Handbook's forest on its own features, a probability for each test row of each fold."""
    X = book_features(field.payments())
    found = []
    for fold in folds:
        forest = book_forest(X[fold.train], field.y[fold.train], trees=plan.forest_trees)
        found.append(forest.predict_proba(X[fold.test])[:, 1])
    return found


def our_scores(field: Ground, folds: Sequence[Fold], plan: Plan, recipe: Recipe) -> list[Floats]:
    """Raw scores of our model, averaged over seeds, for each test row of each fold."""
    found = []
    for fold in folds:
        rows = Rows(field.X[fold.train], field.y[fold.train])
        test = field.X[fold.test]
        raw = [
            FraudModel.fit(rows, FEATURES.names, seeded(recipe, plan, seed)).raw(test)
            for seed in range(plan.seeds)
        ]
        found.append(np.mean(raw, axis=0))
    return found


def seeded(recipe: Recipe, plan: Plan, seed: int) -> Recipe:
    """The recipe of one member of the ensemble."""
    return replace(recipe.with_params(seed=seed), rounds=plan.rounds)


# ---------------------------------------------------------------- figures


@dataclass(frozen=True)
class _Scored:
    """A model's scores on the folds, sorted once."""

    field: Ground
    folds: Sequence[Fold]
    rankings: Sequence[Ranking]
    daily: Floats  # card precision of each test day of all folds

    @classmethod
    def of(cls, field: Ground, folds: Sequence[Fold], scores: Sequence[Floats]) -> "_Scored":
        rankings = [Ranking(field.y[f.test], s) for f, s in zip(folds, scores, strict=True)]
        daily = [
            card_precision_by_day(
                field.y[f.test], s, field.customer[f.test], field.day[f.test], TOP
            )
            for f, s in zip(folds, scores, strict=True)
        ]
        return cls(field, folds, rankings, np.concatenate(daily))

    def mean(self, metric: str, weight: Floats) -> float:
        """Mean over folds of a ranking figure; `weight` is one a test row of all folds."""
        parts = np.split(weight, np.cumsum([f.test.size for f in self.folds])[:-1])
        found = [getattr(r, metric)(w) for r, w in zip(self.rankings, parts, strict=True)]
        return float(np.mean(found))

    @property
    def clusters(self) -> Ints:
        """Customer of each test row of all folds."""
        return np.concatenate([self.field.customer[f.test] for f in self.folds])


def judge(
    field: Ground, folds: Sequence[Fold], scores: Sequence[Floats], draws: int = 200
) -> Judged:
    """Figures of one model: AUC and average precision drawn by customer, card precision by day."""
    scored = _Scored.of(field, folds, scores)
    days = np.arange(scored.daily.size)
    return Judged(
        bootstrap(lambda w: scored.mean("auc", w), scored.clusters, rounds=draws),
        bootstrap(lambda w: scored.mean("average_precision", w), scored.clusters, rounds=draws),
        bootstrap(lambda w: float(np.average(scored.daily, weights=w)), days, rounds=draws),
    )


def gain(
    field: Ground,
    folds: Sequence[Fold],
    ours: Sequence[Floats],
    theirs: Sequence[Floats],
    draws: int = 200,
) -> Judged:
    """Our figures less theirs, under the same draws of customers and of days."""
    one, two = (_Scored.of(field, folds, scores) for scores in (ours, theirs))
    apart = one.daily - two.daily

    def difference(metric: str) -> Interval:
        return bootstrap(
            lambda w: one.mean(metric, w) - two.mean(metric, w), one.clusters, rounds=draws
        )

    daily = bootstrap(
        lambda w: float(np.average(apart, weights=w)), np.arange(apart.size), rounds=draws
    )
    return Judged(difference("auc"), difference("average_precision"), daily)


def _result(
    field: Ground, folds: Sequence[Fold], scores: Mapping[str, Sequence[Floats]], plan: Plan
) -> Result:
    found = {name: judge(field, folds, each, plan.draws) for name, each in scores.items()}
    ahead = gain(field, folds, scores[OURS], scores[FOREST], plan.draws)
    rows = [[name, *(f"{value:.3f}" for value in row)] for name, row in TO_BEAT.items()]
    for name, judged in (*found.items(), (f"{OURS} less the forest re-run", ahead)):
        rows.append([name, *(str(getattr(judged, metric)) for metric in METRICS)])
    return Result(
        title="Fraud Detection Handbook (simulated by ULB and Worldline), four prequential folds",
        columns=("model", "AUC", "average precision", "card precision@100"),
        rows=rows,
        figures=_figures(field, folds, found, ahead),
        notes=_notes(plan),
    )


def _figures(
    field: Ground, folds: Sequence[Fold], found: Mapping[str, Judged], ahead: Judged
) -> dict[str, Any]:
    ours = found[OURS]
    best = np.max(list(TO_BEAT.values()), axis=0)
    return {
        **ours.figures(),
        "intervals": {name: getattr(ours, name).as_dict() for name in METRICS},
        "untuned": found[UNTUNED].figures(),
        "forest": found[FOREST].figures(),
        "gain_over_forest": {name: getattr(ahead, name).as_dict() for name in METRICS},
        "best_to_beat": dict(zip(METRICS, best.tolist(), strict=True)),
        "ahead_of_every_row": all(
            value > rival for value, rival in zip(ours.figures().values(), best, strict=True)
        ),
        "folds": len(folds),
        "test_transactions": int(sum(fold.test.size for fold in folds)),
        "test_frauds": int(sum(field.y[fold.test].sum() for fold in folds)),
    }


def _notes(plan: Plan) -> tuple[str, ...]:
    protocol = (
        f"Folds train 7 days from {', '.join(plan.starts)}, wait 7, test 7; customers known to be "
        "defrauded before a test day are out of it; figures are means over folds."
    )
    ours = (
        f"{len(FEATURES)} of our transfer features over tiles, labels only as reported 7 days "
        f"later; {plan.seeds} model(s) that differ in their seed, raw scores averaged."
    )
    intervals = (
        "95 % intervals: AUC and average precision by drawing customers, card precision by "
        "drawing test days; published rows give no interval."
    )
    return protocol, ours, intervals
