"""The quarantine: refused records with the reason in clear and the record itself sealed.

A refused record may hold raw numbers anywhere, so it is encrypted with a key derived from the
pseudonym key (AES-256-GCM, the row's id as associated data) and opened only to be replayed. A
record that is refused again is the same row, counted.

Events and incidents lie in one table and are told apart by their source: that of an incident
begins with ``incidents:``. Each kind is listed, counted and replayed by itself.

Not to be confused with `data.problems`, which says what is wrong, nor with `data.intake`, which
decides it.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json
from sqlalchemy import ColumnElement, Engine, RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import Insert, insert

from data.database import quarantine
from data.events import Event
from data.intake import Intake
from data.problems import Problem, RejectedRecord, field_schemas
from data.pseudonyms import Pseudonymiser

__all__ = [
    "INCIDENTS",
    "Held",
    "Mend",
    "Quarantine",
    "QuarantineError",
    "Refused",
    "Replayed",
    "Sealer",
    "Shelf",
    "as_record",
    "corrected",
    "keeping",
]

BATCH = 500
INCIDENTS = "incidents:"  # how the source of a refused incident begins
NONCE = 12  # bytes: NIST SP 800-38D, section 8.2.2

Fact = TypeVar("Fact")
Mend = Callable[[dict[str, Any]], dict[str, Any]]
"""Corrects a record before it is tried again."""


class QuarantineError(ValueError):
    """A quarantined record cannot be opened."""


@dataclass(frozen=True)
class Refused:
    """A record as it came (JSON, or bytes that are not), and what is wrong with it."""

    record: bytes
    problems: Sequence[Problem]
    source: str


@dataclass(frozen=True)
class Held:
    """A quarantined record as people may see it: all but the record."""

    id: str
    received_at: datetime
    source: str
    problems: tuple[Problem, ...]
    times: int
    replayed_at: datetime | None


@dataclass(frozen=True)
class Replayed:
    """What a replay brought: how many passed, how many were refused again."""

    passed: int
    refused: int


def corrected(put: Iterable[str], drop: Iterable[str]) -> Mend:
    """Make a correction out of ``field=value`` texts and names of fields to leave out.

    A value is read as JSON where its field is a number, a flag or a list, else it is text.

    Raises
    ------
    QuarantineError
        If a text has no ``=``.

    Examples
    --------
    >>> corrected(["duration_s=60", "subscriber=13800138000"], ["typo"])({"typo": 1})
    {'duration_s': 60, 'subscriber': '13800138000'}
    """
    changes = dict(map(_assignment, put))
    without = frozenset(drop)

    def mend(record: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in record.items() if name not in without} | changes

    return mend


def _assignment(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise QuarantineError(f"expected field=value, found {text!r}; write e.g. duration_s=60")
    try:
        return name, from_json(value) if name in _not_text() else value
    except ValueError:
        return name, value


def _not_text() -> set[str]:
    """Fields whose value is not written as text in JSON."""
    return {
        name
        for fields in field_schemas().values()
        for name, schema in fields.items()
        if schema.get("type") in {"integer", "boolean", "array"}
    }


class Sealer:
    """Closes and opens records under a key derived from the pseudonym key.

    Examples
    --------
    >>> seal = Sealer(Pseudonymiser(bytes(32)))
    >>> name = seal.name(b'{"subscriber": "13800138000"}')
    >>> closed = seal.close(name, b'{"subscriber": "13800138000"}')
    >>> b"138" in closed, seal.open(name, closed)
    (False, b'{"subscriber": "13800138000"}')
    """

    def __init__(self, pseudonymiser: Pseudonymiser) -> None:
        self._digest = pseudonymiser.digest
        self._cipher = AESGCM(self._digest(b"forewarn quarantine seal 1"))

    def name(self, record: bytes) -> str:
        """Id of a record: the same bytes have the same, and it says nothing about them."""
        return f"q-{self._digest(b'quarantine:' + record).hex()[:32]}"

    def close(self, name: str, record: bytes) -> bytes:
        """Encrypt a record."""
        nonce = secrets.token_bytes(NONCE)
        return nonce + self._cipher.encrypt(nonce, record, name.encode())

    def row(
        self,
        record: Any,
        problems: Sequence[Problem],
        *,
        source: str,
        received_at: datetime | None = None,
    ) -> dict[str, Any]:
        """Row of the quarantine table for a refused record: its bytes, or what its JSON said."""
        text = record if isinstance(record, bytes) else as_record(record)
        kind = INCIDENTS.encode() if source.startswith(INCIDENTS) else b""
        name = self.name(kind + text)
        return {
            "id": name,
            "received_at": received_at or datetime.now(UTC),
            "source": source,
            "reason": [problem.as_dict() for problem in problems],
            "record": self.close(name, text),
        }

    def open(self, name: str, closed: bytes) -> bytes:
        """Decrypt a record.

        Raises
        ------
        QuarantineError
            If the key is another, or the row was changed.
        """
        try:
            return self._cipher.decrypt(closed[:NONCE], closed[NONCE:], name.encode())
        except InvalidTag as error:
            raise QuarantineError(
                f"expected record {name} sealed with our key, found another key or a changed row; "
                "set the FOREWARN_PSEUDONYM_KEY it was taken in with"
            ) from error


class Shelf(Generic[Fact]):
    """Keeps the refused records of one kind in PostgreSQL.

    Parameters
    ----------
    engine
        Of a database that `data.database.upgrade` brought up to date.
    pseudonymiser
        Its key seals the records.
    clock
        Now, aware.
    door
        Takes a record's source and the record; returns the fact, or raises `RejectedRecord`.
    incidents
        Whether this is the incidents' part of the quarantine, or the events'.
    """

    def __init__(
        self,
        engine: Engine,
        pseudonymiser: Pseudonymiser,
        clock: Callable[[], datetime],
        door: Callable[[str, Any], Fact],
        *,
        incidents: bool,
    ) -> None:
        self._engine = engine
        self._seal = Sealer(pseudonymiser)
        self._clock = clock
        self._door = door
        of_incidents = quarantine.c.source.startswith(INCIDENTS, autoescape=True)
        self._ours: ColumnElement[bool] = of_incidents if incidents else ~of_incidents

    def add(self, refused: Iterable[Refused]) -> list[str]:
        """Keep records, in batches; their ids in the order given."""
        now = self._clock().astimezone(UTC)
        rows = [
            self._seal.row(one.record, one.problems, source=one.source, received_at=now)
            for one in refused
        ]
        distinct = list({row["id"]: row for row in rows}.values())
        with self._engine.begin() as connection:
            for start in range(0, len(distinct), BATCH):
                connection.execute(keeping(), distinct[start : start + BATCH])
        return [row["id"] for row in rows]

    def count(self) -> int:
        """How many wait to be replayed."""
        with self._engine.connect() as connection:
            waiting = select(func.count()).where(quarantine.c.replayed_at.is_(None), self._ours)
            return connection.scalar(waiting) or 0

    def list(self, *, limit: int = 100, replayed: bool = False) -> list[Held]:
        """The oldest records that wait (or those that were replayed), without their content."""
        gone = quarantine.c.replayed_at.is_not(None)
        wanted = select(*(column for column in quarantine.c if column.name != "record"))
        query = wanted.where(self._ours, gone if replayed else ~gone).order_by(
            quarantine.c.received_at, quarantine.c.id
        )
        with self._engine.connect() as connection:
            return [_held(row) for row in connection.execute(query.limit(limit)).mappings()]

    def replay(
        self,
        accept: Callable[[Sequence[Fact]], None],
        *,
        mend: Mend | None = None,
        ids: Sequence[str] | None = None,
    ) -> Replayed:
        """Send waiting records through the door again.

        Parameters
        ----------
        accept
            Takes the facts of a batch that passed. Only when it returns are they marked as
            replayed; whoever takes them must know an ``event_id`` (``incident_id``) it has seen.
        mend
            Corrects a record first.
        ids
            Only these; all that wait by default.
        """
        passed = refused = 0
        for rows in self._waiting(ids):
            facts: dict[str, Fact] = {}
            reasons: dict[str, tuple[Problem, ...]] = {}
            for row in rows:
                try:
                    facts[row["id"]] = self._again(row, mend)
                except RejectedRecord as refusal:
                    reasons[row["id"]] = refusal.problems
            accept(list(facts.values()))
            self._settle(list(facts), reasons)
            passed, refused = passed + len(facts), refused + len(reasons)
        return Replayed(passed, refused)

    def _waiting(self, ids: Sequence[str] | None) -> Iterator[Sequence[RowMapping]]:
        last = ""
        while True:
            query = select(quarantine.c.id, quarantine.c.source, quarantine.c.record).where(
                quarantine.c.replayed_at.is_(None), quarantine.c.id > last, self._ours
            )
            if ids is not None:
                query = query.where(quarantine.c.id.in_(ids))
            with self._engine.connect() as connection:
                page = query.order_by(quarantine.c.id).limit(BATCH)
                rows = connection.execute(page).mappings().all()
            if not rows:
                return
            yield rows
            last = rows[-1]["id"]

    def _again(self, row: RowMapping, mend: Mend | None) -> Fact:
        record: Any = self._seal.open(row["id"], row["record"])
        return self._door(row["source"], record if mend is None else mend(_read(record)))

    def _settle(self, passed: Sequence[str], refused: Mapping[str, tuple[Problem, ...]]) -> None:
        now = self._clock().astimezone(UTC)
        with self._engine.begin() as connection:
            done = update(quarantine).where(quarantine.c.id.in_(passed))
            connection.execute(done.values(replayed_at=now))
            for name, problems in refused.items():
                why = [problem.as_dict() for problem in problems]
                row = update(quarantine).where(quarantine.c.id == name)
                connection.execute(row.values(reason=why))


class Quarantine(Shelf[Event]):
    """The refused events.

    Parameters
    ----------
    engine
        Of a database that `data.database.upgrade` brought up to date.
    intake
        The door: its clock and its key.
    """

    def __init__(self, engine: Engine, intake: Intake) -> None:
        def again(_: str, record: Any) -> Event:
            return intake.one(record)

        super().__init__(engine, intake.pseudonymiser, intake.clock, again, incidents=False)


def keeping() -> Insert:
    """Write sealed records; the same again is counted, and waits again, for its new reason."""
    statement = insert(quarantine)
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "times": quarantine.c.times + 1,
            "reason": statement.excluded.reason,
            "replayed_at": None,
        },
    )


def _held(row: RowMapping) -> Held:
    return Held(
        id=row["id"],
        received_at=row["received_at"],
        source=row["source"],
        problems=tuple(Problem(**problem) for problem in row["reason"]),
        times=row["times"],
        replayed_at=row["replayed_at"],
    )


def _read(record: bytes) -> dict[str, Any]:
    """The record as a mapping to mend; one that is no JSON object as its text."""
    try:
        found = from_json(record)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return {"record": record.decode("utf-8", "replace")}


def as_record(found: Any) -> bytes:
    """JSON of a record that did not come as JSON: a row of a table, a parsed body."""
    if isinstance(found, Mapping):
        found = {name: value for name, value in found.items() if value is not None}
    return to_json(found, bytes_mode="base64", inf_nan_mode="strings", fallback=str)
