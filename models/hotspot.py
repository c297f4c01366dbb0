"""How many incidents a place will see: expected counts per cell, shift and category.

The usual rate (`models.usual_rate`) says what a place's past promises; boosted trees, pooled over
categories and shifts, say by what factor the coming period differs. Trees look at the likeliest
cells only: there the order is decided, and elsewhere the usual rate stands.

References
----------
Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017.
Mohler, Porter, "Rotational grid, PAI-maximizing crime forecasts", Statistical Analysis and Data
Mining 11 (2018): learning on many grids, for the top of the list.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, overload

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from features.hotspot import SPREADS, USUAL, Log, Panel, layout
from models.trees import ModelError, Recipe, Trees
from models.usual_rate import UsualRate

__all__ = ["Forecast", "HotspotConfig", "HotspotModel", "Period", "Periods", "levelled", "periods"]

Floats = NDArray[np.float64]
PRIOR = (0.25, 0.05, 0.1, 0.05, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.03, 0.02, 0.02, 0.01)
SLOPE_INCIDENTS = 50.0  # as much as a slope of 1: one spot says nothing of it
LEAST_SHAPE = 0.05  # below, nine tenths of a Gamma law lie under its mean
ENOUGH = 2_000  # incidents to learn trees from; below, the usual rate stands alone
RECIPE: Mapping[str, Any] = {
    "objective": "poisson",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 500,
    "feature_fraction": 0.3,
    "lambda_l2": 20.0,
    "max_bin": 63,
    # rows drawn by gradient instead of bagging: Ke et al. 2017, section 3
    "data_sample_strategy": "goss",
    "bagging_fraction": 1.0,
    "bagging_freq": 0,
    "force_row_wise": False,
    "force_col_wise": True,
}


@dataclass(frozen=True)
class HotspotConfig:
    """How a hotspot model is grown.

    Parameters
    ----------
    horizon_days : int
        Length of a period.
    periods : int
        Most past periods to learn from, the latest ones.
    warm_up_days : int
        History before the first of them.
    top_share : float
        Share of the cells whose rate the trees adjust, the likeliest ones.
    most_cells : int
        Of a category and shift in one period, at most so many cells are learnt from.
    moves : sequence of (float, float)
        Further grids to learn on, moved by these shares of a cell.
    recipe : Recipe
        How the trees are grown.
    """

    horizon_days: int = 7
    periods: int = 90
    warm_up_days: int = 112
    top_share: float = 0.1
    most_cells: int = 4_000
    moves: tuple[tuple[float, float], ...] = ((0.5, 0.5),)
    recipe: Recipe = field(
        default_factory=lambda: replace(Recipe().with_params(**RECIPE), rounds=400)
    )


@dataclass(frozen=True, eq=False)
class Period:
    """One period that is over: what was known before it, and what came.

    Attributes
    ----------
    panel
        Known at its begin.
    counts : float32 array, shape (categories, shifts, cells)
    """

    panel: Panel
    counts: NDArray[np.float32]


class Periods(Sequence[Period]):
    """Past periods in order of time, made when looked at: a big city's do not fit in memory.

    Parameters
    ----------
    log : Log
    days : sequence of int
        First day of each, since 1970.
    horizon_days : int
    known_before : datetime
        Of what came, only what was learnt before.
    kept : dict of day to Panel, optional
        Panels made before, of this log; those made now are added. By default none is kept.
    """

    def __init__(
        self,
        log: Log,
        days: Sequence[int],
        horizon_days: int,
        known_before: datetime,
        kept: dict[int, Panel] | None = None,
    ) -> None:
        self.log, self.days, self.horizon_days = log, list(days), horizon_days
        self._known_before, self._kept = known_before, kept

    def __len__(self) -> int:
        return len(self.days)

    @overload
    def __getitem__(self, at: int) -> Period: ...
    @overload
    def __getitem__(self, at: slice) -> "Periods": ...
    def __getitem__(self, at: int | slice) -> "Period | Periods":
        """One period, or some."""
        if isinstance(at, slice):
            chosen = self.days[at]
            return Periods(self.log, chosen, self.horizon_days, self._known_before, self._kept)
        day = self.days[at]
        counts = self.log.counts(day, self.horizon_days, self._known_before)
        if self._kept is None:
            return Period(Panel(self.log, day, self.horizon_days), counts)
        if day not in self._kept:
            self._kept[day] = Panel(self.log, day, self.horizon_days)
        return Period(self._kept[day], counts)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Expected incidents of a period, each with its interval.

    Attributes
    ----------
    expected, low, high : float64 arrays, shape (categories, shifts, cells)
        The interval holds the place's rate nine times in ten, given how far rates were off.
    usual : float64 array of the same shape
        Mean of so long a period since records began.
    rate : float64 array of the same shape
        What the mixture of past rates promises, before the trees.
    """

    expected: Floats
    low: Floats
    high: Floats
    usual: Floats
    rate: Floats


@dataclass(frozen=True, eq=False)
class HotspotModel:
    """A fitted model of one city's incidents.

    Parameters
    ----------
    categories : tuple of str
    shifts : int
        Shifts a day.
    horizon_days : int
    usual : UsualRate
    trees : Trees or None
        None where there were too few incidents to learn more than the usual rate.
    top_share : float
    level : float64 array, shape (categories, 2)
        Calibration: log expected = level[0] + level[1] x log rate.
    shape : float64 array, shape (categories,)
        Shape of the Gamma law of a true rate around its expectation.
    covariates : tuple of str
        What of a table of places it learnt from.
    """

    categories: tuple[str, ...]
    shifts: int
    horizon_days: int
    usual: UsualRate
    trees: Trees | None
    top_share: float
    level: Floats
    shape: Floats
    covariates: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, past: Sequence[Sequence[Period]], config: HotspotConfig | None = None
    ) -> "HotspotModel":
        """Learn from periods that are over.

        Parameters
        ----------
        past : sequence of sequences of Period
            The periods of each grid, in order of time; the first grid is the one forecast on.
        """
        config = config or HotspotConfig()
        if not len(past) or not len(past[0]):
            raise ModelError("expected past periods to learn from, found none; bring more history")
        log, pairs = _usual_pairs(past[0], config.most_cells)
        categories = log.categories
        bare = cls(
            categories=categories,
            shifts=len(log.shifts),
            horizon_days=config.horizon_days,
            usual=UsualRate.fit(pairs, prior=PRIOR),
            trees=None,
            top_share=config.top_share,
            level=np.tile([0.0, 1.0], (len(categories), 1)),
            shape=np.full(len(categories), np.inf),
            covariates=_standing(log),
        )
        seen = sum(float(counts.sum()) for one in pairs for _, counts in one)
        return bare if seen < ENOUGH else replace(bare, trees=bare._grown(past, config))

    def calibrated(self, later: Sequence[Period]) -> "HotspotModel":
        """The same model, its level and spread fitted on periods it did not learn from."""
        found = [self.forecast(one.panel).expected for one in later]
        level, shape = np.array(self.level), np.array(self.shape)
        for category in range(len(self.categories)):
            rate = np.concatenate([one[category].ravel() for one in found])
            count = np.concatenate([one.counts[category].ravel() for one in later])
            level[category] = levelled(rate, count, level[category])
            fitted = np.exp(level[category][0] + level[category][1] * np.log(rate))
            shape[category] = _gamma_shape(fitted, count)
        return replace(self, level=level, shape=shape)

    def forecast(self, panel: Panel) -> Forecast:
        """Expected incidents of the period that begins where the panel ends.

        Raises
        ------
        ModelError
            If the panel lacks what the model learnt from.
        """
        if (found := _standing(panel.log)) != self.covariates:
            raise ModelError(
                f"expected a table of places with {', '.join(self.covariates) or 'nothing'}, found "
                f"{', '.join(found) or 'none'}; bring the one it was trained with, or train again"
            )
        rate = self._usual_rates(panel)
        moved = rate.copy()
        if self.trees is not None:
            for category, shift, cells, X in self._rows(panel, rate, len(panel.log.grid)):
                moved[category, shift, cells] *= np.exp(self.trees.raw(X.astype(np.float64)))
        scaled = np.exp(self.level[:, :1, None] + self.level[:, 1:, None] * np.log(moved))
        return Forecast(scaled, *self.interval(scaled), panel.means(), rate)

    def interval(self, expected: Floats, level: float = 0.9) -> tuple[Floats, Floats]:
        """Where a true rate lies around what is expected; shape as `expected`."""
        shape = np.clip(self.shape, LEAST_SHAPE, 1e6)[:, None, None]
        low, high = (
            gamma.ppf(share, shape) / shape * expected
            for share in ((1 - level) / 2, (1 + level) / 2)
        )
        return low, high

    def contributions(self, panel: Panel, category: int, shift: int, cells: Any) -> Floats:
        """What each column added to the log of the rate, and last the base, shape (n, p + 1).

        Zero where trees adjust nothing.
        """
        at = np.asarray(cells, np.int64)
        found = np.zeros((len(at), len(layout(self.categories, self.shifts, self.covariates)) + 1))
        if self.trees is None:
            return found
        usual = self._usual(panel, category, shift)
        adjusted = np.isin(at, self._likeliest(usual))
        some = at[adjusted]
        if len(some):
            X = panel.columns(category, shift, some, usual[some])
            found[adjusted] = self.trees.contributions(X.astype(float))
        return found

    def to_texts(self) -> dict[str, str]:
        """The model as texts by file name."""
        facts = {
            "categories": list(self.categories),
            "shifts": self.shifts,
            "horizon_days": self.horizon_days,
            "top_share": self.top_share,
            "usual": self.usual.weights.tolist(),
            "level": self.level.tolist(),
            "covariates": list(self.covariates),
            "columns": self._columns(),
            "shape": [None if np.isinf(one) else one for one in self.shape.tolist()],
        }
        return {"hotspot.json": json.dumps(facts)} | (
            {"hotspot.txt": self.trees.text} if self.trees else {}
        )

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> "HotspotModel":
        """Read `to_texts` back. Only texts whose signed hashes were verified may come here.

        Raises
        ------
        ModelError
            If it learnt from columns that this version does not make.
        """
        facts = json.loads(texts["hotspot.json"])
        found = cls(
            categories=tuple(facts["categories"]),
            shifts=facts["shifts"],
            horizon_days=facts["horizon_days"],
            usual=UsualRate(np.asarray(facts["usual"], np.float64)),
            trees=Trees(texts["hotspot.txt"]) if "hotspot.txt" in texts else None,
            top_share=facts["top_share"],
            level=np.asarray(facts["level"], np.float64),
            shape=np.array([np.inf if one is None else one for one in facts["shape"]]),
            covariates=tuple(facts["covariates"]),
        )
        if facts.get("columns") != found._columns():
            raise ModelError(
                "expected a model of the columns that this version makes, found one of another "
                "version; train it again with forewarn train hotspot"
            )
        return found

    def _columns(self) -> list[str]:
        """What the trees learn from, by name, the usual rate's columns first."""
        mixed = [f"usual|{who}|{memory}|{SPREADS[spread]:g}" for who, memory, spread in USUAL]
        of_trees = layout(self.categories, self.shifts, self.covariates)
        return [*mixed, *(column.name for column in of_trees)]

    def _usual(self, panel: Panel, category: int, shift: int) -> Floats:
        return self.usual.of(category, panel.usual(category, shift))

    def _usual_rates(self, panel: Panel) -> Floats:
        """Usual rates, shape (categories, shifts, cells)."""
        return np.stack(
            [
                [self._usual(panel, category, shift) for shift in range(self.shifts)]
                for category in range(len(self.categories))
            ]
        )

    def _rows(
        self, panel: Panel, usual: Floats, most: int
    ) -> Iterator[tuple[int, int, NDArray[np.int64], NDArray[np.float32]]]:
        """The trees' input of the likeliest cells, by category and shift."""
        for category, shift in np.ndindex(*usual.shape[:2]):
            rate = usual[category, shift]
            cells = _thinned(self._likeliest(rate), rate, most)
            yield category, shift, cells, panel.columns(category, shift, cells, rate[cells])

    def _likeliest(self, rate: Floats) -> NDArray[np.int64]:
        wanted = max(1, round(self.top_share * len(rate)))
        return np.sort(np.argsort(-rate, kind="stable")[:wanted])

    def _grown(self, past: Sequence[Sequence[Period]], config: HotspotConfig) -> Trees:
        inputs, counts, starts = [], [], []
        for one in (one for grid in past for one in grid):
            panel = one.panel
            usual = self._usual_rates(panel)
            for category, shift, cells, X in self._rows(panel, usual, config.most_cells):
                inputs.append(X)
                counts.append(one.counts[category, shift, cells])
                starts.append(np.log(usual[category, shift, cells]))
        columns = layout(self.categories, self.shifts, self.covariates)
        data = lgb.Dataset(
            np.concatenate(inputs),
            np.concatenate(counts),
            init_score=np.concatenate(starts),
            feature_name=[f"f{at}" for at in range(len(columns))],
            params=dict(config.recipe.params),
        )
        return Trees.grow_on(data, config.recipe, [])


def _standing(log: Log) -> tuple[str, ...]:
    return log.covariates.names if log.covariates is not None else ()


def _thinned(cells: NDArray[np.int64], rate: Floats, most: int) -> NDArray[np.int64]:
    """At most so many cells: half of them the likeliest, half drawn from the others."""
    if len(cells) <= most:
        return cells
    ordered = cells[np.argsort(-rate[cells], kind="stable")]
    half = most // 2
    others = np.random.default_rng(0).choice(ordered[half:], most - half, replace=False)
    return np.sort(np.concatenate([ordered[:half], others]))


def _usual_pairs(
    past: Sequence[Period], most: int
) -> tuple[Log, list[list[tuple[Floats, Floats]]]]:
    """For each category, what was known and what came, of cells drawn evenly where many."""
    pairs: list[list[tuple[Floats, Floats]]] = []
    for one in past:
        panel, log = one.panel, one.panel.log
        if not pairs:
            pairs = [[] for _ in log.categories]
            chosen = _thinned_evenly(len(log.grid), 10 * most)
        for category, shift in np.ndindex(len(log.categories), len(log.shifts)):
            counts = one.counts[category, shift, chosen].astype(np.float64)
            pairs[category].append((panel.usual(category, shift)[chosen], counts))
    return log, pairs


def _thinned_evenly(cells: int, most: int) -> NDArray[np.int64]:
    if cells <= most:
        return np.arange(cells)
    return np.sort(np.random.default_rng(0).choice(cells, most, replace=False))


def levelled(rate: Floats, count: Floats, before: Floats) -> Floats:
    """Poisson regression of counts on the log of the rate, on top of the level before.

    Parameters
    ----------
    rate, count : float64 arrays, shape (n,)
        Rates above 0 and what came.
    before : float64 array, shape (2,)
        Intercept and slope; given back where too little came to say better.

    Examples
    --------
    >>> rate = np.array([1.0, 2.0, 4.0] * 100)
    >>> levelled(rate, 2 * rate, np.array([0.0, 1.0])).round(3).tolist()
    [0.693, 1.0]
    """
    x = np.log(rate)
    a, b = 0.0, 1.0
    if count.sum() < ENOUGH / 10:
        return before
    for _ in range(20):
        mean = np.exp(a + b * x)
        gap = count - mean
        hessian = np.array([[mean.sum(), (mean * x).sum()], [0.0, (mean * x * x).sum()]])
        hessian[1, 0] = hessian[0, 1]
        hessian[1, 1] += SLOPE_INCIDENTS
        pull = SLOPE_INCIDENTS * (1 - b)
        step = np.linalg.solve(hessian, [gap.sum(), (gap * x).sum() + pull])
        a, b = a + step[0], b + step[1]
        if np.abs(step).max() < 1e-8:
            break
    return np.array([a + b * before[0], b * before[1]])


def _gamma_shape(rate: Floats, count: Floats) -> float:
    """Shape of the rates' law around their expectation, from counts that vary more than Poisson's.

    Method of moments: E[(y - m)^2 - m] = m^2 / shape.
    """
    beyond = float(((count - rate) ** 2 - rate).sum())
    return float((rate**2).sum() / beyond) if beyond > 0 else np.inf


assert len(PRIOR) == len(USUAL) + 1  # noqa: S101 - two declarations that must stay in step


def periods(
    log: Log, last_day: int, config: HotspotConfig, kept: dict[int, Panel] | None = None
) -> Periods:
    """Past periods that were over before a day, in order of time.

    Parameters
    ----------
    last_day : int
        First day of what is to be forecast, since 1970: no period reaches into it.
    kept : dict of day to Panel, optional
        Panels made before, of this log; those made now are added. By default none is kept.
    """
    starts = [last_day - config.horizon_days * (step + 1) for step in range(config.periods)]
    days = [day for day in reversed(starts) if day - log.first_day >= config.warm_up_days]
    return Periods(
        log, days, config.horizon_days, log.shifts.begin(log.shifts.date_of(last_day)), kept
    )
