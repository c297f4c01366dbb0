"""Everyday calls and messages."""

from dataclasses import replace

import numpy as np

from data.simulator.acts import INCOMING, Acts, Ints, Line, call, sms
from data.simulator.identifiers import Space, code_of, hashed
from data.simulator.payments import spread
from data.simulator.rows import Rows

__all__ = [
    "adverts_arrive",
    "codes_arrive",
    "couriers_call",
    "friends_write",
    "offices_call",
    "strangers_call",
    "telemarketers_call",
    "ties_call",
    "wages_announced",
]

FRIEND, STRANGER, COURIER = Line(1500), Line(800, 0.06), Line(600, 0.02)
SELLER, OFFICE = Line(150, 0.08), Line(3500, 0.0)


def ties_call(acts: Acts) -> Rows:
    """Call people one knows; a call between two subscribers is in both their records."""
    friend = acts.people.tie(acts.who, acts.slots())
    seconds = acts.lasting(75, 0.85)
    direction = (acts.luck() < 0.5).astype(np.int64)
    rows = call(acts, code_of(Space.MOBILE, friend), seconds, direction, FRIEND)
    both = np.flatnonzero(friend < acts.population)
    back = replace(acts.where(both), who=friend[both])
    caller = code_of(Space.MOBILE, acts.who[both])
    mirrored = call(back, caller, seconds[both], 1 - direction[both], FRIEND)
    return Rows.joined([rows, mirrored])


def strangers_call(acts: Acts) -> Rows:
    """Wrong numbers, clients, distant acquaintances, offices; a few of them abroad."""
    luck = acts.luck()
    fresh = acts.outsider(61, acts.pick(1 << 50))
    again = acts.outsider(62, acts.who, acts.pick(15))
    person = code_of(Space.MOBILE, np.where(luck < 0.45, fresh, again))
    kind = acts.luck()
    other = np.where(
        kind < 0.80, person, code_of(Space.LANDLINE, spread(63, fresh % 20_000, 10**7))
    )
    other = np.where(kind > 0.965, code_of(Space.FOREIGN, again), other)
    direction = (acts.luck() < 0.4).astype(np.int64)
    seconds = acts.lasting(70, 0.75)
    return call(acts, other, seconds, direction, STRANGER)


def couriers_call(acts: Acts) -> Rows:
    """Couriers of the neighbourhood, who change jobs every other month."""
    direction = (acts.luck() < 0.12).astype(np.int64)
    return call(acts, _courier(acts), acts.lasting(18, 0.75), direction, COURIER)


def _courier(acts: Acts) -> Ints:
    station = acts.place // 250
    man = acts.pick(4)
    term = (acts.number + station * 7 + man * 13) // 60
    return code_of(Space.MOBILE, acts.outsider(64, station, man, term))


def telemarketers_call(acts: Acts) -> Rows:
    """Loans, schools, flats: numbers that reach hundreds and are replaced within days."""
    firms = max(12, acts.population // 400)
    firm = acts.pick(firms)
    lane = acts.pick(3)
    term = (acts.number + firm * 3) // (2 + firm % 9)
    key = hashed(65, acts.seed, firm, lane, term)
    kind = key % np.uint64(100)
    ids = acts.outsider(66, key.astype(np.int64))
    other = np.where(kind < 62, code_of(Space.MOBILE, ids), code_of(Space.LANDLINE, ids % 10**7))
    other = np.where(kind > 86, code_of(Space.HOTLINE, ids % 10**7), other)
    keen = acts.luck() < 0.07
    seconds = np.where(keen, acts.lasting(260, 1.0), acts.lasting(14, 0.45))
    return call(acts, other, seconds, INCOMING, SELLER)


def offices_call(acts: Acts) -> Rows:
    """Banks, hospitals, schools, estate managers, the police station, to and fro."""
    luck = acts.luck()
    offices = max(200, acts.population // 40)
    office = code_of(Space.LANDLINE, spread(67, acts.popular(offices, 1.6), 10**7))
    service = code_of(Space.SERVICE, acts.pick(15))
    hotline = code_of(Space.HOTLINE, spread(68, acts.popular(3000), 10**7))
    other = np.where(luck < 0.5, office, np.where(luck < 0.8, service, hotline))
    direction = (acts.luck() < 0.45).astype(np.int64)
    return call(acts, other, acts.lasting(95, 0.9), direction, OFFICE)


def codes_arrive(acts: Acts) -> Rows:
    """Verification codes and notices of banks, shops and parcel lockers."""
    port = code_of(Space.PORT, spread(69, acts.popular(1500, 3.0), 10**9))
    bank = code_of(Space.SERVICE, acts.who % 8)
    return sms(acts, np.where(acts.luck() < 0.2, bank, port), 0.08, 0.6)


def adverts_arrive(acts: Acts) -> Rows:
    """Advertisements, most with a link, some from mobile numbers used for a few days."""
    port = code_of(Space.PORT, spread(70, acts.popular(4000, 1.5), 10**9))
    batch = acts.pick(max(10, acts.population // 500))
    term = (acts.number + batch) // 3
    mobile = code_of(Space.MOBILE, acts.outsider(71, batch, term))
    abroad = code_of(Space.FOREIGN, spread(72, batch * 100_000 + term, 10**9))
    luck = acts.luck()
    other = np.where(luck < 0.8, port, np.where(luck < 0.97, mobile, abroad))
    return sms(acts, other, 0.7, 0.0)


def friends_write(acts: Acts) -> Rows:
    """Private messages, now and then from somebody new."""
    known = acts.people.tie(acts.who, acts.slots())
    fresh = acts.outsider(73, acts.who, acts.pick(25))
    other = np.where(acts.luck() < 0.6, known, fresh)
    direction = (acts.luck() < 0.4).astype(np.int64)
    return sms(acts, code_of(Space.MOBILE, other), 0.03, 0.0, direction)


def wages_announced(acts: Acts) -> Rows:
    """The bank says that the wage has come."""
    return sms(acts, code_of(Space.SERVICE, acts.who % 8), 0.0, 0.0)
