"""What others tell us: victims' reports, late or never, and leads, imprecise and often false."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.simulator.campaigns import Affair
from data.simulator.city import DAY, HOUR, OFFSET, SECOND, Population, citizen_id
from data.simulator.identifiers import SHIFT, Space, outsider
from data.simulator.rhythm import moments, waking
from data.simulator.rows import GRADES, KINDS, SCAMS, SOURCES, Named, Rows

__all__ = ["file_reports", "raise_leads"]

Ints = NDArray[np.int64]

REPORT_SPREAD = 1.5  # log standard deviation of the delay: median hours, some of them weeks
NAMES_IT = {"phones": 0.85, "accounts": 0.95, "apps": 0.8}  # what victims remember or still have
GIVES_ID = 0.6
LEAD_FOR_VICTIM = 0.35
LEAD_FOR_APPROACHED = 0.06
FALSE_LEADS_PER_1000_IN_60_DAYS = 30.0
TYPE_RIGHT = 0.6  # share of leads that name the right type
TELLING_GRADES = np.array([0.15, 0.35, 0.30, 0.20])
FALSE_GRADES = np.array([0.04, 0.16, 0.35, 0.45])


@dataclass(frozen=True)
class _Episode:
    """Rows of one victim's dealings with the fraudsters."""

    number: int
    subscriber: int
    first: int
    last: int
    loss: int
    others: dict[str, tuple[int, ...]]


def _episodes(affair: Affair) -> list[_Episode]:
    rows = affair.rows.where(np.flatnonzero(affair.rows["touch"] == 1))
    depth = dict(zip(affair.cast.episode.tolist(), affair.cast.depth.tolist(), strict=True))
    order = np.lexsort((rows["occurred"], rows["episode"]))
    rows = rows.where(order)
    edges = np.flatnonzero(np.diff(rows["episode"], prepend=-1, append=-1))
    spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [
        _episode(rows, low, high) for low, high in spans if depth[int(rows["episode"][low])] == 2
    ]


def _episode(rows: Rows, low: int, high: int) -> _Episode:
    kinds, others = rows["kind"][low:high], rows["counterpart"][low:high]
    paid = np.flatnonzero(kinds == KINDS.index("transfer"))
    voice = np.isin(kinds, (KINDS.index("call"), KINDS.index("sms")))
    app = kinds == KINDS.index("app")
    return _Episode(
        number=int(rows["episode"][low]),
        subscriber=int(rows["subscriber"][low]),
        first=int(rows["occurred"][low]),
        last=int(rows["occurred"][low + paid[-1]]),
        loss=int(rows["amount"][low:high][paid].sum()),
        others={
            "phones": tuple(dict.fromkeys(others[voice].tolist())),
            "accounts": tuple(dict.fromkeys(others[paid].tolist())),
            "apps": tuple(dict.fromkeys(others[app].tolist())),
        },
    )


def file_reports(people: Population, affairs: Sequence[Affair]) -> Rows:
    """Report what victims lost; `unreported` of them never do."""
    rng = people.city.random(7)
    return Rows.joined(_reports(people, affair, rng) for affair in affairs)


def _reports(people: Population, affair: Affair, rng: np.random.Generator) -> Rows:
    told = [e for e in _episodes(affair) if rng.random() >= people.city.unreported]
    size = len(told)
    last = np.array([e.last for e in told], dtype=np.int64)
    hours = affair.fraud.hours_to_report
    delay = hours * np.exp(REPORT_SPREAD * rng.standard_normal(size)) + 0.3
    reported = waking(last + (delay * HOUR).astype(np.int64), rng.uniform(7.5, 9.0, size))
    number = np.array([e.number for e in told], dtype=np.int64)
    rows = Rows.of(
        "report",
        last,
        number=number,
        episode=number,
        subscriber=np.array([e.subscriber for e in told], dtype=np.int64),
        scam=affair.scam,
        loss=np.array([e.loss for e in told], dtype=np.int64),
        first_contact=np.array([e.first for e in told], dtype=np.int64),
        reported=reported,
        source=SOURCES.index("police"),
        known=reported + (rng.exponential(1200, size) * SECOND).astype(np.int64),
    )
    named = {int(n): _named(e, people.city.seed, rng) for n, e in zip(number, told, strict=True)}
    return Rows(rows.columns, named)


def _named(episode: _Episode, seed: int, rng: np.random.Generator) -> Named:
    kept = {
        what: tuple(code for code in episode.others[what] if rng.random() < chance)
        for what, chance in NAMES_IT.items()
    }
    citizen = citizen_id(episode.subscriber, seed) if rng.random() < GIVES_ID else None
    return Named(kept["phones"], kept["accounts"], kept["apps"], citizen)


def raise_leads(people: Population, affairs: Sequence[Affair]) -> Rows:
    """Leads of other platforms: few are right about person, type and number at once."""
    rng = people.city.random(8)
    true = [_leads(affair, rng) for affair in affairs]
    return Rows.joined([*true, _false_leads(people, rng)])


def _leads(affair: Affair, rng: np.random.Generator) -> Rows:
    cast, rows = affair.cast, affair.rows.where(np.flatnonzero(affair.rows["touch"] == 1))
    chance = np.where(cast.depth == 2, LEAD_FOR_VICTIM, LEAD_FOR_APPROACHED)
    chosen = cast.episode[rng.random(len(cast)) < chance]
    events = np.flatnonzero(np.isin(rows["episode"], chosen))
    picked = events[rng.permutation(len(events))]
    _, first = np.unique(rows["episode"][picked], return_index=True)
    rows = rows.where(picked[first])
    size = len(rows)
    delay = 1.5 * np.exp(1.4 * rng.standard_normal(size))
    right = rng.random(size) < TYPE_RIGHT
    return Rows.of(
        "lead",
        rows["occurred"] + (delay * HOUR).astype(np.int64),
        episode=rows["episode"],
        subscriber=rows["subscriber"],
        counterpart=_suspect(rows, rng),
        scam=np.where(right, affair.scam, rng.integers(0, len(SCAMS), size)),
        grade=rng.choice(len(GRADES), size, p=TELLING_GRADES),
        source=_platforms(size, rng),
    )


def _suspect(rows: Rows, rng: np.random.Generator) -> Ints:
    space = rows["counterpart"] >> SHIFT
    phone = (space <= Space.FOREIGN) & (rows["kind"] != KINDS.index("transfer"))
    return np.where(phone & (rng.random(len(rows)) < 0.7), rows["counterpart"], -1)


def _platforms(size: int, rng: np.random.Generator) -> Ints:
    names = [SOURCES.index(name) for name in ("ministry", "platform", "operator", "bank")]
    return np.array(names)[rng.choice(4, size, p=[0.4, 0.3, 0.2, 0.1])]


def _false_leads(people: Population, rng: np.random.Generator) -> Rows:
    city = people.city
    days = city.days + city.ahead_days
    size = int(rng.poisson(FALSE_LEADS_PER_1000_IN_60_DAYS * city.subscribers * days / 60_000))
    midnight = city.start_us + rng.integers(0, days, size) * DAY
    midnight = (midnight + OFFSET) // DAY * DAY - OFFSET
    suspect = outsider(len(people), city.seed, 51, rng.integers(0, 1 << 40, size))
    return Rows.of(
        "lead",
        moments(midnight, size, "online", rng),
        subscriber=people.surfers[rng.integers(0, len(people.surfers), size)],
        counterpart=np.where(rng.random(size) < 0.4, suspect | (Space.MOBILE << SHIFT), -1),
        scam=rng.integers(0, len(SCAMS), size),
        grade=rng.choice(len(GRADES), size, p=FALSE_GRADES),
        source=_platforms(size, rng),
    )
