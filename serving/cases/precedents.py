"""What closed cases teach about this one: the three most alike, and how often its reason was right.

Two cases are as alike as the contributions of their leading decisions: what raised or lowered the
score, in log-odds, added up by topic; the distance is Euclid's. SQL gathers closed cases with the
reasons that were recorded of them, the strongest five topics each. The `NEAR` nearest by those are
compared again by all contributions, which the model of this case's leading decision finds in the
vectors that were kept (path-dependent TreeSHAP; a vector once compared is remembered). Where that
model is gone, or one of the vectors is of other features, what was recorded counts alone.

References
----------
Weerts et al., A human-grounded evaluation of SHAP for alert processing (2019): nearest cases.
Lundberg et al., From local explanations to global understanding with explainable AI for trees,
Nature Machine Intelligence 2, 2020: contributions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text

from features import FRAUD_FEATURES
from models.phrases import fact
from models.reasons import topic
from serving.cases.contracts import OutcomeKind
from serving.cases.forms import Turn
from serving.cases.tables import EVIDENCE
from serving.decisions import DECISIONS, vector_of
from serving.judge import Judge

__all__ = ["LOOK_BACK", "Leading", "Precedent", "Precedents", "Record", "leading", "precedents"]

Floats = NDArray[np.float64]
Profile = Mapping[str, float]

LOOK_BACK = timedelta(days=90)
MOST = 1_000  # closed cases compared, the newest
NEAR = 16  # compared by all contributions: so many are explained in the time a page has
ALIKE = 3
_REMEMBERED = 2_048  # vectors, 1 kB each by topic

_RIGHT = frozenset({OutcomeKind.PAID, OutcomeKind.DISSUADED})
_WRONG = frozenset({OutcomeKind.FALSE_ALARM})

_CLOSED = text(
    """
    WITH ended AS (
        SELECT DISTINCT ON (o.case_id)
            o.case_id, o.outcome, o.scam_type, o.loss_cny, o.avoided_cny, o.known_at
        FROM outcomes o JOIN cases c ON c.case_id = o.case_id
        WHERE c.state = 'closed' AND o.reversed_at IS NULL AND o.known_at >= :since
            AND o.case_id <> :own
            AND (CAST(:district AS text) IS NULL OR c.district = :district)
        ORDER BY o.case_id, o.known_at DESC, o.outcome_id DESC
    ), newest AS (
        SELECT * FROM ended ORDER BY known_at DESC, case_id DESC LIMIT :most
    )
    SELECT newest.*, led.event_id, told.features, told.weights
    FROM newest
    CROSS JOIN LATERAL (
        SELECT d.event_id, d.answer FROM case_evidence e JOIN decisions d ON d.event_id = e.event_id
        WHERE e.case_id = newest.case_id AND d.level IS NOT NULL
        ORDER BY d.score DESC, d.event_id LIMIT 1
    ) AS led
    CROSS JOIN LATERAL (
        SELECT
            array_agg(one ->> 'feature' ORDER BY place) AS features,
            array_agg(CAST(one ->> 'contribution' AS double precision) ORDER BY place) AS weights
        FROM json_array_elements(led.answer -> 'reasons') WITH ORDINALITY AS r (one, place)
    ) AS told
    WHERE told.features IS NOT NULL
    ORDER BY newest.known_at DESC, newest.case_id DESC
    """
)


@dataclass(frozen=True)
class Leading:
    """The decision that raised a case highest, as it was answered."""

    event_id: str
    raw_score: float
    score: float
    model_version: str
    features_version: str
    vector: bytes
    answer: Mapping[str, Any]

    @property
    def profile(self) -> dict[str, float]:
        """What raised the score, by topic, in log-odds."""
        pairs = [(reason["feature"], reason["contribution"]) for reason in self.reasons]
        return _profile(pairs)

    @property
    def reasons(self) -> Sequence[Mapping[str, Any]]:
        """As they were told, the strongest first."""
        return self.answer.get("reasons") or ()


@dataclass(frozen=True)
class Precedent:
    """A closed case that is like this one.

    Parameters
    ----------
    case_id, scam_type, outcome : str
    known_at : datetime
        When its outcome was.
    loss_cny, avoided_cny : float or None
    distance : float
        Between the contributions, log-odds; 0: alike in every one.
    zh, en : str
        What it has most in common with this case, as it was there; empty: nothing that was told.
    """

    case_id: str
    scam_type: str
    outcome: str
    known_at: datetime
    loss_cny: float | None
    avoided_cny: float | None
    distance: float
    zh: str = ""
    en: str = ""


@dataclass(frozen=True)
class _Closed:
    """A closed case with the decision that led it."""

    row: Any
    led: Leading


@dataclass(frozen=True)
class Record:
    """How often the reason that leads this case was right, of closed cases it led.

    Parameters
    ----------
    right, wrong, unknown : int
        Paid or dissuaded; false alarms; unreachable or handed over.
    """

    right: int = 0
    wrong: int = 0
    unknown: int = 0

    @property
    def judged(self) -> int:
        """Those that said something."""
        return self.right + self.wrong


@dataclass(frozen=True)
class Precedents:
    """What closed cases say about an open one.

    Parameters
    ----------
    record : Record
    near : tuple
        Closed cases to compare, the nearest by their recorded reasons first.
    """

    record: Record = Record()
    near: tuple[_Closed, ...] = field(default=(), repr=False)

    def alike(self, led: Leading | None, judge: Judge | None) -> tuple[Precedent, ...]:
        """The most alike; by all contributions where the model of `led` can still tell them."""
        if led is None or not self.near:
            return ()
        every = [led, *(one.led for one in self.near)]
        known = judge is not None and all(_fits(one, judge) for one in every)
        profiles = [_whole(judge, one.vector) if judge and known else one.profile for one in every]
        far = _distances(profiles[0], profiles[1:])
        return tuple(
            _precedent(self.near[at], float(far[at]), profiles[0], profiles[at + 1])
            for at in np.argsort(far, kind="stable")[:ALIKE].tolist()
        )


async def leading(turn: Turn, case_id: str) -> Leading | None:
    """The decision with the highest score among a case's evidence; None for leads alone."""
    query = (
        select(*(DECISIONS.c[name] for name in _LEADING))
        .join(EVIDENCE, EVIDENCE.c.event_id == DECISIONS.c.event_id)
        .where(EVIDENCE.c.case_id == case_id, DECISIONS.c.level.is_not(None))
        .order_by(DECISIONS.c.score.desc(), DECISIONS.c.event_id)
        .limit(1)
    )
    row = (await turn.connection.execute(query)).one_or_none()
    return None if row is None else Leading(*row)


_LEADING = tuple(Leading.__dataclass_fields__)


async def precedents(turn: Turn, case_id: str, led: Leading | None) -> Precedents:
    """Closed cases of the actor's district, of the last 90 days, beside this case."""
    if led is None or not led.profile:
        return Precedents()
    given = {
        "since": turn.now - LOOK_BACK,
        "own": case_id,
        "district": turn.actor.district,
        "most": MOST,
    }
    rows = (await turn.connection.execute(_CLOSED, given)).all()
    profiles = [_profile(list(zip(row.features, row.weights, strict=True))) for row in rows]
    nearest = np.argsort(_distances(led.profile, profiles), kind="stable")[:NEAR]
    near = await _led(turn, [rows[at] for at in nearest.tolist()])
    return Precedents(_record(_first(led.profile), rows, profiles), near)


async def _led(turn: Turn, rows: Sequence[Any]) -> tuple[_Closed, ...]:
    """These cases with their decisions, vectors and all: too much to fetch of a thousand."""
    query = select(*(DECISIONS.c[name] for name in _LEADING)).where(
        DECISIONS.c.event_id.in_([row.event_id for row in rows])
    )
    found = {row.event_id: Leading(*row) for row in await turn.connection.execute(query)}
    return tuple(_Closed(row, found[row.event_id]) for row in rows if row.event_id in found)


def _fits(led: Leading, judge: Judge) -> bool:
    same = led.features_version == judge.bundle.features_digest
    return same and len(vector_of(led.vector)) == len(judge.names)


@lru_cache(_REMEMBERED)
def _whole(judge: Judge, vector: bytes) -> Profile:
    """All contributions to the score of a vector, by topic."""
    added = judge.bundle.fraud.contributions(vector_of(vector)[np.newaxis])[0]
    return _profile(list(zip(judge.names, added[:-1].tolist(), strict=True)))


def _record(lead: str, rows: Sequence[Any], profiles: Sequence[Profile]) -> Record:
    led = [row.outcome for row, one in zip(rows, profiles, strict=True) if _first(one) == lead]
    right, wrong = (sum(one in kinds for one in led) for kinds in (_RIGHT, _WRONG))
    return Record(right, wrong, len(led) - right - wrong)


def _precedent(closed: _Closed, distance: float, own: Profile, other: Profile) -> Precedent:
    row, shared = closed.row, _shared(closed.led, own, other)
    return Precedent(
        row.case_id,
        row.scam_type,
        row.outcome,
        row.known_at,
        None if row.loss_cny is None else float(row.loss_cny),
        None if row.avoided_cny is None else float(row.avoided_cny),
        distance,
        *shared,
    )


def _shared(led: Leading, own: Profile, other: Profile) -> tuple[str, str]:
    """Of what was told of the other case, the fact that raised both scores the most."""

    def weight(reason: Mapping[str, Any]) -> float:
        name = _topic(reason["feature"])
        return min(own.get(name, 0.0), other.get(name, 0.0))

    known = [one for one in led.reasons if one["feature"] in _KNOWN]
    most = max(known, key=weight, default=None)
    if most is None or weight(most) <= 0:
        return "", ""
    value = most.get("value")
    said = fact(FRAUD_FEATURES.spec(most["feature"]), nan if value is None else value)
    return said.zh, said.en


def _profile(pairs: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Contributions by topic, the order kept: the strongest first."""
    found: dict[str, float] = {}
    for feature, weight in pairs:
        name = _topic(feature)
        found[name] = found.get(name, 0.0) + weight
    return found


def _topic(feature: str) -> str:
    # a decision of another feature set keeps the name it was told under
    return topic(FRAUD_FEATURES.spec(feature)) if feature in _KNOWN else feature


_KNOWN = frozenset(FRAUD_FEATURES.names)


def _first(profile: Profile) -> str:
    return next(iter(profile), "")


def _distances(own: Profile, others: Sequence[Profile]) -> Floats:
    """Euclid's distance to each, over all topics that any of them names.

    Examples
    --------
    >>> _distances({"a": 3.0}, [{"a": 3.0}, {"b": 4.0}]).tolist()
    [0.0, 5.0]
    """
    names = sorted({name for one in (own, *others) for name in one})
    place = {name: at for at, name in enumerate(names)}
    table = np.zeros((len(others) + 1, len(names)))
    for row, one in enumerate((own, *others)):
        for name, weight in one.items():
            table[row, place[name]] = weight
    far: Floats = np.sqrt(((table[1:] - table[0]) ** 2).sum(axis=1))
    return far
