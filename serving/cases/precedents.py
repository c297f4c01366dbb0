"""What closed cases teach about this one: the three most alike, and how often its reason was right.

Two cases are as alike as the contributions of their leading decisions: what raised the score, by
topic, in log-odds; the distance is Euclid's. Nothing is scored again: what was recorded counts.

References
----------
Weerts et al., A human-grounded evaluation of SHAP for alert processing (2019): nearest cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select, text

from features import FRAUD_FEATURES
from models.reasons import topic
from serving.cases.contracts import OutcomeKind
from serving.cases.forms import Turn
from serving.cases.tables import EVIDENCE
from serving.decisions import DECISIONS

__all__ = ["LOOK_BACK", "Leading", "Precedent", "Precedents", "Record", "leading", "precedents"]

LOOK_BACK = timedelta(days=90)
MOST = 1_000  # closed cases compared, the newest
ALIKE = 3

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
    SELECT newest.*, told.features, told.weights
    FROM newest
    CROSS JOIN LATERAL (
        SELECT d.answer FROM case_evidence e JOIN decisions d ON d.event_id = e.event_id
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
    vector: bytes
    answer: Mapping[str, Any]

    @property
    def profile(self) -> dict[str, float]:
        """What raised the score, by topic, in log-odds."""
        reasons = self.answer.get("reasons") or []
        pairs = [(reason["feature"], reason["contribution"]) for reason in reasons]
        return _profile(pairs)


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
        Between the contributions, log-odds; 0: alike in every reason.
    """

    case_id: str
    scam_type: str
    outcome: str
    known_at: datetime
    loss_cny: float | None
    avoided_cny: float | None
    distance: float


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
    """What closed cases say about an open one."""

    alike: tuple[Precedent, ...] = ()
    record: Record = Record()


async def leading(turn: Turn, case_id: str) -> Leading | None:
    """The decision with the highest score among a case's evidence; None for leads alone."""
    columns = ("event_id", "raw_score", "score", "model_version", "vector", "answer")
    query = (
        select(*(DECISIONS.c[name] for name in columns))
        .join(EVIDENCE, EVIDENCE.c.event_id == DECISIONS.c.event_id)
        .where(EVIDENCE.c.case_id == case_id, DECISIONS.c.level.is_not(None))
        .order_by(DECISIONS.c.score.desc(), DECISIONS.c.event_id)
        .limit(1)
    )
    row = (await turn.connection.execute(query)).one_or_none()
    return None if row is None else Leading(*row)


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
    far = _distances(led.profile, profiles)
    nearest = np.argsort(far, kind="stable")[:ALIKE]
    alike = tuple(_precedent(rows[at], float(far[at])) for at in nearest.tolist())
    return Precedents(alike, _record(_first(led.profile), rows, profiles))


def _record(lead: str, rows: Sequence[Any], profiles: Sequence[Mapping[str, float]]) -> Record:
    led = [row.outcome for row, one in zip(rows, profiles, strict=True) if _first(one) == lead]
    right, wrong = (sum(one in kinds for one in led) for kinds in (_RIGHT, _WRONG))
    return Record(right, wrong, len(led) - right - wrong)


def _precedent(row: Any, distance: float) -> Precedent:
    return Precedent(
        row.case_id,
        row.scam_type,
        row.outcome,
        row.known_at,
        None if row.loss_cny is None else float(row.loss_cny),
        None if row.avoided_cny is None else float(row.avoided_cny),
        distance,
    )


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


def _first(profile: Mapping[str, float]) -> str:
    return next(iter(profile), "")


def _distances(own: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> Any:
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
    return np.sqrt(((table[1:] - table[0]) ** 2).sum(axis=1))
