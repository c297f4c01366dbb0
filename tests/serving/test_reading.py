"""Bodies are strict JSON of the asked-for shape; the rest is a clear 4xx that quotes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from serving.contracts import MAX_EVENTS
from serving.problems import Problem
from serving.reading import as_batch, as_event, as_many, as_report

MALFORMED = [
    b"",
    b"   ",
    b"{",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b'\xff\xfe{"a": 1}',
    b'{"a": "\xc3\x28"}',
    b"[" * 100_000,
    b'{"a":' * 5_000,
    b'{"a": 1} trailing',
    b'{"a": "\\ud800"}',
    b'{"phone": "13800138000", "x": tru}',
]


@pytest.mark.parametrize("read", [as_event, as_report, as_many, as_batch])
@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_not_json_is_malformed(read: Callable[[bytes], Any], body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read(body)
    assert caught.value.name == "malformed-json"
    assert "13800138000" not in str(caught.value.document())


@pytest.mark.parametrize("read", [as_event, as_report, as_batch])
@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
def test_another_outer_shape_breaks_the_contract(read: Callable[[bytes], Any], body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read(body)
    assert caught.value.kind.status == 422
    assert caught.value.more["errors"][0]["expected"]


def test_a_report_is_not_scored_and_other_events_are_no_reports() -> None:
    with pytest.raises(Problem) as caught:
        as_event(b'{"kind": "report"}')
    assert caught.value.more["errors"][0]["fix"] == "send it to /v1/reports"
    with pytest.raises(Problem):
        as_report(b'{"kind": "call"}')
    assert as_report(b'{"event_id": "r"}') == {"event_id": "r", "kind": "report"}


def test_many_is_one_or_a_bounded_list() -> None:
    assert as_many(b'{"kind": "sms"}') == [{"kind": "sms"}]
    assert as_many(b"[1, 2]") == [1, 2]
    with pytest.raises(Problem):
        as_many(b"[]")
    with pytest.raises(Problem):
        as_many(b"[" + b"1," * MAX_EVENTS + b"1]")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"events": []}',
        b'{"events": {}}',
        b'{"events": [1], "explain": 1}',
        b'{"events": [1], "explain": "true"}',
        b'{"events": [1], "more": 1}',
    ],
)
def test_a_batch_forbids_what_it_does_not_know(body: bytes) -> None:
    with pytest.raises(Problem, match="invalid-event"):
        as_batch(body)


def test_a_batch_says_whether_to_explain() -> None:
    assert as_batch(b'{"events": [1]}') == ([1], False)
    assert as_batch(b'{"events": [1], "explain": true}') == ([1], True)
