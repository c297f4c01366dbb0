"""What a feature can be about, and which state it is read from."""

from typing import Final

__all__ = ["KEYS", "STATES", "STATE_OF"]

KEYS: Final = {
    "event": ("本次事件", "this event"),
    "subscriber": ("本人", "the subscriber"),
    "counterpart": ("对方", "the counterpart"),
    "pair": ("双方之间", "between the two"),
    "account": ("付款账户", "the paying account"),
    "payee_account": ("收款账户作为付款方", "the payee's account as a payer"),
    "device": ("所用设备", "the device"),
    "link": (
        "近24小时联系过本人的陌生对象",
        "new counterparts that reached the subscriber in 24 h",
    ),
}
"""Chinese and English. `payee_account` reads the account state of the payee, `link` what is reached
through the subscriber's recent counterparts."""

STATE_OF: Final = {
    "pair": "pair",
    "subscriber": "subscriber",
    "counterpart": "counterpart",
    "payee_account": "account",
    "account": "account",
    "device": "device",
}
"""Which state each key reads. The payee's account comes before the payer's: a transfer to oneself
must be read before it is added."""

STATES: Final = ("pair", "holding", "subscriber", "counterpart", "account", "device")
"""Kinds of state, in the order they are read: `pair` (subscriber, counterpart) and `holding`
(subscriber, device) say what is new, which the others count."""
