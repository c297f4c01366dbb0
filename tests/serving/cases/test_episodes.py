"""Evidence meets a case in any order: nothing ever falls, nobody has two cases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from serving.cases.case import Case, State
from serving.cases.config import CaseConfig
from serving.cases.episodes import STAGES, Episode, meet
from serving.cases.evidence import OURS, Admitted, Effect

CONFIG = CaseConfig.preset()
START = datetime(2026, 3, 1, tzinfo=UTC)
LEVELS = [level.name for level in CONFIG.levels]


@st.composite
def evidence(draw: st.DrawFn, hour: int = 0) -> Admitted:
    level = draw(st.sampled_from(LEVELS))
    known = START + timedelta(hours=hour + draw(st.integers(0, 6)))
    return Admitted(
        event_id=f"e{hour}",
        subscriber="tel_1",
        kind="call",
        platform=draw(st.sampled_from([OURS, "12381", "bank"])),
        level=level,
        urgency=LEVELS.index(level),
        deadline=timedelta(minutes=draw(st.integers(1, 1_000))),
        score=draw(st.floats(0, 1)),
        stage=draw(st.sampled_from(STAGES)),
        scam_type=draw(st.sampled_from(["loan", "other", "romance"])),
        amount_cny=draw(st.sampled_from([0.0, 5e4])),
        occurred_at=known - timedelta(hours=draw(st.integers(0, 12))),
        known_at=known,
        zh="",
        en="",
    )


@st.composite
def streams(draw: st.DrawFn) -> list[Admitted]:
    hours = sorted(draw(st.lists(st.integers(0, 600), max_size=8)))
    found = [draw(evidence(hour)) for hour in hours]
    return sorted(found, key=lambda one: one.known_at)


@given(streams())
def test_an_open_case_takes_all_and_only_rises(found: list[Admitted]) -> None:
    last: Episode | None = None
    for one in found:
        case, effect = meet(last, one, CONFIG)
        if last is None:
            assert effect == Effect.OPENED
        else:
            _rises(last.case, case)
            assert effect in {Effect.RAISED, Effect.ADDED}
            assert case.deadline_at <= last.case.deadline_at or effect == Effect.RAISED
        last = Episode(case)


def _rises(before: Case, after: Case) -> None:
    assert after.case_id == before.case_id
    assert after.urgency <= before.urgency
    assert after.score >= before.score
    assert STAGES.index(after.stage) >= STAGES.index(before.stage)
    assert after.expected_loss_cny >= before.expected_loss_cny
    assert after.episode_ends_at >= before.episode_ends_at
    seen = {"level", "stage", "state", "deadline_at", "met_at"}
    moved = any(getattr(after, name) != getattr(before, name) for name in seen)
    assert after.version == before.version + moved


@given(evidence(), evidence(24), st.booleans())
def test_a_closed_case_opens_again_at_most(
    first: Admitted, second: Admitted, false_alarm: bool
) -> None:
    case, _ = meet(None, first, CONFIG)
    at = case.opened_at + timedelta(hours=1)
    closed = replace(case, state=State.CLOSED, closed_at=at)
    last = Episode(closed, false_alarm, frozenset({first.platform}))
    after, effect = meet(last, second, CONFIG)
    assert effect in {Effect.KEPT, Effect.REOPENED}
    if effect == Effect.KEPT:
        assert after == closed
        assert second.urgency >= closed.urgency
    else:
        assert (after.state, after.closed_at, after.case_id) == (State.OPEN, None, case.case_id)
        assert after.deadline_at == second.known_at + second.deadline


@given(evidence(), evidence(400))
def test_beyond_the_episode_a_new_case_begins(first: Admitted, second: Admitted) -> None:
    case, _ = meet(None, first, CONFIG)
    closed = replace(case, state=State.CLOSED, closed_at=case.opened_at)
    after, effect = meet(Episode(closed), second, CONFIG)
    assert effect == Effect.OPENED
    assert after.case_id > case.case_id
