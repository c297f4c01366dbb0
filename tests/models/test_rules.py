"""Rules are data: read strictly, told in words, and of many events each gets what it gets alone."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import FRAUD_FEATURES
from models.conditions import KINDS, LISTS, OPERATIONS, ROLES, Facts, RuleError, parse_condition
from models.rules import Effect, Rule, RuleSet, parse_rule

LEVELS = ("red", "yellow", "blue")
NONE = len(LEVELS)
NAMES = ("event.amount.value", "subscriber.control.since_last", "score", "raw_score")
UNITS = {
    "event.amount.value": "CNY",
    "subscriber.control.since_last": "s",
    "score": "probability",
    "raw_score": "log-odds",
}
ALWAYS = {"kind": list(KINDS)}
END = "2026-06-01T00:00:00+08:00"


def compared(name: str, op: str, than: float) -> dict[str, Any]:
    return {"feature": name, "op": op, "than": than, "unit": UNITS[name]}


def document(**changes: Any) -> dict[str, Any]:
    whole = {
        "name": "quick_money",
        "owner": "反诈中心研判组",
        "zh": "远程控制后大额转账",
        "en": "a large transfer under remote control",
        "when": ALWAYS,
        "effect": "raise",
        "level": "red",
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


def hold(name: str = "known_payee", **changes: Any) -> dict[str, Any]:
    return document(name=name, effect="hold", level=..., expires_at=END, **changes)


def read(text: Mapping[str, Any]) -> Rule:
    return parse_rule(text, FRAUD_FEATURES, levels=LEVELS)


def facts(rows: int = 1, **columns: Any) -> Facts:
    X = np.full((rows, len(FRAUD_FEATURES)), np.nan)
    for name, values in columns.items():
        if name.startswith("event_"):
            X[:, FRAUD_FEATURES.names.index(f"event.{name[6:]}.value")] = values
    return Facts(
        X,
        columns.get("kind", ["transfer"] * rows),
        np.asarray(columns.get("raw", np.zeros(rows))),
        np.asarray(columns.get("score", np.zeros(rows))),
        columns.get("listed", {}),
    )


LEAVES = st.one_of(
    st.builds(
        compared,
        st.sampled_from(NAMES),
        st.sampled_from(tuple(OPERATIONS)),
        st.integers(-2, 2).map(float),
    ),
    st.sampled_from(NAMES).map(lambda name: {"known": name}),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=2).map(lambda kinds: {"kind": kinds}),
    st.builds(
        lambda name, role: {"list": name, "holds": role},
        st.sampled_from(tuple(LISTS)),
        st.sampled_from(tuple(ROLES)),
    ),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"all": of}),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"any": of}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=6,
).filter(lambda text: depth(text) <= 5)


def depth(text: Mapping[str, Any]) -> int:
    inner = [*text.get("all", ()), *text.get("any", ()), *([text["not"]] if "not" in text else [])]
    return 1 + max(map(depth, inner), default=0)


@st.composite
def some_facts(draw: st.DrawFn) -> Facts:
    rows = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 1_000)))
    X = rng.integers(-2, 3, (rows, len(FRAUD_FEATURES))).astype(np.float64)
    X[rng.random(X.shape) < 0.3] = np.nan
    listed = {
        (name, role): rng.random(rows) < 0.5
        for name in LISTS
        for role in ROLES
        if rng.random() < 0.7
    }
    kind = [KINDS[place] for place in rng.integers(0, len(KINDS), rows)]
    return Facts(X, kind, rng.integers(-2, 3, rows) * 1.0, rng.integers(0, 2, rows) * 1.0, listed)


def alone(text: Mapping[str, Any], one: Facts) -> bool:  # noqa: PLR0911
    """An oracle: one event, plain Python, no arrays."""
    if "all" in text:
        return all(alone(each, one) for each in text["all"])
    if "any" in text:
        return any(alone(each, one) for each in text["any"])
    if "not" in text:
        return not alone(text["not"], one)
    if "kind" in text:
        return one.kind[0] in text["kind"]
    if "list" in text:
        return bool(one.listed.get((text["list"], text["holds"]), [False])[0])
    name = text.get("feature", text.get("known"))
    value = {"score": one.score, "raw_score": one.raw}.get(name)
    value = one.X[:, FRAUD_FEATURES.names.index(name)] if value is None else value
    if np.isnan(value[0]):
        return False
    if "known" in text:
        return True
    return bool(OPERATIONS[text["op"]](float(value[0]), text["than"]))


@given(CONDITIONS, some_facts())
def test_many_events_together_get_what_each_gets_alone(text: dict[str, Any], many: Facts) -> None:
    condition = parse_condition(text, FRAUD_FEATURES)
    together = condition.holds(many)
    apart = [many.take([row]) for row in range(len(many))]
    assert together.tolist() == [bool(condition.holds(one)[0]) for one in apart]
    assert together.tolist() == [alone(text, one) for one in apart]
    zh, en = condition.words()
    assert zh
    assert en
    assert "{" not in zh + en


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_comparison_with_an_unknown_value_is_false(op: str) -> None:
    text = compared("event.amount.value", op, 1.0)
    unknown = facts(event_amount=np.nan)
    assert not parse_condition(text, FRAUD_FEATURES).holds(unknown)[0]
    assert parse_condition({"not": text}, FRAUD_FEATURES).holds(unknown)[0]
    assert not parse_condition({"known": "event.amount.value"}, FRAUD_FEATURES).holds(unknown)[0]


def test_a_condition_is_told_in_words() -> None:
    text = {"all": [{"kind": ["transfer"]}, {"list": "deny", "holds": "counterpart"}]}
    zh, en = parse_condition(text, FRAUD_FEATURES).words()
    assert en == "(the event is a transfer and the counterpart is on the deny list)"
    assert zh == "（事件为转账，且对方在黑名单中）"


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ([], "when: expected an object with feature, known, kind"),
        ({"sql": "1=1"}, "found sql; use one of these forms"),
        ({"feature": "event.amount.value"}, "exactly feature, op, than, unit, found feature"),
        (compared("score", "~", 1), "when.op: expected one of >=, >, <=, <, ==, !=, found"),
        (compared("score", ">", float("nan")), "when.than: expected a number"),
        (compared("score", ">", True), "when.than: expected a number, found true"),  # type: ignore[arg-type]
        (compared("event.amount.value", ">", 1) | {"unit": "fen"}, "expected CNY, the unit of"),
        ({"known": "event.amout.value"}, "did you mean event.amount.value?"),
        ({"known": "13800138000"}, "found another name; `forewarn rules features` lists them"),
        ({"kind": ["report"]}, "when.kind: expected one of call, sms, app, transfer, lead"),
        ({"list": "grey", "holds": "account"}, "when.list: expected one of allow, deny"),
        ({"all": []}, "when.all: expected a list of conditions"),
        ({"any": [ALWAYS, {"not": {"kind": "call"}}]}, r"when.any\[1\].not.kind: expected a list"),
        ({"any": [ALWAYS] * 64}, "at most 64 conditions"),
        ({"not": {"not": {"not": {"not": {"not": ALWAYS}}}}}, "at most 5 conditions deep"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_way_out(when: Any, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        read(document(when=when))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os", "rule: expected a JSON object"),
        (document(zh=...), "without zh"),
        (document(script="rm"), "another field"),
        (document(name="Quick money"), "name: expected 3 to 48"),
        (document(owner="13800138000"), "owner: expected the unit"),
        (document(en="call 138 0013 8000"), "nobody's number in it"),
        (document(zh=" "), "zh: expected a sentence"),
        (document(effect="freeze"), "effect: expected one of raise, hold"),
        (document(level="purple"), "level: expected one of red, yellow, blue, found 'purple'"),
        (document(level=...), "level: expected one of red, yellow, blue, found nothing"),
        (document(hold_most_urgent=True), "nothing in a raising rule"),
        (hold() | {"level": "red"}, "nothing in a holding rule"),
        (hold() | {"expires_at": None}, "expires_at: expected an end"),
        (hold() | {"expires_at": "2026-06-01"}, "with its offset, found one without"),
        (hold() | {"expires_at": 5}, "expires_at: expected a time"),
        (hold(hold_most_urgent="yes"), "true or false"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_way_out(text: Any, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        read(text)


def test_no_error_repeats_a_number() -> None:
    for when in ({"known": "13800138000"}, {"13800138000": 1}, {"kind": ["13800138000"]}):
        with pytest.raises(RuleError) as told:
            read(document(when=when))
        assert "1380" not in str(told.value)


@pytest.mark.parametrize(
    ("rules", "rank", "final", "made"),
    [
        ([document(level="yellow")], NONE, 1, [True]),
        ([document(level="yellow")], 0, 0, [False]),  # only ever raises
        ([document(level="yellow")], 1, 1, [False]),
        ([hold()], 1, NONE, [True]),
        ([hold()], NONE, NONE, [False]),
        ([hold()], 0, 0, [False]),  # the most urgent level stays
        ([hold(hold_most_urgent=True)], 0, NONE, [True]),
        ([hold(), document(level="blue")], 1, 1, [False, False]),  # raising wins
        ([hold(), document(level="red")], 1, 0, [False, True]),
        ([document(level="red"), document(name="second", level="blue")], 2, 0, [True, False]),
        ([document(when={"not": ALWAYS})], 2, 2, []),
    ],
)
def test_raising_wins_and_the_most_urgent_is_not_held(
    rules: list[dict[str, Any]], rank: int, final: int, made: list[bool]
) -> None:
    (ruling,) = RuleSet(tuple(map(read, rules))).rulings(facts(), [rank], LEVELS)
    assert ruling.rank == final
    assert [one for _, one in ruling.matched] == made


def test_a_level_of_another_bundle_is_the_most_urgent() -> None:
    (ruling,) = RuleSet((read(document(level="yellow")),)).rulings(facts(), [2], ["紧急", "高"])
    assert ruling.rank == 0


def test_an_expired_rule_does_nothing() -> None:
    rule = read(hold())
    assert rule.effect == Effect.HOLD
    assert rule.expires_at == datetime(2026, 5, 31, 16, tzinfo=UTC)
    rules = RuleSet((rule,))
    assert rules.at(rule.expires_at) == RuleSet(())
    assert rules.at(rule.expires_at - timedelta(seconds=1)) == rules
    assert RuleSet(()).rulings(facts(), [1], LEVELS)[0].rank == 1


def test_a_set_of_rules_says_which_lists_it_looks_at() -> None:
    listed = {"list": "deny", "holds": "counterpart"}
    rules = RuleSet((read(document(when={"all": [ALWAYS, {"not": listed}]})),))
    assert rules.asks == {("deny", "counterpart")}
    assert rules.keys == ("quick_money@0",)
