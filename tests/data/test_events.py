import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from data.events import EVENT_TYPES, Call, json_schema

GOLDEN = Path(__file__).parents[1] / "golden" / "events.schema.json"


def test_the_published_schema_changes_only_on_purpose() -> None:
    published = json.loads(GOLDEN.read_text())
    assert json_schema() == published, (
        "the contracts changed: raise CONTRACT_VERSION if records that were valid no longer are, "
        "then write `forewarn schema` to tests/golden/events.schema.json"
    )


def test_events_are_frozen() -> None:
    call = Call(
        event_id="c",
        occurred_at="2026-03-01T10:00:00+08:00",
        subscriber="138000",
        counterpart="10086",
        direction="incoming",
        duration_s=1,
    )
    with pytest.raises(ValidationError, match="frozen"):
        call.duration_s = 2  # type: ignore[misc]
    assert call.occurred_at.isoformat() == "2026-03-01T02:00:00+00:00"


def test_no_contract_holds_a_field_about_who_somebody_is() -> None:
    fields = {name for contract in EVENT_TYPES.values() for name in contract.model_fields}
    assert not fields & {"sex", "age", "age_band", "ethnicity", "religion", "name", "address"}
