"""Rules beside the model: named, versioned, owned; each raises an event to a level, or holds it.

A rule is data (JSON), never code. It may do one of two things:

- *raise* an event to at least a level, with its sentence for officers;
- *hold* an alert of the model back to no level, until a day it must name.

Where both match, raising wins: a warning too many costs minutes, one too few somebody's savings.
For the same reason a holding rule leaves the most urgent level alone, unless it says
``hold_most_urgent``, which its tester and the second person who signs it read in so many words;
and it never holds back what another rule raised, nor another platform's lead.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.problems import Problem, found_in
from features.spec import FeatureSet
from models.conditions import Bools, Condition, Facts, Listed, RuleError, parse_condition

__all__ = ["MAX_HOLD", "Effect", "Rule", "RuleError", "RuleSet", "Ruling", "parse_rule"]

MAX_HOLD = timedelta(days=90)  # a season: a longer exception is a change of the model's policy
_NAME = re.compile(r"[a-z][a-z0-9_]{2,47}")
_OWNER = re.compile(r"[^\s\d][^\n\r\t]{0,63}")
_DIGITS = re.compile(r"\d(?:[\d -]{5,}\d)")  # as in logs: what may be somebody's number
_SENTENCE = 200
_KEYS = ("name", "owner", "zh", "en", "when", "effect")
_MORE = ("level", "expires_at", "hold_most_urgent")


class Effect(StrEnum):
    """What a rule does."""

    RAISE = "raise"
    HOLD = "hold"


@dataclass(frozen=True)
class Rule:
    """A condition and what follows from it.

    Parameters
    ----------
    name : str
    version : int
        0 until it is kept.
    owner : str
        The unit that answers for it.
    zh, en : str
        What officers are told when it matches.
    when : Condition
    effect : Effect
    level : str or None
        To which it raises, by name.
    expires_at : datetime or None
        From then on it does nothing; a holding rule has one.
    hold_most_urgent : bool
        Whether it may hold back the most urgent level too.
    """

    name: str
    version: int
    owner: str
    zh: str
    en: str
    when: Condition
    effect: Effect
    level: str | None = None
    expires_at: datetime | None = None
    hold_most_urgent: bool = False

    @property
    def key(self) -> str:
        """Name and version, e.g. ``quick_money@3``."""
        return f"{self.name}@{self.version}"

    def standing(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at

    @property
    def asks(self) -> frozenset[tuple[str, str]]:
        """Which lists it looks at, and for whom: pairs of list and role."""
        found = (part for part in self.when.parts() if isinstance(part, Listed))
        return frozenset((part.list, part.role) for part in found)


@dataclass(frozen=True)
class Ruling:
    """What rules made of one event.

    Parameters
    ----------
    rank : int
        Of its level, 0 the most urgent; the number of levels for none.
    matched : tuple of (Rule, bool)
        Those that matched, in order of name, and whether each made the rank what it is.
    """

    rank: int
    matched: tuple[tuple[Rule, bool], ...] = ()


@dataclass(frozen=True)
class RuleSet:
    """The rules that apply together.

    Parameters
    ----------
    rules : tuple of Rule
        In order of name, each name once.

    Examples
    --------
    >>> from features import FRAUD_FEATURES
    >>> rule = parse_rule({"name": "night_calls", "owner": "研判组", "zh": "通话", "en": "a call",
    ...                    "when": {"kind": ["call"]}, "effect": "raise", "level": "red"},
    ...                   FRAUD_FEATURES)
    >>> facts = Facts(np.zeros((2, 281)), ["call", "sms"], np.zeros(2), np.zeros(2))
    >>> [ruling.rank for ruling in RuleSet((rule,)).rulings(facts, [3, 3], ["red", "blue", "low"])]
    [0, 3]
    """

    rules: tuple[Rule, ...]

    @property
    def asks(self) -> frozenset[tuple[str, str]]:
        """Which lists they look at, and for whom."""
        return frozenset().union(*(rule.asks for rule in self.rules))

    @property
    def keys(self) -> tuple[str, ...]:
        """Names and versions."""
        return tuple(rule.key for rule in self.rules)

    def at(self, now: datetime) -> "RuleSet":
        """Those that have not expired."""
        return RuleSet(tuple(rule for rule in self.rules if rule.standing(now)))

    def matches(self, facts: Facts) -> Bools:
        """Which rule holds of which event, shape (n, rules)."""
        if not self.rules:
            return np.zeros((len(facts), 0), np.bool_)
        return np.stack([rule.when.holds(facts) for rule in self.rules], axis=1)

    def rulings(
        self, facts: Facts, ranks: Sequence[int] | NDArray[np.int64], levels: Sequence[str]
    ) -> list[Ruling]:
        """What becomes of each event.

        Parameters
        ----------
        facts : Facts
        ranks : sequence of int (n,)
            Of the model's level, 0 the most urgent; the number of levels for none.
        levels : sequence of str
            Names, the most urgent first.
        """
        return [
            self._ruling(row, int(rank), levels)
            for row, rank in zip(self.matches(facts), ranks, strict=True)
        ]

    def _ruling(self, row: Bools, rank: int, levels: Sequence[str]) -> Ruling:
        matched = [rule for rule, holds in zip(self.rules, row, strict=True) if holds]
        if not matched:
            return Ruling(rank)
        raised = {rule.key: _rank(rule, levels) for rule in matched if rule.effect == Effect.RAISE}
        held = not raised and any(_may_hold(rule, rank, len(levels)) for rule in matched)
        final = len(levels) if held else min([rank, *raised.values()])

        def made(rule: Rule) -> bool:
            if rule.effect == Effect.HOLD:
                return held and _may_hold(rule, rank, len(levels))
            return raised[rule.key] == final < rank

        return Ruling(final, tuple((rule, made(rule)) for rule in matched))


def _may_hold(rule: Rule, rank: int, nothing: int) -> bool:
    allowed = rank > 0 or rule.hold_most_urgent
    return rule.effect == Effect.HOLD and allowed and rank < nothing


def _rank(rule: Rule, levels: Sequence[str]) -> int:
    # a name that another bundle's policy gave is the most urgent: better one visit too many
    return next((place for place, name in enumerate(levels) if name == rule.level), 0)


def parse_rule(
    document: Any, features: FeatureSet, *, version: int = 0, levels: Sequence[str] | None = None
) -> Rule:
    """Read a rule.

    Parameters
    ----------
    document : Any
        A JSON object with name, owner, zh, en, when, effect (raise or hold); level for raising,
        expires_at (with an offset) for holding, hold_most_urgent where it is meant.
    features : FeatureSet
    version : int
    levels : sequence of str, optional
        Levels there are, by name; any by default.

    Raises
    ------
    RuleError
        If it is none; the message says where, what was expected, found, and the fix.
    """
    if not isinstance(document, Mapping):
        raise _wrong("rule", "a JSON object", found_in(document), "start from the README's")
    missing = [key for key in _KEYS if key not in document]
    if missing or set(document) - {*_KEYS, *_MORE}:
        expected = f"{', '.join(_KEYS)} and, where needed, {', '.join(_MORE)}"
        found = f"without {', '.join(missing)}" if missing else "another field"
        raise _wrong("rule", expected, found, "add what is missing, leave the rest out")
    rule = Rule(
        name=_text(document, "name", _NAME, "3 to 48 of a-z, 0-9, _, the first a letter"),
        version=version,
        owner=_text(document, "owner", _OWNER, "the unit that answers for it, up to 64 letters"),
        zh=_sentence(document, "zh"),
        en=_sentence(document, "en"),
        when=parse_condition(document["when"], features),
        effect=_effect(document),
        level=document.get("level"),
        expires_at=_moment(document),
        hold_most_urgent=_flag(document),
    )
    _agrees(rule, levels)
    return rule


def _effect(document: Mapping[str, Any]) -> Effect:
    value = document["effect"]
    if value not in list(Effect):
        raise _wrong("effect", f"one of {', '.join(Effect)}", found_in(value), "correct it")
    return Effect(value)


def _agrees(rule: Rule, levels: Sequence[str] | None) -> None:
    """A raising rule has a level there is, a holding one an end."""
    if rule.effect == Effect.RAISE:
        known = rule.level if levels is None else next((n for n in levels if n == rule.level), None)
        if not isinstance(known, str):
            names = "a level's name" if levels is None else f"one of {', '.join(levels)}"
            raise _wrong("level", names, found_in(rule.level), "name the level it raises to")
        if rule.hold_most_urgent:
            raise _wrong("hold_most_urgent", "nothing in a raising rule", "true", "leave it out")
        return
    if rule.level is not None:
        raise _wrong("level", "nothing in a holding rule", found_in(rule.level), "leave it out")
    if rule.expires_at is None:
        fix = f"give a time with its offset, at most {MAX_HOLD.days} days ahead"
        raise _wrong("expires_at", "an end, since it holds warnings back", "nothing", fix)


def _text(document: Mapping[str, Any], key: str, shape: re.Pattern[str], expected: str) -> str:
    value = document[key]
    if not isinstance(value, str) or not shape.fullmatch(value) or _DIGITS.search(value):
        raise _wrong(key, expected, found_in(value), "correct it")
    return value


def _sentence(document: Mapping[str, Any], key: str) -> str:
    value = document[key]
    words = f"a sentence for officers, 1 to {_SENTENCE} letters, nobody's number in it"
    kept = isinstance(value, str) and 0 < len(value.strip()) <= _SENTENCE
    if not kept or not value.isprintable() or _DIGITS.search(value):
        raise _wrong(key, words, found_in(value), "write it anew")
    return str(value).strip()


def _moment(document: Mapping[str, Any]) -> datetime | None:
    value = document.get("expires_at")
    if value is None:
        return None
    fix = "such as 2026-06-01T00:00:00+08:00"
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong("expires_at", "a time with its offset", found_in(value), fix) from None
    if found.tzinfo is None:
        raise _wrong("expires_at", "a time with its offset", "one without", fix)
    return found.astimezone(UTC)


def _flag(document: Mapping[str, Any]) -> bool:
    value = document.get("hold_most_urgent", False)
    if not isinstance(value, bool):
        raise _wrong("hold_most_urgent", "true or false", found_in(value), "correct it")
    return value


def _wrong(field: str, expected: str, found: str, fix: str) -> RuleError:
    return RuleError(Problem(field, expected, found, fix))
