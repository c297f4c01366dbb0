"""The city and its people: how many, where, how old, who knows whom."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.simulator.identifiers import Space, code_of, hashed, outsider, texts, unit

__all__ = ["AGE_BANDS", "DISTRICTS", "City", "Population", "populate"]

Ints = NDArray[np.int64]
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
OFFSET = 8 * HOUR  # Asia/Shanghai, no daylight saving since 1991

# Residents in tens of thousands, seventh national census (2020-11-01), Chongqing's 38 districts
# and counties: https://tjj.cq.gov.cn (Wansheng's development zone is counted with Qijiang).
DISTRICTS: dict[str, float] = {
    "万州区": 156.44, "黔江区": 48.73, "涪陵区": 111.50, "渝中区": 58.87, "大渡口区": 42.19,
    "江北区": 92.58, "沙坪坝区": 147.73, "九龙坡区": 152.68, "南岸区": 119.76, "北碚区": 83.49,
    "渝北区": 219.15, "巴南区": 117.89, "长寿区": 69.30, "江津区": 135.96, "合川区": 124.53,
    "永川区": 114.89, "南川区": 57.24, "綦江区": 101.13, "大足区": 83.46, "璧山区": 75.60,
    "铜梁区": 68.57, "潼南区": 68.81, "荣昌区": 66.90, "开州区": 120.33, "梁平区": 64.53,
    "武隆区": 35.67, "城口县": 19.75, "丰都县": 55.74, "垫江县": 65.06, "忠县": 72.10,
    "云阳县": 92.93, "奉节县": 74.48, "巫山县": 46.25, "巫溪县": 38.87, "石柱县": 38.90,
    "秀山县": 49.61, "酉阳县": 60.73, "彭水县": 53.04,
}  # fmt: skip

# Age bands, their share of lines in service (assumed: the census less small children), how much
# they call, go online and pay against the mean (assumed).
AGE_BANDS = ("0-17", "18-25", "26-40", "41-50", "51-65", "66+")
AGE_SHARE = np.array([0.07, 0.12, 0.28, 0.17, 0.23, 0.13])
TALK = np.array([0.4, 0.8, 1.1, 1.2, 1.1, 0.8])
ONLINE = np.array([0.8, 1.5, 1.3, 1.0, 0.6, 0.25])
PAYING = np.array([0.4, 1.3, 1.4, 1.1, 0.7, 0.35])

GRAIN = 8  # lots per subscriber in the urns that weigh who acts next
RING = np.array([1, -1, 2, -2, 5, -5])  # places on the ring where a subscriber's ties live
TIES = len(RING) + 3


@dataclass(frozen=True)
class City:
    """What to simulate. The same values give the same city, event for event.

    Parameters
    ----------
    seed : int
        Seed of everything random.
    subscribers : int
        Lines watched.
    days : int
        Length of the history.
    start : datetime
        Begin of the history (aware). Use `City.ending` to end it now.
    victims_per_100k_days : float
        People defrauded per 100,000 subscribers and day. The default is about 95 times the real
        rate (120 cases a day among 31.9 million), so that a small city has enough to learn from.
    unreported : float
        Share of victims who never report.
    staged : int
        Extra victims whose first payment falls right after the history's end (for the stream).
    ahead_days : int
        Days planned beyond the history's end, from which the stream continues.

    Examples
    --------
    >>> City(subscribers=1_000, days=3).end.isoformat()
    '2026-03-03T16:00:00+00:00'
    """

    seed: int = 7
    subscribers: int = 20_000
    days: int = 60
    start: datetime = datetime(2026, 2, 28, 16, tzinfo=UTC)
    victims_per_100k_days: float = 36.0
    unreported: float = 0.35
    staged: int = 30
    ahead_days: int = 3

    def __post_init__(self) -> None:
        _check("subscribers", self.subscribers, 200, 50_000_000)
        _check("days", self.days, 1, 3650)
        _check("victims_per_100k_days", self.victims_per_100k_days, 0, 10_000)
        _check("unreported", self.unreported, 0, 1)
        _check("staged", self.staged, 0, 10_000)
        _check("ahead_days", self.ahead_days, 0, 30)
        if self.start.tzinfo is None:
            raise ValueError(
                f"start: expected a time with a zone, found {self.start!r}; "
                "pass e.g. datetime(2026, 3, 1, tzinfo=UTC)"
            )

    @property
    def end(self) -> datetime:
        """End of the history: nothing in it was known at or after this moment."""
        return self.start.astimezone(UTC) + timedelta(days=self.days)

    @classmethod
    def ending(cls, moment: datetime, **others: Any) -> "City":
        """Build a city whose history ends at `moment` (for example now)."""
        city = cls(**others)
        whole = moment.astimezone(UTC).replace(microsecond=0)
        return replace(city, start=whole - timedelta(days=city.days))

    @property
    def start_us(self) -> int:
        """Begin of the history in microseconds since 1970."""
        return int(self.start.timestamp()) * SECOND

    @property
    def end_us(self) -> int:
        """End of the history in microseconds since 1970."""
        return self.start_us + self.days * DAY

    def random(self, *stream: int) -> np.random.Generator:
        """Make the generator of one purpose, so that purposes never disturb each other."""
        return np.random.default_rng([self.seed, *stream])


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, found {value}; pass a value between")


@dataclass(frozen=True)
class Population:
    """Everybody watched, one position per subscriber."""

    city: City
    age_band: NDArray[np.int8]
    sex: NDArray[np.int8]
    district: NDArray[np.int8]
    tenure_days: NDArray[np.int32]
    wealth: NDArray[np.float64]
    ring: Ints  # who stands at each place of the neighbourhood ring
    place: Ints  # where each subscriber stands

    def __len__(self) -> int:
        return len(self.age_band)

    @cached_property
    def talkers(self) -> Ints:
        """Urn of subscribers, each as often as he or she calls."""
        return self._urn(TALK, 1)

    @cached_property
    def surfers(self) -> Ints:
        """Urn of subscribers, each as often as he or she is online."""
        return self._urn(ONLINE, 2)

    @cached_property
    def payers(self) -> Ints:
        """Urn of subscribers, each as often as he or she pays."""
        return self._urn(PAYING, 3)

    @cached_property
    def by_band(self) -> list[Ints]:
        """Subscribers of each age band."""
        return [np.flatnonzero(self.age_band == band) for band in range(len(AGE_BANDS))]

    def _urn(self, by_age: NDArray[np.float64], stream: int) -> Ints:
        rng = self.city.random(2, stream)
        habit = rng.lognormal(0.0, 0.6, len(self)) * by_age[self.age_band]
        lots = np.floor(habit / habit.mean() * GRAIN + rng.random(len(self))).astype(np.int64)
        return np.repeat(np.arange(len(self)), lots)

    def tie(self, subscribers: Ints, slots: Ints) -> Ints:
        """Id of the person a subscriber knows in a slot; neighbours on the ring know each other."""
        near = self.ring[(self.place[subscribers] + RING[np.minimum(slots, 5)]) % len(self)]
        far = outsider(len(self), self.city.seed, 11, subscribers, slots)
        return np.where(slots < len(RING), near, far)

    def citizens(self) -> pa.Table:
        """Who they are: for fairness reports only, kept apart from the events."""
        return pa.table(
            {
                "subscriber": texts(code_of(Space.MOBILE, np.arange(len(self)))),
                "age_band": _named(self.age_band, AGE_BANDS),
                "sex": _named(self.sex, ("female", "male")),
                "district": _named(self.district, tuple(DISTRICTS)),
                "tenure_days": pa.array(self.tenure_days),
            }
        )


def _named(codes: NDArray[np.int8], names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def populate(city: City) -> Population:
    """Draw the people of a city."""
    rng = city.random(1)
    size = city.subscribers
    share = np.array(list(DISTRICTS.values()))
    district = rng.choice(len(share), size, p=share / share.sum()).astype(np.int8)
    ring = np.lexsort((rng.random(size), district))
    place = np.empty(size, dtype=np.int64)
    place[ring] = np.arange(size)
    return Population(
        city=city,
        age_band=rng.choice(len(AGE_BANDS), size, p=AGE_SHARE).astype(np.int8),
        sex=(rng.random(size) < 0.5055).astype(np.int8),  # census 2020: 50.55 % men
        district=district,
        tenure_days=rng.gamma(2.0, 900.0, size).astype(np.int32),
        wealth=rng.lognormal(0.0, 0.6, size),
        ring=ring,
        place=place,
    )


def citizen_id(subscriber: int, seed: int) -> str:
    """Make up an identity number (area 500000 exists for nobody)."""
    born = 1950 + int(hashed(seed, 3, subscriber) % np.uint64(60))
    serial = int(hashed(seed, 4, subscriber) % np.uint64(10**4))
    day = 101 + int(unit(seed, 5, subscriber) * 11) * 100
    return f"500000{born}{day:04d}{serial:04d}"
