"""Conditions of rules: comparisons over a vector, its scores, kind and lists, as data, never code.

A condition is a JSON object of one of these forms, and is read once into frozen dataclasses:

- ``{"feature": NAME, "op": ">=", "than": 50000, "unit": "CNY"}``; a name is a feature's, or
  ``score`` (unit ``probability``) or ``raw_score`` (unit ``log-odds``);
- ``{"known": NAME}``: the feature has a value;
- ``{"kind": ["call", "sms"]}``: the event is one of these;
- ``{"list": "deny", "holds": "counterpart"}``: a list has who is there in the event;
- ``{"all": [...]}``, ``{"any": [...]}``, ``{"not": ...}`` of other conditions.

A comparison with an unknown value (NaN) is false, whatever the operator; so ``not`` of it is true.
Where that matters, ``known`` asks. Evaluation is by column: of many events together each gets what
it would get alone.
"""

import difflib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.events import EVENT_TYPES
from data.problems import SAYABLE, Problem, found_in
from features.spec import FeatureSet
from models.phrases import pattern

__all__ = [
    "LISTS",
    "MAX_DEPTH",
    "MAX_PARTS",
    "ROLES",
    "AllOf",
    "AnyOf",
    "Compare",
    "Condition",
    "Facts",
    "KindIn",
    "Known",
    "Listed",
    "Not",
    "RuleError",
    "parse_condition",
]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Words = tuple[str, str]

MAX_DEPTH = 5  # of conditions within each other: nobody reads a deeper one
MAX_PARTS = 64
OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
SIGNS = {">=": "≥", "<=": "≤", "==": "=", "!=": "≠"}
UNITS: Mapping[str, Words] = {"CNY": ("{}元", "CNY {}"), "s": ("{}秒", "{} s"), "%": ("{}%", "{}%")}
SCORES: Mapping[str, tuple[str, str, str]] = {
    "score": ("probability", "模型评分为{value}", "the model's score is {value}"),
    "raw_score": ("log-odds", "模型原始分为{value}", "the model's raw score is {value}"),
}
LISTS: Mapping[str, Words] = {"allow": ("白名单", "allow list"), "deny": ("黑名单", "deny list")}
ROLES: Mapping[str, Words] = {
    "subscriber": ("本人号码", "the subscriber"),
    "counterpart": ("对方", "the counterpart"),
    "account": ("付款账户", "the paying account"),
}
"""Who in an event can stand on a list."""
KINDS = tuple(kind for kind, contract in EVENT_TYPES.items() if contract.scored)
_KIND_WORDS: Mapping[str, Words] = {
    "call": ("通话", "a call"),
    "sms": ("短信", "a message"),
    "app": ("应用行为", "app activity"),
    "transfer": ("转账", "a transfer"),
    "lead": ("外部线索", "a lead"),
}


class RuleError(ValueError):
    """A rule that cannot be read; `problem` says where, what was expected, found, and the fix."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, eq=False)
class Facts:
    """What conditions are asked about, one entry an event in every array.

    Parameters
    ----------
    X : float64 array (n, p)
        Vectors in the order of the features the conditions were read with; NaN means unknown.
    kind : sequence of str (n,)
    raw, score : float64 array (n,)
        Log-odds and calibrated score.
    listed : mapping of (list, role) to bool array (n,)
        Whether the list has who has that role in the event; absent: it has nobody.
    """

    X: Floats
    kind: Sequence[str]
    raw: Floats
    score: Floats
    listed: Mapping[tuple[str, str], Bools] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: Sequence[int]) -> "Facts":
        """Some events, in the order given."""
        at = np.asarray(rows, np.int64)
        return Facts(
            self.X[at],
            [self.kind[row] for row in at],
            self.raw[at],
            self.score[at],
            {key: mask[at] for key, mask in self.listed.items()},
        )


class Condition(Protocol):
    """What is true or false of an event."""

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true, shape (n,)."""

    def parts(self) -> Iterator["Condition"]:
        """Itself and everything within it."""

    def words(self) -> Words:
        """How officers are told, in Chinese and English."""


@dataclass(frozen=True)
class _Leaf:
    def parts(self) -> Iterator[Any]:
        """Itself."""
        yield self


@dataclass(frozen=True)
class Compare(_Leaf):
    """A value against a number; false where the value is unknown."""

    name: str
    op: str
    than: float
    unit: str
    place: int  # of its column, -1 for a score
    sentence: Words

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        values = _values(facts, self.name, self.place)
        # `!=` alone is true of NaN
        found: Bools = OPERATIONS[self.op](values, self.than) & ~np.isnan(values)
        return found

    def words(self) -> Words:
        """For example "amount is ≥ CNY 50,000": exact, not rounded as a reason is."""
        number = f"{self.than:,.12g}"
        values = [text.replace("{}", number) for text in UNITS.get(self.unit, ("{}", "{}"))]
        if self.unit == "yes/no" and self.than in {0, 1}:
            values = ["是", "yes"] if self.than else ["否", "no"]
        zh, en = (
            text.replace("{value}", f"{SIGNS.get(self.op, self.op)}{gap}{value}")
            for text, value, gap in zip(self.sentence, values, ("", " "), strict=True)
        )
        return zh, en


@dataclass(frozen=True)
class Known(_Leaf):
    """A feature has a value."""

    name: str
    place: int
    sentence: Words

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        found: Bools = ~np.isnan(_values(facts, self.name, self.place))
        return found

    def words(self) -> Words:
        """For example "amount is known"."""
        zh, en = self.sentence
        return zh.replace("{value}", "已知值"), en.replace("{value}", "known")


@dataclass(frozen=True)
class KindIn(_Leaf):
    """The event is of one of some kinds."""

    kinds: tuple[str, ...]

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        return np.fromiter((kind in self.kinds for kind in facts.kind), np.bool_, len(facts))

    def words(self) -> Words:
        """For example "the event is a call or a message"."""
        zh, en = zip(*(_KIND_WORDS[kind] for kind in self.kinds), strict=True)
        return f"事件为{'或'.join(zh)}", f"the event is {' or '.join(en)}"


@dataclass(frozen=True)
class Listed(_Leaf):
    """A list has who has a role in the event."""

    list: str
    role: str

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        found = facts.listed.get((self.list, self.role))
        return np.zeros(len(facts), np.bool_) if found is None else found

    def words(self) -> Words:
        """For example "the counterpart is on the deny list"."""
        (zh, en), (who_zh, who_en) = LISTS[self.list], ROLES[self.role]
        return f"{who_zh}在{zh}中", f"{who_en} is on the {en}"


@dataclass(frozen=True)
class _Several:
    of: tuple[Condition, ...]

    def parts(self) -> Iterator[Any]:
        """Itself and everything within it."""
        yield self
        for each in self.of:
            yield from each.parts()

    def _joined(self, zh: str, en: str) -> Words:
        told = [each.words() for each in self.of]
        return f"（{zh.join(one for one, _ in told)}）", f"({en.join(one for _, one in told)})"


@dataclass(frozen=True)
class AllOf(_Several):
    """Every one of some conditions."""

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        found: Bools = np.logical_and.reduce([each.holds(facts) for each in self.of])
        return found

    def words(self) -> Words:
        """Joined by "and"."""
        return self._joined("，且", " and ")


@dataclass(frozen=True)
class AnyOf(_Several):
    """At least one of some conditions."""

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        found: Bools = np.logical_or.reduce([each.holds(facts) for each in self.of])
        return found

    def words(self) -> Words:
        """Joined by "or"."""
        return self._joined("，或", " or ")


@dataclass(frozen=True)
class Not(_Several):
    """The one condition does not hold, be it false or about something unknown."""

    def holds(self, facts: Facts) -> Bools:
        """Of which events it is true."""
        found: Bools = ~self.of[0].holds(facts)
        return found

    def words(self) -> Words:
        """With "not" before it."""
        zh, en = self.of[0].words()
        return f"并非{zh}", f"not {en}"


def parse_condition(
    document: Any, features: FeatureSet, *, where: str = "when", depth: int = 1
) -> Condition:
    """Read a condition.

    Parameters
    ----------
    document : Any
        JSON as `json.loads` gives it.
    features : FeatureSet
        What it may name; vectors must be in its order.
    where : str
        Where it stands, for errors.
    depth : int
        How many conditions it stands within, itself included.

    Raises
    ------
    RuleError
        If it is none.

    Examples
    --------
    >>> from features import FRAUD_FEATURES
    >>> text = {"feature": "event.amount.value", "op": ">=", "than": 50000, "unit": "CNY"}
    >>> parse_condition(text, FRAUD_FEATURES).words()[1]
    'this event: amount is ≥ CNY 50,000'
    >>> parse_condition(text | {"feature": "event.amont.value"}, FRAUD_FEATURES)
    Traceback (most recent call last):
    ...
    models.conditions.RuleError: when.feature: expected one of 281 features, score, raw_score,
    found another name; did you mean event.amount.value?
    """
    if not isinstance(document, Mapping):
        raise _wrong(where, f"an object with {_FORMS}", found_in(document), "see the README")
    if depth > MAX_DEPTH:
        raise _wrong(where, f"at most {MAX_DEPTH} conditions deep", "more", "make two rules of it")
    reader = next((read for key, read in _READERS.items() if key in document), None)
    if reader is None:
        raise _wrong(where, f"an object with {_FORMS}", _keys(document), "use one of these forms")
    found = reader(document, _At(features, where, depth))
    if depth == 1 and sum(1 for _ in found.parts()) > MAX_PARTS:
        raise _wrong(where, f"at most {MAX_PARTS} conditions", "more", "make two rules of it")
    return found


@dataclass(frozen=True)
class _At:
    """Where a condition stands, and what it may name."""

    features: FeatureSet
    where: str
    depth: int

    def within(self, document: Any, step: str) -> Condition:
        """A condition inside this one."""
        return parse_condition(
            document, self.features, where=f"{self.where}.{step}", depth=self.depth + 1
        )

    def only(self, document: Mapping[str, Any], *keys: str) -> None:
        """Refuse missing and additional keys."""
        if set(document) != set(keys):
            fix = "add what is missing, leave the rest out"
            raise _wrong(self.where, f"exactly {', '.join(keys)}", _keys(document), fix)

    def choice(self, document: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
        """One of some words."""
        value = document[key]
        if not isinstance(value, str) or value not in known:
            raise _wrong(
                f"{self.where}.{key}", f"one of {', '.join(known)}", found_in(value), "correct it"
            )
        return value

    def named(self, document: Mapping[str, Any], key: str) -> tuple[str, int, str, Words]:
        """A feature or score: its name, place, unit and sentence."""
        name = document[key]
        if isinstance(name, str) and name in SCORES:
            unit, zh, en = SCORES[name]
            return name, -1, unit, (zh, en)
        if not isinstance(name, str) or name not in self.features.names:
            raise _unknown(f"{self.where}.{key}", name, self.features)
        spec = self.features.spec(name)
        zh, en = pattern(spec)
        return name, self.features.names.index(name), spec.unit, (zh, en)


def _compare(document: Mapping[str, Any], at: _At) -> Condition:
    at.only(document, "feature", "op", "than", "unit")
    name, place, unit, sentence = at.named(document, "feature")
    op, than = at.choice(document, "op", tuple(OPERATIONS)), document["than"]
    if isinstance(than, bool) or not isinstance(than, int | float) or not np.isfinite(than):
        raise _wrong(f"{at.where}.than", "a number", found_in(than), "give a finite number")
    if document["unit"] != unit:
        # an amount in fen against one in yuan is a rule that never or always matches
        found = found_in(document["unit"])
        raise _wrong(f"{at.where}.unit", f"{unit}, the unit of {name}", found, f"give it in {unit}")
    return Compare(name, op, float(than), unit, place, sentence)


def _known(document: Mapping[str, Any], at: _At) -> Condition:
    at.only(document, "known")
    name, place, _, sentence = at.named(document, "known")
    return Known(name, place, sentence)


def _kind(document: Mapping[str, Any], at: _At) -> Condition:
    at.only(document, "kind")
    kinds = document["kind"]
    if not isinstance(kinds, list) or not kinds:
        raise _wrong(f"{at.where}.kind", "a list of kinds", found_in(kinds), 'such as ["call"]')
    return KindIn(tuple(at.choice({"kind": kind}, "kind", KINDS) for kind in kinds))


def _listed(document: Mapping[str, Any], at: _At) -> Condition:
    at.only(document, "list", "holds")
    return Listed(
        at.choice(document, "list", tuple(LISTS)), at.choice(document, "holds", tuple(ROLES))
    )


def _several(key: str, kind: type[AllOf | AnyOf]) -> "Reader":
    def read(document: Mapping[str, Any], at: _At) -> Condition:
        at.only(document, key)
        of = document[key]
        if not isinstance(of, list) or not of:
            raise _wrong(f"{at.where}.{key}", "a list of conditions", found_in(of), "name some")
        return kind(tuple(at.within(each, f"{key}[{place}]") for place, each in enumerate(of)))

    return read


def _not(document: Mapping[str, Any], at: _At) -> Condition:
    at.only(document, "not")
    return Not((at.within(document["not"], "not"),))


Reader = Callable[[Mapping[str, Any], _At], Condition]
_READERS: Mapping[str, Reader] = {
    "feature": _compare,
    "known": _known,
    "kind": _kind,
    "list": _listed,
    "all": _several("all", AllOf),
    "any": _several("any", AnyOf),
    "not": _not,
}
_FORMS = ", ".join(_READERS)


def _values(facts: Facts, name: str, place: int) -> Floats:
    if place >= 0:
        return facts.X[:, place]
    return facts.score if name == "score" else facts.raw


def _wrong(field: str, expected: str, found: str, fix: str) -> RuleError:
    return RuleError(Problem(field, expected, found, fix))


def _unknown(where: str, name: Any, features: FeatureSet) -> RuleError:
    known = (*features.names, *SCORES)
    near = difflib.get_close_matches(str(name)[:100], known, n=1, cutoff=0.4)
    fix = f"did you mean {near[0]}?" if near else "`forewarn rules features` lists them"
    expected = f"one of {len(features)} features, {', '.join(SCORES)}"
    # a name that is none of ours could be anything, somebody's number too
    return _wrong(where, expected, "another name", fix)


def _keys(document: Mapping[str, Any]) -> str:
    said = sorted(key if SAYABLE.fullmatch(str(key)) else "(unknown field)" for key in document)
    return ", ".join(said[:10]) or "an empty object"
