"""The stream: the same city, going on; nothing in the future; the first victim pays in seconds."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from data.events import Event
from data.simulator import City, Simulation, live, schedule, simulate
from data.simulator.stream import Due

ANY: TypeAdapter[Event] = TypeAdapter(Event)
EPOCH = datetime(2026, 8, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def minutes(town: Simulation) -> list[Due]:
    return list(takewhile(lambda due: due.after_s < 900, schedule(town)))


def test_events_come_in_order_and_meet_their_contracts(minutes: list[Due]) -> None:
    after = [due.after_s for due in minutes]
    assert after == sorted(after)
    assert after[0] >= 0
    for due in minutes:
        ANY.validate_python(due.stamped(EPOCH), strict=False)


def test_no_event_lies_in_the_future_of_its_sending(minutes: list[Due]) -> None:
    for due in minutes:
        sent = EPOCH + timedelta(seconds=due.after_s, milliseconds=1)
        event = ANY.validate_python(due.stamped(EPOCH))
        assert event.known_at is not None
        assert event.occurred_at <= event.known_at <= sent


def test_moments_of_the_history_stay(minutes: list[Due], town: Simulation) -> None:
    late = [due for due in minutes if due.row["occurred_at"] <= town.city.end]
    assert late
    for due in late:
        assert due.stamped(EPOCH)["occurred_at"] == due.row["occurred_at"].isoformat()


def test_staged_victims_pay_soon_and_were_hooked_in_the_history(
    minutes: list[Due], town: Simulation
) -> None:
    ahead = town.truth_ahead.to_pandas()
    victims = set(ahead[ahead["victim"]]["event_id"])
    episode = dict(zip(ahead["event_id"], ahead["episode"], strict=True))
    paid = [
        due for due in minutes if due.row["event_id"] in victims and due.row["kind"] == "transfer"
    ]
    assert paid[0].after_s < 15
    soon = {episode[due.row["event_id"]] for due in paid if due.after_s < 120}
    assert len(soon) >= 12
    assert len({episode[due.row["event_id"]] for due in paid}) >= town.city.staged
    before = set(town.truth["episode"].to_pylist())
    hooked = [episode[due.row["event_id"]] in before for due in paid]
    assert sum(hooked) > 0.8 * len(hooked)


def test_history_and_stream_have_no_event_in_common(minutes: list[Due], history: pa.Table) -> None:
    streamed = {due.row["event_id"] for due in minutes}
    assert len(streamed) == len(minutes)
    assert streamed.isdisjoint(history["event_id"].to_pylist())


def test_everyday_events_are_thinned_and_scripts_are_not(town: Simulation) -> None:
    def ids(ordinary: float) -> set[str]:
        dues = takewhile(lambda due: due.after_s < 600, schedule(town, ordinary=ordinary))
        return {due.row["event_id"] for due in dues}

    few, many = ids(0.1), ids(1.0)
    fraud = set(town.truth_ahead["event_id"].to_pylist())
    assert few < many
    assert few & fraud == many & fraud
    assert len(few) < 0.4 * len(many)


def test_live_waits_for_each_event_and_catches_up_when_late() -> None:
    now = [1_000_000_000.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    stream = live(City(subscribers=500, days=2), 60, clock=lambda: now[0], sleep=sleep)
    first = next(stream)
    began = datetime.fromtimestamp(1_000_000_000, UTC)
    assert datetime.fromisoformat(first["known_at"]) >= began
    assert datetime.fromisoformat(first["known_at"]) <= datetime.fromtimestamp(now[0], UTC)
    now[0] += 3600
    count = len(waits)
    for _ in range(20):
        next(stream)
    assert len(waits) == count


def test_the_stream_of_the_same_city_is_the_same() -> None:
    town = simulate(City(subscribers=500, days=2))
    first = [due.row for due, _ in zip(schedule(town), range(200), strict=False)]
    again = [due.row for due, _ in zip(schedule(town.city), range(200), strict=False)]
    assert first == again


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(ValueError, match="speed: expected more than 0, found 0"):
        next(schedule(City(subscribers=500, days=1), speed=0))
