"""The rules that apply to a batch of events, with what the lists say of who is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.conditions import Bools
from models.rules import RuleSet

__all__ = ["Standing", "recorded_listed"]

Pair = tuple[str, str]  # list and role


@dataclass(frozen=True, eq=False)
class Standing:
    """What stands when a batch is decided.

    Parameters
    ----------
    rules : RuleSet
        Live and not expired.
    listed : mapping of (list, role) to bool array (n,)
        For every pair that a rule asks about.
    entries : tuple of tuple of str
        Ids of the list entries found, an event each.
    broken : tuple of str
        Live rules that cannot be read any more, e.g. since a feature is gone.
    """

    rules: RuleSet
    listed: Mapping[Pair, Bools]
    entries: tuple[tuple[str, ...], ...]
    broken: tuple[str, ...] = ()

    def row(self, place: int) -> dict[str, Any]:
        """What must be known to judge event `place` again, as JSON."""
        pairs = sorted(pair for pair, mask in self.listed.items() if mask[place])
        return {"applied": list(self.rules.keys), "listed": [list(pair) for pair in pairs]}


def recorded_listed(row: Mapping[str, Any]) -> dict[Pair, NDArray[np.bool_]]:
    """Who was listed, from `Standing.row`, as conditions are asked about one event.

    Examples
    --------
    >>> recorded_listed({"applied": [], "listed": [["deny", "counterpart"]]})
    {('deny', 'counterpart'): array([ True])}
    """
    pairs: Sequence[Sequence[str]] = row["listed"]
    return {(name, role): np.ones(1, np.bool_) for name, role in pairs}
