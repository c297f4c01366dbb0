"""What is asked of banks, operators and the command platform, and what citizens object to.

`serving.cases` works a case; this asks others to act for it: drafted from the case, signed by a
second person, sent as a signed message, with an end, an undo and an answer. No measure is taken by
a score, and nothing leaves without a signature. Appeals lift what was wrong, and the ledger counts
what false alarms cost.
"""

from serving.requests.appeals import OpenAppeal, decide, file, open_appeals
from serving.requests.courier import Courier
from serving.requests.ledger import Cost, ledger
from serving.requests.lifecycle import (
    ANSWERS,
    STATES,
    answer,
    decline,
    draft,
    resend,
    sign,
    undo,
    withdraw,
)
from serving.requests.measures import MEASURES, Kind
from serving.requests.outbox import Outbox, Patience
from serving.requests.reading import (
    DeadLetter,
    awaiting_signature,
    dead_letters,
    requests_in,
    requests_of,
)
from serving.requests.receivers import Office, OfficeError, Receiver
from serving.requests.request import Request, State
from serving.requests.subjects import Subject, subjects

__all__ = [
    "ANSWERS",
    "MEASURES",
    "STATES",
    "Cost",
    "Courier",
    "DeadLetter",
    "Kind",
    "Office",
    "OfficeError",
    "OpenAppeal",
    "Outbox",
    "Patience",
    "Receiver",
    "Request",
    "State",
    "Subject",
    "answer",
    "awaiting_signature",
    "dead_letters",
    "decide",
    "decline",
    "draft",
    "file",
    "ledger",
    "open_appeals",
    "requests_in",
    "requests_of",
    "resend",
    "sign",
    "subjects",
    "undo",
    "withdraw",
]
