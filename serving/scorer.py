"""The walk of a live event: seen before? vector, score, level, reasons, record, answer.

Nothing is acknowledged before PostgreSQL has it. A part that is away is named in ``degraded`` and
never guessed: without feature state an event is kept unscored, and scored when the state is back.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from data.database import event_row
from data.events import Event
from data.intake import is_late
from models.rules import RuleSet
from serving import contracts, metrics
from serving.decisions import Entry, Ledger, Told, decision_row, vector_of
from serving.door import Door, Passed, Refused
from serving.judge import Judge, Seen
from serving.problems import Problem
from serving.recomputed import recomputed
from serving.rules.book import Book
from serving.rules.standing import Standing
from serving.state import State, StateAway

__all__ = ["LOG", "STATE", "Scorer", "log_at_hand"]

_LOG = logging.getLogger("forewarn.serving")
_RETRY_S = 2
_KEEP_S = 0.2
_SETTLE_TURNS = 5
_PAGE = 200
_EVENT_ID = re.compile(r"[\w.:@/-]{1,64}")  # as the contracts have it
STATE = "feature_state"
LOG = "decision_log"

Judges = Callable[[str], Judge | None]
Outcome = contracts.Decision | Problem


@dataclass(frozen=True, eq=False)
class _Judged:
    """Events, how the state saw them, what was decided, and the rules that stood."""

    events: Sequence[Event]
    seen: Sequence[Seen]
    decisions: Sequence[contracts.Decision]
    standing: Standing | None


class Scorer:
    """Scores events, takes in facts, tells what was known.

    Parameters
    ----------
    door : Door
        Parses, refuses, pseudonymises.
    state : State
        Features as of now.
    ledger : Ledger
        Remembers.
    judge : Judge
        Decides.
    judges : callable
        The judge of a version, or None where its bundle is gone: to score again what an earlier
        model scored.
    book : Book
        The live rules beside the model.
    """

    def __init__(
        self,
        door: Door,
        state: State,
        ledger: Ledger,
        judge: Judge,
        judges: Judges,
        book: Book,
    ) -> None:
        self.door, self.state, self.ledger, self.judge = door, state, ledger, judge
        self._judges, self.book = judges, book
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the writer, and the keeper who scores what had to wait."""
        await self.ledger.open()
        await self.book.open()
        self.state.rise(await self.ledger.last_seq())
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Finish what was begun."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self.ledger.close()
        await self.book.close()
        await self.state.close()

    async def score_event(self, record: Mapping[str, Any], *, explain: bool) -> contracts.Decision:
        """Score one event; its decision is recorded before this returns.

        Raises
        ------
        Problem
            If the record is refused, or nothing can be recorded now.
        """
        (outcome,) = await self._outcomes([record], explain=explain)
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    async def score_batch(self, records: Sequence[Any], *, explain: bool) -> contracts.BatchAnswer:
        """Score events in order; a refused one does not hold up the others."""
        outcomes = await self._outcomes(records, explain=explain)
        items = tuple(_item(index, outcome) for index, outcome in enumerate(outcomes))
        scored = sum(item.decision is not None for item in items)
        return contracts.BatchAnswer(results=items, scored=scored, refused=len(items) - scored)

    async def take_in(self, records: Sequence[Any]) -> contracts.Receipt:
        """Record facts without a score; reports are always taken in this way.

        Raises
        ------
        Problem
            If nothing can be recorded now, or a single record is refused.
        """
        found, known = await self._let_in(records, scored=False)
        refused = [one for one in found if isinstance(one, Refused)]
        if refused and len(found) == 1:
            raise refused[0].problem()
        passed = [one for one in found if isinstance(one, Passed)]
        recorded = _recorded_ones(known)
        waited = await self._remember([one for one in passed if one.name not in recorded])
        return contracts.Receipt(
            accepted=len(passed),
            duplicates=sum(one.name in recorded for one in passed),
            refused=len(refused),
            event_ids=tuple(one.name for one in passed),
            problems=tuple(each.details() for each in refused),
            degraded=(STATE,) if waited else (),
        )

    async def record(self, event_id: str) -> contracts.DecisionRecord:
        """What was known then, and the score recomputed from it.

        Raises
        ------
        Problem
            If there is no such decision, or the log is away.
        """
        row = None
        if _EVENT_ID.fullmatch(event_id):
            with log_at_hand():
                row = await self.ledger.record_of(event_id)
        if row is None:
            raise Problem("not-found", "no decision with this event_id")
        judge = await self.judge_of(row["model_version"])
        return contracts.DecisionRecord(
            decision=contracts.Decision.model_validate(row["answer"]),
            event=row["payload"],
            vector=_named_values(row, judge),
            thresholds=row["thresholds"],
            recomputed=recomputed(row, judge, await self._past(row)),
        )

    async def _past(self, row: Mapping[str, Any]) -> RuleSet | None:
        """The rules that applied to a decision; None if they cannot be read any more."""
        with log_at_hand():
            return await self.book.past(row["rules"]["applied"]) if row["rules"] else RuleSet(())

    async def judge_of(self, version: str) -> Judge | None:
        """The judge of a version, or None where its bundle is gone."""
        return await asyncio.to_thread(self._judges, version)

    def model(self) -> contracts.Model:
        """The model in service."""
        return self.judge.model()

    async def readiness(self) -> contracts.Readiness:
        """Whether an event sent now would be scored."""
        parts = {"model": "ok", LOG: "ok", STATE: "ok"}
        try:
            await self.ledger.ping()
        except (SQLAlchemyError, OSError, TimeoutError):
            parts[LOG] = "away"
        parts[STATE] = await self.state.word()
        return contracts.Readiness(ready=set(parts.values()) == {"ok"}, parts=parts)

    # --- steps of the walk

    async def _outcomes(self, records: Sequence[Any], *, explain: bool) -> list[Outcome]:
        """Outcomes in order: refused, recorded before, or decided now."""
        found, known = await self._let_in(records, scored=True)
        passed = [one for one in found if isinstance(one, Passed)]
        with log_at_hand():
            outcomes = await self._recorded(known)
            fresh = _first([one for one in passed if one.name not in outcomes])
            outcomes |= await self._decide(fresh, explain=explain)
        return [one.problem() if isinstance(one, Refused) else outcomes[one.name] for one in found]

    async def _let_in(
        self, records: Sequence[Any], *, scored: bool
    ) -> tuple[list[Passed | Refused], Mapping[str, Told]]:
        """Records through the door, and what was told before of those that pass."""
        found = [self.door.one(record, scored=scored) for record in records]
        with log_at_hand():
            known = await self.ledger.known([one.name for one in found if isinstance(one, Passed)])
            found = self._told_apart(found, known)
            await self._keep_refused(found)
        return found, known

    def _told_apart(
        self, found: Sequence[Passed | Refused], known: Mapping[str, Told]
    ) -> list[Passed | Refused]:
        """Refuse who comes second under an event_id with other content."""
        first: dict[str, Told | Passed] = dict(known)
        return [
            one if isinstance(one, Refused) or _agrees(one, first) else self.door.taken(one)
            for one in found
        ]

    async def _keep_refused(self, found: Sequence[Passed | Refused]) -> None:
        refused = [one for one in found if isinstance(one, Refused)]
        if refused:
            await self.ledger.quarantine([one.row for one in refused])
            metrics.quarantined(len(refused))

    async def _recorded(self, known: Mapping[str, Told]) -> dict[str, Outcome]:
        """Outcomes of events that need none any more."""
        outcomes: dict[str, Outcome] = {
            name: contracts.Decision.model_validate(told.answer)
            for name, told in known.items()
            if told.answer is not None
        }
        unscored = [name for name in _recorded_ones(known) if name not in outcomes]
        try:
            forgotten = await self.state.forgotten(unscored)
        except StateAway:
            return outcomes | dict.fromkeys(unscored, _state_away())
        detail = "taken in without a score, too long ago for its vector to be read again"
        return outcomes | dict.fromkeys(forgotten, Problem("conflict", detail))

    async def _decide(self, fresh: Sequence[Passed], *, explain: bool) -> dict[str, Outcome]:
        events = [one.event for one in fresh]
        try:
            seen = await self.state.observe(events)
        except StateAway as error:
            return await self._postpone(events, error, scored=True)
        events = [_first_told(one, sight) for one, sight in zip(fresh, seen, strict=True)]
        judged = await self._judged(events, seen, explain=explain)
        entries = [self._entry(judged, place) for place in range(len(events))]
        others = await self.ledger.write(self._with_numbers(entries, fresh))
        decisions = judged.decisions
        self.state.recorded(event.event_id for event in events)
        _count(decisions)
        made: dict[str, Outcome] = {decision.event_id: decision for decision in decisions}
        again = [
            one
            for one, sight in zip(fresh, seen, strict=True)
            if sight.repeated or one.name in others
        ]
        return made | (await self._as_recorded(again) if again else {})

    async def _as_recorded(self, again: Sequence[Passed]) -> dict[str, Outcome]:
        """Somebody else may have decided these too: whichever of us was recorded is the answer."""
        known = await self.ledger.known([one.name for one in again])
        checked = self._told_apart(again, known)
        await self._keep_refused(checked)
        return await self._recorded(known) | {
            one.name: each.problem()
            for one, each in zip(again, checked, strict=True)
            if isinstance(each, Refused)
        }

    async def _judged(
        self, events: Sequence[Event], seen: Sequence[Seen], *, explain: bool
    ) -> "_Judged":
        """One event is judged here and now; many, in a thread, so that others are not kept."""
        standing = self.book.standing(events)
        judge = partial(self.judge.decide, seen, explain=explain, standing=standing)
        decisions = judge() if len(seen) == 1 else await asyncio.to_thread(judge)
        return _Judged(events, seen, decisions, standing)

    def _entry(self, judged: "_Judged", place: int, *, scored: bool = True) -> Entry:
        event, seen, standing = judged.events[place], judged.seen[place], judged.standing
        if not scored:
            return Entry(_logged(event, seen))
        rules = None if standing is None else standing.row(place)
        row = decision_row(event, seen, judged.decisions[place], self.judge, rules)
        return Entry(_logged(event, seen), row, standing.entries[place] if standing else ())

    async def _postpone(
        self, events: Sequence[Event], why: StateAway, *, scored: bool
    ) -> dict[str, Outcome]:
        """Keep events on disk until feature state is back; their score is not guessed."""
        _LOG.warning("feature state is away: %s; %d events wait for it", why, len(events))
        await self.ledger.postpone(events, scored=scored)
        metrics.degraded(STATE)
        missing = contracts.Decision.without_score
        return {
            event.event_id: missing(event.event_id, late=is_late(event), degraded=(STATE,))
            for event in events
        }

    async def _remember(self, passed: Sequence[Passed]) -> bool:
        """Show events to feature state and record them; True when they must wait."""
        once = _first(passed)
        fresh = [one.event for one in once]
        with log_at_hand():
            try:
                seen = await self.state.observe(fresh, scored=False)
            except StateAway as error:
                await self._postpone(fresh, error, scored=False)
                return True
            rows = [
                Entry(_logged(_first_told(one, sight), sight))
                for one, sight in zip(once, seen, strict=True)
            ]
            await self.ledger.write(self._with_numbers(rows, once))
        self.state.recorded(event.event_id for event in fresh)
        return False

    def _with_numbers(self, entries: Sequence[Entry], passed: Sequence[Passed]) -> list[Entry]:
        """Alerts and leads take their citizen's sealed number along."""
        return [
            replace(entry, number=self.door.number(one)) if entry.concerns else entry
            for entry, one in zip(entries, passed, strict=True)
        ]

    # --- the keeper

    async def _keep(self) -> None:
        """Tidy up after what went wrong, for as long as the worker lives."""
        turn = 0
        while True:
            await asyncio.sleep(_KEEP_S)
            turn += 1
            try:
                await self.state.strike()
                if turn % _SETTLE_TURNS == 0:
                    await self._catch_up()
            except (SQLAlchemyError, OSError, TimeoutError, StateAway):
                continue
            except Exception:  # noqa: BLE001 - what waits must not wait for ever on one surprise
                _LOG.exception("the keeper failed; it tries again")

    async def _catch_up(self) -> None:
        """Record what waits or was left behind, oldest first, one worker at a time."""
        async with self.ledger.turn() as mine:
            if not mine:
                return
            if left := await self.state.left_behind():
                await self._settle(left)
            while waiting := await self.ledger.postponed(_PAGE):
                await self._settle(waiting)
                await self.ledger.forget([event.event_id for event, _ in waiting])

    async def _settle(self, waiting: Sequence[tuple[Event, bool]]) -> None:
        known = await self.ledger.known([event.event_id for event, _ in waiting])
        recorded = _recorded_ones(known)
        fresh = {each[0].event_id: each for each in waiting if each[0].event_id not in recorded}
        seen = await self.state.observe([event for event, _ in fresh.values()])
        judged = await self._judged([event for event, _ in fresh.values()], seen, explain=False)
        await self.ledger.write(
            [
                self._entry(judged, place, scored=scored)
                for place, (_, scored) in enumerate(fresh.values())
            ]
        )
        self.state.recorded(event.event_id for event, _ in waiting)


def _recorded_ones(known: Mapping[str, Told]) -> set[str]:
    """Event_ids that are in the log, not only waiting for it."""
    return {name for name, told in known.items() if told.recorded}


def _first(passed: Sequence[Passed]) -> list[Passed]:
    """Each event once, as it was told first."""
    first: dict[str, Passed] = {}
    for one in passed:
        first.setdefault(one.name, one)
    return list(first.values())


def _agrees(one: Passed, first: dict[str, Told | Passed]) -> bool:
    """Whether an event says what the first of its event_id said; it may be that first one."""
    told = first.setdefault(one.name, one)
    return told is one or one.agrees_with(told.payload)


def _state_away() -> Problem:
    metrics.degraded(STATE)
    detail = "Valkey is away or behind; this event is recorded and can be scored when it is back"
    return Problem("unavailable", detail, {"degraded": [STATE]}, retry_after_s=_RETRY_S)


def _item(index: int, outcome: Outcome) -> contracts.BatchItem:
    if isinstance(outcome, Problem):
        details = contracts.ProblemDetails.model_validate(outcome.document())
        return contracts.BatchItem(index=index, problem=details)
    return contracts.BatchItem(index=index, decision=outcome)


@contextmanager
def log_at_hand() -> Iterator[None]:
    """Without the log nothing can be acknowledged: say so, and when to come back."""
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        _LOG.warning("the decision log is away: %s", type(error).__name__)
        metrics.degraded(LOG)
        raise Problem(
            "unavailable",
            "PostgreSQL is away; nothing of this request was acknowledged",
            {"degraded": [LOG]},
            retry_after_s=_RETRY_S,
        ) from error


def _first_told(one: Passed, seen: Seen) -> Event:
    """An event as it is logged: who comes second learnt it when the state first saw it.

    Whichever of the two is recorded, the log then tells the moment at which the vector was read.
    """
    if seen.repeated and one.record.get("known_at") is None:
        return one.event.model_copy(update={"known_at": seen.now})
    return one.event


def _logged(event: Event, seen: Seen) -> Mapping[str, Any]:
    return event_row(event, seq=seen.seq, late=seen.late)


def _count(decisions: Sequence[contracts.Decision]) -> None:
    for decision in decisions:
        metrics.decided(decision.level.name if decision.level else None)
        if decision.reasons:
            metrics.explained()


def _named_values(
    row: Mapping[str, Any], judge: Judge | None
) -> tuple[contracts.FeatureValue, ...]:
    values = vector_of(row["vector"])
    names = judge.names if judge else tuple(f"f{place}" for place in range(len(values)))
    units = judge.units if judge else (None,) * len(values)
    return tuple(
        contracts.FeatureValue(name=name, value=None if np.isnan(value) else value, unit=unit)
        for name, unit, value in zip(names, units, values.tolist(), strict=True)
    )
