"""A simulated city's officers work its warnings in different orders: who avoids most loss an hour.

Everything here is simulated: the citizens, the frauds, and how citizens take a warning
(`data.simulator.dissuasion`, mostly assumed). The warnings are those of a model trained on the
city's earlier days (`experiments.shift_alerts`); the desk is `experiments.shift_desk`, the orders
are `experiments.shift_orders`. What text messages alone would have avoided is taken off everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.simulator import City
from data.simulator.dissuasion import Dissuasion, Manners
from data.simulator.dissuasion_money import swindles
from experiments.result import Result
from experiments.shift_alerts import Chain, Warned, warnings
from experiments.shift_desk import Desk, Duty, Ledger, worked
from experiments.shift_orders import (
    FIRST,
    NOBODY,
    ORACLE,
    ORDERS,
    OURS,
    SCORE,
    SCORE_CALLS,
    SCORE_WAYS,
)
from training.fit import TrainingConfig
from training.intervals import Interval

__all__ = ["Plan", "Worked", "result", "run", "work"]

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]

UNMERGED = f"{FIRST}, a case for every warning"
SHOWN = (*ORDERS, UNMERGED)
HEADS = (
    "the desk works by",
    "CNY avoided an officer-hour",
    "share of the oracle",
    "attempts a day",
    "reached",
    "believed",
    "duplicates",
    "in time",
)


@dataclass(frozen=True)
class Plan:
    """What one run does.

    Parameters
    ----------
    chain : Chain
        The city and its model. Orders and settings were chosen on the city of seed 3 only.
    duty : Duty
    fewer : sequence of Duty
        Smaller desks on which ours is compared too.
    seeds : sequence of int
        Each its own luck, traits and assumed rates.
    draws : int
        Of the bootstrap over days and seeds.
    """

    chain: Chain = field(default_factory=Chain)
    duty: Duty = field(default_factory=Duty)
    fewer: Sequence[Duty] = (Duty(officers=((10, 18, 1),)),)
    seeds: Sequence[int] = (101, 102, 103)
    draws: int = 1_000

    @classmethod
    def quick(cls) -> "Plan":
        """Return a tiny city: for the table's shape, never for its figures."""
        training = TrainingConfig.quick()
        chain = Chain(
            city=City(subscribers=600, days=30, victims_per_100k_days=1_200.0, staged=0),
            days=4,
            training=replace(training, data=replace(training.data, test=1), per_day=40.0),
        )
        return cls(chain=chain, fewer=(), seeds=(101, 102), draws=50)


@dataclass(frozen=True)
class Worked:
    """What desks did, by order: a ledger for each seed.

    Examples
    --------
    >>> days = [Ledger(np.array(one), 1, 1, 0, 1, 0, 1, 1, 4.0) for one in ([5.0, 9.0], [2.0, 2.0])]
    >>> done = Worked({"ours": [days[0]], NOBODY: [days[1]]})
    >>> done.avoided("ours").tolist()
    [[3.0, 7.0]]
    """

    ledgers: Mapping[str, Sequence[Ledger]]

    def avoided(self, name: str) -> Floats:
        """Yuan that officers avoided, beyond the texts', shape (seeds, days)."""
        whole, texts = (
            np.array([one.avoided_cny for one in self.ledgers[order]]) for order in (name, NOBODY)
        )
        return np.asarray(whole - texts)

    def total(self, name: str, what: str) -> float:
        """Sum of one of the ledgers' counts over seeds."""
        return float(sum(getattr(one, what) for one in self.ledgers[name]))

    def share(self, name: str, what: str, of: str) -> float:
        """One count over another; 0 where there is none."""
        return self.total(name, what) / max(1.0, self.total(name, of))


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Simulate, train, and let desks work the same days in every order.

    Parameters
    ----------
    quick : bool
        A tiny city, for the table's shape only.
    real_data : Path, optional
        Not used: no public data hold warnings with their outcomes.
    progress : callable, optional
        Called with a step and the share of it done.
    """
    del real_data
    plan = Plan.quick() if quick else Plan()
    warned = warnings(plan.chain, progress)
    full = work(plan, warned, plan.duty, SHOWN, progress)
    names = (OURS, SCORE, SCORE_CALLS, SCORE_WAYS, ORACLE, NOBODY)
    fewer = {duty.hours: work(plan, warned, duty, names, progress) for duty in plan.fewer}
    return result(plan, warned, full, fewer)


def work(
    plan: Plan,
    warned: Warned,
    duty: Duty,
    names: Sequence[str],
    progress: Progress | None = None,
) -> Worked:
    """Let a desk work in the orders so named, each with every seed's citizens."""
    tell = progress or (lambda _step, _share: None)
    life = swindles(warned.town)
    found: dict[str, list[Ledger]] = {}
    for place, name in enumerate(names):
        tell(f"{duty.hours:g} officer-hours a day by {name}", place / len(names))
        rules = duty if name != UNMERGED else replace(duty, merged=False)
        order = ORDERS[FIRST if name == UNMERGED else name]
        for seed in plan.seeds:
            course = Dissuasion(life, Manners().drawn(seed), seed)
            found.setdefault(name, []).append(worked(Desk(warned, course, rules), order()))
    return Worked(found)


def result(plan: Plan, warned: Warned, full: Worked, fewer: Mapping[float, Worked]) -> Result:
    """The table, and our list against each of the others."""
    rival = _better(full)
    gain, share = _gain(plan, full, rival), _share(plan, full)
    desks = {plan.duty.hours: full, **fewer}
    return Result(
        title="Simulated city: loss avoided an officer-hour, by the order in which a desk works",
        columns=HEADS,
        rows=[_row(plan, full, name) for name in SHOWN],
        figures={
            "gain_over_score_percent": _rounded(gain.value),
            "gain_over_score_interval": [_rounded(gain.low), _rounded(gain.high)],
            "score_order": rival,
            "gain_over_score_by_our_ways_percent": _rounded(_gain(plan, full, SCORE_WAYS).value),
            "share_of_oracle": _rounded(share.value),
            "share_of_oracle_interval": [_rounded(share.low), _rounded(share.high)],
            "by_officer_hours": {
                f"{hours:g}": _compared(plan, done) for hours, done in desks.items()
            },
            "cny_per_officer_hour": {
                name: _rounded(_an_hour(plan, full, name).value) for name in SHOWN
            },
            "duplicates": {name: int(full.total(name, "again")) for name in SHOWN},
            "deadlines_kept": {name: _rounded(full.share(name, "kept", "cases")) for name in SHOWN},
            "simulated": True,
        },
        notes=_notes(plan, warned, full, fewer),
    )


def _better(done: Worked) -> str:
    """The better of the rankings by score whose ways are fixed by a rule."""
    return max((SCORE, SCORE_CALLS), key=lambda name: float(done.avoided(name).sum()))


def _gain(plan: Plan, done: Worked, rival: str, of: str = OURS) -> Interval:
    """Percent that an order avoids more than a rival."""
    ours, theirs = done.avoided(of), done.avoided(rival)
    return _interval(plan, lambda w: 100.0 * (_ratio(ours, theirs, w) - 1.0))


def _share(plan: Plan, done: Worked, name: str = OURS) -> Interval:
    ours, best = done.avoided(name), done.avoided(ORACLE)
    return _interval(plan, lambda w: _ratio(ours, best, w))


def _an_hour(plan: Plan, done: Worked, name: str) -> Interval:
    found = done.avoided(name)
    return _interval(plan, lambda w: float((found * w).sum() / w.sum()) / plan.duty.hours)


def _ratio(above: Floats, below: Floats, weight: Floats) -> float:
    total = float((below * weight).sum())
    return float((above * weight).sum()) / total if total > 0 else float("nan")


def _interval(plan: Plan, statistic: Callable[[Floats], float]) -> Interval:
    """Percentile interval when days and seeds are both drawn again.

    References
    ----------
    Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007).
    """
    rng = np.random.default_rng(0)
    sizes = (len(plan.seeds), plan.chain.days)
    draws = [[rng.multinomial(n, np.full(n, 1 / n)) for n in sizes] for _ in range(plan.draws)]
    found = np.array([statistic(np.outer(seeds, days).astype(np.float64)) for seeds, days in draws])
    value, usable = statistic(np.ones(sizes)), found[np.isfinite(found)]
    if not len(usable):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(usable, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _compared(plan: Plan, done: Worked) -> dict[str, object]:
    gains = {name: _gain(plan, done, name) for name in (SCORE, SCORE_CALLS, SCORE_WAYS)}
    share = _share(plan, done)
    ceiling = _gain(plan, done, _better(done), of=ORACLE)
    return {
        "oracle_gain_over_score_percent": _rounded(ceiling.value),
        "gain_percent_over": {
            name: [_rounded(one.value), _rounded(one.low), _rounded(one.high)]
            for name, one in gains.items()
        },
        "share_of_oracle": [_rounded(share.value), _rounded(share.low), _rounded(share.high)],
    }


def _row(plan: Plan, done: Worked, name: str) -> tuple[str, ...]:
    hour = _an_hour(plan, done, name)
    share = _share(plan, done, name)
    days = plan.chain.days * len(plan.seeds)
    told = done.total(name, "believed") + done.total(name, "doubted")
    return (
        name,
        f"{hour.value:,.0f} [{hour.low:,.0f}, {hour.high:,.0f}]",
        f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]",
        f"{done.total(name, 'attempts') / days:.0f}",
        f"{done.share(name, 'reached', 'attempts'):.0%}",
        f"{done.total(name, 'believed') / max(1.0, told):.0%}",
        f"{done.share(name, 'again', 'attempts'):.1%}",
        f"{done.share(name, 'kept', 'cases'):.0%}",
    )


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def _notes(
    plan: Plan, warned: Warned, full: Worked, fewer: Mapping[float, Worked]
) -> tuple[str, ...]:
    city, duty, gain = plan.chain.city, plan.duty, _gain(plan, full, _better(full))
    citizens = warned.events["subscriber"].nunique() / plan.chain.days
    lines = [
        f"""Simulated: {city.subscribers:,} subscribers, seed {city.seed}, {plan.chain.days} days
        after the model's training, {citizens:.0f} citizens a day warned of,
        {duty.hours:g} officer-hours a day, {len(plan.seeds)} seeds of luck and assumed rates.""",
        f"""Our list against the better ranking by score with a fixed rule of ways:
        {gain.value:+.0f} % [{gain.low:+.0f}, {gain.high:+.0f}]; against the same ranking that
        takes our ways: {_gain(plan, full, SCORE_WAYS).value:+.0f} %. The oracle's own lead over
        the former is {_gain(plan, full, _better(full), of=ORACLE).value:+.0f} %.""",
    ]
    lines += [
        f"""With {hours:g} officer-hours a day: {_gain(plan, done, _better(done)).value:+.0f} %
        and {_gain(plan, done, SCORE_WAYS).value:+.0f} %; {_share(plan, done).value:.2f} of the
        oracle."""
        for hours, done in fewer.items()
    ]
    lines += [
        """Sourced, all from the press: calls refused and calls a success (Shenzhen), minutes a
        call (Changsha), officers a case (Chongqing). Assumed: everything else about how citizens
        take warnings; another draw of it for each seed.""",
        """The oracle knows payments, trust and habits but not the luck, and takes the most
        preventable loss a minute now: greedy, so not the very best that could be done.""",
        "Text messages go to every case at once; what they avoid alone is taken off every row.",
        "Duplicates: attempts on a citizen whom another case had reached within 24 hours.",
        "Believed: of all who were heard and did not show that nothing was wrong.",
        "In time: cases whose citizen an officer spoke to by the deadline.",
        "Brackets: 95 % bootstrap over days and seeds together; one city, one model.",
    ]
    return tuple(" ".join(line.split()) for line in lines)
