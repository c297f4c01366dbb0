"""Everyday life: calls, messages, sites and payments of people to whom nothing happens.

Rates are events per subscriber and day on an average working day; shapes and rates are assumed so
that a day brings about 3.3 events per subscriber.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.simulator.city import DAY, OFFSET, SECOND, TIES, City, Population
from data.simulator.identifiers import SHIFT, Space, code_of, hashed, outsider
from data.simulator.payments import (
    account_of,
    device_of,
    line_age,
    popular,
    rounded,
    spread,
    transfers,
)
from data.simulator.rhythm import WEEKEND, moments
from data.simulator.rows import ACTIONS, CHANNELS, SOURCES, Rows

__all__ = ["everyday"]

Ints = NDArray[np.int64]
INCOMING, OUTGOING = 0, 1
OPERATOR, NETWORK = SOURCES.index("operator"), SOURCES.index("network")
SLOT_WEIGHTS = np.array([0.2, 0.2, 0.08, 0.08, 0.04, 0.04, 0.18, 0.11, 0.07])
PAYDAYS = (10, 15, 25)
NIGHT_OWLS = 0.06  # calls abroad and shift workers' that keep no rhythm


@dataclass(frozen=True)
class _Day:
    """One calendar day of the city."""

    people: Population
    midnight: int
    rng: np.random.Generator

    @property
    def city(self) -> City:
        return self.people.city

    @property
    def number(self) -> int:
        """Days since 1970 in the city's zone."""
        return (self.midnight + OFFSET) // DAY

    @property
    def age_s(self) -> float:
        """Days since the history began."""
        return (self.midnight - self.city.start_us) / DAY

    @property
    def weekend(self) -> bool:
        return (self.number + 3) % 7 >= 5  # 1970-01-01 was a Thursday

    def luck(self, subscribers: Ints) -> NDArray[np.float64]:
        return self.rng.random(len(subscribers))


@dataclass(frozen=True)
class _Habit:
    """How often, by whose urn, when, and what comes of it."""

    rate: float
    urn: str
    profile: str
    make: Callable[[_Day, Ints, Ints], Rows]


def _duration(day: _Day, size: int, median: float, answered: float) -> Ints:
    seconds = median * np.exp(1.1 * day.rng.standard_normal(size))
    seconds *= day.rng.random(size) < answered
    return np.minimum(seconds, 2.5 * 3600).astype(np.int64)


def _call(day: _Day, who: Ints, begin: Ints, other: Ints, seconds: Ints, direction: Ints | int,
          age: float = 900.0, roaming: float = 0.03) -> Rows:  # fmt: skip
    return Rows.of(
        "call",
        begin + seconds * SECOND,
        subscriber=who,
        counterpart=other,
        direction=direction,
        duration=seconds,
        roaming=day.luck(who) < roaming,
        foreign=other >> SHIFT == Space.FOREIGN,
        age=line_age(other, day.age_s, age),
        source=OPERATOR,
    )


def _sms(day: _Day, who: Ints, when: Ints, other: Ints, link: float, code: float,
         direction: Ints | int = INCOMING) -> Rows:  # fmt: skip
    luck = day.luck(who)
    return Rows.of(
        "sms",
        when,
        subscriber=who,
        counterpart=other,
        direction=direction,
        foreign=other >> SHIFT == Space.FOREIGN,
        link=luck < link,
        code=luck > 1 - code,
        source=OPERATOR,
    )


def _slots(day: _Day, size: int) -> Ints:
    return np.asarray(day.rng.choice(TIES, size, p=SLOT_WEIGHTS), dtype=np.int64)


def ties_call(day: _Day, who: Ints, begin: Ints) -> Rows:
    """Call people one knows; a call between two subscribers is in both their records."""
    friend = day.people.tie(who, _slots(day, len(who)))
    seconds = _duration(day, len(who), 75, 0.85)
    direction = (day.luck(who) < 0.5).astype(np.int64)
    rows = _call(day, who, begin, code_of(Space.MOBILE, friend), seconds, direction, 1500)
    both = np.flatnonzero(friend < len(day.people))
    mirrored = _call(
        day, friend[both], begin[both], code_of(Space.MOBILE, who[both]), seconds[both],
        1 - direction[both], 1500,
    )  # fmt: skip
    return Rows.joined([rows, mirrored])


def strangers_call(day: _Day, who: Ints, begin: Ints) -> Rows:
    """Wrong numbers, clients, distant acquaintances, offices; a few of them abroad."""
    luck = day.luck(who)
    fresh = outsider(len(day.people), day.city.seed, 61, day.rng.integers(0, 1 << 50, len(who)))
    again = outsider(len(day.people), day.city.seed, 62, who, day.rng.integers(0, 15, len(who)))
    person = code_of(Space.MOBILE, np.where(luck < 0.45, fresh, again))
    kind = day.luck(who)
    other = np.where(
        kind < 0.80, person, code_of(Space.LANDLINE, spread(63, fresh % 20_000, 10**7))
    )
    other = np.where(kind > 0.965, code_of(Space.FOREIGN, again), other)
    direction = (day.luck(who) < 0.4).astype(np.int64)
    seconds = _duration(day, len(who), 70, 0.75)
    return _call(day, who, begin, other, seconds, direction, 800, 0.06)


def couriers_call(day: _Day, who: Ints, begin: Ints) -> Rows:
    """Couriers of the neighbourhood, who change jobs every other month."""
    return _call(
        day, who, begin, _courier(day, who), _duration(day, len(who), 18, 0.75),
        (day.luck(who) < 0.12).astype(np.int64), 600, 0.02,
    )  # fmt: skip


def _courier(day: _Day, who: Ints) -> Ints:
    station = day.people.place[who] // 250
    man = day.rng.integers(0, 4, len(who))
    term = (day.number + station * 7 + man * 13) // 60
    return code_of(Space.MOBILE, outsider(len(day.people), 64, day.city.seed, station, man, term))


def telemarketers_call(day: _Day, who: Ints, begin: Ints) -> Rows:
    """Loans, schools, flats: numbers that reach hundreds and are replaced within days."""
    firms = max(12, len(day.people) // 400)
    firm = day.rng.integers(0, firms, len(who))
    lane = day.rng.integers(0, 3, len(who))
    term = (day.number + firm * 3) // (2 + firm % 9)
    key = hashed(65, day.city.seed, firm, lane, term)
    kind = key % np.uint64(100)
    ids = outsider(len(day.people), 66, key.astype(np.int64))
    other = np.where(kind < 62, code_of(Space.MOBILE, ids), code_of(Space.LANDLINE, ids % 10**7))
    other = np.where(kind > 86, code_of(Space.HOTLINE, ids % 10**7), other)
    keen = day.luck(who) < 0.07
    seconds = np.where(keen, _duration(day, len(who), 260, 1.0), _duration(day, len(who), 14, 0.45))
    return _call(day, who, begin, other, seconds, INCOMING, 150, 0.08)


def offices_call(day: _Day, who: Ints, begin: Ints) -> Rows:
    """Banks, hospitals, schools, estate managers, the police station, to and fro."""
    luck = day.luck(who)
    offices = max(200, len(day.people) // 40)
    office = code_of(Space.LANDLINE, spread(67, popular(offices, day.rng, len(who), 1.6), 10**7))
    service = code_of(Space.SERVICE, day.rng.integers(0, 15, len(who)))
    hotline = code_of(Space.HOTLINE, spread(68, popular(3000, day.rng, len(who)), 10**7))
    other = np.where(luck < 0.5, office, np.where(luck < 0.8, service, hotline))
    direction = (day.luck(who) < 0.45).astype(np.int64)
    return _call(day, who, begin, other, _duration(day, len(who), 95, 0.9), direction, 3500, 0.0)


def codes_arrive(day: _Day, who: Ints, when: Ints) -> Rows:
    """Verification codes and notices of banks, shops and parcel lockers."""
    port = code_of(Space.PORT, spread(69, popular(1500, day.rng, len(who), 3.0), 10**9))
    bank = code_of(Space.SERVICE, who % 8)
    return _sms(day, who, when, np.where(day.luck(who) < 0.2, bank, port), 0.08, 0.6)


def adverts_arrive(day: _Day, who: Ints, when: Ints) -> Rows:
    """Advertisements, most with a link, some from mobile numbers used for a few days."""
    size = len(who)
    port = code_of(Space.PORT, spread(70, popular(4000, day.rng, size, 1.5), 10**9))
    batch = day.rng.integers(0, max(10, len(day.people) // 500), size)
    term = (day.number + batch) // 3
    mobile = code_of(Space.MOBILE, outsider(len(day.people), 71, day.city.seed, batch, term))
    abroad = code_of(Space.FOREIGN, spread(72, batch * 100_000 + term, 10**9))
    luck = day.luck(who)
    other = np.where(luck < 0.8, port, np.where(luck < 0.97, mobile, abroad))
    return _sms(day, who, when, other, 0.7, 0.0)


def friends_write(day: _Day, who: Ints, when: Ints) -> Rows:
    """Private messages, now and then from somebody new."""
    known = day.people.tie(who, _slots(day, len(who)))
    fresh = outsider(len(day.people), 73, day.city.seed, who, day.rng.integers(0, 25, len(who)))
    other = np.where(day.luck(who) < 0.6, known, fresh)
    direction = (day.luck(who) < 0.4).astype(np.int64)
    return _sms(day, who, when, code_of(Space.MOBILE, other), 0.03, 0.0, direction)


def _app(day: _Day, who: Ints, when: Ints, other: Ints, action: str, listed: float,
         seconds: Ints | int = 0) -> Rows:  # fmt: skip
    bad = (hashed(74, other) % np.uint64(10_000)).astype(np.int64) < listed * 10_000
    return Rows.of(
        "app",
        when + np.asarray(seconds) * SECOND,
        subscriber=who,
        counterpart=other,
        action=ACTIONS.index(action),
        device=device_of(who, day.rng),
        duration=seconds,
        listed=bad,
        source=NETWORK,
    )


def sites_visited(day: _Day, who: Ints, when: Ints) -> Rows:
    """Sites new to us or rarely seen (the big ones are not reported)."""
    rank = popular(6000, day.rng, len(who), 2.5)
    tail = day.rng.integers(0, 10**9, len(who))
    luck = day.luck(who)
    site = code_of(Space.SITE, np.where(luck < 0.85, spread(75, rank, 10**9), tail))
    return _app(day, who, when, site, "visit", 0.004)


def apps_installed(day: _Day, who: Ints, when: Ints) -> Rows:
    """Apps, from the popular to the obscure; meeting tools and lenders among them."""
    rank = popular(3000, day.rng, len(who), 2.2)
    tail = day.rng.integers(0, 10**9, len(who))
    luck = day.luck(who)
    app = np.where(luck < 0.75, spread(76, rank, 10**9), tail)
    app = np.where(luck < 0.05, _public("tool", 10, day, who), app)
    app = np.where((luck > 0.05) & (luck < 0.1), _public("lender", 40, day, who), app)
    return _app(day, who, when, code_of(Space.APP, app), "install", 0.006)


def _public(name: str, size: int, day: _Day, who: Ints) -> Ints:
    """Ids of the apps that scripts use too (same derivation as `scripts`)."""
    salt = int.from_bytes(name.encode()[:6], "big")
    chosen = day.rng.integers(0, size, len(who))
    return np.asarray((hashed(43, salt, chosen) >> np.uint64(1)).astype(np.int64) % 10**9)


def screens_shared(day: _Day, who: Ints, when: Ints) -> Rows:
    """Meetings with a shared screen."""
    tool = code_of(Space.APP, _public("tool", 10, day, who))
    return _app(day, who, when, tool, "screen_share", 0, _duration(day, len(who), 1500, 1.0))


def computers_helped(day: _Day, who: Ints, when: Ints) -> Rows:
    """Remote control for work and family."""
    tool = code_of(Space.APP, _public("tool", 10, day, who))
    return _app(day, who, when, tool, "remote_control", 0, _duration(day, len(who), 1300, 1.0))


def shops_paid(day: _Day, who: Ints, when: Ints) -> Rows:
    """Shops of the neighbourhood, platforms, and stalls that use a private account."""
    size = len(who)
    luck = day.luck(who)
    near = day.people.place[who] // 250 * 24 + popular(24, day.rng, size, 1.7)
    shop = np.where(
        luck < 0.62, spread(77, near, 10**9), spread(78, popular(400, day.rng, size), 10**9)
    )
    stall = outsider(
        len(day.people), 79, day.people.place[who] // 120, day.rng.integers(0, 6, size)
    )
    wallet = day.luck(who) < 0.75
    payee = np.where(luck < 0.85, code_of(Space.MERCHANT, shop), account_of(stall, wallet))
    yuan = 32 * day.people.wealth[who] ** 0.5 * np.exp(1.15 * day.rng.standard_normal(size))
    channel = np.where(wallet, CHANNELS.index("wallet"), CHANNELS.index("card"))
    return transfers(when, who, payee, rounded(yuan, day.rng), day.rng, channel)


def ties_paid(day: _Day, who: Ints, when: Ints) -> Rows:
    """Money for people one knows, more of it after payday."""
    friend = day.people.tie(who, _slots(day, len(who)))
    yuan = 260 * day.people.wealth[who] ** 0.6 * np.exp(1.3 * day.rng.standard_normal(len(who)))
    fen = rounded(yuan, day.rng)
    return transfers(when, who, account_of(friend, fen < 200_000), fen, day.rng)


def strangers_paid(day: _Day, who: Ints, when: Ints) -> Rows:
    """People paid once: craftsmen, sellers, deposits; now and then a large sum."""
    size = len(who)
    fresh = outsider(len(day.people), day.city.seed, 80, day.rng.integers(0, 1 << 50, size))
    leader = outsider(
        len(day.people), 81, day.city.seed, day.people.place[who] // 400,
        day.rng.integers(0, 3, size), (day.number + day.people.place[who] // 400) // 25,
    )  # fmt: skip
    person = np.where(day.luck(who) < 0.6, fresh, leader)
    large = day.luck(who) < 0.12
    median = np.where(large, 6500.0, 320.0)
    yuan = median * day.people.wealth[who] ** 0.6 * np.exp(1.2 * day.rng.standard_normal(size))
    fen = rounded(yuan, day.rng)
    return transfers(when, who, account_of(person, day.luck(who) < 0.5), fen, day.rng)


def bills_paid(day: _Day, who: Ints, when: Ints) -> Rows:
    """Rent, mortgage, cards, school, electricity: the same payees every month."""
    kind = day.rng.integers(0, 4, len(who))
    landlord = account_of(outsider(len(day.people), 82, day.city.seed, who), kind == 9)
    firm = code_of(Space.MERCHANT, spread(83, kind * 40 + who % 40, 10**9))
    yuan = np.array([1900.0, 3600.0, 420.0, 120.0])[kind] * day.people.wealth[who] ** 0.7
    yuan = yuan * np.exp(0.35 * day.rng.standard_normal(len(who)))
    payee = np.where(kind == 0, landlord, firm)
    return transfers(when, who, payee, rounded(yuan, day.rng), day.rng)


def wages_paid(day: _Day, who: Ints, when: Ints) -> Rows:
    """Small employers pay their people within the hour."""
    boss = who[hashed(84, who) % np.uint64(60) == 0]
    crew = 2 + (hashed(85, boss) % np.uint64(7)).astype(np.int64)
    rows = np.repeat(boss, crew)
    hand = np.arange(len(rows)) - np.repeat(np.cumsum(crew) - crew, crew)
    staff = outsider(len(day.people), 86, day.city.seed, rows, hand)
    begin = np.repeat(when[hashed(84, who) % np.uint64(60) == 0], crew)
    yuan = 4800 * np.exp(0.3 * day.rng.standard_normal(len(rows)))
    moment = begin + (day.rng.random(len(rows)) * 2400 * SECOND).astype(np.int64)
    mobile = np.full(len(rows), CHANNELS.index("mobile"))
    payees = account_of(staff, np.zeros(len(rows), bool))
    return transfers(moment, rows, payees, rounded(yuan, day.rng), day.rng, mobile)


HABITS: tuple[_Habit, ...] = (
    _Habit(0.36, "talkers", "social", ties_call),
    _Habit(0.17, "talkers", "social", strangers_call),
    _Habit(0.19, "payers", "courier", couriers_call),
    _Habit(0.14, "talkers", "office", telemarketers_call),
    _Habit(0.10, "talkers", "office", offices_call),
    _Habit(0.46, "payers", "online", codes_arrive),
    _Habit(0.22, "talkers", "office", adverts_arrive),
    _Habit(0.07, "talkers", "social", friends_write),
    _Habit(0.38, "surfers", "online", sites_visited),
    _Habit(0.028, "surfers", "online", apps_installed),
    _Habit(0.006, "surfers", "office", screens_shared),
    _Habit(0.0012, "surfers", "office", computers_helped),
    _Habit(0.80, "payers", "shops", shops_paid),
    _Habit(0.075, "payers", "online", ties_paid),
    _Habit(0.030, "payers", "online", strangers_paid),
    _Habit(0.050, "payers", "shops", bills_paid),
    _Habit(0.004, "payers", "office", wages_paid),
)


def _happen(day: _Day, habit: _Habit) -> Rows:
    mood = np.exp(0.04 * day.rng.standard_normal())
    rate = habit.rate * mood * (WEEKEND[habit.profile] if day.weekend else 1.0)
    size = int(day.rng.poisson(rate * len(day.people)))
    urn = getattr(day.people, habit.urn)
    who = urn[day.rng.integers(0, len(urn), size)]
    when = moments(day.midnight, size, habit.profile, day.rng)
    return habit.make(day, who, when)


def everyday(people: Population, midnight: int) -> Rows:
    """Everyday events of the calendar day that begins at `midnight` (microseconds, UTC)."""
    number = (midnight + OFFSET) // DAY
    rng = people.city.random(9, int(number))
    return Rows.joined(_happen(_Day(people, midnight, rng), habit) for habit in HABITS)
