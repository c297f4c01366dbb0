"""An incident: what happened where and when, and how it came to be known. Never who.

No field for a person exists, and a test holds the list of fields: the place is scored, never a
person. Incidents that citizens reported feed the model; what patrols discovered is kept apart, for
training on it would send patrols where patrols have been.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from data.events import Name, Time
from data.tables import CODE, TIME

__all__ = [
    "INCIDENT_FIELDS",
    "INCIDENT_SCHEMA",
    "Incident",
    "Origin",
    "Precision",
    "incident_table",
]


class Origin(StrEnum):
    """How an incident came to be known."""

    REPORTED = "reported"  # a citizen called
    DISCOVERED = "discovered"  # a patrol came upon it


class Precision(StrEnum):
    """How exactly the time is known."""

    MINUTE = "minute"
    DAY = "day"


Category = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=64, pattern=r"^[\w][\w .:;,@/&$+#%*'()–·、，：；（）—-]*$"
    ),
]
"""As cities write them: ``THEFT - PETTY ($950 & UNDER)``, ``盗窃（入室）``."""


class Incident(BaseModel):
    """One incident.

    Examples
    --------
    >>> Incident.model_validate_json('''{"incident_id": "110-7", "category": "THEFT",
    ...     "occurred_at": "2026-03-01T22:10:00+08:00", "lon": 106.55, "lat": 29.56}''').origin
    <Origin.REPORTED: 'reported'>
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    incident_id: Name
    occurred_at: Time
    known_at: Time | None = None
    category: Category
    lon: Annotated[float, Field(ge=-180, le=180, description="degrees east, WGS 84")]
    lat: Annotated[float, Field(ge=-90, le=90, description="degrees north, WGS 84")]
    origin: Origin = Origin.REPORTED
    precision: Precision = Precision.MINUTE
    source: Name = "unknown"
    version: Literal[1] = 1


INCIDENT_SCHEMA = pa.schema(
    [
        ("incident_id", pa.string()),
        ("occurred_at", TIME),
        ("known_at", TIME),
        ("category", CODE),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("origin", CODE),
        ("precision", CODE),
        ("source", CODE),
    ]
)
INCIDENT_FIELDS = tuple(INCIDENT_SCHEMA.names)


def incident_table(incidents: Iterable[Incident]) -> pa.Table:
    """Lay incidents out as `INCIDENT_SCHEMA`, in the order given."""
    rows = [incident.model_dump(exclude={"version"}) for incident in incidents]
    for row in rows:
        row["origin"], row["precision"] = str(row["origin"]), str(row["precision"])
    return pa.Table.from_pylist(rows, schema=INCIDENT_SCHEMA)
