"""What happened, and what was later known to be true.

The lowest folder of the house. It knows facts (`data.events`), lets them in through one door
(`data.intake`, for files `data.ingest`), hides who they are about (`data.pseudonyms`), keeps them
(`data.history`, `data.database`, the refused in `data.quarantine`), says what they turned out to
be (`data.labels`) and where others come from (`data.sources`, `data.simulator`). What follows from
facts at a moment is for `features`; what to conclude is for `models`.

Incidents, which have a place and no person (`data.incidents`), come in beside them
(`data.incident_ingest`, for the city's limits `data.places`) and are kept apart; the city's
districts (`data.districts`) are for reports alone.

Modules are imported when they are first asked for: a worker that scores must not pay for what only
training reads.
"""

from importlib import import_module
from types import ModuleType

__all__ = [
    "clock",
    "columns",
    "database",
    "districts",
    "embedded",
    "events",
    "formats",
    "history",
    "incident_files",
    "incident_history",
    "incident_ingest",
    "incident_intake",
    "incidents",
    "ingest",
    "intake",
    "labels",
    "places",
    "problems",
    "pseudonyms",
    "quarantine",
    "rules",
    "screen",
    "seen",
    "settings",
    "simulator",
    "sources",
    "stores",
    "tables",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
