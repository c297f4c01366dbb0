"""Rules as anti-fraud centres run them, asked like models: what any trained model must beat.

Each rule names the features it reads by their definitions and is bound to a feature set, which
says where they are. Its score is a rank between 0 and 1, no probability.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.spec import FeatureSet, FeatureSpec
from features.streams import KINDS
from models.phrases import Both
from models.trees import Floats, ModelError

__all__ = ["RULES", "Rule", "RuleModel", "rule_models"]

Bools = NDArray[np.bool_]
Columns = Mapping[str, Floats]
Verdict = Callable[[Columns], Floats]

LONG_CALL_S = 600.0  # as the stream call_long; the middle stage knows calls of about 20 minutes
LARGE_CNY = 20_000.0  # our choice, as are the points of the score card: no centre publishes its own
HUGE_CNY = 500_000.0


def _field(name: str) -> FeatureSpec:
    return FeatureSpec("event", "value", name)


def _count(key: str, stream: str, window: str) -> FeatureSpec:
    return FeatureSpec(key, "count", stream, window)


READS: Final[Mapping[str, FeatureSpec]] = {
    "kind": _field("kind"),
    "amount": _field("amount"),
    "duration": _field("duration"),
    "is_new": _field("is_new"),
    "incoming": _field("incoming"),
    "foreign": _field("foreign"),
    "listed": _field("listed"),
    "limit_raised": _field("limit_raised"),
    "new_device": _field("new_device"),
    "reports": _count("counterpart", "report", "30d"),
    "linked_reports": FeatureSpec("link", "value", "reports"),
    "long_calls": _count("subscriber", "call_long_new", "24h"),
    "foreign_calls": _count("subscriber", "call_foreign", "24h"),
    "installs": _count("subscriber", "install", "24h"),
    "controls": _count("subscriber", "control", "24h"),
    "hits": _count("subscriber", "listed", "24h"),
    "codes": _count("subscriber", "sms_code", "24h"),
    "leads": _count("subscriber", "lead", "7d"),
    "new_payees": _count("subscriber", "transfer_new", "24h"),
    "paid": FeatureSpec("subscriber", "sum", "transfer", "24h", "amount"),
    "paid_30d": FeatureSpec("subscriber", "sum", "transfer", "30d", "amount"),
}
"""What rules read, under a short name each."""


@dataclass(frozen=True)
class Rule:
    """A rule before it knows where its features are.

    Parameters
    ----------
    name : str
    says : Both
        The rule in words.
    reads : tuple of str
        Names out of `READS`.
    verdict : callable
        Columns by short name to a rank from 0 to 1, shape (n,).
    """

    name: str
    says: Both
    reads: tuple[str, ...]
    verdict: Verdict

    def bind(self, features: FeatureSet) -> "RuleModel":
        """The rule as a model over vectors of `features`.

        Raises
        ------
        ModelError
            If the set lacks a feature the rule reads.
        """
        missing = [
            READS[name].name for name in self.reads if READS[name].name not in features.names
        ]
        if missing:
            raise ModelError(
                f"expected features {missing} for the rule {self.name!r}, found none of that name; "
                "use a set that has them"
            )
        columns = {name: features.names.index(READS[name].name) for name in self.reads}
        return RuleModel(self, columns, len(features))


@dataclass(frozen=True)
class RuleModel:
    """A rule that knows its columns."""

    rule: Rule
    columns: Mapping[str, int]
    width: int

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    def score(self, X: Floats) -> Floats:
        """Rank of each row, from 0 (the rule is silent) to 1; unknown features count as absent."""
        if X.ndim != 2 or X.shape[1] != self.width:
            raise ModelError(f"expected X with {self.width} columns, found shape {X.shape}")
        found = self.rule.verdict({name: X[:, at] for name, at in self.columns.items()})
        return np.where(np.isnan(found), 0.0, found)


def rule_models(features: FeatureSet) -> tuple[RuleModel, ...]:
    """Every rule whose features the set has.

    Examples
    --------
    >>> from features.fraud import TRANSFER_FEATURES
    >>> [model.name for model in rule_models(TRANSFER_FEATURES)]
    ['amount_velocity']
    """
    known = set(features.names)
    able = [rule for rule in RULES if all(READS[name].name in known for name in rule.reads)]
    return tuple(rule.bind(features) for rule in able)


def _kind(columns: Columns, kind: str) -> Bools:
    found: Bools = columns["kind"] == KINDS.index(kind)
    return found


def _rising(value: Floats, full: float) -> Floats:
    """0 at 0, 1 from `full` on, along the logarithm; unknown is 0."""
    known = np.clip(np.nan_to_num(value), 0.0, full)
    return np.asarray(np.log1p(known) / np.log1p(full), dtype=np.float64)


def _some(value: Floats) -> Floats:
    return (np.nan_to_num(value) > 0).astype(np.float64)


def _to_new_payee(columns: Columns) -> Bools:
    found: Bools = _kind(columns, "transfer") & (columns["is_new"] == 1)
    return found


def _call_then_payee(columns: Columns) -> Floats:
    """Full marks for the transfer; the call itself is only a hint."""
    called = _to_new_payee(columns) & (columns["long_calls"] >= 1)
    stranger = _kind(columns, "call") & (columns["is_new"] == 1) & (columns["incoming"] == 1)
    hint = stranger & (columns["duration"] >= LONG_CALL_S)
    more = 0.4 * _rising(columns["amount"], HUGE_CNY)
    return np.where(called, 0.6 + more, np.where(hint, 0.3, 0.0))


def _suspect_list(columns: Columns) -> Floats:
    hits = np.nan_to_num(columns["reports"]) + 0.5 * np.nan_to_num(columns["linked_reports"])
    listed = np.where(columns["listed"] == 1, 1.0, 0.0)
    return np.maximum(0.9 * _rising(hits, 50.0), listed)


def _foreign_then_install(columns: Columns) -> Floats:
    installs = np.nan_to_num(columns["installs"]) + np.nan_to_num(columns["controls"])
    foreign = (np.nan_to_num(columns["foreign_calls"]) > 0) | (columns["foreign"] == 1)
    both = foreign & (installs > 0)
    return np.where(both, 0.6 + 0.4 * _kind(columns, "transfer"), 0.0)


def _large_new_payee(columns: Columns) -> Floats:
    large = _to_new_payee(columns) & (columns["amount"] >= LARGE_CNY)
    return np.where(large, _rising(columns["amount"], HUGE_CNY), 0.0)


def _amount_velocity(columns: Columns) -> Floats:
    """Today's payments, this one included, against an ordinary day of the last 30."""
    today = np.nan_to_num(columns["paid"]) + np.nan_to_num(columns["amount"])
    ordinary = np.nan_to_num(columns["paid_30d"]) / 30.0
    ratio = today / np.maximum(ordinary, 100.0)
    paying = ~np.isnan(columns["amount"])
    return np.where(paying & (ratio > 3.0), _rising(ratio, 5_000.0), 0.0)


WEIGHTS: Final[Mapping[str, float]] = {
    "reports": 30.0,
    "listed": 25.0,
    "linked_reports": 20.0,
    "leads": 20.0,
    "controls": 15.0,
    "hits": 15.0,
    "long_calls": 15.0,
    "installs": 10.0,
    "foreign_calls": 10.0,
    "limit_raised": 10.0,
    "codes": 5.0,
    "new_device": 5.0,
    "new_payees": 5.0,
}
"""Points a centre's score card gives for each sign that is present."""
NEW_PAYEE_POINTS: Final = 15.0


def _scorecard(columns: Columns) -> Floats:
    points = sum(weight * _some(columns[name]) for name, weight in WEIGHTS.items())
    payee = _to_new_payee(columns) * (1.0 + _rising(columns["amount"], HUGE_CNY))
    most = sum(WEIGHTS.values()) + 2.0 * NEW_PAYEE_POINTS
    return np.asarray((points + NEW_PAYEE_POINTS * payee) / most, dtype=np.float64)


RULES: Final[Sequence[Rule]] = (
    Rule(
        "call_then_payee",
        Both(
            "24小时内与陌生号码长时间通话后向新收款人转账",
            "a long call with a stranger, then a transfer to a new payee within 24 h",
        ),
        ("kind", "is_new", "incoming", "duration", "amount", "long_calls"),
        _call_then_payee,
    ),
    Rule(
        "suspect_list",
        Both("对方已被举报或在涉诈名单", "the counterpart was reported or is on a fraud list"),
        ("reports", "linked_reports", "listed"),
        _suspect_list,
    ),
    Rule(
        "foreign_then_install",
        Both(
            "24小时内有境外来电并安装应用或远程控制",
            "a foreign call and an install or remote control within 24 h",
        ),
        ("kind", "foreign", "foreign_calls", "installs", "controls"),
        _foreign_then_install,
    ),
    Rule(
        "large_new_payee",
        Both("向新收款人大额转账", "a large transfer to a new payee"),
        ("kind", "is_new", "amount"),
        _large_new_payee,
    ),
    Rule(
        "amount_velocity",
        Both("当日付款远超本人日常", "the day's payments far above the citizen's ordinary day"),
        ("amount", "paid", "paid_30d"),
        _amount_velocity,
    ),
    Rule(
        "scorecard",
        Both("加权评分卡", "a weighted score card"),
        ("kind", "is_new", "amount", *WEIGHTS),
        _scorecard,
    ),
)
"""All rules, the simplest first and the score card, which has them all, last."""
