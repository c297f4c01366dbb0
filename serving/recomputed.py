"""A recorded decision made again from what was recorded: vector, rules, who was listed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.conditions import Facts
from models.rules import RuleSet
from serving import contracts
from serving.decisions import vector_of
from serving.judge import Judge
from serving.rules.standing import recorded_listed

__all__ = ["recomputed"]


def recomputed(
    row: Mapping[str, Any], judge: Judge | None, rules: RuleSet | None
) -> contracts.Recomputed:
    """What the model and the rules of then make of the recorded vector, now.

    Parameters
    ----------
    row : mapping
        Of `serving.decisions.DECISIONS`.
    judge : Judge or None
        Of the row's bundle; None where it is gone.
    rules : RuleSet or None
        Those that applied, in the versions of then; None where one cannot be read any more.
    """
    if judge is None or rules is None:
        gone = f"bundle {row['model_version']}" if judge is None else "a rule that applied"
        return contracts.Recomputed(possible=False, why_not=f"{gone} is not here")
    X = vector_of(row["vector"])[np.newaxis]
    ((raw, score),) = judge.scores(X)
    listed = recorded_listed(row["rules"]) if row["rules"] else {}
    facts = Facts(X, [row["kind"]], np.array([raw]), np.array([score]), listed)
    (ruling,) = judge.rulings(rules, facts, [(raw, score)])
    level = judge.level_at(ruling.rank)
    found = [
        {"name": rule.name, "version": rule.version, "made": made} for rule, made in ruling.matched
    ]
    told = [
        {name: one[name] for name in ("name", "version", "made")}
        for one in row["answer"].get("rules", ())
    ]
    same = (raw, score, level and level.name, found)
    return contracts.Recomputed(
        possible=True,
        raw_score=raw,
        score=score,
        equal=same == (row["raw_score"], row["score"], row["level"], told),
        level=level and level.name,
        rules=tuple(rule.key for rule, _ in ruling.matched),
    )
