"""Simulated cities' officers work their warnings in different orders: who avoids most loss an hour.

Everything here is simulated: the citizens, the frauds, and how citizens take a warning
(`data.simulator.dissuasion`, mostly assumed). Each city's warnings are those of a model trained on
its own earlier days (`experiments.shift_alerts`); the desk is `experiments.shift_desk`, the orders
are `experiments.shift_orders`, and `experiments.shift_tally` adds the cities up. What text messages
alone would have avoided is taken off everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

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
from experiments.shift_tally import Tally, Worked
from training.fit import TrainingConfig
from training.intervals import Interval

__all__ = ["Plan", "Town", "result", "run", "town"]

Progress = Callable[[str, float], None]

UNMERGED = f"{FIRST}, a case for every warning"
SHOWN = (*ORDERS, UNMERGED)
COMPARED = (OURS, SCORE, SCORE_CALLS, SCORE_WAYS, ORACLE, NOBODY)
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

TUNED_ON = (3, 11, 12)  # seeds of cities on which settings were chosen; never judged on
SEEDS = (7, 8, 9, 10)  # the simulator's own seed and the next ones


def _chains() -> tuple[Chain, ...]:
    return tuple(Chain(city=City(seed=seed, staged=0)) for seed in SEEDS)


@dataclass(frozen=True)
class Plan:
    """What one run does.

    Parameters
    ----------
    chains : sequence of Chain
        The cities, all of different seeds, each with a model of its own; none of `TUNED_ON`, on
        whose cities orders and settings were chosen.
    duty : Duty
    fewer : sequence of Duty
        Smaller desks on which ours is compared too.
    courses : int
        How often each city's days are worked, each time with other luck, traits and assumed
        rates; no two cities share any.
    """

    chains: Sequence[Chain] = field(default_factory=_chains)
    duty: Duty = field(default_factory=Duty)
    fewer: Sequence[Duty] = (Duty(officers=((10, 18, 1),)),)
    courses: int = 6

    def __post_init__(self) -> None:
        seeds = [chain.city.seed for chain in self.chains]
        if not seeds or set(seeds) & set(TUNED_ON) or len(set(seeds)) < len(seeds):
            raise ValueError(
                f"expected cities of different seeds, none of them {TUNED_ON}, on which settings "
                f"were chosen; found seeds {seeds}; take others"
            )

    @classmethod
    def quick(cls) -> "Plan":
        """Return two tiny cities: for the table's shape, never for its figures."""
        training = TrainingConfig.quick()
        training = replace(
            training,
            data=replace(training.data, test=1, others=8_000),
            search=replace(training.search, trials=1, rounds=20),
            per_day=40.0,
        )
        many = City(subscribers=500, days=26, victims_per_100k_days=1_200.0, staged=0)
        chains = [
            Chain(city=replace(many, seed=seed), days=3, training=training) for seed in SEEDS[:2]
        ]
        return cls(chains=chains, fewer=(), courses=2)

    def seeds(self, place: int) -> range:
        """Seeds of the courses in the city at this place."""
        return range(101 + place * self.courses, 101 + (place + 1) * self.courses)


@dataclass(frozen=True)
class Town:
    """What came of one city: small enough to keep while the next one is simulated.

    Parameters
    ----------
    seed : int
        The city's.
    citizens_a_day : float
        Warned of.
    full : Worked
    fewer : mapping of officer-hours a day to Worked
    """

    seed: int
    citizens_a_day: float
    full: Worked
    fewer: Mapping[float, Worked]


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Simulate cities, train, and let desks work the same days in every order.

    Parameters
    ----------
    quick : bool
        Two tiny cities, for the table's shape only.
    real_data : Path, optional
        Not used: no public data hold warnings with their outcomes.
    progress : callable, optional
        Called with a step and the share of it done.
    """
    del real_data
    plan = Plan.quick() if quick else Plan()
    return result(plan, [town(plan, place, progress) for place in range(len(plan.chains))])


def town(plan: Plan, place: int, progress: Progress | None = None) -> Town:
    """Simulate one of the plan's cities, train its model and let its desks work.

    Parameters
    ----------
    place : int
        Of the city in the plan, from 0.
    """
    chain, tell = plan.chains[place], progress or (lambda _step, _share: None)

    def say(step: str, share: float) -> None:
        tell(f"city {place + 1} of {len(plan.chains)}: {step}", share)

    warned = warnings(chain, say)
    seeds = plan.seeds(place)
    return Town(
        chain.city.seed,
        warned.events["subscriber"].nunique() / chain.days,
        _work(seeds, warned, plan.duty, SHOWN, say),
        {duty.hours: _work(seeds, warned, duty, COMPARED, say) for duty in plan.fewer},
    )


def _work(
    seeds: Sequence[int], warned: Warned, duty: Duty, names: Sequence[str], tell: Progress
) -> Worked:
    """Let a desk work in the orders so named, each with every seed's citizens."""
    life = swindles(warned.town)
    found: dict[str, list[Ledger]] = {}
    for place, name in enumerate(names):
        tell(f"{duty.hours:g} officer-hours a day by {name}", place / len(names))
        rules = duty if name != UNMERGED else replace(duty, merged=False)
        order = ORDERS[FIRST if name == UNMERGED else name]
        for seed in seeds:
            course = Dissuasion(life, Manners().drawn(seed), seed)
            found.setdefault(name, []).append(worked(Desk(warned, course, rules), order()))
    return Worked(found, NOBODY)


def result(plan: Plan, towns: Sequence[Town]) -> Result:
    """The table, and our list against each of the others, in all cities and in each.

    Parameters
    ----------
    towns : sequence of Town
        Of the plan's cities.
    """
    full = Tally([one.full for one in towns], plan.duty.hours)
    desks = {plan.duty.hours: full} | {
        duty.hours: Tally([one.fewer[duty.hours] for one in towns], duty.hours)
        for duty in plan.fewer
    }
    alone = {one.seed: Tally([one.full], plan.duty.hours) for one in towns}
    rival = _better(full)
    return Result(
        title="Simulated cities: loss avoided an officer-hour, by the order in which a desk works",
        columns=HEADS,
        rows=[_row(full, name) for name in SHOWN],
        figures={
            **_figures(full, rival),
            "score_order": rival,
            "gain_over_score_by_our_ways_percent": _rounded(full.gain(OURS, SCORE_WAYS).value),
            "by_city": {str(seed): _city(one, rival) for seed, one in alone.items()},
            "by_officer_hours": {f"{hours:g}": _compared(done) for hours, done in desks.items()},
            "cny_per_officer_hour": {name: _rounded(full.an_hour(name).value) for name in SHOWN},
            "duplicates": {name: int(full.total(name, "again")) for name in SHOWN},
            "duplicates_share": {
                name: _rounded(full.part(name, "again", "attempts")) for name in SHOWN
            },
            "deadlines_kept": {name: _rounded(full.part(name, "kept", "cases")) for name in SHOWN},
            "simulated": True,
        },
        notes=_notes(plan, towns, desks, alone),
    )


def _better(done: Tally) -> str:
    """The better of the rankings by score whose ways are fixed by a rule."""
    return max((SCORE, SCORE_CALLS), key=lambda name: done.an_hour(name).value)


def _figures(done: Tally, rival: str) -> dict[str, object]:
    gain, share = done.gain(OURS, rival), done.share(OURS, ORACLE)
    return {
        "gain_over_score_percent": _rounded(gain.value),
        "gain_over_score_interval": _ends(gain),
        "gain_over_score_interval_elsewhere": _ends(done.gain_elsewhere(OURS, rival)),
        "share_of_oracle": _rounded(share.value),
        "share_of_oracle_interval": _ends(share),
        "share_of_oracle_interval_elsewhere": _ends(done.share_elsewhere(OURS, ORACLE)),
    }


def _city(done: Tally, rival: str) -> dict[str, object]:
    return {
        "gain_over_score_percent": _three(done.gain(OURS, rival)),
        "share_of_oracle": _three(done.share(OURS, ORACLE)),
        "cny_per_officer_hour": {name: _rounded(done.an_hour(name).value) for name in SHOWN},
        "duplicates": {name: int(done.total(name, "again")) for name in SHOWN},
        "deadlines_kept": {name: _rounded(done.part(name, "kept", "cases")) for name in SHOWN},
    }


def _compared(done: Tally) -> dict[str, object]:
    return {
        "oracle_gain_over_score_percent": _rounded(done.gain(ORACLE, _better(done)).value),
        "gain_percent_over": {
            name: _three(done.gain(OURS, name)) for name in (SCORE, SCORE_CALLS, SCORE_WAYS)
        },
        "share_of_oracle": _three(done.share(OURS, ORACLE)),
    }


def _row(done: Tally, name: str) -> tuple[str, ...]:
    hour, share = done.an_hour(name), done.share(name, ORACLE)
    told = done.total(name, "believed") + done.total(name, "doubted")
    return (
        name,
        f"{hour.value:,.0f}{_bracket(hour, ',.0f')}",
        f"{share.value:.2f}{_bracket(share, '.2f')}",
        f"{done.total(name, 'attempts') / done.worked_days:.0f}",
        f"{done.part(name, 'reached', 'attempts'):.0%}",
        f"{done.total(name, 'believed') / max(1.0, told):.0%}",
        f"{done.part(name, 'again', 'attempts'):.1%}",
        f"{done.part(name, 'kept', 'cases'):.0%}",
    )


def _bracket(one: Interval, form: str) -> str:
    """The ends, where there are any."""
    known = np.isfinite([one.low, one.high]).all()
    return f" [{one.low:{form}}, {one.high:{form}}]" if known else ""


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def _ends(one: Interval) -> list[float | None]:
    return [_rounded(one.low), _rounded(one.high)]


def _three(one: Interval) -> list[float | None]:
    return [_rounded(one.value), *_ends(one)]


def _notes(
    plan: Plan, towns: Sequence[Town], desks: Mapping[float, Tally], alone: Mapping[int, Tally]
) -> tuple[str, ...]:
    full, rival = desks[plan.duty.hours], _better(desks[plan.duty.hours])
    lines = [_setting(plan, towns), _against(full, rival), _by_city(alone, rival)]
    lines += [
        f"""With {hours:g} officer-hours a day: {done.gain(OURS, _better(done)).value:+.0f} %
        and {done.gain(OURS, SCORE_WAYS).value:+.0f} %; {done.share(OURS, ORACLE).value:.2f} of the
        oracle."""
        for hours, done in desks.items()
        if done is not full
    ]
    lines += [
        """Sourced, all from the press: calls refused and calls a success (Shenzhen), minutes a
        call (Changsha), officers a case (Chongqing). Assumed: everything else about how citizens
        take warnings; another draw of it for each course.""",
        """The oracle knows payments, trust and habits but not the luck, and takes the most
        preventable loss a minute now: greedy, so not the very best that could be done.""",
        "Text messages go to every case at once; what they avoid alone is taken off every row.",
        "Duplicates: attempts on a citizen whom another case had reached within 24 hours.",
        "Believed: of all who were heard and did not show that nothing was wrong.",
        "In time: cases whose citizen an officer spoke to by the deadline.",
        """Brackets: 95 %, from leaving out single days of single cities and single courses, the
        same for every order; cities and models are fixed. For another city: from leaving out whole
        cities, with their models.""",
    ]
    return tuple(" ".join(line.split()) for line in lines)


def _setting(plan: Plan, towns: Sequence[Town]) -> str:
    first, seeds = plan.chains[0], [one.seed for one in towns]
    citizens = np.mean([one.citizens_a_day for one in towns])
    chosen = ", ".join(map(str, TUNED_ON))
    return f"""Simulated: {len(towns)} cities (seeds {", ".join(map(str, seeds))}; settings were
        chosen on others, of seeds {chosen}) of {first.city.subscribers:,} subscribers, {first.days}
        days each after its own model's training, {citizens:.0f} citizens a day warned of,
        {plan.duty.hours:g} officer-hours a day, {plan.courses} courses of luck and assumed rates
        in each."""


def _against(full: Tally, rival: str) -> str:
    gain, other = full.gain(OURS, rival), _bracket(full.gain_elsewhere(OURS, rival), "+.0f")
    elsewhere = f",{other} in another" if other else ""
    return f"""Our list against the better ranking by score with a fixed rule of ways:
        {gain.value:+.0f} %{_bracket(gain, "+.0f")} in these cities{elsewhere}; against the same
        ranking that takes our ways: {full.gain(OURS, SCORE_WAYS).value:+.0f} %. The oracle's own
        lead over the former is {full.gain(ORACLE, rival).value:+.0f} %."""


def _by_city(alone: Mapping[int, Tally], rival: str) -> str:
    told = [
        f"seed {seed} {one.gain(OURS, rival).value:+.0f} %, {one.share(OURS, ORACLE).value:.2f}"
        for seed, one in alone.items()
    ]
    return f"City by city, our gain and our share of the oracle: {'; '.join(told)}."
