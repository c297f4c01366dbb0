"""The declared features of the fraud models.

`FRAUD_FEATURES` is all of them; `TRANSFER_FEATURES` those that a stream of transfers and reports
alone can fill (a payment system without telecom data, such as the Fraud Detection Handbook's).
"""

from collections.abc import Iterable
from typing import Final

from features.periods import LIFE
from features.spec import FeatureSet, FeatureSpec

__all__ = ["FRAUD_FEATURES", "TRANSFER_FEATURES"]

SHORT = ("1h", "24h")
LONG = ("7d", "30d")
ALL = SHORT + LONG
DAYS = ("24h", "7d", "30d")
Specs = Iterable[FeatureSpec]


def _over(
    key: str, what: str, streams: str, windows: tuple[str, ...], value: str = "", of: str = ""
) -> list[FeatureSpec]:
    return [
        FeatureSpec(key, what, stream, window, value, of)
        for stream in streams.split()
        for window in windows
    ]


def _since(key: str, what: str, streams: str) -> list[FeatureSpec]:
    return [FeatureSpec(key, what, stream) for stream in streams.split()]


def _fields(key: str, names: str) -> list[FeatureSpec]:
    return [FeatureSpec(key, "value", name) for name in names.split()]


TRANSFER_EVENT = [
    *_fields("event", "amount hour weekday weekend night channel limit_raised"),
    *_fields("event", "surprise is_new new_device delay"),
]
TELECOM_EVENT = [
    *_fields("event", "kind duration incoming roaming foreign age_days"),
    *_fields("event", "has_link has_code listed action grade"),
]
TRANSFER_SUBSCRIBER = [
    *_over("subscriber", "count", "transfer", ALL),
    *_over("subscriber", "sum", "transfer", ALL, "amount"),
    *_over("subscriber", "mean", "transfer", (*DAYS, LIFE), "amount"),
    *_over("subscriber", "max", "transfer", (*DAYS, LIFE), "amount"),
    *_over("subscriber", "std", "transfer", (*LONG, LIFE)),
    *_over("subscriber", "distinct", "transfer", DAYS),
    *_over("subscriber", "count", "transfer_new", ALL),
    *_over("subscriber", "share", "transfer_new", LONG, of="transfer"),
    *_over("subscriber", "share", "transfer_night", ("30d",), of="transfer"),
    *_over("subscriber", "habit", "transfer", SHORT),
    *_over("subscriber", "habit_sum", "transfer", ("1h", "24h", "7d"), "amount"),
    *_over("subscriber", "to_mean", "transfer", ("7d", "30d", LIFE), "amount"),
    *_over("subscriber", "to_max", "transfer", ("30d", LIFE), "amount"),
    *_over("subscriber", "zscore", "transfer", ("30d", LIFE)),
    *_over("subscriber", "count", "transfer_unusual", DAYS),
    *_over("subscriber", "mean", "transfer", DAYS, "surprise"),
    *_over("subscriber", "max", "transfer", ("7d",), "surprise"),
    *_over("subscriber", "count", "transfer", (LIFE,)),
    *_over("subscriber", "count", "report", ("7d", "30d", LIFE)),
    *_since("subscriber", "since_last", "transfer report"),
    *_since("subscriber", "since_first", "transfer any"),
]
TELECOM_SUBSCRIBER = [
    *_over("subscriber", "count", "any", ("1h", "24h", "30d")),
    *_over("subscriber", "share", "night", DAYS, of="any"),
    *_over("subscriber", "habit", "any", SHORT),
    *_over("subscriber", "count", "call_in call_out", ("1h", "24h")),
    *_over("subscriber", "habit", "call_in call_out", SHORT),
    *_over("subscriber", "count", "call_in_new call_long_new", ALL),
    *_over("subscriber", "count", "call_long call_foreign call_young", DAYS),
    *_over("subscriber", "sum", "call_in_new", ("1h", "24h", "7d"), "duration"),
    *_over("subscriber", "max", "call_in_new", ("1h", "24h", "7d"), "duration"),
    *_over("subscriber", "max", "call_in", ("30d",), "duration"),
    *_over("subscriber", "mean", "call_in", ("24h", "30d"), "duration"),
    *_over("subscriber", "share", "call_in_new", ("24h", "30d"), of="call_in"),
    *_over("subscriber", "share", "call_night", ("24h", "30d"), of="any"),
    *_over("subscriber", "distinct", "inward outward", ("24h", "7d")),
    *_over("subscriber", "count", "stranger", DAYS),
    *_over("subscriber", "count", "sms_link sms_code", ("1h", "24h", "7d")),
    *_over("subscriber", "count", "install control listed", DAYS),
    *_over("subscriber", "count", "lead lead_high", ("24h", "7d")),
    *_over("subscriber", "count", "transfer_raised", ("24h",)),
    *_since("subscriber", "since_last", "call_in_new call_long_new call_foreign sms_code"),
    *_since("subscriber", "since_last", "install control listed lead transfer_raised"),
    FeatureSpec("subscriber", "order", "talk"),
]
TRANSFER_COUNTERPART = [
    *_over("counterpart", "count", "any", ALL),
    *_over("counterpart", "sum", "transfer", DAYS, "amount"),
    *_over("counterpart", "mean", "transfer", LONG, "amount"),
    *_over("counterpart", "max", "transfer", LONG, "amount"),
    *_over("counterpart", "to_mean", "transfer", ("30d",), "amount"),
    *_over("counterpart", "zscore", "transfer", ("30d",)),
    *_over("counterpart", "in_degree", "transfer", ALL),
    *_over("counterpart", "share", "stranger", DAYS, of="any"),
    *_over("counterpart", "share", "night", ("7d",), of="any"),
    *_over("counterpart", "habit", "any", SHORT),
    *_over("counterpart", "count", "transfer_unusual", DAYS),
    *_over("counterpart", "share", "transfer_unusual", LONG, of="transfer"),
    *_over("counterpart", "mean", "transfer", DAYS, "surprise"),
    *_over("counterpart", "max", "transfer", ("7d",), "surprise"),
    *_over("counterpart", "count", "report", DAYS),
    *_over("counterpart", "rate", "report", DAYS, of="any"),
    *_over("counterpart", "count", "any", ("7d_lag_7d", "30d_lag_7d")),
    *_over("counterpart", "count", "report", (LIFE,)),
    *_since("counterpart", "since_last", "any report"),
    *_since("counterpart", "since_first", "any report"),
]
TELECOM_COUNTERPART = [
    *_over("counterpart", "in_degree", "outward", DAYS),
    *_over("counterpart", "out_degree", "inward", ALL),
    *_over("counterpart", "share", "call_unanswered call_long", DAYS, of="any"),
    *_over("counterpart", "share", "inward", ("7d",), of="any"),
    *_over("counterpart", "mean", "call_in", ("7d",), "duration"),
    *_over("counterpart", "count", "lead", LONG),
    *_over("counterpart", "others", "followed followed_shared", ("24h", "7d")),
]
TRANSFER_PAIR = [
    *_over("pair", "count", "any", ALL),
    *_over("pair", "sum", "transfer", ("24h", "30d"), "amount"),
    *_over("pair", "mean", "transfer", ("30d",), "amount"),
    *_over("pair", "to_mean", "transfer", (LIFE,), "amount"),
    *_over("pair", "count", "any", (LIFE,)),
    *_since("pair", "since_last", "any"),
    *_since("pair", "since_first", "any"),
]
TELECOM_PAIR = [
    *_over("pair", "count", "inward outward call_long", ("24h", "30d")),
    *_over("pair", "sum", "talk", ("24h", "30d"), "duration"),
]
ACCOUNT = [
    *_over("account", "count", "transfer transfer_new", ("1h", "24h")),
    *_over("account", "sum", "transfer", ("1h", "24h", "30d"), "amount"),
    *_over("account", "max", "transfer", ("30d",), "amount"),
    *_over("account", "habit_sum", "transfer", ("24h",), "amount"),
    *_since("account", "since_last", "transfer"),
    *_since("account", "since_first", "transfer"),
    *_over("payee_account", "count", "transfer", ("1h", "24h", "7d")),
    *_over("payee_account", "sum", "transfer", ("24h",), "amount"),
    *_since("payee_account", "since_last", "transfer"),
]
DEVICE = [
    *_over("device", "count", "any transfer", ("24h", "30d")),
    *_over("device", "sum", "transfer", ("24h",), "amount"),
    *_over("device", "in_degree", "any", ("24h", "30d")),
    *_since("device", "since_first", "any"),
    *_since("device", "since_last", "any"),
    *_over("subscriber", "count", "transfer_new_device", ("24h", "7d")),
]
LINK = [
    *_fields("link", "contacts others followed followed_shared reports"),
    *_over("counterpart", "count", "transfer_shared", ("24h", "7d")),
    *_over("subscriber", "count", "transfer_shared", ("24h",)),
]

TRANSFER_FEATURES: Final = FeatureSet(
    tuple(TRANSFER_EVENT + TRANSFER_SUBSCRIBER + TRANSFER_COUNTERPART + TRANSFER_PAIR)
)
"""What transfers and reports alone can fill."""

FRAUD_FEATURES: Final = FeatureSet(
    (
        *TRANSFER_FEATURES.specs,
        *TELECOM_EVENT,
        *TELECOM_SUBSCRIBER,
        *TELECOM_COUNTERPART,
        *TELECOM_PAIR,
        *ACCOUNT,
        *DEVICE,
        *LINK,
    )
)
"""Everything known at an event."""
