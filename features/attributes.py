"""Fixed codes and caps of what an event carries, shared by both engines."""

from typing import Any, Final

from data.events import EVENT_TYPES

__all__ = [
    "AMOUNT_CAP_FEN",
    "CODES",
    "EMPTY",
    "NO_HABIT",
    "SURPRISE_CAP",
    "UNUSUAL_PERCENT",
    "YUAN_CAP",
    "capped_amount",
    "whole_yuan",
]

EMPTY: Final = -1
"""Stands for null among raw integers, none of which is negative."""
AMOUNT_CAP_FEN: Final = 100_000_000
"""CNY 1,000,000: ninety million such transfers still add up exactly in a double (2**53)."""
YUAN_CAP: Final = 100_000
"""Spread is kept over whole yuan up to CNY 100,000: nine hundred thousand such squares at one key
within a window still add up exactly in a double."""
NO_HABIT: Final = 100
"""Percent of the own mean where there is no mean yet."""
SURPRISE_CAP: Final = 10_000
UNUSUAL_PERCENT: Final = 300
CODES: Final[dict[str, tuple[str, ...]]] = {
    "direction": ("outgoing", "incoming"),
    "action": ("visit", "install", "screen_share", "remote_control"),
    "channel": ("mobile", "web", "counter", "atm", "card", "wallet"),
    "grade": ("low", "medium", "high", "urgent"),
}
"""Integer codes of text columns, in a meaningful order where there is one."""


def defaults(column: str) -> dict[str, Any]:
    """What a contract takes a missing value of a column for, by kind of event.

    Examples
    --------
    >>> defaults("roaming"), defaults("counterpart_age_days")
    ({'call': False}, {})
    """
    fields = {kind: model.model_fields.get(column) for kind, model in EVENT_TYPES.items()}
    return {
        kind: field.default
        for kind, field in fields.items()
        if field is not None and not field.is_required() and field.default is not None
    }


def capped_amount(amount_fen: Any) -> Any:
    """Amount in fen, winsorised; an integer or an array of them."""
    return _at_most(amount_fen, AMOUNT_CAP_FEN)


def whole_yuan(amount_fen: Any) -> Any:
    """Amount rounded to whole yuan, winsorised; an integer or an array of them."""
    return _at_most((amount_fen + 50) // 100, YUAN_CAP)


def _at_most(value: Any, cap: int) -> Any:
    return value - (value - cap) * (value > cap)
