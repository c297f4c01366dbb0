"""Reaching a citizen before the money leaves: chances, time that is left, loss avoided.

A way is a channel with a script. Its chance now is the chance to reach the citizen times the chance
to be believed, each a Beta-binomial: attempts made move the city's mean, and a citizen's own failed
attempts move his. Who listens and neither believes nor shows that nothing is wrong is likelier a
victim than before. Money leaves at a constant rate that depends on the stage. Where the field gives
no figure the prior is an assumption, weak and said to be one; closed attempts soon outweigh it.

References
----------
DOMAIN.md section 1: calls refused, calls per success, payments despite a warning.
Gelman et al., Bayesian Data Analysis, 3rd ed., ch. 2 and 5 (Beta-binomial), ch. 2.6 (rates).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from models.trees import ModelError

__all__ = [
    "WAYS",
    "Avoided",
    "Beta",
    "FraudEvent",
    "Hazard",
    "Left",
    "Rates",
    "Tried",
    "Way",
    "loss_avoided",
    "moved",
    "stage_after",
]

HOUR = timedelta(hours=1)
INDIVIDUAL = 2.0  # assumption: citizens differ so much that two failures outweigh the city's mean
SHARED = 0.3  # assumption: disbelief of one way counts so much against another
PRIOR_PAYMENTS = 10.0  # assumption: a deadline in use counts for so many payments watched
FORGOTTEN = HOUR  # assumption: half of what an unanswered call says is stale after this
BELIEF_ODDS = MappingProxyType({"contact": 1.5, "engaged": 1.0, "paying": 0.6})
"""Assumption: the further it has gone, the deeper the trust in the fraudster."""


@dataclass(frozen=True)
class Way:
    """A channel with a script, and what it takes.

    Parameters
    ----------
    channel, script : str
        Codes; channels are the policy's.
    minutes : float
        An officer's minutes, answered or not; 0 where machines do it.
    delay_minutes : float
        Until the citizen is spoken to.
    zh, en : str
        What officers call it.
    """

    channel: str
    script: str
    minutes: float
    delay_minutes: float
    zh: str
    en: str


CALL_MINUTES = 3.0  # Changsha: 8 people, 400 citizens a day, 3-4 calls each: 2.7 min of an 8 h day
VISIT_MINUTES = 45.0  # assumption, the way there and back included
VISIT_DELAY = 25.0  # assumption

WAYS: tuple[Way, ...] = (
    Way("sms_12381", "plain", 0.0, 0.5, "12381短信，一般提醒", "12381 SMS, plain warning"),
    Way("ai_call", "plain", 0.0, 1.0, "AI外呼，一般提醒", "AI call, plain warning"),
    Way("call_96110", "plain", CALL_MINUTES, 1.0,
        "96110人工电话，一般提醒", "96110 call, plain warning"),
    Way("call_96110", "scheme", CALL_MINUTES + 1, 1.0,
        "96110人工电话，讲明骗局下一步", "96110 call, telling the fraud's next step"),
    Way("visit", "plain", VISIT_MINUTES, VISIT_DELAY, "上门，一般提醒", "visit, plain warning"),
    Way("visit", "scheme", VISIT_MINUTES, VISIT_DELAY,
        "上门，讲明骗局下一步", "visit, telling the fraud's next step"),
)  # fmt: skip
"""Every way the centre has; those that take no officer's minutes are on nobody's list."""


@dataclass(frozen=True)
class Tried:
    """An attempt as it went.

    Parameters
    ----------
    channel, script : str
    reached : bool
        Somebody answered and listened; a refused call did not reach.
    believed : bool or None
        The citizen believed the warning; None: nothing is known of it, as of a text message, or
        of a warning that turned out to be a false alarm.
    minutes : float
        It took.
    at : datetime
        When it was made.
    """

    channel: str
    script: str
    reached: bool
    believed: bool | None
    minutes: float
    at: datetime

    @property
    def doubted(self) -> bool:
        """Whether the citizen heard the warning and did not believe it."""
        return self.reached and self.believed is False


@dataclass(frozen=True)
class Beta:
    """What is known of a chance: as if `yes` of `yes + no` attempts had gone well.

    Examples
    --------
    >>> Beta.of(0.6, 10).seen(5, 5).mean
    0.55
    """

    yes: float
    no: float
    source: str = ""

    def __post_init__(self) -> None:
        if not (self.yes > 0 and self.no > 0):
            raise ModelError(
                f"expected more than 0 attempts of each kind, found {self.yes} and {self.no}; "
                "a chance of exactly 0 or 1 can learn nothing"
            )

    @classmethod
    def of(cls, mean: float, weight: float, source: str = "") -> "Beta":
        """A prior by its mean and by how many attempts it counts for."""
        return cls(mean * weight, (1.0 - mean) * weight, source)

    @property
    def mean(self) -> float:
        return self.yes / (self.yes + self.no)

    def seen(self, yes: float, no: float) -> "Beta":
        """With more attempts."""
        return replace(self, yes=self.yes + yes, no=self.no + no)


SHENZHEN = "Shenzhen, press (DOMAIN.md 1): about 40 % of calls refused"
PER_SUCCESS = "Shenzhen, press (DOMAIN.md 1): 5 calls a success, 0.6 of them reach"
ASSUMED = "assumption: no public figure"

REACH: Mapping[str, Beta] = MappingProxyType(
    {
        "sms_12381": Beta.of(0.9, 5, ASSUMED),
        "ai_call": Beta.of(0.6, 20, SHENZHEN),
        "call_96110": Beta.of(0.6, 50, SHENZHEN),
        "visit": Beta.of(0.75, 5, ASSUMED),
    }
)
BELIEF: Mapping[tuple[str, str], Beta] = MappingProxyType(
    {
        ("sms_12381", "plain"): Beta.of(0.1, 5, ASSUMED),
        ("ai_call", "plain"): Beta.of(0.2, 5, ASSUMED),
        ("call_96110", "plain"): Beta.of(1 / 3, 20, PER_SUCCESS),
        ("call_96110", "scheme"): Beta.of(0.45, 5, ASSUMED),
        ("visit", "plain"): Beta.of(0.6, 5, ASSUMED),
        ("visit", "scheme"): Beta.of(0.7, 5, ASSUMED),
    }
)
CLEARED = Beta.of(0.7, 10, ASSUMED)
SURE = 40.0  # log odds: beyond any doubt, and still a finite number


@dataclass(frozen=True)
class FraudEvent:
    """An event of a fraud: which fraud, its stage by then, what was paid (0: nothing), when."""

    episode: int
    stage: str
    cny: float
    at: datetime


@dataclass(frozen=True)
class Left:
    """Money that left so many hours after a stage was first seen."""

    stage: str
    hours: float
    cny: float

    @classmethod
    def of(cls, events: Iterable[FraudEvent]) -> "list[Left]":
        """Each payment of a fraud with its wait since each stage that was seen before it.

        Examples
        --------
        >>> begun = datetime(2026, 3, 1, 10)
        >>> seen = FraudEvent(0, "engaged", 0.0, begun)
        >>> Left.of([seen, FraudEvent(0, "paying", 9e3, begun + HOUR)])
        [Left(stage='engaged', hours=1.0, cny=9000.0)]
        """
        told = list(events)
        begun: dict[int, dict[str, datetime]] = {}
        for one in told:
            stages = begun.setdefault(one.episode, {})
            stages[one.stage] = min(one.at, stages.get(one.stage, one.at))
        return [
            cls(stage, (one.at - since) / HOUR, one.cny)
            for one in told
            if one.cny > 0
            for stage, since in begun[one.episode].items()
            if one.at > since
        ]


@dataclass(frozen=True)
class Hazard:
    """How fast money leaves, by stage: frauds that paid, and the hours watched.

    Parameters
    ----------
    paid, hours : mapping of stage to float
        The rate per hour is their ratio. The defaults count as one payment each, after three days,
        half a day and one hour: assumptions of the size of the deadlines in use (DOMAIN.md 1).

    Examples
    --------
    >>> Hazard().per_hour("paying")
    1.0
    >>> round(Hazard().stays("paying", 0.5), 3)
    0.607
    >>> Hazard().seen({"paying": 3}, {"paying": 7.0}).per_hour("paying")
    0.5
    """

    paid: Mapping[str, float] = field(
        default_factory=lambda: {"contact": 1.0, "engaged": 1.0, "paying": 1.0}
    )
    hours: Mapping[str, float] = field(
        default_factory=lambda: {"contact": 72.0, "engaged": 12.0, "paying": 1.0}
    )

    def per_hour(self, stage: str) -> float:
        """Payments per hour at a stage."""
        if stage not in self.hours:
            raise ModelError(f"expected a stage among {sorted(self.hours)}, found {stage!r}")
        return self.paid[stage] / self.hours[stage]

    def stays(self, stage: str, hours: float) -> float:
        """Probability that the money has not left after so many hours at a stage."""
        return math.exp(-self.per_hour(stage) * max(0.0, hours))

    def learn(self, left: Iterable[Left], weight: float = PRIOR_PAYMENTS) -> "Hazard":
        """The pace of money that left, as far as it outweighs what was held before.

        Each yuan counts: the rate is the money that left over its hours of waiting, the likeliest
        one if every yuan waits for an exponential time. Large losses are few, so payments count as
        many as there would be of equal size (Kish).

        Parameters
        ----------
        left : iterable of Left
        weight : float
            Payments that what was held before counts for; 0: only where nothing was seen.

        References
        ----------
        Kish, Survey Sampling (1965), ch. 11.7 (effective sample size of weights).

        Examples
        --------
        >>> slow = [Left("paying", 60.0, 1e4)] * 30
        >>> [round(Hazard().learn(slow[:n]).per_hour("paying"), 2) for n in (0, 1, 30)]
        [1.0, 0.16, 0.02]
        """
        told = list(left)
        paid, hours = dict(self.paid), dict(self.hours)
        for stage in self.paid:
            count, wait = _effective([one for one in told if one.stage == stage])
            if count:
                paid[stage] = weight + count
                hours[stage] = weight / self.per_hour(stage) + count * wait
        return Hazard(paid, hours)

    def seen(self, paid: Mapping[str, float], hours: Mapping[str, float]) -> "Hazard":
        """With more cases watched: payments, and hours until a payment, an outcome or now."""
        return Hazard(
            {stage: self.paid[stage] + paid.get(stage, 0.0) for stage in self.paid},
            {stage: self.hours[stage] + hours.get(stage, 0.0) for stage in self.hours},
        )


@dataclass(frozen=True)
class Rates:
    """Chances of the ways and the pace of the money, as far as they are known.

    Parameters
    ----------
    reach : mapping of channel to Beta
        Chance that the citizen is reached.
    belief : mapping of (channel, script) to Beta
        Chance that a reached citizen believes.
    cleared : Beta
        Chance that an honest citizen who listens can show that nothing is wrong.
    hazard : Hazard
    ways : tuple of Way
        What the centre can do; each needs its `reach` and its `belief`.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    >>> rates = Rates()
    >>> round(rates.chance(("call_96110", "plain"), "engaged", (), now), 2)
    0.2
    >>> unanswered = Tried("call_96110", "plain", False, False, 1.0, now)
    >>> round(rates.chance(("call_96110", "plain"), "engaged", (unanswered,), now), 2)
    0.13
    """

    reach: Mapping[str, Beta] = field(default_factory=lambda: dict(REACH))
    belief: Mapping[tuple[str, str], Beta] = field(default_factory=lambda: dict(BELIEF))
    cleared: Beta = CLEARED
    hazard: Hazard = field(default_factory=Hazard)
    ways: tuple[Way, ...] = WAYS

    def __post_init__(self) -> None:
        lost = [
            f"{way.channel} x {way.script}"
            for way in self.ways
            if way.channel not in self.reach or (way.channel, way.script) not in self.belief
        ]
        if lost:
            raise ModelError(f"expected reach and belief for every way, found none for {lost}")

    def learn(self, closed: Iterable[Tried]) -> "Rates":
        """With closed attempts; those of ways that are not ours teach nothing."""
        return self.count(
            Counter((one.channel, one.script, one.reached, one.believed) for one in closed)
        )

    def count(self, closed: Mapping[tuple[str, str, bool, bool | None], int]) -> "Rates":
        """With closed attempts, counted by channel, script, reached and believed."""
        reach, belief = dict(self.reach), dict(self.belief)
        for (channel, script, reached, believed), times in closed.items():
            if channel in reach:
                reach[channel] = reach[channel].seen(times * reached, times * (not reached))
            way = (channel, script)
            if reached and believed is not None and way in belief:
                belief[way] = belief[way].seen(times * believed, times * (not believed))
        return replace(self, reach=reach, belief=belief)

    def settle(self, cleared: int, unsettled: int) -> "Rates":
        """With closed false alarms: talks that showed it, and talks before those that did not."""
        return replace(self, cleared=self.cleared.seen(cleared, unsettled))

    def suspicion(self, before: float, stage: str, tried: Sequence[Tried]) -> float:
        """Probability of a fraud after what was tried.

        A victim who listens and does not believe is left, and so is an honest citizen who cannot
        show that nothing is wrong; by Bayes' rule each such talk moves the odds by the ratio of the
        two chances. Who was not reached is as suspect as before.

        Parameters
        ----------
        before : float
            Probability before anybody spoke to him, 0 to 1.
        tried : sequence of Tried
            What was tried with this citizen in this episode.

        Examples
        --------
        >>> from datetime import UTC
        >>> now = datetime(2026, 3, 1, 10, tzinfo=UTC)
        >>> doubted = Tried("call_96110", "plain", True, False, 4.0, now)
        >>> [round(Rates().suspicion(0.2, "engaged", [doubted] * n), 2) for n in range(3)]
        [0.2, 0.36, 0.55]
        """
        talks = [(one.channel, one.script) for one in tried if one.doubted]
        told = math.fsum(self.told(way, stage) for way in talks)
        return moved(before, max(-SURE, min(told, SURE)))

    def told(self, way: tuple[str, str], stage: str) -> float:
        """What it says for a fraud that somebody listened and did not believe: log odds."""
        if way not in self.belief:
            return 0.0
        return math.log((1.0 - self.believed(way, stage)) / (1.0 - self.cleared.mean))

    def believed(self, way: tuple[str, str], stage: str) -> float:
        """Chance that whoever is reached by a way (channel, script) for the first time believes."""
        return _shifted(self.belief[way].mean, BELIEF_ODDS[stage])

    def chance(
        self, way: tuple[str, str], stage: str, tried: Sequence[Tried], now: datetime
    ) -> float:
        """Chance that a way (channel, script) succeeds now with a citizen at this stage.

        Parameters
        ----------
        tried : sequence of Tried
            What was tried with this citizen in this episode.
        """
        channel, _ = way
        mean = self.reach[channel].mean
        fresh = [(one.reached, _fresh(one, now)) for one in tried if one.channel == channel]
        yes = sum(weight for reached, weight in fresh if reached)
        no = sum(weight for reached, weight in fresh if not reached)
        reached = (INDIVIDUAL * mean + yes) / (INDIVIDUAL + yes + no)
        doubted = sum(
            1.0 if (one.channel, one.script) == way else SHARED for one in tried if one.doubted
        )
        believed = self.believed(way, stage)
        return reached * believed * INDIVIDUAL / (INDIVIDUAL + doubted)


def moved(chance: float, by: float) -> float:
    """A chance whose odds are multiplied by ``exp(by)``.

    Examples
    --------
    >>> round(moved(0.2, math.log(4.0)), 6), moved(0.0, 40.0)
    (0.5, 0.0)
    """
    return chance / (chance + (1.0 - chance) * math.exp(-by))


def stage_after(stage: str, tried: Tried) -> str:
    """Stage after an attempt: who hears the warning and does not believe it is engaged at least.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> stage_after("contact", Tried("call_96110", "plain", True, False, 4.0, at))
    'engaged'
    >>> stage_after("contact", Tried("call_96110", "plain", False, False, 1.0, at))
    'contact'
    """
    return "engaged" if tried.doubted and stage == "contact" else stage


@dataclass(frozen=True)
class Avoided:
    """A loss that did not happen, as far as it can be said: an estimate, with its method."""

    cny: float
    method: str
    zh: str
    en: str


METHOD = "typical-loss-x-would-have-left-1"


def loss_avoided(
    expected_loss_cny: float, stage: str, remaining: timedelta, hazard: Hazard | None = None
) -> Avoided:
    """What a citizen whom officers found in a fraud, and dissuaded, would still have lost.

    Parameters
    ----------
    expected_loss_cny : float
        Typical loss of the scam type.
    stage : str
        When he was dissuaded.
    remaining : timedelta
        Rest of the episode: what would have left later is not counted.

    Returns
    -------
    Avoided
        Nothing observed says what would have happened: only a comparison with citizens reached at
        random could. The estimate is right as far as the typical loss and the hazard are.

    Examples
    --------
    >>> loss_avoided(30_000.0, "paying", timedelta(hours=2)).cny
    25940.0
    """
    rate = hazard or Hazard()
    share = 1.0 - rate.stays(stage, remaining / HOUR)
    cny = round(expected_loss_cny * share, -1)
    return Avoided(
        cny,
        METHOD,
        f"估计避免损失{cny:,.0f}元：同类案件的平均损失×本应转出的概率{share:.0%}（估计，非实测）",
        f"about CNY {cny:,.0f} avoided: mean loss of such cases x probability {share:.0%} that it "
        "would have left (an estimate, not a measurement)",
    )


def _effective(left: Sequence[Left]) -> tuple[float, float]:
    """How many payments of equal size these are worth, and hours that their money waited."""
    money = math.fsum(one.cny for one in left)
    if not money:
        return 0.0, 0.0
    squares = math.fsum(one.cny**2 for one in left)
    return money**2 / squares, math.fsum(one.cny * one.hours for one in left) / money


def _fresh(tried: Tried, now: datetime) -> float:
    return math.exp2(-max(0.0, (now - tried.at) / FORGOTTEN))


def _shifted(chance: float, odds: float) -> float:
    return chance * odds / (1.0 - chance + chance * odds)
