"""Labels against a plain reading of their rule, event by event."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.labels import SCAM_TYPES, STAGES, EventLabels, label_events
from data.outcomes import (
    OUTCOME_SCHEMA,
    outcomes_fingerprint,
    read_outcomes,
    standing,
    write_outcomes,
)
from data.tables import EVENT_SCHEMA, empty_events

START = datetime(2026, 3, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=20)
MATURITY = timedelta(days=7)


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def row(kind: str, at: float, subscriber: str = "s1", /, **fields: Any) -> dict[str, Any]:
    whole = {"kind": kind, "subscriber": subscriber, "occurred_at": hour(at), "known_at": hour(at)}
    return {**whole, "late": False, "source": "test", **fields}


def report(start: float, end: float, known: float, /, **named: Any) -> dict[str, Any]:
    times = {"first_contact_at": hour(start), "reported_at": hour(known), "known_at": hour(known)}
    lists = {"phones": [], "accounts": [], "apps": [], **named}
    return row("report", end, **{"scam_type": "loan", **times, **lists})


def table(rows: list[dict[str, Any]]) -> pa.Table:
    ordered = sorted(rows, key=lambda one: one["known_at"])
    for number, one in enumerate(ordered):
        one |= {"seq": number, "event_id": f"e{number}"}
    return pa.Table.from_pylist(ordered, schema=EVENT_SCHEMA)


def labelled(
    rows: list[dict[str, Any]], as_of: datetime = AS_OF, told: list[dict[str, Any]] | None = None
) -> EventLabels:
    outcomes = None if told is None else outcome_table(told)
    return label_events(table(rows), as_of, maturity=MATURITY, outcomes=outcomes)


def outcome(verdict: str, events: list[str], known: float = 10, /, **fields: Any) -> dict[str, Any]:
    """A case of subscriber s1 that was about everything from hour 0 to hour 40."""
    whole = {"subscriber": "s1", "verdict": verdict, "scam_type": "loan", "events": events}
    times = {"began_at": hour(0), "ends_at": hour(40), "known_at": hour(known)}
    return {"case_id": "c1", **whole, **times, **fields}


def outcome_table(told: list[dict[str, Any]]) -> pa.Table:
    numbered = [one | {"outcome_id": f"o{number}"} for number, one in enumerate(told)]
    return pa.Table.from_pylist(numbered, schema=OUTCOME_SCHEMA)


def stages(labels: EventLabels) -> list[str | None]:
    return [STAGES[code] if code >= 0 else None for code in labels.stage]


def test_a_fraud_from_call_to_payment() -> None:
    labels = labelled(
        [
            row("call", 1, counterpart="p1", direction="incoming", duration_s=30),
            row("call", 2, counterpart="friend", direction="incoming", duration_s=30),
            row("call", 3, counterpart="p1", direction="incoming", duration_s=900),
            row("app", 4, counterpart="bad.app", action="install"),
            row("transfer", 5, counterpart="a1", account="own"),
            row("sms", 6, counterpart="p1", direction="incoming"),
            row("call", 7, counterpart="p1", direction="incoming", duration_s=30),
            row("call", 1, "s2", counterpart="p1", direction="incoming", duration_s=30),
            report(0.5, 6, 30, phones=["p1"], accounts=["a1"], apps=["bad.app"]),
        ]
    )
    # in order of arrival: both calls of hour 1 come first
    assert labels.y.tolist() == [1, 0, -1, 1, 1, 1, 1, 0, -1]
    assert stages(labels)[:7] == ["contact", None, None, "engaged", "engaged", "paying", "paying"]
    assert [SCAM_TYPES[code] for code in labels.scam_type[labels.y == 1]] == ["loan"] * 5
    assert labels.episode.tolist() == [0, -1, 0, 0, 0, 0, 0, -1, -1]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"direction": "incoming", "duration_s": 599}, "contact"),
        ({"direction": "incoming", "duration_s": 600}, "engaged"),
        ({"direction": "outgoing", "duration_s": 1}, "engaged"),
    ],
)
def test_what_makes_a_victim_engaged(first: dict[str, Any], expected: str) -> None:
    labels = labelled([row("call", 1, counterpart="p1", **first), report(0, 2, 3, phones=["p1"])])
    assert stages(labels)[0] == expected


def test_a_third_touch_is_engagement() -> None:
    calls = [row("sms", n, counterpart="p1", direction="incoming") for n in (1, 2, 3)]
    labels = labelled([*calls, report(0, 4, 5, phones=["p1"])])
    assert stages(labels)[:3] == ["contact", "contact", "engaged"]


def test_only_reports_known_by_then_count() -> None:
    rows = [
        row("call", 1, counterpart="p1", direction="incoming"),
        report(0, 2, 48, phones=["p1"]),
    ]
    assert labelled(rows, hour(48)).y.tolist() == [-1, -1]
    assert labelled(rows, hour(48.001)).y.tolist() == [1, -1]
    assert labelled(rows[:1], hour(24 * 7 + 1)).y.tolist() == [0]
    assert labelled(rows[:1], hour(24 * 7 + 0.99)).y.tolist() == [-1]


def test_young_events_that_are_reported_are_fraud() -> None:
    rows = [row("call", 1, counterpart="p1"), report(0, 2, 3, phones=["p1"])]
    assert labelled(rows, hour(4)).y.tolist() == [1, -1]


def test_where_episodes_overlap_the_first_report_explains() -> None:
    rows = [
        row("transfer", 2, counterpart="a1"),
        row("transfer", 3, counterpart="a2"),
        report(1, 4, 10, accounts=["a2"]),
        report(0, 5, 11, accounts=["a1", "a2"], scam_type="romance"),
    ]
    labels = labelled(rows)
    assert labels.y.tolist() == [1, 1, -1, -1]
    assert labels.episode.tolist() == [1, 0, -1, -1]
    assert [SCAM_TYPES[code] for code in labels.scam_type[:2]] == ["romance", "loan"]


def test_no_events_no_labels() -> None:
    assert len(labelled([]).y) == 0
    assert label_events(empty_events(), AS_OF, maturity=MATURITY).episode.dtype == np.int32


# --- outcomes of cases


CALLS = [
    row("call", 1, counterpart="p1", direction="incoming", duration_s=900),
    row("call", 2, counterpart="p2", direction="incoming", duration_s=30),
    row("transfer", 3, counterpart="a1", account="own"),
    row("call", 3.5, "s2", counterpart="p1", direction="incoming", duration_s=900),
]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("fraud", [1, -1, 1, 0]), ("none", [0, 0, 0, 0]), ("censored", [-1, -1, -1, 0])],
)
def test_what_an_outcome_makes_of_its_episode(verdict: str, expected: list[int]) -> None:
    labels = labelled([*CALLS], told=[outcome(verdict, ["e0", "e2", "elsewhere"])])
    assert labels.y.tolist() == expected


def test_who_paid_has_type_stage_and_episode() -> None:
    rows = [*CALLS, report(0, 5, 30, phones=["p1"])]
    rows[-1]["subscriber"] = "s2"
    labels = labelled(rows, told=[outcome("fraud", ["e0", "e2"], scam_type="romance")])
    assert stages(labels)[:4] == ["engaged", None, "paying", "engaged"]
    assert [SCAM_TYPES[code] for code in labels.scam_type[[0, 2]]] == ["romance", "romance"]
    assert labels.episode.tolist()[:4] == [1, -1, 1, 0]


def test_a_false_alarm_is_negative_however_young() -> None:
    told = [outcome("none", ["e0"], 10)]
    assert labelled([*CALLS], hour(11), told).y.tolist() == [0, -1, -1, -1]
    assert labelled([*CALLS], hour(10), told).y.tolist() == [-1, -1, -1, -1]  # not known yet


def test_a_report_outweighs_what_officers_concluded() -> None:
    rows = [*CALLS, report(0, 2.5, 30, phones=["p1"])]
    for verdict in ("none", "censored"):
        labels = labelled(rows, told=[outcome(verdict, ["e0", "e1", "e2"])])
        assert labels.y.tolist()[:2] == [1, -1]


def test_an_outcome_taken_back_counts_for_earlier_moments_only() -> None:
    told = [
        outcome("none", ["e0"], 10, withdrawn_at=hour(20)),
        outcome("fraud", ["e0"], 20),
    ]
    assert [labelled([*CALLS], hour(at), told).y[0] for at in (15, 20, 21)] == [0, 0, 1]


def test_the_last_word_on_a_case_counts() -> None:
    """Closed as a false alarm, opened again, dissuaded."""
    told = [outcome("none", ["e0"], 10), outcome("censored", ["e0", "e2"], 15)]
    assert labelled([*CALLS], told=told).y.tolist() == [-1, -1, -1, 0]


def test_what_made_a_case_outweighs_lying_within_another() -> None:
    told = [outcome("censored", ["e2"], 10), outcome("none", ["e1"], 12, case_id="c2")]
    assert labelled([*CALLS], told=told).y.tolist() == [-1, 0, -1, 0]


def test_outcomes_lie_beside_the_history(tmp_path: Path) -> None:
    assert len(read_outcomes(tmp_path)) == 0
    assert outcomes_fingerprint(read_outcomes(tmp_path), AS_OF) == ""
    told = [outcome("none", ["e0"], 10, withdrawn_at=hour(20)), outcome("fraud", ["e1"], 30)]
    write_outcomes(tmp_path, outcome_table(told[:1]).set_column(8, "withdrawn_at", [[None]]))
    early = outcomes_fingerprint(read_outcomes(tmp_path), hour(15))
    write_outcomes(tmp_path, outcome_table(told))
    found = read_outcomes(tmp_path)
    assert found.to_pylist() == outcome_table(told).to_pylist()
    assert outcomes_fingerprint(found, hour(15)) == early  # later writing leaves the past alone
    assert [len(standing(found, hour(at))) for at in (10, 15, 25, 31)] == [0, 1, 0, 1]


# --- the rule, read plainly


def plain(events: pa.Table, as_of: datetime) -> list[tuple[int, int]]:
    rows = events.to_pylist()
    told = [one for one in rows if one["kind"] == "report" and one["known_at"] < as_of]
    return [_one(event, told, as_of) for event in rows]


def _one(event: dict[str, Any], told: list[dict[str, Any]], as_of: datetime) -> tuple[int, int]:
    if event["kind"] == "report":
        return -1, -1
    covering = [
        (place, one)
        for place, one in enumerate(told)
        if one["subscriber"] == event["subscriber"]
        and one["first_contact_at"] <= event["occurred_at"] <= one["occurred_at"]
    ]
    for place, one in covering:
        if event["counterpart"] in {*one["phones"], *one["accounts"], *one["apps"]}:
            return 1, place
    if covering:
        return -1, covering[0][0]
    return (-1 if event["occurred_at"] > as_of - MATURITY else 0), -1


HOURS = st.integers(0, 40).map(lambda number: number / 2)
NAMES = st.sampled_from(["p1", "p2", "a1", "a2"])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = [
        row(
            draw(st.sampled_from(["call", "sms", "transfer", "lead"])),
            draw(HOURS),
            draw(st.sampled_from(["s1", "s2"])),
            counterpart=draw(st.one_of(st.none(), NAMES)),
            direction="incoming",
        )
        for _ in range(draw(st.integers(0, 12)))
    ]
    for _ in range(draw(st.integers(0, 4))):
        start, end, known = sorted((draw(HOURS), draw(HOURS), draw(HOURS)))
        named = draw(st.lists(NAMES, max_size=3))
        rows.append(report(start, end, known, phones=named))
        rows[-1]["subscriber"] = draw(st.sampled_from(["s1", "s2", "s3"]))
    return rows


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(0, 24 * 9))
def test_labels_are_the_rule_read_plainly(rows: list[dict[str, Any]], moment: int) -> None:
    events = table(rows)
    labels = label_events(events, hour(moment), maturity=MATURITY)
    found = list(zip(labels.y.tolist(), labels.episode.tolist(), strict=True))
    assert found == plain(events, hour(moment))
    assert ((labels.stage >= 0) == (labels.y == 1)).all()


VERDICTS = st.sampled_from(["fraud", "none", "censored"])


@st.composite
def cases(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        began, ends, known = sorted((draw(HOURS), draw(HOURS), draw(HOURS)))
        events = [f"e{draw(st.integers(0, 15))}" for _ in range(draw(st.integers(0, 3)))]
        times = {"began_at": hour(began), "ends_at": hour(ends)}
        who = draw(st.sampled_from(["s1", "s2", "nobody"]))
        found.append(
            outcome(draw(VERDICTS), events, known, **times, subscriber=who, case_id=f"c{number}")
        )
    return found


def plain_with(events: pa.Table, as_of: datetime, told: list[dict[str, Any]]) -> list[int]:
    known = [one for one in told if one["known_at"] < as_of]
    pairs = zip(events.to_pylist(), plain(events, as_of), strict=True)
    return [_with(event, label, known) for event, label in pairs]


def _with(event: dict[str, Any], label: tuple[int, int], known: list[dict[str, Any]]) -> int:
    if event["kind"] == "report" or label[1] >= 0:
        return label[0]
    covering = [
        one
        for one in known
        if one["subscriber"] == event["subscriber"]
        and one["began_at"] <= event["occurred_at"] <= one["ends_at"]
    ]
    made = {one["verdict"] for one in covering if event["event_id"] in one["events"]}
    if made & {"fraud", "none"}:
        return int("fraud" in made)
    return -1 if any(one["verdict"] != "none" for one in covering) else label[0]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), cases(), st.integers(0, 24 * 9))
def test_labels_with_outcomes_are_the_rule_read_plainly(
    rows: list[dict[str, Any]], told: list[dict[str, Any]], moment: int
) -> None:
    events = table(rows)
    found = label_events(events, hour(moment), maturity=MATURITY, outcomes=outcome_table(told))
    assert found.y.tolist() == plain_with(events, hour(moment), told)
    assert ((found.stage >= 0) == (found.y == 1)).all()
    assert (found.episode[found.y == 1] >= 0).all()
