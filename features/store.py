"""The live engine: every key's state in Valkey, one atomic round trip an event.

The work is done by one function library (`store.lua`), generic over a feature set's plan. Valkey
runs a function atomically, so two workers that meet at one key take turns. The function stamps the
order of arrival (`seq`) and the evaluation clock, reads every state as of now, adds the event and
answers with raw integers; `features.plan.Plan.finish` turns them into the vector, as in bulk.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from valkey.exceptions import ResponseError

from features import links
from features.attributes import NO_HABIT, SURPRISE_CAP, UNUSUAL_PERCENT
from features.frame import Frame
from features.periods import DAY_S, IDLE_DAYS, MICROSECOND
from features.plan import (
    LINK_FIELDS,
    REACH,
    VALUES,
    Column,
    Plan,
    Scalar,
    StatePlan,
    compile_plan,
    relation_of,
    spread,
)
from features.row import NAMESPACE_OF_KIND, EventRow
from features.spec import FeatureSet
from features.streams import KINDS, STREAMS

__all__ = ["Batch", "Codec", "LiveState", "LiveStateSync", "Vector"]

Ints = NDArray[np.int64]
Item = TypeVar("Item")
OPS: Final = {"count": 0, "sum": 1, "square": 2, "max": 3, "distinct": 4}
SCALAR_OPS: Final = {
    name: number
    for number, name in enumerate(
        (
            "first",
            "last",
            "chain_start",
            "chain_call",
            "life_count",
            "life_sum",
            "life_square",
            "life_max",
        )
    )
}
STATE_S = 45 * DAY_S
"""A state Valkey has not been asked to write for so long is freed. Expiry itself is decided at the
read, by the event's clock; this only bounds memory, and is longer than any window reaches."""
RETRY_S = 6 * 3_600
"""How long an answer is kept for a retry; older repeats are the database's to catch."""
BATCH = 512
HEAD = 3  # repeated, seq, now
CIRCUMSTANCE_FIELDS = ("surprise", "is_new", "new_device")
LUA = Path(__file__).with_name("store.lua")


@dataclass(frozen=True)
class Vector:
    """What was known when one event arrived.

    Parameters
    ----------
    values : ndarray of float64, shape (p,)
        As in ``features.names``; missing is NaN.
    seq : int
        Order of arrival.
    now : int
        The evaluation clock, UTC microseconds.
    repeated : bool
        The event had been seen; this is the vector of its first time and nothing was counted.
    """

    values: NDArray[np.float64]
    seq: int
    now: int
    repeated: bool


class Codec:
    """Between events, the function's arguments and answers, and vectors; does no I/O.

    Parameters
    ----------
    features : FeatureSet
        What to read.
    zone : str
        The city's time zone.
    retry_s : int
        Seconds an answer is kept for a retry.
    """

    def __init__(self, features: FeatureSet, zone: str, retry_s: int = RETRY_S) -> None:
        self.features, self.zone = features, zone
        self.plan = compile_plan(features)
        self.library = f"forewarn_{features.digest[:12]}"
        self.prefix = f"fw:{features.digest[:12]}:"
        self.retry_s = retry_s
        self.roles = _offsets(self.plan)

    @property
    def source(self) -> str:
        """The function library, ready to load."""
        text = LUA.read_text(encoding="utf-8")
        plan = _literal(_payload(self.plan, self.prefix, self.retry_s))
        return text.replace("@LIBRARY@", self.library).replace("@PLAN@", plan)

    def arguments(self, row: EventRow) -> list[Any]:
        """Arguments of the observing function for one event."""
        payee = row.counterpart[2:] if row.event.kind == "transfer" else ""
        return [
            row.known,
            row.occurred,
            row.kind,
            row.event.event_id,
            row.streams(self.plan),
            row.event.subscriber,
            row.counterpart,
            row.value("account") or "",
            payee,
            row.value("device") or "",
            *row.values,
            *row.named,
        ]

    def vector(self, row: EventRow, answer: bytes) -> Vector:
        """Finish one answer."""
        found = np.frombuffer(answer, dtype="<f8").astype(np.int64)
        repeated, seq, now = (int(value) for value in found[:HEAD])
        values = np.full((1, len(self.features)), np.nan)
        if row.event.scored:
            known = dict(zip(CIRCUMSTANCE_FIELDS, found[HEAD:].tolist(), strict=False))
            own = row.attributes(now, known, self.plan.fields)
            self._finish(values, own, found[None, :], _present(row))
        return Vector(values[0], seq, now, bool(repeated))

    def _finish(
        self,
        values: NDArray[np.float64],
        own: Ints,
        answers: Ints,
        present: dict[str, NDArray[np.bool_]],
    ) -> None:
        everywhere = np.ones(len(values), dtype=bool)
        self.plan.finish(values, "event", (own, own), everywhere)
        for role, (start, end) in self.roles.items():
            self.plan.finish(values, role, (own, answers[:, start:end]), present[role])

    def subject(self, now: int, answer: bytes) -> NDArray[np.float64]:
        """Finish what was read of a subscriber alone."""
        found = np.frombuffer(answer, dtype="<f8").astype(np.int64)[None, :]
        own = np.full((1, len(self.plan.fields)), -1, dtype=np.int64)
        own[0, :2] = now
        values = np.full((1, len(self.features)), np.nan)
        self.plan.finish(values, "subscriber", (own, found), np.ones(1, dtype=bool))
        own_values: NDArray[np.float64] = values[0]
        return own_values

    def table_arguments(self, frame: Frame) -> Iterator[list[Any]]:
        """Arguments for each row of a table, without parsing rows back into events."""
        return _TableArguments(self.plan, frame).rows()

    def table_vectors(self, frame: Frame, answers: Sequence[bytes]) -> "Batch":
        """Finish the answers to a table's rows (reports get no vector: all NaN)."""
        scored = np.flatnonzero(frame.kind != KINDS.index("report"))
        heads = np.array([np.frombuffer(answer[: 8 * HEAD]) for answer in answers])
        heads = heads.reshape(len(answers), HEAD).astype(np.int64)
        values = np.full((len(answers), len(self.features)), np.nan)
        if len(scored):
            found = np.frombuffer(b"".join(answers[row] for row in scored.tolist()), dtype="<f8")
            found = found.reshape(len(scored), -1).astype(np.int64)
            part = np.full((len(scored), len(self.features)), np.nan)
            own = _own(frame, scored, found, self.plan.fields)
            present = {role: _present_rows(frame, role)[scored] for role in self.roles}
            self._finish(part, own, found, present)
            values[scored] = part
        return Batch(values, heads[:, 1], heads[:, 2], heads[:, 0] == 1)


@dataclass(frozen=True)
class Batch:
    """Vectors of many events: values (n, p), seq, now and repeated (n,)."""

    values: NDArray[np.float64]
    seq: Ints
    now: Ints
    repeated: NDArray[np.bool_]


class _Connected:
    """A client, and how to speak to the function library over it.

    Parameters
    ----------
    client : valkey.Valkey or valkey.asyncio.Valkey
        A connection without response decoding.
    features : FeatureSet
        What to read.
    zone : str
        The city's time zone.
    retry_s : int
        Seconds an answer is kept for a retry.
    """

    def __init__(
        self, client: Any, features: FeatureSet, zone: str, retry_s: int = RETRY_S
    ) -> None:
        self.client, self.codec = client, Codec(features, zone, retry_s)
        self.loaded = False


class LiveStateSync(_Connected):
    """Live state for callers without an event loop; built from client, features and zone."""

    def observe(self, event: Any) -> Vector:
        """Read the event's vector, then add the event; a repeated id changes nothing."""
        row = EventRow(event, self.codec.zone)
        answer = self._call("observe", self.codec.arguments(row))
        return self.codec.vector(row, answer)

    def observe_many(self, events: Iterable[Any]) -> list[Vector]:
        """Observe events in the order given, pipelined."""
        rows = [EventRow(event, self.codec.zone) for event in events]
        answers = self._pipeline(self.codec.arguments(row) for row in rows)
        return [self.codec.vector(row, answer) for row, answer in zip(rows, answers, strict=True)]

    def observe_table(self, table: pa.Table) -> Batch:
        """Observe a table's rows in order, pipelined; reports get rows of NaN."""
        frame = Frame(table, self.codec.zone)
        answers = list(self._pipeline(self.codec.table_arguments(frame)))
        return self.codec.table_vectors(frame, answers)

    def read(self, subscriber: str, now: int) -> NDArray[np.float64]:
        """Read the subscriber's own features as of `now` (UTC microseconds), changing nothing."""
        return self.codec.subject(now, self._call("read", [subscriber, now], read_only=True))

    def position(self) -> int:
        """Order of arrival of the last event observed, -1 before the first."""
        return _position(self.client.get(self.codec.prefix + "clock"))

    def clear(self) -> None:
        """Forget everything of this feature set."""
        keys = self.client.scan_iter(match=self.codec.prefix + "*", count=10_000)
        for part in _in_batches(keys, BATCH):
            self.client.unlink(*part)

    def rebuild(self, table: pa.Table, threads: int = 2) -> int:
        """Replace the state by that after `table`, the whole history.

        Parameters
        ----------
        table : Table
            Events in `data.tables.EVENT_SCHEMA`.
        threads : int
            Workers of the bulk engine; without numba the events are observed one by one.

        Returns
        -------
        int
            The position reached.
        """
        self.clear()
        if find_spec("numba") is None:
            return self._replay(table)
        states = import_module("features.rebuild").final_states(
            table, self.codec.features, zone=self.codec.zone, threads=threads
        )
        with ThreadPoolExecutor(1) as pool:  # Valkey keeps a batch while the next is packed
            kept = pool.submit(self.load)
            for part in _in_batches(states, BATCH):
                kept.result()
                kept = pool.submit(self._keep, part)
            kept.result()
        return self.position()

    def _keep(self, states: Sequence[tuple[str, bytes]]) -> None:
        """Write packed states, with the expiry that an update gives them."""
        flat = [item for key, state in states for item in (self.codec.prefix + key, state)]
        try:
            self.client.execute_command("MSETEX", len(states), *flat, "EX", STATE_S)
        except ResponseError as error:
            if "unknown command" in str(error).lower():
                raise ValueError(
                    "feature state: expected Valkey 9.1 or later, found one without MSETEX; "
                    "upgrade the server at FOREWARN_VALKEY_URL, or unset it for an embedded one"
                ) from error
            raise

    def _replay(self, table: pa.Table) -> int:
        for start in range(0, table.num_rows, BATCH):
            self.observe_table(table.slice(start, BATCH))
        return self.position()

    def load(self) -> None:
        """Load the function library; done by itself when Valkey does not know it."""
        self.client.function_load(self.codec.source, replace=True)
        self.loaded = True

    def _call(self, function: str, args: list[Any], read_only: bool = False) -> bytes:
        name = f"{self.codec.library}_{function}"
        call = self.client.fcall_ro if read_only else self.client.fcall
        try:
            return bytes(call(name, 0, *args))
        except ResponseError as error:
            if not _unknown(error):
                raise
        self.load()
        return bytes(call(name, 0, *args))

    def _pipeline(self, calls: Iterable[list[Any]]) -> Iterator[bytes]:
        if not self.loaded:
            self.load()
        name = f"{self.codec.library}_observe"
        pipe = self.client.pipeline(transaction=False)
        for args in calls:
            pipe.fcall(name, 0, *args)
            if len(pipe) >= BATCH:
                yield from pipe.execute()
        yield from pipe.execute()


def _in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


class LiveState(_Connected):
    """Live state for the service: the same, with an asyncio client."""

    async def observe(self, event: Any) -> Vector:
        """Read the event's vector, then add the event; a repeated id changes nothing."""
        row = EventRow(event, self.codec.zone)
        answer = await self._call("observe", self.codec.arguments(row))
        return self.codec.vector(row, answer)

    async def observe_many(self, events: Iterable[Any]) -> list[Vector]:
        """Observe events in the order given, pipelined in one trip."""
        rows = [EventRow(event, self.codec.zone) for event in events]
        if not self.loaded:
            await self.load()
        pipe = self.client.pipeline(transaction=False)
        for row in rows:
            pipe.fcall(f"{self.codec.library}_observe", 0, *self.codec.arguments(row))
        answers = await pipe.execute()
        return [self.codec.vector(row, answer) for row, answer in zip(rows, answers, strict=True)]

    async def read(self, subscriber: str, now: int) -> NDArray[np.float64]:
        """Read the subscriber's own features as of `now` (UTC microseconds), changing nothing."""
        return self.codec.subject(now, await self._call("read", [subscriber, now], read_only=True))

    async def position(self) -> int:
        """Order of arrival of the last event observed, -1 before the first."""
        return _position(await self.client.get(self.codec.prefix + "clock"))

    async def load(self) -> None:
        """Load the function library; done by itself when Valkey does not know it."""
        await self.client.function_load(self.codec.source, replace=True)
        self.loaded = True

    async def _call(self, function: str, args: list[Any], read_only: bool = False) -> bytes:
        name = f"{self.codec.library}_{function}"
        call = self.client.fcall_ro if read_only else self.client.fcall
        try:
            return bytes(await call(name, 0, *args))
        except ResponseError as error:
            if not _unknown(error):
                raise
        await self.load()
        return bytes(await call(name, 0, *args))


def _unknown(error: ResponseError) -> bool:
    return "function not found" in str(error).lower()


def _position(clock: bytes | None) -> int:
    return int(clock.split()[0]) if clock else -1


def _offsets(plan: Plan) -> dict[str, tuple[int, int]]:
    """Where each role's integers lie in an answer."""
    place = HEAD + len(CIRCUMSTANCE_FIELDS)
    found = {"link": (place, place + len(LINK_FIELDS))}
    place += len(LINK_FIELDS)
    for role in plan.roles:
        found[role] = (place, place + plan.width(role))
        place += plan.width(role)
    return found


def _present(row: EventRow) -> dict[str, NDArray[np.bool_]]:
    has = {
        "subscriber": True,
        "pair": bool(row.counterpart),
        "counterpart": bool(row.counterpart),
        "payee_account": row.event.kind == "transfer",
        "account": bool(row.value("account")),
        "device": bool(row.value("device")),
        "link": row.event.kind == "transfer",
    }
    return {role: np.array([found]) for role, found in has.items()}


def _present_rows(frame: Frame, role: str) -> NDArray[np.bool_]:
    if role in {"payee_account", "link"}:
        transfer: NDArray[np.bool_] = frame.kind == KINDS.index("transfer")
        return transfer
    column = "counterpart" if role == "pair" else role
    found: NDArray[np.bool_] = frame.text(column)[0] >= 0
    return found


def _own(frame: Frame, rows: NDArray[np.intp], answers: Ints, fields: tuple[str, ...]) -> Ints:
    """The event block with the clock and the circumstances that the state answered."""
    own = frame.attributes(rows, fields)
    now = answers[:, 2]
    at = np.minimum(frame.times("occurred_at")[rows], now)
    changed = {"now": now, "at": at, "delay": now - at}
    for place, name in enumerate(CIRCUMSTANCE_FIELDS, start=HEAD):
        changed[name] = answers[:, place]
    for name, column in changed.items():
        if name in fields:
            own[:, fields.index(name)] = column
    return own


class _TableArguments:
    """The arguments of `Codec.arguments`, made by column."""

    def __init__(self, plan: Plan, frame: Frame) -> None:
        self.frame = frame
        self.streams = _stream_bytes(frame.masks(plan), len(plan.streams))

    def rows(self) -> Iterator[list[Any]]:
        frame = self.frame
        kinds = frame.kind.tolist()
        text = {name: frame.strings(name) for name in ("subscriber", "account", "device")}
        bare = frame.strings("counterpart")
        known, occurred = frame.times("known_at").tolist(), frame.times("occurred_at").tolist()
        values = frame.values[:, 1:4].tolist()
        names = frame.table["event_id"].to_pylist()
        named = frame.named()
        for n, kind in enumerate(kinds):
            word = KINDS[kind]
            spaced = NAMESPACE_OF_KIND[word] + bare[n] if bare[n] else ""
            yield [
                known[n],
                occurred[n],
                kind,
                names[n],
                self.streams[n],
                text["subscriber"][n],
                spaced,
                text["account"][n],
                bare[n] if word == "transfer" else "",
                text["device"][n],
                *values[n],
                *named.get(n, ()),
            ]


def _stream_bytes(masks: Ints, count: int) -> list[bytes]:
    unique, place = np.unique(masks, return_inverse=True)
    packed = [bytes(b for b in range(count) if int(mask) >> b & 1) for mask in unique]
    return [packed[number] for number in place.tolist()]


def _payload(plan: Plan, prefix: str, retry_s: int) -> dict[str, Any]:
    """The plan as `store.lua` reads it."""
    bits = {stream: bit for bit, stream in enumerate(plan.streams)}
    subscriber = plan.states.get("subscriber")
    scalars = subscriber.scalars if subscriber else ()
    pair = plan.states.get("pair")
    shared = [bits[name] for name in ("followed", "followed_shared") if name in bits]
    return {
        "prefix": prefix,
        "state_s": STATE_S,
        "marker_s": retry_s,
        "day": DAY_S * MICROSECOND,
        "idle": IDLE_DAYS,
        "chain": DAY_S * MICROSECOND,
        "ring": links.RING,
        "payers": links.KNOWN_PAYERS,
        "habitual": links.HABITUAL_US,
        "member": links.MEMBER_US,
        "no_habit": NO_HABIT,
        "surprise_cap": SURPRISE_CAP,
        "unusual": UNUSUAL_PERCENT,
        "link_fields": LINK_FIELDS,
        "needs": dict.fromkeys(plan.needs, True),
        "circumstances": [STREAMS[name].circumstance for name in plan.streams],
        "reach": {str(bits[name]): True for name in REACH if name in bits},
        "follow": shared[:1],
        "follow_shared": shared,
        "life_count": _place(scalars, Scalar("transfer", "life_count")),
        "life_sum": _place(scalars, Scalar("transfer", "life_sum", "amount")),
        "pair_first": _place(pair.scalars if pair else (), Scalar("any", "first")),
        "related": {
            name: [_place(plan.states[name].scalars, Scalar(stream, "last")) for stream in streams]
            for name, streams in plan.related.items()
            if name in plan.states
        },
        "roles": {role: plan.width(role) for role in plan.roles},
        "states": {name: _state(state, plan, bits) for name, state in plan.states.items()},
    }


def _literal(value: Any) -> str:
    """Write plain Python values as a Lua expression (a library has no JSON while it loads).

    Examples
    --------
    >>> _literal({"a": [1, True], "b": "x"})
    '{["a"]={1,true},["b"]="x"}'
    """
    if isinstance(value, dict):
        return "{" + ",".join(f'["{key}"]={_literal(part)}' for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "{" + ",".join(_literal(part) for part in value) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _place(scalars: tuple[Scalar, ...], wanted: Scalar) -> int:
    return scalars.index(wanted) if wanted in scalars else -1


def _state(state: StatePlan, plan: Plan, bits: dict[str, int]) -> dict[str, Any]:
    link = max(0, _place(state.scalars, Scalar("risky_app", "last")))
    streams = plan.related[relation_of(state.name)]
    return {
        "scalars": [
            {
                "bit": bits[item.stream],
                "op": SCALAR_OPS[item.op],
                "value": VALUES.index(item.value),
                "link": link,
            }
            for item in state.scalars
        ],
        "has_ring": bool(state.reach),
        "spans": [_span(state, number, streams, bits) for number in range(len(state.spans))],
        "roles": {role: _role(state, role, streams) for role in state.columns},
    }


def _span(
    state: StatePlan, number: int, streams: tuple[str, ...], bits: dict[str, int]
) -> dict[str, Any]:
    span, laid = state.spans[number], spread(state, number)
    items = {part: [state.accumulators[place] for place in places] for part, places in laid.items()}
    return {
        "tile": span.tile_us,
        "tiles": span.tiles,
        "sums": [
            {"bit": bits[i.stream], "op": OPS[i.op], "value": VALUES.index(i.value)}
            for i in items["sums"]
        ],
        "distincts": [
            {"bit": bits[i.stream], "hold": streams.index(i.stream)} for i in items["distincts"]
        ],
        "maxes": [{"bit": bits[i.stream], "value": VALUES.index(i.value)} for i in items["maxes"]],
    }


def _role(state: StatePlan, role: str, streams: tuple[str, ...]) -> dict[str, Any]:
    totals = [_column(state, column, streams) for column in state.totals(role)]
    return {"totals": totals, "marks": list(state.marks(role))}


def _column(state: StatePlan, column: Column, streams: tuple[str, ...]) -> dict[str, Any]:
    item, span = state.accumulators[column.accumulator], state.spans[column.span]
    return {
        "span": column.span,
        "item": _item(state, column.span, column.accumulator),
        "less": column.less,
        "less_item": _item(state, column.less, column.accumulator) if column.less >= 0 else -1,
        "hold": streams.index(item.stream) if column.others else -1,
        "tile": span.tile_us,
        "tiles": span.tiles,
    }


def _item(state: StatePlan, span: int, accumulator: int) -> int:
    return [place for part in spread(state, span).values() for place in part].index(accumulator)
